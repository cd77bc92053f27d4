#include "scheduler/scheduler-private.h"

#include "base/memory.h"

#include <string.h>

static void settings_default(struct scheduler_settings *settings)
{
#define DEFAULT(member, value)                                                                     \
    do {                                                                                           \
        if (settings->member <= 0)                                                                 \
            settings->member = (value);                                                            \
    } while (0)
    DEFAULT(horizon_ms, 5000);
    DEFAULT(scan_interval_ms, 1000);
    DEFAULT(lease_interval_ms, 2000);
    DEFAULT(lease_ms, 10000);
    DEFAULT(executor_lease_ms, 10000);
    DEFAULT(plan_batch, 1000);
    DEFAULT(move_batch, 1000);
    DEFAULT(dispatch_batch, 500);
    DEFAULT(ready_max, 200000);
    DEFAULT(fires_per_plan, 16);
    DEFAULT(settle_ms, settings->executor_lease_ms);
    DEFAULT(ready_grace_ms, 200);
    DEFAULT(sweep_interval_ms, 60000);
#undef DEFAULT
}

static void scheduler_init_lists(struct scheduler *s)
{
    struct list *const lists[] = { &s->unused_flights, &s->queues,    &s->unready,
                                   &s->reread,         &s->plannable, &s->promotable,
                                   &s->outboxes,       &s->live,      &s->outgoing };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        list_init(lists[i]);
    for (int i = 0; i < SHARD_COUNT; i++)
        list_init(&s->shards[i].jobs);
}

struct scheduler *scheduler_new(const struct scheduler_settings *settings)
{
    struct arena *arena = arena_new();
    struct scheduler *s = ARENA_NEW(arena, struct scheduler);

    s->arena = arena;
    s->settings = *settings;
    settings_default(&s->settings);
    pool_init(&s->run_pool, sizeof(struct run));
    pool_init(&s->job_pool, sizeof(struct job));
    pool_init(&s->pending_pool, sizeof(struct pending));
    pool_init(&s->lookup_pool, sizeof(struct lookup));
    pool_init(&s->executor_pool, sizeof(struct executor));
    pool_init(&s->host_pool, sizeof(struct host));
    pool_init(&s->queue_pool, sizeof(struct ready_queue));
    pool_init(&s->flight_pool, sizeof(struct flight));
    scheduler_init_lists(s);
    s->any_queue = ready_queue_get(s, "");
    s->timer_told = INT64_MIN;
    for (int i = 0; i < SHARD_COUNT && !s->settings.leases; i++) {
        s->shards[i].use = SHARD_LOADING;
        s->shards[i].reload = true;
    }
    s->lease_at = s->settings.leases ? INT64_MIN : INT64_MAX;
    return s;
}

static void flights_done(struct scheduler *s)
{
    void *flight;

    for (size_t i = 0; map_next(&s->flights, &i, &flight);)
        arena_free(&((struct flight *)flight)->arena);
    LIST_EACH (&s->unused_flights, node)
        arena_free(&CONTAINER_OF(node, struct flight, link)->arena);
    LIST_EACH (&s->outgoing, node)
        arena_free(&CONTAINER_OF(node, struct flight, link)->arena);
    if (s->move_flight)
        arena_free(&s->move_flight->arena);
}

static void queues_done(struct scheduler *s)
{
    LIST_EACH (&s->queues, node)
        heap_done(&CONTAINER_OF(node, struct ready_queue, link)->heap);
}

void scheduler_free(struct scheduler **scheduler)
{
    struct scheduler *s = *scheduler;

    if (!s)
        return;
    flights_done(s);
    queues_done(s);
    struct pool *const pools[] = { &s->run_pool,    &s->job_pool,      &s->pending_pool,
                                   &s->lookup_pool, &s->executor_pool, &s->host_pool,
                                   &s->queue_pool,  &s->flight_pool };
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        pool_done(pools[i]);
    struct map *const maps[] = { &s->runs,    &s->jobs,    &s->executors, &s->hosts,
                                 &s->flights, &s->lookups, &s->wanted };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        map_done(maps[i]);
    struct heap *const heaps[] = { &s->armed, &s->timers, &s->doubts, &s->deadlines };
    for (size_t i = 0; i < sizeof heaps / sizeof *heaps; i++)
        heap_done(heaps[i]);
    struct arena *arena = s->arena;
    arena_free(&arena);
    *scheduler = NULL;
}

/* --- what the parts share --------------------------------------------------------------------- */

struct action *action_add(struct scheduler *s, enum action_kind kind)
{
    struct actions *actions = s->actions;

