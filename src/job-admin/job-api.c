#include "job-admin/api.h"
#include "job-admin/job-api.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>

/* Jobs over HTTP. Whatever changes a job goes read → change → compare-and-swap, again if lost. */

enum { CHANGE_TRIES = 20, GAP_COUNT_MAX = 1000000000 };
#define PAUSE_FOR_EVER INT64_C(7258118399000) /* 2199-12-31T23:59:59Z */

/* --- answers ------------------------------------------------------------------------------------------- */

/* What the row does not say: the schedule in words, and the fire that people wait for (the row's
 * next_fire_at is what has not been planned yet, some seconds further on). */
static void answer_complete(struct admin *admin, struct request *request, struct job *job)
{
    struct job_entry *entry = NULL;
    struct error err;
    struct buf text;

    if (job->schedule.manual || job_entry_new(job, admin->zones, &entry, &err))
        return;
    buf_init(&text, 4096);
    if (entry->schedule.kind == SCHEDULE_CRON)
        cron_describe(&entry->cron, request->language, &text);
    job->schedule_text = text.size ? arena_strdup(request->arena, buf_text(&text)) : NULL;
    buf_done(&text);
    int64_t now_ms = admin_now_ms(admin);
    if (job->enabled && !job->paused_at && entry->schedule.kind != SCHEDULE_DELAY) {
        int64_t next = schedule_next(&entry->schedule, now_ms);
        job->next_fire_at = next == SCHEDULE_NEVER ? 0 : next;
    }
    job_entry_free(&entry);
}

void job_answer(struct request *request, int status, struct job *job)
{
    char etag[24];

    snprintf(etag, sizeof etag, "\"%d\"", job->version);
    answer_complete(request->state, request, job);
    request_header(request, "ETag", etag);
    request_answer(request, status, &job_table, job);
}

void job_missing(struct request *request, int64_t id)
{
    struct error err;

    error_set(&err, ERR_NOT_FOUND, "no job %lld", (long long)id);
    request_fail(request, &err);
}

static int job_param(struct request *request, int64_t *ret_id)
{
    return request_param_id(request, 0, INT32_MAX, ret_id);
}

/* --- create ---------------------------------------------------------------------------------------------- */

static void create_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct job_create_op *op = ctx;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
        return;
    }
    if (!op->admin->leases)
        engine_job_changed(op->admin, op->job->id);
    job_answer(op->request, 201, op->job);
}

static void create_submit(struct job_create_op *op, int64_t id)
{
    struct job *job = op->job;
    struct job_entry *entry = NULL;
    struct error err;

    job->id = (int32_t)id; /* what H is hashed from, so it comes before the compiling */
    if (job_entry_new(job, op->admin->zones, &entry, &err)) {
        request_fail(op->request, &err);
        return;
    }
    int64_t next = job->enabled ? job_entry_next(entry, job->created_at) : SCHEDULE_NEVER;
    job->next_fire_at = next == SCHEDULE_NEVER ? 0 : next;
    job_entry_free(&entry);
    op->definition = job_definition(job, op->arena);
    db_submit(op->admin->node->db, DB_POOL_API, store_job_create, op, create_done);
}

void creates_go(void *ctx)
{
    struct admin *admin = ctx;

    while (!list_empty(&admin->creates_waiting)) {
        struct job_create_op *op =
            CONTAINER_OF(admin->creates_waiting.next, struct job_create_op, link);
        int64_t id = ids_next(admin->job_ids, 0);
        if (!id)
            return;
        list_remove(&op->link);
        create_submit(op, id);
    }
}

void api_job_create(struct request *request)
{
    struct admin *admin = request->state;
    struct job *job = ARENA_NEW(request->arena, struct job);
    struct job_create_op *op = ARENA_NEW(request->arena, struct job_create_op);
    struct error err;

    job_defaults(job);
    if (request_read(request, &job_table, job))
        return;
    int64_t now_ms = admin_now_ms(admin);
    if (job_check(job, admin->zones, admin->default_zone, now_ms, request->arena, &err)) {
        request_fail(request, &err);
        return;
    }
    job->version = job->schedule_version = 1;
    job->created_at = job->updated_at = now_ms;
    job->disabled_at = job->enabled ? 0 : now_ms;
    job->created_by = request->principal->name;
    *op = (struct job_create_op){ .admin = admin, .request = request, .arena = request->arena,
                                  .job = job };
    list_add_tail(&admin->creates_waiting, &op->link);
    creates_go(admin);
}

/* --- read one, list ----------------------------------------------------------------------------------- */

struct read_op {
    struct request *request;
    int64_t id;
    struct job job;
    bool found;
};

static int read_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct read_op *op = ctx;
    int found = store_job_find(tx, op->request->arena, op->id, false, &op->job, err);

    op->found = found == 1;
    return found < 0 ? -1 : 0;
}

