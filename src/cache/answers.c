#include "cache/cache-private.h"

#include <event2/event.h>

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
    struct answers *answers = ctx;
    struct list now;
    (void)fd;
    (void)what;

    list_init(&now);
    LIST_EACH_SAFE(&answers->queue, node) {
        list_remove(node);
        list_add_tail(&now, node);
    }
    while (!list_empty(&now)) {
        struct answer *answer = CONTAINER_OF(now.next, struct answer, link);
        list_remove(&answer->link);
        answer->give(answer);
    }
}

void answers_init(struct answers *answers, struct event_base *base)
{
    list_init(&answers->queue);
    answers->event = event_new(base, -1, 0, on_event, answers);
}

void answers_done(struct answers *answers, void (*drop)(struct answer *answer))
{
    LIST_EACH_SAFE(&answers->queue, node)
        drop(CONTAINER_OF(node, struct answer, link));
    list_init(&answers->queue);
    event_free(answers->event);
}

void answers_add(struct answers *answers, struct answer *answer)
{
    list_add_tail(&answers->queue, &answer->link);
    event_active(answers->event, EV_TIMEOUT, 0);
}
