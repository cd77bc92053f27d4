/*
 * Server: requests/s of a small JSON answer over keep-alive connections, with wrk in a process of
 * its own, beside a raw epoll loop that answers fixed bytes to whatever it reads: what the kernel
 * and wrk leave to be had. The two take turns, and the best round of each counts.
 * Client: calls/s against the raw loop, and memory with 10,000 calls that wait for an answer.
 *
 *   bench-http [connections [seconds]]
 */
#include "base/error.h"
#include "http/http-client.h"
#include "http/http-server.h"

#include <dirent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char answer_json[] = "{\"id\":4711,\"name\":\"nightly/report\",\"state\":\"SUCCEEDED\"}";

/* --- the two servers -------------------------------------------------------------------------- */

static void answer(void *ctx, struct http_exchange *exchange, const struct http_request *request)
{
    (void)ctx;
    (void)request;
    http_answer(exchange, 200, "application/json", STR(answer_json));
}

static void port_report(int fd, unsigned port)
{
    if (write(fd, &port, sizeof port) != sizeof port)
        exit(1);
    close(fd);
}

static void belfry_serve(int port_fd)
{
    struct event_base *base = event_base_new();
    struct http_server_settings settings = { .listen = "127.0.0.1:0", .handle = answer };
    struct http_server *server;
    struct error err;

    if (http_server_new(base, &settings, &server, &err) < 0) {
        fprintf(stderr, "%s\n", error_english(&err));
        exit(1);
    }
    port_report(port_fd, http_server_port(server));
    event_base_dispatch(base);
}

static int raw_listen(unsigned *ret_port)
{
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof own;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&own, size) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&own, &size) < 0)
        exit(1);
    *ret_port = ntohs(own.sin_port);
    return fd;
}

static void raw_accept(int epoll, int listen_fd)
{
    int on = 1, fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void raw_answer(int fd, const char *bytes, size_t size)
{
    char request[4096];

    if (read(fd, request, sizeof request) <= 0 ||
        (size && send(fd, bytes, size, MSG_NOSIGNAL) < 0))
        close(fd);
}

/* size 0: takes every request and answers none. */
static void raw_loop(int port_fd, const char *bytes, size_t size)
{
    struct epoll_event event = { .events = EPOLLIN }, events[64];
    unsigned port;

    int listen_fd = raw_listen(&port), epoll = epoll_create1(EPOLL_CLOEXEC);
    event.data.fd = listen_fd;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listen_fd, &event);
    port_report(port_fd, port);
    for (;;) {
        int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listen_fd)
                raw_accept(epoll, listen_fd);
            else
                raw_answer(events[i].data.fd, bytes, size);
        }
    }
}

static void raw_serve(int port_fd)
{
    char bytes[512];
    int size = snprintf(bytes, sizeof bytes,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        sizeof answer_json - 1, answer_json);

    raw_loop(port_fd, bytes, (size_t)size);
}

static void hang_serve(int port_fd)
{
    raw_loop(port_fd, NULL, 0);
}

/* --- measuring -------------------------------------------------------------------------------- */

static pid_t serve_start(void (*serve)(int), unsigned *ret_port)
{
    int pipe_fds[2];

    if (pipe(pipe_fds) < 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pipe_fds[0]);
        serve(pipe_fds[1]);
        exit(0);
    }
    close(pipe_fds[1]);
    if (pid < 0 || read(pipe_fds[0], ret_port, sizeof *ret_port) != sizeof *ret_port)
        exit(1);
    close(pipe_fds[0]);
    return pid;
}

/* wrk's own figure; -1 where it cannot be run. */
static double wrk_run(unsigned port, int connections, int seconds)
{
    char command[160], line[256];
    double rate = -1;

    snprintf(command, sizeof command, "wrk -t1 -c%d -d%ds http://127.0.0.1:%u/api/v1/jobs/4711",
             connections, seconds, port);
    FILE *out = popen(command, "re");
    while (out && fgets(line, sizeof line, out)) {
        sscanf(line, "Requests/sec: %lf", &rate);
        if (strstr(line, "Non-2xx") || strstr(line, "Socket errors"))
            fprintf(stderr, "%s", line);
    }
    if (!out || pclose(out) != 0)
        return -1;
    return rate;
}