static void read_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct read_op *op = ctx;

    if (outcome != DB_OK)
        request_fail_outcome(op->request, (int)outcome, err);
    else if (!op->found)
        job_missing(op->request, op->id);
    else if (request_require(op->request, PERM_VIEW, op->job.group_id) == 0)
        job_answer(op->request, 200, &op->job);
}

void api_job_read_one(struct request *request)
{
    struct admin *admin = request->state;
    struct read_op *op = ARENA_NEW(request->arena, struct read_op);

    op->request = request;
    if (job_param(request, &op->id) == 0)
        db_submit_read(admin->node->db, DB_POOL_API, read_fn, op, read_done);
}

static void list_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct job_list_op *op = ctx;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
        return;
    }
    size_t limit = (size_t)op->limit;
    for (size_t i = 0; i < op->count; i++)
        answer_complete(op->admin, op->request, &op->jobs[i]);
    list_page_answer(op->request, &job_table, op->jobs, sizeof *op->jobs, op->count, limit,
                op->count > limit ? cursor_make(op->arena, op->jobs[limit - 1].id, 0) : NULL);
}

/* "%text%" with what LIKE takes specially escaped by '!'. */
static const char *search_pattern(struct arena *arena, const char *text)
{
    struct buf out;

    if (!text)
        return NULL;
    buf_init(&out, 1024);
    buf_add_char(&out, '%');
    for (; *text; text++) {
        if (*text == '%' || *text == '_' || *text == '!')
            buf_add_char(&out, '!');
        buf_add_char(&out, *text);
    }
    buf_add_char(&out, '%');
    const char *pattern = arena_strdup(arena, buf_text(&out));
    buf_done(&out);
    return pattern;
}

void api_job_list(struct request *request)
{
    struct admin *admin = request->state;
    struct job_list_op *op = ARENA_NEW(request->arena, struct job_list_op);
    const char *search = NULL, *cursor = NULL;
    bool enabled = false, disabled = true;
    int64_t unused;
    struct error err;

    op->admin = admin;
    op->request = request;
    op->arena = request->arena;
    /* asked twice with both defaults: absent is when the answers differ */
    if (request_query_text(request, "group", &op->group) ||
        request_query_text(request, "name", &op->name) ||
        request_query_text(request, "owner", &op->owner) ||
        request_query_text(request, "tag", &op->tag) ||
        request_query_text(request, "search", &search) ||
        request_query_text(request, "cursor", &cursor) ||
        request_query_bool(request, "enabled", false, &enabled) ||
        request_query_bool(request, "enabled", true, &disabled) ||
        request_query_int(request, "limit", 1, 500, 50, &op->limit))
        return;
    op->enabled = enabled == disabled ? enabled : -1;
    op->search_pattern = search_pattern(request->arena, search);
    if (cursor && cursor_read(cursor, &op->after_id, &unused, &err)) {
        request_fail(request, &err);
        return;
    }
    db_submit_read(admin->node->db, DB_POOL_API, store_job_list, op, list_done);
}

/* --- changes ----------------------------------------------------------------------------------------------- */

static void gap_add(struct job_change_op *op, const struct job_entry *entry, int64_t after_ms,
                    int64_t upto_ms, enum cause cause)
{
    const struct schedule *schedule = &entry->schedule;
    int64_t first = schedule_next(schedule, after_ms);

    if (first > upto_ms)
        return;
    op->gaps[op->gap_count++] = (struct plan_gap){
        .from_ms = first,
        .to_ms = schedule_previous(schedule, upto_ms + 1),
        .count = schedule_count(schedule, after_ms, upto_ms, GAP_COUNT_MAX),
        .cause = cause,
    };
}

/* What the job as it was owed until now and will not do: kept as gaps, so that `why` can tell. */
static void old_gaps(struct job_change_op *op, enum cause overdue_cause)
{
    const struct job *old = op->old;
    struct job_entry *entry = NULL;
    struct error err;

    if (job_entry_new(old, op->admin->zones, &entry, &err))
        return; /* a row that never could be planned owes nothing */
    int64_t now_ms = op->now_ms;
    /* a fire at the very end of a pause is no longer in it */
    int64_t pause_end = old->paused_until <= now_ms ? old->paused_until - 1 : now_ms;
    if (!old->enabled && old->disabled_at)
        gap_add(op, entry, old->disabled_at, now_ms, CAUSE_DISABLED);
    if (old->enabled && old->paused_at)
        gap_add(op, entry, old->paused_at, pause_end, CAUSE_PAUSED);
    if (old->enabled && old->next_fire_at && old->next_fire_at <= now_ms)
        gap_add(op, entry,
                old->paused_at && old->next_fire_at <= pause_end ? pause_end : old->next_fire_at - 1,
                now_ms, overdue_cause);
    job_entry_free(&entry);
}

