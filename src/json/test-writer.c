#include "json/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_nesting_and_commas(void **state)
{
    struct json_writer w;
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    json_begin(&w, &out);
    json_object(&w);
    json_name(&w, "a");
    json_int(&w, -5);
    json_name(&w, "b");
    json_array(&w);
    json_object(&w);
    json_object_end(&w);
    json_array(&w);
    json_array_end(&w);
    json_bool(&w, true);
    json_null(&w);
    json_array_end(&w);
    json_name(&w, "c");
    json_raw(&w, "{\"x\":1}");
    json_object_end(&w);
    assert_string_equal(buf_text(&out), "{\"a\":-5,\"b\":[{},[],true,null],\"c\":{\"x\":1}}");
    assert_int_equal(w.depth, 0);
    buf_done(&out);
}

static void test_texts(void **state)
{
    static const struct {
        struct str text;
        const char *json;
    } rows[] = {
        { STR(""), "\"\"" },
        { STR("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"" },
        { STR("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"" },
        { STR("\x01\x1f\x7f"), "\"\\u0001\\u001f\\u007f\"" },
        { STR("钟楼 \xF0\x9F\x94\x94"), "\"钟楼 \xF0\x9F\x94\x94\"" },
        { STR("a\0b"), "\"a\\u0000b\"" },
        { STR("\xC0\xAF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"" },
        { STR("x\xED\xA0\x80"), "\"x\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
        { STR("cut \xE9\x92"), "\"cut \xEF\xBF\xBD\xEF\xBF\xBD\"" },
    };
    struct json_writer w;
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_init(&out, 1000);
        json_begin(&w, &out);
        json_str(&w, rows[i].text);
        assert_string_equal(buf_text(&out), rows[i].json);
        buf_done(&out);
    }
}

static void test_numbers(void **state)
{
    static const struct {
        double number;
        const char *json;
    } rows[] = {
        { 0, "0" },       { 0.1, "0.1" },           { -2.5, "-2.5" },  { 1e300, "1e+300" },
        { NAN, "null" },  { INFINITY, "null" },     { 100, "100" },    { 1.0 / 3, "0.333333333333333315" },
    };
    struct json_writer w;
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_init(&out, 1000);
        json_begin(&w, &out);
        json_double(&w, rows[i].number);
        if (i < 7)
            assert_string_equal(buf_text(&out), rows[i].json);
        else
            assert_true(strtod(buf_text(&out), NULL) >= rows[i].number &&
                        strtod(buf_text(&out), NULL) <= rows[i].number);
        buf_done(&out);
    }
    buf_init(&out, 1000);
    json_begin(&w, &out);
    json_int(&w, INT64_MIN);
    assert_string_equal(buf_text(&out), "-9223372036854775808");
    buf_done(&out);
}

static void test_times(void **state)
{
    struct json_writer w;
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    json_begin(&w, &out);
    json_array(&w);
    json_time(&w, 0);
    json_time(&w, 1795570200250);
    json_array_end(&w);
    assert_string_equal(buf_text(&out), "[null,\"2026-11-25T01:30:00.250Z\"]");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting_and_commas),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
