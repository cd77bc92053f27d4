#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static char text[1200];

static const char *english(const struct error *err)
{
    return error_text(err, LANGUAGE_EN, text, sizeof text);
}

static const char *chinese(const struct error *err)
{
    return error_text(err, LANGUAGE_ZH, text, sizeof text);
}

static void test_error_set_keeps_code_and_arguments(void **state)
{
    struct error err = { 0 };

    (void)state;
    assert_int_equal(error_set(&err, ERR_NOT_FOUND, "there is no user \"%s\"", "lee"), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.path, "");
    assert_string_equal(english(&err), "there is no user \"lee\"");
    assert_string_equal(chinese(&err), "没有用户“lee”");
}

static void test_error_set_on_nothing(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, ERR_IO, "%d", 1), -1);
    assert_int_equal(error_set_at(NULL, ERR_IO, "a", "%d", 1), -1);
    assert_int_equal(error_prefix_path(NULL, "a"), -1);
    assert_int_equal(error_set_position(NULL, 1, 2), -1);
}

static void test_error_conversions(void **state)
{
    const char *volatile none = NULL; /* volatile: the compiler is not to know */
    struct error err;

    (void)state;
    error_set(&err, ERR_INVALID, "%d %u %x %c %% %.*s %g", -1, 4000000000u, 255, 'c', 2, "abc", 0.5);
    assert_string_equal(english(&err), "-1 4000000000 ff c % ab 0.5");
    error_set(&err, ERR_INVALID, "%lld %llu %zu %ld", (long long)INT64_MIN,
              (unsigned long long)UINT64_MAX, (size_t)7, -3L);
    assert_string_equal(english(&err), "-9223372036854775808 18446744073709551615 7 -3");
    error_set(&err, ERR_INVALID, "%" PRId64 " and %" PRIu64, INT64_MAX, UINT64_C(1));
    assert_string_equal(english(&err), "9223372036854775807 and 1");
    error_set(&err, ERR_INVALID, "[%s]", none);
    assert_string_equal(english(&err), "[]");
}

static void test_error_text_that_is_not_translated_stays_english(void **state)
{
    struct error err;

    (void)state;
    error_set(&err, ERR_IO, "only a test says %d", 1);
    assert_string_equal(chinese(&err), "only a test says 1");
}

/* A text argument with '%' in it is text, not a format. */
static void test_error_arguments_are_no_formats(void **state)
{
    struct error err;

    (void)state;
    error_set(&err, ERR_INVALID, "not \"%s\" but %d", "%n%s%d", 5);
    assert_string_equal(english(&err), "not \"%n%s%d\" but 5");
}

static void test_error_long_arguments_are_cut_at_a_code_point(void **state)
{
    struct error err;
    char longer[3000];

    (void)state;
    for (size_t i = 0; i < sizeof longer - 1; i += 3)
        memcpy(longer + i, "钟", 3);
    longer[2997] = '\0';
    error_set(&err, ERR_INVALID, "%s|%s|%d", longer, "second", 9);
    english(&err);
    size_t size = strcspn(text, "|");
    assert_int_equal(size % 3, 0);
    assert_true(size > 700 && size < 800);
    /* the number is there still, whatever became of the texts */
    assert_string_equal(strrchr(text, '|'), "|9");
}

static void test_error_text_fits_any_buffer(void **state)
{
    struct error err;
    char small[8];

    (void)state;
    error_set(&err, ERR_INVALID, "there is no user \"%s\"", "somebody");
    for (size_t size = 1; size <= sizeof small; size++) {
        memset(small, 'x', sizeof small);
        error_text(&err, LANGUAGE_EN, small, size);
        assert_true(strlen(small) < size);
    }
}

static void test_error_path_grows_from_inside_out(void **state)
{
    struct error err;

    (void)state;
    error_set_at(&err, ERR_INVALID, "url", "bad");
    error_prefix_path(&err, "http");
    error_prefix_path(&err, "tasks[2]");
    assert_string_equal(err.path, "tasks[2].http.url");
    error_set_at(&err, ERR_INVALID, "[3].name", "bad");
    error_prefix_path(&err, "headers");
    assert_string_equal(err.path, "headers[3].name");
    error_set(&err, ERR_INVALID, "bad");
    error_prefix_path(&err, "schedule");
    assert_string_equal(err.path, "schedule");
}

static void test_error_path_is_bounded(void **state)
{
    struct error err;

    (void)state;
    error_set_at(&err, ERR_INVALID, "x", "bad");
    for (int i = 0; i < 100; i++)
        error_prefix_path(&err, "a-rather-long-member");
    assert_int_equal(strlen(err.path), sizeof err.path - 1);
}

static void test_error_position(void **state)
{
    struct error err;

    (void)state;
    error_set(&err, ERR_INVALID, "bad");
    assert_int_equal(error_set_position(&err, 2, 7), -1);
    assert_int_equal(err.field, 2);
    assert_int_equal(err.position, 7);
    error_set(&err, ERR_INVALID, "another");
    assert_int_equal(err.position, 0);
}

static void test_error_code_names_lead_back(void **state)
{
    enum error_code found;

    (void)state;
    for (unsigned code = ERR_NONE + 1; code < ERR_CODE_COUNT; code++) {
        assert_true(error_code_find(error_code_name((enum error_code)code), &found));
        assert_int_equal(found, code);
    }
    assert_false(error_code_find("no such code", &found));
    assert_false(error_code_find("", &found));
    assert_string_equal(error_code_name((enum error_code)999), "internal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_set_keeps_code_and_arguments),
        cmocka_unit_test(test_error_set_on_nothing),
        cmocka_unit_test(test_error_conversions),
        cmocka_unit_test(test_error_text_that_is_not_translated_stays_english),
        cmocka_unit_test(test_error_arguments_are_no_formats),
        cmocka_unit_test(test_error_long_arguments_are_cut_at_a_code_point),
        cmocka_unit_test(test_error_text_fits_any_buffer),
        cmocka_unit_test(test_error_path_grows_from_inside_out),
        cmocka_unit_test(test_error_path_is_bounded),
        cmocka_unit_test(test_error_position),
        cmocka_unit_test(test_error_code_names_lead_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