    if (actions->count == actions->capacity) {
        size_t capacity = actions->capacity ? 2 * actions->capacity : 32;
        struct action *items = ARENA_ARRAY(actions->arena, struct action, capacity);
        if (actions->count)
            memcpy(items, actions->items, actions->count * sizeof *items);
        actions->items = items;
        actions->capacity = capacity;
    }
    struct action *action = &actions->items[actions->count++];
    *action = (struct action){ .kind = kind, .reference = ++s->references };
    return action;
}

bool scheduler_usable(const struct scheduler *s)
{
    return !s->settings.leases || s->mono_ms < s->valid_until;
}

bool store_open(const struct scheduler *s)
{
    return scheduler_usable(s) && s->mono_ms >= s->hold_until;
}

void store_failed(struct scheduler *s)
{
    int32_t n = s->hold_failures < 5 ? s->hold_failures++ : 5;

    s->hold_until = s->mono_ms + (INT64_C(50) << n);
}

void store_worked(struct scheduler *s)
{
    s->hold_failures = 0;
}

struct flight *flight_new(struct scheduler *s, enum action_kind kind)
{
    struct flight *flight;

    if (list_empty(&s->unused_flights)) {
        flight = pool_take(&s->flight_pool);
        flight->arena = arena_new();
    } else {
        flight = CONTAINER_OF(s->unused_flights.next, struct flight, link);
        list_remove(&flight->link);
    }
    *flight = (struct flight){ .arena = flight->arena, .kind = kind, .stamp = s->stamp };
    list_init(&flight->link);
    return flight;
}

void flight_track(struct scheduler *s, struct flight *flight, uint64_t reference)
{
    flight->reference = reference;
    flight->stamp = s->stamp;
    map_put(&s->flights, (int64_t)reference, flight);
}

/* NULL: not asked for, or answered before. The caller frees it. */
struct flight *flight_take(struct scheduler *s, uint64_t reference, enum action_kind kind)
{
    struct flight *flight = map_get(&s->flights, (int64_t)reference);

    if (!flight || flight->kind != kind)
        return NULL;
    map_remove(&s->flights, (int64_t)reference);
    return flight;
}

void flight_free(struct scheduler *s, struct flight *flight)
{
    arena_reset(flight->arena);
    list_add_tail(&s->unused_flights, &flight->link);
}

/* --- a step ----------------------------------------------------------------------------------- */

static void take_runs(struct scheduler *s, const struct scheduler_event *event)
{
    for (size_t i = 0; i < event->runs.job_count; i++)
        job_update(s, event->runs.jobs[i], false);
    shard_loaded(s, event);
    for (size_t i = 0; i < event->runs.job_count; i++)
        job_release(s, event->runs.jobs[i]->id);
}

static void take_job(struct scheduler *s, const struct scheduler_job *row)
{
    job_update(s, row, false);
    job_release(s, row->id);
}

static void take_stop(struct scheduler *s, int64_t run_id, enum cause cause)
{
    struct run *run = run_find(s, run_id);

    if (run)
        run_stop(s, run, cause);
    else
        run_lookup(s, run_id, NULL);
}

static void take_reports(struct scheduler *s, const struct scheduler_event *event)
{
    /* results first: one that brings its start along spares a change */
    for (size_t i = 0; i < event->report.count; i++)
        if (event->report.reports[i].kind == REPORT_RESULT)
            report_take(s, &event->report.reports[i]);
    for (size_t i = 0; i < event->report.count; i++)
        if (event->report.reports[i].kind != REPORT_RESULT)
            report_take(s, &event->report.reports[i]);
}

static void take_event(struct scheduler *s, const struct scheduler_event *event)
{
    switch (event->kind) {
    case EVENT_TICK:
        /* perhaps the timer's, perhaps a little early: it does not ring twice by itself */
        s->timer_told = INT64_MIN;
        return;
    case EVENT_LEASES:
        return shard_leases(s, event);
    case EVENT_DUE:
        return plan_due(s, event);
    case EVENT_PLANNED:
        return plan_answered(s, event);
    case EVENT_RUNS:
        return take_runs(s, event);
    case EVENT_MOVED:
        return moves_answered(s, event);
    case EVENT_JOB:
        return take_job(s, event->job.job);
    case EVENT_JOB_GONE:
        return job_gone(s, event->job_gone.job_id);
    case EVENT_STOP:
        return take_stop(s, event->stop.run_id, event->stop.cause);
    case EVENT_HEARTBEAT:
        return executor_heartbeat(s, event->heartbeat.load);
    case EVENT_DISPATCHED:
        return dispatch_answered(s, event);
    case EVENT_SEEN:
        return doubt_answered(s, event);
    case EVENT_REPORT:
        return take_reports(s, event);
    case EVENT_DRAIN:
        s->draining = true;
        return;
    }
}

static void earliest(int64_t *wake, int64_t mono_ms)
{
    if (mono_ms < *wake)
        *wake = mono_ms;
}

