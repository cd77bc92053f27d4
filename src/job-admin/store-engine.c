#include "job-admin/admin.h"

#include "base/memory.h"
#include "scheduler/lease.h"

#include <stdio.h>

/*
 * The scheduler's transactions. Each runs on a worker thread and may run again: it sets its results
 * anew each time and touches nothing but its op.
 */

struct engine_op *engine_op_new(struct admin *admin, const struct action *action)
{
    struct arena *arena = arena_new();
    struct engine_op *op = ARENA_NEW(arena, struct engine_op);

    op->admin = admin;
    op->arena = arena;
    list_init(&op->link);
    if (action) {
        op->action = arena_copy(arena, action, sizeof *action);
        op->answer.reference = action->reference;
    }
    return op;
}

void engine_op_free(struct engine_op **op)
{
    struct arena *arena = (*op)->arena;

    *op = NULL;
    arena_free(&arena);
}

/* --- shards as 64 parameters: absent ones are -1 --------------------------------------------------- */




static void shard_values(uint64_t shards, struct db_value values[SHARD_COUNT])
{
    for (int i = 0; i < SHARD_COUNT; i++)
        values[i] = DB_I(shards >> i & 1 ? i : -1);
}

/* Texts of fixed arrays: never longer than the column that they came from. */
static void name_copy(char *target, size_t size, const char *text)
{
    snprintf(target, size, "%s", text ? text : "");
}

/* --- leases ----------------------------------------------------------------------------------------- */

static int lease_rows_make(struct db_tx *tx, struct error *err)
{
    struct db_value values[SHARD_COUNT * 5];

    for (int i = 0; i < SHARD_COUNT; i++) {
        struct db_value *row = values + 5 * i;
        row[0] = DB_I(i);
        row[1] = row[2] = DB_T("");
        row[3] = row[4] = DB_I(0);
    }
    return db_insert_new(tx, "shard_lease", "shard, owner, incarnation, epoch, expires_at", values,
                         5, SHARD_COUNT, NULL, err);
}

static int lease_rows_read(struct db_tx *tx, struct engine_op *op,
                           struct lease_row rows[SHARD_COUNT], size_t *ret_count, struct error *err)
{
    struct db_result *result;
    const char *sql =
        db_tx_backend(tx) == DB_SQLITE
            ? "SELECT shard, owner, incarnation, epoch, expires_at FROM shard_lease ORDER BY shard"
            : "SELECT shard, owner, incarnation, epoch, expires_at FROM shard_lease ORDER BY shard "
              "FOR UPDATE";

    if (db_query(tx, op->arena, sql, NULL, 0, &result, err))
        return -1;
    *ret_count = db_row_count(result);
    while (db_next(result)) {
        int64_t shard = db_int(result, 0);
        if (shard < 0 || shard >= SHARD_COUNT)
            return error_set(err, ERR_INTERNAL, "shard_lease has a row for shard %lld",
                             (long long)shard);
        struct lease_row *row = &rows[shard];
        row->shard = (int32_t)shard;
        name_copy(row->owner, sizeof row->owner, db_text(result, 1));
        name_copy(row->incarnation, sizeof row->incarnation, db_text(result, 2));
        row->epoch = db_int(result, 3);
        row->expires_at = db_int(result, 4);
    }
    return 0;
}

/* Writes that we live and reads who else does. */
static int peers_read(struct db_tx *tx, struct engine_op *op, int64_t now_ms,
                      struct lease_peers *ret_peers, struct error *err)
{
    struct db_result *result;

    if (DB_EXEC(tx, "DELETE FROM admin_peer WHERE incarnation = ? OR expires_at < ?", DB_ANY_ROWS,
                err, DB_T(op->incarnation), DB_I(now_ms)) ||
        DB_EXEC(tx, "INSERT INTO admin_peer (incarnation, name, expires_at) VALUES (?, ?, ?)", 1,
                err, DB_T(op->incarnation), DB_T(op->owner), DB_I(now_ms + op->lease_ms)) ||
        db_query(tx, op->arena, "SELECT incarnation FROM admin_peer ORDER BY incarnation", NULL, 0,
                 &result, err))
        return -1;
    *ret_peers = (struct lease_peers){ 0 };
    for (; db_next(result); ret_peers->count++)
        if (strcmp(db_text(result, 0), op->incarnation) == 0)
            ret_peers->rank = ret_peers->count;
    return 0;
}

