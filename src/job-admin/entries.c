#include "job-admin/admin.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

/* Compiled jobs at hand: made when a row is first due or has live runs, replaced when it changed. */

static int entry_compile(struct admin *admin, const struct job_row *row,
                         struct job_entry **ret_entry, struct error *err)
{
    struct arena *arena = arena_new();
    struct job *job = ARENA_NEW(arena, struct job);

    int rc = job_definition_read(job, row->definition, arena, err);
    if (rc == 0) {
        job->id = row->id;
        job->version = row->version;
        job->schedule_version = row->schedule_version;
        job->enabled = row->enabled;
        rc = job_entry_new(job, admin->zones, ret_entry, err);
    }
    arena_free(&arena);
    return rc;
}

/* What can change without a new version: where the job stands. */
static void entry_update(struct job_entry *entry, const struct job_row *row)
{
    entry->group_id = row->group_id;
    entry->job.enabled = row->enabled;
    entry->job.next_fire_at = row->next_fire_at;
    entry->job.paused_at = row->paused_at;
    entry->job.paused_until = row->paused_until;
}

struct job_entry *entry_take(struct admin *admin, const struct job_row *row)
{
    struct job_entry *old = map_get(&admin->jobs, row->id), *entry = NULL;
    struct error err;

    if (old && old->job.version > row->version)
        return old; /* the row was read before the change that we know */
    if (old && old->job.version == row->version) {
        entry_update(old, row);
        return old;
    }
    if (!row->definition)
        return NULL;
    if (entry_compile(admin, row, &entry, &err)) {
        LOG_ERROR("job row cannot be used, the job is left out", "job", log_int(row->id), "error",
                  error_english(&err));
        return NULL;
    }
    entry_update(entry, row);
    map_put(&admin->jobs, row->id, entry);
    if (old) {
        /* the scheduler still points into the old one */
        struct scheduler_event event = { .kind = EVENT_JOB, .job = { &entry->job } };
        engine_step(admin, &event);
        job_entry_free(&old);
    }
    return entry;
}

void entry_gone(struct admin *admin, int32_t job_id)
{
    struct scheduler_event event = { .kind = EVENT_JOB_GONE, .job_gone = { job_id } };

    engine_step(admin, &event);
    struct job_entry *entry = map_remove(&admin->jobs, job_id);
    if (entry)
        job_entry_free(&entry);
}

void entries_free(struct admin *admin)
{
    void *value;

    for (size_t i = 0; map_next(&admin->jobs, &i, &value);) {
        struct job_entry *entry = value;
        job_entry_free(&entry);
    }
    map_done(&admin->jobs);
}

/* --- new tzdata ----------------------------------------------------------------------------------------- */

/* A job whose zone has other rules now: where it stands is recomputed by the scheduler's next plan
 * only if its next fire was; so it is moved here, by the same compare-and-swap as every edit. */
struct zone_op {
    struct admin *admin;
    int32_t job_id, schedule_version;
    int64_t old_next, new_next;
};

static int zone_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct zone_op *op = ctx;

    return DB_EXEC(tx,
                   "UPDATE job SET next_fire_at = ? WHERE id = ? AND next_fire_at = ? AND "
                   "schedule_version = ?",
                   DB_ANY_ROWS, err,
                   op->new_next == SCHEDULE_NEVER ? DB_N() : DB_I(op->new_next), DB_I(op->job_id),
                   DB_I(op->old_next), DB_I(op->schedule_version));
}

static void zone_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct zone_op *op = ctx;

    if (outcome != DB_OK)
        LOG_WARN("next fire could not be moved after a change of time zone rules", "job",
                 log_int(op->job_id), "error", err ? error_english(err) : NULL);
    else
        engine_job_changed(op->admin, op->job_id);
    free(op);
}

static void entry_rezone(struct admin *admin, struct job_entry *entry)
{
    struct zone *zone = NULL;
    struct error err;

    if (!entry->zone || zone_set_find(admin->zones, zone_name(entry->zone), &zone, &err))
        return;
    if (zone == entry->zone) {
        zone_unref(&zone);
        return;
    }
    zone_unref(&entry->zone);
    entry->zone = zone;
    entry->schedule.zone = zone;
    int64_t now_ms = admin_now_ms(admin), next = schedule_next(&entry->schedule, now_ms);
    if (entry->job.next_fire_at <= now_ms || entry->job.next_fire_at == next ||
        entry->job.next_fire_at == SCHEDULE_NEVER)
        return;
    struct zone_op *op = memory_alloc(sizeof *op);
    *op = (struct zone_op){ admin, entry->job.id, entry->job.schedule_version,
                            entry->job.next_fire_at, next };
    db_submit(admin->node->db, DB_POOL_SCHEDULE, zone_fn, op, zone_done);
}

void entries_zone_check(struct admin *admin)
{
    void *value;

    if (!zone_set_reload(admin->zones))
        return;
    LOG_INFO("time zone rules have changed, next fires are computed again");
    for (size_t i = 0; map_next(&admin->jobs, &i, &value);)
        entry_rezone(admin, value);
}
