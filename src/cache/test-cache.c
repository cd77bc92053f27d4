#include "cache/cache.h"
#include "cache/lock.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/*
 * The contract of both interfaces. Each test gets a backend from these rows, so a second backend
 * is one more row and runs them all.
 */
static int64_t now_ms;

static int64_t test_now(void)
{
    return now_ms;
}

struct backend {
    struct cache *(*cache)(struct event_base *base, size_t bytes_max, int64_t (*now)(void));
    struct locks *(*locks)(struct event_base *base, int64_t (*now)(void));
};
static const struct backend backends[] = { { cache_memory_new, locks_memory_new } };

static void value_got(void *ctx, struct str value)
{
    snprintf(ctx, 64, "%.*s", value.bytes ? (int)value.size : 1, value.bytes ? value.bytes : "-");
}

/* "-" where there is nothing. */
static const char *get(struct event_base *base, struct cache *cache, const char *key)
{
    static char text[64];

    text[0] = '?';
    text[1] = '\0';
    cache_get(cache, key, value_got, text);
    assert_string_equal(text, "?"); /* never inside the call */
    event_base_loop(base, EVLOOP_ONCE);
    return text;
}

static void test_cache_contract(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        struct event_base *base = event_base_new();
        struct cache *cache = backends[i].cache(base, 10000, test_now);

        assert_string_equal(get(base, cache, "a"), "-");
        cache_put(cache, "a", STR("one"), 1000);
        cache_put(cache, "b", STR(""), 5000);
        assert_string_equal(get(base, cache, "a"), "one");
        assert_string_equal(get(base, cache, "b"), "");
        cache_put(cache, "a", STR("two"), 1000);
        assert_string_equal(get(base, cache, "a"), "two");
        now_ms += 1000;
        assert_string_equal(get(base, cache, "a"), "-");
        assert_string_equal(get(base, cache, "b"), "");
        cache_remove(cache, "b");
        assert_string_equal(get(base, cache, "b"), "-");
        cache_get(cache, "b", value_got, NULL); /* dropped with it */
        cache_free(&cache);
        event_base_free(base);
    }
}

static void test_cache_is_bounded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        struct event_base *base = event_base_new();
        struct cache *cache = backends[i].cache(base, 10000, test_now);
        char key[32], value[1000];

        memset(value, 'x', sizeof value);
        cache_put(cache, "used", STR("u"), 1000);
        for (int k = 0; k < 100; k++) {
            snprintf(key, sizeof key, "k%d", k);
            cache_put(cache, key, (struct str){ value, sizeof value }, 1000);
            assert_string_equal(get(base, cache, "used"), "u");
        }
        assert_string_equal(get(base, cache, "k0"), "-");
        assert_int_equal(get(base, cache, "k99")[0], 'x');
        cache_put(cache, "k99", (struct str){ value, CACHE_VALUE_MAX + 1 }, 1000);
        assert_string_equal(get(base, cache, "k99"), "-");
        cache_free(&cache);
        event_base_free(base);
    }
}

static void lock_got(void *ctx, bool held, int64_t fence)
{
    assert_int_equal(held, fence != 0);
    *(int64_t *)ctx = fence;
}

static int64_t take(struct event_base *base, struct locks *locks, const char *owner, bool renew)
{
    int64_t fence = -1;

    (renew ? lock_renew : lock_take)(locks, "x", owner, 1000, lock_got, &fence);
    assert_int_equal(fence, -1);
    event_base_loop(base, EVLOOP_ONCE);
    return fence;
}

static void test_lock_contract(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        struct event_base *base = event_base_new();
        struct locks *locks = backends[i].locks(base, test_now);
        int64_t fence = 0;

        assert_int_equal(take(base, locks, "a", true), 0); /* nothing to renew */
        int64_t first = take(base, locks, "a", false);
        assert_true(first > 0);
        assert_int_equal(take(base, locks, "b", false), 0);
        assert_int_equal(take(base, locks, "a", false), first);
        now_ms += 999;
        assert_int_equal(take(base, locks, "a", true), first);
        now_ms += 999;
        assert_int_equal(take(base, locks, "b", false), 0);
        now_ms += 1; /* a's time is over */
        assert_int_equal(take(base, locks, "a", true), 0);
        int64_t second = take(base, locks, "b", false);
        assert_true(second > first);
        lock_release(locks, "x", "a");
        assert_int_equal(take(base, locks, "a", false), 0);
        lock_release(locks, "x", "b");
        assert_true(take(base, locks, "a", false) > second);
        lock_take(locks, "y", "a", 1000, lock_got, &fence); /* dropped with it */
        locks_free(&locks);
        assert_int_equal(fence, 0);
        event_base_free(base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache_contract),
        cmocka_unit_test(test_cache_is_bounded),
        cmocka_unit_test(test_lock_contract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
