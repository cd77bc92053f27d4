#include "json/json-private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int parse(struct str text, char **ret_compact, struct error *err, struct arena *arena)
{
    struct json_node *root = NULL;

    if (json_parse(text, 1 << 20, arena, &root, err) < 0)
        return -1;
    *ret_compact = json_compact_text(root, arena);
    return 0;
}

static void test_accepts(void **state)
{
    static const struct {
        struct str text;
        const char *compact;
    } rows[] = {
        { STR("null"), "null" },
        { STR(" \t\r\n true "), "true" },
        { STR("[]"), "[]" },
        { STR("[ [ ] , { } ]"), "[[],{}]" },
        { STR("{\"a\": 1, \"b\": [1, 2.50, -0, 1e5, 1E-7]}"), "{\"a\":1,\"b\":[1,2.50,-0,1e5,1E-7]}" },
        { STR("\"\\u0041\\u00e9\\u949f\\ud83d\\ude00\\/\""), "\"Aé钟😀/\"" },
        { STR("\"\\\"\\\\\\b\\f\\n\\r\\t\""), "\"\\\"\\\\\\b\\f\\n\\r\\t\"" },
        { STR("9007199254740993"), "9007199254740993" },
        { STR("9223372036854775807"), "9223372036854775807" },
        { STR("-9223372036854775808"), "-9223372036854775808" },
        { STR("{\"\":{\"\":\"\"}}"), "{\"\":{\"\":\"\"}}" },
        { STR("1.7976931348623157e308"), "1.7976931348623157e308" },
        { STR("\"\x7f\""), "\"\\u007f\"" },
    };
    struct arena *arena = arena_new();
    struct error err;
    char *compact = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(parse(rows[i].text, &compact, &err, arena), 0);
        assert_string_equal(compact, rows[i].compact);
    }
    arena_free(&arena);
}

static void test_refuses(void **state)
{
    static const struct {
        struct str text;
        int position; /* 0: none is given */
    } rows[] = {
        { STR(""), 1 },
        { STR("  "), 3 },
        { STR("[1,]"), 4 },
        { STR("[,1]"), 2 },
        { STR("[1 2]"), 4 },
        { STR("{\"a\":1,}"), 8 },
        { STR("{\"a\" 1}"), 6 },
        { STR("{a:1}"), 2 },
        { STR("{'a':1}"), 2 },
        { STR("[1]]"), 4 },
        { STR("[1}"), 3 },
        { STR("1 2"), 3 },
        { STR("01"), 2 },
        { STR("-"), 2 },
        { STR("+1"), 1 },
        { STR(".5"), 1 },
        { STR("1."), 3 },
        { STR("1e"), 3 },
        { STR("0x10"), 2 },
        { STR("NaN"), 1 },
        { STR("Infinity"), 1 },
        { STR("nul"), 1 },
        { STR("truth"), 1 },
        { STR("9223372036854775808"), 1 },
        { STR("-9223372036854775809"), 1 },
        { STR("1e999"), 1 },
        { STR("\"abc"), 5 },
        { STR("\"a\nb\""), 3 },
        { STR("\"钟\\x\""), 3 },
        { STR("\"\\u12\""), 2 },
        { STR("\"\\u0000\""), 2 },
        { STR("\"\\ud800\""), 2 },
        { STR("\"\\ud800\\u0041\""), 2 },
        { STR("\"\\udc00\""), 2 },
        { STR("\"\\"), 3 },
        { STR("\"\0\""), 2 },
        { STR("\"\xFF\""), 0 },
        { STR("\"\xED\xA0\x80\""), 0 },
        { STR("\xEF\xBB\xBF{}"), 1 }, /* byte order mark */
        { STR("[1] // x"), 5 },
        { STR("/* x */ 1"), 1 },
    };
    struct arena *arena = arena_new();
    struct error err;
    char *compact = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (parse(rows[i].text, &compact, &err, arena) == 0)
            fail_msg("accepted: %.*s", (int)rows[i].text.size, rows[i].text.bytes);
        assert_int_equal(err.code, ERR_INVALID);
        if (err.position != rows[i].position)
            fail_msg("%s: position %d", rows[i].text.bytes, err.position);
    }
    arena_free(&arena);
}

static void test_duplicates(void **state)
{
    struct arena *arena = arena_new();
    struct error err;
    struct buf many;
    char *compact = NULL;

    (void)state;
    assert_int_equal(parse(STR("{\"a\":[{},{\"b\":{\"c\":1,\"\\u0063\":2}}]}"), &compact, &err, arena), -1);
    assert_string_equal(err.path, "a[1].b.c");
    buf_init(&many, 1 << 20);
    buf_add_char(&many, '{');
    for (int i = 0; i < 1000; i++)
        buf_printf(&many, "\"m%d\":%d,", i, i);
    size_t size = many.size;
    buf_add_text(&many, "\"last\":1}");
    assert_int_equal(parse(buf_str(&many), &compact, &err, arena), 0);
    many.size = size;
    buf_add_text(&many, "\"m500\":1}");
    assert_int_equal(parse(buf_str(&many), &compact, &err, arena), -1);
    assert_string_equal(err.path, "m500");
    buf_done(&many);
    arena_free(&arena);
}

static void test_bounds(void **state)
{
    struct arena *arena = arena_new();
    struct json_node *root;
    struct error err;
    char text[80];

    (void)state;
    memset(text, '[', 33);
    memset(text + 33, ']', 33);
    assert_int_equal(json_parse((struct str){ text + 1, 64 }, 100, arena, &root, &err), 0);
    assert_int_equal(json_parse((struct str){ text, 66 }, 100, arena, &root, &err), -1);
    assert_int_equal(err.position, 33);
    assert_int_equal(json_parse((struct str){ text + 1, 64 }, 63, arena, &root, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
