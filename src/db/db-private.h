#ifndef BELFRY_DB_DB_PRIVATE_H
#define BELFRY_DB_DB_PRIVATE_H

#include "db/db.h"

#include "base/list.h"
#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 *  db_submit ──► lane (queue) ──► worker thread ──► group of tasks ──► session (driver)
 *      ▲                                                  │
 *      └──────── done on the loop ◄── eventfd ◄───────────┘  one wake-up per group
 *
 *  db.c         open, close, submit, delivery          db-tx.c       what fn may call
 *  db-lane.c    queues and worker threads              db-result.c   rows
 *  db-group.c   one commit for many, retries           db-statement.c  cache, `?` to `$n`
 *  db-url.c     what a url says                        db-problem.c  one wording for all three
 *  db-migrate.c, db-schema.c, db-partition.c  tables   db-sqlite*.c, db-postgres*.c, db-mysql*.c
 */

/* What became of a statement, or of a whole transaction. */
enum db_fault {
    DB_FAULT_NONE,
    DB_FAULT_RULE,     /* the statement is wrong or broke a rule: this task alone fails */
    DB_FAULT_CONFLICT, /* a unique key, or an unexpected number of rows: this task alone fails */
    DB_FAULT_RETRY,    /* deadlock, serialization failure, lock wait over: run again */
    DB_FAULT_LOST,     /* the session is gone; from commit: whether it was stored is unknown */
    DB_FAULT_REFUSED,  /* the database refused (full, read-only): the group is not stored */
};

enum db_problem {
    DB_PROBLEM_EXISTS,    /* unique key */
    DB_PROBLEM_REFERENCE, /* foreign key */
    DB_PROBLEM_VALUE,     /* NOT NULL, too long, wrong type, CHECK */
    DB_PROBLEM_RACE,      /* deadlock, serialization failure, lock wait */
    DB_PROBLEM_FULL,
    DB_PROBLEM_FILE,
    DB_PROBLEM_ROOM,      /* memory, connections */
    DB_PROBLEM_READ_ONLY,
    DB_PROBLEM_LOST,
    DB_PROBLEM_STATEMENT, /* the SQL itself */
};
/* Fills err and says what follows; text is the database's own, without values of rows. */
enum db_fault db_problem(enum db_problem problem, const char *text, struct error *err);

struct db_url {
    enum db_backend backend;
    char *path;              /* SQLite: the file */
    char *user, *host, *database, *socket, *ca;
    int port;                /* 0: the backend's */
    enum { DB_TLS_DEFAULT, DB_TLS_OFF, DB_TLS_REQUIRE, DB_TLS_VERIFY } tls;
};
/* What DB_TLS_DEFAULT comes to: TLS where the server has it, but not within this machine. */
bool db_url_wants_tls(const struct db_url *url);
int db_url_parse(const char *text, struct db_url *ret_url, struct error *err);
void db_url_done(struct db_url *url);

struct db_driver;

/* A connection; drivers put it first in their own. Used by one thread at a time. */
struct db_session {
    const struct db_driver *driver;
    struct db *db;
    bool log_store; /* SQLite: on the file of the run logs */
    bool read_only; /* SQLite: a reader */
};

struct db_tx {
    struct db_session *session;
    bool read_only;
    enum db_fault fault; /* the first; every later call fails with it, and so does the task */
    struct error error;
};

/*
 * The backend. Every function that returns a fault fills err with it. Values are bound in the order
 * of the `?`; exec runs the statement once per row and fills ret_rows[row_count]. With each_one the
 * caller fails unless every row is 1, so that it does not matter which is not.
 */
struct db_driver {
    const char *name;
    enum db_backend backend;
    /* Takes what belongs to the db as a whole. These four are optional. */
    int (*open)(struct db *db, struct error *err);
    int (*opened)(struct db *db, struct error *err); /* SQLite: the writers stand */
    int (*ready)(struct db *db, struct error *err);  /* anything beyond sessions that is wrong */
    void (*close)(struct db *db);
    enum db_fault (*connect)(struct db *db, bool log_store, bool read_only,
                             struct db_session **ret_session, struct error *err);
    void (*disconnect)(struct db_session *session);