static int lease_rows_write(struct db_tx *tx, const struct lease_row rows[SHARD_COUNT],
                            const int64_t old_epochs[SHARD_COUNT],
                            const bool changed[SHARD_COUNT], struct error *err)
{
    struct db_value values[SHARD_COUNT * 6];
    size_t count = 0;

    for (int i = 0; i < SHARD_COUNT; i++) {
        if (!changed[i])
            continue;
        struct db_value *row = values + 6 * count++;
        row[0] = DB_T(rows[i].owner);
        row[1] = DB_T(rows[i].incarnation);
        row[2] = DB_I(rows[i].epoch);
        row[3] = DB_I(rows[i].expires_at);
        row[4] = DB_I(i);
        row[5] = DB_I(old_epochs[i]);
    }
    return count == 0 ? 0
                      : db_exec_many(tx,
                                     "UPDATE shard_lease SET owner = ?, incarnation = ?, epoch = ?, "
                                     "expires_at = ? WHERE shard = ? AND epoch = ?",
                                     values, 6, count, NULL, err);
}

int store_lease(struct db_tx *tx, void *ctx, struct error *err)
{
    struct engine_op *op = ctx;
    struct lease_answer *answer = &op->answer.lease;
    struct lease_row rows[SHARD_COUNT] = { 0 };
    int64_t old_epochs[SHARD_COUNT];
    bool changed[SHARD_COUNT] = { 0 };
    struct lease_peers peers;
    size_t count;

    if (lease_rows_read(tx, op, rows, &count, err))
        return -1;
    if (count < SHARD_COUNT &&
        (lease_rows_make(tx, err) || lease_rows_read(tx, op, rows, &count, err)))
        return -1;
    if (count != SHARD_COUNT)
        return error_set(err, ERR_INTERNAL, "shard_lease has %zu rows, not 64", count);
    int64_t now_ms = db_now_ms(tx);
    if (peers_read(tx, op, now_ms, &peers, err))
        return -1;
    for (int i = 0; i < SHARD_COUNT; i++)
        old_epochs[i] = rows[i].epoch;
    answer->owned = lease_plan(rows, op->owner, op->incarnation, &peers, now_ms, op->lease_ms,
                               changed);
    for (int i = 0; i < SHARD_COUNT; i++)
        answer->epochs[i] = answer->owned >> i & 1 ? rows[i].epoch : 0;
    return lease_rows_write(tx, rows, old_epochs, changed, err);
}

/*
 * Whether the shards' epochs are still ours, and stay so until this transaction ends: the rows are
 * locked against a change of owner, not against each other. What makes a decision single is the
 * unique key and the compare-and-swap; the epoch keeps a node that has lost its shard from judging
 * overlap with old knowledge.
 */
static const char *epochs_sql(enum db_backend backend)
{
    if (backend == DB_POSTGRES)
        return "SELECT shard, epoch FROM shard_lease WHERE incarnation = ? FOR SHARE";
    /* MySQL 8 and MariaDB share this form, not the other */
    return "SELECT shard, epoch FROM shard_lease WHERE incarnation = ? LOCK IN SHARE MODE";
}

int store_epochs(struct db_tx *tx, struct engine_op *op, int64_t epochs[SHARD_COUNT],
                 struct error *err)
{
    struct db_result *result;

    memset(epochs, 0, SHARD_COUNT * sizeof *epochs);
    if (!op->admin->leases)
        return 0;
    struct db_value incarnation = DB_T(op->incarnation);
    if (db_query(tx, op->arena, epochs_sql(db_tx_backend(tx)), &incarnation, 1, &result, err))
        return -1;
    for (int i = 0; i < SHARD_COUNT; i++)
        epochs[i] = -1;
    while (db_next(result))
        if (db_int(result, 0) >= 0 && db_int(result, 0) < SHARD_COUNT)
            epochs[db_int(result, 0)] = db_int(result, 1);
    return 0;
}

