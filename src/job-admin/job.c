#include "job-admin/job.h"

#include "base/clock.h"
#include "base/memory.h"
#include "job-execute/client.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEFINITION_MAX = 4 * 1024 * 1024 };

void job_defaults(struct job *job)
{
    job->group = (char *)(intptr_t)"default";
    job->enabled = true;
    job->misfire = (struct job_misfire){ .policy = MISFIRE_ONCE, .limit = 100,
                                         .threshold_ms = 5000 };
    job->overlap = (struct job_overlap){ .policy = OVERLAP_SKIP, .limit = 100 };
    job->retry = (struct job_retry){ .max = 0, .first_ms = 1000, .cap_ms = 60000, .lost_max = 5,
                                     .timeouts = true };
    job->route = (struct job_route){ .policy = ROUTE_LEAST_LOADED };
    job->promise = PROMISE_AT_LEAST_ONCE;
    job->log_max = 10 * 1024 * 1024;
}

const char *job_zone(const struct job *job)
{
    return job->schedule.cron && job->schedule.cron->zone ? job->schedule.cron->zone : "UTC";
}

const char *job_task_type(const struct job *job)
{
    return job->task.http ? "http" : "script";
}

const char *job_task_definition(const struct job *job)
{
    return job->task.http ? job->task.http : job->task.script;
}

static int name_check(const char *name, const char *path, struct error *err)
{
    if (strchr(name, '/'))
        return error_set_at(err, ERR_INVALID, path, "a name must not contain \"/\"");
    if (name[0] == ' ' || name[strlen(name) - 1] == ' ')
        return error_set_at(err, ERR_INVALID, path, "a name must not begin or end with a space");
    /* "17" would be taken for an id where a command takes either */
    if (strspn(name, "0123456789") == strlen(name))
        return error_set_at(err, ERR_INVALID, path, "a name must not be a number alone");
    return 0;
}

static int one_schedule_check(const struct job_schedule *s, struct error *err)
{
    int count = !!s->cron + !!s->every + !!s->delay + !!s->at + !!s->manual;

    if (count != 1)
        return error_set_at(err, ERR_INVALID, "schedule",
                            "exactly one of cron, every, delay, at, manual must be given");
    if (s->from && s->until && s->until < s->from)
        return error_set_at(err, ERR_INVALID, "schedule.until", "until must not be before from");
    return 0;
}

static int cron_check(struct job_cron *cron, struct zone_set *zones, const char *default_zone,
                      struct arena *arena, struct error *err)
{
    CLEANUP(zone_unref) struct zone *zone = NULL;
    enum cron_dialect dialect = CRON_AUTO;
    struct buf text;

    if (!cron->zone)
        cron->zone = arena_strdup(arena, default_zone);
    if (zone_set_find(zones, cron->zone, &zone, err)) {
        snprintf(err->path, sizeof err->path, "schedule.cron.zone");
        return -1;
    }
    buf_init(&text, 4 * CRON_TEXT_MAX);
    int rc = cron_normalize(str_of(cron->expression), (enum cron_dialect)cron->dialect, &dialect,
                            &text, err);
    if (rc == 0) {
        cron->expression = arena_strdup(arena, buf_text(&text));
        cron->dialect = (int32_t)dialect;
    } else {
        snprintf(err->path, sizeof err->path, "schedule.cron.expression");
    }
    buf_done(&text);
    return rc;
}

static int at_check(struct job_at *at, struct error *err)
{
    int64_t time, before = INT64_MIN;

    for (size_t i = 0; i < at->time_count; i++) {
        if (!time_parse(str_of(at->times[i]), &time)) {
            error_set(err, ERR_INVALID, "not an RFC 3339 time with offset: %s", at->times[i]);
        } else if (time <= before) {
            error_set(err, ERR_INVALID, "times must ascend, each later than the one before");
        } else {
            before = time;
            continue;
        }
        snprintf(err->path, sizeof err->path, "schedule.at.times[%zu]", i);
        return -1;
    }
    return 0;
}

static int task_member_check(struct job *job, struct arena *arena, struct error *err)
{
    char path[32];

    if (!job->task.http == !job->task.script)
        return error_set_at(err, ERR_INVALID, "task", "exactly one of http, script must be given");
    const char *type = job_task_type(job);
    char **definition = job->task.http ? &job->task.http : &job->task.script;
    if (task_check(type, str_of(*definition), job->parameters, job->parameter_count, arena,
                   definition, err)) {
        snprintf(path, sizeof path, "task.%s", type);
        return error_prefix_path(err, path);
    }
    return 0;
}

