#include "job-admin/run-api.h"

#include "base/random.h"

#include <stdio.h>

/* Runs as rows, for people; the scheduler's own writes are in store-engine.c and store-move.c. */

#define RUN_VIEW_COLUMNS                                                                           \
    "SELECT run.id, run.job_id, run.group_id, run.job_version, run.schedule_version, "             \
    "run.attempt, run.token, run.priority, run.fire_key, run.state, run.origin, run.cause, "       \
    "run.fire_at, run.due_at, run.planned_at, run.ready_at, run.dispatched_at, run.started_at, "   \
    "run.ended_at, run.executor, run.incarnation, run.message, run.output, run.parameters, "       \
    "run.created_by, run.stop_by, run.stop_at, run.stop_cause, run.parent_run_id, "                \
    "run.exit_code, run.exit_signal, run.http_status, run.cpu_ms, run.memory_peak, "               \
    "run.log_bytes, run.log_dropped, run.address, job.name, job_group.name, run.start_at "         \
    "FROM run "                                                                                    \
    "LEFT JOIN job ON job.id = run.job_id LEFT JOIN job_group ON job_group.id = run.group_id "

static char *text_of(const struct db_result *result, int column)
{
    return (char *)(intptr_t)db_text(result, column);
}

void run_view_read(struct run_view *run, const struct db_result *result, struct arena *arena)
{
    (void)arena;
    *run = (struct run_view){
        .id = db_int(result, 0),
        .job_id = (int32_t)db_int(result, 1),
        .group_id = (int32_t)db_int(result, 2),
        .job_version = (int32_t)db_int(result, 3),
        .schedule_version = (int32_t)db_int(result, 4),
        .attempt = (int32_t)db_int(result, 5),
        .token = (int32_t)db_int(result, 6),
        .priority = (int32_t)db_int(result, 7),
        .fire_key = text_of(result, 8),
        .state_id = (enum run_state)db_int(result, 9),
        .origin_id = (enum cause)db_int(result, 10),
        .cause_id = (enum cause)db_int(result, 11),
        .fire_at = db_int(result, 12),
        .due_at = db_int(result, 13),
        .planned_at = db_int(result, 14),
        .ready_at = db_int(result, 15),
        .dispatched_at = db_int(result, 16),
        .started_at = db_int(result, 17),
        .ended_at = db_int(result, 18),
        .executor = text_of(result, 19),
        .incarnation = text_of(result, 20),
        .message = text_of(result, 21),
        .output = text_of(result, 22),
        .parameters = text_of(result, 23),
        .created_by = text_of(result, 24),
        .stop_by = text_of(result, 25),
        .stop_at = db_int(result, 26),
        .stop_cause = (enum cause)db_int(result, 27),
        .parent_run_id = db_int(result, 28),
        .exit_code = db_is_null(result, 29) ? -1 : db_int(result, 29),
        .exit_signal = db_int(result, 30),
        .http_status = db_int(result, 31),
        .cpu_ms = db_int(result, 32),
        .memory_peak = db_int(result, 33),
        .log_bytes = db_int(result, 34),
        .log_dropped = db_int(result, 35),
        .address = text_of(result, 36),
        .job = text_of(result, 37),
        .group = text_of(result, 38),
        .start_at = db_int(result, 39),
        .ahead = -1,
    };
}

/* --- list
 * ------------------------------------------------------------------------------------------------
 */

/* Two texts, so that each has the index that fits: a job's runs, or all by time. */
#define RUN_LIST_WHERE                                                                             \
    SQL_VISIBLE_RUN " AND (? = 1 OR job_group.name = ?) AND (? = 0 OR run.state = ?) AND "         \
                    "run.fire_at >= ? AND run.fire_at <= ? AND "                                   \
                    "(run.fire_at < ? OR (run.fire_at = ? AND run.id < ?)) "                       \
                    "ORDER BY run.fire_at DESC, run.id DESC LIMIT ?"
#define SQL_VISIBLE_RUN "(? = 1 OR run.group_id IN (" SQL_64 "))"

static const char list_all_sql[] = RUN_VIEW_COLUMNS "WHERE run.job_id > ? AND " RUN_LIST_WHERE;
static const char list_job_sql[] = RUN_VIEW_COLUMNS "WHERE run.job_id = ? AND " RUN_LIST_WHERE;

