#include "job-admin/job-api.h"

/* Jobs as rows. */

#define JOB_COLUMNS                                                                               \
    "SELECT job.id, job.group_id, job.version, job.schedule_version, job.enabled, "               \
    "job.next_fire_at, job.paused_at, job.paused_until, job.disabled_at, job.created_at, "        \
    "job.updated_at, job.created_by, job.definition, job_group.name FROM job "                    \
    "JOIN job_group ON job_group.id = job.group_id "

int job_row_read(const struct db_result *result, struct arena *arena, struct job *ret_job,
                 struct error *err)
{
    struct job job = { 0 };

    if (job_definition_read(&job, db_text(result, 12), arena, err))
        return -1;
    job.id = (int32_t)db_int(result, 0);
    job.group_id = (int32_t)db_int(result, 1);
    job.version = (int32_t)db_int(result, 2);
    job.schedule_version = (int32_t)db_int(result, 3);
    job.enabled = db_int(result, 4) != 0;
    job.next_fire_at = db_int(result, 5);
    job.paused_at = db_int(result, 6);
    job.paused_until = db_int(result, 7);
    job.disabled_at = db_int(result, 8);
    job.created_at = db_int(result, 9);
    job.updated_at = db_int(result, 10);
    job.created_by = (char *)(intptr_t)db_text(result, 11);
    job.group = (char *)(intptr_t)db_text(result, 13);
    *ret_job = job;
    return 0;
}

int store_job_find(struct db_tx *tx, struct arena *arena, int64_t id, bool lock, struct job *ret_job,
                   struct error *err)
{
    struct db_result *result;
    const char *sql = lock && db_tx_backend(tx) != DB_SQLITE
                          ? JOB_COLUMNS "WHERE job.id = ? FOR UPDATE"
                          : JOB_COLUMNS "WHERE job.id = ?";

    if (db_query(tx, arena, sql, (struct db_value[]){ DB_I(id) }, 1, &result, err))
        return -1;
    if (!db_next(result))
        return 0;
    return job_row_read(result, arena, ret_job, err) ? -1 : 1;
}

int store_group_by_name(struct db_tx *tx, struct arena *arena, const char *name, int32_t *ret_id,
                        struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, arena, &result, err, "SELECT id FROM job_group WHERE name = ?", DB_T(name)))
        return -1;
    if (!db_next(result))
        return 0;
    *ret_id = (int32_t)db_int(result, 0);
    return 1;
}

void visible_values(const struct request *request, struct db_value values[VISIBLE_VALUES])
{
    const struct principal *principal = request->principal;
    size_t used = 1;

    values[0] = DB_I(principal_may(principal, PERM_VIEW, 0) ? 1 : 0);
    for (size_t i = 0; i < principal->grant_count && used < VISIBLE_VALUES; i++)
        if (role_may((enum role)principal->grants[i].role, PERM_VIEW))
            values[used++] = DB_I(principal->grants[i].group_id);
    while (used < VISIBLE_VALUES)
        values[used++] = DB_I(-1);
}

/* --- list ------------------------------------------------------------------------------------------------ */

enum { LIST_VALUES = VISIBLE_VALUES + 16 };

static struct db_value *filter_text(struct db_value *v, const char *text)
{
    *v++ = DB_I(text ? 0 : 1);
    *v++ = DB_T(text ? text : "");
    return v;
}

int store_job_list(struct db_tx *tx, void *ctx, struct error *err)
{
    struct job_list_op *op = ctx;
    struct db_value values[LIST_VALUES], *v = values + VISIBLE_VALUES;
    struct db_result *result;

    visible_values(op->request, values);
    v = filter_text(v, op->group);
    v = filter_text(v, op->name);
    v = filter_text(v, op->owner);
    v = filter_text(v, op->tag);
    v = filter_text(v, op->search_pattern);
    *v++ = DB_I(op->enabled < 0 ? 1 : 0);
    *v++ = DB_I(op->enabled);
    *v++ = DB_I(op->after_id);
    *v++ = DB_I(op->limit + 1);
    if (db_query(tx, op->arena,
                 JOB_COLUMNS
                 "WHERE " SQL_VISIBLE " AND (? = 1 OR job_group.name = ?) AND "
                 "(? = 1 OR job.name = ?) AND (? = 1 OR job.owner = ?) AND "
                 "(? = 1 OR job.id IN (SELECT job_id FROM job_tag WHERE tag = ?)) AND "
                 "(? = 1 OR job.name LIKE ? ESCAPE '!') AND (? = 1 OR job.enabled = ?) AND "
                 "job.id > ? ORDER BY job.id LIMIT ?",
                 values, (size_t)(v - values), &result, err))
        return -1;
    op->jobs = ARENA_ARRAY(op->arena, struct job, db_row_count(result) + 1);
    op->count = 0;
    while (db_next(result))
        if (job_row_read(result, op->arena, &op->jobs[op->count++], err))
            return -1;
    return 0;
}

