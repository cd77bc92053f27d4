#include "http/http-parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct http_head_limits limits = { .line_max = 200, .head_max = 2000,
                                                .header_count_max = 10 };

/* What a request came to: 0 or a status, and what was read. */
struct outcome {
    int status;
    struct http_head head;
    struct buf body;
    size_t used;
};

/* Gives bytes to the parser piece by piece, as they come from a network. */
static void parse(struct str bytes, size_t piece, struct arena *arena, struct outcome *ret)
{
    struct http_head_scan scan = { 0 };
    struct http_refusal refusal = { 0 };
    struct http_body frame;
    struct str data;
    ptrdiff_t size = 0;
    size_t have = 0, used;

    *ret = (struct outcome){ 0 };
    buf_init(&ret->body, 100000);
    while (!size && have < bytes.size) {
        have = have + piece < bytes.size ? have + piece : bytes.size;
        size = http_head_scan(&scan, (struct str){ bytes.bytes, have }, &limits, &refusal);
    }
    if (!size)
        ret->status = -1; /* more is needed */
    if (size > 0 && http_head_parse((struct str){ bytes.bytes, (size_t)size }, arena, &ret->head,
                                    &refusal) < 0)
        size = -1;
    ret->status = size < 0 ? refusal.status : ret->status;
    if (size <= 0)
        return;
    http_body_init(&frame, &ret->head, 1000);
    for (ret->used = (size_t)size; frame.state != BODY_DONE && ret->used < bytes.size;) {
        size_t end = have > ret->used ? have : ret->used + piece;
        end = end < bytes.size ? end : bytes.size;
        if (http_body_feed(&frame, (struct str){ bytes.bytes + ret->used, end - ret->used }, &used,
                           &data, &refusal) < 0) {
            ret->status = refusal.status;
            break;
        }
        buf_add(&ret->body, data.bytes, data.size);
        ret->used += used;
    }
    if (!ret->status && frame.state != BODY_DONE)
        ret->status = -1;
    http_body_done(&frame);
}

