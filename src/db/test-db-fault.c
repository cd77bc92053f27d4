#include "db/test-proxy.h"

/* What happens when the database does not play along: servers only, SQLite has its own file. */

struct insert {
    struct outcome *result;
    struct outcome outcome;
    int id, runs;
};

static int insert_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct insert *insert = ctx;
    char name[16];

    insert->runs++;
    snprintf(name, sizeof name, "n%d", insert->id);
    return DB_EXEC(tx, "INSERT INTO thing (id, name) VALUES (?, ?)", 1, err, DB_I(insert->id),
                   DB_T(name));
}

/* --- a database behind the proxy -------------------------------------------------------------- */

struct far {
    struct test_db t;
    struct proxy proxy;
};

/* One connection a pool, so that it is known which is cut. */
static void far_open(struct far *far, int retry_timeout_ms)
{
    struct db_settings *settings = &far->t.settings;

    free(far->t.url);
    far->t.url = test_url_of(test_backend, far->t.name, far->proxy.port);
    settings->url = far->t.url;
    settings->retry_timeout_ms = retry_timeout_ms;
    for (int pool = 0; pool < DB_POOL_COUNT; pool++)
        settings->connections[pool] = 1;
    test_open(&far->t);
}

static int far_setup(void **state)
{
    struct far *far = memory_alloc(sizeof *far);

    test_db_prepare(&far->t);
    proxy_init(&far->proxy, test_backend);
    *state = far;
    return 0;
}

static int far_teardown(void **state)
{
    struct far *far = *state;

    db_close(&far->t.db);
    proxy_done(&far->proxy);
    test_db_done(&far->t);
    free(far);
    return 0;
}

static void far_ready(struct far *far)
{
    proxy_start(&far->proxy);
    far_open(far, 0);
    thing_migrate(far->t.db);
}

/* COMMIT arrived, its answer did not: the store must not say that nothing was stored. */
static void test_answer_of_commit_lost(void **state)
{
    struct far *far = *state;
    struct insert insert = { .id = 1 };
    struct db_statistics statistics;

    far_ready(far);
    atomic_store(&far->proxy.mode, PROXY_LOSE_ANSWER);
    assert_run(far->t.db, insert_fn, &insert, DB_UNKNOWN);
    atomic_store(&far->proxy.mode, PROXY_PASS);
    assert_int_equal(insert.runs, 1); /* never run again blindly */
    assert_int_equal(far->proxy.cuts, 1);
    assert_int_equal(number_of(far->t.db, "SELECT COUNT(*) FROM thing"), 1);
    db_statistics(far->t.db, DB_POOL_API, &statistics);
    assert_int_equal(statistics.unknown, 1);
}

/* COMMIT did not arrive, which looks the same from here. */
static void test_commit_lost(void **state)
{
    struct far *far = *state;
    struct insert insert = { .id = 1 };

    far_ready(far);
    atomic_store(&far->proxy.mode, PROXY_LOSE_COMMIT);
    assert_run(far->t.db, insert_fn, &insert, DB_UNKNOWN);
    atomic_store(&far->proxy.mode, PROXY_PASS);
    assert_int_equal(insert.runs, 1);
    assert_int_equal(number_of(far->t.db, "SELECT COUNT(*) FROM thing"), 0);
}

/* All of a group that would have been stored are unknown; one that failed by itself is not. */
static void test_group_with_unknown_commit(void **state)
{
    enum { COUNT = 20 };
    struct far *far = *state;
    struct insert inserts[COUNT];
    int finished = 0, unknown = 0, conflicts = 0;

    far_ready(far);
    atomic_store(&far->proxy.mode, PROXY_LOSE_ANSWER);
    for (int i = 0; i < COUNT; i++) {
        inserts[i] = (struct insert){ .id = i / 2, .outcome = { .finished = &finished } };
        inserts[i].result = &inserts[i].outcome;
        db_submit(far->t.db, DB_POOL_SCHEDULE, insert_fn, &inserts[i], outcome_done);
    }
    test_wait(far->t.base, &finished, COUNT);
    atomic_store(&far->proxy.mode, PROXY_PASS);
    for (int i = 0; i < COUNT; i++) {
        enum db_outcome outcome = inserts[i].outcome.outcome;
        assert_true(outcome == DB_UNKNOWN || outcome == DB_CONFLICT || outcome == DB_NOT_APPLIED);
        unknown += outcome == DB_UNKNOWN;
        conflicts += outcome == DB_CONFLICT || outcome == DB_NOT_APPLIED;
    }
    assert_int_equal(unknown, COUNT / 2);
    assert_int_equal(conflicts, COUNT / 2);
    assert_int_equal(number_of(far->t.db, "SELECT COUNT(*) FROM thing"), COUNT / 2);
}