/* --- writes ------------------------------------------------------------------------------------------------ */

static int tags_write(struct db_tx *tx, const struct job *job, struct error *err)
{
    if (DB_EXEC(tx, "DELETE FROM job_tag WHERE job_id = ?", DB_ANY_ROWS, err, DB_I(job->id)))
        return -1;
    for (size_t i = 0; i < job->tag_count; i++)
        if (DB_EXEC(tx, "INSERT INTO job_tag (job_id, tag) VALUES (?, ?)", 1, err, DB_I(job->id),
                    DB_T(job->tags[i])))
            return -1;
    return 0;
}

static int version_write(struct db_tx *tx, const struct job *job, const char *definition,
                         const char *by, struct error *err)
{
    return DB_EXEC(tx,
                   "INSERT INTO job_version (job_id, version, schedule_version, definition, "
                   "valid_from, changed_by) VALUES (?, ?, ?, ?, ?, ?)",
                   1, err, DB_I(job->id), DB_I(job->version), DB_I(job->schedule_version),
                   DB_T(definition), DB_I(job->updated_at), DB_T(by));
}

static struct db_value time_or_null(int64_t time_ms)
{
    return time_ms && time_ms != SCHEDULE_NEVER ? DB_I(time_ms) : DB_N();
}

static int name_free_check(struct db_tx *tx, struct arena *arena, const struct job *job,
                           struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, arena, &result, err,
                 "SELECT id FROM job WHERE group_id = ? AND name = ? AND id <> ?",
                 DB_I(job->group_id), DB_T(job->name), DB_I(job->id)))
        return -1;
    return db_next(result) ? error_set_at(err, ERR_CONFLICT, "name",
                                          "a job named %s exists in group %s", job->name, job->group)
                           : 0;
}

/* The group named in the job must exist and be one where the caller may develop. */
static int group_check(struct db_tx *tx, struct arena *arena, const struct principal *principal,
                       struct job *job, struct error *err)
{
    int found = store_group_by_name(tx, arena, job->group, &job->group_id, err);

    if (found < 0)
        return -1;
    if (found == 0 || !principal_may(principal, PERM_VIEW, job->group_id))
        return error_set_at(err, ERR_INVALID, "group", "no group %s that you may use", job->group);
    if (!principal_may(principal, PERM_DEVELOP, job->group_id))
        return error_set_at(err, ERR_FORBIDDEN, "group",
                            "you may not change jobs of group %s: the role developer is needed",
                            job->group);
    return 0;
}

static int job_audit(struct db_tx *tx, const struct request *request, const char *action,
                     const struct job *job, const char *detail, struct arena *arena,
                     struct error *err)
{
    struct audit_entry entry = {
        .service = "job-admin",
        .actor = request->principal,
        .address = request->client_address,
        .action = action,
        .object = arena_printf(arena, "job/%d", job->id),
        .group_id = job->group_id,
        .detail = detail,
    };

    return audit_write(tx, &entry, err);
}

int store_job_create(struct db_tx *tx, void *ctx, struct error *err)
{
    struct job_create_op *op = ctx;
    struct job *job = op->job;

    if (group_check(tx, op->arena, op->request->principal, job, err) ||
        name_free_check(tx, op->arena, job, err) ||
        DB_EXEC(tx,
                "INSERT INTO job (id, group_id, name, shard, enabled, version, schedule_version, "
                "definition, owner, next_fire_at, disabled_at, created_at, updated_at, created_by) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                1, err, DB_I(job->id), DB_I(job->group_id), DB_T(job->name),
                DB_I(job->id % SHARD_COUNT), DB_I(job->enabled), DB_I(job->version),
                DB_I(job->schedule_version), DB_T(op->definition), DB_T(job->owner),
                time_or_null(job->next_fire_at), time_or_null(job->disabled_at),
                DB_I(job->created_at), DB_I(job->updated_at), DB_T(job->created_by)))
        return -1;
    if (version_write(tx, job, op->definition, job->created_by, err) || tags_write(tx, job, err) ||
        job_audit(tx, op->request, "job.create", job, op->definition, op->arena, err))
        return -1;
    return store_mail_add(tx, job->id % SHARD_COUNT, MAIL_JOB, job->id, err);
}

/* PLANNED rows that lie in the future: under the changed job they are decided anew, or not at all. */
static int planned_remove(struct db_tx *tx, const struct job *job, int64_t now_ms, struct error *err)
{
    return DB_EXEC(tx,
                   "DELETE FROM run WHERE job_id = ? AND fire_at > ? AND day >= ? AND fire_key = '' "
                   "AND state = 1",
                   DB_ANY_ROWS, err, DB_I(job->id), DB_I(now_ms), DB_I(time_day(now_ms)));
}

