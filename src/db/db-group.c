#include "db/db-private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

void db_task_set(struct db_task *task, enum db_outcome outcome, const struct error *error)
{
    task->outcome = outcome;
    if (outcome == DB_OK) {
        free(task->error);
        task->error = NULL;
        return;
    }
    if (!task->error)
        task->error = memory_alloc(sizeof *task->error);
    *task->error = *error;
}

/* --- one task inside the group's transaction -------------------------------------------------- */

static bool fault_of_group(enum db_fault fault)
{
    return fault == DB_FAULT_RETRY || fault == DB_FAULT_LOST || fault == DB_FAULT_REFUSED;
}

/* Runs fn; the task's outcome is what it will be if the group commits. */
static enum db_fault task_run(struct db_session *session, struct db_task *task, struct error *err)
{
    struct db_tx tx = { .session = session, .read_only = task->read_only };
    struct error fn_error;

    fn_error.code = ERR_NONE;
    fn_error.path[0] = '\0';
    int result = task->fn(&tx, task->ctx, &fn_error);
    if (fault_of_group(tx.fault)) {
        *err = tx.error;
        return tx.fault;
    }
    if (result == 0 && tx.fault == DB_FAULT_NONE) {
        db_task_set(task, DB_OK, NULL);
        return DB_FAULT_NONE;
    }
    if (result == 0)
        fn_error = tx.error;
    else if (fn_error.code == ERR_NONE && tx.fault != DB_FAULT_NONE)
        fn_error = tx.error;
    else if (fn_error.code == ERR_NONE)
        error_set(&fn_error, ERR_INTERNAL, "work on the database failed without a reason");
    db_task_set(task, tx.fault == DB_FAULT_CONFLICT ? DB_CONFLICT : DB_FAILED, &fn_error);
    return DB_FAULT_NONE;
}

/* As task_run, with a savepoint of its own, so that a failure leaves the neighbours alone. */
static enum db_fault task_run_guarded(struct db_session *session, struct db_task *task,
                                      struct error *err)
{
    enum db_fault fault = session->driver->savepoint(session, err);

    if (fault == DB_FAULT_NONE)
        fault = task_run(session, task, err);
    if (fault != DB_FAULT_NONE)
        return fault;
    if (task->outcome == DB_OK)
        return session->driver->savepoint_release(session, err);
    return session->driver->savepoint_rollback(session, err);
}

/* --- one transaction -------------------------------------------------------------------------- */

struct attempt {
    bool in_task;        /* the fault came while tasks[at] ran */
    size_t at;
    bool commit_sent;
    struct error error;
};

static void commit_measure(struct db_counters *counters, int64_t started_us)
{
    uint64_t took = (uint64_t)(db_mono_us() - started_us);

    atomic_fetch_add_explicit(&counters->commit_us_total, took, memory_order_relaxed);
    uint64_t most = atomic_load_explicit(&counters->commit_us_max, memory_order_relaxed);
    while (took > most && !atomic_compare_exchange_weak(&counters->commit_us_max, &most, took))
        ;
}

static enum db_fault group_commit(struct db_session *session, struct db_task **tasks, size_t count,
                                  struct attempt *attempt)
{
    const struct db_driver *driver = session->driver;
    bool any = false;

    for (size_t i = 0; i < count && !any; i++)
        any = tasks[i]->outcome == DB_OK;
    if (!any)
        return driver->rollback(session, &attempt->error);
    int64_t started_us = db_mono_us();
    attempt->commit_sent = true;
    enum db_fault fault = driver->commit(session, &attempt->error);
    if (fault == DB_FAULT_NONE)
        commit_measure(&session->db->counters[tasks[0]->pool], started_us);
    return fault;
}

/* Tasks in one transaction. Anything but NONE: nothing is stored, or (LOST at COMMIT) unknown. */
static enum db_fault group_try(struct db_session *session, struct db_task **tasks, size_t count,
                               struct attempt *attempt)
{
    *attempt = (struct attempt){ .at = 0 };
    enum db_fault fault =
        session->driver->begin(session, tasks[0]->read_only, &attempt->error);
    for (size_t i = 0; fault == DB_FAULT_NONE && i < count; i++) {
        attempt->in_task = true;
        attempt->at = i;
        fault = count == 1 ? task_run(session, tasks[i], &attempt->error)
                           : task_run_guarded(session, tasks[i], &attempt->error);
    }
    if (fault == DB_FAULT_NONE) {
        attempt->in_task = false;
        return group_commit(session, tasks, count, attempt);
    }
    if (fault != DB_FAULT_LOST) {
        struct error ignored;
        if (session->driver->rollback(session, &ignored) != DB_FAULT_NONE)
            fault = DB_FAULT_LOST; /* a session that cannot roll back is of no use any more */
    }
    return fault;
}

