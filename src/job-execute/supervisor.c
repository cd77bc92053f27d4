#include "job-execute/supervisor.h"

#include "base/clock.h"
#include "base/memory.h"
#include "job-execute/process-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINGER_MS = 1000,        /* what the program has left may end by itself */
    WATCH_MS = 25,           /* between two looks at the tree: at least, */
    WATCH_MAX_MS = 500,      /* and at most */
    WATCH_GROUP_MS = 250,    /* between two looks at the counters of a control group */
    MEMORY_PER_MS = 4 << 20, /* a tree cannot grow faster than that, */
    TASKS_PER_MS = 4,        /* nor than that: so a tree far below its limits is left alone */
    KILL_MS = 3000,          /* for a tree to die of KILL */
};

enum phase { RUNNING, LINGERING, TERMINATING, KILLING };

struct supervisor {
    int control, signals;
    struct launch_order order;
    struct cgroup cgroup;
    bool in_cgroup;
    struct work_dir work_dir;
    pid_t program;
    bool program_ended;
    int program_status;
    enum phase phase;
    int64_t phase_until_ms; /* monotonic; LINGERING, TERMINATING */
    int64_t watch_ms;       /* next look */
    enum launch_end end;
    int left_behind, survivors;
    int64_t watched_peak;
};

/* --- the request ------------------------------------------------------------------------------ */

static const char *text_next(const char **at)
{
    const char *text = *at;

    *at += strlen(text) + 1;
    return text;
}

/* The request comes from the serving process, which we trust: only lengths are checked. */
static bool order_read(struct launch_order *order, int fd)
{
    struct stat status;
    const struct launch_wire *wire;
    const char *at;

    if (fstat(fd, &status) < 0 || status.st_size < (off_t)sizeof *wire)
        return false;
    wire = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (wire == MAP_FAILED || wire->magic != LAUNCH_MAGIC ||
        (uint64_t)status.st_size !=
            sizeof *wire + (uint64_t)wire->texts_size + wire->script_size + wire->input_size)
        return false;
    at = (const char *)(wire + 1);
    order->wire = wire;
    order->script = at + wire->texts_size;
    order->input = order->script + wire->script_size;
    order->path = text_next(&at);
    order->argv = memory_alloc((wire->argc + 2) * sizeof *order->argv); /* one for the script */
    order->env = memory_alloc((wire->envc + 1) * sizeof *order->env);
    for (uint32_t i = 0; i < wire->argc; i++)
        order->argv[i] = text_next(&at);
    for (uint32_t i = 0; i < wire->envc; i++)
        order->env[i] = text_next(&at);
    for (int i = 0; i < TEXT_COUNT; i++) {
        order->texts[i] = text_next(&at);
        if (!*order->texts[i])
            order->texts[i] = NULL;
    }
    return true;
}

static void argv_add_script(struct launch_order *order, const char *script)
{
    for (uint32_t i = order->wire->argc; i > 1; i--)
        order->argv[i] = order->argv[i - 1];
    order->argv[1] = script;
}

/* --- start ------------------------------------------------------------------------------------ */

static void supervisor_exit(struct supervisor *supervisor) __attribute__((noreturn));

static void supervisor_exit(struct supervisor *supervisor)
{
    cgroup_remove(&supervisor->cgroup);
    work_dir_remove(&supervisor->work_dir);
    _exit(0);
}

