#include "db/test-db.h"

#include <pthread.h>

/* --- one transaction -------------------------------------------------------------------------- */

static int insert_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    const char *name = ctx;

    return DB_EXEC(tx, "INSERT INTO thing (id, name, number) VALUES (?, ?, ?)", 1, err,
                   DB_I((int64_t)strlen(name)), DB_T(name), DB_I(0));
}

static void test_commit(void **state)
{
    struct test_db *t = *state;

    assert_run(t->db, insert_fn, TEXT("a"), DB_OK);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 1);
}

static int insert_then_fail_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    if (insert_fn(tx, ctx, err) < 0)
        return -1;
    return error_set(err, ERR_INVALID, "changed my mind");
}

static void test_rollback(void **state)
{
    struct test_db *t = *state;
    struct error err = { 0 };

    assert_int_equal(db_run(t->db, DB_POOL_API, insert_then_fail_fn, TEXT("a"), &err), DB_FAILED);
    assert_string_equal(err.message, "changed my mind");
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 0);
}

static void test_unique_key(void **state)
{
    struct test_db *t = *state;
    struct error err = { 0 };

    assert_run(t->db, insert_fn, TEXT("a"), DB_OK);
    assert_int_equal(db_run(t->db, DB_POOL_API, insert_fn, TEXT("a"), &err), DB_CONFLICT);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 1);
}

static int swallow_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    (void)ctx;
    (void)err;
    insert_fn(tx, TEXT("bb"), NULL);
    insert_fn(tx, TEXT("a"), NULL); /* exists */
    return 0;                 /* says it is fine; it is not */
}

/* A failed statement cannot be committed away, not even by an fn that looks the other way. */
static void test_failure_is_not_swallowed(void **state)
{
    struct test_db *t = *state;
    struct error err = { 0 };

    assert_run(t->db, insert_fn, TEXT("a"), DB_OK);
    assert_int_equal(db_run(t->db, DB_POOL_API, swallow_fn, NULL, &err), DB_CONFLICT);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 1);
}

static int update_none_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    (void)ctx;
    if (insert_fn(tx, TEXT("bb"), err) < 0)
        return -1;
    return DB_EXEC(tx, "UPDATE thing SET number = 1 WHERE id = ?", 1, err, DB_I(99));
}

static void test_unexpected_row_count(void **state)
{
    struct test_db *t = *state;

    assert_run(t->db, update_none_fn, NULL, DB_CONFLICT);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 0);
}

static int update_same_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    (void)ctx;
    return DB_EXEC(tx, "UPDATE thing SET number = ? WHERE name = ?", 1, err, DB_I(0), DB_T("a"));
}

/* A row counts when it is found, also where its value stays the same (MySQL counts otherwise). */
static void test_rows_found_are_counted(void **state)
{
    struct test_db *t = *state;

    assert_run(t->db, insert_fn, TEXT("a"), DB_OK);
    assert_run(t->db, update_same_fn, NULL, DB_OK);
}

static int broken_sql_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    (void)ctx;
    return DB_EXEC(tx, "UPDATE nothing SET a = ?", 1, err, DB_I(1));
}

static int not_null_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    (void)ctx;
    return DB_EXEC(tx, "INSERT INTO thing (id, name) VALUES (?, ?)", 1, err, DB_I(1), DB_N());
}

static int too_long_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    (void)ctx;
    return DB_EXEC(tx, "INSERT INTO thing (id, name) VALUES (?, ?)", 1, err, DB_I(1),
                   DB_T("12345678901234567890123456789012345678901"));
}

static int bad_utf8_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    (void)ctx;
    return DB_EXEC(tx, "INSERT INTO thing (id, name) VALUES (?, ?)", 1, err, DB_I(1),
                   DB_T("\xff\xfe"));
}