static int names_check(const struct job *job, struct error *err)
{
    char path[32];

    if (name_check(job->name, "name", err) || name_check(job->group, "group", err))
        return -1;
    for (size_t i = 0; i < job->tag_count; i++) {
        size_t count = utf8_count(str_of(job->tags[i]));
        snprintf(path, sizeof path, "tags[%zu]", i);
        if (count < 1 || count > 64)
            return error_set_at(err, ERR_INVALID, path, "a tag has 1 to 64 characters");
        for (size_t k = 0; k < i; k++)
            if (strcmp(job->tags[i], job->tags[k]) == 0)
                return error_set_at(err, ERR_INVALID, path, "tag given twice: %s", job->tags[i]);
    }
    return 0;
}

static int policies_check(const struct job *job, struct error *err)
{
    if (job->retry.cap_ms < job->retry.first_ms)
        return error_set_at(err, ERR_INVALID, "retry.cap_ms",
                            "cap_ms must not be smaller than first_ms");
    if (job->promise == PROMISE_AT_MOST_ONCE && job->retry.max > 0)
        return error_set_at(err, ERR_INVALID, "retry.max",
                            "an at-most-once job has no further attempts: retry.max must be 0");
    if ((job->route.policy == ROUTE_PINNED) != (job->route.executor != NULL))
        return error_set_at(err, ERR_INVALID, "route.executor",
                            "executor goes with the policy pinned, and only with it");
    return 0;
}

int job_check(struct job *job, struct zone_set *zones, const char *default_zone, int64_t now_ms,
              struct arena *arena, struct error *err)
{
    struct job_entry *entry = NULL;

    if (names_check(job, err) || one_schedule_check(&job->schedule, err) ||
        policies_check(job, err))
        return -1;
    if (job->schedule.cron && cron_check(job->schedule.cron, zones, default_zone, arena, err))
        return -1;
    if (job->schedule.at && at_check(job->schedule.at, err))
        return -1;
    if (job->schedule.every && !job->schedule.every->start)
        job->schedule.every->start = now_ms;
    if (task_member_check(job, arena, err) || job_entry_new(job, zones, &entry, err))
        return -1;
    bool fires = job->schedule.manual || job_entry_next(entry, now_ms) != SCHEDULE_NEVER;
    job_entry_free(&entry);
    if (!fires && job->enabled)
        return error_set_at(err, ERR_INVALID, "schedule",
                            "this schedule never fires from now on; disable the job to keep it");
    return 0;
}

/* --- stored form ------------------------------------------------------------------------------ */

char *job_definition(const struct job *job, struct arena *arena)
{
    struct job bare = *job;
    struct json_writer w;
    struct buf out;

    bare.id = bare.group_id = bare.version = bare.schedule_version = 0;
    bare.next_fire_at = bare.paused_at = bare.paused_until = bare.disabled_at = 0;
    bare.created_at = bare.updated_at = 0;
    bare.created_by = bare.schedule_text = NULL;
    buf_init(&out, DEFINITION_MAX);
    json_begin(&w, &out);
    json_write_all(&w, &job_table, &bare);
    char *text = arena_strdup(arena, buf_text(&out));
    buf_done(&out);
    return text;
}

int job_definition_read(struct job *job, const char *definition, struct arena *arena,
                        struct error *err)
{
    job_defaults(job);
    return json_read_all(str_of(definition), DEFINITION_MAX, &job_table, arena, job, err);
}

bool job_schedule_differs(const struct job *a, const struct job *b, struct arena *arena)
{
    struct job x = { .schedule = a->schedule }, y = { .schedule = b->schedule };

    return strcmp(job_definition(&x, arena), job_definition(&y, arena)) != 0;
}

/* --- compiled --------------------------------------------------------------------------------- */

