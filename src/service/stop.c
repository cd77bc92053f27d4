#include "service/service-private.h"

#include "base/log.h"

#include <signal.h>

/*
 * The end, on the loop: the first SIGTERM or SIGINT drains the services one after another in the
 * reverse order of their start (the gateway first, so nothing new comes in while what runs still
 * has its stores and reporters). node.drain_timeout or a second signal cuts it short.
 */

enum { LAST_ANSWERS_MS = 1000 };

static void drain_next(struct frame *frame);

static void on_drained(void *ctx)
{
    struct frame *frame = ctx;

    for (size_t i = frame->running_count; i-- > 0;)
        if (!frame->running[i].drained) {
            frame->running[i].drained = true;
            break;
        }
    drain_next(frame);
}

static void on_answered(void *ctx)
{
    struct frame *frame = ctx;

    event_base_loopbreak(frame->node.base);
}

static void drain_next(struct frame *frame)
{
    for (size_t i = frame->running_count; i-- > 0;) {
        struct running *running = &frame->running[i];
        if (running->drained)
            continue;
        if (running->started && running->service->drain)
            running->service->drain(running->state, on_drained, frame);
        else
            on_drained(frame);
        return;
    }
    if (frame->internal)
        http_server_drain(frame->internal, LAST_ANSWERS_MS, on_answered, frame);
    else
        on_answered(frame);
}

static void on_drain_timeout(evutil_socket_t fd, short what, void *ctx)
{
    struct frame *frame = ctx;
    (void)fd;
    (void)what;

    for (size_t i = 0; i < frame->running_count; i++)
        if (!frame->running[i].drained)
            LOG_WARN("did not finish in node.drain_timeout and is cut off", "what",
                     frame->running[i].service->name);
    event_base_loopbreak(frame->node.base);
}

static void drain_begin(struct frame *frame)
{
    int64_t timeout_ms = config_int(frame->node.config, "node.drain_timeout");
    const struct timeval timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

    LOG_INFO("stopping: what runs may finish, a second signal stops at once");
    frame->node.draining = true;
    if (!frame->ready) { /* the start sees frame->stop */
        event_base_loopbreak(frame->node.base);
        return;
    }
    frame->drain_timer = evtimer_new(frame->node.base, on_drain_timeout, frame);
    event_add(frame->drain_timer, &timeout);
    drain_next(frame);
}

static void on_stop(evutil_socket_t fd, short what, void *ctx)
{
    struct frame *frame = ctx;
    (void)fd;
    (void)what;

    if (frame->stop) {
        LOG_WARN("second signal: stopping at once");
        frame->stop_at_once = true;
        event_base_loopbreak(frame->node.base);
        return;
    }
    frame->stop = true;
    drain_begin(frame);
}

static void log_level_reload(struct frame *frame)
{
    struct config *config;
    struct error err;
    enum log_level level;

    if (config_load(config_path(frame->node.config), &config, &err) < 0) {
        LOG_ERROR("configuration not read again; the old one stays in force", "why",
                  error_english(&err));
        return;
    }
    if (log_level_parse(config_text(config, "log.level"), &level))
        log_level_set(level);
    LOG_INFO("log level and time zones read again; other keys need a restart");
    config_free(&config);
}

static void on_reload(evutil_socket_t fd, short what, void *ctx)
{
    struct frame *frame = ctx;
    (void)fd;
    (void)what;

    log_level_reload(frame);
    for (size_t i = 0; i < frame->running_count; i++) {
        const struct running *running = &frame->running[i];
        if (running->started && running->service->reload)
            running->service->reload(running->state);
    }
}

int signals_init(struct frame *frame, struct error *err)
{
    static const struct {
        int number;
        event_callback_fn handle;
    } rows[] = { { SIGTERM, on_stop }, { SIGINT, on_stop }, { SIGHUP, on_reload } };

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        frame->signals[i] = evsignal_new(frame->node.base, rows[i].number, rows[i].handle, frame);
        if (!frame->signals[i] || event_add(frame->signals[i], NULL) < 0)
            return error_set(err, ERR_INTERNAL, "cannot listen for signals");
    }
    return 0;
}

void signals_done(struct frame *frame)
{
    for (size_t i = 0; i < sizeof frame->signals / sizeof *frame->signals; i++)
        if (frame->signals[i])
            event_free(frame->signals[i]);
    if (frame->drain_timer)
        event_free(frame->drain_timer);
}
