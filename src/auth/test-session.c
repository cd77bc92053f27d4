#include "auth/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { IDLE = 1000 };

static const struct user user = { .id = 1, .epoch = 3 };
static const struct session session = { .epoch = 3, .used_at = 5000, .expires_at = 9000 };

static void test_session_valid_until_idle_or_end(void **state)
{
    struct session used = session;

    (void)state;
    assert_true(session_valid(&session, &user, IDLE, 5999));
    assert_false(session_valid(&session, &user, IDLE, 6000));
    used.used_at = 8900;
    assert_true(session_valid(&used, &user, IDLE, 8999));
    assert_false(session_valid(&used, &user, IDLE, 9000));
}

static void test_session_dies_with_epoch_and_user(void **state)
{
    struct user changed = user;

    (void)state;
    changed.epoch++;
    assert_false(session_valid(&session, &changed, IDLE, 5001));
    changed = user;
    changed.disabled = true;
    assert_false(session_valid(&session, &changed, IDLE, 5001));
}

static void test_session_cookie(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    assert_string_equal(session_cookie(arena, "__Host-belfry", "abc", 60000),
                        "__Host-belfry=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
    assert_string_equal(session_cookie(arena, "belfry", "abc", 60000),
                        "belfry=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
    assert_string_equal(session_cookie(arena, "belfry", NULL, 60000),
                        "belfry=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_valid_until_idle_or_end),
        cmocka_unit_test(test_session_dies_with_epoch_and_user),
        cmocka_unit_test(test_session_cookie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