int store_run_list(struct db_tx *tx, void *ctx, struct error *err)
{
    struct run_list_op *op = ctx;
    struct db_value values[VISIBLE_VALUES + 12], *v = values;
    struct db_result *result;
    int64_t to = op->after && op->after_fire_at < op->to ? op->after_fire_at : op->to;

    *v++ = DB_I(op->job_id);
    visible_values(op->request, v);
    v += VISIBLE_VALUES;
    *v++ = DB_I(op->group ? 0 : 1);
    *v++ = DB_T(op->group ? op->group : "");
    *v++ = DB_I(op->state);
    *v++ = DB_I(op->state);
    *v++ = DB_I(op->from);
    *v++ = DB_I(to);
    *v++ = DB_I(op->after ? op->after_fire_at : INT64_MAX);
    *v++ = DB_I(op->after ? op->after_fire_at : INT64_MAX);
    *v++ = DB_I(op->after ? op->after_id : INT64_MAX);
    *v++ = DB_I(op->limit + 1);
    if (db_query(tx, op->arena, op->job_id ? list_job_sql : list_all_sql, values,
                 (size_t)(v - values), &result, err))
        return -1;
    op->runs = ARENA_ARRAY(op->arena, struct run_view, db_row_count(result) + 1);
    op->count = 0;
    while (db_next(result))
        run_view_read(&op->runs[op->count++], result, op->arena);
    return 0;
}

/* --- one run
 * ------------------------------------------------------------------------------------------------
 */

static void attempt_read(struct attempt_view *attempt, const struct db_result *result,
                         struct arena *arena)
{
    *attempt = (struct attempt_view){
        .attempt = (int32_t)db_int(result, 0),
        .state = arena_strdup(arena, run_state_name((enum run_state)db_int(result, 1))),
        .cause_id = (enum cause)db_int(result, 2),
        .executor = text_of(result, 3),
        .dispatched_at = db_int(result, 4),
        .started_at = db_int(result, 5),
        .ended_at = db_int(result, 6),
        .message = text_of(result, 7),
        .exit_code = db_is_null(result, 8) ? -1 : db_int(result, 8),
        .exit_signal = db_int(result, 9),
        .http_status = db_int(result, 10),
        .cpu_ms = db_int(result, 11),
        .memory_peak = db_int(result, 12),
        .log_bytes = db_int(result, 13),
        .log_dropped = db_int(result, 14),
    };
}

/* The attempt that the run's own row tells of. */
static void attempt_last(struct attempt_view *attempt, const struct run_view *run)
{
    *attempt = (struct attempt_view){
        .attempt = run->attempt,
        .executor = run->executor,
        .message = run->message,
        .dispatched_at = run->dispatched_at,
        .started_at = run->started_at,
        .ended_at = run->ended_at,
        .exit_code = run->exit_code,
        .exit_signal = run->exit_signal,
        .http_status = run->http_status,
        .cpu_ms = run->cpu_ms,
        .memory_peak = run->memory_peak,
        .log_bytes = run->log_bytes,
        .log_dropped = run->log_dropped,
    };
}

static int attempts_read(struct db_tx *tx, struct arena *arena, struct run_view *run,
                         struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, arena, &result, err,
                 "SELECT attempt, state, cause, executor, dispatched_at, started_at, ended_at, "
                 "message, exit_code, exit_signal, http_status, cpu_ms, memory_peak, log_bytes, "
                 "log_dropped FROM attempt WHERE run_id = ? AND day = ? ORDER BY attempt, token",
                 DB_I(run->id), DB_I(id_day(run->id))))
        return -1;
    run->attempts = ARENA_ARRAY(arena, struct attempt_view, db_row_count(result) + 1);
    while (db_next(result))
        attempt_read(&run->attempts[run->attempt_count++], result, arena);
    bool listed =
        run->attempt_count && run->attempts[run->attempt_count - 1].attempt == run->attempt;
    if (run->attempt > 0 && !listed)
        attempt_last(&run->attempts[run->attempt_count++], run);
    return 0;
}

static int notes_read(struct db_tx *tx, struct arena *arena, struct run_view *run,
                      struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, arena, &result, err,
                 "SELECT at, kind, note FROM run_note WHERE run_id = ? AND day = ? ORDER BY at",
                 DB_I(run->id), DB_I(id_day(run->id))))
        return -1;
    run->notes = ARENA_ARRAY(arena, struct note_view, db_row_count(result) + 1);
    while (db_next(result))
        run->notes[run->note_count++] = (struct note_view){ .at = db_int(result, 0),
                                                            .kind = text_of(result, 1),
                                                            .text = text_of(result, 2) };
    return 0;
}

/* A deleted job's name is in its newest version. */
static int name_of_deleted(struct db_tx *tx, struct arena *arena, struct run_view *run,
                           struct error *err)
{
    struct db_result *result;
    struct job job;

