#include "auth/login-throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

static int64_t fail_many(struct login_throttle *t, const char *account, const char *address,
                         int count, int64_t *now)
{
    int64_t longest = 0;

    for (int i = 0; i < count; i++) {
        int64_t wait = login_throttle_begin(t, account, address, *now);
        longest = wait > longest ? wait : longest;
        if (wait) {
            *now += wait;
            assert_int_equal(login_throttle_begin(t, account, address, *now), 0);
        }
    }
    return longest;
}

static void test_throttle_first_tries_are_free(void **state)
{
    struct login_throttle *t = login_throttle_new(100);
    int64_t now = 1000000;

    (void)state;
    assert_int_equal(fail_many(t, "chen", "10.0.0.1", 6, &now), 0);
    assert_int_equal(login_throttle_begin(t, "chen", "10.0.0.1", now), 1000);
    login_throttle_free(&t);
}

static void test_throttle_wait_doubles_to_a_cap(void **state)
{
    struct login_throttle *t = login_throttle_new(100);
    int64_t now = 1000000, before = 500;

    (void)state;
    fail_many(t, "chen", "10.0.0.1", 6, &now);
    for (int i = 0; i < 6; i++) {
        int64_t wait = login_throttle_begin(t, "chen", "10.0.0.1", now);
        assert_int_equal(wait, 2 * before);
        before = wait;
        now += wait;
        assert_int_equal(login_throttle_begin(t, "chen", "10.0.0.1", now), 0);
    }
    /* never permanent: an account waits a minute at most, wherever the tries come from */
    for (int i = 0; i < 40; i++) {
        char address[32];
        snprintf(address, sizeof address, "10.1.0.%d", i);
        int64_t wait = login_throttle_begin(t, "chen", address, now);
        assert_true(wait <= 60000);
        now += wait;
        login_throttle_begin(t, "chen", address, now);
    }
    login_throttle_free(&t);
}

static void test_throttle_blocked_tries_do_not_count(void **state)
{
    struct login_throttle *t = login_throttle_new(100);
    int64_t now = 1000000;

    (void)state;
    fail_many(t, "chen", "10.0.0.1", 6, &now);
    for (int i = 0; i < 50; i++)
        assert_int_equal(login_throttle_begin(t, "chen", "10.0.0.1", now), 1000);
    login_throttle_free(&t);
}

static void test_throttle_success_clears_the_account_only(void **state)
{
    struct login_throttle *t = login_throttle_new(100);
    int64_t now = 1000000;

    (void)state;
    /* an attacker with an account of his own resets nothing but that */
    for (int i = 0; i < 21; i++) {
        char account[16];
        snprintf(account, sizeof account, "victim%d", i);
        assert_int_equal(login_throttle_begin(t, account, "10.0.0.1", now), 0);
        if (i < 20) {
            assert_int_equal(login_throttle_begin(t, "mallory", "10.0.0.1", now), 0);
            login_throttle_success(t, "mallory", "10.0.0.1");
        }
    }
    assert_int_equal(login_throttle_begin(t, "victim99", "10.0.0.1", now), 1000);
    assert_int_equal(login_throttle_begin(t, "victim99", "10.0.0.2", now), 0);
    login_throttle_free(&t);
}

static void test_throttle_time_forgives(void **state)
{
    struct login_throttle *t = login_throttle_new(100);
    int64_t now = 1000000;

    (void)state;
    fail_many(t, "chen", "10.0.0.1", 10, &now);
    now += 11 * 60000;
    assert_int_equal(login_throttle_begin(t, "chen", "10.0.0.1", now), 0);
    assert_int_equal(login_throttle_begin(t, "chen", "10.0.0.1", now), 0);
    login_throttle_free(&t);
}

static void test_throttle_ipv6_by_site(void **state)
{
    struct login_throttle *t = login_throttle_new(100);
    int64_t now = 1000000;

    (void)state;
    for (int i = 0; i < 21; i++) {
        char account[16], address[32];
        snprintf(account, sizeof account, "user%d", i);
        snprintf(address, sizeof address, "2001:db8::%x", i + 1);
        assert_int_equal(login_throttle_begin(t, account, address, now), 0);
    }
    assert_true(login_throttle_begin(t, "other", "2001:db8::ffff", now) > 0);
    assert_int_equal(login_throttle_begin(t, "other", "2001:db8:0:1::1", now), 0);
    login_throttle_free(&t);
}

static void test_throttle_memory_is_bounded(void **state)
{
    struct login_throttle *t = login_throttle_new(4);
    char account[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(account, sizeof account, "user%d", i);
        login_throttle_begin(t, account, "10.0.0.1", 1000000 + i * INT64_C(2000000));
    }
    login_throttle_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_throttle_first_tries_are_free),
        cmocka_unit_test(test_throttle_wait_doubles_to_a_cap),
        cmocka_unit_test(test_throttle_blocked_tries_do_not_count),
        cmocka_unit_test(test_throttle_success_clears_the_account_only),
        cmocka_unit_test(test_throttle_time_forgives),
        cmocka_unit_test(test_throttle_ipv6_by_site),
        cmocka_unit_test(test_throttle_memory_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
