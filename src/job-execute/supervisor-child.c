#include "job-execute/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Between fork and exec: everything the program is not to have is taken away here. */

static void child_fail(const struct supervisor_child *child, enum launch_step step)
    __attribute__((noreturn));

static void child_fail(const struct supervisor_child *child, enum launch_step step)
{
    struct launch_message message = { .kind = LAUNCH_MESSAGE_FAILED,
                                      .step = (int32_t)step,
                                      .error = errno };
    ssize_t n = write(child->error_fd, &message, sizeof message);

    _exit(n == sizeof message ? 127 : 126);
}

static void signals_reset(void)
{
    static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t none;

    /* What the launcher ignores; handlers go with exec anyway. */
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool limit(int resource, int64_t soft, int64_t hard)
{
    struct rlimit value;

    if (getrlimit((__rlimit_resource_t)resource, &value) < 0)
        return false;
    /* Only root may raise the hard limit: never ask for more than there is. */
    if (value.rlim_max != RLIM_INFINITY && (rlim_t)hard > value.rlim_max)
        hard = (int64_t)value.rlim_max;
    value.rlim_cur = (rlim_t)(soft < hard ? soft : hard);
    value.rlim_max = (rlim_t)hard;
    return setrlimit((__rlimit_resource_t)resource, &value) == 0;
}

/*
 * Without a control group the supervisor watches the whole tree; rlimits are the wall behind that,
 * for what happens between two looks. RLIMIT_NPROC counts all tasks of the user on this machine.
 */
static bool limits_set(const struct supervisor_child *child)
{
    const struct launch_limits *limits = &child->order->wire->limits;
    bool good = limit(RLIMIT_CORE, 0, 0);

    if (limits->files)
        good = good && limit(RLIMIT_NOFILE, limits->files, limits->files);
    if (limits->cpu_s) /* XCPU first, KILL when that is ignored */
        good = good && limit(RLIMIT_CPU, limits->cpu_s, limits->cpu_s + 2);
    if (child->cgroup)
        return good;
    if (limits->memory)
        good = good && limit(RLIMIT_DATA, limits->memory * 2 + (256 << 20),
                             limits->memory * 2 + (256 << 20));
    if (limits->processes && child->set_user) {
        int64_t tasks = (int64_t)child->user_tasks + limits->processes + 64;

        good = good && limit(RLIMIT_NPROC, tasks, tasks);
    }
    return good;
}

/* When memory is short the kernel takes scripts before Belfry. */
static void oom_first(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        ssize_t n = write(fd, "500", 3);

        (void)n;
        close(fd);
    }
}

static bool user_set(const struct supervisor_child *child)
{
    if (!child->set_user)
        return true;
    return setgroups(1, &child->gid) == 0 && setresgid(child->gid, child->gid, child->gid) == 0 &&
           setresuid(child->uid, child->uid, child->uid) == 0;
}

static bool files_set(const struct supervisor_child *child)
{
    return dup2(child->input, STDIN_FILENO) >= 0 && dup2(child->out, STDOUT_FILENO) >= 0 &&
           dup2(child->err, STDERR_FILENO) >= 0;
}

void supervisor_child_main(const struct supervisor_child *child)
{
    const struct launch_order *order = child->order;

    setsid();
    signals_reset();
    if (child->cgroup && !cgroup_join(child->cgroup))
        child_fail(child, STEP_LIMITS);
    oom_first();
    if (!limits_set(child))
        child_fail(child, STEP_LIMITS);
    if (order->wire->nice && setpriority(PRIO_PROCESS, 0, order->wire->nice) < 0)
        child_fail(child, STEP_LIMITS);
    if (!files_set(child))
        child_fail(child, STEP_INPUT);
    if (!user_set(child))
        child_fail(child, STEP_SET_USER);
    umask(022);
    if (chdir(child->cwd) < 0)
        child_fail(child, STEP_CWD);
    /* After the change of user, which clears it; the supervisor may be gone by now. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != child->supervisor)
        _exit(127);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        child_fail(child, STEP_LIMITS);
    execve(order->path, (char *const *)(uintptr_t)order->argv,
           (char *const *)(uintptr_t)order->env);
    child_fail(child, STEP_EXEC);
}
