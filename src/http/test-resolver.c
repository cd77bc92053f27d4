#include "http/egress.h"
#include "http/http-client.h"

#include "base/clock.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * The client with a name server of its own, which says what an attacker's might say. Where a call
 * goes is told by the connections that are made.
 */
struct zone {
    const char *name;
    const char *addresses[3]; /* IPv4; none: no such name */
    bool silent;
};

static const struct zone zones[] = {
    { "peer.test", { "127.0.0.1" }, false },
    { "metadata.test", { "169.254.169.254" }, false },
    { "both.test", { "169.254.169.254", "127.0.0.1" }, false },
    { "nowhere.test", { NULL }, false },
    { "silent.test", { NULL }, true },
};

struct fixture {
    struct event_base *base;
    struct http_client *client;
    struct egress *egress;
    struct evconnlistener *listener;
    struct event *dns_event;
    int dns_fd;
    unsigned port, accepted, questions, done;
    enum http_failure failure;
    int status;
    char sentence[256];
};

/* --- the name server -------------------------------------------------------------------------- */

/* "\4peer\4test\0" as text; the size it takes in the packet. */
static size_t name_read(const unsigned char *packet, char *text)
{
    size_t at = 0;

    for (; packet[at]; at += packet[at] + 1U) {
        if (at)
            *text++ = '.';
        memcpy(text, packet + at + 1, packet[at]);
        text += packet[at];
    }
    *text = '\0';
    return at + 1;
}

static const struct zone *zone_find(const char *name)
{
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        if (strcasecmp(zones[i].name, name) == 0)
            return &zones[i];
    return NULL;
}

static size_t record_add(unsigned char *packet, const char *address)
{
    static const unsigned char head[] = { 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4 }; /* A, 30 s */
    struct sockaddr_in parsed;
    int size = sizeof parsed;

    memcpy(packet, head, sizeof head);
    assert_int_equal(evutil_parse_sockaddr_port(address, (struct sockaddr *)&parsed, &size), 0);
    memcpy(packet + sizeof head, &parsed.sin_addr, 4);
    return sizeof head + 4;
}

/* Turns the question into its answer; the size, or 0 to say nothing. */
static size_t answer_make(unsigned char *packet)
{
    char name[256];
    size_t size = 12 + name_read(packet + 12, name);
    bool asks_ipv4 = packet[size + 1] == 1;
    const struct zone *zone = zone_find(name);

    size += 4;
    if (!zone || zone->silent)
        return 0;
    packet[2] = 0x81; /* an answer */
    packet[3] = zone->addresses[0] ? 0x80 : 0x83;
    memset(packet + 6, 0, 6);
    for (size_t i = 0; asks_ipv4 && i < 3 && zone->addresses[i]; i++) {
        size += record_add(packet + size, zone->addresses[i]);
        packet[7]++;
    }
    return size;
}

static void on_question(evutil_socket_t fd, short events, void *ctx)
{
    struct fixture *f = ctx;
    unsigned char packet[1024];
    struct sockaddr_in from;
    socklen_t from_size = sizeof from;

    (void)events;
    ssize_t n = recvfrom(fd, packet, 512, 0, (struct sockaddr *)&from, &from_size);
    if (n < 17)
        return;
    f->questions++;
    size_t size = answer_make(packet);
    if (size)
        sendto(fd, packet, size, 0, (struct sockaddr *)&from, from_size);
}

/* --- the fixture ------------------------------------------------------------------------------ */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int size, void *ctx)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    struct fixture *f = ctx;

    (void)listener;
    (void)address;
    (void)size;
    f->accepted++;
    assert_true(send(fd, reply, sizeof reply - 1, MSG_NOSIGNAL) > 0);
    shutdown(fd, SHUT_WR);
    close(fd);
}

static unsigned port_of(int fd)
{
    struct sockaddr_in own;
    socklen_t size = sizeof own;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    return ntohs(own.sin_port);
}

