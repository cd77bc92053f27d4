/*
 * Requests/s of a small JSON answer over keep-alive connections, with wrk in processes of its own,
 * beside a raw epoll loop that answers fixed bytes to whatever it reads: what the kernel and wrk
 * leave to be had.
 *
 *   bench-http [connections [seconds]]
 */
#include "base/error.h"
#include "http/http-server.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
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

    if (read(fd, request, sizeof request) <= 0 || send(fd, bytes, size, MSG_NOSIGNAL) < 0)
        close(fd);
}

static void raw_serve(int port_fd)
{
    struct epoll_event event = { .events = EPOLLIN }, events[64];
    char bytes[512];
    unsigned port;
    int size = snprintf(bytes, sizeof bytes,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        sizeof answer_json - 1, answer_json);

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
                raw_answer(events[i].data.fd, bytes, (size_t)size);
        }
    }
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

static double measure(void (*serve)(int), int connections, int seconds)
{
    unsigned port;
    pid_t pid = serve_start(serve, &port);
    double rate = wrk_run(port, connections, seconds);

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return rate;
}

int main(int argc, char **argv)
{
    int connections = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 64;
    int seconds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 5;

    double raw = measure(raw_serve, connections, seconds);
    double own = measure(belfry_serve, connections, seconds);
    if (raw <= 0 || own <= 0) {
        fprintf(stderr, "bench-http needs wrk (Debian package wrk)\n");
        return 1;
    }
    printf("http requests/s: %.0f (%d connections); raw epoll loop: %.0f; ratio %.2f\n", own,
           connections, raw, own / raw);
    return 0;
}