#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* The reject list of specs/gateway.md 5.3, and what comes near it. -1: more is needed. */
static const struct {
    struct str bytes;
    int status;
} rows[] = {
    { STR("GET / HTTP/1.1\r\n" HOST "\r\n"), 0 },
    { STR("GET /a?b=c HTTP/1.0\r\n" HOST "\r\n"), 0 },
    { STR("GET http://a/x HTTP/1.1\r\n" HOST "\r\n"), 0 },
    { STR("GET HTTP://A/x HTTP/1.1\r\n" HOST "\r\n"), 0 },
    { STR("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), 0 },
    { STR("GET / HTTP/1.1\r\nhOsT:  a \r\nX:\r\nY: a\tb\r\n\r\n"), 0 },
    { STR("GET / HTTP/1.1\r\n" HOST "X: \xE9\x92\x9F\r\n\r\n"), 0 },
    { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"), 0 },
    { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nab"), -1 },
    { STR("GET / HTTP/1.1\r\n" HOST), -1 },
    /* two lengths, bad lengths */
    { STR(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400 },
    { STR(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"), 400 },
    { STR(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400 },
    { STR(POST "Content-Length: 3, 3\r\n\r\nabc"), 400 },
    { STR(POST "Content-Length: +3\r\n\r\nabc"), 400 },
    { STR(POST "Content-Length: -3\r\n\r\nabc"), 400 },
    { STR(POST "Content-Length: 0x3\r\n\r\nabc"), 400 },
    { STR(POST "Content-Length: 3 3\r\n\r\nabc"), 400 },
    { STR(POST "Content-Length:\r\n\r\nabc"), 400 },
    { STR(POST "Content-Length: 99999999999999999999\r\n\r\nabc"), 400 },
    { STR(POST "Content-Length: 18446744073709551619\r\n\r\nabc"), 400 },
    { STR(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400 },
    { STR(POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), 400 },
    { STR(POST "Transfer-Encoding: identity\r\n\r\n"), 400 },
    { STR(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 400 },
    { STR(POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n"), 400 },
    { STR(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400 },
    { STR(POST "Transfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n"), 400 },
    { STR("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400 },
    /* line ends, NUL, folding, blanks */
    { STR("GET / HTTP/1.1\n" HOST "\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X: a\x01" "b\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n X: a\r\n" HOST "\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X\t: a\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X(y): a\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "X\xC3\xA9: a\r\n\r\n"), 400 },
    { STR("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR(" GET / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("\x16\x03\x01\x02"), 400 },
    /* request line */
    { STR("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET /  HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400 },
    { STR("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET /\r\n" HOST "\r\n"), 400 },
    { STR("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET / HTTP/1.1x\r\n" HOST "\r\n"), 400 },
    { STR("GET / http/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET / HTTP/01.1\r\n" HOST "\r\n"), 400 },
    { STR("GET / HTTP/1.2\r\n" HOST "\r\n"), 505 },
    { STR("GET / HTTP/2.0\r\n" HOST "\r\n"), 505 },
    { STR("GET / HTTP/0.9\r\n" HOST "\r\n"), 505 },
    { STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 501 },
    { STR("CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("TRACE / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("get / HTTP/1.1\r\n" HOST "\r\n"), 501 },
    { STR("G(T / HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET a HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET * HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET /#f HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET /?a#f HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET /\xC3\xA9 HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET /?\xC3\xA9 HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET http://b/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET http://a:80/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET http://a HTTP/1.1\r\n" HOST "\r\n"), 400 },
    { STR("GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
    /* Host, Expect, Upgrade */
    { STR("GET / HTTP/1.1\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.0\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost:\ta\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost: a\t\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost: a:\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), 400 },
    { STR("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400 },
    { STR(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na"), 0 },
    { STR(POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\na"), 400 },
    { STR("GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n\r\n"), 0 },
    { STR("GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: foo, h2c\r\n\r\n"), 400 },
    /* chunks */
    { STR(CHUNKED "3\r\nabc\r\n0\r\n\r\n"), 0 },
    { STR(CHUNKED "03;a=b;c=\"d\"\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"), 0 },
    { STR(CHUNKED "3\r\nabc\r\n0\r\n"), -1 },
    { STR(CHUNKED "\r\n"), 400 },
    { STR(CHUNKED "-3\r\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "+3\r\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "0x3\r\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED " 3\r\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "3 \r\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "3 ;a\r\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "g\r\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "3\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "3\r\nabc0\r\n\r\n"), 400 },
    { STR(CHUNKED "3\r\nabc\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "3\r\nabcd\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "3;a\nb\r\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "3;a\rb\r\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "00000000000000003\r\nabc\r\n0\r\n\r\n"), 400 },
    { STR(CHUNKED "ffffffffffffffff\r\nabc\r\n0\r\n\r\n"), 413 },
    { STR(CHUNKED "3e9\r\nabc"), 413 },
    { STR(CHUNKED "0\r\n X: a\r\n\r\n"), 400 },
    { STR(CHUNKED "0\r\nX: a\n\r\n"), 400 },
    { STR(CHUNKED "0\r\nContent-Length: 5\r\n\r\n"), 400 },
    { STR(CHUNKED "0\r\nauthorization: x\r\n\r\n"), 400 },
    { STR(CHUNKED "0\r\nX\r\n\r\n"), 400 },
};

/* The verdict must be the one in the table however the bytes are cut. */
static void test_verdicts(void **state)
{
    struct outcome outcome;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece = 1; piece <= 200; piece = piece < 5 ? piece + 1 : piece * 3) {
            struct arena *arena = arena_new();
            parse(rows[i].bytes, piece, arena, &outcome);
            if (outcome.status != rows[i].status)
                fail_msg("%d instead of %d in pieces of %zu: %s", outcome.status, rows[i].status,
                         piece, rows[i].bytes.bytes);
            buf_done(&outcome.body);
            arena_free(&arena);
        }
}

static void test_paths(void **state)
{
    static const struct {
        const char *raw, *path; /* NULL: refused */
    } paths[] = {
        { "/", "/" },
        { "/a/b/", "/a/b/" },
        { "/a%20b", "/a b" },
        { "/%E9%92%9F", "/\xE9\x92\x9F" },
        { "/%61", "/a" },
        { "/admin;x", "/admin;x" },
        { "/a...b", "/a...b" },
        { "/%252e", "/%2e" }, /* decoded once, not twice */
        { "", NULL },
        { "a", NULL },
        { "//", NULL },
        { "//admin", NULL },
        { "/a//b", NULL },
        { "/.", NULL },
        { "/./a", NULL },
        { "/..", NULL },
        { "/a/../b", NULL },
        { "/public/..%2fadmin", NULL },
        { "/%2e%2e/a", NULL },
        { "/.%2e/a", NULL },
        { "/a%2Fb", NULL },
        { "/a%5Cb", NULL },
        { "/a\\b", NULL },
        { "/a%00", NULL },
        { "/a%0d%0a", NULL },
        { "/a%7f", NULL },
        { "/a%", NULL },
        { "/a%4", NULL },
        { "/a%4g", NULL },
        { "/%c0%af", NULL }, /* overlong '/' */
        { "/%ff", NULL },
        { "/%ed%a0%80", NULL },
        { "/a|b", NULL },
        { "/a\"b", NULL },
    };
    struct arena *arena = arena_new();
    struct str path;

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        bool ok = http_path_normalise(str_of(paths[i].raw), arena, &path);
        if (ok != (paths[i].path != NULL))
            fail_msg("%s", paths[i].raw);
        if (ok)
            assert_true(str_is(path, paths[i].path));
    }
    arena_free(&arena);
}

static void test_hop_by_hop_headers_go(void **state)
{
    struct arena *arena = arena_new();
    struct outcome outcome;

    (void)state;
    parse(STR("POST /x?q HTTP/1.1\r\nHost: a:80\r\nConnection: x-secret , HOST\r\nX-Secret: 1\r\n"
              "Keep-Alive: 5\r\nConnection: content-length, close\r\nContent-Length: 2\r\n"
              "Proxy-Foo: 1\r\nTE: x\r\nAccept: b\r\n\r\nhi"),
          1000, arena, &outcome);
    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.head.header_count, 3);
    assert_true(str_is(outcome.head.headers[0].name, "Host"));
    assert_true(str_is(outcome.head.headers[1].name, "Content-Length"));
    assert_true(str_is(outcome.head.headers[2].value, "b"));
    assert_false(outcome.head.keep_alive);
    assert_true(str_is(outcome.head.query, "q"));
    assert_true(str_is(buf_str(&outcome.body), "hi"));
    buf_done(&outcome.body);
    arena_free(&arena);
}

static int status_of(const struct buf *bytes)
{
    struct arena *arena = arena_new();
    struct outcome outcome;

    parse(buf_str(bytes), 7, arena, &outcome);
    buf_done(&outcome.body);
    arena_free(&arena);
    return outcome.status;
}

static void test_limits(void **state)
{
    struct buf bytes;

    (void)state;
    buf_init(&bytes, 100000);
    for (int size = 180; size <= 190; size++) { /* the line is 14 bytes longer */
        buf_clear(&bytes);
        buf_printf(&bytes, "GET /%0*d HTTP/1.1\r\n" HOST "\r\n", size, 0);
        assert_int_equal(status_of(&bytes), size + 14 <= 200 ? 0 : 414);
    }
    for (int count = 8; count <= 12; count++) {
        buf_clear(&bytes);
        buf_add_text(&bytes, "GET / HTTP/1.1\r\n" HOST);
        for (int i = 1; i < count; i++)
            buf_printf(&bytes, "X-%d: 1\r\n", i);
        buf_add_text(&bytes, "\r\n");
        assert_int_equal(status_of(&bytes), count <= 10 ? 0 : 431);
    }
    buf_clear(&bytes);
    buf_printf(&bytes, "GET / HTTP/1.1\r\n" HOST "X: %02000d\r\n\r\n", 0);
    assert_int_equal(status_of(&bytes), 431);
    for (int size = 255; size <= 257; size++) {
        buf_clear(&bytes);
        buf_printf(&bytes, CHUNKED "3;%0*d\r\nabc\r\n0\r\n\r\n", size, 0);
        assert_int_equal(status_of(&bytes), size <= 256 ? 0 : 400);
    }
    buf_clear(&bytes);
    buf_add_text(&bytes, CHUNKED "0\r\n");
    for (int i = 0; i < 1000; i++)
        buf_add_text(&bytes, "X-T: 1234\r\n");
    assert_int_equal(status_of(&bytes), 431);
    buf_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_hop_by_hop_headers_go),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