static void start(struct fixture *f)
{
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char servers[32];

    *f = (struct fixture){ .base = event_base_new() };
    f->listener = evconnlistener_new_bind(f->base, on_accept, f,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 128,
                                          (struct sockaddr *)&own, sizeof own);
    f->port = port_of(evconnlistener_get_fd(f->listener));
    f->dns_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->dns_fd, (struct sockaddr *)&own, sizeof own), 0);
    f->dns_event = event_new(f->base, f->dns_fd, EV_READ | EV_PERSIST, on_question, f);
    event_add(f->dns_event, NULL);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", port_of(f->dns_fd));
    assert_int_equal(egress_new(NULL, NULL, &f->egress, NULL), 0);
    struct http_client_settings settings = { .egress = egress_check_address,
                                             .egress_ctx = f->egress, .name_servers = servers };
    assert_int_equal(http_client_new(f->base, &settings, &f->client, NULL), 0);
}

static void stop(struct fixture *f)
{
    http_client_free(&f->client);
    evconnlistener_free(f->listener);
    event_free(f->dns_event);
    close(f->dns_fd);
    egress_free(&f->egress);
    event_base_free(f->base);
}

static void on_done(void *ctx, const struct http_call_result *result)
{
    struct fixture *f = ctx;

    f->done++;
    f->failure = result->failure;
    f->status = result->status;
    error_text(result->err, LANGUAGE_EN, f->sentence, sizeof f->sentence);
}

static struct http_call *begin(struct fixture *f, const char *host)
{
    char url[128];

    snprintf(url, sizeof url, "http://%s:%u/", host, f->port);
    struct http_call_request request = { .method = "GET", .url = url, .total_timeout_ms = 15000 };

    if (strcmp(host, "silent.test") == 0)
        request.connect_timeout_ms = 100;
    return http_call_start(f->client, &request, on_done, f);
}

static void wait_done(struct fixture *f, unsigned count)
{
    int64_t deadline_ms = clock_mono_ms() + 20000;

    while (f->done < count) {
        event_base_loop(f->base, EVLOOP_ONCE);
        assert_true(clock_mono_ms() < deadline_ms);
    }
}

static void call(struct fixture *f, const char *host, enum http_failure wanted)
{
    begin(f, host);
    wait_done(f, f->done + 1);
    if (f->failure != wanted)
        fail_msg("%s: %s (%s)", host, http_failure_name(f->failure), f->sentence);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_answers_are_kept(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    call(&f, "peer.test", HTTP_FAILURE_NONE);
    unsigned questions = f.questions;
    assert_int_equal(f.status, 200);
    call(&f, "Peer.TEST", HTTP_FAILURE_NONE);
    assert_int_equal(f.questions, questions);
    assert_int_equal(f.accepted, 2);
    stop(&f);
}

static void test_one_question_for_all(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    for (int i = 0; i < 20; i++)
        begin(&f, "peer.test");
    http_call_cancel(begin(&f, "peer.test"));
    wait_done(&f, 20);
    assert_int_equal(f.failure, HTTP_FAILURE_NONE);
    assert_true(f.questions <= 2); /* A and AAAA */
    stop(&f);
}

/* What a name stands for is judged, not the name. */
static void test_names_of_forbidden_addresses(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    call(&f, "metadata.test", HTTP_FAILURE_EGRESS);
    assert_int_equal(f.accepted, 0);
    call(&f, "both.test", HTTP_FAILURE_NONE); /* by the address that may be dialled */
    assert_int_equal(f.accepted, 1);
    stop(&f);
}

static void test_failures(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    call(&f, "nowhere.test", HTTP_FAILURE_RESOLVE);
    assert_non_null(strstr(f.sentence, "nowhere.test"));
    call(&f, "silent.test", HTTP_FAILURE_TIMEOUT_CONNECT);
    http_call_cancel(begin(&f, "silent.test"));
    begin(&f, "silent.test"); /* ended with the client, in the middle of its question */
    for (int i = 0; i < 3; i++)
        event_base_loop(f.base, EVLOOP_NONBLOCK);
    assert_int_equal(f.done, 2);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_kept),
        cmocka_unit_test(test_one_question_for_all),
        cmocka_unit_test(test_names_of_forbidden_addresses),
        cmocka_unit_test(test_failures),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