static void earliest_wall(const struct scheduler *s, int64_t *wake, const struct heap *heap)
{
    const struct heap_node *first = heap_first(heap);

    if (first && first->key <= s->now_ms)
        earliest(wake, s->mono_ms);
    else if (first && first->key - s->now_ms < INT64_MAX / 2 - s->mono_ms)
        earliest(wake, s->mono_ms + (first->key - s->now_ms));
}

static void earliest_mono(int64_t *wake, const struct heap *heap)
{
    const struct heap_node *first = heap_first(heap);

    if (first)
        earliest(wake, first->key);
}

static int64_t next_wake(const struct scheduler *s)
{
    int64_t wake = INT64_MAX;

    if (s->more_work)
        return s->mono_ms;
    if (s->mono_ms < s->hold_until)
        earliest(&wake, s->hold_until);
    earliest(&wake, s->lease_at);
    earliest_mono(&wake, &s->deadlines);
    earliest_mono(&wake, &s->doubts);
    if (!store_open(s))
        return wake;
    if (!s->loading)
        earliest(&wake, s->sweep_at);
    if (s->wanted.count > 0)
        earliest(&wake, s->wanted_at);
    if (!s->draining && (int32_t)s->ready_count < s->settings.ready_max)
        earliest_wall(s, &wake, &s->armed);
    earliest_wall(s, &wake, &s->timers);
    if (plan_wanted(s))
        earliest(&wake, s->scan_at);
    if (!list_empty(&s->unready) && s->moves_out < MOVES_OUT_MAX)
        earliest(&wake, CONTAINER_OF(s->unready.next, struct run, work_link)->since_mono +
                            s->settings.ready_grace_ms);
    if (s->ready_count > 0)
        LIST_EACH (&s->live, node) {
            const struct executor *executor = CONTAINER_OF(node, struct executor, live_link);
            if (executor->backoff_until > s->mono_ms && executor->slots_free > 0)
                earliest(&wake, executor->backoff_until);
        }
    return wake;
}

static void tell_timer(struct scheduler *s)
{
    int64_t wake = next_wake(s);

    if (wake == s->timer_told && wake > s->mono_ms)
        return;
    s->timer_told = wake;
    action_add(s, ACTION_TIMER)->timer.mono_ms = wake;
}

/* Order matters: what frees or loses runs comes before what starts them, writes before sends. */
static void work(struct scheduler *s)
{
    s->more_work = false;
    shard_work(s);
    jobs_ask(s);
    executor_work(s);
    doubt_work(s);
    arm_work(s);
    overlap_work(s);
    dispatch_work(s);
    plan_work(s);
    moves_flush(s);
    dispatch_flush(s);
    tell_timer(s);
}

void scheduler_step(struct scheduler *s, const struct scheduler_event *event,
                    struct actions *actions)
{
    s->now_ms = event->now_ms;
    s->mono_ms = event->mono_ms;
    s->actions = actions;
    s->stamp++;
    if (!s->started) {
        s->started = true;
        s->sweep_at = s->mono_ms + s->settings.sweep_interval_ms;
        s->wanted_at = s->mono_ms;
    }
    take_event(s, event);
    work(s);
    s->actions = NULL;
}

void scheduler_counters(const struct scheduler *s, struct scheduler_counters *ret)
{
    const uint64_t *count = s->state_counts;

    *ret = s->counters;
    ret->armed = count[RUN_PLANNED];
    ret->ready = count[RUN_READY];
    ret->waiting = count[RUN_WAITING];
    ret->active = count[RUN_DISPATCHED] + count[RUN_RUNNING];
    ret->retrying = count[RUN_RETRY_WAIT];
    LIST_EACH (&s->live, node)
        ret->executors++;
    for (int i = 0; i < SHARD_COUNT; i++)
        ret->shards += s->shards[i].use != SHARD_FOREIGN;
    const struct heap_node *first = heap_first(&s->armed);
    if (first && first->key <= s->now_ms)
        ret->oldest_due_ms = first->key;
    LIST_EACH (&s->queues, node) {
        const struct ready_queue *queue = CONTAINER_OF(node, struct ready_queue, link);
        struct heap_node *head = heap_first(&queue->heap);
        if (!head)
            continue;
        int64_t fire_at = CONTAINER_OF(head, struct run, queue)->fire_at;
        if (!ret->oldest_due_ms || fire_at < ret->oldest_due_ms)
            ret->oldest_due_ms = fire_at;
    }
}

bool scheduler_run_known(const struct scheduler *s, int64_t run_id, int32_t *ret_ahead)
{
    const struct run *run = run_find(s, run_id);

    if (!run)
        return false;
    *ret_ahead = ready_ahead(run);
    return true;
}
