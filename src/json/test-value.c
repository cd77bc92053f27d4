#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_check(void **state)
{
    struct arena *arena = arena_new();
    struct error err;
    char *compact = NULL;

    (void)state;
    assert_int_equal(json_check(STR("{ \"a\" : [ 1 ] }"), 100, true, arena, &compact, &err), 0);
    assert_string_equal(compact, "{\"a\":[1]}");
    assert_int_equal(json_check(STR("[1]"), 100, false, arena, NULL, &err), 0);
    assert_int_equal(json_check(STR("[1]"), 100, true, arena, NULL, &err), -1);
    assert_string_equal(error_english(&err), "must be an object");
    assert_int_equal(json_check(STR("[1]"), 2, false, arena, NULL, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    arena_free(&arena);
}

/* The examples of RFC 6901 section 5, and what is not there. */
static void test_pointer(void **state)
{
    static const struct str document =
        STR("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,"
            "\"k\\\"l\":6,\" \":7,\"m~n\":8,\"t\":\"x\\ny\",\"n\":null}");
    static const struct {
        const char *pointer;
        bool as_text;
        const char *value; /* NULL: not there */
    } rows[] = {
        { "/foo", false, "[\"bar\",\"baz\"]" },
        { "/foo/0", false, "\"bar\"" },
        { "/foo/0", true, "bar" },
        { "/", false, "0" },
        { "/a~1b", false, "1" },
        { "/c%d", false, "2" },
        { "/e^f", false, "3" },
        { "/g|h", false, "4" },
        { "/i\\j", false, "5" },
        { "/k\"l", false, "6" },
        { "/ ", false, "7" },
        { "/m~0n", true, "8" },
        { "/t", true, "x\ny" },
        { "/t", false, "\"x\\ny\"" },
        { "/n", true, "null" },
        { "/foo/2", true, NULL },
        { "/foo/-", true, NULL },
        { "/foo/00", true, NULL },
        { "/foo/0/x", true, NULL },
        { "/absent", true, NULL },
        { "/foo/18446744073709551616", true, NULL },
    };
    struct arena *arena = arena_new();
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *value = NULL;
        int found = json_pointer(document, rows[i].pointer, rows[i].as_text, arena, &value, &err);
        assert_int_equal(found, rows[i].value ? 1 : 0);
        if (rows[i].value)
            assert_string_equal(value, rows[i].value);
    }
    char *whole = NULL;
    assert_int_equal(json_pointer(STR("[1 ]"), "", false, arena, &whole, &err), 1);
    assert_string_equal(whole, "[1]");
    assert_int_equal(json_pointer(document, "foo", false, arena, &whole, &err), -1);
    assert_int_equal(json_pointer(document, "/~2", false, arena, &whole, &err), -1);
    assert_int_equal(json_pointer(STR("{"), "/a", false, arena, &whole, &err), -1);
    assert_false(json_pointer_valid("/a~"));
    assert_true(json_pointer_valid(""));
    arena_free(&arena);
}

static void test_pairs(void **state)
{
    struct arena *arena = arena_new();
    struct json_pair *pairs = NULL;
    struct error err;
    size_t count = 0;

    (void)state;
    assert_int_equal(json_pairs(STR("{\"a\":\"x\",\"b\":1.50,\"c\":true,\"d\":null}"), arena, &pairs,
                                &count, &err), 0);
    assert_int_equal(count, 4);
    assert_string_equal(pairs[0].value, "x");
    assert_string_equal(pairs[1].value, "1.50");
    assert_string_equal(pairs[2].value, "true");
    assert_string_equal(pairs[3].name, "d");
    assert_int_equal(json_pairs(STR("{\"a\":{\"b\":1}}"), arena, &pairs, &count, &err), -1);
    assert_string_equal(err.path, "a");
    assert_int_equal(json_pairs(STR("[]"), arena, &pairs, &count, &err), -1);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_pointer),
        cmocka_unit_test(test_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
