#include "service/service.h"

#include "base/clock.h"
#include "db/db.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Requests through a real listener: a test names the handler and looks at the bytes that come. */
static struct event_base *base;
static struct http_server *server;
static void (*handler)(struct request *request);

static void on_request(void *ctx, struct http_exchange *exchange, const struct http_request *http)
{
    struct request *request = request_new(exchange);
    (void)ctx;

    assert_ptr_equal(request->http, http);
    handler(request);
}

static int setup(void **state)
{
    (void)state;
    struct http_server_settings settings = { .listen = "127.0.0.1:0", .handle = on_request };
    struct error err;

    base = event_base_new();
    return http_server_new(base, &settings, &server, &err);
}

static int teardown(void **state)
{
    (void)state;
    http_server_free(&server);
    event_base_free(base);
    return 0;
}

/* Sends head lines and body, and turns the loop until the connection is closed. */
static const char *ask(const char *first_line, const char *headers, const char *body)
{
    static char answer[64 * 1024];
    char text[8192];
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)http_server_port(server)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t size = 0;

    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    int n = snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s",
                     first_line, headers);
    if (body)
        n += snprintf(text + n, sizeof text - (size_t)n, "Content-Length: %zu\r\n", strlen(body));
    n += snprintf(text + n, sizeof text - (size_t)n, "\r\n%s", body ? body : "");
    assert_int_equal(write(fd, text, (size_t)n), n);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int64_t until = clock_mono_ms() + 10000; clock_mono_ms() < until;) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        ssize_t got = read(fd, answer + size, sizeof answer - 1 - size);
        if (got == 0)
            break;
        if (got > 0)
            size += (size_t)got;
    }
    close(fd);
    answer[size] = '\0';
    return answer;
}

#define ASSERT_HAS(text, part)                                                                     \
    do {                                                                                           \
        const char *text_ = (text);                                                                \
        if (!strstr(text_, part))                                                                  \
            fail_msg("no \"%s\" in:\n%s", part, text_);                                            \
    } while (0)

/* --- reading --------------------------------------------------------------------------------- */

struct thing {
    char *name;
    int64_t count;
};
static const struct json_table thing_table = {
    "Thing",
    sizeof(struct thing),
    (const struct json_member[]){
        { .name = "name",
          .type = JSON_TEXT,
          .offset = offsetof(struct thing, name),
          .flags = JSON_REQUIRED,
          .max = 10 },
        { .name = "count", .type = JSON_INT, .offset = offsetof(struct thing, count), .max = 9 },
        { 0 },
    },
};

static void read_and_echo(struct request *request)
{
    struct thing thing = { 0 };

    if (request_read(request, &thing_table, &thing) < 0)
        return;
    request_header(request, "ETag", "\"1\"");
    request_answer(request, 201, &thing_table, &thing);
}

static void test_request_read(void **state)
{
    (void)state;
    static const char json[] = "Content-Type: application/json; charset=utf-8\r\n";

    handler = read_and_echo;
    const char *answer = ask("POST /x", json, "{\"name\":\"a\",\"count\":2}");
    ASSERT_HAS(answer, "HTTP/1.1 201 ");
    ASSERT_HAS(answer, "ETag: \"1\"");
    ASSERT_HAS(answer, "{\"name\":\"a\",\"count\":2}");
    answer = ask("POST /x", json, "{\"name\":\"a\",\"count\":10}");
    ASSERT_HAS(answer, "HTTP/1.1 400 ");
    ASSERT_HAS(answer, "application/problem+json");
    ASSERT_HAS(answer, "\"code\":\"invalid\"");
    ASSERT_HAS(answer, "\"path\":\"count\"");
    ASSERT_HAS(answer, "\"request_id\":\"");
    ASSERT_HAS(ask("POST /x", json, "{\"name\":\"a\",\"nam\":1}"), "\"path\":\"nam\"");
    ASSERT_HAS(ask("POST /x", json, ""), "HTTP/1.1 400 ");
    ASSERT_HAS(ask("POST /x", "Content-Type: text/plain\r\n", "{}"), "HTTP/1.1 415 ");
    ASSERT_HAS(ask("POST /x", "", "{}"), "HTTP/1.1 415 ");
}

