#include "http/egress.h"
#include "http/http-client.h"

#include "base/buf.h"
#include "base/clock.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/*
 * The client against a peer that follows a script. Both live on one loop in one thread.
 */
enum script {
    REPLY,            /* reply, then leave the connection open */
    REPLY_AND_CLOSE,
    HANG,             /* says nothing */
    TRICKLE,          /* a byte of reply a millisecond, for ever */
    FLOOD,            /* reply, then zeros for ever */
    CLOSE_UNANSWERED, /* the first request of a connection is answered, the second is not */
    INTERIM_STORM,    /* 100 Continue for ever */
};

struct peer {
    enum script script;
    struct str reply;
    struct event_base *base;
    struct evconnlistener *listener;
    unsigned port, accepted, requests;
    size_t flooded;
    struct buf heard; /* the requests, one after the other */
};

struct peer_connection {
    struct peer *peer;
    struct bufferevent *stream;
    struct event *timer;
    size_t at;
    unsigned answered;
};

struct fixture {
    struct peer peer;
    struct event_base *base;
    struct http_client *client;
    struct egress *egress;
    unsigned done;
    enum http_failure failure;
    enum error_code code;
    bool sent;
    int status;
    struct buf body, streamed, server_header;
    size_t header_count;
    char address[64], sentence[512];
    struct http_call *cancel_in_data;
};

/* --- the peer --------------------------------------------------------------------------------- */

static void connection_end(struct peer_connection *connection)
{
    if (connection->timer)
        event_free(connection->timer);
    bufferevent_free(connection->stream);
    free(connection);
}

static void on_trickle(evutil_socket_t fd, short events, void *ctx)
{
    struct peer_connection *connection = ctx;
    const struct str *reply = &connection->peer->reply;
    size_t at = connection->at++;

    (void)fd;
    (void)events;
    bufferevent_write(connection->stream, at < reply->size ? reply->bytes + at : "x", 1);
}

static void on_peer_written(struct bufferevent *stream, void *ctx)
{
    static const char zeros[64 * 1024];
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct peer_connection *connection = ctx;
    struct peer *peer = connection->peer;

    if (peer->script == FLOOD && peer->requests) {
        peer->flooded += sizeof zeros;
        bufferevent_write(stream, zeros, sizeof zeros);
    } else if (peer->script == INTERIM_STORM && peer->requests) {
        bufferevent_write(stream, interim, sizeof interim - 1);
    } else if (peer->script == REPLY_AND_CLOSE && connection->answered) {
        connection_end(connection);
    }
}

static void answer(struct peer_connection *connection)
{
    struct peer *peer = connection->peer;
    struct timeval millisecond = { .tv_usec = 1000 };

    if (peer->script == HANG)
        return;
    if (peer->script == CLOSE_UNANSWERED && connection->answered) {
        connection_end(connection);
        return;
    }
    connection->answered++;
    if (peer->script == TRICKLE) {
        connection->timer = event_new(peer->base, -1, EV_PERSIST, on_trickle, connection);
        event_add(connection->timer, &millisecond);
        return;
    }
    if (peer->reply.size)
        bufferevent_write(connection->stream, peer->reply.bytes, peer->reply.size);
    if (!peer->reply.size)
        on_peer_written(connection->stream, connection);
}

/* One request is a head and what came with it: the requests here fit one packet. */
static void on_peer_readable(struct bufferevent *stream, void *ctx)
{
    struct peer_connection *connection = ctx;
    struct evbuffer *input = bufferevent_get_input(stream);
    size_t size = evbuffer_get_length(input);

    if (evbuffer_search(input, "\r\n\r\n", 4, NULL).pos < 0)
        return;
    buf_add(&connection->peer->heard, evbuffer_pullup(input, -1), size);
    evbuffer_drain(input, size);
    connection->peer->requests++;
    answer(connection);
}

static void on_peer_event(struct bufferevent *stream, short what, void *ctx)
{
    (void)stream;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        connection_end(ctx);
}

