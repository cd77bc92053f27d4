#include "registry/registry.h"

#include "base/str.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct registry *registry_of(const char *job_admin, struct error *err)
{
    struct config *config;
    struct registry *registry = NULL;
    struct arena *arena = arena_new();
    const char *environment[] = { arena_printf(arena, "BELFRY_REGISTRY_JOB_ADMIN=%s", job_admin),
                                  NULL };

    assert_int_equal(config_read(NULL, STR(""), environment, &config, err), 0);
    int rc = registry_new(config, &registry, err);
    assert_int_equal(rc, registry ? 0 : -1);
    config_free(&config);
    arena_free(&arena);
    return registry;
}

static void test_registry_find(void **state)
{
    (void)state;
    struct error err;
    const char *const *urls;
    struct arena *arena = arena_new();
    struct registry *registry = registry_of("http://a:1, https://[::1]:2", &err);

    assert_int_equal(registry_find(registry, "job-admin", arena, &urls), 2);
    assert_int_equal(registry_find(registry, "nobody", arena, &urls), 0);
    assert_int_equal(registry_find(registry, "job-admin", arena, &urls), 2);
    registry_free(&registry);
    assert_string_equal(urls[0], "http://a:1");
    assert_string_equal(urls[1], "https://[::1]:2");
    arena_free(&arena);
}

static void test_registry_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a:1",        "ftp://a:1",   "http://a",     "http://:1",
        "http://a:0", "http://a:1/", "http://u@a:1", "http://a:70000"
    };
    struct error err;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(registry_of(bad[i], &err));
        assert_non_null(strstr(error_english(&err), bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry_find),
        cmocka_unit_test(test_registry_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