/* Where the changed job stands from now on. */
static int new_position(struct job_change_op *op, struct error *err)
{
    struct job *job = op->job;
    struct job_entry *entry = NULL;

    job->disabled_at = job->enabled ? 0 : op->now_ms;
    job->next_fire_at = 0;
    if (!job->enabled) {
        job->paused_at = job->paused_until = 0;
        return 0;
    }
    if (job_entry_new(job, op->admin->zones, &entry, err))
        return -1;
    bool paused = job->paused_until > op->now_ms;
    job->paused_at = paused ? op->now_ms : 0;
    if (!paused)
        job->paused_until = 0;
    int64_t next = job_entry_next(entry, paused ? job->paused_until - 1 : op->now_ms);
    job->next_fire_at = next == SCHEDULE_NEVER ? 0 : next;
    job_entry_free(&entry);
    return 0;
}

/* The job's fires are others from now on. */
static int reposition(struct job_change_op *op, enum cause overdue_cause, struct error *err)
{
    op->job->schedule_version++;
    op->remove_planned = true;
    old_gaps(op, overdue_cause);
    return new_position(op, err);
}

static void change_try(struct job_change_op *op);

static void change_written(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct job_change_op *op = ctx;
    struct admin *admin = op->admin;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
        return;
    }
    if (op->stale) { /* somebody else, often the scheduler, was faster */
        change_try(op);
        return;
    }
    if (admin->leases)
        engine_mail_poll(admin);
    else
        engine_job_changed(admin, op->id);
    for (size_t i = 0; i < op->live_count && !admin->leases; i++)
        engine_run_stopped(admin, op->live_runs[i], CAUSE_DELETED);
    if (op->write == store_job_delete)
        request_answer_empty(op->request, 204);
    else
        job_answer(op->request, 200, op->job);
}

static int if_match_check(struct job_change_op *op, struct error *err)
{
    if (op->if_match && op->if_match != op->old->version)
        return error_set(err, ERR_PRECONDITION, "the job has changed: it is at version %d now",
                         op->old->version);
    return 0;
}

static void change_read(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct job_change_op *op = ctx;
    struct error failure;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
        return;
    }
    if (!op->old->id) {
        job_missing(op->request, op->id);
        return;
    }
    if (request_require(op->request, op->permission, op->old->group_id))
        return;
    *op->job = *op->old;
    op->gap_count = 0;
    op->remove_planned = false;
    op->now_ms = admin_now_ms(op->admin);
    op->job->updated_at = op->now_ms;
    op->job->version++;
    if (if_match_check(op, &failure) || op->change(op, &failure)) {
        request_fail(op->request, &failure);
        return;
    }
    if (op->job->version == op->old->version) { /* nothing to change */
        job_answer(op->request, 200, op->job);
        return;
    }
    op->definition = job_definition(op->job, op->arena);
    db_submit(op->admin->node->db, DB_POOL_API, op->write, op, change_written);
}

static int change_read_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct job_change_op *op = ctx;

    op->old->id = 0;
    return store_job_find(tx, op->arena, op->id, false, op->old, err) < 0 ? -1 : 0;
}

static void change_try(struct job_change_op *op)
{
    struct error err;

    if (op->tries++ == CHANGE_TRIES) {
        error_set(&err, ERR_UNAVAILABLE, "job %lld is changing all the time, try again",
                  (long long)op->id);
        request_fail(op->request, &err);
        return;
    }
    db_submit_read(op->admin->node->db, DB_POOL_API, change_read_fn, op, change_read);
}

static struct job_change_op *change_new(struct request *request, const char *action,
                                        enum permission permission,
                                        int (*change)(struct job_change_op *op, struct error *err))
{
    struct job_change_op *op = ARENA_NEW(request->arena, struct job_change_op);

    op->admin = request->state;
    op->request = request;
    op->arena = request->arena;
    op->action = action;
    op->permission = permission;
    op->change = change;
    op->write = store_job_change;
    op->old = ARENA_NEW(request->arena, struct job);
    op->job = ARENA_NEW(request->arena, struct job);
    return op;
}

static void change_start(struct job_change_op *op)
{
    if (job_param(op->request, &op->id) == 0)
        change_try(op);
}

/* If-Match is asked for where a change could undo somebody else's. */
static int if_match_read(struct job_change_op *op)
{
    struct str value = http_header_find(op->request->http->headers, op->request->http->header_count,
                                        "If-Match");
    struct error err;

    if (!value.bytes)
        error_set(&err, ERR_PRECONDITION,
                  "If-Match is needed: the ETag of the job as you have read it");
    else if (value.size < 3 || value.bytes[0] != '"' || value.bytes[value.size - 1] != '"' ||
             !number_parse((struct str){ value.bytes + 1, value.size - 2 }, 1, INT32_MAX,
                           &op->if_match))
        error_set(&err, ERR_INVALID, "If-Match must be an ETag such as \"3\"");
    else
        return 0;
    request_fail(op->request, &err);
    return -1;
}

