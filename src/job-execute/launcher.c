#include "job-execute/launcher.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "job-execute/launcher-private.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024, TEXTS_MAX = 4 * 1024 * 1024, DRAIN_MAX = 4 * 1024 * 1024 };

struct launcher {
    int fd;
    pid_t pid;
    struct event_base *base;
    struct event *readable, *writable;
    struct list waiting; /* struct launch: not handed over yet */
    struct list all;
    char *buffer; /* READ_SIZE, for all pipes */
    void (*gone)(void *ctx);
    void *ctx;
    bool is_gone;
};

struct launch {
    struct list link, all;
    struct launcher *launcher;
    struct launch_events events;
    void *ctx;
    int fds[LAUNCH_FD_COUNT]; /* to be handed over; -1 afterwards */
    int out, err, control;    /* ours; -1: closed */
    struct event *out_event, *err_event, *control_event;
    bool paused, stopping, started;
    struct launch_result result;
    struct error failure;
};

/* --- start of the launcher -------------------------------------------------------------------- */

int launcher_start(struct launcher **ret_launcher, struct error *err)
{
    struct launcher *launcher;
    int fds[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return error_set(err, ERR_IO, "cannot start the launcher: %s", strerror(errno));
    pid = fork();
    if (pid < 0) {
        close(fds[0]);
        close(fds[1]);
        return error_set(err, ERR_IO, "cannot start the launcher: %s", strerror(errno));
    }
    if (pid == 0) {
        close(fds[0]);
        launcher_main(fds[1]);
    }
    close(fds[1]);
    launcher = memory_alloc(sizeof *launcher);
    launcher->fd = fds[0];
    launcher->pid = pid;
    list_init(&launcher->waiting);
    list_init(&launcher->all);
    *ret_launcher = launcher;
    return 0;
}

static void launcher_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct launcher *launcher = ctx;
    char byte;

    (void)what;
    if (recv(fd, &byte, 1, MSG_DONTWAIT) != 0)
        return; /* it never says anything: only its end is of interest */
    launcher->is_gone = true;
    event_del(launcher->readable);
    launcher->gone(launcher->ctx);
}

static void launcher_writable(evutil_socket_t fd, short what, void *ctx);

int launcher_attach(struct launcher *launcher, struct event_base *base, void (*gone)(void *ctx),
                    void *ctx, struct error *err)
{
    launcher->base = base;
    launcher->gone = gone;
    launcher->ctx = ctx;
    launcher->readable =
        event_new(base, launcher->fd, EV_READ | EV_PERSIST, launcher_readable, launcher);
    launcher->writable = event_new(base, launcher->fd, EV_WRITE, launcher_writable, launcher);
    launcher->buffer = memory_alloc(READ_SIZE);
    if (!launcher->readable || !launcher->writable || event_add(launcher->readable, NULL) < 0)
        return error_set(err, ERR_INTERNAL, "cannot watch the launcher");
    return 0;
}

/* --- a request -------------------------------------------------------------------------------- */

static void text_add(struct buf *out, const char *text)
{
    if (!text)
        text = "";
    buf_add(out, text, strlen(text) + 1);
}

static uint32_t texts_add(struct buf *out, const char *const *texts)
{
    uint32_t count = 0;

    for (; texts[count]; count++)
        text_add(out, texts[count]);
    return count;
}

static void request_write(const struct launch_request *request, struct buf *out)
{
    struct launch_wire wire = {
        .magic = LAUNCH_MAGIC,
        .has_script = request->script != NULL,
        .has_input = request->input != NULL,
        .cgroup = request->cgroup,
        .script_size = (uint32_t)request->script_size,
        .input_size = (uint32_t)request->input_size,
        .nice = request->nice,
        .grace_ms = request->grace_ms,
        .limits = request->limits,
    };

    buf_add(out, &wire, sizeof wire);
    text_add(out, request->path);
    wire.argc = texts_add(out, request->argv);
    wire.envc = texts_add(out, request->env);
    text_add(out, request->script_name);
    text_add(out, request->work_root);
    text_add(out, request->work_name);
    text_add(out, request->cwd);
    text_add(out, request->user);
    wire.texts_size = (uint32_t)(out->size - sizeof wire);
    buf_add(out, request->script ? request->script : "", request->script_size);
    buf_add(out, request->input ? request->input : "", request->input_size);
    if (!out->overflow)
        memcpy(out->bytes, &wire, sizeof wire);
}

static int request_memfd(const struct launch_request *request)
{
    struct buf out;
    int fd = memfd_create("launch", MFD_CLOEXEC);
    size_t at = 0;

    buf_init(&out, TEXTS_MAX + request->script_size + request->input_size);
    request_write(request, &out);
    if (out.overflow)
        errno = E2BIG;
    while (fd >= 0 && !out.overflow && at < out.size) {
        ssize_t n = write(fd, out.bytes + at, out.size - at);

        if (n <= 0)
            break;
        at += (size_t)n;
    }
    if (fd >= 0 && (out.overflow || at < out.size)) {
        close(fd);
        fd = -1;
    }
    buf_done(&out);
    return fd;
}