static void on_peer_accept(struct evconnlistener *listener, evutil_socket_t fd,
                           struct sockaddr *address, int size, void *ctx)
{
    struct peer *peer = ctx;
    struct peer_connection *connection = calloc(1, sizeof *connection);

    (void)listener;
    (void)address;
    (void)size;
    peer->accepted++;
    connection->peer = peer;
    connection->stream = bufferevent_socket_new(peer->base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(connection->stream, on_peer_readable, on_peer_written, on_peer_event,
                      connection);
    bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
}

/* --- the fixture ------------------------------------------------------------------------------ */

static void start_with(struct fixture *f, enum script script, struct str reply, const char *deny)
{
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof own;

    *f = (struct fixture){ .base = event_base_new(), .peer = { .script = script, .reply = reply } };
    f->peer.base = f->base;
    f->peer.listener = evconnlistener_new_bind(f->base, on_peer_accept, &f->peer,
                                               LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 4096,
                                               (struct sockaddr *)&own, sizeof own);
    assert_non_null(f->peer.listener);
    getsockname(evconnlistener_get_fd(f->peer.listener), (struct sockaddr *)&own, &size);
    f->peer.port = ntohs(own.sin_port);
    buf_init(&f->peer.heard, 1 << 20);
    buf_init(&f->body, 1 << 24);
    buf_init(&f->streamed, 1 << 24);
    assert_int_equal(egress_new(NULL, deny, &f->egress, NULL), 0);
    struct http_client_settings settings = { .egress = egress_check_address,
                                             .egress_ctx = f->egress, .user_agent = "test" };
    assert_int_equal(http_client_new(f->base, &settings, &f->client, NULL), 0);
}

static void start(struct fixture *f, enum script script, struct str reply)
{
    start_with(f, script, reply, NULL);
}

static void stop(struct fixture *f)
{
    http_client_free(&f->client);
    for (int i = 0; i < 10; i++) /* the peers see the ends */
        event_base_loop(f->base, EVLOOP_NONBLOCK);
    evconnlistener_free(f->peer.listener);
    egress_free(&f->egress);
    event_base_free(f->base);
    buf_done(&f->peer.heard);
    buf_done(&f->body);
    buf_done(&f->streamed);
}

static void on_done(void *ctx, const struct http_call_result *result)
{
    struct fixture *f = ctx;

    f->done++;
    f->failure = result->failure;
    f->code = result->err->code;
    f->sent = result->sent;
    f->status = result->status;
    f->header_count = result->header_count;
    buf_clear(&f->body);
    buf_add(&f->body, result->body.bytes, result->body.size);
    memcpy(f->address, result->address, sizeof f->address);
    error_text(result->err, LANGUAGE_EN, f->sentence, sizeof f->sentence);
}

static void on_data(void *ctx, int status, struct str bytes)
{
    struct fixture *f = ctx;

    assert_int_equal(status, 200);
    buf_add(&f->streamed, bytes.bytes, bytes.size);
    if (f->cancel_in_data)
        http_call_cancel(f->cancel_in_data);
}

static void wait_done(struct fixture *f, unsigned count)
{
    int64_t deadline_ms = clock_mono_ms() + 20000;

    while (f->done < count) {
        event_base_loop(f->base, EVLOOP_ONCE);
        assert_true(clock_mono_ms() < deadline_ms);
    }
}

static const char *url(const struct fixture *f, const char *path)
{
    static char text[256];

    snprintf(text, sizeof text, "http://127.0.0.1:%u%s", f->peer.port, path);
    return text;
}

/* Starts the request (url NULL: the peer's) and waits for its end. */
static void call(struct fixture *f, struct http_call_request request)
{
    request.method = request.method ? request.method : "GET";
    request.url = request.url ? request.url : url(f, "/");
    assert_non_null(http_call_start(f->client, &request, on_done, f));
    wait_done(f, f->done + 1);
}

static void assert_failed(const struct fixture *f, enum http_failure failure)
{
    if (f->failure != failure)
        fail_msg("%s (%s) instead of %s", http_failure_name(f->failure), f->sentence,
                 http_failure_name(failure));
    assert_int_not_equal(f->code, ERR_NONE);
    assert_true(f->sentence[0]);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define OK_HELLO OK_HEAD "Content-Length: 5\r\nX-A: b\r\n\r\nhello"

/* --- tests ------------------------------------------------------------------------------------ */

static void test_answer_and_keep_alive(void **state)
{
    struct fixture f;
    char address[64];

    (void)state;
    start(&f, REPLY, STR(OK_HELLO));
    for (int i = 0; i < 3; i++) {
        call(&f, (struct http_call_request){ 0 });
        assert_int_equal(f.failure, HTTP_FAILURE_NONE);
        assert_int_equal(f.status, 200);
        assert_string_equal(buf_text(&f.body), "hello");
        assert_int_equal(f.header_count, 2);
        assert_true(f.sent);
    }
    snprintf(address, sizeof address, "127.0.0.1:%u", f.peer.port);
    assert_string_equal(f.address, address);
    assert_int_equal(f.peer.accepted, 1);
    assert_int_equal(f.peer.requests, 3);
    stop(&f);
}

static void test_request_as_sent(void **state)
{
    static const struct http_header headers[] = { { STR("X-One"), STR("1") },
                                                  { STR("X-Empty"), STR("") },
                                                  { STR("Content-Type"), STR("application/json") } };
    struct fixture f;
    char wanted[512];

    (void)state;
    start(&f, REPLY, STR(OK_HELLO));
    call(&f, (struct http_call_request){ .method = "POST", .url = url(&f, "/a/../b?c=d#e"),
                                         .headers = headers, .header_count = 3,
                                         .body = STR("{\"a\":1}") });
    snprintf(wanted, sizeof wanted,
             "POST /a/../b?c=d HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: test\r\n"
             "X-One: 1\r\nX-Empty:\r\nContent-Type: application/json\r\nAccept: */*\r\n"
             "Content-Length: 7\r\n\r\n{\"a\":1}", f.peer.port);
    assert_string_equal(buf_text(&f.peer.heard), wanted);
    buf_clear(&f.peer.heard);
    call(&f, (struct http_call_request){ .method = "DELETE" });
    assert_null(strstr(buf_text(&f.peer.heard), "Content-"));
    assert_non_null(strstr(buf_text(&f.peer.heard), "DELETE / HTTP/1.1\r\n"));
    buf_clear(&f.peer.heard);
    call(&f, (struct http_call_request){ .method = "PUT" });
    assert_non_null(strstr(buf_text(&f.peer.heard), "Content-Length: 0\r\n"));
    assert_null(strstr(buf_text(&f.peer.heard), "Content-Type"));
    stop(&f);
}

static void test_head_has_no_body(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, REPLY, STR(OK_HEAD "Content-Length: 5\r\n\r\n"));
    call(&f, (struct http_call_request){ .method = "HEAD" });
    assert_int_equal(f.failure, HTTP_FAILURE_NONE);
    assert_int_equal(f.body.size, 0);
    stop(&f);
}

static void test_injection_is_refused(void **state)
{
    static const struct http_header bad[] = {
        { STR("X"), STR("a\r\nY: b") }, { STR("X"), STR("a\nb") },  { STR("X"), STR("a\0b") },
        { STR("X\r\nY"), STR("a") },    { STR("X Y"), STR("a") },   { STR(""), STR("a") },
        { STR("Content-Length"), STR("5") }, { STR("transfer-encoding"), STR("chunked") },
        { STR("Connection"), STR("close") },
    };
    static const char *const methods[] = { "", "GET / HTTP/1.1\r\nX:", "G T", "CONNECT", "TRACE" };
    struct fixture f;

    (void)state;
    start(&f, REPLY, STR(OK_HELLO));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        call(&f, (struct http_call_request){ .headers = &bad[i], .header_count = 1 });
        assert_failed(&f, HTTP_FAILURE_URL);
        assert_int_equal(f.code, ERR_INVALID);
    }
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        call(&f, (struct http_call_request){ .method = methods[i] });
        assert_failed(&f, HTTP_FAILURE_URL);
    }
    call(&f, (struct http_call_request){ .url = url(&f, "/\r\nX: y") });
    assert_failed(&f, HTTP_FAILURE_URL);
    call(&f, (struct http_call_request){ .url = "file:///etc/passwd" });
    assert_failed(&f, HTTP_FAILURE_URL);
    assert_int_equal(f.peer.accepted, 0);
    assert_false(f.sent);
    stop(&f);
}

