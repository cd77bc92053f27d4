#include "scheduler/scheduler-private.h"

#include <string.h>

/* From the ready queues to executors: the change first, the request when it is durable. */

enum { REFUSED_BACKOFF_MS = 250 };

/* --- queues ----------------------------------------------------------------------------------- */

struct ready_queue *ready_queue_get(struct scheduler *s, const char *name)
{
    struct ready_queue *queue;

    LIST_EACH (&s->queues, node) {
        queue = CONTAINER_OF(node, struct ready_queue, link);
        if (strcmp(queue->name, name) == 0) {
            queue->jobs++;
            return queue;
        }
    }
    queue = pool_take(&s->queue_pool);
    heap_init(&queue->heap);
    queue->jobs = 1;
    memcpy(queue->name, name, strlen(name) + 1);
    list_add_tail(&s->queues, &queue->link);
    return queue;
}

void ready_queue_release(struct scheduler *s, struct ready_queue *queue)
{
    if (queue == s->any_queue || --queue->jobs > 0)
        return;
    heap_done(&queue->heap);
    list_remove(&queue->link);
    pool_put(&s->queue_pool, queue);
}

/* Priority, then fire_at (years to 2199 take 43 bits), then id. */
static int64_t ready_key(const struct run *run)
{
    const int64_t most = (INT64_C(1) << 44) - 1;
    int64_t fire_at = run->fire_at < 0 ? 0 : run->fire_at > most ? most : run->fire_at;

    return ((int64_t)(100 - run->priority) << 44) | fire_at;
}

void ready_add(struct scheduler *s, struct run *run)
{
    if (heap_has(&run->queue))
        return;
    heap_add(&run->job->queue->heap, &run->queue, ready_key(run), (uint64_t)run->id);
    s->ready_count++;
}

void ready_remove(struct scheduler *s, struct run *run)
{
    if (!heap_has(&run->queue))
        return;
    heap_remove(&run->job->queue->heap, &run->queue);
    s->ready_count--;
}

static int32_t count_ahead(const struct heap *heap, size_t index, const struct heap_node *node)
{
    if (index >= heap->count)
        return 0;
    const struct heap_node *other = heap->nodes[index];
    if (other->key > node->key || (other->key == node->key && other->tie >= node->tie))
        return 0; /* nor is anything below it ahead */
    return 1 + count_ahead(heap, 2 * index + 1, node) + count_ahead(heap, 2 * index + 2, node);
}

/* Costs as many steps as there are runs ahead. */
int32_t ready_ahead(const struct run *run)
{
    return heap_has(&run->queue) ? count_ahead(&run->job->queue->heap, 0, &run->queue) : 0;
}

/* --- choice ----------------------------------------------------------------------------------- */

bool executor_has_room(const struct scheduler *s, const struct executor *executor)
{
    return executor->state == EXECUTOR_LIVE && !executor->draining && executor->slots_free > 0 &&
           s->mono_ms >= executor->backoff_until;
}

static struct executor *choose_named(const struct scheduler *s, const char *name)
{
    LIST_EACH (&s->live, node) {
        struct executor *executor = CONTAINER_OF(node, struct executor, live_link);
        if (strcmp(executor->name, name) == 0 && executor_has_room(s, executor))
            return executor;
    }
    return NULL;
}

static struct executor *choose_least_loaded(const struct scheduler *s)
{
    struct executor *best = NULL;

    LIST_EACH (&s->live, node) {
        struct executor *executor = CONTAINER_OF(node, struct executor, live_link);
        if (executor_has_room(s, executor) && (!best || executor->slots_free > best->slots_free))
            best = executor;
    }
    return best;
}

/* The list turns: who was chosen goes to its end. */
static struct executor *choose_round_robin(struct scheduler *s)
{
    LIST_EACH (&s->live, node) {
        struct executor *executor = CONTAINER_OF(node, struct executor, live_link);
        if (!executor_has_room(s, executor))
            continue;
        list_remove(&executor->live_link);
        list_add_tail(&s->live, &executor->live_link);
        return executor;
    }
    return NULL;
}

static struct run *queue_head(const struct ready_queue *queue)
{
    struct heap_node *first = heap_first(&queue->heap);

    return first ? CONTAINER_OF(first, struct run, queue) : NULL;
}

static bool key_before(const struct run *a, const struct run *b)
{
    return a->queue.key != b->queue.key ? a->queue.key < b->queue.key : a->id < b->id;
}

