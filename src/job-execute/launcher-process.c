#include "job-execute/launcher-private.h"

#include "base/memory.h"
#include "job-execute/cgroup.h"
#include "job-execute/process-tree.h"
#include "job-execute/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The launcher's process: single-threaded, no loop library, no log but standard error. It forks a
 * supervisor for each request and reaps them. When a supervisor is killed (a script of the same
 * user can do that) what it supervised becomes our child, since we are a subreaper too, and is
 * ended here.
 */
struct launching {
    int fd, signals;
    struct cgroup_base cgroups;
    pid_t *supervisors;
    size_t count, capacity;
};

static void supervisor_add(struct launching *launching, pid_t pid)
{
    if (launching->count == launching->capacity) {
        launching->capacity = launching->capacity ? launching->capacity * 2 : 64;
        launching->supervisors = memory_resize(
            launching->supervisors, launching->capacity * sizeof *launching->supervisors);
    }
    launching->supervisors[launching->count++] = pid;
}

static bool supervisor_remove(struct launching *launching, pid_t pid)
{
    for (size_t i = 0; i < launching->count; i++)
        if (launching->supervisors[i] == pid) {
            launching->supervisors[i] = launching->supervisors[--launching->count];
            return true;
        }
    return false;
}

static bool is_supervisor(const struct launching *launching, pid_t pid)
{
    for (size_t i = 0; i < launching->count; i++)
        if (launching->supervisors[i] == pid)
            return true;
    return false;
}

/* --- a supervisor has died -------------------------------------------------------------------- */

/* Children of ours that are no supervisors, with all below them. */
static size_t orphans_kill(const struct launching *launching)
{
    struct process_tree tree = { 0 };
    size_t count = 0;

    process_tree_read(&tree, getpid(), false);
    for (size_t i = 0; i < tree.count; i++)
        if (process_parent(tree.pids[i]) == getpid() && !is_supervisor(launching, tree.pids[i])) {
            kill(tree.pids[i], SIGKILL);
            count++;
        }
    process_tree_done(&tree);
    return count;
}

static void children_reap(struct launching *launching)
{
    bool lost = false;
    int status;
    pid_t pid;

    /* One that is no supervisor is an orphan that came to us: there may be more of them. */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (!supervisor_remove(launching, pid) || !WIFEXITED(status))
            lost = true;
    if (lost)
        orphans_kill(launching);
}

/* --- requests --------------------------------------------------------------------------------- */

static void supervisor_fork(struct launching *launching, const int fds[LAUNCH_FD_COUNT])
{
    pid_t pid = fork();

    if (pid == 0) {
        close(launching->fd);
        supervisor_main(fds, launching->signals, &launching->cgroups);
    }
    if (pid > 0)
        supervisor_add(launching, pid);
    /* A fork that failed shows as the end of control: the far end calls it lost and tries again. */
}

/* 1 a request, 0 the end, -1 nothing for now. */
static int request_receive(const struct launching *launching, int fds[LAUNCH_FD_COUNT])
{
    char byte;
    struct iovec iov = { &byte, 1 };
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int) * LAUNCH_FD_COUNT)];
    } control;
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t n = recvmsg(launching->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    const struct cmsghdr *head;

    if (n == 0)
        return 0;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : 0;
    head = CMSG_FIRSTHDR(&message);
    if (!head || head->cmsg_type != SCM_RIGHTS ||
        head->cmsg_len != CMSG_LEN(sizeof(int) * LAUNCH_FD_COUNT))
        return -1;
    memcpy(fds, CMSG_DATA(head), sizeof(int) * LAUNCH_FD_COUNT);
    return 1;
}

static bool requests_take(struct launching *launching)
{
    int fds[LAUNCH_FD_COUNT];
    int result;

    while ((result = request_receive(launching, fds)) > 0) {
        supervisor_fork(launching, fds);
        for (int i = 0; i < LAUNCH_FD_COUNT; i++)
            close(fds[i]);
    }
    return result != 0;
}

/* --- the process ------------------------------------------------------------------------------ */

/* Keeps the socket and standard error. */
static int files_close(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (fd != 3)
        dup3(fd, 3, O_CLOEXEC);
    close_range(4, ~0U, 0);
    return 3;
}

static int signals_open(void)
{
    sigset_t set;

    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void signals_read(int fd)
{
    struct signalfd_siginfo info[16];

    while (read(fd, info, sizeof info) > 0)
        ;
}

void launcher_main(int fd)
{
    struct launching launching = { 0 };
    bool serving = true;

    setsid();
    prctl(PR_SET_NAME, "belfry-launch");
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    cgroup_base_init(&launching.cgroups, getppid());
    launching.fd = files_close(fd);
    launching.signals = signals_open();
    while (serving || launching.count) {
        struct pollfd polls[2] = { { launching.signals, POLLIN, 0 },
                                   { serving ? launching.fd : -1, POLLIN, 0 } };

        if (poll(polls, 2, -1) < 0 && errno != EINTR)
            break;
        if (polls[0].revents) {
            signals_read(launching.signals);
            children_reap(&launching);
        }
        if (polls[1].revents)
            serving = requests_take(&launching);
    }
    orphans_kill(&launching);
    cgroup_base_done(&launching.cgroups);
    _exit(0);
}