static void close_at(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* 0 handed over, 1 no room for now, -1 the launcher is gone. */
static int launch_hand_over(struct launch *launch)
{
    char byte = 'R';
    struct iovec iov = { &byte, 1 };
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof launch->fds)];
    } control = { 0 };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };

    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof launch->fds);
    memcpy(CMSG_DATA(&control.head), launch->fds, sizeof launch->fds);
    while (sendmsg(launch->launcher->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno == EAGAIN || errno == ETOOMANYREFS)
            return 1;
        if (errno != EINTR)
            return -1;
    }
    for (int i = 0; i < LAUNCH_FD_COUNT; i++)
        close_at(&launch->fds[i]);
    return 0;
}

static void launcher_writable(evutil_socket_t fd, short what, void *ctx)
{
    struct launcher *launcher = ctx;

    (void)fd;
    (void)what;
    while (!list_empty(&launcher->waiting)) {
        struct launch *launch = CONTAINER_OF(launcher->waiting.next, struct launch, link);

        if (launch_hand_over(launch) != 0)
            break;
        list_remove(&launch->link);
    }
    if (!list_empty(&launcher->waiting))
        event_add(launcher->writable, NULL);
}

/* --- end -------------------------------------------------------------------------------------- */

static void event_drop(struct event **event)
{
    if (*event)
        event_free(*event);
    *event = NULL;
}

static void launch_free(struct launch *launch)
{
    list_remove(&launch->link);
    list_remove(&launch->all);
    event_drop(&launch->out_event);
    event_drop(&launch->err_event);
    event_drop(&launch->control_event);
    close_at(&launch->out);
    close_at(&launch->err);
    close_at(&launch->control);
    for (int i = 0; i < LAUNCH_FD_COUNT; i++)
        close_at(&launch->fds[i]);
    free(launch);
}

/*
 * Nobody writes any more, so what is in the pipes is all there is. Not to the end of file: somebody
 * outside of the tree may have been handed the pipe.
 */
static void pipe_drain(struct launch *launch, int fd, int stream)
{
    size_t total = 0;
    ssize_t n;

    while (fd >= 0 && total < DRAIN_MAX &&
           (n = read(fd, launch->launcher->buffer, READ_SIZE)) > 0) {
        launch->events.output(launch->ctx, stream, launch->launcher->buffer, (size_t)n);
        total += (size_t)n;
    }
}

static void launch_end(struct launch *launch)
{
    event_drop(&launch->out_event);
    event_drop(&launch->err_event);
    pipe_drain(launch, launch->out, 1);
    pipe_drain(launch, launch->err, 2);
    launch->events.done(launch->ctx, &launch->result);
    launch_free(launch);
}

static const char *step_text(enum launch_step step)
{
    switch (step) {
    case STEP_WORK_DIR:
        return "private folder";
    case STEP_SCRIPT:
        return "script file";
    case STEP_INPUT:
        return "standard input";
    case STEP_USER:
        return "user";
    case STEP_FORK:
        return "fork";
    case STEP_LIMITS:
        return "limits";
    case STEP_SET_USER:
        return "change of user";
    case STEP_CWD:
        return "working directory";
    case STEP_EXEC:
        return "interpreter";
    case STEP_REQUEST:
        return "request";
    }
    return "start";
}

static void message_take(struct launch *launch, const struct launch_message *message)
{
    struct launch_result *result = &launch->result;

    switch (message->kind) {
    case LAUNCH_MESSAGE_STARTED:
        launch->started = true;
        launch->events.started(launch->ctx);
        return;
    case LAUNCH_MESSAGE_FAILED:
        result->end = LAUNCH_NOT_STARTED;
        error_set(&launch->failure, ERR_IO, "script could not be started: %s: %s",
                  step_text((enum launch_step)message->step), strerror(message->error));
        result->err = &launch->failure;
        break;
    default:
        result->end = (enum launch_end)message->end;
        result->exit_code = message->exit_code;
        result->signal = message->signal;
        result->cpu_ms = message->cpu_ms;
        result->memory_peak = message->memory_peak;
        result->left_behind = message->left_behind;
        result->survivors = message->survivors;
        break;
    }
    launch_end(launch);
}

static void control_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct launch *launch = ctx;
    struct launch_message message;
    ssize_t n = recv(fd, &message, sizeof message, MSG_DONTWAIT);

    (void)what;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == sizeof message) {
        message_take(launch, &message);
        return;
    }
    launch->result.end = launch->started ? LAUNCH_LOST : LAUNCH_NOT_STARTED;
    if (launch->started)
        error_set(&launch->failure, ERR_IO, "the supervisor of the script has died");
    else
        error_set(&launch->failure, ERR_IO, "script could not be started: %s", "no supervisor");
    launch->result.err = &launch->failure;
    launch_end(launch);
}

/* --- output ----------------------------------------------------------------------------------- */