/* The best run that some executor has room for. */
static struct run *choose_run(struct scheduler *s, struct executor **ret_executor)
{
    struct run *best = NULL;
    struct executor *any = choose_least_loaded(s);

    LIST_EACH (&s->queues, node) {
        const struct ready_queue *queue = CONTAINER_OF(node, struct ready_queue, link);
        struct run *run = any ? queue_head(queue) : NULL;
        if (!run || (best && key_before(best, run)))
            continue;
        struct executor *executor = queue == s->any_queue ? any : choose_named(s, queue->name);
        if (!executor)
            continue;
        best = run;
        *ret_executor = executor;
    }
    if (best && best->job->route == ROUTE_ROUND_ROBIN)
        *ret_executor = choose_round_robin(s);
    return best;
}

static void assign(struct scheduler *s, struct run *run, struct executor *executor)
{
    bool ready = run->state == RUN_READY;
    struct move *move = move_start(s, run, RUN_DISPATCHED, CAUSE_NONE);
    struct arena *arena = run->flight->arena;

    move->via_ready = !ready;
    move->due_at = run->due_at;
    if (!ready)
        move_ready(s, run, move);
    move->executor = arena_strdup(arena, executor->name);
    move->incarnation = arena_strdup(arena, executor->incarnation);
    run_set_executor(run, executor);
    run_set_role(s, run, ROLE_ACTIVE);
    executor->slots_free--;
}

/* Runs that found no place for a while are written as READY, so that everybody sees it. */
static void write_ready(struct scheduler *s)
{
    int left = WORK_MAX;

    while (!list_empty(&s->unready) && left-- > 0) {
        struct run *run = CONTAINER_OF(s->unready.next, struct run, work_link);
        if (run->since_mono + s->settings.ready_grace_ms > s->mono_ms)
            return;
        move_ready(s, run, move_start(s, run, RUN_READY, CAUSE_NONE));
        run_set_role(s, run, ROLE_ACTIVE);
    }
    s->more_work |= left <= 0;
}

void dispatch_work(struct scheduler *s)
{
    int left = WORK_MAX;
    struct executor *executor = NULL;
    struct run *run;

    if (!store_open(s) || s->moves_out >= MOVES_OUT_MAX)
        return; /* an answer will step us on */
    while (!s->draining && left-- > 0 && (run = choose_run(s, &executor)))
        assign(s, run, executor);
    s->more_work |= left <= 0;
    write_ready(s);
}

/* --- requests --------------------------------------------------------------------------------- */

void dispatch_send(struct scheduler *s, struct run *run)
{
    struct executor *executor = run->executor;

    list_remove(&run->work_link);
    list_add_tail(&executor->outbox, &run->work_link);
    if (list_empty(&executor->outbox_link))
        list_add_tail(&s->outboxes, &executor->outbox_link);
}

static struct flight *request_new(struct scheduler *s, enum action_kind kind,
                                  const struct executor *executor, size_t limit)
{
    struct flight *flight = flight_new(s, kind);

    flight->sent = ARENA_ARRAY(flight->arena, struct running_run, limit);
    memcpy(flight->executor, executor->name, sizeof flight->executor);
    memcpy(flight->incarnation, executor->incarnation, sizeof flight->incarnation);
    return flight;
}

static struct run *request_take(struct flight *flight, struct list *list)
{
    struct run *run = CONTAINER_OF(list->next, struct run, work_link);

    list_remove(&run->work_link);
    flight->sent[flight->count++] =
        (struct running_run){ .run_id = run->id, .attempt = run->attempt, .token = run->token };
    return run;
}

static size_t request_size(const struct scheduler *s, const struct list *list)
{
    size_t count = 0;

    LIST_EACH (list, node)
        if (++count == (size_t)s->settings.dispatch_batch)
            break;
    return count;
}