static int gaps_write(struct db_tx *tx, const struct job_change_op *op, struct error *err)
{
    for (size_t i = 0; i < op->gap_count; i++)
        if (DB_EXEC(tx,
                    "INSERT INTO fire_gap (job_id, from_at, to_at, fires, cause, schedule_version, "
                    "created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    1, err, DB_I(op->job->id), DB_I(op->gaps[i].from_ms), DB_I(op->gaps[i].to_ms),
                    DB_I(op->gaps[i].count), DB_I(op->gaps[i].cause),
                    DB_I(op->old->schedule_version), DB_I(op->now_ms)))
            return -1;
    return 0;
}

/* Names the row as it was read: version, and next_fire_at, which the scheduler moves. 0 rows: read
 * it again. */
int store_job_change(struct db_tx *tx, void *ctx, struct error *err)
{
    struct job_change_op *op = ctx;
    struct job *job = op->job;
    int64_t rows;

    if (op->check_group && (group_check(tx, op->arena, op->request->principal, job, err) ||
                            name_free_check(tx, op->arena, job, err)))
        return -1;
    struct db_value values[] = {
        DB_I(job->group_id), DB_T(job->name), DB_I(job->enabled), DB_I(job->version),
        DB_I(job->schedule_version), DB_T(op->definition), DB_T(job->owner),
        time_or_null(job->next_fire_at), time_or_null(job->paused_at),
        time_or_null(job->paused_until), time_or_null(job->disabled_at), DB_I(job->updated_at),
        DB_I(job->id), DB_I(op->old->version), DB_I(op->old->next_fire_at),
    };
    if (db_exec(tx,
                "UPDATE job SET group_id = ?, name = ?, enabled = ?, version = ?, "
                "schedule_version = ?, definition = ?, owner = ?, next_fire_at = ?, paused_at = ?, "
                "paused_until = ?, disabled_at = ?, updated_at = ? WHERE id = ? AND version = ? AND "
                "COALESCE(next_fire_at, 0) = ?",
                values, sizeof values / sizeof *values, DB_ANY_ROWS, &rows, err))
        return -1;
    op->stale = rows == 0;
    if (op->stale)
        return 0;
    if ((op->remove_planned && planned_remove(tx, job, op->now_ms, err)) ||
        gaps_write(tx, op, err) ||
        version_write(tx, job, op->definition, op->request->principal->name, err) ||
        tags_write(tx, job, err) ||
        job_audit(tx, op->request, op->action, job, op->detail, op->arena, err))
        return -1;
    return store_mail_add(tx, job->id % SHARD_COUNT, MAIL_JOB, job->id, err);
}

int store_job_delete(struct db_tx *tx, void *ctx, struct error *err)
{
    struct job_change_op *op = ctx;
    const struct job *job = op->old;
    struct db_result *result;
    int64_t rows;
    struct db_value values[] = { DB_I(job->id), DB_I(job->version) };

    if (db_exec(tx, "DELETE FROM job WHERE id = ? AND version = ?", values, 2, DB_ANY_ROWS, &rows,
                err))
        return -1;
    op->stale = rows == 0;
    if (op->stale)
        return 0;
    if (DB_EXEC(tx, "DELETE FROM job_tag WHERE job_id = ?", DB_ANY_ROWS, err, DB_I(job->id)) ||
        planned_remove(tx, job, op->now_ms, err) || gaps_write(tx, op, err) ||
        DB_QUERY(tx, op->arena, &result, err,
                 "SELECT id FROM run WHERE live = 1 AND shard = ? AND job_id = ?",
                 DB_I(job->id % SHARD_COUNT), DB_I(job->id)))
        return -1;
    op->live_runs = ARENA_ARRAY(op->arena, int64_t, db_row_count(result) + 1);
    op->live_count = 0;
    while (db_next(result)) {
        int64_t id = db_int(result, 0);
        op->live_runs[op->live_count++] = id;
        if (DB_EXEC(tx,
                    "UPDATE run SET stop_cause = ?, stop_by = ?, stop_at = ? WHERE id = ? AND "
                    "day = ? AND live = 1",
                    DB_ANY_ROWS, err, DB_I(CAUSE_DELETED), DB_T(op->request->principal->name),
                    DB_I(op->now_ms), DB_I(id), DB_I(id_day(id))) ||
            store_mail_add(tx, job->id % SHARD_COUNT, MAIL_STOP, id, err))
            return -1;
    }
    return job_audit(tx, op->request, "job.delete", job, NULL, op->arena, err);
}
