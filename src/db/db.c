#include "db/db.h"

#include "db/db-private.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct db_wait {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool finished;
};

int64_t db_mono_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- delivery --------------------------------------------------------------------------------- */

static void task_free(struct db_task *task)
{
    free(task->error);
    free(task);
}

/* false: there was none. */
static bool done_run_all(struct db *db)
{
    struct list tasks;
    bool any = false;

    list_init(&tasks);
    pthread_mutex_lock(&db->done_lock);
    if (!list_empty(&db->done_tasks)) {
        tasks = db->done_tasks;
        tasks.next->prev = tasks.prev->next = &tasks;
        list_init(&db->done_tasks);
    }
    pthread_mutex_unlock(&db->done_lock);
    LIST_EACH_SAFE(&tasks, node)
    {
        struct db_task *task = CONTAINER_OF(node, struct db_task, node);
        if (task->done)
            task->done(task->ctx, task->outcome, task->error);
        task_free(task);
        any = true;
    }
    return any;
}

static void done_event_fired(evutil_socket_t fd, short what, void *argument)
{
    uint64_t count;

    (void)what;
    if (read((int)fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    done_run_all(argument);
}

static void outcome_count(struct db *db, const struct db_task *task)
{
    struct db_counters *counters = &db->counters[task->pool];
    _Atomic uint64_t *const by_outcome[] = {
        [DB_OK] = &counters->committed,       [DB_FAILED] = &counters->failed,
        [DB_CONFLICT] = &counters->conflicts, [DB_NOT_APPLIED] = &counters->not_applied,
        [DB_UNKNOWN] = &counters->unknown,
    };

    atomic_fetch_add_explicit(by_outcome[task->outcome], 1, memory_order_relaxed);
}

static void wait_finish(struct db_wait *wait)
{
    pthread_mutex_lock(&wait->lock);
    wait->finished = true;
    pthread_cond_signal(&wait->wake);
    pthread_mutex_unlock(&wait->lock);
}

void db_tasks_finish(struct db *db, struct db_task **tasks, size_t count)
{
    const uint64_t one = 1;
    bool first = false;

    for (size_t i = 0; i < count; i++)
        outcome_count(db, tasks[i]);
    pthread_mutex_lock(&db->done_lock);
    for (size_t i = 0; i < count; i++) {
        if (tasks[i]->wait)
            continue;
        first |= list_empty(&db->done_tasks);
        list_add_tail(&db->done_tasks, &tasks[i]->node);
        tasks[i] = NULL; /* the loop's from here on */
    }
    pthread_mutex_unlock(&db->done_lock);
    if (first && write(db->done_fd, &one, sizeof one) < 0)
        abort(); /* an eventfd takes 2^64 - 2 of them */
    for (size_t i = 0; i < count; i++)
        if (tasks[i])
            wait_finish(tasks[i]->wait);
}

/* --- submit ----------------------------------------------------------------------------------- */

static struct db_task *task_new(enum db_pool pool, bool read_only, db_fn *fn, void *ctx)
{
    struct db_task *task = memory_alloc(sizeof *task);

    list_init(&task->node);
    task->pool = pool;
    task->read_only = read_only;
    task->fn = fn;
    task->ctx = ctx;
    task->submitted_ms = clock_mono_ms();
    return task;
}

static void submit(struct db *db, struct db_task *task)
{
    struct error err;

    if (db_lane_add(db->route[task->pool][task->read_only], task, &err) == 0)
        return;
    db_task_set(task, DB_NOT_APPLIED, &err);
    db_tasks_finish(db, &task, 1);
}

void db_submit(struct db *db, enum db_pool pool, db_fn *fn, void *ctx, db_done *done)
{
    struct db_task *task = task_new(pool, false, fn, ctx);

    task->done = done;
    submit(db, task);
}

void db_submit_read(struct db *db, enum db_pool pool, db_fn *fn, void *ctx, db_done *done)
{
    struct db_task *task = task_new(pool, true, fn, ctx);

    task->done = done;
    submit(db, task);
}

static enum db_outcome run(struct db *db, struct db_task *task, struct error *err)
{
    struct db_wait wait = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

    task->wait = &wait;
    submit(db, task);
    pthread_mutex_lock(&wait.lock);
    while (!wait.finished)
        pthread_cond_wait(&wait.wake, &wait.lock);
    pthread_mutex_unlock(&wait.lock);
    enum db_outcome outcome = task->outcome;
    if (outcome != DB_OK && err)
        *err = *task->error;
    task_free(task);
    return outcome;
}

enum db_outcome db_run(struct db *db, enum db_pool pool, db_fn *fn, void *ctx, struct error *err)
{
    return run(db, task_new(pool, false, fn, ctx), err);
}

enum db_outcome db_run_read(struct db *db, enum db_pool pool, db_fn *fn, void *ctx,
                            struct error *err)
{
    return run(db, task_new(pool, true, fn, ctx), err);
}

/* --- open and close --------------------------------------------------------------------------- */

static const struct db_driver *driver_of(enum db_backend backend)
{
    static const struct db_driver *const drivers[] = {
        [DB_SQLITE] = &db_driver_sqlite,
        [DB_POSTGRES] = &db_driver_postgres,
        [DB_MYSQL] = &db_driver_mysql,
    };

    return drivers[backend];
}

static struct db_lane *lane_new(struct db *db, const char *name, size_t worker_count,
                                size_t group_max)
{
    struct db_lane *lane = &db->lanes[db->lane_count++];
    pthread_condattr_t attributes;

    lane->db = db;
    lane->name = name;
    lane->group_max = group_max;
    lane->worker_max = worker_count;
    lane->workers = memory_alloc(worker_count * sizeof *lane->workers);
    for (int pool = 0; pool < DB_POOL_COUNT; pool++)
        list_init(&lane->queues[pool]);
    pthread_mutex_init(&lane->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&lane->wake, &attributes);
    pthread_cond_init(&lane->stop, &attributes);
    pthread_condattr_destroy(&attributes);
    return lane;
}

static size_t or_default(int number, size_t otherwise)
{
    return number > 0 ? (size_t)number : otherwise;
}

/*
 * One writer for the database, one for the run logs, each joining what waits into one commit;
 * readers on threads of their own, so that a slow list holds up neither fires nor other lists.
 */
static void lanes_sqlite(struct db *db, const struct db_settings *settings)
{
    const int *wanted = settings->connections;
    size_t group_max = or_default(settings->group_max, 512);
    struct db_lane *writer = lane_new(db, "write", 1, group_max);
    struct db_lane *log_writer = lane_new(db, "log-write", 1, group_max);
    struct db_lane *schedule = lane_new(db, "schedule", or_default(wanted[DB_POOL_SCHEDULE], 1), 1);
    struct db_lane *api = lane_new(db, "api", or_default(wanted[DB_POOL_API], 2), 1);
    struct db_lane *log = lane_new(db, "log", or_default(wanted[DB_POOL_LOG], 1), 1);

    schedule->read_only = api->read_only = log->read_only = true;
    log_writer->log_store = log->log_store = true;
    db->route[DB_POOL_SCHEDULE][false] = db->route[DB_POOL_API][false] = writer;
    db->route[DB_POOL_LOG][false] = log_writer;
    db->route[DB_POOL_SCHEDULE][true] = schedule;
    db->route[DB_POOL_API][true] = api;
    db->route[DB_POOL_LOG][true] = log;
}

/*
 * Each pool has its connections. Small transactions of the scheduler and of logs are joined; those
 * of the API come from people and should not wait for each other.
 */
static void lanes_server(struct db *db, const struct db_settings *settings)
{
    static const struct {
        const char *name;
        size_t connections, group_max;
    } pools[DB_POOL_COUNT] = {
        [DB_POOL_SCHEDULE] = { "schedule", 4, 64 },
        [DB_POOL_API] = { "api", 4, 1 },
        [DB_POOL_LOG] = { "log", 2, 64 },
    };

    for (int pool = 0; pool < DB_POOL_COUNT; pool++) {
        size_t group_max = pools[pool].group_max;
        if (settings->group_max > 0 && group_max > (size_t)settings->group_max)
            group_max = (size_t)settings->group_max;
        struct db_lane *lane =
            lane_new(db, pools[pool].name,
                     or_default(settings->connections[pool], pools[pool].connections), group_max);
        db->route[pool][false] = db->route[pool][true] = lane;
    }
}

static int done_init(struct db *db, struct error *err)
{
    db->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (db->done_fd < 0)
        return error_set(err, ERR_INTERNAL, "cannot open an event descriptor: %s", strerror(errno));
    if (!db->base)
        return 0;
    db->done_event = event_new(db->base, db->done_fd, EV_READ | EV_PERSIST, done_event_fired, db);
    if (!db->done_event || event_add(db->done_event, NULL) < 0)
        return error_set(err, ERR_INTERNAL, "cannot watch an event descriptor");
    return 0;
}

/* On SQLite the writers are opened here: whoever starts on a bad file hears it at once. */
static int writers_connect(struct db *db, struct error *err)
{
    for (size_t i = 0; i < db->lane_count; i++) {
        struct db_lane *lane = &db->lanes[i];
        struct db_worker *worker = &lane->workers[0];
        if (lane->read_only)
            continue;
        worker->lane = lane;
        if (db->driver->connect(db, lane->log_store, false, &worker->session, err) !=
            DB_FAULT_NONE)
            return -1;
        lane->connected = 1;
    }
    return 0;
}

static int lanes_start(struct db *db, struct error *err)
{
    if (db->driver->backend == DB_SQLITE && writers_connect(db, err) < 0)
        return -1;
    if (db->driver->opened && db->driver->opened(db, err) < 0)
        return -1;
    for (size_t i = 0; i < db->lane_count; i++)
        if (db_lane_start(&db->lanes[i], err) < 0)
            return -1;
    return 0;
}

int db_open(const struct db_settings *settings, struct event_base *base, struct db **ret_db,
            struct error *err)
{
    struct db *db = memory_alloc(sizeof *db);
    int result = db_url_parse(settings->url, &db->url, err);

    pthread_mutex_init(&db->done_lock, NULL);
    list_init(&db->done_tasks);
    db->done_fd = -1;
    db->base = base;
    db->password = memory_strdup(settings->password);
    db->durability_relaxed = settings->durability_relaxed;
    db->connect_timeout_ms = settings->connect_timeout_ms > 0 ? settings->connect_timeout_ms : 5000;
    db->retry_ms = settings->retry_timeout_ms > 0 ? settings->retry_timeout_ms : 10000;
    db->lock_timeout_s = db->retry_ms > 2000 ? (int)(db->retry_ms / 2000) : 1;
    if (result == 0)
        result = done_init(db, err);
    if (result == 0) {
        db->driver = driver_of(db->url.backend);
        if (db->url.backend == DB_SQLITE)
            lanes_sqlite(db, settings);
        else
            lanes_server(db, settings);
        result = db->driver->open ? db->driver->open(db, err) : 0;
    }
    if (result == 0)
        result = lanes_start(db, err);
    if (result < 0) {
        db_close(&db);
        return -1;
    }
    *ret_db = db;
    return 0;
}

static void lane_done(struct db_lane *lane)
{
    /* a session that db_open made and no thread took over */
    if (lane->workers[0].session)
        lane->workers[0].session->driver->disconnect(lane->workers[0].session);
    pthread_mutex_destroy(&lane->lock);
    pthread_cond_destroy(&lane->wake);
    pthread_cond_destroy(&lane->stop);
    free(lane->workers);
}

enum { CLOSE_ROUNDS_MAX = 100 };

void db_close(struct db **db_pointer)
{
    struct db *db = TAKE(*db_pointer);

    if (!db)
        return;
    for (size_t i = 0; i < db->lane_count; i++)
        db_lane_stop(&db->lanes[i]);
    if (db->done_event)
        event_free(db->done_event);
    if (db->done_fd >= 0) {
        /* who is answered may ask once more, and is answered too; who never stops is cut off */
        for (int round = 0; round < CLOSE_ROUNDS_MAX && !list_empty(&db->done_tasks); round++)
            done_run_all(db);
        close(db->done_fd);
    }
    for (size_t i = 0; i < db->lane_count; i++)
        lane_done(&db->lanes[i]);
    if (db->driver && db->driver->close)
        db->driver->close(db);
    pthread_mutex_destroy(&db->done_lock);
    db_url_done(&db->url);
    if (db->password)
        explicit_bzero(db->password, strlen(db->password));
    free(db->password);
    free(db);
}

/* --- questions -------------------------------------------------------------------------------- */

enum db_backend db_backend(const struct db *db)
{
    return db->url.backend;
}

int db_ready(struct db *db, struct error *err)
{
    for (size_t i = 0; i < db->lane_count; i++) {
        struct db_lane *lane = &db->lanes[i];
        pthread_mutex_lock(&lane->lock);
        bool ready = lane->connected > 0;
        if (!ready && err)
            *err = lane->connect_error;
        if (!ready && lane->connect_error.code == ERR_NONE)
            error_set(err, ERR_UNAVAILABLE, "waiting for the first session with the database");
        pthread_mutex_unlock(&lane->lock);
        if (!ready)
            return -1;
    }
    return db->driver->ready ? db->driver->ready(db, err) : 0;
}

int64_t db_clock_now_ms(const struct db *db)
{
    if (!atomic_load(&db->clock_known))
        return clock_wall_ms();
    return clock_mono_ms() + atomic_load(&db->clock_minus_mono_ms);
}

int64_t db_clock_offset_ms(const struct db *db)
{
    return atomic_load(&db->clock_known) ? db_clock_now_ms(db) - clock_wall_ms() : 0;
}

void db_statistics(struct db *db, enum db_pool pool, struct db_statistics *ret)
{
    struct db_counters *counters = &db->counters[pool];
    struct db_lane *lanes[] = { db->route[pool][false], db->route[pool][true] };

    *ret = (struct db_statistics){
        .committed = counters->committed,
        .failed = counters->failed,
        .conflicts = counters->conflicts,
        .not_applied = counters->not_applied,
        .unknown = counters->unknown,
        .retries = counters->retries,
        .groups = counters->groups,
        .commit_us_total = counters->commit_us_total,
        .commit_us_max = counters->commit_us_max,
    };
    for (int i = 0; i < 2; i++) {
        if (i == 1 && lanes[1] == lanes[0])
            break;
        pthread_mutex_lock(&lanes[i]->lock);
        ret->waiting += lanes[i]->waiting[pool];
        ret->connected += lanes[i]->connected;
        pthread_mutex_unlock(&lanes[i]->lock);
    }
}
