/*
 * How many runs a second the store carries: claim (compare-and-swap on the job), insert the run,
 * finish it; two durable transactions for a batch of runs. Against the same statements by bare
 * sqlite3 calls on one thread in the same folder.
 *
 *   bench-store [URL]     default: SQLite in a scratch folder under $TMPDIR; else a server's url
 *                         with the password in BELFRY_BENCH_PASSWORD. The database must be empty.
 */
#include "db/db.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <event2/event.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_MAX = 1000, JOBS = 20000, SECONDS = 3 };

static const char claim_sql[] =
    "UPDATE job SET next_fire_at = ?, version = version + 1 WHERE id = ? AND next_fire_at = ?";
static const char insert_sql[] =
    "INSERT INTO run (id, day, job_id, fire_at, fire_key, state, attempt) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)";
static const char finish_sql[] =
    "UPDATE run SET state = ?, finished_at = ? WHERE id = ? AND day = ? AND state = ?";

static const struct db_migration migrations[] = {
    { 1, "bench",
      "CREATE TABLE job (\n"
      "  id $ID PRIMARY KEY,\n"
      "  next_fire_at $INT NOT NULL,\n"
      "  version $INT NOT NULL\n"
      ") $TABLE_OPTIONS;\n"
      "CREATE INDEX job_due ON job (next_fire_at);\n"
      "CREATE TABLE run (\n"
      "  id $ID NOT NULL,\n"
      "  day $INT NOT NULL,\n"
      "  job_id $INT NOT NULL,\n"
      "  fire_at $INT NOT NULL,\n"
      "  fire_key $KEY(100) NOT NULL,\n"
      "  state $INT NOT NULL,\n"
      "  attempt $INT NOT NULL,\n"
      "  finished_at $INT,\n"
      "  PRIMARY KEY (id, day),\n"
      "  UNIQUE (job_id, fire_at, fire_key, day)\n"
      ") $TABLE_OPTIONS;\n",
      false },
};

/* The values of one batch: each lane goes through jobs of its own, again and again. */
struct batch {
    struct bench *bench;
    int lane, size;
    int64_t round;
    struct db_value claim[BATCH_MAX][3], insert[BATCH_MAX][7], finish[BATCH_MAX][5];
};

struct bench {
    struct db *db;
    struct event_base *base;
    int lanes, size, running;
    int64_t next_id, runs, deadline_ms;
};

static void batch_fill(struct batch *b)
{
    int64_t fire_at = b->round * 1000;

    for (int i = 0; i < b->size; i++) {
        int64_t job_id = b->lane * BATCH_MAX + i, id = ++b->bench->next_id;
        const struct db_value claim[] = { DB_I(fire_at + 1000), DB_I(job_id), DB_I(fire_at) };
        const struct db_value insert[] = { DB_I(id), DB_I(20000), DB_I(job_id), DB_I(fire_at),
                                           DB_T(""), DB_I(1), DB_I(1) };
        const struct db_value finish[] = { DB_I(2), DB_I(fire_at), DB_I(id), DB_I(20000),
                                           DB_I(1) };
        memcpy(b->claim[i], claim, sizeof claim);
        memcpy(b->insert[i], insert, sizeof insert);
        memcpy(b->finish[i], finish, sizeof finish);
    }
    b->round++;
}

/* What one measurement gave: processor time is the figure that a busy machine does not spoil. */
struct figures {
    double speed, cpu_us;
};

static double cpu_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

static struct figures figures_of(int64_t runs, int64_t began_ms, double began_cpu_us)
{
    return (struct figures){
        .speed = (double)runs * 1000.0 / (double)(clock_mono_ms() - began_ms),
        .cpu_us = (cpu_us() - began_cpu_us) / (double)runs,
    };
}

/* --- through db.h ----------------------------------------------------------------------------- */

static int many(struct db_tx *tx, const char *sql, const struct db_value *values, size_t count,
                int size, struct error *err)
{
    return db_exec_many(tx, sql, values, count, (size_t)size, NULL, err);
}

static int claim_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct batch *b = ctx;

    if (many(tx, claim_sql, b->claim[0], 3, b->size, err) < 0)
        return -1;
    return many(tx, insert_sql, b->insert[0], 7, b->size, err);
}

static int finish_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct batch *b = ctx;

    return many(tx, finish_sql, b->finish[0], 5, b->size, err);
}

static void claimed(void *ctx, enum db_outcome outcome, const struct error *err);