static void read_query(struct request *request)
{
    static const char *const names[] = { "limit", "from", "all", "text", NULL };
    const char *text;
    int64_t limit, from;
    bool all;
    struct buf out;

    if (request_query_check(request, names) < 0 ||
        request_query_int(request, "limit", 1, 100, 50, &limit) < 0 ||
        request_query_time(request, "from", 7, &from) < 0 ||
        request_query_bool(request, "all", false, &all) < 0 ||
        request_query_text(request, "text", &text) < 0)
        return;
    buf_init(&out, 1000);
    buf_printf(&out, "[%lld,%lld,%d,\"%s\"]", (long long)limit, (long long)from, all,
               text ? text : "-");
    request_answer_json(request, 200, &out);
    buf_done(&out);
}

static void test_request_query(void **state)
{
    (void)state;
    handler = read_query;
    ASSERT_HAS(ask("GET /x", "", NULL), "[50,7,0,\"-\"]");
    ASSERT_HAS(ask("GET /x?limit=3&all=true&text=a%20b&from=1970-01-01T00:00:01Z", "", NULL),
               "[3,1000,1,\"a b\"]");
    ASSERT_HAS(ask("GET /x?limit=0", "", NULL), "\"path\":\"query.limit\"");
    ASSERT_HAS(ask("GET /x?limit=a", "", NULL), "HTTP/1.1 400 ");
    ASSERT_HAS(ask("GET /x?all=1", "", NULL), "\"path\":\"query.all\"");
    ASSERT_HAS(ask("GET /x?from=today", "", NULL), "\"path\":\"query.from\"");
    ASSERT_HAS(ask("GET /x?limit=1&limit=2", "", NULL), "HTTP/1.1 400 ");
    ASSERT_HAS(ask("GET /x?lmit=1", "", NULL), "\"path\":\"query.lmit\"");
}

static void read_id(struct request *request)
{
    int64_t id;

    request->params[0] = "17";
    request->params[1] = "-1";
    if (request_param_id(request, 0, 100, &id) == 0)
        assert_int_equal(request_param_id(request, 1, 100, &id), -1);
}

static void test_request_param_id(void **state)
{
    (void)state;
    handler = read_id;
    ASSERT_HAS(ask("GET /x", "", NULL), "HTTP/1.1 404 ");
}

/* --- permission ------------------------------------------------------------------------------ */

static struct principal *asked_by;
static int32_t asked_group;

static void require_develop(struct request *request)
{
    request->principal = asked_by;
    if (request_require(request, PERM_DEVELOP, asked_group) == 0)
        request_answer_empty(request, 204);
}

static void test_request_require(void **state)
{
    (void)state;
    struct grant grant = { 7, ROLE_VIEWER };
    struct principal principal = { .grants = &grant, .grant_count = 1 };

    handler = require_develop;
    asked_group = 7;
    ASSERT_HAS(ask("GET /x", "", NULL), "HTTP/1.1 401 ");
    asked_by = &principal;
    ASSERT_HAS(ask("GET /x", "", NULL), "HTTP/1.1 403 ");
    asked_group = 8; /* may not even see it */
    ASSERT_HAS(ask("GET /x", "", NULL), "HTTP/1.1 404 ");
    grant.role = ROLE_DEVELOPER;
    asked_group = 7;
    ASSERT_HAS(ask("GET /x", "", NULL), "HTTP/1.1 204 ");
}

/* --- failing --------------------------------------------------------------------------------- */

static int outcome;

static void fail_outcome(struct request *request)
{
    struct error err;

    error_set_at(&err, ERR_CONFLICT, "name", "sign in first");
    request_fail_outcome(request, outcome, outcome == DB_CONFLICT ? &err : NULL);
}