static void test_broken_rules(void **state)
{
    static const struct {
        db_fn *fn;
        enum error_code code;
    } rows[] = {
        { broken_sql_fn, ERR_INTERNAL },
        { not_null_fn, ERR_INVALID },
        { too_long_fn, ERR_INVALID },
        { bad_utf8_fn, ERR_INVALID },
    };
    struct test_db *t = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = { 0 };
        assert_int_equal(db_run(t->db, DB_POOL_API, rows[i].fn, NULL, &err), DB_FAILED);
        assert_int_equal(err.code, rows[i].code);
    }
    assert_run(t->db, insert_fn, TEXT("a"), DB_OK); /* the session is as good as before */
}

static void test_read_only(void **state)
{
    struct test_db *t = *state;
    struct error err = { 0 };

    assert_int_equal(db_run_read(t->db, DB_POOL_API, insert_fn, TEXT("a"), &err), DB_FAILED);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 0);
}

/* --- many rows -------------------------------------------------------------------------------- */

enum { MANY = 1000 };

static int insert_many_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct db_value values[MANY][3];
    char names[MANY][16];

    (void)ctx;
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        values[i][0] = DB_I(i);
        values[i][1] = DB_T(names[i]);
        values[i][2] = i % 3 ? DB_I(i) : DB_N();
    }
    return db_exec_many(tx, "INSERT INTO thing (id, name, number) VALUES (?, ?, ?)", values[0], 3,
                        MANY, NULL, err);
}

static int update_many_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    int64_t *rows = ctx;
    struct db_value values[MANY][2];

    /* every second one names a number that is not there */
    for (int i = 0; i < MANY; i++) {
        values[i][0] = DB_I(i);
        values[i][1] = DB_I(i % 2 ? i : -i - 1);
    }
    return db_exec_many(tx, "UPDATE thing SET number = 7 WHERE id = ? AND id = ?", values[0], 2,
                        MANY, rows, err);
}

static int update_many_strict_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct db_value values[MANY][1];

    for (int i = 0; i < MANY; i++)
        values[i][0] = DB_I(i + (ctx ? 1 : 0)); /* with ctx the last is missing */
    return db_exec_many(tx, "UPDATE thing SET number = 9 WHERE id = ?", values[0], 1, MANY, NULL,
                        err);
}

static void test_exec_many(void **state)
{
    struct test_db *t = *state;
    int64_t rows[MANY];

    assert_run(t->db, insert_many_fn, NULL, DB_OK);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), MANY);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing WHERE number IS NULL"), 334);
    assert_run(t->db, update_many_fn, rows, DB_OK);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(rows[i], i % 2);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing WHERE number = 7"), 500);
    assert_run(t->db, update_many_strict_fn, NULL, DB_OK);
    assert_run(t->db, update_many_strict_fn, TEXT("shifted"), DB_CONFLICT);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing WHERE number = 9"), MANY);
    assert_run(t->db, insert_many_fn, NULL, DB_CONFLICT);
}

static int copy_many_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    int64_t *rows = ctx;
    struct db_value values[8][3];
    char names[8][16];

    for (int i = 0; i < 8; i++) {
        snprintf(names[i], sizeof names[i], "copy%d", i);
        values[i][0] = DB_I(10000 + i);
        values[i][1] = DB_T(names[i]);
        values[i][2] = DB_I(i % 2 ? i : -1); /* every second one has no row to copy */
    }
    return db_exec_many(
        tx, "INSERT INTO thing (id, name, number) SELECT ?, ?, number FROM thing WHERE id = ?",
        values[0], 3, 8, rows, err);
}

/* MariaDB binds no arrays to INSERT … SELECT. */
static void test_exec_many_copies(void **state)
{
    struct test_db *t = *state;
    int64_t rows[8];

    assert_run(t->db, insert_many_fn, NULL, DB_OK);
    assert_run(t->db, copy_many_fn, rows, DB_OK);
    for (int i = 0; i < 8; i++)
        assert_int_equal(rows[i], i % 2);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing WHERE id >= 10000"), 4);
}