/* --- update and delete ---------------------------------------------------------------------------------- */

static int update_change(struct job_change_op *op, struct error *err)
{
    const struct job *old = op->old;
    struct job *job = op->job;
    int32_t version = job->version;

    *job = *op->input;
    job->id = old->id;
    job->group_id = old->group_id;
    job->version = version;
    job->schedule_version = old->schedule_version;
    job->created_at = old->created_at;
    job->created_by = old->created_by;
    job->updated_at = op->now_ms;
    job->next_fire_at = old->next_fire_at;
    job->paused_at = old->paused_at;
    job->paused_until = old->paused_until;
    job->disabled_at = old->disabled_at;
    /* an interval without a start keeps the one that it has */
    if (job->schedule.every && old->schedule.every && !op->input->schedule.every->start)
        job->schedule.every->start = old->schedule.every->start;
    if (job_check(job, op->admin->zones, op->admin->default_zone, op->now_ms, op->arena, err))
        return -1;
    op->check_group = true;
    op->detail = job_definition(job, op->arena);
    if (job_schedule_differs(old, job, op->arena) || old->enabled != job->enabled)
        return reposition(op, job->enabled ? CAUSE_EDITED : CAUSE_DISABLED, err);
    return 0;
}

void api_job_update(struct request *request)
{
    struct job_change_op *op = change_new(request, "job.update", PERM_DEVELOP, update_change);

    op->input = ARENA_NEW(request->arena, struct job);
    job_defaults(op->input);
    if (if_match_read(op) == 0 && request_read(request, &job_table, op->input) == 0)
        change_start(op);
}

static int delete_change(struct job_change_op *op, struct error *err)
{
    (void)err;
    old_gaps(op, CAUSE_DELETED);
    return 0;
}

void api_job_delete(struct request *request)
{
    struct job_change_op *op = change_new(request, "job.delete", PERM_DEVELOP, delete_change);

    op->write = store_job_delete;
    if (if_match_read(op) == 0)
        change_start(op);
}

/* --- enable, disable, pause, resume -------------------------------------------------------------------- */

static int enabled_change(struct job_change_op *op, bool enabled, struct error *err)
{
    if (op->old->enabled == enabled) {
        op->job->version = op->old->version;
        return 0;
    }
    op->job->enabled = enabled;
    if (reposition(op, CAUSE_DISABLED, err))
        return -1;
    if (enabled && !op->job->schedule.manual && !op->job->next_fire_at)
        return error_set_at(err, ERR_CONFLICT, "schedule",
                            "this schedule never fires from now on; change it first");
    return 0;
}

static int enable_change(struct job_change_op *op, struct error *err)
{
    return enabled_change(op, true, err);
}

static int disable_change(struct job_change_op *op, struct error *err)
{
    return enabled_change(op, false, err);
}

void api_job_enable(struct request *request)
{
    change_start(change_new(request, "job.enable", PERM_OPERATE, enable_change));
}

void api_job_disable(struct request *request)
{
    change_start(change_new(request, "job.disable", PERM_OPERATE, disable_change));
}

static int pause_change(struct job_change_op *op, struct error *err)
{
    if (!op->old->enabled)
        return error_set(err, ERR_CONFLICT, "a disabled job cannot be paused");
    if (op->until <= op->now_ms)
        return error_set_at(err, ERR_INVALID, "until", "until must lie in the future");
    op->job->paused_until = op->until;
    return reposition(op, CAUSE_PAUSED, err);
}

struct pause_input {
    int64_t until;
};

static const struct json_member pause_members[] = {
    { .name = "until", .type = JSON_TIME, .offset = offsetof(struct pause_input, until),
      .flags = JSON_NULL_OK, .about = "end of the pause; absent: until it is resumed" },
    { 0 },
};
const struct json_table job_pause_table = { "JobPause", sizeof(struct pause_input),
                                            pause_members };

void api_job_pause(struct request *request)
{
    struct job_change_op *op = change_new(request, "job.pause", PERM_OPERATE, pause_change);
    struct pause_input input = { .until = 0 };

    if (request->http->body.size && request_read(request, &job_pause_table, &input))
        return;
    op->until = input.until ? input.until : PAUSE_FOR_EVER;
    change_start(op);
}

static int resume_change(struct job_change_op *op, struct error *err)
{
    if (!op->old->paused_at) {
        op->job->version = op->old->version;
        return 0;
    }
    op->job->paused_until = 0;
    return reposition(op, CAUSE_PAUSED, err);
}

void api_job_resume(struct request *request)
{
    change_start(change_new(request, "job.resume", PERM_OPERATE, resume_change));
}
