#ifndef BELFRY_DB_DB_H
#define BELFRY_DB_DB_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The store: SQLite, PostgreSQL (>= 13) or MySQL 8 / MariaDB (>= 10.6) behind one interface.
 *
 * Work is handed in as functions and done by worker threads, several of one pool joined in one
 * commit where the backend allows it (SQLite: one writer thread, a SAVEPOINT each). The result
 * comes back on the loop that owns the db. So fn
 *  - runs on another thread: it touches only ctx and its own memory;
 *  - can run again from the start (deadlock, serialization failure, lost connection before COMMIT,
 *    a failed neighbour in the same group): it must reset its results first and have no effect
 *    outside the transaction;
 *  - returns 0 to commit, -1 with err to roll back (err then reaches done).
 */
struct db;
struct db_tx;
struct db_result;
struct event_base; /* libevent's */

enum db_backend { DB_SQLITE, DB_POSTGRES, DB_MYSQL };

enum db_outcome {
    DB_OK,          /* committed and durable */
    DB_FAILED,      /* fn returned -1, or a statement broke a rule: rolled back, err says why */
    DB_CONFLICT,    /* a unique key, or a change that touched an unexpected number of rows */
    DB_NOT_APPLIED, /* the database was out of reach or refused; certainly nothing was stored */
    DB_UNKNOWN,     /* COMMIT was sent, its answer is lost: read the unique key, never retry */
};

/* Pools are separate connections and threads, so that none holds up another. */
enum db_pool { DB_POOL_SCHEDULE, DB_POOL_API, DB_POOL_LOG, DB_POOL_COUNT };

struct db_settings {
    /*
     * "sqlite:/path/belfry.db", "postgres://user@host:port/database" or
     * "mysql://user@host:port/database"; never with a password in it. Options of servers:
     * ?socket=PATH; ?tls=off, require, or verify (certificate and name, by the system's authorities
     * or ca=FILE); without it TLS where the server has it, but none on a loopback address.
     */
    const char *url;
    const char *password;      /* NULL: none; never logged */
    int connections[DB_POOL_COUNT]; /* 0: the backend's default; SQLite always has one writer */
    bool durability_relaxed;   /* else no session unless a commit survives a power cut */
    int group_max;             /* pieces of work in one commit; 0: 512 on SQLite, else 64 */
    int connect_timeout_ms;    /* 0: 5000 */
    int retry_timeout_ms;      /* how long work waits for a lost database or, half of it at a
                                  time, for somebody's row lock; 0: 10000 */
};

/*
 * Opens without waiting for the database: pools connect (and reconnect with jittered backoff) in
 * the background; db_ready tells. SQLite opens its file here: ERR_IO names the file, ERR_CONFLICT
 * another process that has it. Each session is checked to be on a writable primary with durable
 * commits (PostgreSQL fsync, full_page_writes; MySQL innodb_flush_log_at_trx_commit, sync_binlog
 * where the binary log is on); a server that fails this is refused, and db_ready says why. base is
 * the loop on which every done runs; NULL where only db_run is used.
 * After a failed write or fsync on SQLite the process ends at once (exit code 74): only a restart
 * knows what the disk holds. A SQLite file that has lost commits since it was last open is refused
 * (ERR_IO; db-sqlite-check.c); its pages are checked in the background, and db_ready tells.
 */
int db_open(const struct db_settings *settings, struct event_base *base, struct db **ret_db,
            struct error *err);
/*
 * Finishes what runs; what waits ends with DB_NOT_APPLIED. Every done has run when it returns, on
 * the calling thread, which is the loop's.
 */
void db_close(struct db **db);
enum db_backend db_backend(const struct db *db);
/* 0 when a session of each pool stands; -1 with what it waits for. Any thread. */
int db_ready(struct db *db, struct error *err);
/* Database clock minus ours in ms, measured at connect and once a minute; 0 on SQLite. */
int64_t db_clock_offset_ms(const struct db *db);

typedef int db_fn(struct db_tx *tx, void *ctx, struct error *err);
/* err is NULL with DB_OK. */
typedef void db_done(void *ctx, enum db_outcome outcome, const struct error *err);