static void test_nobody_listens(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, REPLY, STR(OK_HELLO));
    evconnlistener_free(f.peer.listener);
    call(&f, (struct http_call_request){ 0 });
    assert_failed(&f, HTTP_FAILURE_CONNECT);
    assert_int_equal(f.code, ERR_UNAVAILABLE);
    assert_false(f.sent);
    f.peer.listener = evconnlistener_new(f.base, on_peer_accept, &f.peer, LEV_OPT_CLOSE_ON_FREE, 1,
                                         socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    stop(&f);
}

static void test_hang(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, HANG, STR(""));
    call(&f, (struct http_call_request){ .first_byte_timeout_ms = 40, .total_timeout_ms = 5000 });
    assert_failed(&f, HTTP_FAILURE_TIMEOUT_FIRST_BYTE);
    assert_int_equal(f.code, ERR_TIMEOUT);
    assert_true(f.sent);
    call(&f, (struct http_call_request){ .total_timeout_ms = 40 });
    assert_failed(&f, HTTP_FAILURE_TIMEOUT_TOTAL);
    stop(&f);
}

/* A server that accepts but does not speak TLS hangs in the connecting stage. */
static void test_connect_timeout(void **state)
{
    struct fixture f;
    char text[64];

    (void)state;
    start(&f, HANG, STR(""));
    snprintf(text, sizeof text, "https://127.0.0.1:%u/", f.peer.port);
    call(&f, (struct http_call_request){ .url = text, .connect_timeout_ms = 40 });
    assert_failed(&f, HTTP_FAILURE_TIMEOUT_CONNECT);
    assert_false(f.sent);
    stop(&f);
}