/* Control is the only way out; where the far end is gone nobody listens. */
static void message_send(const struct supervisor *supervisor, const struct launch_message *message)
{
    while (send(supervisor->control, message, sizeof *message, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static void start_failed(struct supervisor *supervisor, enum launch_step step, int error)
    __attribute__((noreturn));

static void start_failed(struct supervisor *supervisor, enum launch_step step, int error)
{
    struct launch_message message = { .kind = LAUNCH_MESSAGE_FAILED,
                                      .step = (int32_t)step,
                                      .error = error };

    message_send(supervisor, &message);
    supervisor_exit(supervisor);
}

static bool user_find(const struct supervisor *supervisor, struct supervisor_child *child)
{
    const char *name = supervisor->order.texts[TEXT_USER];
    struct passwd entry, *found = NULL;
    char text[4096];

    child->uid = geteuid();
    child->gid = getegid();
    if (!name)
        return true;
    if (getpwnam_r(name, &entry, text, sizeof text, &found) != 0 || !found) {
        errno = ENOENT;
        return false;
    }
    child->set_user = entry.pw_uid != geteuid() || entry.pw_gid != getegid();
    child->uid = entry.pw_uid;
    child->gid = entry.pw_gid;
    if (child->set_user && supervisor->order.wire->limits.processes && !supervisor->in_cgroup)
        child->user_tasks = process_count_user(child->uid);
    return true;
}

static int input_open(const struct launch_order *order)
{
    int fd;

    if (!order->wire->has_input)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    fd = memfd_create("stdin", MFD_CLOEXEC);
    for (size_t at = 0; fd >= 0 && at < order->wire->input_size;) {
        ssize_t n = write(fd, order->input + at, order->wire->input_size - at);

        if (n < 0)
            return -1;
        at += (size_t)n;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

/* Waits until the program runs: then the pipe, which closes on exec, is at its end. */
static void program_await(struct supervisor *supervisor, int fd)
{
    struct launch_message message;
    ssize_t n;

    do
        n = read(fd, &message, sizeof message);
    while (n < 0 && errno == EINTR);
    close(fd);
    if (n == sizeof message) {
        waitpid(supervisor->program, NULL, 0);
        start_failed(supervisor, (enum launch_step)message.step, message.error);
    }
    message = (struct launch_message){ .kind = LAUNCH_MESSAGE_STARTED };
    message_send(supervisor, &message);
}

static void program_fork(struct supervisor *supervisor, struct supervisor_child *child)
{
    int pipe_fds[2];

    child->input = input_open(&supervisor->order);
    if (child->input < 0)
        start_failed(supervisor, STEP_INPUT, errno);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        start_failed(supervisor, STEP_FORK, errno);
    child->error_fd = pipe_fds[1];
    supervisor->program = fork();
    if (supervisor->program == 0) {
        close(supervisor->control);
        supervisor_child_main(child);
    }
    if (supervisor->program < 0)
        start_failed(supervisor, STEP_FORK, errno);
    close(pipe_fds[1]);
    close(child->input);
    close(child->out);
    close(child->err);
    program_await(supervisor, pipe_fds[0]);
}

static void program_start(struct supervisor *supervisor, const int fds[LAUNCH_FD_COUNT],
                          const struct cgroup_base *cgroups)
{
    struct launch_order *order = &supervisor->order;
    struct supervisor_child child = {
        .order = order, .out = fds[LAUNCH_FD_OUT], .err = fds[LAUNCH_FD_ERR], .supervisor = getpid()
    };
    enum launch_step step;

    if (!order_read(order, fds[LAUNCH_FD_REQUEST]))
        start_failed(supervisor, STEP_REQUEST, errno);
    close(fds[LAUNCH_FD_REQUEST]);
    if (order->wire->cgroup && (order->wire->limits.memory || order->wire->limits.processes))
        supervisor->in_cgroup = cgroup_make(&supervisor->cgroup, cgroups,
                                            order->texts[TEXT_WORK_NAME], &order->wire->limits);
    if (!user_find(supervisor, &child))
        start_failed(supervisor, STEP_USER, errno);
    if (work_dir_make(&supervisor->work_dir, order, child.uid, child.gid, &step) < 0)
        start_failed(supervisor, step, errno);
    if (order->wire->has_script)
        argv_add_script(order, supervisor->work_dir.script);
    child.cwd = order->texts[TEXT_CWD] ? order->texts[TEXT_CWD] : supervisor->work_dir.path;
    child.cgroup = supervisor->in_cgroup ? &supervisor->cgroup : NULL;
    program_fork(supervisor, &child);
}

/* --- watching --------------------------------------------------------------------------------- */

static void reaped(void *ctx, pid_t pid, int status)
{
    struct supervisor *supervisor = ctx;

    if (pid != supervisor->program)
        return;
    supervisor->program_ended = true;
    supervisor->program_status = status;
}

/* false: no child is left. */
static bool children_reap(struct supervisor *supervisor)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid == 0)
            return true;
        if (pid > 0)
            reaped(supervisor, pid, status);
        else if (errno != EINTR)
            return false;
    }
}

static void tree_kill(struct supervisor *supervisor)
{
    supervisor->phase = KILLING;
    if (supervisor->in_cgroup)
        cgroup_members(&supervisor->cgroup, true);
    supervisor->survivors = process_tree_kill(getpid(), KILL_MS, reaped, supervisor);
}

static void tree_terminate(struct supervisor *supervisor)
{
    supervisor->phase = TERMINATING;
    supervisor->phase_until_ms = clock_mono_ms() + supervisor->order.wire->grace_ms;
    process_tree_signal(getpid(), SIGTERM);
    process_tree_signal(getpid(), SIGCONT); /* a stopped one would not notice */
}

static void limit_hit(struct supervisor *supervisor, enum launch_end end)
{
    supervisor->end = end;
    tree_kill(supervisor);
}

static void watch_group(struct supervisor *supervisor)
{
    const struct launch_limits *limits = &supervisor->order.wire->limits;

    if (limits->memory && cgroup_memory_hits(&supervisor->cgroup))
        limit_hit(supervisor, LAUNCH_MEMORY);
    else if (limits->processes && cgroup_process_hits(&supervisor->cgroup))
        limit_hit(supervisor, LAUNCH_PROCESSES);
}

/* As long as it may take to reach the nearer limit. */
static int64_t watch_pause(const struct launch_limits *limits, int64_t memory, int64_t tasks)
{
    int64_t pause = WATCH_MAX_MS;

    if (limits->memory && (limits->memory - memory) / MEMORY_PER_MS < pause)
        pause = (limits->memory - memory) / MEMORY_PER_MS;
    if (limits->processes && (limits->processes - tasks) / TASKS_PER_MS < pause)
        pause = (limits->processes - tasks) / TASKS_PER_MS;
    return pause < WATCH_MS ? WATCH_MS : pause;
}

static void watch_tree(struct supervisor *supervisor)
{
    const struct launch_limits *limits = &supervisor->order.wire->limits;
    struct process_tree tree = { 0 };
    int64_t memory;
    size_t tasks;

    process_tree_read(&tree, getpid(), limits->memory > 0);
    memory = tree.memory;
    tasks = tree.tasks;
    process_tree_done(&tree);
    if (memory > supervisor->watched_peak)
        supervisor->watched_peak = memory;
    if (limits->memory && memory > limits->memory)
        limit_hit(supervisor, LAUNCH_MEMORY);
    else if (limits->processes && (int64_t)tasks > limits->processes)
        limit_hit(supervisor, LAUNCH_PROCESSES);
    supervisor->watch_ms += watch_pause(limits, memory, (int64_t)tasks);
}

static bool is_limited(const struct supervisor *supervisor)
{
    const struct launch_limits *limits = &supervisor->order.wire->limits;

    return limits->memory || limits->processes;
}

static void watch(struct supervisor *supervisor, int64_t mono_ms)
{
    if (!is_limited(supervisor) || supervisor->phase == KILLING || mono_ms < supervisor->watch_ms)
        return;
    supervisor->watch_ms = mono_ms;
    if (!supervisor->in_cgroup) {
        watch_tree(supervisor);
        return;
    }
    watch_group(supervisor);
    supervisor->watch_ms += WATCH_GROUP_MS;
}

/* --- the phases ------------------------------------------------------------------------------- */

static void control_read(struct supervisor *supervisor)
{
    char byte;
    ssize_t n = recv(supervisor->control, &byte, 1, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (supervisor->phase == KILLING)
        return;
    supervisor->end = LAUNCH_STOPPED;
    if (n == 1 && byte == LAUNCH_STOP && supervisor->phase != TERMINATING)
        tree_terminate(supervisor);
    else
        tree_kill(supervisor);
}

static int count_tree(void)
{
    struct process_tree tree = { 0 };
    int count;

    process_tree_read(&tree, getpid(), false);
    count = (int)tree.count;
    process_tree_done(&tree);
    return count;
}

static void phase_turn(struct supervisor *supervisor, int64_t mono_ms)
{
    if (supervisor->phase == RUNNING && supervisor->program_ended) {
        supervisor->phase = LINGERING;
        supervisor->phase_until_ms = mono_ms + LINGER_MS;
    } else if (supervisor->phase == LINGERING && mono_ms >= supervisor->phase_until_ms) {
        supervisor->left_behind = count_tree();
        tree_terminate(supervisor);
    } else if (supervisor->phase == TERMINATING && mono_ms >= supervisor->phase_until_ms)
        tree_kill(supervisor);
}

static int wait_ms(const struct supervisor *supervisor, int64_t mono_ms)
{
    int64_t until = INT64_MAX;

    if (supervisor->phase == LINGERING || supervisor->phase == TERMINATING)
        until = supervisor->phase_until_ms;
    if (is_limited(supervisor) && supervisor->watch_ms < until)
        until = supervisor->watch_ms;
    if (until == INT64_MAX)
        return -1;
    return until <= mono_ms ? 0 : (int)(until - mono_ms);
}

static void supervise(struct supervisor *supervisor)
{
    supervisor->watch_ms = clock_mono_ms() + WATCH_MS;
    while (children_reap(supervisor) && supervisor->phase != KILLING) {
        int64_t mono_ms = clock_mono_ms();
        struct pollfd polls[2] = { { supervisor->control, POLLIN, 0 },
                                   { supervisor->signals, POLLIN, 0 } };

        phase_turn(supervisor, mono_ms);
        watch(supervisor, mono_ms);
        if (supervisor->phase == KILLING)
            continue;
        if (poll(polls, 2, wait_ms(supervisor, mono_ms)) < 0)
            continue;
        if (polls[0].revents)
            control_read(supervisor);
        if (polls[1].revents) {
            struct signalfd_siginfo info[8];

            while (read(supervisor->signals, info, sizeof info) == sizeof info)
                ;
        }
    }
}

/* --- end -------------------------------------------------------------------------------------- */

/* A limit may have been hit after the last look, and may be what the program died of. */
static void limits_settle(struct supervisor *supervisor)
{
    bool bad = !WIFEXITED(supervisor->program_status) || WEXITSTATUS(supervisor->program_status);

    if (!supervisor->in_cgroup || supervisor->end != LAUNCH_EXITED || !bad)
        return;
    if (cgroup_memory_hits(&supervisor->cgroup))
        supervisor->end = LAUNCH_MEMORY;
    else if (cgroup_process_hits(&supervisor->cgroup))
        supervisor->end = LAUNCH_PROCESSES;
}

static int64_t memory_peak(const struct supervisor *supervisor, const struct rusage *usage)
{
    int64_t peak = (int64_t)usage->ru_maxrss * 1024;
    int64_t other =
        supervisor->in_cgroup ? cgroup_memory_peak(&supervisor->cgroup) : supervisor->watched_peak;

    return other > peak ? other : peak;
}

static void end_send(struct supervisor *supervisor)
{
    int status = supervisor->program_status;
    struct rusage usage;
    struct launch_message message = { .kind = LAUNCH_MESSAGE_ENDED };

    getrusage(RUSAGE_CHILDREN, &usage);
    limits_settle(supervisor);
    if (supervisor->in_cgroup && cgroup_members(&supervisor->cgroup, false))
        supervisor->survivors += cgroup_members(&supervisor->cgroup, true);
    message.end = (int32_t)supervisor->end;
    message.exit_code = supervisor->program_ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    message.signal = supervisor->program_ended && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    message.left_behind = supervisor->left_behind;
    message.survivors = supervisor->survivors;
    message.cpu_ms = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                     (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
    message.memory_peak = memory_peak(supervisor, &usage);
    message_send(supervisor, &message);
}

void supervisor_main(const int fds[LAUNCH_FD_COUNT], int signals, const struct cgroup_base *cgroups)
{
    struct supervisor supervisor = { .control = fds[LAUNCH_FD_CONTROL],
                                     .signals = signals,
                                     .work_dir = { .root_fd = -1 },
                                     .end = LAUNCH_EXITED };

    prctl(PR_SET_NAME, "belfry-super");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    program_start(&supervisor, fds, cgroups);
    supervise(&supervisor);
    end_send(&supervisor);
    supervisor_exit(&supervisor);
}