static void end_on_failure(enum db_outcome outcome, const struct error *err)
{
    if (outcome == DB_OK)
        return;
    fprintf(stderr, "bench-store: %s\n", error_english(err));
    exit(1);
}

static void finished(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct batch *b = ctx;

    end_on_failure(outcome, err);
    b->bench->runs += b->size;
    if (clock_mono_ms() >= b->bench->deadline_ms) {
        if (--b->bench->running == 0)
            event_base_loopbreak(b->bench->base);
        return;
    }
    batch_fill(b);
    db_submit(b->bench->db, DB_POOL_SCHEDULE, claim_fn, b, claimed);
}

static void claimed(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct batch *b = ctx;

    end_on_failure(outcome, err);
    db_submit(b->bench->db, DB_POOL_SCHEDULE, finish_fn, b, finished);
}

static int jobs_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    static struct db_value values[JOBS][3];

    (void)ctx;
    for (int i = 0; i < JOBS; i++) {
        values[i][0] = DB_I(i);
        values[i][1] = values[i][2] = DB_I(0);
    }
    if (db_exec(tx, "DELETE FROM run", NULL, 0, DB_ANY_ROWS, NULL, err) < 0 ||
        db_exec(tx, "DELETE FROM job", NULL, 0, DB_ANY_ROWS, NULL, err) < 0)
        return -1;
    return db_exec_many(tx, "INSERT INTO job (id, next_fire_at, version) VALUES (?, ?, ?)",
                        values[0], 3, JOBS, NULL, err);
}

static struct figures measure_store(struct bench *bench, int size, int lanes)
{
    struct batch *batches = memory_alloc(sizeof *batches * (size_t)lanes);
    struct error err = { 0 };

    end_on_failure(db_run(bench->db, DB_POOL_API, jobs_fn, NULL, &err), &err);
    bench->running = lanes;
    bench->runs = 0;
    double began_cpu_us = cpu_us();
    int64_t began_ms = clock_mono_ms();
    bench->deadline_ms = began_ms + SECONDS * 1000;
    for (int i = 0; i < lanes; i++) {
        batches[i].bench = bench;
        batches[i].lane = i;
        batches[i].size = size;
        batch_fill(&batches[i]);
        db_submit(bench->db, DB_POOL_SCHEDULE, claim_fn, &batches[i], claimed);
    }
    event_base_dispatch(bench->base);
    free(batches);
    return figures_of(bench->runs, began_ms, began_cpu_us);
}

/* --- bare sqlite3 ----------------------------------------------------------------------------- */

static void raw_exec(sqlite3 *handle, const char *sql)
{
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK)
        return;
    fprintf(stderr, "bench-store: %s\n", sqlite3_errmsg(handle));
    exit(1);
}

static void raw_step(sqlite3_stmt *statement, const struct db_value *values, int count)
{
    for (int i = 0; i < count; i++)
        if (values[i].type == DB_INT)
            sqlite3_bind_int64(statement, i + 1, values[i].integer);
        else
            sqlite3_bind_text(statement, i + 1, values[i].bytes, (int)values[i].size,
                              SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_DONE)
        exit(1);
    sqlite3_reset(statement);
}

static struct figures measure_raw(sqlite3 *handle, struct bench *bench, int size)
{
    struct batch *b = memory_alloc(sizeof *b);
    sqlite3_stmt *claim, *insert, *finish;

    b->bench = bench;
    b->size = size;
    raw_exec(handle, "DELETE FROM run; UPDATE job SET next_fire_at = 0");
    sqlite3_prepare_v2(handle, claim_sql, -1, &claim, NULL);
    sqlite3_prepare_v2(handle, insert_sql, -1, &insert, NULL);
    sqlite3_prepare_v2(handle, finish_sql, -1, &finish, NULL);
    double began_cpu_us = cpu_us();
    int64_t began_ms = clock_mono_ms(), runs = 0;
    for (; clock_mono_ms() - began_ms < SECONDS * 1000; runs += size) {
        batch_fill(b);
        raw_exec(handle, "BEGIN IMMEDIATE");
        for (int i = 0; i < size; i++) {
            raw_step(claim, b->claim[i], 3);
            raw_step(insert, b->insert[i], 7);
        }
        raw_exec(handle, "COMMIT");
        raw_exec(handle, "BEGIN IMMEDIATE");
        for (int i = 0; i < size; i++)
            raw_step(finish, b->finish[i], 5);
        raw_exec(handle, "COMMIT");
    }
    struct figures figures = figures_of(runs, began_ms, began_cpu_us);
    sqlite3_finalize(claim);
    sqlite3_finalize(insert);
    sqlite3_finalize(finish);
    free(b);
    return figures;
}

