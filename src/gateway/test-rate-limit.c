#include "gateway/rate-limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

static void test_rate_burst_then_rate(void **state)
{
    struct rate_limit *limit = rate_limit_new(10, 20, 64);

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(rate_limit_take(limit, STR("a"), 1000), 0);
    assert_int_equal(rate_limit_take(limit, STR("a"), 1000), 100);
    assert_int_equal(rate_limit_take(limit, STR("a"), 1099), 1);
    assert_int_equal(rate_limit_take(limit, STR("a"), 1100), 0);
    assert_true(rate_limit_take(limit, STR("a"), 1100) > 0);
    assert_int_equal(rate_limit_take(limit, STR("b"), 1100), 0); /* somebody else's is his own */
    rate_limit_free(&limit);
}

static void test_rate_fills_to_the_burst_only(void **state)
{
    struct rate_limit *limit = rate_limit_new(1000000, 3, 64);

    (void)state;
    assert_int_equal(rate_limit_take(limit, STR("a"), 0), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rate_limit_take(limit, STR("a"), INT64_MAX / 2), 0);
    assert_true(rate_limit_take(limit, STR("a"), INT64_MAX / 2) > 0);
    rate_limit_free(&limit);
}

static void test_rate_clock_that_steps_back_gives_nothing(void **state)
{
    struct rate_limit *limit = rate_limit_new(10, 1, 64);

    (void)state;
    assert_int_equal(rate_limit_take(limit, STR("a"), 5000), 0);
    assert_true(rate_limit_take(limit, STR("a"), 1000) > 0);
    rate_limit_free(&limit);
}

/* A flood of new keys makes room of idle buckets, not of the one that is being held back. */
static void test_rate_flood_does_not_free_the_limited(void **state)
{
    struct rate_limit *limit = rate_limit_new(1, 2, 4);
    char key[32];

    (void)state;
    assert_int_equal(rate_limit_take(limit, STR("greedy"), 0), 0);
    assert_int_equal(rate_limit_take(limit, STR("greedy"), 0), 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key%d", i);
        assert_int_equal(rate_limit_take(limit, str_of(key), 0), 0);
    }
    assert_true(rate_limit_take(limit, STR("greedy"), 0) > 0);
    rate_limit_free(&limit);
}

static void test_rate_zero_is_no_limit(void **state)
{
    struct rate_limit *limit = rate_limit_new(0, 0, 64);

    (void)state;
    assert_null(limit);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rate_limit_take(limit, STR("a"), 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_burst_then_rate),
        cmocka_unit_test(test_rate_fills_to_the_burst_only),
        cmocka_unit_test(test_rate_clock_that_steps_back_gives_nothing),
        cmocka_unit_test(test_rate_flood_does_not_free_the_limited),
        cmocka_unit_test(test_rate_zero_is_no_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
