#include "db/db-private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLOCK_CHECK_MS = 60000, RECONNECT_LEAST_MS = 50, RECONNECT_MOST_MS = 2000 };

/* --- queue ------------------------------------------------------------------------------------ */

static int closed(struct error *err)
{
    return error_set(err, ERR_UNAVAILABLE, "the database was closed before this was stored");
}

int db_lane_add(struct db_lane *lane, struct db_task *task, struct error *err)
{
    int result = 0;

    pthread_mutex_lock(&lane->lock);
    if (lane->stopping)
        result = closed(err);
    else if (lane->waiting_total >= DB_QUEUE_MAX)
        result = error_set(err, ERR_THROTTLED, "too much work waits for the database");
    if (result == 0) {
        list_add_tail(&lane->queues[task->pool], &task->node);
        lane->waiting[task->pool]++;
        lane->waiting_total++;
        if (lane->idle > 0)
            pthread_cond_signal(&lane->wake);
    }
    pthread_mutex_unlock(&lane->lock);
    return result;
}

static struct db_task *queue_first(struct db_lane *lane, int pool)
{
    struct list *queue = &lane->queues[pool];

    return list_empty(queue) ? NULL : CONTAINER_OF(queue->next, struct db_task, node);
}

static struct db_task *queue_take(struct db_lane *lane, int pool)
{
    struct db_task *task = queue_first(lane, pool);

    list_remove(&task->node);
    lane->waiting[pool]--;
    lane->waiting_total--;
    return task;
}

/* A read is a group of its own; changes are joined, up to most of a pool. */
static size_t take_from_pool(struct db_lane *lane, int pool, struct db_task **tasks, size_t count,
                             size_t most)
{
    for (; count < most && lane->waiting[pool]; count++) {
        bool read_only = queue_first(lane, pool)->read_only;
        if (count > 0 && (read_only || tasks[0]->read_only))
            break;
        tasks[count] = queue_take(lane, pool);
    }
    return count;
}

/*
 * Several workers share what waits; a single one takes all. Schedule goes first, but leaves a
 * quarter of the group to the others, so that neither starves.
 */
static size_t lane_take(struct db_lane *lane, struct db_task **tasks)
{
    size_t share = (lane->waiting_total + lane->idle) / (lane->idle + 1);
    size_t most = share < lane->group_max ? share : lane->group_max;
    size_t others = lane->waiting_total - lane->waiting[DB_POOL_SCHEDULE];
    size_t kept = others < most / 4 ? others : most / 4;
    size_t count = take_from_pool(lane, DB_POOL_SCHEDULE, tasks, 0, most - kept);

    for (int pool = DB_POOL_COUNT - 1; pool >= 0; pool--)
        count = take_from_pool(lane, pool, tasks, count, most);
    return count;
}

/* --- session ---------------------------------------------------------------------------------- */

static void connect_note(struct db_lane *lane, bool connected, const struct error *err)
{
    bool changed;

    pthread_mutex_lock(&lane->lock);
    if (connected) {
        changed = lane->connected++ == 0 && lane->connect_error.code != ERR_NONE;
        lane->connect_error.code = ERR_NONE;
    } else {
        changed = lane->connect_error.code != err->code ||
                  lane->connect_error.message != err->message;
        lane->connect_error = *err;
    }
    pthread_mutex_unlock(&lane->lock);
    if (changed && connected)
        LOG_INFO("database is back", "pool", lane->name);
    else if (changed)
        LOG_WARN("database is out of reach, trying on", "pool", lane->name, "error",
                 error_english(err));
}