/* --- groups, again and again ------------------------------------------------------------------ */

/* Nothing was stored for any of them, whatever each had come to by itself. */
static void group_not_applied(struct db_task **tasks, size_t count, const struct error *error)
{
    for (size_t i = 0; i < count; i++)
        db_task_set(tasks[i], DB_NOT_APPLIED, error);
}

/*
 * COMMIT went out and no answer came. Those that had failed by themselves stored nothing, but
 * their reason may be a neighbour's row that does not exist: so not applied rather than failed.
 */
static void group_unknown(struct db_task **tasks, size_t count, const struct error *error)
{
    for (size_t i = 0; i < count; i++)
        db_task_set(tasks[i], tasks[i]->outcome == DB_OK ? DB_UNKNOWN : DB_NOT_APPLIED, error);
}

/* Full jitter, growing from 2 to 256 ms: two nodes that met do not meet again. */
static void backoff(int round)
{
    int64_t most_us = 2000LL << (round < 7 ? round : 7);
    int64_t us = (int64_t)(random_u64() % (uint64_t)most_us);
    struct timespec pause = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

    nanosleep(&pause, NULL);
}

/* Keeps trying to get a session until the deadline. */
static bool session_wait(struct db_worker *worker, int64_t deadline_ms, struct error *err)
{
    for (int round = 0; !worker->session; round++) {
        if (db_worker_connect(worker, err) == DB_FAULT_NONE)
            break;
        if (clock_mono_ms() >= deadline_ms || db_worker_stopping(worker))
            return false;
        backoff(round + 3);
    }
    return true;
}

static bool is_unknown(enum db_fault fault, const struct attempt *attempt, struct db_task **tasks)
{
    return fault == DB_FAULT_LOST && attempt->commit_sent && !tasks[0]->read_only;
}

/*
 * Runs tasks until each has its outcome: true. False: a task met a fault, nothing is stored, and
 * the others are better run without that one, which is tasks[ret_suspect].
 */
static bool group_settle(struct db_worker *worker, struct db_task **tasks, size_t count,
                         int64_t deadline_ms, size_t *ret_suspect)
{
    struct db_counters *counters = &worker->lane->db->counters[tasks[0]->pool];
    struct attempt attempt;

    for (int round = 0; session_wait(worker, deadline_ms, &attempt.error); round++) {
        enum db_fault fault = group_try(worker->session, tasks, count, &attempt);
        atomic_fetch_add_explicit(&counters->groups, 1, memory_order_relaxed);
        if (fault == DB_FAULT_NONE)
            return true;
        if (fault == DB_FAULT_LOST)
            db_worker_disconnect(worker);
        if (is_unknown(fault, &attempt, tasks)) {
            group_unknown(tasks, count, &attempt.error);
            return true;
        }
        if (fault != DB_FAULT_RETRY && fault != DB_FAULT_LOST)
            break;
        *ret_suspect = attempt.at;
        bool cut = attempt.in_task && count > 1;
        if (!cut && clock_mono_ms() >= deadline_ms)
            break;
        atomic_fetch_add_explicit(&counters->retries, 1, memory_order_relaxed);
        backoff(round);
        if (cut)
            return false;
    }
    group_not_applied(tasks, count, &attempt.error);
    return true;
}

/* One that waits for somebody's lock, or that kills its session, must not hold up the others. */
static void move_to_end(struct db_task **tasks, size_t at, size_t count)
{
    struct db_task *task = tasks[at];

    memmove(tasks + at, tasks + at + 1, (count - at - 1) * sizeof *tasks);
    tasks[count - 1] = task;
}

void db_group_run(struct db_worker *worker, struct db_task **tasks, size_t count)
{
    int64_t deadline_ms = clock_mono_ms() + worker->lane->db->retry_ms;
    size_t together = count, suspect;

    while (together > 0 && !group_settle(worker, tasks, together, deadline_ms, &suspect)) {
        move_to_end(tasks, suspect, count);
        together--;
    }
    for (size_t i = together; i < count; i++) { /* the suspects, each alone */
        if (worker->session) /* what the others needed is not theirs to pay */
            deadline_ms = clock_mono_ms() + worker->lane->db->retry_ms;
        group_settle(worker, tasks + i, 1, deadline_ms, &suspect);
    }
}