    if (run->job)
        return 0;
    if (DB_QUERY(
            tx, arena, &result, err,
            "SELECT definition FROM job_version WHERE job_id = ? ORDER BY version DESC LIMIT 1",
            DB_I(run->job_id)))
        return -1;
    if (db_next(result) && job_definition_read(&job, db_text(result, 0), arena, err) == 0)
        run->job = job.name;
    return 0;
}

static int run_found(struct db_tx *tx, struct arena *arena, struct db_result *result,
                     struct run_view *ret_run, struct error *err)
{
    if (!db_next(result))
        return 0;
    run_view_read(ret_run, result, arena);
    if (attempts_read(tx, arena, ret_run, err) || notes_read(tx, arena, ret_run, err) ||
        name_of_deleted(tx, arena, ret_run, err))
        return -1;
    return 1;
}

int store_run_find(struct db_tx *tx, struct arena *arena, int64_t id, struct run_view *ret_run,
                   struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, arena, &result, err, RUN_VIEW_COLUMNS "WHERE run.id = ? AND run.day = ?",
                 DB_I(id), DB_I(id_day(id))))
        return -1;
    return run_found(tx, arena, result, ret_run, err);
}

int store_run_at(struct db_tx *tx, struct arena *arena, int64_t job_id, int64_t fire_at,
                 struct run_view *ret_run, struct error *err)
{
    struct db_result *result;

    /* fire_key orders the scheduled fire ('') before those started otherwise */
    if (DB_QUERY(tx, arena, &result, err,
                 RUN_VIEW_COLUMNS "WHERE run.job_id = ? AND run.fire_at = ? AND run.day = ? "
                                  "ORDER BY run.fire_key LIMIT 1",
                 DB_I(job_id), DB_I(fire_at), DB_I(time_day(fire_at))))
        return -1;
    return run_found(tx, arena, result, ret_run, err);
}

/* --- runs by hand
 * --------------------------------------------------------------------------------------------- */

static int run_audit(struct db_tx *tx, const struct request *request, const char *action,
                     const struct run_view *run, const char *detail, struct arena *arena,
                     struct error *err)
{
    struct audit_entry entry = {
        .service = "job-admin",
        .actor = request->principal,
        .address = request->client_address,
        .action = action,
        .object = arena_printf(arena, "run/%lld", (long long)run->id),
        .group_id = run->group_id,
        .detail = detail,
    };

    return audit_write(tx, &entry, err);
}

static int operate_check(const struct request *request, int32_t group_id, struct error *err)
{
    if (!principal_may(request->principal, PERM_VIEW, group_id))
        return error_set(err, ERR_NOT_FOUND, "not found");
    if (!principal_may(request->principal, PERM_OPERATE, group_id))
        return error_set(err, ERR_FORBIDDEN, "the role operator is needed for this group");
    return 0;
}

static int run_insert(struct db_tx *tx, struct run_add_op *op, const struct job *job,
                      const char *fire_key, int64_t fire_at, enum cause origin, int64_t parent,
                      struct error *err)
{
    if (ids_take(tx, "run", fire_at, &op->run_id, err))
        return -1;
    if (DB_EXEC(
            tx,
            "INSERT INTO run (id, day, job_id, shard, group_id, fire_at, fire_key, state, live, "
            "attempt, token, lost_count, failed_count, job_version, schedule_version, priority, "
            "origin, cause, planned_at, parent_run_id, created_by, parameters) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0, 0, 0, 0, ?, ?, ?, 0, ?, ?, ?, ?)",
            1, err, DB_I(op->run_id), DB_I(id_day(op->run_id)), DB_I(job->id),
            DB_I(job->id % SHARD_COUNT), DB_I(job->group_id), DB_I(fire_at), DB_T(fire_key),
            DB_I(RUN_PLANNED), DB_I(job->schedule_version), DB_I(job->priority), DB_I(origin),
            DB_I(op->now_ms), parent ? DB_I(parent) : DB_N(), DB_T(op->request->principal->name),
            DB_T(op->parameters)))
        return -1;
    if (store_run_find(tx, op->arena, op->run_id, &op->run, err) != 1)
        return -1;
    if (run_audit(tx, op->request, origin == CAUSE_RERUN ? "run.rerun" : "job.run", &op->run,
                  op->parameters, op->arena, err))
        return -1;
    return store_mail_add(tx, job->id % SHARD_COUNT, MAIL_RUN, op->run_id, err);
}

