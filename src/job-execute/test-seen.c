#include "job-execute/seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_seen_taken_and_refused(void **state)
{
    struct seen seen;

    (void)state;
    seen_init(&seen, 0);
    assert_int_equal(seen_find(&seen, 7, 1, 1), SEEN_NOT);
    seen_add(&seen, 7, 1, 1, false, 0);
    seen_add(&seen, 7, 1, 2, true, 0);
    assert_int_equal(seen_find(&seen, 7, 1, 1), SEEN_TAKEN);
    assert_int_equal(seen_find(&seen, 7, 1, 2), SEEN_REFUSED);
    assert_int_equal(seen_find(&seen, 7, 2, 1), SEEN_NOT);
    assert_int_equal(seen_find(&seen, 8, 1, 1), SEEN_NOT);
    seen_done(&seen);
}

static void test_seen_keeps_for_its_time(void **state)
{
    struct seen seen;

    (void)state;
    seen_init(&seen, 0);
    seen_add(&seen, 1, 1, 1, false, SEEN_KEEP_MS - 1);
    seen_add(&seen, 2, 1, 1, false, SEEN_KEEP_MS);
    assert_int_equal(seen_find(&seen, 1, 1, 1), SEEN_TAKEN);
    seen_turn(&seen, 2 * SEEN_KEEP_MS);
    assert_int_equal(seen_find(&seen, 1, 1, 1), SEEN_NOT);
    assert_int_equal(seen_find(&seen, 2, 1, 1), SEEN_TAKEN);
    seen_turn(&seen, 3 * SEEN_KEEP_MS);
    assert_int_equal(seen_find(&seen, 2, 1, 1), SEEN_NOT);
    seen_done(&seen);
}

static void test_seen_many(void **state)
{
    enum { MANY = 100000 };
    struct seen seen;

    (void)state;
    seen_init(&seen, 0);
    for (int i = 0; i < MANY; i++)
        seen_add(&seen, i, 1, i % 7, i % 3 == 0, 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(seen_find(&seen, i, 1, i % 7), i % 3 ? SEEN_TAKEN : SEEN_REFUSED);
        assert_int_equal(seen_find(&seen, i, 2, i % 7), SEEN_NOT);
    }
    assert_true(seen.now.capacity * sizeof *seen.now.slots <= 8 * 4 * MANY);
    seen_done(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seen_taken_and_refused),
        cmocka_unit_test(test_seen_keeps_for_its_time),
        cmocka_unit_test(test_seen_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
