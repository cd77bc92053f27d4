#include "service/service-private.h"

#include "base/log.h"

#include <sodium.h>
#include <sys/stat.h>

static int services_start(struct frame *frame, bool listeners, struct error *err)
{
    for (size_t i = 0; i < frame->running_count; i++) {
        struct running *running = &frame->running[i];
        const struct service *service = running->service;
        if (service->opens_listener != listeners)
            continue;
        if (service->start && service->start(&frame->node, &running->state, err) < 0)
            return -1;
        running->started = true;
    }
    return 0;
}

/* 0 all started; 1 stopped by a signal meanwhile; -1 with err. */
static int frame_start(struct frame *frame, struct error *err)
{
    if (internal_open(frame, err) < 0 || metrics_open(frame, err) < 0 ||
        services_start(frame, true, err) < 0)
        return -1;
    int rc = store_start(frame, err);
    if (rc != 0)
        return rc;
    if (services_start(frame, false, err) < 0)
        return -1;
    frame->ready = true;
    if (frame_is_apart(frame) && frame->setup->hooks)
        frame->enrolment = enrolment_new(frame);
    return 0;
}

/*
 * Order: nobody calls anybody any more; the store answers what was under way while those who asked
 * are still there; then the services, last started first.
 */
static void frame_stop(struct frame *frame)
{
    frame->node.draining = true;
    posts_run(frame);
    remote_calls_abandon(frame);
    calls_abandon(frame);
    enrolment_free(&frame->enrolment);
    struct db *db = frame->node.db; /* node.db stays good for those that are answered now */
    db_close(&db);
    frame->node.db = NULL;
    for (size_t i = frame->running_count; i-- > 0;) {
        struct running *running = &frame->running[i];
        if (running->started && running->service->free)
            running->service->free(running->state);
        running->started = false;
    }
    posts_done(frame);
    http_server_free(&frame->internal);
    calls_free(frame);
    signals_done(frame);
}

static void start_failed(const struct error *err)
{
    LOG_ERROR("cannot start", "why", error_english(err), "key", err->path[0] ? err->path : NULL);
}

static int frame_run(struct frame *frame)
{
    struct error err;
    int exit_code = 0;

    int rc = signals_init(frame, &err) < 0 ? -1 : frame_start(frame, &err);
    if (rc < 0) {
        start_failed(&err);
        exit_code = exit_code_of(err.code);
    } else if (rc == 0) {
        LOG_INFO("serving", "node", frame->node.name, "data", frame->node.data_dir, "url",
                 frame->node.url);
        event_base_dispatch(frame->node.base);
    }
    frame_stop(frame);
    if (rc >= 0)
        LOG_INFO("stopped");
    return exit_code;
}

int service_main(const struct service_setup *setup)
{
    struct frame *frame = NULL;
    struct error err;
    int exit_code;

    umask(077);
    if (setup->run_count == 1)
        log_service_set(setup->run[0]->name);
    if (sodium_init() < 0) {
        LOG_ERROR("cannot start", "why", "libsodium does not work here");
        return SERVICE_EXIT_DEPENDENCY;
    }
    if (routes_check(setup->all, setup->all_count, &err) < 0) {
        start_failed(&err);
        return SERVICE_EXIT_BUG;
    }
    if (frame_new(setup, &frame, &exit_code, &err) < 0) {
        start_failed(&err);
        return exit_code;
    }
    exit_code = frame_run(frame);
    frame_free(&frame);
    return exit_code;
}
