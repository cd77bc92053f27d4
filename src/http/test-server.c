#include "http/http-server.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * The server and its peers live in this one thread: a peer that waits for bytes turns the loop
 * meanwhile. What the handler does is said by the path.
 */
struct fixture {
    struct event_base *base;
    struct http_server *server;
    struct http_exchange *kept; /* of /later and /stream */
    unsigned gone, drained, handled, ended, logged;
    int logged_status;
    uint64_t logged_size;
    int admit_status;
    size_t admit_body_max;
};

static void on_gone(void *ctx)
{
    struct fixture *f = ctx;

    f->gone++;
    f->kept = NULL;
}

static void on_drained(void *ctx)
{
    ((struct fixture *)ctx)->drained++;
}

static void on_ended(void *ctx)
{
    ((struct fixture *)ctx)->ended++;
}

static void on_end(void *ctx, int status, uint64_t body_size)
{
    struct fixture *f = ctx;

    f->logged++;
    f->logged_status = status;
    f->logged_size = body_size;
}

/* Method, path, query, host, peer, number of headers and the body come back. */
static void answer_echo(struct http_exchange *exchange, const struct http_request *request)
{
    struct buf text;

    buf_init(&text, 1 << 20);
    buf_printf(&text, "%s %.*s?%.*s %.*s %s %zu|", http_method_name(request->method),
               (int)request->path.size, request->path.bytes, (int)request->query.size,
               request->query.bytes ? request->query.bytes : "", (int)request->host.size,
               request->host.bytes, request->peer, request->header_count);
    buf_add(&text, request->body.bytes, request->body.size);
    http_answer_header(exchange, "X-Extra", "yes");
    http_answer(exchange, 200, "text/plain", buf_str(&text));
    buf_done(&text);
}

static void answer_big(struct http_exchange *exchange)
{
    struct str body = { memory_alloc(4 << 20), 4 << 20 };
    char *bytes = (char *)(uintptr_t)body.bytes;

    memset(bytes, 'x', body.size);
    http_answer(exchange, 200, "text/plain", body);
    free(bytes);
}

static void handle(void *ctx, struct http_exchange *exchange, const struct http_request *request)
{
    struct fixture *f = ctx;

    f->handled++;
    http_exchange_on_end(exchange, on_end, f);
    if (str_is(request->path, "/later") || str_is(request->path, "/watched") ||
        str_is(request->path, "/stream")) {
        f->kept = exchange;
        if (!str_is(request->path, "/later"))
            http_exchange_on_gone(exchange, on_gone, f);
        if (str_is(request->path, "/stream")) {
            http_stream_on_drained(exchange, on_drained, f);
            http_stream_begin(exchange, 200, "text/event-stream");
        }
    } else if (str_is(request->path, "/big")) {
        answer_big(exchange);
    } else if (str_is(request->path, "/none")) {
        http_answer(exchange, 204, NULL, STR("ignored"));
    } else {
        answer_echo(exchange, request);
    }
}

static int admit(void *ctx, const struct http_request *head, size_t *ret_body_max)
{
    struct fixture *f = ctx;

    if (str_is(head->path, "/refused"))
        return f->admit_status;
    if (f->admit_body_max)
        *ret_body_max = f->admit_body_max;
    return 0;
}

static void start(struct fixture *f, struct http_server_settings settings)
{
    struct error err;

    f->base = event_base_new();
    settings.listen = settings.listen ? settings.listen : "127.0.0.1:0";
    settings.handle = handle;
    settings.admit = admit;
    settings.ctx = f;
    if (http_server_new(f->base, &settings, &f->server, &err) < 0)
        fail_msg("%s", error_english(&err));
}

static void stop(struct fixture *f)
{
    http_server_free(&f->server);
    event_base_free(f->base);
}

/* --- peers ------------------------------------------------------------------------------------ */