/* 1: this request has made its run before. */
static int request_seen(struct db_tx *tx, struct run_add_op *op, struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, op->arena, &result, err,
                 "SELECT run_id FROM run_request WHERE job_id = ? AND request = ?",
                 DB_I(op->job_id), DB_T(op->request_id)))
        return -1;
    if (!db_next(result))
        return 0;
    op->run_id = db_int(result, 0);
    op->existed = true;
    return store_run_find(tx, op->arena, op->run_id, &op->run, err);
}

int store_run_trigger(struct db_tx *tx, void *ctx, struct error *err)
{
    struct run_add_op *op = ctx;
    char request[33];
    struct job job;

    op->existed = op->missing = false;
    int found = store_job_find(tx, op->arena, op->job_id, true, &job, err);
    if (found < 0)
        return -1;
    op->missing = found == 0;
    if (op->missing)
        return 0;
    if (operate_check(op->request, job.group_id, err))
        return -1;
    if (op->request_id) {
        int seen = request_seen(tx, op, err);
        if (seen != 0)
            return seen < 0 ? -1 : 0;
    }
    const char *key =
        arena_printf(op->arena, "manual:%s", op->request_id ? op->request_id : random_hex(request));
    if (run_insert(tx, op, &job, key, op->now_ms, CAUSE_MANUAL, 0, err))
        return -1;
    if (!op->request_id)
        return 0;
    return DB_EXEC(tx,
                   "INSERT INTO run_request (job_id, request, run_id, created_at) "
                   "VALUES (?, ?, ?, ?)",
                   1, err, DB_I(op->job_id), DB_T(op->request_id), DB_I(op->run_id),
                   DB_I(op->now_ms));
}

int store_run_rerun(struct db_tx *tx, void *ctx, struct error *err)
{
    struct run_add_op *op = ctx;
    struct run_view source;
    struct db_result *result;
    struct job job;

    int found = store_run_find(tx, op->arena, op->source_id, &source, err);
    if (found < 0)
        return -1;
    op->missing = found == 0;
    if (op->missing)
        return 0;
    if (operate_check(op->request, source.group_id, err))
        return -1;
    found = store_job_find(tx, op->arena, source.job_id, true, &job, err);
    if (found != 1)
        return found < 0 ? -1
                         : error_set(err, ERR_CONFLICT, "the job of this run has been deleted");
    if (DB_QUERY(tx, op->arena, &result, err,
                 "SELECT COUNT(*) FROM run WHERE job_id = ? AND fire_at = ? AND day = ? AND "
                 "parent_run_id = ?",
                 DB_I(job.id), DB_I(source.fire_at), DB_I(time_day(source.fire_at)),
                 DB_I(source.id)))
        return -1;
    int64_t count = db_next(result) ? db_int(result, 0) : 0;
    const char *key =
        arena_printf(op->arena, "rerun:%lld:%lld", (long long)source.id, (long long)count + 1);
    op->parameters = source.parameters;
    return run_insert(tx, op, &job, key, source.fire_at, CAUSE_RERUN, source.id, err);
}

int store_run_stop(struct db_tx *tx, void *ctx, struct error *err)
{
    struct run_stop_op *op = ctx;
    int found = store_run_find(tx, op->arena, op->run_id, &op->run, err);

    if (found < 0)
        return -1;
    op->missing = found == 0;
    if (op->missing)
        return 0;
    if (operate_check(op->request, op->run.group_id, err))
        return -1;
    if (run_state_terminal(op->run.state_id))
        return error_set(err, ERR_CONFLICT, "the run has ended already: %s",
                         run_state_name(op->run.state_id));
    if (DB_EXEC(tx,
                "UPDATE run SET stop_cause = ?, stop_by = ?, stop_at = ? WHERE id = ? AND day = ? "
                "AND live = 1 AND stop_cause IS NULL",
                DB_ANY_ROWS, err, DB_I(CAUSE_STOPPED), DB_T(op->request->principal->name),
                DB_I(op->now_ms), DB_I(op->run_id), DB_I(id_day(op->run_id))) ||
        DB_EXEC(tx, "INSERT INTO run_note (run_id, day, at, kind, note) VALUES (?, ?, ?, ?, ?)", 1,
                err, DB_I(op->run_id), DB_I(id_day(op->run_id)), DB_I(op->now_ms), DB_T("stop"),
                DB_T(op->reason ? op->reason : op->request->principal->name)) ||
        run_audit(tx, op->request, "run.stop", &op->run, NULL, op->arena, err))
        return -1;
    return store_mail_add(tx, op->run.job_id % SHARD_COUNT, MAIL_STOP, op->run_id, err);
}
