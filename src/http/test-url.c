#include "http/http-client.h"
#include "http/http-server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_urls(void **state)
{
    static const struct {
        const char *url, *scheme, *host; /* scheme NULL: refused */
        int port;
        const char *rest;
    } rows[] = {
        { "http://a", "http", "a", 80, "" },
        { "HTTPS://Example.COM/x?y=1#z", "https", "Example.COM", 443, "/x?y=1" },
        { "http://127.0.0.1:8680/", "http", "127.0.0.1", 8680, "/" },
        { "http://[::1]:80?q", "http", "::1", 80, "?q" },
        { "http://[fe80::1]/", "http", "fe80::1", 80, "/" },
        { "http://a_b-c.d./", "http", "a_b-c.d.", 80, "/" },
        { "http://1.example/", "http", "1.example", 80, "/" },
        { "", NULL, NULL, 0, NULL },
        { "a", NULL, NULL, 0, NULL },
        { "//a/", NULL, NULL, 0, NULL },
        { "http:/a", NULL, NULL, 0, NULL },
        { "http:///a", NULL, NULL, 0, NULL },
        { "http://", NULL, NULL, 0, NULL },
        { "ftp://a/", NULL, NULL, 0, NULL },
        { "file:///etc/passwd", NULL, NULL, 0, NULL },
        { "gopher://a/", NULL, NULL, 0, NULL },
        { "http://a b/", NULL, NULL, 0, NULL },
        { "http://a/b c", NULL, NULL, 0, NULL },
        { " http://a/", NULL, NULL, 0, NULL },
        { "http://a/\r\nX: y", NULL, NULL, 0, NULL },
        { "http://a\\@b/", NULL, NULL, 0, NULL },
        { "http://u:p@a/", NULL, NULL, 0, NULL },
        { "http://a@b/", NULL, NULL, 0, NULL },
        { "http://a:0/", NULL, NULL, 0, NULL },
        { "http://a:65536/", NULL, NULL, 0, NULL },
        { "http://a:/", NULL, NULL, 0, NULL },
        { "http://a:8x/", NULL, NULL, 0, NULL },
        { "http://a:80:80/", NULL, NULL, 0, NULL },
        { "http://[::1/", NULL, NULL, 0, NULL },
        { "http://[::1]x/", NULL, NULL, 0, NULL },
        { "http://[fe80::1%25eth0]/", NULL, NULL, 0, NULL },
        { "http://[1:2]/", NULL, NULL, 0, NULL },
        { "http://::1/", NULL, NULL, 0, NULL },
        { "http://%61/", NULL, NULL, 0, NULL },
        { "http://a%00b/", NULL, NULL, 0, NULL },
        { "http://\xE9\x92\x9F/", NULL, NULL, 0, NULL },
        /* forms of an IPv4 address that only some programs take for one */
        { "http://2130706433/", NULL, NULL, 0, NULL },
        { "http://0x7f000001/", NULL, NULL, 0, NULL },
        { "http://127.1/", NULL, NULL, 0, NULL },
        { "http://0177.0.0.1/", NULL, NULL, 0, NULL },
        { "http://127.0.0.1./", NULL, NULL, 0, NULL },
        { "http://1.2.3.4.5/", NULL, NULL, 0, NULL },
        { "http://a.0x10/", NULL, NULL, 0, NULL },
        { "http://127.0.0.256/", NULL, NULL, 0, NULL },
        { "http://./", NULL, NULL, 0, NULL },
        { "http://a..b/", NULL, NULL, 0, NULL },
    };
    struct http_url url;
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int result = http_url_parse(rows[i].url, &url, &err);
        if ((result == 0) != (rows[i].scheme != NULL))
            fail_msg("%s: %d", rows[i].url, result);
        if (result < 0) {
            assert_int_equal(err.code, ERR_INVALID);
            continue;
        }
        assert_true(str_is(url.scheme, rows[i].scheme));
        assert_true(str_is(url.host, rows[i].host));
        assert_int_equal(url.port, rows[i].port);
        assert_true(str_is(url.path_query, rows[i].rest));
    }
}

static void test_query(void **state)
{
    struct arena *arena = arena_new();
    struct http_request request = {
        .query = STR("a=1&b=x+y%26&c&d=%E9%92%9F&&e=&f=1&f=2"), .arena = arena };
    static const char *const some[] = { "a", "b", "c", "d", "e", NULL };
    static const char *const all[] = { "a", "b", "c", "d", "e", "f", NULL };
    const char *value = NULL;
    struct error err;

    (void)state;
    assert_int_equal(http_query_get(&request, "a", &value, &err), 1);
    assert_string_equal(value, "1");
    assert_int_equal(http_query_get(&request, "b", &value, &err), 1);
    assert_string_equal(value, "x y&");
    assert_int_equal(http_query_get(&request, "c", &value, &err), 1);
    assert_string_equal(value, "");
    assert_int_equal(http_query_get(&request, "d", &value, &err), 1);
    assert_string_equal(value, "钟");
    assert_int_equal(http_query_get(&request, "z", &value, &err), 0);
    assert_int_equal(http_query_get(&request, "f", &value, &err), -1);
    assert_string_equal(err.path, "query.f");
    assert_int_equal(http_query_check(&request, all, &err), 0);
    assert_int_equal(http_query_check(&request, some, &err), -1);
    assert_string_equal(err.path, "query.f");
    static const char *const bad[] = { "a=%", "a=%4", "a=%zz", "a=%00", "%0a=1", "a=%ff" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        request.query = str_of(bad[i]);
        assert_int_equal(http_query_get(&request, "a", &value, &err), -1);
        assert_int_equal(http_query_check(&request, all, &err), -1);
    }
    request.query = (struct str){ 0 };
    assert_int_equal(http_query_get(&request, "a", &value, &err), 0);
    assert_int_equal(http_query_check(&request, some, &err), 0);
    arena_free(&arena);
}

static void test_percent(void **state)
{
    struct arena *arena = arena_new();
    struct str text;
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    percent_encode(&out, STR("a-._~Z9 /+%\xE9"));
    assert_string_equal(buf_text(&out), "a-._~Z9%20%2F%2B%25%E9");
    assert_int_equal(percent_decode(buf_str(&out), false, arena, &text), 0);
    assert_true(str_is(text, "a-._~Z9 /+%\xE9"));
    assert_int_equal(percent_decode(STR("a+b"), false, arena, &text), 0);
    assert_true(str_is(text, "a+b"));
    assert_int_equal(percent_decode(STR("%4"), false, arena, &text), -1);
    buf_done(&out);
    arena_free(&arena);
}

static void test_headers(void **state)
{
    static const struct http_header headers[] = { { STR("Accept"), STR("a") },
                                                  { STR("accept"), STR("b") } };
    (void)state;
    assert_true(str_is(http_header_find(headers, 2, "ACCEPT"), "a"));
    assert_null(http_header_find(headers, 2, "Accept-X").bytes);
    assert_true(http_header_name_valid(STR("X-a_1")));
    assert_false(http_header_name_valid(STR("")));
    assert_false(http_header_name_valid(STR("a b")));
    assert_false(http_header_name_valid(STR("a\0")));
    assert_true(http_header_value_valid(STR("a\tb \xE9")));
    assert_false(http_header_value_valid(STR("a\r\nb")));
    assert_false(http_header_value_valid(STR("a\0b")));
    assert_string_equal(http_status_text(404), "Not Found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
