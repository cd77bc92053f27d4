#ifndef BELFRY_DB_TEST_DB_H
#define BELFRY_DB_TEST_DB_H

/*
 * What the store's tests share: a fresh database of each kind, and outcomes waited for on the loop.
 * The servers come from the environment, set by `tests/servers.py run -- …`:
 * BELFRY_TEST_POSTGRES, BELFRY_TEST_MYSQL (urls), …_PASSWORD.
 */
#include "db/db-private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <libpq-fe.h>
#include <mysql.h>

static enum db_backend test_backend; /* of the group that runs */

struct test_db {
    struct event_base *base;
    struct db *db;
    struct db_settings settings;
    char folder[64], name[64];
    char *url;
};

static inline const char *test_env(enum db_backend backend, const char *suffix)
{
    char name[64];

    snprintf(name, sizeof name, "BELFRY_TEST_%s%s", backend == DB_POSTGRES ? "POSTGRES" : "MYSQL",
             suffix);
    return getenv(name);
}

static inline void postgres_admin(const struct db_url *url, const char *sql)
{
    char port[16];
    const char *names[] = { "host", "port", "user", "password", "dbname", NULL };
    snprintf(port, sizeof port, "%d", url->port ? url->port : 5432);
    const char *values[] = { url->host, port, url->user, test_env(DB_POSTGRES, "_PASSWORD"),
                             url->database, NULL };
    PGconn *connection = PQconnectdbParams(names, values, 0);
    PGresult *result = PQexec(connection, sql);

    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
}

static inline void mysql_admin(const struct db_url *url, const char *sql)
{
    MYSQL *handle = mysql_init(NULL);

    if (!mysql_real_connect(handle, url->host, url->user, test_env(DB_MYSQL, "_PASSWORD"),
                            url->database, (unsigned)url->port, url->socket, 0) ||
        mysql_query(handle, sql))
        fail_msg("%s: %s", sql, mysql_error(handle));
    mysql_close(handle);
}

/* Runs a statement beside the store, on the server's own database. */
static inline void test_admin(enum db_backend backend, const char *before, const char *name,
                       const char *after)
{
    struct db_url url;
    struct error err;
    char sql[512];

    snprintf(sql, sizeof sql, "%s %s %s", before, name, after);
    assert_int_equal(db_url_parse(test_env(backend, ""), &url, &err), 0);
    if (backend == DB_POSTGRES)
        postgres_admin(&url, sql);
    else
        mysql_admin(&url, sql);
    db_url_done(&url);
}

/* The server's url with another database, and another port where that is not 0. */
static inline char *test_url_of(enum db_backend backend, const char *name, int port)
{
    struct db_url url;
    struct error err;
    char *text = NULL;

    assert_int_equal(db_url_parse(test_env(backend, ""), &url, &err), 0);
    if (asprintf(&text, "%s://%s@%s:%d/%s", backend == DB_POSTGRES ? "postgres" : "mysql", url.user,
                 url.host, port ? port : url.port, name) < 0)
        abort();
    db_url_done(&url);
    return text;
}

/* A database with nothing in it; not opened yet. */
static inline void test_db_prepare(struct test_db *t)
{
    static int number;

    memset(t, 0, sizeof *t);
    t->base = event_base_new();
    snprintf(t->name, sizeof t->name, "belfry_test_%d_%d", (int)getpid(), ++number);
    if (test_backend == DB_SQLITE) {
        snprintf(t->folder, sizeof t->folder, "/tmp/belfry-db-XXXXXX");
        assert_non_null(mkdtemp(t->folder));
        if (asprintf(&t->url, "sqlite:%s/belfry.db", t->folder) < 0)
            abort();
    }
    if (test_backend != DB_SQLITE) {
        test_admin(test_backend, "CREATE DATABASE", t->name, "");
        t->url = test_url_of(test_backend, t->name, 0);
        t->settings.password = test_env(test_backend, "_PASSWORD");
    }
    t->settings.url = t->url;
}

static inline void test_open(struct test_db *t)
{
    struct error err = { 0 };

    if (db_open(&t->settings, t->base, &t->db, &err) < 0)
        fail_msg("db_open: %s", error_english(&err));
}

static inline void test_db_done(struct test_db *t)
{
    db_close(&t->db);
    event_base_free(t->base);
    if (test_backend == DB_SQLITE) {
        char command[128];
        snprintf(command, sizeof command, "rm -rf '%s'", t->folder);
        if (system(command) != 0)
            fail_msg("%s", command);
    }
    if (test_backend == DB_POSTGRES)
        test_admin(test_backend, "DROP DATABASE", t->name, "WITH (FORCE)");
    else if (test_backend == DB_MYSQL)
        test_admin(test_backend, "DROP DATABASE", t->name, "");
    free(t->url);
}