/* --- scan --------------------------------------------------------------------------------------------- */

static void job_row_fill(struct job_row *row, const struct db_result *result)
{
    *row = (struct job_row){
        .id = (int32_t)db_int(result, 0),
        .group_id = (int32_t)db_int(result, 1),
        .shard = (int32_t)db_int(result, 2),
        .version = (int32_t)db_int(result, 3),
        .schedule_version = (int32_t)db_int(result, 4),
        .enabled = db_int(result, 5) != 0,
        .next_fire_at = db_is_null(result, 6) ? SCHEDULE_NEVER : db_int(result, 6),
        .paused_at = db_int(result, 7),
        .paused_until = db_int(result, 8),
    };
}

int store_scan(struct db_tx *tx, void *ctx, struct error *err)
{
    struct engine_op *op = ctx;
    const struct action *a = op->action;
    struct db_value values[SHARD_COUNT + 2];
    struct db_result *result;

    shard_values(a->scan.shards, values);
    values[SHARD_COUNT] = DB_I(a->scan.horizon_ms);
    values[SHARD_COUNT + 1] = DB_I(a->scan.limit);
    if (db_query(tx, op->arena,
                 "SELECT id, group_id, shard, version, schedule_version, enabled, next_fire_at, "
                 "paused_at, paused_until FROM job WHERE shard IN (" SQL_64
                 ") AND next_fire_at <= ? ORDER BY next_fire_at, id LIMIT ?",
                 values, SHARD_COUNT + 2, &result, err))
        return -1;
    op->rows = ARENA_ARRAY(op->arena, struct job_row, db_row_count(result));
    op->row_count = 0;
    while (db_next(result))
        job_row_fill(&op->rows[op->row_count++], result);
    op->answer.due.more = op->row_count >= a->scan.limit;
    return 0;
}

/* --- jobs by id, with their definitions --------------------------------------------------------------- */

static int job_read(struct db_tx *tx, struct engine_op *op, struct job_row *row, struct error *err)
{
    struct db_result *result;
    int32_t id = row->id;

    if (DB_QUERY(tx, op->arena, &result, err,
                 "SELECT id, group_id, shard, version, schedule_version, enabled, next_fire_at, "
                 "paused_at, paused_until, definition FROM job WHERE id = ?",
                 DB_I(id)))
        return -1;
    if (db_next(result)) {
        job_row_fill(row, result);
        row->definition = db_text(result, 9);
        return 0;
    }
    /* deleted: its runs still need the policies that it had */
    if (DB_QUERY(tx, op->arena, &result, err,
                 "SELECT version, schedule_version, definition FROM job_version WHERE job_id = ? "
                 "ORDER BY version DESC LIMIT 1",
                 DB_I(id)))
        return -1;
    *row = (struct job_row){ .id = id, .shard = id % SHARD_COUNT, .gone = true,
                             .next_fire_at = SCHEDULE_NEVER };
    if (db_next(result)) {
        row->version = (int32_t)db_int(result, 0);
        row->schedule_version = (int32_t)db_int(result, 1);
        row->definition = db_text(result, 2);
    }
    return 0;
}

int store_jobs(struct db_tx *tx, void *ctx, struct error *err)
{
    struct engine_op *op = ctx;

    for (size_t i = 0; i < op->row_count; i++)
        if (job_read(tx, op, &op->rows[i], err))
            return -1;
    return 0;
}

/* --- load --------------------------------------------------------------------------------------------- */

#define RUN_COLUMNS                                                                            \
    "SELECT id, job_id, shard, state, attempt, token, lost_count, failed_count, job_version, " \
    "priority, fire_at, fire_key, due_at, executor, incarnation, stop_cause, parameters FROM run "

