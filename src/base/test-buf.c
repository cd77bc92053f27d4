#include "base/buf.h"

#include <stdint.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_buf_is_text_at_all_times(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 1000);
    assert_string_equal(buf_text(&buf), "");
    buf_add_text(&buf, "fires ");
    buf_add_number(&buf, 12);
    buf_add_char(&buf, '/');
    buf_printf(&buf, "%s", "s");
    assert_string_equal(buf_text(&buf), "fires 12/s");
    assert_int_equal(buf.size, 10);
    buf_clear(&buf);
    assert_string_equal(buf_text(&buf), "");
    buf_done(&buf);
}

static void test_buf_numbers_at_the_ends(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 1000);
    buf_add_number(&buf, INT64_MIN);
    buf_add_char(&buf, ' ');
    buf_add_number(&buf, INT64_MAX);
    buf_add_char(&buf, ' ');
    buf_add_number(&buf, 0);
    assert_string_equal(buf_text(&buf), "-9223372036854775808 9223372036854775807 0");
    buf_done(&buf);
}

static void test_buf_stops_at_its_largest_size(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 5);
    buf_add_text(&buf, "12345");
    assert_false(buf.overflow);
    buf_add_text(&buf, "6");
    assert_true(buf.overflow);
    assert_string_equal(buf_text(&buf), "12345");
    buf_done(&buf);
}

/* What comes after a write that did not fit must not stand where it would have stood. */
static void test_buf_drops_all_after_an_overflow(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 5);
    buf_add_text(&buf, "123456");
    buf_add_text(&buf, "1");
    buf_printf(&buf, "%d", 2);
    assert_true(buf.overflow);
    assert_string_equal(buf_text(&buf), "");
    buf_clear(&buf);
    buf_add_text(&buf, "1");
    assert_string_equal(buf_text(&buf), "1");
    buf_done(&buf);
}

static void test_buf_largest_size_near_the_end_of_size_t(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 100);
    buf_add_text(&buf, "x");
    assert_null(buf_reserve(&buf, SIZE_MAX));
    assert_true(buf.overflow);
    buf_done(&buf);
}

static void test_buf_grows(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 1000000);
    for (int i = 0; i < 100000; i++)
        buf_add_text(&buf, "0123456789");
    assert_false(buf.overflow);
    assert_int_equal(buf.size, 1000000);
    assert_int_equal(buf.bytes[999999], '9');
    buf_done(&buf);
}

static void test_buf_consume_from_the_front(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 100);
    buf_add_text(&buf, "head|body");
    buf_consume(&buf, 5);
    assert_string_equal(buf_text(&buf), "body");
    buf_consume(&buf, 4);
    assert_string_equal(buf_text(&buf), "");
    buf_consume(&buf, 0);
    buf_done(&buf);
}

static void test_buf_take_hands_over(void **state)
{
    struct buf buf;
    char *taken;

    (void)state;
    buf_init(&buf, 100);
    buf_add_text(&buf, "kept");
    taken = buf_take(&buf);
    assert_string_equal(taken, "kept");
    assert_int_equal(buf.size, 0);
    free(taken);
    taken = buf_take(&buf);
    assert_string_equal(taken, "");
    free(taken);
    buf_done(&buf);
}

static void test_buf_reserve_and_commit(void **state)
{
    struct buf buf;
    char *room;

    (void)state;
    buf_init(&buf, 100);
    room = buf_reserve(&buf, 10);
    assert_non_null(room);
    room[0] = 'a';
    room[1] = 'b';
    buf_commit(&buf, 2);
    assert_string_equal(buf_text(&buf), "ab");
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_is_text_at_all_times),
        cmocka_unit_test(test_buf_numbers_at_the_ends),
        cmocka_unit_test(test_buf_stops_at_its_largest_size),
        cmocka_unit_test(test_buf_drops_all_after_an_overflow),
        cmocka_unit_test(test_buf_largest_size_near_the_end_of_size_t),
        cmocka_unit_test(test_buf_grows),
        cmocka_unit_test(test_buf_consume_from_the_front),
        cmocka_unit_test(test_buf_take_hands_over),
        cmocka_unit_test(test_buf_reserve_and_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