    enum db_fault (*begin)(struct db_session *session, bool read_only, struct error *err);
    enum db_fault (*commit)(struct db_session *session, struct error *err);
    enum db_fault (*rollback)(struct db_session *session, struct error *err);
    enum db_fault (*savepoint)(struct db_session *session, struct error *err);
    enum db_fault (*savepoint_release)(struct db_session *session, struct error *err);
    enum db_fault (*savepoint_rollback)(struct db_session *session, struct error *err);

    enum db_fault (*exec)(struct db_session *session, const char *sql,
                          const struct db_value *values, size_t value_count, size_t row_count,
                          bool each_one, int64_t *ret_rows, struct error *err);
    enum db_fault (*insert_new)(struct db_session *session, const char *table, const char *columns,
                                const struct db_value *values, size_t value_count,
                                size_t row_count, bool *ret_inserted, struct error *err);
    enum db_fault (*query)(struct db_session *session, struct arena *arena, const char *sql,
                           const struct db_value *values, size_t value_count,
                           struct db_result **ret_result, struct error *err);
    /* Statements without parameters that are not worth keeping: migrations. */
    enum db_fault (*script)(struct db_session *session, const char *sql, struct error *err);
    /* The same for one that may have run before a crash; optional. */
    enum db_fault (*script_again)(struct db_session *session, const char *sql, struct error *err);
    const char *(*collation)(struct db_session *session); /* MySQL: by bytes, no padding */
    enum db_fault (*last_id)(struct db_session *session, int64_t *ret_id, struct error *err);
    /* The server's clock; NULL on SQLite, where it is ours. */
    enum db_fault (*clock)(struct db_session *session, int64_t *ret_ms, struct error *err);
    /* The lock under which one node at a time migrates, kept over transactions; optional. */
    enum db_fault (*migrate_lock)(struct db_session *session, bool locked, struct error *err);
    /* Called by a worker between groups when it has been idle or busy for a while; optional. */
    void (*maintain)(struct db_session *session);
};
extern const struct db_driver db_driver_sqlite, db_driver_postgres, db_driver_mysql;

/* --- tasks, lanes ----------------------------------------------------------------------------- */

struct db_wait; /* somebody in db_run */

struct db_task {
    struct list node;
    enum db_pool pool;
    bool read_only;
    db_fn *fn;
    db_done *done;
    void *ctx;
    struct db_wait *wait;  /* db_run: who waits, instead of the loop */
    int64_t submitted_ms;  /* monotonic */
    enum db_outcome outcome;
    struct error *error;   /* NULL with DB_OK */
};

/* A queue for each pool and the threads that serve it, each with a session of its own. */
struct db_lane {
    struct db *db;
    const char *name;
    bool log_store, read_only;  /* as in db_session */
    size_t group_max;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for those with a session: there is work, or an end */
    pthread_cond_t stop; /* for those without: an end */
    struct list queues[DB_POOL_COUNT]; /* the SQLite writer serves two pools, schedule first */
    size_t waiting[DB_POOL_COUNT], waiting_total;
    size_t connected, idle; /* idle: they wait for wake */
    bool stopping;
    struct error connect_error; /* why connected is 0 */
    struct db_worker *workers;
    size_t worker_max, worker_count; /* worker_count run */
};

struct db_worker {
    struct db_lane *lane;
    struct db_session *session; /* NULL: none stands */
    pthread_t thread;
    int64_t clock_checked_ms;
};

struct db_counters {
    _Atomic uint64_t committed, failed, conflicts, not_applied, unknown, retries, groups;
    _Atomic uint64_t commit_us_total, commit_us_max;
};

enum { DB_LANE_MAX = DB_POOL_COUNT * 2, DB_QUEUE_MAX = 200000 };

struct db {
    const struct db_driver *driver;
    void *driver_data;
    struct db_url url;
    char *password;
    bool durability_relaxed;
    int connect_timeout_ms;
    int64_t retry_ms; /* how long work waits for a lost database, or is tried again */
    int lock_timeout_s; /* how long a statement waits for a row's lock */
    struct event_base *base;

