#include "scheduler/scheduler-private.h"

#include <string.h>

/* Runs in memory: copies of rows that are not terminal. */

struct run *run_find(const struct scheduler *s, int64_t id)
{
    return map_get(&s->runs, id);
}

void run_set_state(struct scheduler *s, struct run *run, enum run_state state)
{
    s->state_counts[run->state]--;
    s->state_counts[state]++;
    run->state = (uint8_t)state;
}

static void waiting_add(struct job *job, struct run *run)
{
    struct list *after = job->waiting.prev;

    /* nearly always the newest: from the end */
    for (; after != &job->waiting; after = after->prev) {
        const struct run *other = CONTAINER_OF(after, struct run, job_link);
        if (other->fire_at < run->fire_at ||
            (other->fire_at == run->fire_at && other->id < run->id))
            break;
    }
    list_add_tail(after->next, &run->job_link);
}

void run_set_role(struct scheduler *s, struct run *run, enum run_role role)
{
    struct job *job = run->job;
    bool counted = run->role == ROLE_ACTIVE || run->role == ROLE_WAITING;

    if (run->role == role)
        return;
    list_remove(&run->job_link);
    job->waiting_count -= run->role == ROLE_WAITING;
    job->active_count -= run->role == ROLE_ACTIVE;
    run->role = (uint8_t)role;
    job->waiting_count += role == ROLE_WAITING;
    job->active_count += role == ROLE_ACTIVE;
    if (role == ROLE_WAITING)
        waiting_add(job, run);
    else if (role != ROLE_NONE)
        list_add_tail(role == ROLE_PLANNED ? &job->planned : &job->active, &run->job_link);
    if (counted)
        overlap_changed(s, job);
}

void run_set_executor(struct run *run, struct executor *executor)
{
    list_remove(&run->executor_link);
    run->executor = executor;
    run->adopted = false;
    if (executor)
        list_add_tail(&executor->runs, &run->executor_link);
}

static struct heap *run_heap(struct scheduler *s, const struct run *run)
{
    switch (run->state) {
    case RUN_PLANNED:
        return &s->armed;
    case RUN_DISPATCHED:
    case RUN_RUNNING:
        return &s->doubts;
    default:
        return &s->timers;
    }
}

void run_freeze(struct scheduler *s, struct run *run)
{
    heap_remove(run_heap(s, run), &run->timer);
    ready_remove(s, run);
    list_remove(&run->work_link);
    run->cleared = false;
}

static enum run_role role_of(const struct run *run)
{
    switch (run->state) {
    case RUN_PLANNED:
        return ROLE_PLANNED;
    case RUN_WAITING:
        return ROLE_WAITING;
    default:
        return ROLE_ACTIVE;
    }
}

static void place_ready(struct scheduler *s, struct run *run)
{
    int64_t since = run->due_at > 0 ? run->due_at : s->now_ms;

    ready_add(s, run);
    if (run->job->start_deadline_ms > 0)
        heap_add(&s->timers, &run->timer, since + run->job->start_deadline_ms, (uint64_t)run->id);
}

void run_place(struct scheduler *s, struct run *run)
{
    if (run_frozen(run))
        return;
    run_freeze(s, run);
    run_set_role(s, run, role_of(run));
    if (run->state != RUN_DISPATCHED && run->state != RUN_RUNNING)
        run_set_executor(run, NULL);
    if (!run->job->known)
        return; /* nothing is decided without its policies: job_update comes back to it */
    if (run->state == RUN_PLANNED)
        heap_add(&s->armed, &run->timer, run->due_at > run->fire_at ? run->due_at : run->fire_at,
                 (uint64_t)run->id);
    else if (run->state == RUN_READY)
        place_ready(s, run);
    else if (run->state == RUN_RETRY_WAIT)
        heap_add(&s->timers, &run->timer, run->due_at, (uint64_t)run->id);
    else if (run->state == RUN_WAITING)
        overlap_changed(s, run->job);
    run_consider(s, run);
}

