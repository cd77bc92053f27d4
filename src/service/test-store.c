#include "service/audit.h"
#include "service/ids.h"

#include "base/clock.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the frame keeps in the store, on SQLite: ids and the audit chain. */
static char dir[] = "/tmp/belfry-store-XXXXXX";
static struct event_base *base;
static struct db *db;

static int setup(void **state)
{
    (void)state;
    struct db_settings settings = { 0 };
    char url[100];
    struct error err;
    int applied;

    if (sodium_init() < 0 || !mkdtemp(dir))
        return -1;
    evthread_use_pthreads();
    base = event_base_new();
    snprintf(url, sizeof url, "sqlite:%s/belfry.db", dir);
    settings.url = url;
    if (db_open(&settings, base, &db, &err) < 0 ||
        db_migrate(db, service_migrations, service_migration_count, &applied, &err) < 0) {
        print_error("%s\n", error_english(&err));
        return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[100];

    db_close(&db);
    event_base_free(base);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void run(db_fn *fn, void *ctx)
{
    struct error err;

    if (db_run(db, DB_POOL_API, fn, ctx, &err) != DB_OK)
        fail_msg("%s", error_english(&err));
}

/* --- ids ------------------------------------------------------------------------------------- */

static void pump_until(bool (*ready)(void *), void *ctx)
{
    for (int64_t until = clock_mono_ms() + 10000; !ready(ctx) && clock_mono_ms() < until;)
        event_base_loop(base, EVLOOP_ONCE);
    assert_true(ready(ctx));
}

static bool has_two_blocks(void *ctx)
{
    return ids_available(ctx, 20);
}

static bool has_any(void *ctx)
{
    return ids_available(ctx, 1);
}

static void count_ready(void *ctx)
{
    (*(int *)ctx)++;
}

static void test_ids_are_dense_and_carry_the_day(void **state)
{
    (void)state;
    struct ids *ids = ids_new(db, "run", 10);
    const int64_t day = 86400000;
    int ready = 0;

    ids_on_ready(ids, count_ready, &ready);
    assert_int_equal(ids_next(ids, 0), 0); /* none at hand yet */
    pump_until(has_two_blocks, ids);
    assert_int_equal(ready, 1);
    int64_t first = ids_next(ids, 20000 * day);
    assert_int_equal(id_day(first), 20000);
    for (int i = 1; i < 20; i++)
        assert_int_equal(ids_next(ids, 20000 * day), first + i);
    assert_int_equal(ids_next(ids, 0), 0);
    pump_until(has_any, ids);
    assert_int_equal(ready, 2);
    assert_int_equal(ids_next(ids, 20001 * day + day - 1),
                     (INT64_C(20001) << ID_DAY_SHIFT) + (first & 0x3fffffffff) + 20);
    ids_free(&ids);
}

static void test_ids_of_a_freed_owner(void **state)
{
    (void)state;
    struct ids *ids = ids_new(db, "run", 10); /* its fetch comes back to nobody */

    ids_free(&ids);
    ids = ids_new(db, "run", 10);
    pump_until(has_any, ids);
    ids_free(&ids);
}

static int take(struct db_tx *tx, void *ctx, struct error *err)
{
    return ids_take(tx, "other", 86400000, ctx, err);
}

static void test_ids_take(void **state)
{
    (void)state;
    int64_t a, b;

    run(take, &a);
    run(take, &b);
    assert_int_equal(a, (INT64_C(1) << ID_DAY_SHIFT) + 1);
    assert_int_equal(b, a + 1);
}

static void test_time_day(void **state)
{
    (void)state;
    assert_int_equal(time_day(0), 0);
    assert_int_equal(time_day(86399999), 0);
    assert_int_equal(time_day(86400000), 1);
    assert_int_equal(time_day(-1), -1);
}

/* --- audit ----------------------------------------------------------------------------------- */

static char actor_name[] = "root";
static const struct principal actor = { .kind = PRINCIPAL_USER, .id = 1, .name = actor_name };

static int write_three(struct db_tx *tx, void *ctx, struct error *err)
{
    struct audit_entry entry = {
        .service = ctx, .actor = &actor, .action = "job.create", .object = "job/1", .detail = "{}"
    };

    for (int i = 0; i < 3; i++) {
        if (audit_write(tx, &entry, err) < 0)
            return -1;
        entry.actor = NULL;
        entry.detail = NULL;
        entry.address = "::1";
    }
    return 0;
}

struct verdict {
    const char *service;
    int whole;
    int64_t entries, broken;
};

static int verify(struct db_tx *tx, void *ctx, struct error *err)
{
    struct verdict *v = ctx;

    v->whole = audit_verify(tx, v->service, &v->entries, &v->broken, err);
    return v->whole < 0 ? -1 : 0;
}

static int change(struct db_tx *tx, void *ctx, struct error *err)
{
    return db_exec(tx, ctx, NULL, 0, DB_ANY_ROWS, NULL, err);
}

static struct verdict verdict_of(const char *service)
{
    struct verdict v = { .service = service };

    run(verify, &v);
    return v;
}

static void test_audit_chain(void **state)
{
    (void)state;
    assert_int_equal(verdict_of("nobody").whole, 1);
    run(write_three, (void *)(uintptr_t) "a");
    run(write_three, (void *)(uintptr_t) "b");
    run(write_three, (void *)(uintptr_t) "a");
    assert_int_equal(verdict_of("a").whole, 1);
    assert_int_equal(verdict_of("a").entries, 6);
    assert_int_equal(verdict_of("b").entries, 3);
}

static void test_audit_tampering_shows(void **state)
{
    (void)state;
    static const struct {
        const char *service, *sql;
        int64_t broken;
    } rows[] = {
        { "c1", "UPDATE audit_entry SET object = 'job/2' WHERE service = 'c1' AND sequence = 2",
          2 },
        { "c2", "UPDATE audit_entry SET address = '' WHERE service = 'c2' AND sequence = 1", 1 },
        { "c3", "DELETE FROM audit_entry WHERE service = 'c3' AND sequence = 2", 2 },
        { "c4", "DELETE FROM audit_entry WHERE service = 'c4' AND sequence = 3", 3 },
        { "c5", "DELETE FROM audit_entry WHERE service = 'c5'", 1 },
        { "c6", "UPDATE audit_head SET sequence = 2 WHERE service = 'c6'", 4 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        run(write_three, (void *)(uintptr_t)rows[i].service);
        assert_int_equal(verdict_of(rows[i].service).whole, 1);
        run(change, (void *)(uintptr_t)rows[i].sql);
        struct verdict v = verdict_of(rows[i].service);
        assert_int_equal(v.whole, 0);
        assert_int_equal(v.broken, rows[i].broken);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_dense_and_carry_the_day),
        cmocka_unit_test(test_ids_of_a_freed_owner),
        cmocka_unit_test(test_ids_take),
        cmocka_unit_test(test_time_day),
        cmocka_unit_test(test_audit_chain),
        cmocka_unit_test(test_audit_tampering_shows),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