static void pipe_readable(struct launch *launch, int *fd, struct event **event, int stream)
{
    ssize_t n = read(*fd, launch->launcher->buffer, READ_SIZE);

    if (n > 0)
        launch->events.output(launch->ctx, stream, launch->launcher->buffer, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        event_drop(event);
        close_at(fd);
    }
}

static void out_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct launch *launch = ctx;

    (void)fd;
    (void)what;
    pipe_readable(launch, &launch->out, &launch->out_event, 1);
}

static void err_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct launch *launch = ctx;

    (void)fd;
    (void)what;
    pipe_readable(launch, &launch->err, &launch->err_event, 2);
}

static void event_pause(struct event *event, bool paused)
{
    if (!event)
        return;
    if (paused)
        event_del(event);
    else
        event_add(event, NULL);
}

void launch_pause(struct launch *launch, bool paused)
{
    if (launch->paused == paused)
        return;
    launch->paused = paused;
    event_pause(launch->out_event, paused);
    event_pause(launch->err_event, paused);
}

void launch_stop(struct launch *launch)
{
    char byte = launch->stopping ? LAUNCH_KILL : LAUNCH_STOP;

    launch->stopping = true;
    if (launch->control >= 0)
        send(launch->control, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* --- a launch --------------------------------------------------------------------------------- */

static int launch_pipe(int *ret_ours, int *ret_theirs)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    *ret_ours = fds[0];
    *ret_theirs = fds[1];
    return 0;
}

static int launch_open(struct launch *launch, const struct launch_request *request)
{
    int control[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return -1;
    launch->control = control[0];
    launch->fds[LAUNCH_FD_CONTROL] = control[1];
    if (launch_pipe(&launch->out, &launch->fds[LAUNCH_FD_OUT]) < 0 ||
        launch_pipe(&launch->err, &launch->fds[LAUNCH_FD_ERR]) < 0)
        return -1;
    launch->fds[LAUNCH_FD_REQUEST] = request_memfd(request);
    return launch->fds[LAUNCH_FD_REQUEST] < 0 ? -1 : 0;
}

static void launch_fail_later(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    launch_end(ctx);
}

/* What goes wrong here comes to done like everything else, on the loop. */
static void launch_fail(struct launch *launch, const char *why)
{
    launch->result.end = LAUNCH_NOT_STARTED;
    error_set(&launch->failure, ERR_IO, "script could not be started: %s", why);
    launch->result.err = &launch->failure;
    launch->control_event = event_new(launch->launcher->base, -1, 0, launch_fail_later, launch);
    event_active(launch->control_event, 0, 0);
}

static void launch_watch(struct launch *launch)
{
    struct event_base *base = launch->launcher->base;

    launch->control_event =
        event_new(base, launch->control, EV_READ | EV_PERSIST, control_readable, launch);
    launch->out_event = event_new(base, launch->out, EV_READ | EV_PERSIST, out_readable, launch);
    launch->err_event = event_new(base, launch->err, EV_READ | EV_PERSIST, err_readable, launch);
    event_add(launch->control_event, NULL);
    event_add(launch->out_event, NULL);
    event_add(launch->err_event, NULL);
}

struct launch *launcher_run(struct launcher *launcher, const struct launch_request *request,
                            const struct launch_events *events, void *ctx)
{
    struct launch *launch = memory_alloc(sizeof *launch);
    int handed;

    launch->launcher = launcher;
    launch->events = *events;
    launch->ctx = ctx;
    launch->out = launch->err = launch->control = -1;
    launch->result.exit_code = -1;
    list_init(&launch->link);
    list_add_tail(&launcher->all, &launch->all);
    memset(launch->fds, -1, sizeof launch->fds);
    if (launch_open(launch, request) < 0) {
        launch_fail(launch, strerror(errno));
        return launch;
    }
    handed = list_empty(&launcher->waiting) && !launcher->is_gone ? launch_hand_over(launch)
             : launcher->is_gone                                  ? -1
                                                                  : 1;
    if (handed < 0) {
        launch_fail(launch, "the launcher has died");
        return launch;
    }
    launch_watch(launch);
    if (handed > 0) {
        list_add_tail(&launcher->waiting, &launch->link);
        event_add(launcher->writable, NULL);
    }
    return launch;
}

void launcher_detach(struct launcher *launcher)
{
    LIST_EACH_SAFE(&launcher->all, link)
        launch_free(CONTAINER_OF(link, struct launch, all));
    event_drop(&launcher->readable);
    event_drop(&launcher->writable);
    free(launcher->buffer);
    launcher->buffer = NULL;
    launcher->base = NULL;
}

void launcher_free(struct launcher **pointer)
{
    struct launcher *launcher = *pointer;

    if (!launcher)
        return;
    launcher_detach(launcher);
    close(launcher->fd);
    /* It waits for its supervisors, and they for what they end: a second or two. */
    waitpid(launcher->pid, NULL, 0);
    free(launcher);
    *pointer = NULL;
}