/* The best of three: the one with the shortest way there and back is the least wrong. */
static void clock_measure(struct db_worker *worker)
{
    struct db *db = worker->lane->db;
    int64_t best_us = INT64_MAX, best = 0;

    for (int i = 0; i < 3; i++) {
        int64_t server_ms, before_us = db_mono_us();
        struct error err;
        if (db->driver->clock(worker->session, &server_ms, &err) != DB_FAULT_NONE)
            break;
        int64_t took_us = db_mono_us() - before_us;
        if (took_us < best_us) {
            best_us = took_us;
            best = server_ms - (before_us + took_us / 2) / 1000;
        }
    }
    worker->clock_checked_ms = clock_mono_ms();
    if (best_us == INT64_MAX)
        return;
    atomic_store(&db->clock_minus_mono_ms, best);
    atomic_store(&db->clock_known, true);
}

enum db_fault db_worker_connect(struct db_worker *worker, struct error *err)
{
    struct db_lane *lane = worker->lane;
    struct db *db = lane->db;
    struct db_session *session = NULL;
    enum db_fault fault = db->driver->connect(db, lane->log_store, lane->read_only, &session, err);

    if (fault == DB_FAULT_NONE) {
        worker->session = session;
        if (db->driver->clock)
            clock_measure(worker);
    }
    connect_note(lane, fault == DB_FAULT_NONE, err);
    return fault;
}

void db_worker_disconnect(struct db_worker *worker)
{
    struct db_lane *lane = worker->lane;

    if (!worker->session)
        return;
    worker->session->driver->disconnect(worker->session);
    worker->session = NULL;
    pthread_mutex_lock(&lane->lock);
    lane->connected--;
    pthread_mutex_unlock(&lane->lock);
}

bool db_worker_stopping(struct db_worker *worker)
{
    pthread_mutex_lock(&worker->lane->lock);
    bool stopping = worker->lane->stopping;
    pthread_mutex_unlock(&worker->lane->lock);
    return stopping;
}

/* --- worker ----------------------------------------------------------------------------------- */

static void wait_ms(struct db_lane *lane, pthread_cond_t *condition, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(condition, &lane->lock, &until);
}

/* What has waited for a database out of reach for longer than it may. Called with the lock. */
static size_t take_expired(struct db_lane *lane, struct db_task **tasks)
{
    int64_t oldest_ms = clock_mono_ms() - lane->db->retry_ms;
    size_t count = 0;

    if (lane->connected > 0) /* others have a session and will come to it */
        return 0;
    for (int pool = 0; pool < DB_POOL_COUNT; pool++)
        while (count < lane->group_max && lane->waiting[pool] &&
               queue_first(lane, pool)->submitted_ms <= oldest_ms)
            tasks[count++] = queue_take(lane, pool);
    return count;
}

static void finish_not_applied(struct db_lane *lane, struct db_task **tasks, size_t count,
                               const struct error *err)
{
    for (size_t i = 0; i < count; i++)
        db_task_set(tasks[i], DB_NOT_APPLIED, err);
    db_tasks_finish(lane->db, tasks, count);
}

/* One try to connect, then a pause that new work does not cut short, but a stop does. */
static void worker_reconnect(struct db_worker *worker, int *round, struct db_task **tasks)
{
    struct db_lane *lane = worker->lane;
    struct error err;

    if (db_worker_connect(worker, &err) == DB_FAULT_NONE) {
        *round = 0;
        return;
    }
    int64_t most_ms = (int64_t)RECONNECT_LEAST_MS << (*round < 6 ? *round : 6);
    if (most_ms > RECONNECT_MOST_MS)
        most_ms = RECONNECT_MOST_MS;
    int64_t until_ms = clock_mono_ms() + most_ms / 2 +
                       (int64_t)(random_u64() % (uint64_t)most_ms);
    ++*round;
    pthread_mutex_lock(&lane->lock);
    while (!lane->stopping && clock_mono_ms() < until_ms) {
        size_t count = take_expired(lane, tasks);
        if (count == 0) {
            wait_ms(lane, &lane->stop, until_ms - clock_mono_ms() + 1);
            continue;
        }
        pthread_mutex_unlock(&lane->lock);
        finish_not_applied(lane, tasks, count, &err);
        pthread_mutex_lock(&lane->lock);
    }
    pthread_mutex_unlock(&lane->lock);
}