static int insert_new_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    bool *inserted = ctx;
    struct db_value values[] = {
        DB_I(1),  DB_T("a"), /* new */
        DB_I(2),  DB_T("b"), /* there by its key */
        DB_I(3),  DB_T("x"), /* there by its name */
        DB_I(4),  DB_T("d"), /* new */
        DB_I(4),  DB_T("e"), /* twice in the same batch */
    };

    return db_insert_new(tx, "thing", "id, name", values, 2, 5, inserted, err);
}

static void test_insert_new(void **state)
{
    static const bool wanted[] = { true, false, false, true, false };
    struct test_db *t = *state;
    bool inserted[5];

    assert_run(t->db, statement_fn, TEXT("INSERT INTO thing (id, name) VALUES (2, 'x')"), DB_OK);
    assert_run(t->db, insert_new_fn, inserted, DB_OK);
    assert_memory_equal(inserted, wanted, sizeof wanted);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 3);
}

static int insert_new_bad_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct db_value values[] = { DB_I(1), DB_T("a"), DB_I(2), DB_N() };

    (void)ctx;
    return db_insert_new(tx, "thing", "id, name", values, 2, 2, NULL, err);
}

/* Only a key that exists is left out: another broken rule is an error (INSERT IGNORE hides it). */
static void test_insert_new_hides_nothing(void **state)
{
    struct test_db *t = *state;

    assert_run(t->db, insert_new_bad_fn, NULL, DB_FAILED);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 0);
}

/* --- values ----------------------------------------------------------------------------------- */

struct round_trip {
    struct db_value number, note, data;
    struct db_result *result;
    struct arena *arena;
};

static int round_trip_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct round_trip *r = ctx;

    if (DB_EXEC(tx, "DELETE FROM thing WHERE id = 1", DB_ANY_ROWS, err) < 0 ||
        DB_EXEC(tx, "INSERT INTO thing (id, name, number, note, data) VALUES (?, ?, ?, ?, ?)", 1,
                err, DB_I(1), DB_T("x"), r->number, r->note, r->data) < 0)
        return -1;
    return DB_QUERY(tx, r->arena, &r->result, err,
                    "SELECT number, note, data FROM thing WHERE id = ?", DB_I(1));
}

static void assert_bytes(const struct db_value *wanted, const void *bytes, size_t size)
{
    if (wanted->type == DB_NULL) {
        assert_null(bytes);
        return;
    }
    assert_non_null(bytes);
    assert_int_equal(size, wanted->size);
    if (size)
        assert_memory_equal(bytes, wanted->bytes, size);
}

static void test_values(void **state)
{
    struct test_db *t = *state;
    char *large = memory_alloc(3 << 20);
    memset(large, 'z', 3 << 20);
    struct round_trip rows[] = {
        { .number = DB_N(), .note = DB_N(), .data = DB_N() },
        { .number = DB_I(0), .note = DB_T(""), .data = DB_B("", 0) },
        { .number = DB_I(INT64_MAX),
          .note = DB_T("值 🔔 \xf4\x8f\xbf\xbf"),
          .data = DB_B("\0\xff\0", 3) },
        { .number = DB_I(INT64_MIN), .note = DB_T("'\"\\ ? $1 %s\n"), .data = DB_B("\\x00'", 5) },
        { .number = DB_I(-1), .note = DB_T(" trailing "), .data = DB_B(large, 3 << 20) },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct round_trip *r = &rows[i];
        size_t size;
        r->arena = arena_new();
        assert_run(t->db, round_trip_fn, r, DB_OK);
        assert_int_equal(db_row_count(r->result), 1);
        assert_true(db_next(r->result));
        assert_int_equal(db_is_null(r->result, 0), r->number.type == DB_NULL);
        assert_int_equal(db_int(r->result, 0), r->number.integer);
        const char *note = db_text(r->result, 1);
        assert_bytes(&r->note, note, note ? strlen(note) : 0);
        const void *data = db_blob(r->result, 2, &size);
        assert_bytes(&r->data, data, size);
        assert_false(db_next(r->result));
        arena_free(&r->arena);
    }
    free(large);
}

