#include "base/pool.h"

#include "base/memory.h"
#include "base/random.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_pool_uses_objects_again(void **state)
{
    enum { SIZE = 40, ROUNDS = 1000 };
    struct pool pool;
    static const char zero[SIZE];
    char *first, *second;

    (void)state;
    pool_init(&pool, SIZE);
    first = pool_take(&pool);
    memset(first, 0xff, SIZE);
    pool_put(&pool, first);
    for (int i = 0; i < ROUNDS; i++) {
        second = pool_take(&pool);
        assert_ptr_equal(second, first);
        assert_memory_equal(second, zero, SIZE);
        memset(second, 0xff, SIZE);
        pool_put(&pool, second);
    }
    assert_int_equal(pool.count, 0);
    pool_done(&pool);
}

static void test_pool_objects_do_not_overlap(void **state)
{
    enum { COUNT = 1000 };
    struct pool pool;
    int *objects[COUNT];

    (void)state;
    pool_init(&pool, sizeof(int));
    for (int i = 0; i < COUNT; i++) {
        objects[i] = pool_take(&pool);
        *objects[i] = i;
    }
    assert_int_equal(pool.count, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(*objects[i], i);
    pool_done(&pool);
}

static void test_memory_texts(void **state)
{
    char *text = memory_strdup("belfry");

    (void)state;
    assert_null(memory_strdup(NULL));
    assert_string_equal(text, "belfry");
    memory_free_text(&text);
    assert_null(text);
    text = memory_strndup("belfry", 3);
    assert_string_equal(text, "bel");
    memory_free_text(&text);
}

static void test_memory_cleanup_and_take(void **state)
{
    char *kept;

    (void)state;
    {
        CLEANUP(memory_free_text) char *text = memory_strdup("handed over");
        CLEANUP(memory_free_text) char *freed = memory_strdup("freed here");
        kept = TAKE(text);
        assert_null(text);
        assert_non_null(freed);
    }
    assert_string_equal(kept, "handed over");
    memory_free_text(&kept);
}

static void test_random_is_not_the_same_twice(void **state)
{
    char a[33], b[33];

    (void)state;
    random_hex(a);
    random_hex(b);
    assert_int_equal(strlen(a), 32);
    assert_int_equal(strspn(a, "0123456789abcdef"), 32);
    assert_string_not_equal(a, b);
    assert_true(random_u64() != random_u64());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_uses_objects_again),
        cmocka_unit_test(test_pool_objects_do_not_overlap),
        cmocka_unit_test(test_memory_texts),
        cmocka_unit_test(test_memory_cleanup_and_take),
        cmocka_unit_test(test_random_is_not_the_same_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