static void run_fill(struct scheduler_run *run, const struct db_result *result)
{
    const char *fire_key = db_text(result, 11);

    *run = (struct scheduler_run){
        .id = db_int(result, 0),
        .job_id = (int32_t)db_int(result, 1),
        .shard = (int32_t)db_int(result, 2),
        .state = (enum run_state)db_int(result, 3),
        .attempt = (int32_t)db_int(result, 4),
        .token = (int32_t)db_int(result, 5),
        .lost_count = (int32_t)db_int(result, 6),
        .failed_count = (int32_t)db_int(result, 7),
        .job_version = (int32_t)db_int(result, 8),
        .priority = (int32_t)db_int(result, 9),
        .fire_at = db_int(result, 10),
        .scheduled = !fire_key || !fire_key[0],
        .due_at = db_int(result, 12),
        .stop_requested = db_int(result, 15) != 0,
        .stop_cause = (enum cause)db_int(result, 15),
    };
    name_copy(run->executor, sizeof run->executor, db_text(result, 13));
    name_copy(run->incarnation, sizeof run->incarnation, db_text(result, 14));
}

static void runs_fill(struct engine_op *op, struct db_result *result, struct scheduler_run *runs,
                      size_t *count)
{
    while (db_next(result)) {
        run_fill(&runs[*count], result);
        op->run_parameters[(*count)++] = (char *)(intptr_t)db_text(result, 16);
    }
}

static int load_shards(struct db_tx *tx, struct engine_op *op, struct scheduler_run **ret_runs,
                       size_t *ret_count, struct error *err)
{
    struct db_value values[SHARD_COUNT];
    struct db_result *result;

    shard_values(op->action->load.shards, values);
    if (db_query(tx, op->arena, RUN_COLUMNS "WHERE live = 1 AND shard IN (" SQL_64 ") ORDER BY id",
                 values, SHARD_COUNT, &result, err))
        return -1;
    *ret_runs = ARENA_ARRAY(op->arena, struct scheduler_run, db_row_count(result) + 1);
    op->run_parameters = ARENA_ARRAY(op->arena, char *, db_row_count(result) + 1);
    *ret_count = 0;
    runs_fill(op, result, *ret_runs, ret_count);
    return 0;
}

/* On servers a change of the row may still be under way (its outcome was lost): wait for its end. */
static const char *load_id_sql(enum db_backend backend)
{
    return backend == DB_SQLITE ? RUN_COLUMNS "WHERE id = ? AND day = ?"
                                : RUN_COLUMNS "WHERE id = ? AND day = ? FOR UPDATE";
}

static int load_ids(struct db_tx *tx, struct engine_op *op, struct scheduler_run **ret_runs,
                    size_t *ret_count, struct error *err)
{
    const struct action *a = op->action;
    struct db_result *result;

    *ret_runs = ARENA_ARRAY(op->arena, struct scheduler_run, a->load.id_count + 1);
    op->run_parameters = ARENA_ARRAY(op->arena, char *, a->load.id_count + 1);
    *ret_count = 0;
    for (size_t i = 0; i < a->load.id_count; i++) {
        int64_t id = a->load.ids[i];
        struct db_value values[] = { DB_I(id), DB_I(id_day(id)) };
        if (db_query(tx, op->arena, load_id_sql(db_tx_backend(tx)), values, 2, &result, err))
            return -1;
        runs_fill(op, result, *ret_runs, ret_count);
    }
    return 0;
}

int store_load(struct db_tx *tx, void *ctx, struct error *err)
{
    struct engine_op *op = ctx;
    struct scheduler_run *runs;
    size_t count;

    if (op->action->load.shards ? load_shards(tx, op, &runs, &count, err)
                                : load_ids(tx, op, &runs, &count, err))
        return -1;
    op->answer.runs.runs = runs;
    op->answer.runs.count = count;
    op->answer.runs.shards = op->action->load.shards;
    /* the jobs that these runs belong to, each once */
    struct map seen;
    map_init(&seen);
    op->rows = ARENA_ARRAY(op->arena, struct job_row, count + 1);
    op->row_count = 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (map_put(&seen, runs[i].job_id, &runs[i]))
            continue;
        op->rows[op->row_count].id = runs[i].job_id;
        rc = job_read(tx, op, &op->rows[op->row_count++], err);
    }
    map_done(&seen);
    return rc;
}

/* --- plan --------------------------------------------------------------------------------------------- */

/* Advances next_fire_at by compare-and-swap; taken[i] tells which jobs were still as the scheduler
 * knew them. */