static int keys_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct db_value values[] = {
        DB_I(1), DB_T("a"), DB_I(2), DB_T("A"), DB_I(3), DB_T("a "), DB_I(4), DB_T("á"),
        DB_I(5), DB_T("B"), DB_I(6), DB_T("🔔"), DB_I(7), DB_T("\xef\xbf\xbd"),
    };

    (void)ctx;
    return db_exec_many(tx, "INSERT INTO thing (id, name) VALUES (?, ?)", values, 2, 7, NULL, err);
}

static int keys_read_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    char *order = ctx;
    struct arena *arena = arena_new();
    struct db_result *result;
    int failed = DB_QUERY(tx, arena, &result, err, "SELECT id FROM thing WHERE name >= ? "
                          "ORDER BY name LIMIT ?", DB_T(""), DB_I(10));

    while (!failed && db_next(result))
        *order++ = (char)('0' + db_int(result, 0));
    *order = '\0';
    arena_free(&arena);
    return failed;
}

/* Keys are bytes: case, accents and a space at the end make a difference, and the order is one. */
static void test_keys_compare_by_bytes(void **state)
{
    struct test_db *t = *state;
    char order[16];

    assert_run(t->db, keys_fn, NULL, DB_OK);
    assert_read(t->db, keys_read_fn, order);
    assert_string_equal(order, "2513476");
}

static int clock_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    (void)err;
    *(int64_t *)ctx = db_now_ms(tx);
    return 0;
}

static void test_clock(void **state)
{
    struct test_db *t = *state;
    int64_t now_ms = 0;

    assert_run(t->db, clock_fn, &now_ms, DB_OK);
    assert_in_range(now_ms, clock_wall_ms() - 2000, clock_wall_ms() + 2000);
    assert_in_range(db_clock_offset_ms(t->db) + 1000, 0, 2000);
}

/* The server's clock counts: ours may jump, and only the offset shows it. */
static void test_clock_offset(void **state)
{
    enum { HOUR = 3600 * 1000 };
    struct test_db *t = *state;
    int64_t now_ms = 0;

    if (test_backend == DB_SQLITE)
        skip();
    atomic_fetch_add(&t->db->clock_minus_mono_ms, HOUR); /* as if the server's were ahead */
    assert_run(t->db, clock_fn, &now_ms, DB_OK);
    assert_in_range(now_ms, clock_wall_ms() + HOUR - 2000, clock_wall_ms() + HOUR + 2000);
    assert_in_range(db_clock_offset_ms(t->db), HOUR - 1000, HOUR + 1000);
}

static int type_change_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    int64_t *sum = ctx;
    struct db_result *result;
    struct arena *arena = arena_new();
    int failed = 0;

    /* the same statement first with NULL, then with a number past 32 bits */
    for (int i = 0; !failed && i < 2; i++)
        failed = DB_EXEC(tx, "UPDATE thing SET number = ? WHERE name = ?", 1, err,
                         i ? DB_I(INT64_C(1) << 40) : DB_N(), DB_T("a"));
    if (!failed)
        failed = DB_QUERY(tx, arena, &result, err,
                          "SELECT SUM(number) FROM thing WHERE number < ? + 100",
                          DB_I(INT64_C(1) << 40));
    if (!failed)
        *sum = db_next(result) ? db_int(result, 0) : -1;
    arena_free(&arena);
    return failed;
}

static void test_types_follow_values(void **state)
{
    struct test_db *t = *state;
    int64_t sum = 0;

    assert_run(t->db, insert_fn, TEXT("a"), DB_OK);
    assert_run(t->db, type_change_fn, &sum, DB_OK);
    assert_int_equal(sum, INT64_C(1) << 40);
}

