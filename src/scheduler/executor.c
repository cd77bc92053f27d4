#include "scheduler/scheduler-private.h"

#include <string.h>

/* Who can run something: known by heartbeats alone. */

enum {
    UNLISTED_MS = 3000, /* a heartbeat was built before what we sent since */
    FORGET_LEASES = 6,  /* how long a dead incarnation is remembered: its late heartbeats */
};

static struct host *host_get(struct scheduler *s, const char *name)
{
    struct host *host = map_get_text(&s->hosts, name);

    if (host)
        return host;
    host = pool_take(&s->host_pool);
    list_init(&host->executors);
    map_put_text(&s->hosts, name, host);
    return host;
}

static void set_deadline(struct scheduler *s, struct executor *executor, int64_t wait_ms)
{
    heap_remove(&s->deadlines, &executor->deadline);
    heap_add(&s->deadlines, &executor->deadline, s->mono_ms + wait_ms, executor->order);
}

static struct executor *executor_new(struct scheduler *s, const char *name, const char *incarnation)
{
    struct executor *executor = pool_take(&s->executor_pool);

    memcpy(executor->name, name, strlen(name) + 1);
    memcpy(executor->incarnation, incarnation, strlen(incarnation) + 1);
    executor->order = ++s->references;
    executor->host = host_get(s, name);
    list_add_tail(&executor->host->executors, &executor->host_link);
    list_init(&executor->live_link);
    list_init(&executor->runs);
    list_init(&executor->outbox);
    list_init(&executor->questions);
    list_init(&executor->outbox_link);
    map_put_text(&s->executors, incarnation, executor);
    set_deadline(s, executor, s->settings.settle_ms);
    return executor;
}

/* As a row names it. One we have not heard of yet gets settle_ms to be heard. */
struct executor *executor_get(struct scheduler *s, const char *name, const char *incarnation)
{
    struct executor *executor = map_get_text(&s->executors, incarnation);

    return executor ? executor : executor_new(s, name, incarnation);
}

static bool host_live(const struct host *host)
{
    return host->current && host->current->state == EXECUTOR_LIVE;
}

/* Its runs are lost. Those of a replaced one wait for the next heartbeat of its successor, which
 * may hold their results. */
bool executor_gone(const struct executor *executor)
{
    if (executor->state == EXECUTOR_RETIRED)
        return !host_live(executor->host);
    return executor->state == EXECUTOR_SILENT;
}

static void set_state(struct scheduler *s, struct executor *executor, enum executor_state state)
{
    executor->state = state;
    list_remove(&executor->live_link);
    if (state == EXECUTOR_LIVE) {
        list_add_tail(&s->live, &executor->live_link);
        set_deadline(s, executor, s->settings.executor_lease_ms);
    } else {
        set_deadline(s, executor, FORGET_LEASES * s->settings.executor_lease_ms);
    }
}

/* --- silence ---------------------------------------------------------------------------------- */

static void consider_runs(struct scheduler *s, struct executor *executor)
{
    LIST_EACH_SAFE (&executor->runs, node)
        run_consider(s, CONTAINER_OF(node, struct run, executor_link));
}

static void executor_silent(struct scheduler *s, struct executor *executor)
{
    struct host *host = executor->host;

    set_state(s, executor, EXECUTOR_SILENT);
    if (host->current && host->current != executor) {
        consider_runs(s, executor);
        return;
    }
    LIST_EACH_SAFE (&host->executors, node)
        consider_runs(s, CONTAINER_OF(node, struct executor, host_link));
}

static void executor_forget(struct scheduler *s, struct executor *executor)
{
    struct host *host = executor->host;

    if (!list_empty(&executor->runs)) {
        set_deadline(s, executor, s->settings.executor_lease_ms);
        return;
    }
    map_remove_text(&s->executors, executor->incarnation);
    list_remove(&executor->host_link);
    if (host->current == executor)
        host->current = NULL;
    if (list_empty(&host->executors)) {
        map_remove_text(&s->hosts, executor->name);
        pool_put(&s->host_pool, host);
    }
    pool_put(&s->executor_pool, executor);
}

void executor_work(struct scheduler *s)
{
    struct heap_node *first;

    while ((first = heap_first(&s->deadlines)) && first->key <= s->mono_ms) {
        struct executor *executor = CONTAINER_OF(first, struct executor, deadline);
        heap_remove(&s->deadlines, first);
        if (executor->state == EXECUTOR_UNHEARD || executor->state == EXECUTOR_LIVE)
            executor_silent(s, executor);
        else
            executor_forget(s, executor);
    }
}

