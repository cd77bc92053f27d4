#include "gateway/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static int cookie(const char *text, const char *more, struct str *ret)
{
    struct http_header headers[] = { { STR("cookie"), str_of(text) },
                                     { STR("Cookie"), str_of(more) } };

    return cookie_find(headers, more ? 2 : 1, "belfry", ret);
}

static void test_cookie_find(void **state)
{
    static const struct {
        const char *text, *more;
        int found;
    } rows[] = {
        { "belfry=abc", NULL, 1 },
        { "a=b; belfry=abc; c=d", NULL, 1 },
        { "a=b;belfry=abc", NULL, 1 },
        { "a=b", "belfry=abc", 1 },
        { "a=b", NULL, 0 },
        { "", NULL, 0 },
        { "belfry", NULL, -1 },
        { "Belfry=abc", NULL, 0 },
        { "xbelfry=abc", NULL, 0 },
        { "__Host-belfry=abc", NULL, 0 },
        { "belfry=abc; belfry=abd", NULL, -1 },
        { "belfry=abc", "belfry=abc", -1 },
        { "belfry=", NULL, -1 },
        { "belfry=\"abc\"", NULL, -1 },
        { "belfry=a b", NULL, -1 },
        { "belfry=a\\b", NULL, -1 },
    };
    struct str value;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(cookie(rows[i].text, rows[i].more, &value), rows[i].found);
        if (rows[i].found == 1)
            assert_true(str_is(value, "abc"));
    }
}

static int bearer(const char *text, struct str *ret)
{
    struct http_header headers[] = { { STR("AUTHORIZATION"), str_of(text) } };

    return bearer_find(headers, 1, ret);
}

static void test_bearer_find(void **state)
{
    static const struct {
        const char *text;
        int found;
    } rows[] = {
        { "Bearer abc", 1 },  { "bearer   abc ", 1 }, { "Bearer", -1 },      { "Bearer ", -1 },
        { "Basic abc", -1 },  { "Bearer a b", -1 },   { "Bearer abc,def", -1 }, { "", -1 },
        { "Bearerabc", -1 },  { "Bearer a\001c", -1 },
    };
    struct str token;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(bearer(rows[i].text, &token), rows[i].found);
        if (rows[i].found == 1)
            assert_true(str_is(token, "abc"));
    }
}

static void test_bearer_twice_is_none(void **state)
{
    struct http_header headers[] = { { STR("Authorization"), STR("Bearer abc") },
                                     { STR("authorization"), STR("Bearer abc") } };
    struct str token;

    (void)state;
    assert_int_equal(bearer_find(headers, 2, &token), -1);
    assert_int_equal(bearer_find(headers, 0, &token), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cookie_find),
        cmocka_unit_test(test_bearer_find),
        cmocka_unit_test(test_bearer_twice_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