static double cpu_s(const struct rusage *usage)
{
    return (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec / 1e6 +
           (double)usage->ru_stime.tv_sec + (double)usage->ru_stime.tv_usec / 1e6;
}

/* Ends a server; returns the processor time that it took, in seconds. */
static double serve_end(pid_t pid)
{
    struct rusage usage = { 0 };

    kill(pid, SIGKILL);
    wait4(pid, NULL, 0, &usage);
    return cpu_s(&usage);
}

/* Processor time says more than the rate when the machine has other work, too. */
struct figure {
    double rate, cpu_us; /* per second; per request */
};

static void server_measure(void (*serve)(int), int connections, int seconds, struct figure *best)
{
    unsigned port;
    pid_t pid = serve_start(serve, &port);
    double rate = wrk_run(port, connections, seconds);
    double cpu_us = serve_end(pid) * 1e6 / (rate * seconds);

    if (rate > best->rate)
        best->rate = rate;
    if (cpu_us < best->cpu_us)
        best->cpu_us = cpu_us;
}

static int server_bench(int connections, int seconds)
{
    struct figure raw = { .cpu_us = 1e9 }, own = { .cpu_us = 1e9 };

    for (int round = 0; round < 3; round++) {
        server_measure(raw_serve, connections, seconds, &raw);
        server_measure(belfry_serve, connections, seconds, &own);
    }
    if (raw.rate <= 0 || own.rate <= 0) {
        fprintf(stderr, "bench-http needs wrk (Debian package wrk)\n");
        return -1;
    }
    printf("http server: %.0f requests/s, %.1f us of processor each (%d connections); "
           "raw epoll loop: %.0f, %.1f us; ratio %.2f\n",
           own.rate, own.cpu_us, connections, raw.rate, raw.cpu_us, own.rate / raw.rate);
    return 0;
}

/* --- the client ------------------------------------------------------------------------------- */

enum { SLOW_CALLS = 10000 };

struct load {
    struct event_base *base;
    struct http_client *client;
    char url[64];
    unsigned long done, failed;
    double end_s;
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void call_start(struct load *load);

static void on_called(void *ctx, const struct http_call_result *result)
{
    struct load *load = ctx;

    load->done++;
    load->failed += result->failure != HTTP_FAILURE_NONE;
    if (now_s() < load->end_s)
        call_start(load);
    else
        event_base_loopbreak(load->base);
}

static void call_start(struct load *load)
{
    struct http_call_request request = { .method = "GET", .url = load->url,
                                         .total_timeout_ms = 3600 * 1000 };

    http_call_start(load->client, &request, on_called, load);
}

static void load_init(struct load *load, unsigned port)
{
    struct http_client_settings settings = { 0 };

    *load = (struct load){ .base = event_base_new() };
    snprintf(load->url, sizeof load->url, "http://127.0.0.1:%u/", port);
    if (http_client_new(load->base, &settings, &load->client, NULL) < 0)
        exit(1);
}

static void load_done(struct load *load)
{
    http_client_free(&load->client);
    event_base_free(load->base);
}

static void calls_bench(int connections, int seconds)
{
    struct load load;
    struct rusage usage;
    unsigned port;
    pid_t pid = serve_start(raw_serve, &port);

    load_init(&load, port);
    getrusage(RUSAGE_SELF, &usage);
    double begin_s = now_s(), begin_cpu_s = cpu_s(&usage);
    load.end_s = begin_s + seconds;
    for (int i = 0; i < connections; i++)
        call_start(&load);
    event_base_dispatch(load.base);
    getrusage(RUSAGE_SELF, &usage);
    printf("http client: %.0f calls/s, %.1f us of processor each (%d at once), %lu failed\n",
           (double)load.done / (now_s() - begin_s),
           (cpu_s(&usage) - begin_cpu_s) * 1e6 / (double)load.done, connections, load.failed);
    load_done(&load);
    serve_end(pid);
}

/* Memory of this process in KiB, shared pages counted by share. */
static long pss_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *in = fopen("/proc/self/smaps_rollup", "re");

    while (in && fgets(line, sizeof line, in))
        if (sscanf(line, "Pss: %ld kB", &kib) == 1)
            break;
    if (in)
        fclose(in);
    return kib;
}

static int descriptor_count(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

static void slow_bench(void)
{
    struct timeval wait = { .tv_usec = 100 * 1000 };
    struct load load;
    struct rlimit limit;
    unsigned port;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    pid_t pid = serve_start(hang_serve, &port);
    load_init(&load, port);
    long before_kib = pss_kib();
    double begin_s = now_s();
    for (int i = 0; i < SLOW_CALLS; i++)
        call_start(&load);
    while (descriptor_count() < SLOW_CALLS && !load.done) {
        event_base_loopexit(load.base, &wait);
        event_base_dispatch(load.base);
    }
    double dialled_s = now_s() - begin_s;
    wait = (struct timeval){ .tv_sec = 2 };
    event_base_loopexit(load.base, &wait);
    event_base_dispatch(load.base);
    printf("http client: %d calls waiting: %ld MiB (%.1f KiB each), all dialled after %.1f s, "
           "%lu ended\n", SLOW_CALLS, (pss_kib() - before_kib) / 1024,
           (double)(pss_kib() - before_kib) / SLOW_CALLS, dialled_s, load.done);
    load_done(&load);
    serve_end(pid);
}

int main(int argc, char **argv)
{
    int connections = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 64;
    int seconds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;

    signal(SIGPIPE, SIG_IGN);
    if (server_bench(connections, seconds) < 0)
        return 1;
    calls_bench(connections, seconds);
    slow_bench();
    return 0;
}
