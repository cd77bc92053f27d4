#include "gateway/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_host_is_loopback(void **state)
{
    (void)state;
    assert_true(host_is_loopback(STR("localhost")));
    assert_true(host_is_loopback(STR("LOCALHOST:8680")));
    assert_true(host_is_loopback(STR("127.0.0.1:8680")));
    assert_true(host_is_loopback(STR("[::1]:8680")));
    assert_false(host_is_loopback(STR("belfry.example.com")));
    assert_false(host_is_loopback(STR("localhost.example.com")));
    assert_false(host_is_loopback(STR("127.0.0.1.example.com")));
    assert_false(host_is_loopback(STR("10.0.0.1")));
    assert_false(host_is_loopback(STR("")));
    assert_false(host_is_loopback(STR("[::1")));
}

static void test_origin_cookie(void **state)
{
    struct origin origin = { .loopback = true, .host = STR("127.0.0.1:8680") };

    (void)state;
    assert_string_equal(origin_cookie(&origin), "belfry");
    origin.host = STR("evil.example"); /* a name that was made to point here */
    assert_null(origin_cookie(&origin));
    origin.host = STR("127.0.0.1:8680");
    origin.loopback = false;
    assert_null(origin_cookie(&origin));
    origin.tls = true;
    assert_string_equal(origin_cookie(&origin), "__Host-belfry");
}

static bool allowed(const struct origin *origin, const char *site, const char *from)
{
    struct http_header headers[2] = { 0 };
    size_t count = 0;

    if (site)
        headers[count++] = (struct http_header){ STR("sec-fetch-site"), str_of(site) };
    if (from)
        headers[count++] = (struct http_header){ STR("Origin"), str_of(from) };
    return origin_allowed(origin, headers, count);
}

static void test_origin_allowed(void **state)
{
    struct origin plain = { .host = STR("127.0.0.1:8680") };
    struct origin tls = { .tls = true, .host = STR("10.1.1.1"),
                          .public_url = "https://belfry.example.com/console" };

    (void)state;
    assert_true(allowed(&plain, NULL, NULL));
    assert_true(allowed(&plain, "same-origin", "http://127.0.0.1:8680"));
    assert_true(allowed(&plain, "none", NULL));
    assert_false(allowed(&plain, "cross-site", NULL));
    assert_false(allowed(&plain, "same-site", NULL));
    assert_false(allowed(&plain, "Same-Origin", NULL));
    assert_false(allowed(&plain, NULL, "null"));
    assert_false(allowed(&plain, NULL, ""));
    assert_false(allowed(&plain, NULL, "http://127.0.0.1:8681"));
    assert_false(allowed(&plain, NULL, "https://127.0.0.1:8680"));
    assert_false(allowed(&plain, NULL, "http://127.0.0.1:86800"));
    assert_false(allowed(&plain, "same-origin", "http://evil.example"));
    assert_true(allowed(&tls, NULL, "https://10.1.1.1"));
    assert_true(allowed(&tls, NULL, "https://belfry.example.com"));
    assert_false(allowed(&tls, NULL, "https://belfry.example.com.evil.example"));
    assert_false(allowed(&tls, NULL, "https://belfry.example.com/console"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_is_loopback),
        cmocka_unit_test(test_origin_cookie),
        cmocka_unit_test(test_origin_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
