#include "service/picker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *const urls[] = { "http://a:1", "http://b:1", "http://c:1" };

static const char *choose(struct picker *picker, const char *except, int64_t now)
{
    return picker_choose(picker, "s", urls, 3, except, now);
}

static void test_picker_takes_turns(void **state)
{
    (void)state;
    struct picker *picker = picker_new();

    assert_null(picker_choose(picker, "s", urls, 0, NULL, 0));
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < 3; i++)
            assert_ptr_equal(choose(picker, NULL, 0), urls[i]);
    assert_ptr_equal(choose(picker, urls[0], 0), urls[1]);
    /* the only one is asked again */
    assert_ptr_equal(picker_choose(picker, "t", urls, 1, urls[0], 0), urls[0]);
    picker_free(&picker);
}

static void test_picker_leaves_out_the_unreachable(void **state)
{
    (void)state;
    struct picker *picker = picker_new();

    picker_failed(picker, urls[1], true, 1000);
    for (int i = 0; i < 6; i++)
        assert_ptr_not_equal(choose(picker, NULL, 1000 + PICKER_OUT_MS - 1), urls[1]);
    /* its time is over: one may try */
    int tried = 0;
    for (int i = 0; i < 6; i++)
        tried += choose(picker, NULL, 1000 + PICKER_OUT_MS) == urls[1];
    assert_int_equal(tried, 1);
    picker_worked(picker, urls[1]);
    tried = 0;
    for (int i = 0; i < 6; i++)
        tried += choose(picker, NULL, 1000 + PICKER_OUT_MS) == urls[1];
    assert_int_equal(tried, 2);
    picker_free(&picker);
}

static void test_picker_forgives_two_failures(void **state)
{
    (void)state;
    struct picker *picker = picker_new();
    int chosen = 0;

    picker_failed(picker, urls[0], false, 0);
    picker_failed(picker, urls[0], false, 0);
    for (int i = 0; i < 6; i++)
        chosen += choose(picker, NULL, 0) == urls[0];
    assert_int_equal(chosen, 2);
    picker_failed(picker, urls[0], false, 0);
    for (int i = 0; i < 6; i++)
        assert_ptr_not_equal(choose(picker, NULL, 0), urls[0]);
    picker_free(&picker);
}

static void test_picker_panics(void **state)
{
    (void)state;
    struct picker *picker = picker_new();
    int seen[3] = { 0 };

    for (size_t i = 0; i < 3; i++)
        picker_failed(picker, urls[i], true, 0);
    for (int i = 0; i < 6; i++) {
        const char *url = choose(picker, NULL, 1);
        for (size_t k = 0; k < 3; k++)
            seen[k] += url == urls[k];
    }
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(seen[k], 2);
    picker_free(&picker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picker_takes_turns),
        cmocka_unit_test(test_picker_leaves_out_the_unreachable),
        cmocka_unit_test(test_picker_forgives_two_failures),
        cmocka_unit_test(test_picker_panics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