static void test_trickle(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, TRICKLE, STR(OK_HEAD "\r\n"));
    call(&f, (struct http_call_request){ .first_byte_timeout_ms = 5000, .total_timeout_ms = 500 });
    assert_failed(&f, HTTP_FAILURE_TIMEOUT_TOTAL);
    assert_int_equal(f.status, 200);
    assert_true(f.body.size > 0); /* what came is handed over */
    stop(&f);
}

static void test_endless_answer(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, FLOOD, STR(OK_HEAD "Content-Length: 10737418240\r\n\r\n"));
    call(&f, (struct http_call_request){ .response_max = 100000 });
    assert_failed(&f, HTTP_FAILURE_TOO_LARGE);
    assert_int_equal(f.code, ERR_TOO_LARGE);
    assert_int_equal(f.body.size, 100000);
    assert_true(f.peer.flooded < 16 << 20);
    stop(&f);
}

/* --- gzip ------------------------------------------------------------------------------------- */

struct bits {
    struct buf *out;
    unsigned pending, count;
};

static void bits_add(struct bits *bits, unsigned value, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        bits->pending |= (value >> i & 1) << bits->count;
        if (++bits->count == 8) {
            buf_add_char(bits->out, (char)bits->pending);
            bits->pending = bits->count = 0;
        }
    }
}

/* A gzip member without its check sum: one block with fixed codes, a zero and then "the last byte
 * 258 times" (code 285 is 11000101, distance code 0 is 00000) over and over. */
