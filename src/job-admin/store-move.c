#include "job-admin/admin.h"

/*
 * Moves of runs: each a compare-and-swap naming state, attempt and token (DESIGN section 5). One
 * batch is one transaction; a move whose row was another is left out and told, the rest goes on.
 */

enum { WHERE_COUNT = 5 };
#define WHERE_RUN " WHERE id = ? AND day = ? AND state = ? AND attempt = ? AND token = ?"

static void where_values(struct db_value *row, const struct move *move, bool ours)
{
    row[0] = DB_I(move->run_id);
    row[1] = DB_I(id_day(move->run_id));
    row[2] = DB_I(ours ? (int64_t)move->from : -1); /* a shard that is not ours matches nothing */
    row[3] = DB_I(move->attempt);
    row[4] = DB_I(move->token);
}

static struct db_value int_or_null(int64_t number)
{
    return number ? DB_I(number) : DB_N();
}

/* What is true of some moves of a batch is written by one statement for those. */
struct selection {
    struct engine_op *op;
    const int64_t *epochs;
    size_t *index;      /* of the moves */
    size_t count;
};

static bool move_ours(const struct selection *s, size_t i)
{
    const struct move *move = &s->op->action->move.moves[i];

    return !s->op->admin->leases || s->epochs[move->shard] == move->epoch;
}

static void select_moves(struct selection *s, bool (*wanted)(const struct move *move))
{
    s->count = 0;
    for (size_t i = 0; i < s->op->action->move.count; i++)
        if (wanted(&s->op->action->move.moves[i]))
            s->index[s->count++] = i;
}

typedef void move_fill(struct db_value *row, const struct engine_op *op, const struct move *move,
                       bool ours);

/* Runs sql for the selected moves; fill writes their values; changed gets rows by move. */
static int selection_exec(struct selection *s, struct db_tx *tx, const char *sql, size_t columns,
                          move_fill *fill,
                          int64_t *changed, struct error *err)
{
    if (s->count == 0)
        return 0;
    struct db_value *values = ARENA_ARRAY(s->op->arena, struct db_value, s->count * columns);
    int64_t *rows = ARENA_ARRAY(s->op->arena, int64_t, s->count);
    for (size_t i = 0; i < s->count; i++)
        fill(values + columns * i, s->op, &s->op->action->move.moves[s->index[i]],
             move_ours(s, s->index[i]));
    if (db_exec_many(tx, sql, values, columns, s->count, rows, err))
        return -1;
    for (size_t i = 0; i < s->count && changed; i++)
        changed[s->index[i]] = rows[i];
    return 0;
}

static bool wants_end(const struct move *move)
{
    return run_state_terminal(move->to);
}

static bool wants_step(const struct move *move)
{
    return !run_state_terminal(move->to);
}

/* An attempt that is over while the run goes on leaves a row of its own. */
static bool wants_attempt(const struct move *move)
{
    return move->to == RUN_RETRY_WAIT && (move->from == RUN_DISPATCHED || move->from == RUN_RUNNING);
}

static bool wants_refusal(const struct move *move)
{
    return move->to == RUN_READY && move->from == RUN_DISPATCHED;
}

static bool wants_next_fire(const struct move *move)
{
    return move->set_next_fire_at != 0;
}

/* --- a further state -------------------------------------------------------------------------------- */

enum { STEP_COLUMNS = 14 + WHERE_COUNT };

static void step_values(struct db_value *row, const struct engine_op *op, const struct move *move,
                        bool ours)
{
    bool dispatched = move->to == RUN_DISPATCHED;

    row[0] = DB_I(move->to);
    row[1] = DB_I(move->new_attempt);
    row[2] = DB_I(move->new_token);
    row[3] = DB_I(move->lost_count);
    row[4] = DB_I(move->failed_count);
    row[5] = DB_I(move->cause);
    row[6] = int_or_null(move->job_version);
    row[7] = int_or_null(move->due_at);
    row[8] = int_or_null(move->ready_at);
    row[9] = dispatched ? DB_I(1) : DB_I(0);
    row[10] = dispatched ? DB_I(op->now_ms) : DB_N();
    row[11] = int_or_null(move->started_at);
    row[12] = DB_T(move->executor);
    row[13] = DB_T(move->incarnation);
    where_values(row + 14, move, ours);
}

