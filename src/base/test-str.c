#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_str_compares(void **state)
{
    (void)state;
    assert_true(str_is(STR("GET"), "GET"));
    assert_false(str_is(STR("GET"), "GETS"));
    assert_false(str_is(STR("GETS"), "GET"));
    assert_true(str_is((struct str){ 0 }, ""));
    assert_true(str_equal((struct str){ 0 }, STR("")));
    assert_true(str_equal_nocase(STR("Content-Type"), STR("cONTENT-tYPE")));
    assert_false(str_equal_nocase(STR("[x"), STR("{X"))); /* only letters fold */
    assert_true(str_starts_with(STR("belfry"), STR("bel")));
    assert_false(str_starts_with(STR("be"), STR("bel")));
}

static void test_str_trim_spaces_and_tabs(void **state)
{
    (void)state;
    assert_true(str_is(str_trim(STR(" \t a b \t")), "a b"));
    assert_true(str_is(str_trim(STR("  ")), ""));
    assert_true(str_is(str_trim(STR("\r\na")), "\r\na"));
}

static void test_str_split_keeps_empty_parts(void **state)
{
    struct str rest = STR(",a,,b,"), part;
    const char *const want[] = { "", "a", "", "b", "" };
    size_t count = 0;

    (void)state;
    while (str_split(&rest, ',', &part)) {
        assert_true(count < 5);
        assert_true(str_is(part, want[count]));
        count++;
    }
    assert_int_equal(count, 5);
    assert_null(rest.bytes);
}

static void test_str_split_of_nothing(void **state)
{
    struct str rest = str_of(NULL), part;

    (void)state;
    assert_false(str_split(&rest, ',', &part));
    rest = str_of("");
    assert_true(str_split(&rest, ',', &part));
    assert_int_equal(part.size, 0);
    assert_false(str_split(&rest, ',', &part));
}

static void test_utf8_valid_by_the_table_of_unicode(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool valid;
    } rows[] = {
        { "", 0, true },
        { "plain\0too", 9, true },
        { "\xc3\xa9", 2, true },
        { "\xe9\x92\x9f\xe6\xa5\xbc", 6, true },
        { "\xf0\x9f\x94\x94", 4, true },
        { "\xf4\x8f\xbf\xbf", 4, true },  /* U+10FFFF */
        { "\xf4\x90\x80\x80", 4, false }, /* beyond it */
        { "\xf5\x80\x80\x80", 4, false },
        { "\xc0\x80", 2, false },         /* overlong NUL */
        { "\xc1\xbf", 2, false },
        { "\xe0\x9f\xbf", 3, false },     /* overlong */
        { "\xe0\xa0\x80", 3, true },
        { "\xf0\x8f\xbf\xbf", 4, false }, /* overlong */
        { "\xed\x9f\xbf", 3, true },
        { "\xed\xa0\x80", 3, false },     /* surrogate */
        { "\xed\xbf\xbf", 3, false },
        { "\xee\x80\x80", 3, true },
        { "\x80", 1, false },
        { "\xc3", 1, false },             /* cut off */
        { "\xe9\x92", 2, false },
        { "\xf0\x9f\x94", 3, false },
        { "\xc3(", 2, false },
        { "\xe9\x92(", 3, false },
        { "a\xff", 2, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(utf8_valid((struct str){ rows[i].bytes, rows[i].size }), rows[i].valid);
}

static void test_utf8_count_code_points(void **state)
{
    (void)state;
    assert_int_equal(utf8_count(STR("")), 0);
    assert_int_equal(utf8_count(STR("belfry")), 6);
    assert_int_equal(utf8_count(STR("钟楼🔔")), 3);
}

static void test_number_parse_takes_digits_only(void **state)
{
    static const struct {
        const char *text;
        int64_t min, max, want;
        bool good;
    } rows[] = {
        { "0", 0, 9, 0, true },
        { "007", 0, 9, 7, true },
        { "9223372036854775807", 0, INT64_MAX, INT64_MAX, true },
        { "9223372036854775808", 0, INT64_MAX, 0, false },
        { "99999999999999999999", 0, INT64_MAX, 0, false },
        { "-5", -9, 9, -5, true },
        { "-0", -9, 9, 0, true },
        { "-5", 0, 9, 0, false },
        { "-", -9, 9, 0, false },
        { "", 0, 9, 0, false },
        { "+5", 0, 9, 0, false },
        { " 5", 0, 9, 0, false },
        { "5 ", 0, 9, 0, false },
        { "5x", 0, 9, 0, false },
        { "0x5", 0, 9, 0, false },
        { "1e1", 0, 99, 0, false },
        { "５", 0, 9, 0, false }, /* full-width */
        { "10", 0, 9, 0, false },
        { "1", 2, 9, 0, false },
        { "-10", -9, 9, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t number = 42;
        bool good = number_parse(str_of(rows[i].text), rows[i].min, rows[i].max, &number);

        assert_int_equal(good, rows[i].good);
        assert_int_equal(number, rows[i].good ? rows[i].want : 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str_compares),
        cmocka_unit_test(test_str_trim_spaces_and_tabs),
        cmocka_unit_test(test_str_split_keeps_empty_parts),
        cmocka_unit_test(test_str_split_of_nothing),
        cmocka_unit_test(test_utf8_valid_by_the_table_of_unicode),
        cmocka_unit_test(test_utf8_count_code_points),
        cmocka_unit_test(test_number_parse_takes_digits_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