static void test_request_fail_outcome(void **state)
{
    (void)state;
    handler = fail_outcome;
    outcome = DB_CONFLICT;
    ASSERT_HAS(ask("GET /x", "Accept-Language: zh-CN\r\n", NULL), "请先登录");
    ASSERT_HAS(ask("GET /x", "", NULL), "HTTP/1.1 409 ");
    outcome = DB_NOT_APPLIED;
    ASSERT_HAS(ask("GET /x", "", NULL), "HTTP/1.1 503 ");
    outcome = DB_UNKNOWN;
    ASSERT_HAS(ask("GET /x", "", NULL), "HTTP/1.1 504 ");
    outcome = DB_FAILED;
    ASSERT_HAS(ask("GET /x", "", NULL), "HTTP/1.1 500 ");
}

static void answer_list(struct request *request)
{
    char name[] = "n";
    struct thing thing = { name, 3 };
    const void *items[] = { &thing, &thing };

    request_answer_list(request, &thing_table, items, request->http->query.size ? 2 : 0,
                        request->http->query.size ? "abc" : NULL);
}

static void test_request_answer_list(void **state)
{
    (void)state;
    handler = answer_list;
    ASSERT_HAS(ask("GET /x", "", NULL), "{\"items\":[],\"next_cursor\":null}");
    ASSERT_HAS(ask("GET /x?y=1", "", NULL),
               "{\"items\":[{\"name\":\"n\",\"count\":3},"
               "{\"name\":\"n\",\"count\":3}],\"next_cursor\":\"abc\"}");
}

/* --- pure parts ------------------------------------------------------------------------------ */

static void test_error_statuses(void **state)
{
    (void)state;
    for (int code = 0; code < ERR_CODE_COUNT; code++)
        assert_in_range(error_http_status((enum error_code)code), 400, 507);
    assert_int_equal(error_http_status(ERR_THROTTLED), 429);
    assert_int_equal(error_http_status(ERR_PRECONDITION), 412);
}

static void test_language_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum language language;
    } rows[] = {
        { NULL, LANGUAGE_EN },
        { "", LANGUAGE_EN },
        { "zh", LANGUAGE_ZH },
        { "ZH-cn", LANGUAGE_ZH },
        { "fr, zh-CN;q=0.8, en;q=0.7", LANGUAGE_ZH },
        { "en, zh", LANGUAGE_EN },
        { "zh;q=0.5, en;q=0.51", LANGUAGE_EN },
        { "zh;q=0, en;q=0", LANGUAGE_EN },
        { "zha", LANGUAGE_EN },
        { "zh;q=1.000", LANGUAGE_ZH },
        { ";;,,zh;;q=,", LANGUAGE_ZH },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (language_accepted(str_of(rows[i].header)) != rows[i].language)
            fail_msg("%s", rows[i].header);
}

static void test_cursor(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "a", "AQ", "!!!!", "AgAAAAAAAAAAAAAAAAAAAAA" };
    struct arena *arena = arena_new();
    struct error err;
    int64_t a, b;

    assert_int_equal(cursor_read(cursor_make(arena, INT64_MIN, INT64_MAX), &a, &b, &err), 0);
    assert_true(a == INT64_MIN && b == INT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(cursor_read(bad[i], &a, &b, &err), -1);
        assert_string_equal(err.path, "query.cursor");
    }
    arena_free(&arena);
}

static void test_request_id(void **state)
{
    (void)state;
    char a[40], b[40];

    request_id_make(a);
    request_id_make(b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 36);
    assert_int_equal(a[14], '7'); /* version */
    assert_non_null(strchr("89ab", a[19]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_read),
        cmocka_unit_test(test_request_query),
        cmocka_unit_test(test_request_param_id),
        cmocka_unit_test(test_request_require),
        cmocka_unit_test(test_request_fail_outcome),
        cmocka_unit_test(test_request_answer_list),
        cmocka_unit_test(test_error_statuses),
        cmocka_unit_test(test_language_accepted),
        cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_request_id),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