static int plan_advance(struct db_tx *tx, struct engine_op *op, const int64_t epochs[SHARD_COUNT],
                        int64_t *taken, struct error *err)
{
    const struct action *a = op->action;
    struct db_value *values = ARENA_ARRAY(op->arena, struct db_value, a->plan.count * 6);

    for (size_t i = 0; i < a->plan.count; i++) {
        const struct plan_item *item = &a->plan.items[i];
        struct db_value *row = values + 6 * i;
        /* a shard that is no longer ours must not match: no job has schedule_version -1 */
        bool ours = epochs[item->shard] == item->epoch;
        row[0] = item->new_next_fire_at == SCHEDULE_NEVER ? DB_N() : DB_I(item->new_next_fire_at);
        row[1] = row[2] = DB_I(item->clear_pause ? 1 : 0);
        row[3] = DB_I(item->job_id);
        row[4] = DB_I(item->next_fire_at);
        row[5] = DB_I(ours ? item->schedule_version : -1);
    }
    return db_exec_many(tx,
                        "UPDATE job SET next_fire_at = ?, paused_at = CASE WHEN ? = 1 THEN NULL ELSE "
                        "paused_at END, paused_until = CASE WHEN ? = 1 THEN NULL ELSE paused_until "
                        "END WHERE id = ? AND COALESCE(next_fire_at, 9223372036854775807) = ? "
                        "AND schedule_version = ? "
                        "AND enabled = 1",
                        values, 6, a->plan.count, taken, err);
}

enum { PLAN_COLUMNS = 22 };

static void plan_run_values(struct db_value *row, const struct engine_op *op,
                            const struct plan_item *item, const struct plan_run *run, int64_t id,
                            int32_t group_id, int32_t priority)
{
    bool terminal = run_state_terminal(run->state);

    row[0] = DB_I(id);
    row[1] = DB_I(id_day(id));
    row[2] = DB_I(item->job_id);
    row[3] = DB_I(item->shard);
    row[4] = DB_I(group_id);
    row[5] = DB_I(run->fire_at);
    row[6] = DB_T("");
    row[7] = DB_I(run->state);
    row[8] = terminal ? DB_N() : DB_I(1);
    row[9] = row[10] = row[11] = row[12] = row[13] = DB_I(0);
    row[14] = DB_I(item->schedule_version);
    row[15] = DB_I(priority);
    row[16] = DB_I(terminal ? CAUSE_SCHEDULE : run->cause);
    row[17] = DB_I(terminal ? run->cause : CAUSE_NONE);
    row[18] = DB_I(op->now_ms);
    row[19] = terminal ? DB_I(op->now_ms) : DB_N();
    row[20] = row[21] = run->start_at ? DB_I(run->start_at) : DB_N();
}

/* A fire that was decided before (unique key) keeps its row: the scheduler gets that row's id. */
static int plan_existing(struct db_tx *tx, struct engine_op *op, const struct plan_item *item,
                         const struct plan_run *run, int64_t *ret_id, struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, op->arena, &result, err,
                 "SELECT id FROM run WHERE job_id = ? AND fire_at = ? AND fire_key = '' AND day = ?",
                 DB_I(item->job_id), DB_I(run->fire_at), DB_I(time_day(run->fire_at))))
        return -1;
    if (!db_next(result))
        return error_set(err, ERR_INTERNAL, "run of job %d neither new nor there", item->job_id);
    *ret_id = db_int(result, 0);
    return 0;
}

static int plan_insert(struct db_tx *tx, struct engine_op *op, const int64_t *taken,
                       struct plan_answer *answers, struct error *err)
{
    const struct action *a = op->action;
    size_t total = 0, count = 0, next = 0;

