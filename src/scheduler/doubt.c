#include "scheduler/scheduler-private.h"

#include <string.h>

/*
 * Runs at an executor of which something is not known: whether the request arrived (asked until the
 * same incarnation answers), or whether the stop was carried out (repeated until its result).
 */

enum { AGAIN_MS = 1000, AGAIN_MAX_SHIFT = 3 };

void doubt_raise(struct scheduler *s, struct run *run, int64_t wait_ms)
{
    heap_remove(&s->doubts, &run->timer);
    heap_add(&s->doubts, &run->timer, s->mono_ms + wait_ms, (uint64_t)run->id);
}

static void kill_run(struct scheduler *s, const struct run *run)
{
    struct action *action = action_add(s, ACTION_KILL);

    action->kill.executor = arena_strdup(s->actions->arena, run->executor->name);
    action->kill.incarnation = arena_strdup(s->actions->arena, run->executor->incarnation);
    action->kill.run =
        (struct running_run){ .run_id = run->id, .attempt = run->attempt, .token = run->token };
    action->kill.cause = run->stop_cause;
}

static void ask(struct scheduler *s, struct run *run)
{
    struct executor *executor = run->executor;

    if (executor->state != EXECUTOR_LIVE || !list_empty(&run->work_link))
        return;
    list_add_tail(&executor->questions, &run->work_link);
    if (list_empty(&executor->outbox_link))
        list_add_tail(&s->outboxes, &executor->outbox_link);
}

void doubt_work(struct scheduler *s)
{
    struct heap_node *first;
    int left = WORK_MAX;

    while ((first = heap_first(&s->doubts)) && first->key <= s->mono_ms && left-- > 0) {
        struct run *run = CONTAINER_OF(first, struct run, timer);
        heap_remove(&s->doubts, first);
        if (run->stop_requested)
            kill_run(s, run);
        if (run->doubt)
            ask(s, run);
        if (!run->stop_requested && !run->doubt)
            continue;
        int shift = run->questions < AGAIN_MAX_SHIFT ? run->questions++ : AGAIN_MAX_SHIFT;
        doubt_raise(s, run, (int64_t)AGAIN_MS << shift);
    }
    s->more_work |= left <= 0;
}

static void take_answer(struct scheduler *s, const struct seen_answer *answer)
{
    struct run *run = run_find(s, answer->run_id);

    if (!run || run_frozen(run) || run->attempt != answer->attempt || run->token != answer->token)
        return;
    if (run->state != RUN_DISPATCHED && run->state != RUN_RUNNING)
        return;
    run->doubt = false;
    if (answer->seen && run->missing < MISSING_MAX)
        run_reread(s, run); /* it has it, or it is over and we were not told */
    else if (answer->seen)
        run_lose(s, run); /* had it, has it no more, and no result came: nobody will tell */
    else if (run->state == RUN_DISPATCHED)
        run_bounce(s, run);
    else
        run_lose(s, run); /* contradicts its own start report */
}

void doubt_answered(struct scheduler *s, const struct scheduler_event *event)
{
    struct flight *flight = flight_take(s, event->reference, ACTION_ASK);

    if (!flight)
        return;
    const char *who = event->seen.incarnation;
    /* another incarnation cannot know; its heartbeat tells what became of our runs */
    if (event->seen.sent && who && strcmp(who, flight->incarnation) == 0)
        for (size_t i = 0; i < event->seen.count; i++)
            take_answer(s, &event->seen.answers[i]);
    flight_free(s, flight);
}
