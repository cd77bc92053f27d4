#include "gateway/identity-cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

struct fixture {
    struct identity_cache *cache;
    struct arena *arena;
    char key[CACHE_KEY_SIZE + 1];
};

static struct grant grants[] = { { 7, ROLE_VIEWER } };
static char name[] = "chen", csrf[] = "token";
static const struct auth_identity chen = {
    .principal = { .id = 4, .name = name, .grants = grants, .grant_count = 1 }, .csrf = csrf,
};

static int setup(void **state)
{
    static struct fixture f;

    f.cache = identity_cache_new(10);
    f.arena = arena_new();
    identity_cache_key(f.cache, AUTH_KEY, STR("secret"), "10.0.0.1", f.key);
    identity_cache_put(f.cache, f.key, &chen, 1, 1000, 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    identity_cache_free(&f->cache);
    arena_free(&f->arena);
    return 0;
}

static void test_cache_gives_a_copy(void **state)
{
    struct fixture *f = *state;
    const struct auth_identity *found = identity_cache_find(f->cache, f->key, 1, 1000, f->arena);

    assert_non_null(found);
    identity_cache_free(&f->cache);
    f->cache = identity_cache_new(1);
    assert_string_equal(found->principal.name, "chen");
    assert_string_equal(found->csrf, "token");
    assert_int_equal(found->principal.grants[0].group_id, 7);
}

static void test_cache_entry_lasts_five_seconds(void **state)
{
    struct fixture *f = *state;

    assert_non_null(identity_cache_find(f->cache, f->key, 1, 5999, f->arena));
    assert_null(identity_cache_find(f->cache, f->key, 1, 6000, f->arena));
}

static void test_cache_entry_ends_with_the_credential(void **state)
{
    struct fixture *f = *state;
    struct auth_identity short_lived = chen;

    short_lived.expires_ms = 100500;
    identity_cache_put(f->cache, f->key, &short_lived, 1, 1000, 100000);
    assert_non_null(identity_cache_find(f->cache, f->key, 1, 1499, f->arena));
    assert_null(identity_cache_find(f->cache, f->key, 1, 1500, f->arena));
}

static void test_cache_generation_voids(void **state)
{
    struct fixture *f = *state;

    assert_null(identity_cache_find(f->cache, f->key, 2, 1000, f->arena));
    assert_null(identity_cache_find(f->cache, f->key, 1, 1000, f->arena));
}

static void test_cache_key_is_of_all_three(void **state)
{
    struct fixture *f = *state;
    char other[CACHE_KEY_SIZE + 1];

    identity_cache_key(f->cache, AUTH_KEY, STR("secret"), "10.0.0.1", other);
    assert_string_equal(other, f->key);
    identity_cache_key(f->cache, AUTH_SESSION, STR("secret"), "10.0.0.1", other);
    assert_string_not_equal(other, f->key);
    identity_cache_key(f->cache, AUTH_KEY, STR("secres"), "10.0.0.1", other);
    assert_string_not_equal(other, f->key);
    identity_cache_key(f->cache, AUTH_KEY, STR("secret"), "10.0.0.2", other);
    assert_string_not_equal(other, f->key);
}

static void test_cache_is_bounded(void **state)
{
    struct fixture *f = *state;
    char key[CACHE_KEY_SIZE + 1], token[16];

    for (int i = 0; i < 10; i++) {
        snprintf(token, sizeof token, "token%d", i);
        identity_cache_key(f->cache, AUTH_KEY, str_of(token), "10.0.0.1", key);
        identity_cache_put(f->cache, key, &chen, 1, 1000, 0);
    }
    assert_null(identity_cache_find(f->cache, f->key, 1, 1000, f->arena)); /* the oldest went */
    assert_non_null(identity_cache_find(f->cache, key, 1, 1000, f->arena));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cache_gives_a_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache_entry_lasts_five_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache_entry_ends_with_the_credential, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache_generation_voids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache_key_is_of_all_three, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache_is_bounded, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