static void gzip_bomb(struct buf *out, int repeats)
{
    struct bits bits = { .out = out };

    buf_add(out, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
    bits_add(&bits, 3, 3); /* last block, fixed codes */
    bits_add(&bits, 0x0c, 8);
    for (int i = 0; i < repeats; i++)
        bits_add(&bits, 0xa3, 13);
    bits_add(&bits, 0, 8);
}

static void test_gzip_bomb(void **state)
{
    struct fixture f;
    struct buf reply;

    (void)state;
    buf_init(&reply, 1 << 22);
    buf_add_text(&reply, OK_HEAD "Content-Encoding: gzip\r\n\r\n");
    gzip_bomb(&reply, 2000000); /* 3 MB that become 516 MB */
    start(&f, REPLY_AND_CLOSE, buf_str(&reply));
    call(&f, (struct http_call_request){ .decompress = true, .response_max = 200000 });
    assert_failed(&f, HTTP_FAILURE_TOO_LARGE);
    assert_int_equal(f.body.size, 200000);
    assert_non_null(strstr(buf_text(&f.peer.heard), "Accept-Encoding: gzip\r\n"));
    f.peer.reply = STR(OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope");
    call(&f, (struct http_call_request){ .decompress = true });
    assert_failed(&f, HTTP_FAILURE_PROTOCOL);
    buf_clear(&f.peer.heard);
    call(&f, (struct http_call_request){ .decompress = false });
    assert_int_equal(f.failure, HTTP_FAILURE_NONE); /* not asked for, handed over as it came */
    assert_null(strstr(buf_text(&f.peer.heard), "Accept-Encoding"));
    stop(&f);
    buf_done(&reply);
}

static void test_broken_answers(void **state)
{
    static const struct {
        struct str reply;
        enum http_failure failure;
    } rows[] = {
        { STR(OK_HEAD "Content-Length: 10\r\n\r\nhello"), HTTP_FAILURE_RESET },
        { STR(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"), HTTP_FAILURE_RESET },
        { STR(OK_HEAD "Transfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n"),
          HTTP_FAILURE_PROTOCOL },
        { STR("garbage\r\n\r\n"), HTTP_FAILURE_PROTOCOL },
        { STR(""), HTTP_FAILURE_RESET },
        { STR("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), HTTP_FAILURE_PROTOCOL },
        { STR("HTTP/1.1 200 OK\r\nContent-Len"), HTTP_FAILURE_RESET },
    };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        start(&f, REPLY_AND_CLOSE, rows[i].reply);
        call(&f, (struct http_call_request){ 0 });
        if (f.failure != rows[i].failure)
            fail_msg("%s: %s (%s)", rows[i].reply.bytes, http_failure_name(f.failure), f.sentence);
        assert_true(f.sent);
        stop(&f);
    }
}

static void test_head_is_bounded(void **state)
{
    struct fixture f;
    struct buf reply;

    (void)state;
    start(&f, INTERIM_STORM, STR(""));
    call(&f, (struct http_call_request){ .first_byte_timeout_ms = 5000 });
    assert_failed(&f, HTTP_FAILURE_PROTOCOL);
    stop(&f);
    buf_init(&reply, 1 << 20);
    buf_add_text(&reply, OK_HEAD);
    for (int i = 0; i < 20000; i++)
        buf_printf(&reply, "X-%d: yyyyyyyyyy\r\n", i);
    start(&f, REPLY, buf_str(&reply));
    call(&f, (struct http_call_request){ 0 });
    assert_failed(&f, HTTP_FAILURE_PROTOCOL);
    stop(&f);
    buf_done(&reply);
}

/* --- redirects -------------------------------------------------------------------------------- */

static void test_redirects(void **state)
{
    static const struct http_header headers[] = { { STR("Authorization"), STR("Bearer s3cret") },
                                                  { STR("X-A"), STR("b") } };
    struct fixture f;
    char reply[256];

    (void)state;
    start(&f, REPLY, STR("HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 3\r\n\r\nabc"));
    call(&f, (struct http_call_request){ 0 });
    assert_int_equal(f.failure, HTTP_FAILURE_NONE);
    assert_int_equal(f.status, 302); /* an answer like others */
    assert_string_equal(buf_text(&f.body), "abc");
    call(&f, (struct http_call_request){ .redirects_max = 5 });
    assert_failed(&f, HTTP_FAILURE_REDIRECTS);
    assert_int_equal(f.peer.requests, 1 + 6);
    buf_clear(&f.peer.heard);
    call(&f, (struct http_call_request){ .method = "POST", .body = STR("body"), .redirects_max = 1,
                                         .headers = headers, .header_count = 2 });
    const char *second = strstr(buf_text(&f.peer.heard), "GET /next HTTP/1.1\r\n");
    assert_non_null(second);
    assert_null(strstr(second, "body"));
    assert_non_null(strstr(second, "s3cret")); /* the same origin */
    buf_clear(&f.peer.heard);
    snprintf(reply, sizeof reply, "HTTP/1.1 307 X\r\nLocation: http://localhost:%u/x\r\n"
             "Content-Length: 0\r\n\r\n", f.peer.port);
    f.peer.reply = str_of(reply);
    call(&f, (struct http_call_request){ .method = "POST", .body = STR("body"), .redirects_max = 1,
                                         .headers = headers, .header_count = 2 });
    second = strstr(buf_text(&f.peer.heard), "POST /x HTTP/1.1\r\n");
    assert_non_null(second);
    assert_non_null(strstr(second, "X-A: b\r\n"));
    assert_non_null(strstr(second, "\r\n\r\nbody"));
    assert_null(strstr(second, "s3cret")); /* another origin */
    stop(&f);
}

static void test_redirects_into_the_forbidden(void **state)
{
    static const struct {
        struct str reply;
        enum http_failure failure;
    } rows[] = {
        { STR("HTTP/1.1 302 X\r\nLocation: http://169.254.169.254/latest\r\n\r\n"),
          HTTP_FAILURE_EGRESS },
        { STR("HTTP/1.1 302 X\r\nLocation: http://[::ffff:169.254.169.254]/\r\n\r\n"),
          HTTP_FAILURE_EGRESS },
        { STR("HTTP/1.1 302 X\r\nLocation: file:///etc/passwd\r\n\r\n"), HTTP_FAILURE_URL },
        { STR("HTTP/1.1 302 X\r\nLocation: gopher://127.0.0.1/\r\n\r\n"), HTTP_FAILURE_URL },
        { STR("HTTP/1.1 302 X\r\nLocation: http://u:p@127.0.0.1/\r\n\r\n"), HTTP_FAILURE_URL },
        { STR("HTTP/1.1 302 X\r\nLocation: http://0xa9fea9fe/\r\n\r\n"), HTTP_FAILURE_EGRESS },
        { STR("HTTP/1.1 302 X\r\nLocation: http://a b/\r\n\r\n"), HTTP_FAILURE_URL },
    };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        start(&f, REPLY_AND_CLOSE, rows[i].reply);
        call(&f, (struct http_call_request){ .redirects_max = 3 });
        if (f.failure != rows[i].failure)
            fail_msg("%s: %s (%s)", rows[i].reply.bytes, http_failure_name(f.failure), f.sentence);
        assert_int_equal(f.peer.requests, 1);
        stop(&f);
    }
}

/* --- addresses -------------------------------------------------------------------------------- */

static void test_names_and_egress(void **state)
{
    struct fixture f;
    char text[64];

    (void)state;
    start(&f, REPLY, STR(OK_HELLO));
    snprintf(text, sizeof text, "http://LocalHost:%u/", f.peer.port);
    for (int i = 0; i < 2; i++) {
        call(&f, (struct http_call_request){ .url = text });
        assert_int_equal(f.failure, HTTP_FAILURE_NONE);
    }
    assert_int_equal(f.peer.accepted, 1);
    call(&f, (struct http_call_request){ .url = "http://169.254.169.254/latest/meta-data" });
    assert_failed(&f, HTTP_FAILURE_EGRESS);
    assert_int_equal(f.code, ERR_FORBIDDEN);
    stop(&f);
    start_with(&f, REPLY, STR(OK_HELLO), "127.0.0.0/8, ::1");
    snprintf(text, sizeof text, "http://localhost:%u/", f.peer.port);
    call(&f, (struct http_call_request){ .url = text });
    assert_failed(&f, HTTP_FAILURE_EGRESS);
    call(&f, (struct http_call_request){ 0 });
    assert_failed(&f, HTTP_FAILURE_EGRESS);
    assert_int_equal(f.peer.accepted, 0);
    assert_false(f.sent);
    stop(&f);
}

/* --- kept connections that are dead ------------------------------------------------------------- */

static void test_nothing_is_sent_twice(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CLOSE_UNANSWERED, STR(OK_HELLO));
    call(&f, (struct http_call_request){ .method = "POST" });
    assert_int_equal(f.failure, HTTP_FAILURE_NONE);
    call(&f, (struct http_call_request){ .method = "POST" });
    assert_failed(&f, HTTP_FAILURE_RESET);
    assert_true(f.sent);
    assert_int_equal(f.peer.requests, 2);
    call(&f, (struct http_call_request){ 0 });
    call(&f, (struct http_call_request){ .resend_stale = true });
    assert_int_equal(f.failure, HTTP_FAILURE_NONE);
    assert_int_equal(f.peer.requests, 5); /* one of them twice, as allowed */
    stop(&f);
}

/* --- cancelling, streams, many ------------------------------------------------------------------ */

static void test_cancel(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, HANG, STR(""));
    struct http_call_request request = { .method = "GET", .url = url(&f, "/") };
    http_call_cancel(http_call_start(f.client, &request, on_done, &f)); /* before it begins */
    struct http_call *running = http_call_start(f.client, &request, on_done, &f);
    while (!f.peer.requests)
        event_base_loop(f.base, EVLOOP_ONCE);
    http_call_cancel(running);
    http_call_start(f.client, &request, on_done, &f); /* ended by http_client_free */
    while (f.peer.requests < 2)
        event_base_loop(f.base, EVLOOP_ONCE);
    assert_int_equal(f.done, 0);
    stop(&f);
    assert_int_equal(f.done, 0);
}

static void test_stream(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, REPLY_AND_CLOSE, STR(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
                                           "6\r\n world\r\n0\r\n\r\n"));
    struct http_call_request request = { .method = "GET", .url = url(&f, "/"), .response_max = 1 };
    http_call_stream(f.client, &request, on_data, on_done, &f);
    wait_done(&f, 1);
    assert_int_equal(f.failure, HTTP_FAILURE_NONE);
    assert_string_equal(buf_text(&f.streamed), "hello world");
    stop(&f);
    start(&f, FLOOD, STR(OK_HEAD "\r\n"));
    request.url = url(&f, "/");
    f.cancel_in_data = http_call_stream(f.client, &request, on_data, on_done, &f);
    while (!f.streamed.size)
        event_base_loop(f.base, EVLOOP_ONCE);
    for (int i = 0; i < 10; i++)
        event_base_loop(f.base, EVLOOP_NONBLOCK);
    assert_int_equal(f.done, 0);
    stop(&f);
}

static void test_many_at_once(void **state)
{
    enum { MANY = 300 };
    struct fixture f;

    (void)state;
    start(&f, HANG, STR(""));
    struct http_call_request request = { .method = "GET", .url = url(&f, "/") };
    for (int i = 0; i < MANY; i++)
        http_call_start(f.client, &request, on_done, &f);
    int64_t deadline_ms = clock_mono_ms() + 20000;
    while (f.peer.requests < MANY) {
        event_base_loop(f.base, EVLOOP_ONCE);
        assert_true(clock_mono_ms() < deadline_ms);
    }
    assert_int_equal(f.peer.accepted, MANY);
    assert_int_equal(f.done, 0);
    stop(&f);
    assert_int_equal(f.done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_and_keep_alive),
        cmocka_unit_test(test_request_as_sent),
        cmocka_unit_test(test_head_has_no_body),
        cmocka_unit_test(test_injection_is_refused),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_hang),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_trickle),
        cmocka_unit_test(test_endless_answer),
        cmocka_unit_test(test_gzip_bomb),
        cmocka_unit_test(test_broken_answers),
        cmocka_unit_test(test_head_is_bounded),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_redirects_into_the_forbidden),
        cmocka_unit_test(test_names_and_egress),
        cmocka_unit_test(test_nothing_is_sent_twice),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_many_at_once),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