static int joined_text_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    static char sql[128]; /* one address, other texts */
    struct arena *arena = arena_new();
    struct db_result *result;
    int failed = 0;

    for (int i = 0; !failed && i < 2; i++) {
        snprintf(sql, sizeof sql, "SELECT %d FROM thing%s", i + 1, db_for_update(tx));
        failed = db_query(tx, arena, sql, NULL, 0, &result, err);
        if (!failed)
            ((int64_t *)ctx)[i] = db_next(result) ? db_int(result, 0) : -1;
    }
    arena_free(&arena);
    return failed;
}

static void test_address_used_again(void **state)
{
    struct test_db *t = *state;
    int64_t seen[2] = { 0 };

    assert_run(t->db, insert_fn, TEXT("a"), DB_OK);
    assert_run(t->db, joined_text_fn, seen, DB_OK);
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 2);
}

/* --- groups ----------------------------------------------------------------------------------- */

struct item {
    struct outcome *result;
    int id;
    struct outcome outcome;
    char name[16];
};

static int item_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct item *item = ctx;

    return DB_EXEC(tx, "INSERT INTO thing (id, name) VALUES (?, ?)", 1, err, DB_I(item->id),
                   DB_T(item->name));
}

static void items_submit(struct test_db *t, struct item *items, int count, int *finished)
{
    for (int i = 0; i < count; i++) {
        items[i] = (struct item){ .id = i, .outcome = { .finished = finished } };
        items[i].result = &items[i].outcome;
        snprintf(items[i].name, sizeof items[i].name, "n%d", i % 10 == 7 ? 0 : i);
        db_submit(t->db, i % 2 ? DB_POOL_SCHEDULE : DB_POOL_API, item_fn, &items[i], outcome_done);
    }
}

/* Every tenth takes a name that is taken: it fails alone, whoever its neighbours are. */
static void test_failing_neighbours(void **state)
{
    enum { COUNT = 600 };
    struct test_db *t = *state;
    struct item *items = memory_alloc(COUNT * sizeof *items);
    struct db_statistics statistics;
    int finished = 0;

    assert_run(t->db, statement_fn, TEXT("INSERT INTO thing (id, name) VALUES (-1, 'n0')"), DB_OK);
    items_submit(t, items, COUNT, &finished);
    test_wait(t->base, &finished, COUNT);
    for (int i = 0; i < COUNT; i++) {
        enum db_outcome wanted = i % 10 == 7 || i == 0 ? DB_CONFLICT : DB_OK;
        assert_int_equal(items[i].outcome.outcome, wanted);
    }
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), COUNT - 60);
    db_statistics(t->db, DB_POOL_SCHEDULE, &statistics);
    assert_int_equal(statistics.waiting, 0);
    assert_int_equal(statistics.conflicts, 60);
    free(items);
}

static void test_done_without_callback(void **state)
{
    struct test_db *t = *state;
    struct item item = { .id = 5, .name = "n5" };

    db_submit(t->db, DB_POOL_API, item_fn, &item, NULL);
    while (number_of(t->db, "SELECT COUNT(*) FROM thing") == 0)
        ;
}

/* Close finishes what runs; all the rest is told that it is not stored. */
static void test_close_with_work_waiting(void **state)
{
    enum { COUNT = 3000 };
    struct test_db *t = *state;
    struct item *items = memory_alloc(COUNT * sizeof *items);
    int finished = 0, stored = 0;

    items_submit(t, items, COUNT, &finished);
    db_close(&t->db);
    assert_int_equal(finished, COUNT);
    for (int i = 0; i < COUNT; i++)
        stored += items[i].outcome.outcome == DB_OK;
    test_open(t);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), stored);
    free(items);
}

struct again {
    struct item item;
    struct db *db;
    int times;
};

static void again_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct again *again = ctx;

    again->times++;
    if (outcome == DB_NOT_APPLIED) {
        assert_int_equal(err->code, ERR_UNAVAILABLE);
        if (again->times < 3) /* tries again, and hears no again */
            db_submit(again->db, DB_POOL_API, item_fn, &again->item, again_done);
    }
}

