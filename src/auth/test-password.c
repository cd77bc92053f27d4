#include "auth/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <event2/event.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_password_check(void **state)
{
    static const struct {
        const char *password;
        bool good;
    } rows[] = {
        { "correct horse battery", true },
        { "Tr0ub4dor&3x", true },
        { "一二三四五六七八九十甲乙", true },   /* characters count, not bytes */
        { "一二三四五六七八九十甲", false },
        { "short", false },
        { "elevenchars", false },
        { "passwordpassword", false },
        { "PasswordPassword", false },
        { "aaaaaaaaaaaaaaaa", false },
        { "abcabcabcabcabc", false },
        { "12341234123412", false },
        { "123456789012", false },
        { "abcdefghijklmn", false },
        { "zyxwvutsrqponm", false },
        { "my name is chen!", false },
        { "my name is CHEN!", false },
    };
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err = (struct error){ 0 };
        assert_int_equal(password_check(rows[i].password, "chen", &err), rows[i].good ? 0 : -1);
        if (!rows[i].good)
            assert_string_equal(err.path, "password");
    }
}

static void test_password_check_bounds_the_size(void **state)
{
    char *text = calloc(1, PASSWORD_SIZE_MAX + 2);
    struct error err;

    (void)state;
    for (int i = 0; i <= PASSWORD_SIZE_MAX; i++)
        text[i] = (char)('a' + i * 7 % 23);
    assert_int_equal(password_check(text, "chen", &err), -1);
    text[PASSWORD_SIZE_MAX] = '\0';
    assert_int_equal(password_check(text, "chen", &err), 0);
    free(text);
}

struct outcome {
    struct event_base *base;
    int count, want;
    bool match;
    char hash[256];
};

static void on_done(void *ctx, bool match, const char *hash)
{
    struct outcome *outcome = ctx;

    outcome->match = match;
    snprintf(outcome->hash, sizeof outcome->hash, "%s", hash ? hash : "");
    if (++outcome->count == outcome->want)
        event_base_loopbreak(outcome->base);
}

struct fixture {
    struct event_base *base;
    struct password_pool *pool;
    struct outcome outcome;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->base = f->outcome.base = event_base_new();
    f->outcome.want = 1;
    *state = f;
    return password_pool_new(f->base, 2, 3, &f->pool, NULL);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    password_pool_free(&f->pool);
    event_base_free(f->base);
    free(f);
    return 0;
}

static void await(struct fixture *f)
{
    f->outcome.count = 0;
    event_base_dispatch(f->base);
}

static void test_password_hash_then_verify(void **state)
{
    struct fixture *f = *state;
    char hash[256];

    assert_int_equal(password_hash(f->pool, "correct horse", on_done, &f->outcome, NULL), 0);
    await(f);
    assert_memory_equal(f->outcome.hash, "$argon2id$v=19$m=65536,t=2,p=1$", 31);
    snprintf(hash, sizeof hash, "%s", f->outcome.hash);

    assert_int_equal(password_verify(f->pool, hash, "correct horse", on_done, &f->outcome, NULL), 0);
    await(f);
    assert_true(f->outcome.match);
    assert_string_equal(f->outcome.hash, ""); /* the parameters are today's */

    assert_int_equal(password_verify(f->pool, hash, "correct horsf", on_done, &f->outcome, NULL), 0);
    await(f);
    assert_false(f->outcome.match);
}

static void test_password_unknown_user_never_matches(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(password_verify(f->pool, NULL, "", on_done, &f->outcome, NULL), 0);
    await(f);
    assert_false(f->outcome.match);
}

static void test_password_weak_parameters_are_renewed(void **state)
{
    struct fixture *f = *state;
    char weak[crypto_pwhash_STRBYTES];

    assert_int_equal(crypto_pwhash_str_alg(weak, "correct horse", 13, 1, 8192 * 1024,
                                           crypto_pwhash_ALG_ARGON2ID13), 0);
    assert_int_equal(password_verify(f->pool, weak, "correct horse", on_done, &f->outcome, NULL), 0);
    await(f);
    assert_true(f->outcome.match);
    assert_memory_equal(f->outcome.hash, "$argon2id$v=19$m=65536,t=2,p=1$", 31);
}

static void test_password_replace_needs_the_old_one(void **state)
{
    struct fixture *f = *state;
    char old[256];

    assert_int_equal(password_hash(f->pool, "correct horse", on_done, &f->outcome, NULL), 0);
    await(f);
    snprintf(old, sizeof old, "%s", f->outcome.hash);
    assert_int_equal(password_replace(f->pool, old, "wrong", "new one", on_done, &f->outcome, NULL),
                     0);
    await(f);
    assert_false(f->outcome.match);
    assert_string_equal(f->outcome.hash, "");
    assert_int_equal(
        password_replace(f->pool, old, "correct horse", "new one", on_done, &f->outcome, NULL), 0);
    await(f);
    assert_true(f->outcome.match);
    assert_int_equal(crypto_pwhash_str_verify(f->outcome.hash, "new one", 7), 0);
}

static void test_password_queue_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    int taken = 0;

    while (taken < 100 &&
           password_verify(f->pool, NULL, "x", on_done, &f->outcome, &err) == 0)
        taken++;
    assert_in_range(taken, 3, 5); /* three wait, two may be in hand */
    assert_int_equal(err.code, ERR_THROTTLED);
    f->outcome.want = taken;
    await(f);
    assert_int_equal(f->outcome.count, taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_password_check),
        cmocka_unit_test(test_password_check_bounds_the_size),
        cmocka_unit_test_setup_teardown(test_password_hash_then_verify, setup, teardown),
        cmocka_unit_test_setup_teardown(test_password_unknown_user_never_matches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_password_weak_parameters_are_renewed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_password_replace_needs_the_old_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_password_queue_is_bounded, setup, teardown),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
