/*
 * The far end of benchmarks and fault tests: an HTTP server on loopback, in a process of its own,
 * that counts what it is sent, measures how late it came, and answers "ok". One thread, no more
 * work for a request than that, so that it is not what is measured.
 *
 *   sink [--port N] [--ledger FILE]
 *
 * Prints its port on a line of its own and runs until its standard input ends.
 * --ledger: each task's request is appended to FILE (O_APPEND|O_DSYNC) before it is answered, as
 * tests/fault/ledger.c does for scripts.
 * GET /sink/stats: {"requests","runs","lateness_us":{"count","p50","p99","max"}}; runs: distinct
 * ones ever, by Idempotency-Key; lateness: arrival minus X-Belfry-Fire-Time. POST /sink/reset
 * begins requests and lateness anew.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, HEAD_MAX = 64 << 10, READ_SIZE = 16 << 10, RECORD_SIZE = 256 };

struct peer {
    int fd;
    struct peer *next_dirty;
    bool dirty, closing;
    struct buf in, out;
    int64_t body_left; /* of the request whose head has been read */
};

struct sink {
    int epoll, listener, ledger;
    struct peer *dirty; /* those with an answer to be sent once the ledger is written */
    struct buf ledger_lines;
    struct map runs;
    int64_t requests;
    int32_t *lateness_us;
    size_t lateness_count, lateness_capacity;
};

struct task_request {
    struct str path, key, job, fire_time, attempt;
    int64_t body_size;
};

