#include "db/test-db.h"

/* Work that gets in each other's way, and sessions that end under it: servers only. */

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

struct pair {
    struct outcome *result;
    struct outcome outcome;
    int first, second;
};

static int hot_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    const struct pair *c = ctx;
    static const char sql[] = "UPDATE thing SET number = number + 1 WHERE id = ?";

    if (DB_EXEC(tx, sql, 1, err, DB_I(c->first)) < 0)
        return -1;
    return DB_EXEC(tx, sql, 1, err, DB_I(c->second));
}

struct held {
    struct test_db *t;
    struct insert *inserts;
    struct pair *blocked;
    int finished;
};

/* Keeps a row locked until all the work that does not want it has come to its end. */
static int hold_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct held *held = ctx;

    if (DB_EXEC(tx, "UPDATE thing SET number = 9 WHERE id = ?", 1, err, DB_I(-1)) < 0)
        return -1;
    for (int i = 0; i < 20; i++) {
        db_submit(held->t->db, DB_POOL_SCHEDULE, insert_fn, &held->inserts[i], outcome_done);
        if (i == 10)
            db_submit(held->t->db, DB_POOL_SCHEDULE, hot_fn, held->blocked, outcome_done);
    }
    test_wait(held->t->base, &held->finished, 21);
    return 0;
}

/* Work that waits for somebody's lock gives up in time, and does not take its group along. */
static void test_row_held_for_long(void **state)
{
    struct test_db *t = *state;
    struct insert inserts[20];
    struct pair blocked = { .first = -1, .second = -1 };
    struct held held = { .t = t, .inserts = inserts, .blocked = &blocked };

    db_close(&t->db);
    t->settings.retry_timeout_ms = 1000;
    t->settings.connections[DB_POOL_SCHEDULE] = 1;
    test_open(t);
    assert_run(t->db, statement_fn,
               TEXT("INSERT INTO thing (id, name, number) VALUES (-1, 'held', 0)"), DB_OK);
    blocked.result = &blocked.outcome;
    blocked.outcome.finished = &held.finished;
    for (int i = 0; i < 20; i++) {
        inserts[i] = (struct insert){ .id = i, .outcome = { .finished = &held.finished } };
        inserts[i].result = &inserts[i].outcome;
    }
    assert_run(t->db, hold_fn, &held, DB_OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(inserts[i].outcome.outcome, DB_OK);
    assert_int_equal(blocked.outcome.outcome, DB_NOT_APPLIED);
    assert_int_equal(blocked.outcome.error.code, ERR_UNAVAILABLE);
    assert_int_equal(number_of(t->db, "SELECT number FROM thing WHERE id = -1"), 9);
}

/* --- storms ----------------------------------------------------------------------------------- */

/* Work that wants the same few rows in any order: deadlocks all the time, and each gets done. */
static void test_deadlock_storm(void **state)
{
    enum { COUNT = 150, ROWS = 6 };
    struct test_db *t = *state;
    struct pair *work = memory_alloc(COUNT * sizeof *work);
    struct db_statistics statistics;
    int finished = 0;

    for (int i = 0; i < ROWS; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "INSERT INTO thing (id, name, number) VALUES (%d, 'n%d', 0)", i,
                 i);
        assert_run(t->db, statement_fn, sql, DB_OK);
    }
    for (int i = 0; i < COUNT; i++) {
        struct pair *c = &work[i];
        c->first = i * 7 % ROWS;
        c->second = (c->first + 1 + i % (ROWS - 1)) % ROWS;
        c->result = &c->outcome;
        c->outcome.finished = &finished;
        db_submit(t->db, i % 2 ? DB_POOL_SCHEDULE : DB_POOL_API, hot_fn, c, outcome_done);
    }
    test_wait(t->base, &finished, COUNT);
    for (int i = 0; i < COUNT; i++)
        if (work[i].outcome.outcome != DB_OK)
            fail_msg("%d: %s", i, error_english(&work[i].outcome.error));
    assert_int_equal(number_of(t->db, "SELECT SUM(number) FROM thing"), COUNT * 2);
    db_statistics(t->db, DB_POOL_API, &statistics);
    assert_true(statistics.retries > 0);
    free(work);
}