    for (size_t i = 0; i < a->plan.count; i++)
        total += a->plan.items[i].run_count;
    struct db_value *values = ARENA_ARRAY(op->arena, struct db_value, total * PLAN_COLUMNS + 1);
    bool *inserted = ARENA_ARRAY(op->arena, bool, total + 1);
    for (size_t i = 0; i < a->plan.count; i++) {
        const struct plan_item *item = &a->plan.items[i];
        int64_t *ids = ARENA_ARRAY(op->arena, int64_t, item->run_count + 1);
        for (size_t k = 0; k < item->run_count; k++) {
            ids[k] = op->run_ids[next++];
            if (taken[i] == 1)
                plan_run_values(values + PLAN_COLUMNS * count++, op, item, &item->runs[k], ids[k],
                                op->jobs[i]->group_id,
                                op->jobs[i]->job.priority);
        }
        answers[i] = (struct plan_answer){
            .answer = taken[i] == 1 ? STORE_OK : STORE_CONFLICT, .run_ids = ids
        };
    }
    if (count && db_insert_new(tx, "run",
                               "id, day, job_id, shard, group_id, fire_at, fire_key, state, live, "
                               "attempt, token, lost_count, failed_count, job_version, "
                               "schedule_version, priority, origin, cause, planned_at, ended_at, "
                               "start_at, due_at",
                               values, PLAN_COLUMNS, count, inserted, err))
        return -1;
    for (size_t i = 0, n = 0; i < a->plan.count; i++) {
        const struct plan_item *item = &a->plan.items[i];
        for (size_t k = 0; k < item->run_count && taken[i] == 1; k++, n++) {
            int64_t *id = (int64_t *)(intptr_t)&answers[i].run_ids[k];
            if (!inserted[n] && plan_existing(tx, op, item, &item->runs[k], id, err))
                return -1;
        }
    }
    return 0;
}

static int plan_gaps(struct db_tx *tx, struct engine_op *op, const int64_t *taken,
                     struct error *err)
{
    const struct action *a = op->action;
    size_t total = 0, count = 0;

    for (size_t i = 0; i < a->plan.count; i++)
        total += taken[i] == 1 ? a->plan.items[i].gap_count : 0;
    if (total == 0)
        return 0;
    struct db_value *values = ARENA_ARRAY(op->arena, struct db_value, total * 7);
    for (size_t i = 0; i < a->plan.count; i++) {
        const struct plan_item *item = &a->plan.items[i];
        for (size_t k = 0; k < item->gap_count && taken[i] == 1; k++) {
            struct db_value *row = values + 7 * count++;
            row[0] = DB_I(item->job_id);
            row[1] = DB_I(item->gaps[k].from_ms);
            row[2] = DB_I(item->gaps[k].to_ms);
            row[3] = DB_I(item->gaps[k].count);
            row[4] = DB_I(item->gaps[k].cause);
            row[5] = DB_I(item->schedule_version);
            row[6] = DB_I(op->now_ms);
        }
    }
    return db_insert_new(tx, "fire_gap",
                         "job_id, from_at, to_at, fires, cause, schedule_version, created_at",
                         values, 7, count, NULL, err);
}

int store_plan(struct db_tx *tx, void *ctx, struct error *err)
{
    struct engine_op *op = ctx;
    size_t count = op->action->plan.count;
    int64_t *taken = ARENA_ARRAY(op->arena, int64_t, count + 1);
    struct plan_answer *answers = ARENA_ARRAY(op->arena, struct plan_answer, count + 1);
    int64_t epochs[SHARD_COUNT];

    if (store_epochs(tx, op, epochs, err) || plan_advance(tx, op, epochs, taken, err) ||
        plan_insert(tx, op, taken, answers, err) || plan_gaps(tx, op, taken, err))
        return -1;
    op->answer.planned.items = answers;
    op->answer.planned.count = count;
    return 0;
}

/* --- mail --------------------------------------------------------------------------------------------- */

int store_mail_add(struct db_tx *tx, int32_t shard, enum mail_kind kind, int64_t ref,
                   struct error *err)
{
    int64_t id;

    if (db_tx_backend(tx) == DB_SQLITE)
        return 0; /* one process has all shards and hears of it in memory */
    if (ids_take(tx, "mail", 0, &id, err))
        return -1;
    return DB_EXEC(tx,
                   "INSERT INTO admin_mail (id, shard, kind, ref, created_at) VALUES (?, ?, ?, ?, ?)",
                   1, err, DB_I(id), DB_I(shard), DB_I(kind), DB_I(ref), DB_I(db_now_ms(tx)));
}
