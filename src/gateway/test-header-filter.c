#include "gateway/header-filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_header_passes(void **state)
{
    static const char *const dropped[] = {
        "X-Belfry-Identity", "x-belfry-identity", "X_Belfry_Identity", "X-BELFRY_principal",
        "x.belfry.identity", "X-Belfry-Cookie", "X-User-Name", "x_user_id", "X-Tenant-Id",
        "X-Auth-Token", "X-Internal-Call", "X-Forwarded-For", "X_Forwarded_For",
        "x-forwarded-proto", "Forwarded", "X-Real-IP", "X_Real_Ip", "Cookie", "Authorization",
        "Proxy-Authorization", "Some_Header", "Dotted.Header", "X-Request-Id", "X-Original-URL",
        "X-HTTP-Method-Override", "",
    };
    static const char *const kept[] = {
        "Accept", "Accept-Language", "Content-Type", "If-Match", "If-None-Match", "User-Agent",
        "Last-Event-ID", "traceparent", "Idempotency-Key", "X-Belfr", "Origin",
    };

    (void)state;
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        assert_false(header_passes(str_of(dropped[i])));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_true(header_passes(str_of(kept[i])));
}

static void test_headers_filter_keeps_order(void **state)
{
    struct http_header headers[] = { { STR("Accept"), STR("1") }, { STR("X_User_Id"), STR("2") },
                                     { STR("If-Match"), STR("3") } };
    struct arena *arena = arena_new();
    struct http_header *kept;

    (void)state;
    assert_int_equal(headers_filter(headers, 3, 1, arena, &kept), 2);
    assert_true(str_is(kept[0].value, "1") && str_is(kept[1].value, "3"));
    arena_free(&arena);
}

static void test_client_address(void **state)
{
    static const struct {
        const char *peer, *first, *second, *want;
        bool trusted;
    } rows[] = {
        /* not a proxy of ours: what it says counts nothing */
        { "203.0.113.9", "1.2.3.4", NULL, "203.0.113.9", false },
        { "10.0.0.1", NULL, NULL, "10.0.0.1", true },
        { "10.0.0.1", "1.2.3.4", NULL, "1.2.3.4", true },
        /* the right-most that is no proxy: what the client wrote itself stands further left */
        { "10.0.0.1", "6.6.6.6, 1.2.3.4", NULL, "1.2.3.4", true },
        { "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", NULL, "1.2.3.4", true },
        { "10.0.0.1", "6.6.6.6", "1.2.3.4", "1.2.3.4", true },
        { "10.0.0.1", "10.0.0.3", NULL, "10.0.0.3", true },
        { "10.0.0.1", "1.2.3.4, rubbish", NULL, "10.0.0.1", true },
        { "10.0.0.1", "rubbish, 1.2.3.4", NULL, "1.2.3.4", true },
        { "10.0.0.1", "2001:db8::1", NULL, "2001:db8::1", true },
        { "10.0.0.1", "", NULL, "10.0.0.1", true },
        { "10.0.0.1", "1.2.3.4:80", NULL, "10.0.0.1", true },
    };
    struct proxies proxies;
    char address[64];

    (void)state;
    proxies.count = (size_t)cidr_list_parse("10.0.0.0/8", proxies.cidrs, 32, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_header headers[] = { { STR("X-Forwarded-For"), str_of(rows[i].first) },
                                         { STR("x-forwarded-for"), str_of(rows[i].second) } };
        size_t count = rows[i].second ? 2 : rows[i].first ? 1 : 0;
        assert_int_equal(client_address_find(&proxies, rows[i].peer, headers, count, address),
                         rows[i].trusted);
        assert_string_equal(address, rows[i].want);
    }
}

static void test_client_address_many_hops(void **state)
{
    struct http_header headers[200];
    struct proxies proxies;
    char address[64];

    (void)state;
    proxies.count = (size_t)cidr_list_parse("10.0.0.0/8", proxies.cidrs, 32, NULL);
    for (int i = 0; i < 199; i++)
        headers[i] = (struct http_header){ STR("X-Forwarded-For"), STR("6.6.6.6") };
    headers[199] = (struct http_header){ STR("X-Forwarded-For"), STR("1.2.3.4,10.0.0.9") };
    assert_true(client_address_find(&proxies, "10.0.0.1", headers, 200, address));
    assert_string_equal(address, "1.2.3.4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_passes),
        cmocka_unit_test(test_headers_filter_keeps_order),
        cmocka_unit_test(test_client_address),
        cmocka_unit_test(test_client_address_many_hops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
