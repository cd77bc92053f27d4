#include "base/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static int values[10000];

static void test_map_put_get_remove(void **state)
{
    struct map map;

    (void)state;
    map_init(&map);
    assert_null(map_get(&map, 1));
    assert_null(map_put(&map, 1, &values[1]));
    assert_ptr_equal(map_put(&map, 1, &values[2]), &values[1]);
    assert_ptr_equal(map_get(&map, 1), &values[2]);
    assert_int_equal(map.count, 1);
    assert_ptr_equal(map_remove(&map, 1), &values[2]);
    assert_null(map_remove(&map, 1));
    assert_null(map_get(&map, 1));
    assert_int_equal(map.count, 0);
    map_done(&map);
}

static void test_map_keys_at_the_ends(void **state)
{
    const int64_t keys[] = { 0, -1, INT64_MIN, INT64_MAX };
    struct map map;

    (void)state;
    map_init(&map);
    for (size_t i = 0; i < 4; i++)
        map_put(&map, keys[i], &values[i]);
    for (size_t i = 0; i < 4; i++)
        assert_ptr_equal(map_get(&map, keys[i]), &values[i]);
    map_done(&map);
}

/* Against an array as the model, with removals, so that freed slots are found again. */
static void test_map_like_a_model(void **state)
{
    enum { KEYS = 1000, STEPS = 100000 };
    static int *model[KEYS];
    struct map map;
    uint64_t random = 1;
    size_t count = 0;

    (void)state;
    map_init(&map);
    for (int step = 0; step < STEPS; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        int64_t key = (int64_t)(random >> 40) % KEYS;
        if (random >> 63) {
            assert_ptr_equal(map_put(&map, key * 4096, &values[key]), model[key]);
            model[key] = &values[key];
        } else {
            assert_ptr_equal(map_remove(&map, key * 4096), model[key]);
            model[key] = NULL;
        }
    }
    for (int64_t key = 0; key < KEYS; key++) {
        assert_ptr_equal(map_get(&map, key * 4096), model[key]);
        count += model[key] != NULL;
    }
    assert_int_equal(map.count, count);
    map_done(&map);
}

/* A map that entries come to and leave for ever must not grow for ever. */
static void test_map_stays_small_when_entries_come_and_go(void **state)
{
    struct map map;

    (void)state;
    map_init(&map);
    for (int64_t key = 0; key < 1000000; key++) {
        map_put(&map, key, &values[0]);
        if (key >= 10)
            assert_ptr_equal(map_remove(&map, key - 10), &values[0]);
    }
    assert_int_equal(map.count, 10);
    assert_true(map.capacity <= 256);
    map_done(&map);
}

static void test_map_walk_sees_each_once(void **state)
{
    enum { COUNT = 5000 };
    static bool seen[COUNT];
    struct map map;
    size_t position = 0, count = 0;
    int64_t key;
    void *value;

    (void)state;
    map_init(&map);
    for (int64_t i = 0; i < COUNT; i++)
        map_put(&map, i * 3, &values[i]);
    while (map_next_key(&map, &position, &key, &value)) {
        assert_ptr_equal(value, &values[key / 3]);
        assert_false(seen[key / 3]);
        seen[key / 3] = true;
        count++;
    }
    assert_int_equal(count, COUNT);
    map_done(&map);
}

static void test_map_walk_is_the_same_in_every_run(void **state)
{
    struct map a, b;
    size_t i = 0, j = 0;
    int64_t key_a, key_b;
    void *value;

    (void)state;
    map_init(&a);
    map_init(&b);
    for (int64_t key = 0; key < 1000; key++) {
        map_put(&a, key, &values[0]);
        map_put(&b, key, &values[1]);
    }
    while (map_next_key(&a, &i, &key_a, &value)) {
        assert_true(map_next_key(&b, &j, &key_b, &value));
        assert_int_equal(key_a, key_b);
    }
    map_done(&a);
    map_done(&b);
}

static void test_map_text_keys_are_copied(void **state)
{
    struct map map;
    char key[32];

    (void)state;
    map_init(&map);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "job-%d", i);
        assert_null(map_put_text(&map, key, &values[i]));
    }
    snprintf(key, sizeof key, "job-%d", 77);
    assert_ptr_equal(map_get_text(&map, key), &values[77]);
    assert_ptr_equal(map_remove_text(&map, key), &values[77]);
    assert_null(map_get_text(&map, key));
    assert_ptr_equal(map_get_text(&map, "job-999"), &values[999]);
    assert_null(map_get_text(&map, ""));
    assert_int_equal(map.count, 999);
    map_done(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_put_get_remove),
        cmocka_unit_test(test_map_keys_at_the_ends),
        cmocka_unit_test(test_map_like_a_model),
        cmocka_unit_test(test_map_stays_small_when_entries_come_and_go),
        cmocka_unit_test(test_map_walk_sees_each_once),
        cmocka_unit_test(test_map_walk_is_the_same_in_every_run),
        cmocka_unit_test(test_map_text_keys_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
