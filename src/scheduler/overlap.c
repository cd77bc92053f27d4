#include "scheduler/scheduler-private.h"

/* May a run of this job start beside the others? Judged when it comes due. */

void overlap_changed(struct scheduler *s, struct job *job)
{
    if (list_empty(&job->promote_link) && job->waiting_count > 0)
        list_add_tail(&s->promotable, &job->promote_link);
}

static bool may_start(const struct job *job)
{
    if (!job->known)
        return false;
    return job->active_count < (job->overlap == OVERLAP_PARALLEL ? job->overlap_limit : 1);
}

static void wait_turn(struct scheduler *s, struct run *run)
{
    move_start(s, run, RUN_WAITING, CAUSE_OVERLAP);
    run_set_role(s, run, ROLE_WAITING);
}

/* The newest takes the place of all that are active or wait. */
static void replace_older(struct scheduler *s, struct job *job, const struct run *newest)
{
    struct list *const lists[] = { &job->active, &job->waiting };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        LIST_EACH_SAFE (lists[i], node) {
            struct run *run = CONTAINER_OF(node, struct run, job_link);
            if (run != newest && !run->stop_requested)
                run_stop(s, run, CAUSE_REPLACED);
        }
}

void overlap_judge(struct scheduler *s, struct run *run)
{
    struct job *job = run->job;

    if (may_start(job) && job->waiting_count == 0) {
        run_clear(s, run);
        return;
    }
    switch ((enum overlap_policy)job->overlap) {
    case OVERLAP_QUEUE:
        if (job->waiting_count < job->overlap_limit)
            wait_turn(s, run);
        else
            move_start(s, run, RUN_SKIPPED, CAUSE_QUEUE_FULL);
        return;
    case OVERLAP_REPLACE:
        replace_older(s, job, run);
        wait_turn(s, run);
        return;
    case OVERLAP_SKIP:
    case OVERLAP_PARALLEL:
        move_start(s, run, RUN_SKIPPED, CAUSE_OVERLAP);
        return;
    }
}

static void promote(struct scheduler *s, struct job *job)
{
    while (job->waiting_count > 0 && may_start(job)) {
        struct run *run = CONTAINER_OF(job->waiting.next, struct run, job_link);
        if (run_frozen(run) || run->stop_requested)
            return; /* comes back when that is settled */
        run_clear(s, run);
    }
    /* after a take-over the rows alone tell that the newest waits for the end of the others */
    if (job->known && job->overlap == OVERLAP_REPLACE && job->waiting_count > 0)
        replace_older(s, job, CONTAINER_OF(job->waiting.prev, struct run, job_link));
}

void overlap_work(struct scheduler *s)
{
    if (!store_open(s))
        return;
    while (!list_empty(&s->promotable)) {
        struct job *job = CONTAINER_OF(s->promotable.next, struct job, promote_link);
        list_remove(&job->promote_link);
        promote(s, job);
    }
}