/*
 * Read-write. done may be NULL. ctx belongs to the store between db_submit and done. Any thread.
 * Work of one pool begins in the order of submission, but on servers several connections run it:
 * submit what depends on a result from its done.
 */
void db_submit(struct db *db, enum db_pool pool, db_fn *fn, void *ctx, db_done *done);
/*
 * Read-only, all statements see one state of the database. On SQLite it runs on a reader thread
 * beside the writer.
 */
void db_submit_read(struct db *db, enum db_pool pool, db_fn *fn, void *ctx, db_done *done);
/* Blocking, for start-up, the CLI and tests only; not from the loop once it runs. */
enum db_outcome db_run(struct db *db, enum db_pool pool, db_fn *fn, void *ctx, struct error *err);
enum db_outcome db_run_read(struct db *db, enum db_pool pool, db_fn *fn, void *ctx,
                            struct error *err);

/* Counters of a pool for /metrics, since db_open. */
struct db_statistics {
    uint64_t committed, failed, conflicts, not_applied, unknown; /* pieces of work by outcome */
    uint64_t groups;              /* transactions: committed / groups is what one commit carries */
    uint64_t retries;             /* groups run again after a deadlock or a lost session */
    uint64_t commit_us_total, commit_us_max; /* COMMIT alone */
    uint64_t waiting, connected;  /* now: pieces of work in the queue, sessions */
};
void db_statistics(struct db *db, enum db_pool pool, struct db_statistics *ret);

/* --- inside fn -------------------------------------------------------------------------------- */

enum db_type { DB_NULL, DB_INT, DB_TEXT, DB_BLOB };

struct db_value {
    enum db_type type;
    int64_t integer;
    const char *bytes; /* TEXT and BLOB; must live until the statement returned */
    size_t size;
};

#define DB_I(number) ((struct db_value){ .type = DB_INT, .integer = (number) })
#define DB_N() ((struct db_value){ .type = DB_NULL })
static inline struct db_value DB_T(const char *text)
{
    if (!text)
        return (struct db_value){ .type = DB_NULL };
    return (struct db_value){ .type = DB_TEXT, .bytes = text, .size = __builtin_strlen(text) };
}
static inline struct db_value DB_B(const void *bytes, size_t size)
{
    return (struct db_value){ .type = DB_BLOB, .bytes = bytes, .size = size };
}

/* Expected rows of a change. Another count is DB_CONFLICT and rolls back. */
enum { DB_ANY_ROWS = -1 };

/*
 * SQL has `?` for parameters and is the same text for the three databases (STYLE, Data): names in
 * "double quotes" where they are words of SQL (user, order, key, group, rows, lines, rank …), texts
 * in single ones, || joins texts, backslashes mean nothing, comparison is by bytes. A bare
 * `? IS NULL` gives PostgreSQL no type: decide that in C. Statements are prepared once per session
 * and kept by their text, so let there be few: literals, or literals joined with db_for_update.
 *
 * The first statement that fails spoils the transaction: later calls fail with the same error, and
 * it is rolled back whatever fn returns.
 */
int db_exec(struct db_tx *tx, const char *sql, const struct db_value *values, size_t value_count,
            int64_t expect_rows, int64_t *ret_rows /* may be NULL */, struct error *err);
#define DB_EXEC(tx, sql, expect_rows, err, ...)                                                \
    db_exec((tx), (sql), (struct db_value[]){ __VA_ARGS__ },                                   \
            sizeof((struct db_value[]){ __VA_ARGS__ }) / sizeof(struct db_value), (expect_rows), \
            NULL, (err))

/*
 * One statement for many rows in as few round trips as the backend has (SQLite: a prepared loop;
 * PostgreSQL: pipeline; MariaDB: an array of rows, MySQL: a loop). values holds row_count times
 * value_count. ret_rows[i] gets the rows that row i changed; with ret_rows NULL each must change
 * exactly one, else DB_CONFLICT. A unique key violation by any row is DB_CONFLICT. The statement
 * must name a unique key, so that a row of values changes one row or none: MariaDB tells but the
 * total of an array.
 */
int db_exec_many(struct db_tx *tx, const char *sql, const struct db_value *values,
                 size_t value_count, size_t row_count, int64_t *ret_rows, struct error *err);