static void send_runs(struct scheduler *s, struct executor *executor)
{
    size_t limit = request_size(s, &executor->outbox);
    struct flight *flight = request_new(s, ACTION_DISPATCH, executor, limit);
    struct action *action = action_add(s, ACTION_DISPATCH);
    struct arena *arena = s->actions->arena;
    struct dispatch_run *runs = ARENA_ARRAY(arena, struct dispatch_run, limit);

    while (flight->count < limit) {
        struct run *run = request_take(flight, &executor->outbox);
        runs[flight->count - 1] = (struct dispatch_run){ .run_id = run->id,
                                                         .attempt = run->attempt,
                                                         .token = run->token,
                                                         .job_id = run->job->id,
                                                         .job_version = run->job_version,
                                                         .fire_at = run->fire_at };
        run->unsent = false;
        run->awaiting = true;
        run->since_mono = s->mono_ms;
    }
    s->counters.dispatches += flight->count;
    action->dispatch.executor = arena_strdup(arena, executor->name);
    action->dispatch.incarnation = arena_strdup(arena, executor->incarnation);
    action->dispatch.runs = runs;
    action->dispatch.count = flight->count;
    flight_track(s, flight, action->reference);
}

static void send_questions(struct scheduler *s, struct executor *executor)
{
    size_t limit = request_size(s, &executor->questions);
    struct flight *flight = request_new(s, ACTION_ASK, executor, limit);
    struct action *action = action_add(s, ACTION_ASK);
    struct arena *arena = s->actions->arena;

    while (flight->count < limit)
        request_take(flight, &executor->questions);
    action->ask.executor = arena_strdup(arena, executor->name);
    action->ask.incarnation = arena_strdup(arena, executor->incarnation);
    action->ask.runs = arena_copy(arena, flight->sent, flight->count * sizeof *flight->sent);
    action->ask.count = flight->count;
    flight_track(s, flight, action->reference);
}

void dispatch_flush(struct scheduler *s)
{
    while (!list_empty(&s->outboxes)) {
        struct executor *executor = CONTAINER_OF(s->outboxes.next, struct executor, outbox_link);
        list_remove(&executor->outbox_link);
        while (!list_empty(&executor->outbox))
            send_runs(s, executor);
        while (!list_empty(&executor->questions))
            send_questions(s, executor);
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

void run_bounce(struct scheduler *s, struct run *run)
{
    if (run->stop_requested) {
        move_start(s, run, RUN_CANCELLED, run->stop_cause);
        return;
    }
    struct move *move = move_start(s, run, RUN_READY, CAUSE_NONE);
    move->new_token = run->token + 1;
    move->job_version = run->job_version;
    move->due_at = run->due_at > 0 ? run->due_at : s->now_ms;
}

/* The run as it was sent, if that is still how it stands. */
static struct run *find_sent(const struct scheduler *s, int64_t id, int32_t attempt, int32_t token)
{
    struct run *run = run_find(s, id);

    if (!run || run->attempt != attempt || run->token != token || !run->awaiting)
        return NULL;
    return run;
}

static void refused(struct scheduler *s, struct run *run)
{
    s->counters.refused++;
    run->executor->slots_free = 0;
    run->executor->backoff_until = s->mono_ms + REFUSED_BACKOFF_MS;
    if (!run_frozen(run) && run->state == RUN_DISPATCHED)
        run_bounce(s, run);
    else
        run->doubt = true;
}

static void take_answer(struct scheduler *s, const struct dispatch_answer *answer)
{
    struct run *run = find_sent(s, answer->run_id, answer->attempt, answer->token);

    if (!run)
        return;
    run->awaiting = false;
    if (answer->verdict == DISPATCH_REFUSED)
        refused(s, run);
}

void dispatch_answered(struct scheduler *s, const struct scheduler_event *event)
{
    struct flight *flight = flight_take(s, event->reference, ACTION_DISPATCH);

    if (!flight)
        return;
    const char *who = event->dispatched.incarnation;
    if (event->dispatched.sent && who && strcmp(who, flight->incarnation) == 0)
        for (size_t i = 0; i < event->dispatched.count; i++)
            take_answer(s, &event->dispatched.answers[i]);
    for (size_t i = 0; i < flight->count; i++) {
        const struct running_run *sent = &flight->sent[i];
        struct run *run = find_sent(s, sent->run_id, sent->attempt, sent->token);
        if (!run)
            continue;
        run->awaiting = false;
        if (run->state != RUN_DISPATCHED)
            continue;
        if (!event->dispatched.sent && !run_frozen(run)) {
            run->executor->backoff_until = s->mono_ms + REFUSED_BACKOFF_MS;
            run_bounce(s, run);
            continue;
        }
        run->doubt = true;
        if (!run_frozen(run))
            doubt_raise(s, run, 0);
    }
    flight_free(s, flight);
}