/* Cut in the middle: run again on a new session, and nobody hears of it. */
static void test_connection_lost_before_commit(void **state)
{
    struct far *far = *state;
    struct insert insert = { .id = 1 };

    far_ready(far);
    atomic_store(&far->proxy.mode, PROXY_CUT_ONCE);
    assert_run(far->t.db, insert_fn, &insert, DB_OK);
    assert_int_equal(far->proxy.cuts, 1);
    assert_true(insert.runs >= 1);
    assert_int_equal(number_of(far->t.db, "SELECT COUNT(*) FROM thing"), 1);
}

static void test_server_away_at_open(void **state)
{
    struct far *far = *state;
    struct insert insert = { .id = 1, .outcome = { 0 } };
    struct error err = { 0 };
    int finished = 0;

    far_open(far, 0); /* nobody listens yet */
    assert_int_equal(db_ready(far->t.db, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    insert.outcome.finished = &finished;
    insert.result = &insert.outcome;
    db_submit(far->t.db, DB_POOL_API, insert_fn, &insert, outcome_done);
    proxy_start(&far->proxy);
    thing_migrate(far->t.db);
    test_wait(far->t.base, &finished, 1);
    /* it ran before or after the migration: in either case it has come to an end */
    assert_true(insert.outcome.outcome == DB_OK || insert.outcome.outcome == DB_FAILED);
    while (db_ready(far->t.db, &err) < 0)
        ;
}

static void test_server_stays_away(void **state)
{
    struct far *far = *state;
    struct insert insert = { .id = 1 };
    struct error err = { 0 };
    int64_t began_ms = clock_mono_ms();

    far_open(far, 300);
    assert_int_equal(db_run(far->t.db, DB_POOL_API, insert_fn, &insert, &err), DB_NOT_APPLIED);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_int_equal(insert.runs, 0);
    assert_true(clock_mono_ms() - began_ms >= 300);
    proxy_start(&far->proxy); /* for the teardown */
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* What becomes of an INSERT with these options behind the url. */
static enum db_outcome insert_with(struct test_db *t, const char *options, struct error *err)
{
    struct insert insert = { .id = 1 };
    char url[512];

    db_close(&t->db);
    snprintf(url, sizeof url, "%s%s", t->url, options);
    t->settings.url = url;
    t->settings.retry_timeout_ms = 500;
    test_open(t);
    enum db_outcome outcome = db_run(t->db, DB_POOL_API, insert_fn, &insert, err);
    db_close(&t->db);
    t->settings.url = t->url;
    return outcome;
}

static void test_tls(void **state)
{
    struct test_db *t = *state;
    struct error err = { 0 };
    char options[256];

    if (!test_env(test_backend, "_CA"))
        skip();
    assert_int_equal(insert_with(t, "?tls=require", &err), DB_OK);
    assert_int_equal(insert_with(t, "?tls=off", &err), DB_CONFLICT); /* reached, and there */
    assert_int_equal(insert_with(t, "?tls=verify", &err), DB_NOT_APPLIED); /* whose is it? */
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    snprintf(options, sizeof options, "?tls=verify&ca=%s", test_env(test_backend, "_CA"));
    assert_int_equal(insert_with(t, options, &err), DB_CONFLICT);
}

/* Somebody on the way says that there is no TLS: then there is no session. */
static void test_tls_is_not_optional(void **state)
{
    struct far *far = *state;
    struct error err = { 0 };

    far_ready(far);
    assert_int_equal(insert_with(&far->t, "?tls=require", &err), DB_NOT_APPLIED);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_int_equal(insert_with(&far->t, "", &err), DB_OK); /* it is not for anything else */
}

/* --- without the proxy ------------------------------------------------------------------------ */

struct crossing {
    struct outcome *result;
    struct outcome outcome;
    int first, second, runs;
    pthread_barrier_t *met;
};

static int crossing_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct crossing *c = ctx;

    if (DB_EXEC(tx, "UPDATE thing SET number = number + 1 WHERE id = ?", 1, err,
                DB_I(c->first)) < 0)
        return -1;
    if (++c->runs == 1) /* each has its first row now and wants the other's */
        pthread_barrier_wait(c->met);
    return DB_EXEC(tx, "UPDATE thing SET number = number + 1 WHERE id = ?", 1, err,
                   DB_I(c->second));
}

static void test_deadlock_is_run_again(void **state)
{
    struct test_db *t = *state;
    pthread_barrier_t met;
    int finished = 0;
    struct crossing crossings[] = { { .first = 1, .second = 2 }, { .first = 2, .second = 1 } };

    assert_run(t->db, statement_fn,
               TEXT("INSERT INTO thing (id, name, number) VALUES (1, 'a', 0), (2, 'b', 0)"), DB_OK);
    pthread_barrier_init(&met, NULL, 2);
    for (int i = 0; i < 2; i++) {
        struct crossing *c = &crossings[i];
        c->met = &met;
        c->result = &c->outcome;
        c->outcome.finished = &finished;
        db_submit(t->db, i ? DB_POOL_SCHEDULE : DB_POOL_API, crossing_fn, c, outcome_done);
    }
    test_wait(t->base, &finished, 2);
    assert_int_equal(crossings[0].outcome.outcome, DB_OK);
    assert_int_equal(crossings[1].outcome.outcome, DB_OK);
    assert_true(crossings[0].runs + crossings[1].runs >= 3);
    assert_int_equal(number_of(t->db, "SELECT SUM(number) FROM thing"), 4);
    pthread_barrier_destroy(&met);
}

struct suicide {
    int runs;
};

/* Ends its own session, the first time. */
static int suicide_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct suicide *s = ctx;
    struct arena *arena = arena_new();
    struct db_result *result;
    int failed = DB_EXEC(tx, "INSERT INTO thing (id, name) VALUES (?, ?)", 1, err, DB_I(1),
                         DB_T("a"));

    if (!failed && s->runs++ == 0)
        failed = db_query(tx, arena,
                          db_tx_backend(tx) == DB_POSTGRES
                              ? "SELECT pg_terminate_backend(pg_backend_pid())"
                              : "KILL CONNECTION_ID()",
                          NULL, 0, &result, err);
    arena_free(&arena);
    return failed;
}

static void test_session_killed(void **state)
{
    struct test_db *t = *state;
    struct suicide s = { 0 };

    assert_run(t->db, suicide_fn, &s, DB_OK);
    assert_int_equal(s.runs, 2);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 1);
}

