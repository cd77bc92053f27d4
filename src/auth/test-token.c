#include "auth/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_token_session_make_differs(void **state)
{
    char a[TOKEN_SECRET_SIZE + 1], b[TOKEN_SECRET_SIZE + 1];

    (void)state;
    token_session_make(a);
    token_session_make(b);
    assert_true(token_session_valid(str_of(a)));
    assert_string_not_equal(a, b);
}

static void test_token_session_valid_is_strict(void **state)
{
    char a[TOKEN_SECRET_SIZE + 1];

    (void)state;
    token_session_make(a);
    assert_false(token_session_valid((struct str){ a, TOKEN_SECRET_SIZE - 1 }));
    a[10] = 'A';
    assert_false(token_session_valid(str_of(a)));
    a[10] = '\0';
    assert_false(token_session_valid((struct str){ a, TOKEN_SECRET_SIZE }));
}

static void test_token_key_parse(void **state)
{
    char key[TOKEN_KEY_SIZE + 1], again[TOKEN_KEY_SIZE + 1], id[TOKEN_KEY_ID_SIZE + 1];

    (void)state;
    token_key_make(key);
    assert_true(token_key_parse(str_of(key), id));
    assert_memory_equal(id, key + 3, TOKEN_KEY_ID_SIZE);
    token_key_remake(id, again);
    assert_memory_equal(again, key, 3 + TOKEN_KEY_ID_SIZE + 1);
    assert_string_not_equal(again, key);

    key[3 + TOKEN_KEY_ID_SIZE] = '-';
    assert_false(token_key_parse(str_of(key), id));
    assert_false(token_key_parse(STR("bf_"), id));
    assert_false(token_key_parse(STR(""), id));
}

static void test_token_hash_is_of_the_whole(void **state)
{
    char a[TOKEN_HASH_SIZE + 1], b[TOKEN_HASH_SIZE + 1];

    (void)state;
    token_hash("abc", a);
    /* BLAKE2b-256 of "abc" */
    assert_string_equal(a, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    token_hash("abd", b);
    assert_string_not_equal(a, b);
}

static void test_token_csrf_is_bound_to_the_session(void **state)
{
    char a[TOKEN_SECRET_SIZE + 1], again[TOKEN_SECRET_SIZE + 1], b[TOKEN_SECRET_SIZE + 1];

    (void)state;
    token_csrf("one", a);
    token_csrf("one", again);
    token_csrf("two", b);
    assert_string_equal(a, again);
    assert_string_not_equal(a, b);
}

static void test_token_setup_as_people_type_it(void **state)
{
    static const struct {
        const char *typed;
        bool same;
    } rows[] = {
        { "A0B1-C2D3-E4F5", true },    { "a0b1-c2d3-e4f5", true },
        { "A0B1C2D3E4F5", true },      { " a0b1 c2d3 e4f5 ", true },
        { "AOBI-C2D3-E4F5", true },    { "aoBl-C2D3-E4F5", true },
        { "A0B1-C2D3-E4F6", false },   { "A0B1-C2D3-E4F", false },
        { "A0B1-C2D3-E4F55", false },  { "", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(token_setup_equal("A0B1-C2D3-E4F5", rows[i].typed), rows[i].same);
    assert_false(token_setup_equal("", "")); /* no code: setup is over */
}

static void test_token_setup_make_has_its_form(void **state)
{
    char code[TOKEN_SETUP_SIZE + 1];

    (void)state;
    for (int i = 0; i < 200; i++) {
        token_setup_make(code);
        assert_int_equal(strlen(code), TOKEN_SETUP_SIZE);
        assert_true(code[4] == '-' && code[9] == '-');
        assert_null(strpbrk(code, "ILOU"));
        assert_true(token_setup_equal(code, code));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_session_make_differs),
        cmocka_unit_test(test_token_session_valid_is_strict),
        cmocka_unit_test(test_token_key_parse),
        cmocka_unit_test(test_token_hash_is_of_the_whole),
        cmocka_unit_test(test_token_csrf_is_bound_to_the_session),
        cmocka_unit_test(test_token_setup_as_people_type_it),
        cmocka_unit_test(test_token_setup_make_has_its_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