/* Turns the loop until *flag is not less than wanted; a minute is for ever. */
static inline void test_wait(struct event_base *base, const int *flag, int wanted)
{
    int64_t give_up_ms = clock_mono_ms() + 60000;
    struct timeval slice = { .tv_sec = 1 };

    while (*flag < wanted) {
        if (clock_mono_ms() > give_up_ms)
            fail_msg("waited for %d, got %d", wanted, *flag);
        event_base_loopexit(base, &slice);
        event_base_loop(base, EVLOOP_ONCE);
    }
}

/* --- running work, with the outcome as the result --------------------------------------------- */

struct outcome {
    enum db_outcome outcome;
    struct error error;
    int *finished;
};

static inline void outcome_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct outcome *result = *(struct outcome **)ctx; /* first member of every context */

    result->outcome = outcome;
    if (err)
        result->error = *err;
    ++*result->finished;
}

static inline void assert_run(struct db *db, db_fn *fn, void *ctx, enum db_outcome wanted)
{
    struct error err = { 0 };
    enum db_outcome outcome = db_run(db, DB_POOL_API, fn, ctx, &err);

    if (outcome != wanted)
        fail_msg("outcome %d instead of %d: %s", outcome, wanted, error_english(&err));
}

static inline void assert_read(struct db *db, db_fn *fn, void *ctx)
{
    struct error err = { 0 };

    if (db_run_read(db, DB_POOL_API, fn, ctx, &err) != DB_OK)
        fail_msg("read: %s", error_english(&err));
}

/* A literal as a context. */
#define TEXT(literal) ((char[]){ literal })

/* A single statement without parameters, as ctx. */
static inline int statement_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    return db_exec(tx, ctx, NULL, 0, DB_ANY_ROWS, NULL, err);
}

struct scalar {
    const char *sql;
    int64_t value;
};

static inline int scalar_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct scalar *scalar = ctx;
    struct db_result *result;
    struct arena *arena = arena_new();
    int failed = db_query(tx, arena, scalar->sql, NULL, 0, &result, err);

    if (!failed)
        scalar->value = db_next(result) ? db_int(result, 0) : -1;
    arena_free(&arena);
    return failed;
}

static inline int64_t number_of(struct db *db, const char *sql)
{
    struct scalar scalar = { .sql = sql };

    assert_read(db, scalar_fn, &scalar);
    return scalar.value;
}

static const struct db_migration thing_migrations[] = {
    { 1, "test: things",
      "CREATE TABLE thing (\n"
      "  id $INT PRIMARY KEY,\n"
      "  name $KEY(40) NOT NULL UNIQUE,\n"
      "  number $INT,\n"
      "  note $TEXT,\n"
      "  data $BLOB\n"
      ") $TABLE_OPTIONS;\n"
      "CREATE INDEX thing_number ON thing (number);\n",
      false },
};

static inline void thing_migrate(struct db *db)
{
    struct error err = { 0 };

    if (db_migrate(db, thing_migrations, 1, NULL, &err) < 0)
        fail_msg("migrate: %s", error_english(&err));
}

static inline int test_setup(void **state)
{
    struct test_db *t = memory_alloc(sizeof *t);

    test_db_prepare(t);
    test_open(t);
    thing_migrate(t->db);
    *state = t;
    return 0;
}

static inline int test_teardown(void **state)
{
    struct test_db *t = *state;

    test_db_done(t);
    free(t);
    return 0;
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)

static inline int test_from(enum db_backend first, const char *suite,
                            const struct CMUnitTest *tests, size_t count)
{
    static const char *const names[] = { "sqlite", "postgres", "mysql" };
    int failed = 0;

    log_level_set(LOG_LEVEL_ERROR);
    for (int backend = (int)first; backend <= DB_MYSQL; backend++) {
        char name[96];
        if (backend != DB_SQLITE && !test_env((enum db_backend)backend, "")) {
            print_message("[  SKIPPED ] %s on %s: BELFRY_TEST_%s is not set "
                          "(tests/servers.py run -- …)\n",
                          suite, names[backend], backend == DB_POSTGRES ? "POSTGRES" : "MYSQL");
            continue;
        }
        snprintf(name, sizeof name, "%s on %s", suite, names[backend]);
        test_backend = (enum db_backend)backend;
        failed += _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    }
    return failed;
}

/* Runs the tests once for each database there is. */
static inline int test_each_backend(const char *suite,
                                                     const struct CMUnitTest *tests, size_t count)
{
    return test_from(DB_SQLITE, suite, tests, count);
}

static inline int test_each_server(const char *suite,
                                                    const struct CMUnitTest *tests, size_t count)
{
    return test_from(DB_POSTGRES, suite, tests, count);
}

#endif