static int entry_cron(struct job_entry *entry, const struct job_cron *cron, uint64_t seed,
                      struct zone_set *zones, struct error *err)
{
    if (zone_set_find(zones, cron->zone ? cron->zone : "UTC", &entry->zone, err))
        return -1;
    entry->schedule.kind = SCHEDULE_CRON;
    entry->schedule.cron = &entry->cron;
    entry->schedule.zone = entry->zone;
    entry->schedule.dst = (enum dst_rule)cron->dst;
    return cron_parse(str_of(cron->expression), (enum cron_dialect)cron->dialect, seed,
                      &entry->cron, err);
}

static int entry_at(struct job_entry *entry, const struct job_at *at, struct error *err)
{
    entry->at_ms = memory_alloc(at->time_count * sizeof *entry->at_ms);
    for (size_t i = 0; i < at->time_count; i++)
        if (!time_parse(str_of(at->times[i]), &entry->at_ms[i]))
            return error_set(err, ERR_INVALID, "not an RFC 3339 time with offset: %s",
                             at->times[i]);
    entry->schedule.kind = SCHEDULE_AT;
    entry->schedule.at_ms = entry->at_ms;
    entry->schedule.at_count = at->time_count;
    return 0;
}

static int entry_schedule(struct job_entry *entry, const struct job *job, struct zone_set *zones,
                          struct error *err)
{
    const struct job_schedule *s = &job->schedule;
    struct schedule *out = &entry->schedule;

    out->not_before_ms = s->from ? s->from : INT64_MIN;
    out->not_after_ms = s->until ? s->until : SCHEDULE_NEVER;
    if (s->cron)
        return entry_cron(entry, s->cron, (uint64_t)job->id, zones, err);
    if (s->at)
        return entry_at(entry, s->at, err);
    if (s->every) {
        out->kind = SCHEDULE_EVERY;
        out->every_ms = s->every->interval_ms;
        out->start_ms = s->every->start;
    } else if (s->delay) {
        out->kind = SCHEDULE_DELAY;
        out->delay_ms = s->delay->delay_ms;
    } else {
        out->kind = SCHEDULE_MANUAL;
    }
    return 0;
}

static void entry_policies(struct scheduler_job *out, const struct job *job)
{
    out->id = job->id;
    out->shard = job->id % SHARD_COUNT;
    out->version = job->version;
    out->schedule_version = job->schedule_version;
    out->enabled = job->enabled;
    out->next_fire_at = job->next_fire_at ? job->next_fire_at : SCHEDULE_NEVER;
    out->paused_at = job->paused_at;
    out->paused_until = job->paused_until;
    out->misfire = (enum misfire_policy)job->misfire.policy;
    out->misfire_limit = (int32_t)job->misfire.limit;
    out->misfire_threshold_ms = job->misfire.threshold_ms;
    out->overlap = (enum overlap_policy)job->overlap.policy;
    out->overlap_limit = (int32_t)job->overlap.limit;
    out->promise = (enum promise)job->promise;
    out->retry_max = (int32_t)job->retry.max;
    out->retry_first_ms = job->retry.first_ms;
    out->retry_cap_ms = job->retry.cap_ms;
    out->retry_timeouts = job->retry.timeouts;
    out->lost_max = (int32_t)job->retry.lost_max;
    out->priority = job->priority;
    out->start_deadline_ms = job->start_deadline_ms;
    out->jitter_ms = job->jitter_ms;
    out->route = (enum route_policy)job->route.policy;
    snprintf(out->route_executor, sizeof out->route_executor, "%s",
             job->route.executor ? job->route.executor : "");
}

int job_entry_new(const struct job *job, struct zone_set *zones, struct job_entry **ret_entry,
                  struct error *err)
{
    struct job_entry *entry = memory_alloc(sizeof *entry);

    if (entry_schedule(entry, job, zones, err) || schedule_check(&entry->schedule, err)) {
        error_prefix_path(err, "schedule");
        job_entry_free(&entry);
        return -1;
    }
    entry_policies(&entry->job, job);
    entry->job.schedule = &entry->schedule;
    *ret_entry = entry;
    return 0;
}

void job_entry_free(struct job_entry **entry)
{
    if (!*entry)
        return;
    zone_unref(&(*entry)->zone);
    free((*entry)->at_ms);
    free(*entry);
    *entry = NULL;
}

int64_t job_entry_next(const struct job_entry *entry, int64_t after_ms)
{
    return entry->schedule.kind == SCHEDULE_DELAY ? schedule_next_delay(&entry->schedule, after_ms)
                                                  : schedule_next(&entry->schedule, after_ms);
}