static void worker_maintain(struct db_worker *worker)
{
    const struct db_driver *driver = worker->lane->db->driver;
    struct error err;
    int64_t server_ms;

    if (driver->maintain)
        driver->maintain(worker->session);
    if (!driver->clock || clock_mono_ms() - worker->clock_checked_ms < CLOCK_CHECK_MS)
        return;
    /* also the ping that notices a session that died while it was idle */
    if (driver->clock(worker->session, &server_ms, &err) != DB_FAULT_NONE)
        db_worker_disconnect(worker);
    else
        clock_measure(worker);
}

/* Waits for work and takes it; 0 when a minute passed without any, or when stopping. */
static size_t worker_take(struct db_worker *worker, struct db_task **tasks, bool *ret_stopping)
{
    struct db_lane *lane = worker->lane;
    size_t count = 0;

    pthread_mutex_lock(&lane->lock);
    if (!lane->waiting_total && !lane->stopping) {
        lane->idle++;
        wait_ms(lane, &lane->wake, CLOCK_CHECK_MS);
        lane->idle--;
    }
    *ret_stopping = lane->stopping;
    if (!lane->stopping && lane->waiting_total)
        count = lane_take(lane, tasks);
    pthread_mutex_unlock(&lane->lock);
    return count;
}

static void *worker_main(void *argument)
{
    struct db_worker *worker = argument;
    struct db_lane *lane = worker->lane;
    struct db_task **tasks = memory_alloc(lane->group_max * sizeof *tasks);
    bool stopping = false;
    int round = 0;

    log_service_set("db");
    while (!stopping) {
        if (!worker->session) {
            worker_reconnect(worker, &round, tasks);
            stopping = db_worker_stopping(worker);
            continue;
        }
        size_t count = worker_take(worker, tasks, &stopping);
        if (count > 0) {
            db_group_run(worker, tasks, count);
            db_tasks_finish(lane->db, tasks, count);
        }
        if (worker->session)
            worker_maintain(worker);
    }
    db_worker_disconnect(worker);
    free(tasks);
    return NULL;
}

/* --- start and stop --------------------------------------------------------------------------- */

int db_thread_start(pthread_t *ret_thread, const char *name, void *(*main)(void *), void *argument,
                    struct error *err)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP };
    sigset_t all, before;
    char text[16]; /* the kernel's limit */

    /* signals belong to the loop's thread, but for those that tell of a fault in this one */
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(ret_thread, NULL, main, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return error_set(err, ERR_INTERNAL, "cannot start a thread: %s", strerror(failed));
    snprintf(text, sizeof text, "db-%s", name);
    pthread_setname_np(*ret_thread, text);
    return 0;
}

/* Sessions that db_open made itself are handed over in workers[0]. */
int db_lane_start(struct db_lane *lane, struct error *err)
{
    for (; lane->worker_count < lane->worker_max; lane->worker_count++) {
        struct db_worker *worker = &lane->workers[lane->worker_count];
        worker->lane = lane;
        if (db_thread_start(&worker->thread, lane->name, worker_main, worker, err) < 0)
            return -1;
    }
    return 0;
}

static void lane_drain(struct db_lane *lane)
{
    struct error err;

    closed(&err);
    for (int pool = 0; pool < DB_POOL_COUNT; pool++)
        while (lane->waiting[pool]) {
            struct db_task *task = queue_take(lane, pool);
            finish_not_applied(lane, &task, 1, &err);
        }
}

void db_lane_stop(struct db_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->stopping = true;
    pthread_cond_broadcast(&lane->wake);
    pthread_cond_broadcast(&lane->stop);
    pthread_mutex_unlock(&lane->lock);
    for (size_t i = 0; i < lane->worker_count; i++)
        pthread_join(lane->workers[i].thread, NULL);
    lane_drain(lane);
}
