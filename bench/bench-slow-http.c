#include "base/clock.h"
#include "http/http-client.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "job-execute/test-node.h"

/*
 * So many http tasks in flight at once against a far end that answers after a while: memory (Pss)
 * with none and with all of them in flight, and how fast they are started and end.
 *
 *   bench-slow-http [COUNT [SECONDS]]
 */
static long count = 10000, seconds = 8;

/* --- the far end: a process of its own, which answers all when the time is over ------------------ */

static void far_end_answer(const int *fds, size_t fd_count)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow";

    for (size_t i = 0; i < fd_count; i++) {
        if (send(fds[i], answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
            continue;
        shutdown(fds[i], SHUT_WR);
    }
}

static void far_end(int listener, long connections)
{
    int *fds = calloc((size_t)connections, sizeof *fds);
    long accepted = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (accepted < connections) {
        int fd = accept(listener, NULL, NULL);

        if (fd >= 0)
            fds[accepted++] = fd;
    }
    sleep((unsigned)seconds); /* a far end that is slow: the time is what it is about */
    far_end_answer(fds, (size_t)accepted);
    sleep(30);
    _exit(0);
}

static int listen_somewhere(int *ret_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 65535) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        exit(1);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* --- measures -------------------------------------------------------------------------------------- */

static double pss_mib(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long kib = 0;

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Pss: %ld", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return (double)kib / 1024;
}

static void files_raise(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if ((long)limit.rlim_cur < count + 1000) {
        count = (long)limit.rlim_cur - 1000;
        fprintf(stderr, "ulimit -n allows for %ld only\n", count);
    }
}

static bool all_in_flight(struct test_node *test)
{
    return (long)test->starts >= count;
}

int main(int argc, char **argv)
{
    static struct test_node node;
    char task[128], settings[128];
    int port, listener;
    double before, during, after;
    int64_t begun;
    pid_t pid;

    count = argc > 1 ? atol(argv[1]) : count;
    seconds = argc > 2 ? atol(argv[2]) : seconds;
    files_raise();
    listener = listen_somewhere(&port);
    pid = fork();
    if (pid == 0)
        far_end(listener, count);
    close(listener);
    snprintf(settings, sizeof settings, "[execute]\nslots = %ld\n", count);
    snprintf(task, sizeof task, "{\"url\":\"http://127.0.0.1:%d/\"}", port);
    test_node_start(&node, settings, NULL);
    before = pss_mib();
    begun = clock_mono_ms();
    for (long i = 1; i <= count; i++) {
        struct execute_run run = test_run(i, "http", task);

        if (test_dispatch(&node, &run) != DISPATCH_TAKEN)
            return 1;
        if (i % 200 == 0)
            test_turn(&node, 1);
    }
    test_await(&node, all_in_flight, 60000);
    printf("%ld http tasks started in  %8.2f s\n", count,
           (double)(clock_mono_ms() - begun) / 1000);
    test_turn(&node, 2000);
    during = pss_mib();
    test_await_results(&node, (size_t)count, 120000);
    test_turn(&node, 2500);
    after = pss_mib();
    printf("Pss idle                  %8.1f MiB\n", before);
    printf("Pss with all in flight    %8.1f MiB, %.1f KiB each, ratio %.2f to idle\n", during,
           (during - before) * 1024 / (double)count, during / before);
    printf("Pss when all have ended   %8.1f MiB (with their results kept by the test)\n", after);
    kill(pid, SIGKILL);
    test_node_stop(&node);
    return 0;
}