static int peer_open(struct fixture *f)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)http_server_port(f->server)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void turn(struct fixture *f)
{
    event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void peer_send(struct fixture *f, int fd, struct str bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        ssize_t n = send(fd, bytes.bytes + at, bytes.size - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            return;
        at += n > 0 ? (size_t)n : 0;
        turn(f);
    }
}

/* Reads until text has come, or to the end when text is NULL. What came, in a static buffer. */
static const char *peer_read(struct fixture *f, int fd, const char *text)
{
    static char bytes[8 << 20];
    int64_t deadline_ms = clock_mono_ms() + 10000;
    size_t size = 0;

    for (bytes[0] = '\0'; !text || !strstr(bytes, text);) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        turn(f);
        ssize_t n = recv(fd, bytes + size, sizeof bytes - 1 - size, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        size += n > 0 ? (size_t)n : 0;
        bytes[size] = '\0';
        if (n < 0)
            poll(&wait, 1, 1);
        if (clock_mono_ms() > deadline_ms)
            fail_msg("nothing more came after: %.200s", bytes);
    }
    return bytes;
}

/* Turns the loop until condition holds. */
#define WAIT_FOR(f, condition)                                    \
    for (int64_t end_ms_ = clock_mono_ms() + 10000; !(condition);) { \
        turn(f);                                                  \
        assert_true(clock_mono_ms() < end_ms_);                   \
    }

/* Sends, and reads to the end of the connection. */
static const char *exchange_whole(struct fixture *f, struct str bytes)
{
    int fd = peer_open(f);

    peer_send(f, fd, bytes);
    const char *answer = peer_read(f, fd, NULL);
    close(fd);
    return answer;
}

static void assert_begins(const char *answer, const char *begin)
{
    if (strncmp(answer, begin, strlen(begin)) != 0)
        fail_msg("%.200s", answer);
}

static void assert_has(const char *answer, const char *part)
{
    assert_non_null(answer);
    if (!strstr(answer, part))
        fail_msg("no %s in %.500s", part, answer);
}

#define CLOSE "Connection: close\r\n\r\n"

/* --- tests ------------------------------------------------------------------------------------ */

static void test_answer(void **state)
{
    struct fixture f = { 0 };

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    const char *answer =
        exchange_whole(&f, STR("POST /a%20b?x=1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n"
                               "X: y\r\n" CLOSE "hello"));
    assert_begins(answer, "HTTP/1.1 200 OK\r\nDate: ");
    assert_has(answer, " GMT\r\nContent-Type: text/plain\r\nContent-Length: 35\r\n"
                       "Connection: close\r\nX-Content-Type-Options: nosniff\r\n"
                       "Referrer-Policy: no-referrer\r\nX-Extra: yes\r\n\r\n"
                       "POST /a b?x=1 h:1 127.0.0.1 3|hello");
    assert_null(strstr(answer, "Server:"));
    assert_int_equal(f.logged, 1);
    assert_int_equal(f.logged_status, 200);
    assert_int_equal(f.logged_size, 35);
    answer = exchange_whole(&f, STR("HEAD / HTTP/1.1\r\nHost: h\r\n" CLOSE));
    assert_has(answer, "Content-Length: 22\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    answer = exchange_whole(&f, STR("GET /none HTTP/1.1\r\nHost: h\r\n" CLOSE));
    assert_begins(answer, "HTTP/1.1 204 No Content\r\n");
    assert_null(strstr(answer, "Content-Length"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    answer = exchange_whole(&f, STR("GET / HTTP/1.0\r\nHost: h\r\n\r\n"));
    assert_has(answer, "Connection: close\r\n");
    stop(&f);
}

static void test_chunked_body_byte_by_byte(void **state)
{
    static const struct str request =
        STR("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" CLOSE
            "5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n");
    struct fixture f = { 0 };

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f);
    for (size_t i = 0; i < request.size; i++)
        peer_send(&f, fd, (struct str){ request.bytes + i, 1 });
    assert_has(peer_read(&f, fd, NULL), "|hello!");
    close(fd);
    stop(&f);
}

static void test_pipelined_in_order(void **state)
{
    struct fixture f = { 0 };

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
                          "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"
                          "POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy"
                          "GET /4 HTTP/1.1\r\nHost: h\r\n" CLOSE));
    assert_has(peer_read(&f, fd, "GET /1"), "GET /1");
    WAIT_FOR(&f, f.kept);
    assert_int_equal(f.handled, 2); /* one at a time */
    http_answer(f.kept, 200, NULL, STR("second"));
    assert_int_equal(f.handled, 2); /* and no other handler is called from below http_answer */
    const char *answer = peer_read(&f, fd, NULL);
    const char *second = strstr(answer, "second"), *third = strstr(answer, "POST /3");
    assert_true(second && third && second < third && strstr(third, "GET /4"));
    close(fd);
    stop(&f);
}

static void test_refusals_close(void **state)
{
    struct fixture f = { 0 };
    struct http_server_counters counters;

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                          "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"));
    const char *answer = peer_read(&f, fd, NULL);
    assert_begins(answer, "HTTP/1.1 400 Bad Request\r\n");
    assert_has(answer, "Connection: close\r\n");
    assert_has(answer, "application/problem+json");
    assert_has(answer, "\"code\":\"invalid\"");
    assert_has(answer, "nosniff");
    assert_null(strstr(answer + 8, "HTTP/1.1"));
    close(fd);
    assert_int_equal(f.handled, 0);
    http_server_counters(f.server, &counters);
    assert_int_equal(counters.bad_requests, 1);
    assert_begins(exchange_whole(&f, STR("\x16\x03\x01")), "HTTP/1.1 400 ");
    assert_begins(exchange_whole(&f, STR("BREW / HTTP/1.1\r\nHost: h\r\n\r\n")), "HTTP/1.1 501 ");
    WAIT_FOR(&f, (http_server_counters(f.server, &counters), !counters.connections));
    stop(&f);
}