static int steps_write(struct selection *s, struct db_tx *tx, int64_t *changed, struct error *err)
{
    select_moves(s, wants_step);
    return selection_exec(
        s, tx,
        "UPDATE run SET state = ?, attempt = ?, token = ?, lost_count = ?, failed_count = ?, "
        "cause = ?, job_version = COALESCE(?, job_version), due_at = ?, "
        "ready_at = COALESCE(?, ready_at), "
        "dispatched_at = CASE WHEN ? = 1 THEN ? ELSE dispatched_at END, started_at = ?, "
        "executor = COALESCE(?, executor), incarnation = COALESCE(?, incarnation)" WHERE_RUN,
        STEP_COLUMNS, step_values, changed, err);
}

/* --- the end ------------------------------------------------------------------------------------------ */

static const struct admin_report_item no_detail = { .exit_code = -1 };

static const struct admin_report_item *move_detail(const struct move *move)
{
    return move->detail ? move->detail : &no_detail;
}

/* What a report says of how an attempt went: the same columns in run and attempt. */
enum { DETAIL_COLUMNS = 8 };
static void detail_values(struct db_value *row, const struct admin_report_item *detail)
{
    row[0] = DB_T(detail->message);
    row[1] = detail->exit_code < 0 ? DB_N() : DB_I(detail->exit_code);
    row[2] = int_or_null(detail->signal);
    row[3] = int_or_null(detail->http_status);
    row[4] = int_or_null(detail->cpu_ms);
    row[5] = int_or_null(detail->memory_peak);
    row[6] = DB_I(detail->log_bytes);
    row[7] = DB_I(detail->log_dropped);
}

enum { END_COLUMNS = 10 + DETAIL_COLUMNS + WHERE_COUNT };

static void end_values(struct db_value *row, const struct engine_op *op, const struct move *move,
                        bool ours)
{
    (void)op;
    const struct admin_report_item *detail = move_detail(move);

    row[0] = DB_I(move->to);
    row[1] = DB_I(move->new_attempt);
    row[2] = DB_I(move->new_token);
    row[3] = DB_I(move->lost_count);
    row[4] = DB_I(move->failed_count);
    row[5] = DB_I(move->cause);
    row[6] = int_or_null(move->started_at);
    row[7] = int_or_null(move->ended_at);
    row[8] = DB_T(detail->output);
    row[9] = DB_T(detail->address);
    detail_values(row + 10, detail);
    where_values(row + 10 + DETAIL_COLUMNS, move, ours);
}

static int ends_write(struct selection *s, struct db_tx *tx, int64_t *changed, struct error *err)
{
    select_moves(s, wants_end);
    return selection_exec(
        s, tx,
        "UPDATE run SET state = ?, live = NULL, attempt = ?, token = ?, lost_count = ?, "
        "failed_count = ?, cause = ?, started_at = COALESCE(?, started_at), ended_at = ?, "
        "due_at = NULL, output = ?, address = ?, message = ?, exit_code = ?, exit_signal = ?, "
        "http_status = ?, cpu_ms = ?, memory_peak = ?, log_bytes = ?, log_dropped = ?" WHERE_RUN,
        END_COLUMNS, end_values, changed, err);
}

/* --- beside the run row --------------------------------------------------------------------------------- */

enum { ATTEMPT_COLUMNS = 4 + DETAIL_COLUMNS + WHERE_COUNT };