/*
 * INSERT that leaves out rows whose unique key exists; ret_inserted[i] (may be NULL) tells which
 * came in. columns as "a, b, c".
 */
int db_insert_new(struct db_tx *tx, const char *table, const char *columns,
                  const struct db_value *values, size_t value_count, size_t row_count,
                  bool *ret_inserted, struct error *err);

/* Rows are read whole or streamed; the result lives in arena, texts stay valid with it. */
int db_query(struct db_tx *tx, struct arena *arena, const char *sql, const struct db_value *values,
             size_t value_count, struct db_result **ret_result, struct error *err);
#define DB_QUERY(tx, arena, ret_result, err, sql, ...)                                           \
    db_query((tx), (arena), (sql), (struct db_value[]){ __VA_ARGS__ },                           \
             sizeof((struct db_value[]){ __VA_ARGS__ }) / sizeof(struct db_value), (ret_result), \
             (err))
bool db_next(struct db_result *result); /* to the first, then each next row; false: no more */
size_t db_row_count(const struct db_result *result);
bool db_is_null(const struct db_result *result, int column);   /* columns from 0 */
int64_t db_int(const struct db_result *result, int column);    /* NULL gives 0 */
const char *db_text(const struct db_result *result, int column); /* NULL gives NULL */
const void *db_blob(const struct db_result *result, int column, size_t *ret_size);

/* A row lock inside the transaction: appends FOR UPDATE on servers, nothing on SQLite. */
const char *db_for_update(const struct db_tx *tx); /* " FOR UPDATE" or "" */
/* " FOR UPDATE SKIP LOCKED" or "". Only these two may be joined to SQL text by the caller. */
const char *db_for_update_skip(const struct db_tx *tx);
enum db_backend db_tx_backend(const struct db_tx *tx);
/* Milliseconds UTC by the database's clock (on SQLite the node's). */
int64_t db_now_ms(struct db_tx *tx);

/* --- schema ----------------------------------------------------------------------------------
 *
 * A migration is text written once, statements ended by ";\n", with these words replaced for the
 * backend: $ID (64-bit key type), $INT (64-bit), $SERIAL (32-bit primary key given by the
 * database), $KEY(n) (indexable text of n characters, compared by bytes), $TEXT, $BLOB,
 * $TABLE_OPTIONS (after the last parenthesis), $DAY_PARTITION (after $TABLE_OPTIONS: the table is
 * split by its column `day` on servers; then every unique key must hold `day` — last: PostgreSQL
 * knows nothing of a new day's rows and may take any index that begins with it — and there are no
 * foreign keys to or from the table). n of $KEY is 1 to 768. Flags are $INT. On SQLite tables are
 * STRICT. Migrations run in order, each in one transaction where the backend can (MySQL commits at
 * each CREATE: there it goes on where it ended), under a lock that lets one node at a time migrate;
 * the table schema_version records them with their hash. A database newer than the program is
 * refused, and so is a migration that was edited after it ran (ERR_CONFLICT).
 */
struct db_migration {
    int version;      /* 1, 2, 3 … over all services; the date would do, but is harder to read */
    const char *name; /* "job-admin: runs" */
    const char *sql;
    bool log_store;   /* for the run logs: on SQLite applied to their file, on servers no matter */
};
int db_migrate(struct db *db, const struct db_migration *migrations, size_t count,
               int *ret_applied, struct error *err); /* blocking, as db_run */
/* Makes the partitions of the days first_day … last_day (days since 1970) that are missing; no-op
 * on SQLite. Inside a transaction of its own. */
int db_partitions_ensure(struct db_tx *tx, const char *table, int64_t first_day, int64_t last_day,
                         struct error *err);
/*
 * Removes a part of what belongs to days before before_day: the oldest partition on servers, else a
 * batch of rows. ret_more: call again, in another transaction (pool API; not joined with others).
 */
int db_history_drop(struct db_tx *tx, const char *table, int64_t before_day, bool *ret_more,
                    struct error *err);
/* The id that $SERIAL gave in the last INSERT of this transaction. */
int64_t db_last_id(struct db_tx *tx);

#endif