static void test_bodies_are_bounded(void **state)
{
    struct fixture f = { 0 };
    struct http_server_settings settings = { .limits.body_max = 10 };

    (void)state;
    start(&f, settings);
    assert_begins(exchange_whole(&f, STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n"
                                         "hello world")), "HTTP/1.1 413 ");
    assert_begins(exchange_whole(&f, STR("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked"
                                         "\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n")),
                  "HTTP/1.1 413 ");
    assert_begins(exchange_whole(&f, STR("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")),
                  "HTTP/1.1 400 ");
    assert_begins(exchange_whole(&f, STR("DELETE / HTTP/1.1\r\nHost: h\r\n"
                                         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
                  "HTTP/1.1 400 ");
    assert_int_equal(f.handled, 0);
    f.admit_body_max = 20; /* the route allows more, and bodies with DELETE */
    assert_has(exchange_whole(&f, STR("DELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n"
                                      CLOSE "hello world")), "|hello world");
    stop(&f);
}

static void test_bodies_are_bounded_together(void **state)
{
    struct fixture f = { 0 };
    struct http_server_counters counters;

    (void)state;
    start(&f, (struct http_server_settings){ .limits.bodies_max = 15 });
    int first = peer_open(&f), second = peer_open(&f);
    peer_send(&f, first, STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello wor"));
    WAIT_FOR(&f, (http_server_counters(f.server, &counters), counters.bytes_in > 50));
    peer_send(&f, second, STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello worl"));
    assert_begins(peer_read(&f, second, NULL), "HTTP/1.1 503 ");
    peer_send(&f, first, STR("l"));
    assert_has(peer_read(&f, first, "|"), "|hello worl");
    for (int i = 0; i < 3; i++) { /* what an exchange had is given back */
        peer_send(&f, first, STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
                                 "hello worl"));
        assert_has(peer_read(&f, first, "|"), "|hello worl");
    }
    close(first);
    close(second);
    stop(&f);
}

/* Who sends a large body still gets to read the early answer: the server lingers. */
static void test_early_answer_to_large_body(void **state)
{
    struct fixture f = { 0 };
    struct str body = { memory_alloc(300000), 300000 };
    char *bytes = (char *)(uintptr_t)body.bytes;

    (void)state;
    memset(bytes, 'x', body.size);
    start(&f, (struct http_server_settings){ .limits.body_max = 10 });
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n"));
    peer_send(&f, fd, body);
    const char *answer = peer_read(&f, fd, NULL);
    assert_begins(answer, "HTTP/1.1 413 ");
    assert_has(answer, "}");
    close(fd);
    free(bytes);
    stop(&f);
}

static void test_admit(void **state)
{
    struct fixture f = { .admit_status = 404 };

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("GET /refused HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_begins(peer_read(&f, fd, "}"), "HTTP/1.1 404 Not Found");
    peer_send(&f, fd, STR("GET /next HTTP/1.1\r\nHost: h\r\n\r\n")); /* nothing was left unread */
    assert_has(peer_read(&f, fd, "|"), "GET /next");
    close(fd);
    fd = peer_open(&f);
    peer_send(&f, fd, STR("POST /refused HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                          "Content-Length: 5\r\n\r\n"));
    const char *answer = peer_read(&f, fd, NULL);
    assert_begins(answer, "HTTP/1.1 404 ");
    assert_has(answer, "Connection: close");
    close(fd);
    assert_int_equal(f.handled, 1);
    stop(&f);
}

static void test_expect_continue(void **state)
{
    struct fixture f = { 0 };

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                          "Content-Length: 5\r\n" CLOSE));
    assert_string_equal(peer_read(&f, fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    peer_send(&f, fd, STR("hello"));
    assert_has(peer_read(&f, fd, NULL), "|hello");
    close(fd);
    stop(&f);
}

static void test_times_are_bounded(void **state)
{
    struct fixture f = { 0 };
    struct http_server_settings settings = { .limits = {
        .head_timeout_ms = 40, .body_timeout_ms = 40, .idle_timeout_ms = 40 } };

    (void)state;
    start(&f, settings);
    assert_string_equal(exchange_whole(&f, STR("")), ""); /* says nothing: closed */
    assert_begins(exchange_whole(&f, STR("GET / HT")), "HTTP/1.1 408 ");
    assert_begins(exchange_whole(&f, STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
                                         "he")), "HTTP/1.1 408 ");
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    const char *answer = peer_read(&f, fd, NULL); /* the end comes without another word */
    assert_begins(answer, "HTTP/1.1 200 OK");
    assert_null(strstr(answer, "408"));
    close(fd);
    stop(&f);
}

/* Trickling does not move the deadline. */
static void test_trickle(void **state)
{
    struct fixture f = { 0 };

    (void)state;
    start(&f, (struct http_server_settings){ .limits.head_timeout_ms = 60 });
    int fd = peer_open(&f);
    int64_t begin_ms = clock_mono_ms();
    char seen[64] = "";
    peer_send(&f, fd, STR("GET /"));
    while (!seen[0] && clock_mono_ms() < begin_ms + 10000) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        peer_send(&f, fd, STR("a"));
        if (poll(&wait, 1, 5) == 1 && recv(fd, seen, sizeof seen - 1, MSG_DONTWAIT) < 0)
            break;
    }
    assert_begins(seen, "HTTP/1.1 408 ");
    close(fd);
    stop(&f);
}

static void test_peer_that_does_not_read(void **state)
{
    struct fixture f = { 0 };
    struct http_server_counters counters;

    (void)state;
    start(&f, (struct http_server_settings){ .limits.write_timeout_ms = 50 });
    int fd = peer_open(&f);
    for (int i = 0; i < 4; i++) /* more than the kernel's buffers hold */
        peer_send(&f, fd, STR("GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
    WAIT_FOR(&f, (http_server_counters(f.server, &counters), !counters.connections));
    assert_true(f.handled < 4); /* the next answer waits for the last to go out */
    close(fd);
    fd = peer_open(&f);
    peer_send(&f, fd, STR("GET /big HTTP/1.1\r\nHost: h\r\n" CLOSE));
    const char *answer = peer_read(&f, fd, NULL);
    assert_int_equal(strlen(strstr(answer, "\r\n\r\n") + 4), 4 << 20);
    close(fd);
    stop(&f);
}

static void test_connections_are_bounded(void **state)
{
    struct fixture f = { 0 };
    struct http_server_counters counters;
    int fds[3];

    (void)state;
    start(&f, (struct http_server_settings){ .limits.connections_per_address_max = 2 });
    for (int i = 0; i < 3; i++)
        fds[i] = peer_open(&f);
    assert_begins(peer_read(&f, fds[2], NULL), "HTTP/1.1 503 ");
    close(fds[0]);
    WAIT_FOR(&f, (http_server_counters(f.server, &counters), counters.connections == 1));
    assert_begins(exchange_whole(&f, STR("GET / HTTP/1.1\r\nHost: h\r\n" CLOSE)), "HTTP/1.1 200 ");
    close(fds[1]);
    close(fds[2]);
    stop(&f);
}

static void test_without_descriptors(void **state)
{
    struct fixture f = { 0 };
    struct rlimit limit;

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f), first = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    close(first);
    struct rlimit tight = { (rlim_t)first, limit.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    const char *answer = peer_read(&f, fd, NULL); /* dropped, and the loop is not kept busy */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_string_equal(answer, "");
    close(fd);
    assert_begins(exchange_whole(&f, STR("GET / HTTP/1.1\r\nHost: h\r\n" CLOSE)), "HTTP/1.1 200 ");
    stop(&f);
}

static void test_gone(void **state)
{
    struct fixture f = { 0 };
    struct linger hard = { .l_onoff = 1 };

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("GET /watched HTTP/1.1\r\nHost: h\r\n\r\n"));
    WAIT_FOR(&f, f.kept);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd); /* a reset */
    WAIT_FOR(&f, f.gone == 1);
    assert_int_equal(f.logged, 1);
    assert_int_equal(f.logged_status, 0);
    fd = peer_open(&f);
    peer_send(&f, fd, STR("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    WAIT_FOR(&f, f.kept);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    struct http_server_counters counters;
    WAIT_FOR(&f, (http_server_counters(f.server, &counters), !counters.connections));
    assert_int_equal(counters.exchanges, 1);
    http_answer(f.kept, 200, NULL, STR("in vain")); /* who did not ask to be told answers */
    http_server_counters(f.server, &counters);
    assert_int_equal(counters.exchanges, 0);
    stop(&f);
}

/* A peer that has sent its request and closed its side still gets the answer. */
static void test_half_closed_peer(void **state)
{
    struct fixture f = { 0 };

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    WAIT_FOR(&f, f.kept);
    shutdown(fd, SHUT_WR);
    turn(&f);
    turn(&f);
    http_answer(f.kept, 200, NULL, STR("answer"));
    assert_has(peer_read(&f, fd, NULL), "answer");
    close(fd);
    stop(&f);
}

static void test_stream(void **state)
{
    struct fixture f = { 0 };

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_has(peer_read(&f, fd, "\r\n\r\n"), "Transfer-Encoding: chunked\r\n");
    assert_true(http_stream_event(f.kept, "7", "line", STR("a\nb\r\nc\r")));
    assert_string_equal(peer_read(&f, fd, "\n\n\r\n"),
                        "32\r\nid: 7\nevent: line\ndata: a\ndata: b\ndata: c\ndata: \n\n\r\n");
    assert_true(http_stream_write(f.kept, STR("")));
    assert_true(http_stream_write(f.kept, STR("raw")));
    http_stream_end(f.kept);
    assert_string_equal(peer_read(&f, fd, "0\r\n\r\n"), "3\r\nraw\r\n0\r\n\r\n");
    assert_int_equal(f.logged_size, 0x32 + 3);
    peer_send(&f, fd, STR("GET /again HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_has(peer_read(&f, fd, "|"), "GET /again");
    peer_send(&f, fd, STR("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"));
    peer_read(&f, fd, "\r\n\r\n");
    close(fd); /* the end of a stream's connection is noticed without writing */
    WAIT_FOR(&f, f.gone == 1);
    stop(&f);
}

static void test_stream_to_slow_reader(void **state)
{
    static char block[64 * 1024];
    struct fixture f = { 0 };
    size_t sent = 0;

    (void)state;
    memset(block, 'x', sizeof block);
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("GET /stream HTTP/1.0\r\nHost: h\r\n\r\n"));
    WAIT_FOR(&f, f.kept);
    while (http_stream_write(f.kept, (struct str){ block, sizeof block })) {
        sent += sizeof block;
        assert_true(sent < 64 << 20);
    }
    assert_true(http_stream_queued(f.kept) > 0 && http_stream_queued(f.kept) <= 256 * 1024);
    char bytes[65536];
    size_t got = 0;
    while (!f.drained) { /* the reader catches up */
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        turn(&f);
    }
    assert_int_equal(http_stream_queued(f.kept), 0);
    http_stream_end(f.kept);
    got += strlen(peer_read(&f, fd, NULL));
    assert_true(got > sent); /* all of it and the head; HTTP/1.0 has no chunks */
    close(fd);
    stop(&f);
}

static void test_drain(void **state)
{
    struct fixture f = { 0 };

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int idle = peer_open(&f), busy = peer_open(&f);
    peer_send(&f, idle, STR("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    peer_read(&f, idle, "|");
    peer_send(&f, busy, STR("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    WAIT_FOR(&f, f.kept);
    http_server_drain(f.server, 60000, on_ended, &f);
    assert_string_equal(peer_read(&f, idle, NULL), "");
    assert_int_equal(f.ended, 0);
    http_answer(f.kept, 200, NULL, STR("last words"));
    const char *answer = peer_read(&f, busy, NULL);
    assert_has(answer, "Connection: close\r\n");
    assert_has(answer, "last words");
    WAIT_FOR(&f, f.ended == 1);
    close(idle);
    close(busy);
    stop(&f);
}

static void test_drain_cuts(void **state)
{
    struct fixture f = { 0 };

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    int fd = peer_open(&f);
    peer_send(&f, fd, STR("GET /watched HTTP/1.1\r\nHost: h\r\n\r\n"));
    WAIT_FOR(&f, f.kept);
    http_server_drain(f.server, 30, on_ended, &f);
    WAIT_FOR(&f, f.ended == 1);
    assert_int_equal(f.gone, 1);
    close(fd);
    stop(&f);
}

static void test_listen_errors(void **state)
{
    struct fixture f = { 0 };
    struct http_server *other = NULL;
    char listen[32];
    struct error err;

    (void)state;
    start(&f, (struct http_server_settings){ 0 });
    snprintf(listen, sizeof listen, "127.0.0.1:%u", http_server_port(f.server));
    struct http_server_settings settings = { .listen = listen, .handle = handle };
    assert_int_equal(http_server_new(f.base, &settings, &other, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_non_null(strstr(error_english(&err), listen));
    static const char *const bad[] = { "", "8680", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                                       "a:80", "::1:80", "[127.0.0.1]:80", "127.0.0.1:-1" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        settings.listen = bad[i];
        assert_int_equal(http_server_new(f.base, &settings, &other, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
    }
    settings.listen = "192.0.2.1:0";
    assert_int_equal(http_server_new(f.base, &settings, &other, &err), -1);
    settings.listen = "127.0.0.1:0";
    settings.tls_certificate = settings.tls_key = "/nonexistent.pem";
    assert_int_equal(http_server_new(f.base, &settings, &other, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_null(other);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_chunked_body_byte_by_byte),
        cmocka_unit_test(test_pipelined_in_order),
        cmocka_unit_test(test_refusals_close),
        cmocka_unit_test(test_bodies_are_bounded),
        cmocka_unit_test(test_bodies_are_bounded_together),
        cmocka_unit_test(test_early_answer_to_large_body),
        cmocka_unit_test(test_admit),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_times_are_bounded),
        cmocka_unit_test(test_trickle),
        cmocka_unit_test(test_peer_that_does_not_read),
        cmocka_unit_test(test_connections_are_bounded),
        cmocka_unit_test(test_without_descriptors),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_half_closed_peer),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stream_to_slow_reader),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_cuts),
        cmocka_unit_test(test_listen_errors),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