/* --- heartbeats ------------------------------------------------------------------------------- */

static bool load_sound(const struct executor_load *load)
{
    return load->name[0] && strlen(load->name) < EXECUTOR_NAME_MAX && load->incarnation[0] &&
           strlen(load->incarnation) < INCARNATION_SIZE;
}

/* Heartbeats travel late too: which of two starts of one name is the newer? */
static bool replaces(const struct executor *executor, const struct executor *current)
{
    if (executor->started_at && current->started_at)
        return executor->started_at > current->started_at;
    return executor->state != EXECUTOR_RETIRED;
}

/* false: an older start than the one that is at work. */
static bool take_place(struct scheduler *s, struct executor *executor)
{
    struct host *host = executor->host;

    if (host_live(host) && host->current != executor) {
        if (!replaces(executor, host->current)) {
            set_state(s, executor, EXECUTOR_RETIRED);
            return false;
        }
        set_state(s, host->current, EXECUTOR_RETIRED);
    }
    host->current = executor;
    return true;
}

static void mark_listed(struct scheduler *s, struct executor *executor,
                        const struct executor_load *load)
{
    for (size_t i = 0; i < load->running_count; i++) {
        const struct running_run *listed = &load->running[i];
        struct run *run = run_find(s, listed->run_id);
        if (!run || !run->executor || run->executor->host != executor->host ||
            run->attempt != listed->attempt || run->token != listed->token)
            continue;
        if (run->state != RUN_DISPATCHED && run->state != RUN_RUNNING)
            continue;
        run->heard = true;
        run->doubt = run->awaiting = false; /* it has arrived */
        run->missing = 0;
        if (run->executor == executor)
            continue;
        run_set_executor(run, executor);
        run->adopted = true; /* a result that outlived its process */
    }
}

/* Runs of replaced incarnations of this name that the new one has no result of. */
static void lose_replaced(struct scheduler *s, struct executor *executor)
{
    LIST_EACH_SAFE (&executor->host->executors, node) {
        struct executor *other = CONTAINER_OF(node, struct executor, host_link);
        if (other == executor)
            continue;
        if (other->state == EXECUTOR_UNHEARD)
            set_state(s, other, EXECUTOR_RETIRED);
        LIST_EACH_SAFE (&other->runs, link) {
            struct run *run = CONTAINER_OF(link, struct run, executor_link);
            if (!run_frozen(run))
                run_lose(s, run);
        }
    }
}

/*
 * It should be listed and is not. Whether the request arrived can be asked of the incarnation it
 * was sent to; a result that another one had, and has no more, was acknowledged by somebody, and
 * the row tells by whom.
 */
static void unlisted_run(struct scheduler *s, struct run *run)
{
    run->since_mono = s->mono_ms;
    run->missing = (uint8_t)(run->missing + (run->missing < MISSING_MAX));
    if (run->adopted && run->missing == MISSING_MAX) {
        run_lose(s, run);
    } else if (run->adopted) {
        run_reread(s, run);
    } else {
        run->questions = 0;
        run->doubt = true;
        doubt_raise(s, run, 0);
    }
}

/* Returns how many of our runs take a place that the heartbeat does not count. */
static int32_t check_listed(struct scheduler *s, struct executor *executor)
{
    int32_t unlisted = 0;

    LIST_EACH_SAFE (&executor->runs, node) {
        struct run *run = CONTAINER_OF(node, struct run, executor_link);
        bool heard = run->heard;
        run->heard = false;
        unlisted += !heard;
        if (heard || run_frozen(run) || run->unsent || run->awaiting)
            continue;
        if (!run->doubt && run->since_mono + UNLISTED_MS <= s->mono_ms)
            unlisted_run(s, run);
    }
    return unlisted;
}

void executor_heartbeat(struct scheduler *s, const struct executor_load *load)
{
    if (!load_sound(load))
        return;
    struct executor *executor = executor_get(s, load->name, load->incarnation);
    if (strcmp(executor->name, load->name) != 0)
        return;
    executor->started_at = load->started_at;
    if (!take_place(s, executor))
        return;
    set_state(s, executor, EXECUTOR_LIVE);
    executor->draining = load->draining;
    executor->slots_total = load->slots_total;
    mark_listed(s, executor, load);
    lose_replaced(s, executor);
    executor->slots_free = load->slots_free - check_listed(s, executor);
}
