#include "service/service-private.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

/*
 * Tells auth this node's name and key until it has them: at once, then with growing pauses. A
 * process that is not enrolled is not ready.
 */
enum { PAUSE_MIN_MS = 200, PAUSE_MAX_MS = 5000 };

struct enrolment {
    struct frame *frame; /* NULL: freed while asking */
    struct event *timer;
    int pause_ms;
    bool asking, done, complained;
};

static void ask(struct enrolment *enrolment);

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    ask(ctx);
}

static void ask_later(struct enrolment *enrolment, int pause_ms)
{
    const struct timeval pause = { pause_ms / 1000, pause_ms % 1000 * 1000 };

    event_add(enrolment->timer, &pause);
}

static void on_failed(struct enrolment *enrolment, const struct error *err)
{
    if (!enrolment->complained || err->code != ERR_UNAVAILABLE)
        LOG_WARN("auth has not accepted this node yet; trying again", "node",
                 enrolment->frame->node.name, "why", error_english(err));
    enrolment->complained = true;
    ask_later(enrolment, enrolment->pause_ms);
    enrolment->pause_ms =
        enrolment->pause_ms * 2 < PAUSE_MAX_MS ? enrolment->pause_ms * 2 : PAUSE_MAX_MS;
}

static void on_answer(void *ctx, const struct error *err)
{
    struct enrolment *enrolment = ctx;

    enrolment->asking = false;
    if (!enrolment->frame) {
        free(enrolment);
        return;
    }
    if (err) {
        on_failed(enrolment, err);
        return;
    }
    LOG_INFO("auth knows this node", "node", enrolment->frame->node.name);
    enrolment->done = true;
    enrolment->complained = false;
    enrolment->pause_ms = PAUSE_MIN_MS;
}

static void ask(struct enrolment *enrolment)
{
    if (enrolment->asking)
        return;
    enrolment->asking = true;
    enrolment->frame->setup->hooks->enrol(&enrolment->frame->node, on_answer, enrolment);
}

struct enrolment *enrolment_new(struct frame *frame)
{
    struct enrolment *enrolment = memory_alloc(sizeof *enrolment);

    enrolment->frame = frame;
    enrolment->pause_ms = PAUSE_MIN_MS;
    enrolment->timer = evtimer_new(frame->node.base, on_timer, enrolment);
    ask(enrolment);
    return enrolment;
}

void enrolment_free(struct enrolment **enrolment)
{
    struct enrolment *e = *enrolment;

    if (!e)
        return;
    event_free(e->timer);
    e->frame = NULL;
    if (!e->asking) /* else the answer frees it */
        free(e);
    *enrolment = NULL;
}

bool enrolment_done(const struct enrolment *enrolment)
{
    return enrolment->done;
}

void enrolment_again(struct enrolment *enrolment)
{
    if (enrolment->asking || !enrolment->done)
        return;
    enrolment->done = false;
    /* not at once: the other side asks auth only now and then */
    ask_later(enrolment, PAUSE_MAX_MS);
}