static void test_submit_while_closing(void **state)
{
    enum { COUNT = 2000 };
    struct test_db *t = *state;
    struct again *agains = memory_alloc(COUNT * sizeof *agains);
    int rejected = 0;

    for (int i = 0; i < COUNT; i++) {
        agains[i] = (struct again){ .db = t->db, .item = { .id = i } };
        snprintf(agains[i].item.name, sizeof agains[i].item.name, "n%d", i);
        db_submit(t->db, DB_POOL_API, item_fn, &agains[i].item, again_done);
    }
    db_close(&t->db);
    for (int i = 0; i < COUNT; i++) {
        assert_true(agains[i].times == 1 || agains[i].times == 3);
        rejected += agains[i].times == 3;
    }
    assert_true(rejected > 0);
    free(agains);
}

/* --- two at once ------------------------------------------------------------------------------ */

static int swap_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    int64_t *seen = ctx;
    struct arena *arena = arena_new();
    struct db_result *result;
    int failed = DB_QUERY(tx, arena, &result, err, "SELECT number FROM thing WHERE id = ?",
                          DB_I(1));

    if (!failed)
        *seen = db_next(result) ? db_int(result, 0) : -1;
    arena_free(&arena);
    if (failed)
        return -1;
    return DB_EXEC(tx, "UPDATE thing SET number = ? WHERE id = ? AND number = ?", 1, err,
                   DB_I(*seen + 1), DB_I(1), DB_I(*seen));
}

struct swapper {
    struct db *db;
    enum db_pool pool;
    int won, lost, other;
};

static void *swapper_main(void *argument)
{
    struct swapper *s = argument;
    int64_t seen;

    for (int i = 0; i < 200; i++) {
        switch (db_run(s->db, s->pool, swap_fn, &seen, NULL)) {
        case DB_OK: s->won++; break;
        case DB_CONFLICT: s->lost++; break;
        default: s->other++; break;
        }
    }
    return NULL;
}

/* Each step of the number is one win: lost updates would leave it behind. */
static void test_compare_and_swap_between_pools(void **state)
{
    struct test_db *t = *state;
    struct swapper swappers[] = { { t->db, DB_POOL_API, 0, 0, 0 },
                                  { t->db, DB_POOL_SCHEDULE, 0, 0, 0 },
                                  { t->db, DB_POOL_API, 0, 0, 0 } };
    pthread_t threads[3];

    assert_run(t->db, insert_fn, TEXT("a"), DB_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, swapper_main, &swappers[i]), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    int won = swappers[0].won + swappers[1].won + swappers[2].won;
    int lost = swappers[0].lost + swappers[1].lost + swappers[2].lost;
    assert_int_equal(won + lost, 600);
    assert_int_equal(number_of(t->db, "SELECT number FROM thing WHERE id = 1"), won);
    if (test_backend == DB_SQLITE)
        assert_int_equal(lost, 0); /* one writer */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_commit),
        DB_TEST(test_rollback),
        DB_TEST(test_unique_key),
        DB_TEST(test_failure_is_not_swallowed),
        DB_TEST(test_unexpected_row_count),
        DB_TEST(test_rows_found_are_counted),
        DB_TEST(test_broken_rules),
        DB_TEST(test_read_only),
        DB_TEST(test_exec_many),
        DB_TEST(test_exec_many_copies),
        DB_TEST(test_insert_new),
        DB_TEST(test_insert_new_hides_nothing),
        DB_TEST(test_values),
        DB_TEST(test_keys_compare_by_bytes),
        DB_TEST(test_clock),
        DB_TEST(test_clock_offset),
        DB_TEST(test_types_follow_values),
        DB_TEST(test_address_used_again),
        DB_TEST(test_failing_neighbours),
        DB_TEST(test_done_without_callback),
        DB_TEST(test_close_with_work_waiting),
        DB_TEST(test_submit_while_closing),
        DB_TEST(test_compare_and_swap_between_pools),
    };

    return test_each_backend("contract", tests, sizeof tests / sizeof *tests);
}