static void attempt_values(struct db_value *row, const struct engine_op *op, const struct move *move,
                        bool ours)
{
    (void)op;
    enum run_state state = move->cause == CAUSE_TIMEOUT ? RUN_TIMED_OUT
                           : move->cause == CAUSE_LOST  ? RUN_UNKNOWN
                                                        : RUN_FAILED;

    row[0] = DB_I(state);
    row[1] = DB_I(move->cause);
    row[2] = int_or_null(move->started_at);
    row[3] = int_or_null(move->ended_at);
    detail_values(row + 4, move_detail(move));
    where_values(row + 4 + DETAIL_COLUMNS, move, ours);
}

/* Before the run row changes: copies what it knows of the attempt. */
static int attempts_write(struct selection *s, struct db_tx *tx, struct error *err)
{
    select_moves(s, wants_attempt);
    return selection_exec(
        s, tx,
        "INSERT INTO attempt (run_id, day, attempt, token, executor, incarnation, dispatched_at, "
        "state, cause, started_at, ended_at, message, exit_code, exit_signal, http_status, cpu_ms, "
        "memory_peak, log_bytes, log_dropped) "
        "SELECT id, day, attempt, token, executor, incarnation, dispatched_at, ?, ?, "
        "COALESCE(?, started_at), ?, ?, ?, ?, ?, ?, ?, ?, ? FROM run" WHERE_RUN,
        ATTEMPT_COLUMNS, attempt_values, NULL, err);
}

enum { NOTE_COLUMNS = 1 + WHERE_COUNT };

static void refusal_values(struct db_value *row, const struct engine_op *op, const struct move *move,
                        bool ours)
{
    row[0] = DB_I(op->now_ms);
    where_values(row + 1, move, ours);
}

static int refusals_note(struct selection *s, struct db_tx *tx, struct error *err)
{
    select_moves(s, wants_refusal);
    return selection_exec(s, tx,
                          "INSERT INTO run_note (run_id, day, at, kind, note) "
                          "SELECT id, day, ?, 'refused', executor FROM run" WHERE_RUN,
                          NOTE_COLUMNS, refusal_values, NULL, err);
}

/* A "delay" job fires again after this end. */
static int next_fires_write(struct selection *s, struct db_tx *tx, const int64_t *changed,
                            struct error *err)
{
    for (size_t i = 0; i < s->op->action->move.count; i++) {
        const struct move *move = &s->op->action->move.moves[i];
        if (!wants_next_fire(move) || changed[i] != 1)
            continue;
        if (DB_EXEC(tx,
                    "UPDATE job SET next_fire_at = ? WHERE id = ? AND schedule_version = ? AND "
                    "next_fire_at IS NULL AND enabled = 1",
                    DB_ANY_ROWS, err, DB_I(move->set_next_fire_at), DB_I(move->job_id),
                    DB_I(move->schedule_version)))
            return -1;
    }
    return 0;
}

int store_move(struct db_tx *tx, void *ctx, struct error *err)
{
    struct engine_op *op = ctx;
    size_t count = op->action->move.count;
    int64_t epochs[SHARD_COUNT];
    int64_t *changed = ARENA_ARRAY(op->arena, int64_t, count + 1);
    struct move_answer *answers = ARENA_ARRAY(op->arena, struct move_answer, count + 1);
    struct selection s = { .op = op, .epochs = epochs,
                           .index = ARENA_ARRAY(op->arena, size_t, count + 1) };

    if (store_epochs(tx, op, epochs, err) || attempts_write(&s, tx, err) ||
        refusals_note(&s, tx, err) || steps_write(&s, tx, changed, err) ||
        ends_write(&s, tx, changed, err) || next_fires_write(&s, tx, changed, err))
        return -1;
    for (size_t i = 0; i < count; i++)
        answers[i] = (struct move_answer){ .run_id = op->action->move.moves[i].run_id,
                                           .applied = changed[i] == 1 };
    op->answer.moved.moves = answers;
    op->answer.moved.count = count;
    return 0;
}