static sqlite3 *raw_open(const char *path)
{
    sqlite3 *handle;

    if (sqlite3_open(path, &handle) != SQLITE_OK)
        exit(1);
    raw_exec(handle,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=20000;"
             "CREATE TABLE job (id INTEGER PRIMARY KEY, next_fire_at INTEGER NOT NULL,"
             " version INTEGER NOT NULL) STRICT;"
             "CREATE INDEX job_due ON job (next_fire_at);"
             "CREATE TABLE run (id INTEGER NOT NULL, day INTEGER NOT NULL, job_id INTEGER NOT NULL,"
             " fire_at INTEGER NOT NULL, fire_key TEXT NOT NULL, state INTEGER NOT NULL,"
             " attempt INTEGER NOT NULL, finished_at INTEGER, PRIMARY KEY (id, day),"
             " UNIQUE (job_id, fire_at, fire_key, day)) STRICT;"
             "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999)"
             " INSERT INTO job SELECT i, 0, 0 FROM n");
    return handle;
}

/* --- main ------------------------------------------------------------------------------------- */

/* Batch sizes, and how many batches are under way at once. */
static const struct {
    int size, lanes;
} shapes[] = { { 1, 1 }, { 1, 20 }, { 10, 20 }, { 100, 4 }, { 100, 16 }, { 1000, 4 } };

static void shape_print(int size, int lanes, const struct figures *store,
                        const struct db_statistics *before, const struct db_statistics *after,
                        const struct figures *raw)
{
    double groups = (double)(after->groups - before->groups);

    printf("batch %4d x %2d under way: %7.0f runs/s, %5.1f us of processor a run; "
           "%4.1f pieces of work a commit of %5.2f ms",
           size, lanes, store->speed, store->cpu_us,
           (double)(after->committed - before->committed) / groups,
           (double)(after->commit_us_total - before->commit_us_total) / 1000.0 / groups);
    if (raw)
        printf("; raw %7.0f and %5.1f us, ratio %.2f", raw->speed, raw->cpu_us,
               store->speed / raw->speed);
    printf("\n");
    fflush(stdout);
}

static void bench_run(struct bench *bench, sqlite3 *raw)
{
    static struct figures baselines[BATCH_MAX + 1];

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int size = shapes[i].size;
        struct db_statistics before, after;
        db_statistics(bench->db, DB_POOL_SCHEDULE, &before);
        struct figures store = measure_store(bench, size, shapes[i].lanes);
        db_statistics(bench->db, DB_POOL_SCHEDULE, &after);
        if (raw && baselines[size].speed == 0)
            baselines[size] = measure_raw(raw, bench, size);
        shape_print(size, shapes[i].lanes, &store, &before, &after, raw ? &baselines[size] : NULL);
    }
}

int main(int argc, char **argv)
{
    const char *scratch = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char folder[256], path[300], url[320], remove[320];
    struct db_settings settings = { .password = getenv("BELFRY_BENCH_PASSWORD") };
    struct bench bench = { .base = event_base_new() };
    struct error err = { 0 };
    sqlite3 *raw = NULL;

    log_level_set(LOG_LEVEL_WARN);
    snprintf(folder, sizeof folder, "%s/belfry-bench-XXXXXX", scratch);
    if (argc < 2) {
        if (!mkdtemp(folder))
            return 1;
        snprintf(path, sizeof path, "%s/raw.db", folder);
        raw = raw_open(path);
        snprintf(url, sizeof url, "sqlite:%s/belfry.db", folder);
    }
    settings.url = argc < 2 ? url : argv[1];
    if (db_open(&settings, bench.base, &bench.db, &err) < 0 ||
        db_migrate(bench.db, migrations, 1, NULL, &err) < 0)
        end_on_failure(DB_FAILED, &err);
    bench_run(&bench, raw);
    db_close(&bench.db);
    event_base_free(bench.base);
    if (argc < 2) {
        sqlite3_close(raw);
        snprintf(remove, sizeof remove, "rm -rf '%s'", folder);
        return system(remove) == 0 ? 0 : 1;
    }
    return 0;
}