static void fail(const char *what)
{
    fprintf(stderr, "sink: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t nanoseconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* --- what is counted -------------------------------------------------------------------------------- */

static void lateness_add(struct sink *sink, int64_t us)
{
    if (sink->lateness_count == sink->lateness_capacity) {
        sink->lateness_capacity = sink->lateness_capacity ? 2 * sink->lateness_capacity : 65536;
        sink->lateness_us = memory_resize(sink->lateness_us,
                                          sink->lateness_capacity * sizeof *sink->lateness_us);
    }
    if (us > INT32_MAX)
        us = INT32_MAX;
    sink->lateness_us[sink->lateness_count++] = us < INT32_MIN ? INT32_MIN : (int32_t)us;
}

static void ledger_add(struct sink *sink, const struct task_request *request, int64_t run_id,
                       int64_t now_ns)
{
    char record[RECORD_SIZE];
    int size = snprintf(record, sizeof record, "%lld %.*s %.*s %.*s - START %lld %lld http",
                        (long long)run_id, (int)request->job.size, request->job.bytes,
                        (int)request->fire_time.size, request->fire_time.bytes,
                        (int)request->attempt.size, request->attempt.bytes, (long long)now_ns,
                        (long long)nanoseconds(CLOCK_MONOTONIC));

    if (size >= RECORD_SIZE - 1)
        fail("a record is too long for the ledger");
    buf_printf(&sink->ledger_lines, "%-*s\n", RECORD_SIZE - 1, record);
}

static void task_count(struct sink *sink, const struct task_request *request)
{
    int64_t now_ns = nanoseconds(CLOCK_REALTIME), run_id, fire_ms;
    struct str number = request->key;

    sink->requests++;
    if (!str_starts_with(number, STR("belfry-")))
        return;
    number.bytes += 7;
    number.size -= 7;
    if (!number_parse(number, 1, INT64_MAX, &run_id))
        return;
    map_put(&sink->runs, run_id, sink);
    if (time_parse(request->fire_time, &fire_ms))
        lateness_add(sink, now_ns / 1000 - fire_ms * 1000);
    if (sink->ledger >= 0)
        ledger_add(sink, request, run_id, now_ns);
}

static int compare(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static int32_t quantile(const struct sink *sink, double part)
{
    size_t count = sink->lateness_count;

    return count ? sink->lateness_us[(size_t)(part * (double)(count - 1))] : 0;
}

static void stats_print(struct sink *sink, struct buf *text)
{
    if (sink->lateness_count)
        qsort(sink->lateness_us, sink->lateness_count, sizeof *sink->lateness_us, compare);
    buf_printf(text,
               "{\"requests\":%lld,\"runs\":%zu,\"lateness_us\":"
               "{\"count\":%zu,\"p50\":%d,\"p99\":%d,\"max\":%d}}",
               (long long)sink->requests, sink->runs.count, sink->lateness_count,
               quantile(sink, 0.5), quantile(sink, 0.99), quantile(sink, 1));
}

static void stats_reset(struct sink *sink)
{
    sink->requests = 0;
    sink->lateness_count = 0;
}

/* --- HTTP, as much as a sink needs ------------------------------------------------------------------- */

static void answer_add(struct peer *peer, struct str text)
{
    buf_printf(&peer->out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%.*s", text.size,
               (int)text.size, text.bytes);
}

static void request_answer(struct sink *sink, struct peer *peer, const struct task_request *request)
{
    struct buf text;

    buf_init(&text, 4096);
    if (str_is(request->path, "/sink/stats")) {
        stats_print(sink, &text);
        answer_add(peer, buf_str(&text));
    } else if (str_is(request->path, "/sink/reset")) {
        stats_reset(sink);
        answer_add(peer, STR("ok"));
    } else {
        task_count(sink, request);
        answer_add(peer, STR("ok"));
    }
    buf_done(&text);
}

static void header_take(struct task_request *request, struct str line)
{
    struct str name, value = line;

    if (!str_split(&value, ':', &name) || !value.bytes)
        return;
    value = str_trim(value);
    if (str_equal_nocase(name, STR("Idempotency-Key")))
        request->key = value;
    else if (str_equal_nocase(name, STR("X-Belfry-Job")))
        request->job = value;
    else if (str_equal_nocase(name, STR("X-Belfry-Fire-Time")))
        request->fire_time = value;
    else if (str_equal_nocase(name, STR("X-Belfry-Attempt")))
        request->attempt = value;
    else if (str_equal_nocase(name, STR("Content-Length")))
        number_parse(value, 0, INT64_MAX, &request->body_size);
}

static struct task_request head_read(struct str head)
{
    struct task_request request = { .job = STR("-"), .fire_time = STR("-"), .attempt = STR("-") };
    struct str line, word;

    str_split(&head, '\n', &line);
    str_split(&line, ' ', &word);
    str_split(&line, ' ', &request.path);
    while (str_split(&head, '\n', &line)) {
        if (line.size && line.bytes[line.size - 1] == '\r')
            line.size--;
        header_take(&request, line);
    }
    return request;
}

/* Takes one request off the buffer; false: more bytes are needed. */
static bool request_take(struct sink *sink, struct peer *peer)
{
    size_t drop = peer->in.size;

    if (peer->body_left > 0) {
        if (peer->body_left < (int64_t)drop)
            drop = (size_t)peer->body_left;
        buf_consume(&peer->in, drop);
        peer->body_left -= (int64_t)drop;
        return drop > 0;
    }
    const char *end = drop ? memmem(peer->in.bytes, peer->in.size, "\r\n\r\n", 4) : NULL;
    if (!end)
        return false;
    size_t head_size = (size_t)(end - peer->in.bytes) + 4;
    struct task_request request = head_read((struct str){ peer->in.bytes, head_size - 4 });
    request_answer(sink, peer, &request);
    peer->body_left = request.body_size;
    buf_consume(&peer->in, head_size);
    return true;
}

/* --- connections --------------------------------------------------------------------------------------- */

static void peer_free(struct peer *peer)
{
    close(peer->fd);
    buf_done(&peer->in);
    buf_done(&peer->out);
    free(peer);
}

static void peers_accept(struct sink *sink)
{
    int fd;

    while ((fd = accept4(sink->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct peer *peer = memory_alloc(sizeof *peer);
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = peer };
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        peer->fd = fd;
        buf_init(&peer->in, HEAD_MAX);
        buf_init(&peer->out, HEAD_MAX);
        if (epoll_ctl(sink->epoll, EPOLL_CTL_ADD, fd, &event))
            fail("epoll_ctl");
    }
}

static void peer_dirty(struct sink *sink, struct peer *peer)
{
    if (peer->dirty)
        return;
    peer->dirty = true;
    peer->next_dirty = sink->dirty;
    sink->dirty = peer;
}

static void peer_read(struct sink *sink, struct peer *peer)
{
    char *room = buf_reserve(&peer->in, READ_SIZE);
    ssize_t n = room ? read(peer->fd, room, READ_SIZE) : 0;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        peer->closing = true;
        peer_dirty(sink, peer);
        return;
    }
    buf_commit(&peer->in, (size_t)n);
    while (request_take(sink, peer))
        ;
    if (peer->out.size)
        peer_dirty(sink, peer);
}

/* Answers are small: what the socket does not take at once means a peer that does not read. */
static void peer_write(struct peer *peer)
{
    size_t sent = 0;

    while (sent < peer->out.size) {
        ssize_t n = send(peer->fd, peer->out.bytes + sent, peer->out.size - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            peer->closing = true;
            return;
        }
        sent += (size_t)n;
    }
    buf_clear(&peer->out);
}

static void ledger_write(struct sink *sink)
{
    struct buf *lines = &sink->ledger_lines;

    if (lines->size == 0)
        return;
    if (lines->overflow || write(sink->ledger, lines->bytes, lines->size) != (ssize_t)lines->size)
        fail("cannot write the ledger");
    buf_clear(lines);
}

/* First the record, then the answer: a task that Belfry saw succeed stands in the ledger. */
static void round_end(struct sink *sink)
{
    ledger_write(sink);
    while (sink->dirty) {
        struct peer *peer = sink->dirty;
        sink->dirty = peer->next_dirty;
        peer->dirty = false;
        if (!peer->closing)
            peer_write(peer);
        if (peer->closing)
            peer_free(peer);
    }
}

/* --- the program ----------------------------------------------------------------------------------------- */

static void listen_on(struct sink *sink, uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

    sink->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(sink->listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (bind(sink->listener, (struct sockaddr *)&address, sizeof address) ||
        listen(sink->listener, 4096) ||
        getsockname(sink->listener, (struct sockaddr *)&address, &size))
        fail("cannot listen");
    sink->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(sink->epoll, EPOLL_CTL_ADD, sink->listener, &event))
        fail("epoll_ctl");
    event.data.ptr = sink;
    /* refused where standard input is a file: then it runs until it is killed */
    (void)epoll_ctl(sink->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
}

static bool input_ended(void)
{
    char bytes[64];

    return read(STDIN_FILENO, bytes, sizeof bytes) <= 0;
}

static void serve(struct sink *sink)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        int count = epoll_wait(sink->epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (!events[i].data.ptr)
                peers_accept(sink);
            else if (events[i].data.ptr != sink)
                peer_read(sink, events[i].data.ptr);
            else if (input_ended())
                return;
        }
        round_end(sink);
    }
}

int main(int argc, char **argv)
{
    struct sink sink = { .ledger = -1 };
    int64_t port = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0 && number_parse(str_of(argv[i + 1]), 0, 65535, &port))
            continue;
        if (strcmp(argv[i], "--ledger") == 0) {
            sink.ledger = open(argv[i + 1], O_WRONLY | O_CREAT | O_APPEND | O_DSYNC | O_CLOEXEC, 0666);
            if (sink.ledger < 0)
                fail("cannot open the ledger");
            continue;
        }
        fprintf(stderr, "usage: sink [--port N] [--ledger FILE]\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    map_init(&sink.runs);
    buf_init(&sink.ledger_lines, 16 << 20);
    listen_on(&sink, (uint16_t)port);
    serve(&sink);
    _exit(0); /* what is in memory goes with the process, connections that are open, too */
}