    struct db_lane lanes[DB_LANE_MAX];
    size_t lane_count;
    struct db_lane *route[DB_POOL_COUNT][2]; /* by pool and read-only */
    struct db_counters counters[DB_POOL_COUNT];

    /* Server clock minus our monotonic one: our wall clock may jump without harm. */
    _Atomic int64_t clock_minus_mono_ms;
    _Atomic bool clock_known;

    pthread_mutex_t done_lock;
    struct list done_tasks;
    int done_fd;
    struct event *done_event;
};

/* A thread of the store: no signals, a name for top and gdb. */
int db_thread_start(pthread_t *ret_thread, const char *name, void *(*main)(void *), void *argument,
                    struct error *err);
int db_lane_start(struct db_lane *lane, struct error *err);
void db_lane_stop(struct db_lane *lane);  /* joins; what waited is finished as not applied */
/* Fails when the queue is full or the lane stops. */
int db_lane_add(struct db_lane *lane, struct db_task *task, struct error *err);

/* Opens the worker's session where none stands; a fault leaves it NULL. */
enum db_fault db_worker_connect(struct db_worker *worker, struct error *err);
void db_worker_disconnect(struct db_worker *worker);
bool db_worker_stopping(struct db_worker *worker);
/* Ends with an outcome for each task. */
void db_group_run(struct db_worker *worker, struct db_task **tasks, size_t count);

void db_task_set(struct db_task *task, enum db_outcome outcome, const struct error *error);
/* Hands tasks to the loop, or to those who wait for them. */
void db_tasks_finish(struct db *db, struct db_task **tasks, size_t count);

/* --- results ---------------------------------------------------------------------------------- */

struct db_cell {
    enum db_type type;
    int64_t integer;
    const char *bytes; /* NUL-terminated too */
    size_t size;
};

struct db_result {
    struct arena *arena;
    int column_count;
    size_t row_count, row_capacity, row; /* row: 1-based, 0 before the first */
    struct db_cell *cells;
};
struct db_result *db_result_new(struct arena *arena, int column_count);
struct db_cell *db_result_add_row(struct db_result *result);
void db_cell_set_bytes(struct db_result *result, struct db_cell *cell, enum db_type type,
                       const void *bytes, size_t size);

/* --- statements ------------------------------------------------------------------------------- */

/*
 * Prepared statements of a session. Found by the address of the text, which is a literal, but only
 * if the text there is still the same: an address may be used again.
 */
enum { DB_STATEMENT_SLOTS = 256, DB_STATEMENT_MAX = 512 };
struct db_statements {
    struct {
        const char *sql, *copy;
        void *statement;
    } slots[DB_STATEMENT_SLOTS];
    struct map by_text;
    void (*free)(void *session, void *statement);
    void *session;
};
void db_statements_init(struct db_statements *statements, void *session,
                        void (*free)(void *session, void *statement));
void db_statements_done(struct db_statements *statements);
void *db_statements_find(struct db_statements *statements, const char *sql);
void db_statements_add(struct db_statements *statements, const char *sql, void *statement);

/* `?` outside quotes and comments becomes $1, $2 …; free the result. */
char *db_statement_numbered(const char *sql);
/* "INSERT INTO table (columns) VALUES (?, ?)tail" in arena. */
char *db_statement_insert(struct arena *arena, const char *table, const char *columns,
                          size_t value_count, const char *tail);
/* Text must be UTF-8 without NUL: what one backend would refuse, all do. */
int db_values_check(const struct db_value *values, size_t count, struct error *err);

int64_t db_clock_now_ms(const struct db *db);
int64_t db_mono_us(void);

/* --- schema ----------------------------------------------------------------------------------- */

/* The migration's text for a backend; collation: MySQL's name of "by bytes, no padding". */
char *db_schema_text(struct arena *arena, enum db_backend backend, const char *collation,
                     const char *sql, struct error *err);

#endif