static void run_fill(struct scheduler *s, struct run *run, const struct scheduler_run *row)
{
    run_set_state(s, run, row->state);
    run->attempt = row->attempt;
    run->token = row->token;
    run->lost_count = row->lost_count;
    run->failed_count = row->failed_count;
    run->job_version = row->job_version;
    run->due_at = row->due_at;
    run->unsent = run->awaiting = run->doubt = false;
    run->questions = run->missing = 0;
    if (row->state != RUN_DISPATCHED && row->state != RUN_RUNNING)
        return;
    run_set_executor(run, executor_get(s, row->executor, row->incarnation));
    /* whether it was sent, and has arrived, is not known here */
    run->doubt = row->state == RUN_DISPATCHED;
    run->since_mono = s->mono_ms;
}

static void run_fill_stop(struct run *run, const struct scheduler_run *row)
{
    if (!row->stop_requested || run->stop_requested)
        return;
    run->stop_requested = true;
    run->stop_cause = (uint8_t)(row->stop_cause ? row->stop_cause : CAUSE_STOPPED);
}

static int16_t clamp_priority(int32_t priority)
{
    return (int16_t)(priority < -100 ? -100 : priority > 100 ? 100 : priority);
}

struct run *run_add(struct scheduler *s, const struct scheduler_run *row)
{
    struct run *run = pool_take(&s->run_pool);

    run->id = row->id;
    run->fire_at = row->fire_at;
    run->scheduled = row->scheduled;
    run->priority = clamp_priority(row->priority);
    run->job = job_get(s, row->job_id);
    run->stamp = s->stamp;
    list_init(&run->job_link);
    list_init(&run->executor_link);
    list_init(&run->work_link);
    s->state_counts[0]++;
    map_put(&s->runs, run->id, run);
    run_fill(s, run, row);
    run_fill_stop(run, row);
    run_place(s, run);
    return run;
}

/* -1: the row is older than the copy, 0: as old, 1: newer (checker K6's order). */
static int compare_rows(const struct scheduler_run *row, const struct run *run)
{
    int rank = run_state_rank(row->state), own_rank = run_state_rank(run->state);

    if (row->attempt != run->attempt)
        return row->attempt < run->attempt ? -1 : 1;
    if (row->token != run->token)
        return row->token < run->token ? -1 : 1;
    return rank == own_rank ? 0 : rank < own_rank ? -1 : 1;
}

/* What a read tells of a run that is known. A hint that is older than the copy changes nothing. */
void run_merge(struct scheduler *s, struct run *run, const struct scheduler_run *row)
{
    int order = compare_rows(row, run);

    if (run_frozen(run)) {
        run_fill_stop(run, row);
        return; /* the answer under way settles it */
    }
    if (order > 0 && run_state_terminal(row->state)) {
        run_vanished(s, run);
        return;
    }
    run_fill_stop(run, row);
    if (order > 0) {
        run_freeze(s, run);
        run_fill(s, run, row);
        run->stamp = s->stamp;
    }
    run_place(s, run);
}

void run_drop(struct scheduler *s, struct run *run, enum ack_verdict verdict)
{
    struct job *job = run->job;

    run_freeze(s, run);
    if (run->flight)
        run->flight->runs[run->flight_index] = NULL;
    report_release(s, &run->reports, verdict);
    run_set_executor(run, NULL);
    run_set_role(s, run, ROLE_NONE);
    s->state_counts[run->state]--;
    map_remove(&s->runs, run->id);
    pool_put(&s->run_pool, run);
    job_settle(s, job);
}

void run_vanished(struct scheduler *s, struct run *run)
{
    run->job->adrift |= run->scheduled;
    run_drop(s, run, ACK_STALE);
}

void run_reread(struct scheduler *s, struct run *run)
{
    if (run->rereading)
        return;
    run_freeze(s, run);
    run->rereading = true;
    list_add_tail(&s->reread, &run->work_link);
}

void run_lookup(struct scheduler *s, int64_t id, const struct report *report)
{
    struct lookup *lookup = map_get(&s->lookups, id);

    if (!lookup) {
        lookup = pool_take(&s->lookup_pool);
        map_put(&s->lookups, id, lookup);
        s->lookups_waiting++;
    }
    if (report)
        report_hold(s, &lookup->reports, report);
}