enum { STORM_COUNT = 1500, STORM_AT_ONCE = 60 };

struct storm {
    struct test_db *t;
    struct insert *inserts;
    int submitted, finished;
};

static void storm_done(void *ctx, enum db_outcome outcome, const struct error *err);

static void storm_submit(struct storm *storm)
{
    struct insert *insert = &storm->inserts[storm->submitted];

    insert->id = storm->submitted++;
    insert->result = (struct outcome *)storm; /* only handed through */
    db_submit(storm->t->db, insert->id % 3 ? DB_POOL_SCHEDULE : DB_POOL_API, insert_fn, insert,
              storm_done);
}

static void storm_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct insert *insert = ctx;
    struct storm *storm = (struct storm *)insert->result;

    insert->outcome.outcome = outcome;
    if (err)
        insert->outcome.error = *err;
    storm->finished++;
    if (storm->submitted < STORM_COUNT)
        storm_submit(storm);
}

/* Ends every session of the database but its own. */
static void sessions_kill(const struct test_db *t)
{
    char sql[300];

    if (test_backend == DB_POSTGRES) {
        snprintf(sql, sizeof sql, "pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                                  "datname = '%s'", t->name);
        test_admin(DB_POSTGRES, "SELECT", sql, "");
        return;
    }
    snprintf(sql, sizeof sql,
             "BEGIN NOT ATOMIC FOR s IN (SELECT id FROM information_schema.processlist WHERE "
             "db = '%s') DO BEGIN DECLARE CONTINUE HANDLER FOR 1094 BEGIN END; KILL s.id; END; "
             "END FOR; END", t->name);
    test_admin(DB_MYSQL, "", sql, "");
}

static int rows_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    bool *there = ctx;
    struct arena *arena = arena_new();
    struct db_result *result;
    int failed = db_query(tx, arena, "SELECT id FROM thing", NULL, 0, &result, err);

    while (!failed && db_next(result))
        there[db_int(result, 0)] = true;
    arena_free(&arena);
    return failed;
}

/*
 * What was said to be stored is, what was said not to be is not, and nothing that may have been
 * stored was run again: it would have met its own row.
 */
static void test_sessions_killed_under_load(void **state)
{
    struct test_db *t = *state;
    struct storm storm = { .t = t,
                           .inserts = memory_alloc(STORM_COUNT * sizeof *storm.inserts) };
    bool *there = memory_alloc(STORM_COUNT);
    struct db_statistics statistics;
    int unknown = 0, kills = 0;

    while (storm.submitted < STORM_AT_ONCE)
        storm_submit(&storm);
    while (storm.finished < STORM_COUNT) {
        int before = storm.finished;
        test_wait(t->base, &storm.finished,
                  before + 100 < STORM_COUNT ? before + 100 : STORM_COUNT);
        if (kills++ < 20)
            sessions_kill(t);
    }
    assert_read(t->db, rows_fn, there);
    for (int i = 0; i < STORM_COUNT; i++) {
        struct insert *insert = &storm.inserts[i];
        enum db_outcome outcome = insert->outcome.outcome;
        if (outcome == DB_CONFLICT || outcome == DB_FAILED)
            fail_msg("%d: %s", i, error_english(&insert->outcome.error));
        unknown += outcome == DB_UNKNOWN;
        if (outcome != DB_UNKNOWN)
            assert_int_equal(there[i], outcome == DB_OK);
    }
    db_statistics(t->db, DB_POOL_SCHEDULE, &statistics);
    assert_true(statistics.retries > 0); /* the storm was one */
    assert_true(unknown < STORM_COUNT / 4);
    free(there);
    free(storm.inserts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_row_held_for_long),
        DB_TEST(test_deadlock_storm),
        DB_TEST(test_sessions_killed_under_load),
    };

    return test_each_server("storms", tests, sizeof tests / sizeof *tests);
}