/* A session on what is not a writable primary is refused, and said so. */
static void test_read_only_database_is_refused(void **state)
{
    struct test_db *t = *state;
    struct error err = { 0 };

    if (test_backend != DB_POSTGRES) /* MariaDB has it for the whole server only */
        skip();
    db_close(&t->db);
    test_admin(DB_POSTGRES, "ALTER DATABASE", t->name, "SET default_transaction_read_only = on");
    t->settings.retry_timeout_ms = 200;
    test_open(t);
    assert_int_equal(db_run(t->db, DB_POOL_API, statement_fn, TEXT("DELETE FROM thing"), &err),
                     DB_NOT_APPLIED);
    do /* the other pools come to the same, each in its time */
        assert_int_equal(db_ready(t->db, &err), -1);
    while (strcmp(err.message, "the database server is a read-only replica") != 0);
    test_admin(DB_POSTGRES, "ALTER DATABASE", t->name, "RESET default_transaction_read_only");
}

/* A read gets one state, however many statements it takes. */
static int snapshot_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct test_db *t = ctx;
    struct scalar before = { .sql = "SELECT COUNT(*) FROM thing" }, after = before;
    struct insert insert = { .id = 77 };

    if (scalar_fn(tx, &before, err) < 0)
        return -1;
    if (db_run(t->db, DB_POOL_SCHEDULE, insert_fn, &insert, err) != DB_OK)
        return -1;
    if (scalar_fn(tx, &after, err) < 0)
        return -1;
    if (before.value != after.value)
        return error_set(err, ERR_INTERNAL, "saw a row come in");
    return 0;
}

static void test_read_is_a_snapshot(void **state)
{
    struct test_db *t = *state;

    assert_read(t->db, snapshot_fn, t);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 1);
}

static int large_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    return DB_EXEC(tx, "INSERT INTO thing (id, name, note) VALUES (?, ?, ?)", 1, err, DB_I(1),
                   DB_T("a"), DB_T(ctx));
}

/* MySQL ends the session of who sends too much, so it is not sent; the others take it. */
static void test_larger_than_a_packet(void **state)
{
    enum { SIZE = 17 << 20 };
    struct test_db *t = *state;
    struct error err = { 0 };
    char *large = memory_alloc(SIZE + 1);

    memset(large, 'a', SIZE);
    if (test_backend == DB_MYSQL) {
        assert_int_equal(db_run(t->db, DB_POOL_API, large_fn, large, &err), DB_FAILED);
        assert_int_equal(err.code, ERR_TOO_LARGE);
    } else {
        assert_run(t->db, large_fn, large, DB_OK);
    }
    free(large);
}

#define FAR_TEST(name) cmocka_unit_test_setup_teardown(name, far_setup, far_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAR_TEST(test_answer_of_commit_lost),
        FAR_TEST(test_commit_lost),
        FAR_TEST(test_group_with_unknown_commit),
        FAR_TEST(test_connection_lost_before_commit),
        FAR_TEST(test_server_away_at_open),
        FAR_TEST(test_server_stays_away),
        FAR_TEST(test_tls_is_not_optional),
        DB_TEST(test_tls),
        DB_TEST(test_deadlock_is_run_again),
        DB_TEST(test_session_killed),
        DB_TEST(test_read_only_database_is_refused),
        DB_TEST(test_read_is_a_snapshot),
        DB_TEST(test_larger_than_a_packet),
    };

    return test_each_server("faults", tests, sizeof tests / sizeof *tests);
}
