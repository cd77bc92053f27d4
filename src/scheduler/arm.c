#include "scheduler/scheduler-private.h"

#include <string.h>

/* Runs whose time has come: by fire_at, by the end of a backoff, by the limit of READY. */

void run_clear(struct scheduler *s, struct run *run)
{
    run->cleared = true;
    run->due_at = s->now_ms;
    run->since_mono = s->mono_ms;
    run_set_role(s, run, ROLE_ACTIVE);
    ready_add(s, run);
    list_remove(&run->work_link);
    list_add_tail(&s->unready, &run->work_link);
}

static struct run *pop_due(struct heap *heap, int64_t now)
{
    struct heap_node *first = heap_first(heap);

    if (!first || first->key > now)
        return NULL; /* never early */
    heap_remove(heap, first);
    return CONTAINER_OF(first, struct run, timer);
}

/* Any executor that the job may use, full or not. */
static bool executor_there(const struct scheduler *s, const struct job *job)
{
    LIST_EACH (&s->live, node) {
        const struct executor *executor = CONTAINER_OF(node, struct executor, live_link);
        if (!job->queue->name[0] || strcmp(job->queue->name, executor->name) == 0)
            return true;
    }
    return false;
}

static void shed(struct scheduler *s, struct run *run)
{
    s->counters.shed++;
    move_start(s, run, RUN_SHED, executor_there(s, run->job) ? CAUSE_NO_SLOT : CAUSE_NO_EXECUTOR);
}

static void arm_due(struct scheduler *s)
{
    int left = WORK_MAX;
    struct run *run;

    while ((int32_t)s->ready_count < s->settings.ready_max && left-- > 0 &&
           (run = pop_due(&s->armed, s->now_ms)))
        overlap_judge(s, run);
    s->more_work |= left <= 0;
}

static void timers_due(struct scheduler *s)
{
    int left = WORK_MAX;
    struct run *run;

    while (left-- > 0 && (run = pop_due(&s->timers, s->now_ms))) {
        if (run->state == RUN_RETRY_WAIT)
            run_clear(s, run);
        else
            shed(s, run);
    }
    s->more_work |= left <= 0;
}

void arm_work(struct scheduler *s)
{
    if (!store_open(s))
        return;
    timers_due(s);
    if (!s->draining)
        arm_due(s);
}
