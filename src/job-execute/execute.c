#include "job-execute/execute.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "http/egress.h"
#include "http/http-client.h"
#include "job-execute/launcher.h"
#include "job-execute/task-script.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STARTS_PER_TURN = 128 };

/* --- slots ------------------------------------------------------------------------------------ */

int32_t execute_slots_total(const struct execute *execute)
{
    return execute->settings.slots[TASK_SLOT_LIGHT];
}

static size_t slots_left(const struct execute *execute, enum task_slot slot)
{
    size_t taken = execute->running[slot] + execute->queued[slot];
    size_t slots = (size_t)execute->settings.slots[slot];

    return taken < slots ? slots - taken : 0;
}

/* Those that wait for others to end, not just for the loop to turn. */
static size_t execute_waiting(const struct execute *execute)
{
    size_t waiting = 0;

    for (int slot = 0; slot < TASK_SLOT_COUNT; slot++) {
        size_t taken = execute->running[slot] + execute->queued[slot];
        size_t slots = (size_t)execute->settings.slots[slot];

        waiting += taken > slots ? taken - slots : 0;
    }
    return waiting;
}

static size_t queue_left(const struct execute *execute)
{
    size_t waiting = execute_waiting(execute), queue = (size_t)execute->settings.queue;

    return waiting < queue ? queue - waiting : 0;
}

static bool execute_closed(const struct execute *execute)
{
    return execute->draining || reporter_unacked(execute->reporter) >= UNACKED_MAX;
}

/*
 * What may come now without being refused. job-admin does not know which slot a run needs, so while
 * the slots of scripts are all in use only places in the queue are offered: light ones pass by it.
 */
int32_t execute_slots_free(const struct execute *execute)
{
    if (execute_closed(execute))
        return 0;
    if (!slots_left(execute, TASK_SLOT_SCRIPT))
        return (int32_t)queue_left(execute);
    return (int32_t)(queue_left(execute) + slots_left(execute, TASK_SLOT_LIGHT));
}

static bool execute_has_room(const struct execute *execute, enum task_slot slot)
{
    return !execute_closed(execute) && (slots_left(execute, slot) || queue_left(execute));
}

static bool slot_free(const struct execute *execute, enum task_slot slot)
{
    return execute->running[slot] < (size_t)execute->settings.slots[slot];
}

static enum task_slot attempt_slot(const struct attempt *attempt)
{
    return attempt->type ? attempt->type->slot : TASK_SLOT_LIGHT;
}

/* Starts what has a slot: on the loop, after the dispatch has been answered. */
static void execute_start_queued(evutil_socket_t fd, short what, void *ctx)
{
    struct execute *execute = ctx;
    int started = 0;

    (void)fd;
    (void)what;
    for (int slot = 0; slot < TASK_SLOT_COUNT; slot++) {
        while (!list_empty(&execute->queues[slot]) && slot_free(execute, (enum task_slot)slot)) {
            struct attempt *attempt =
                CONTAINER_OF(execute->queues[slot].next, struct attempt, link);

            if (started++ == STARTS_PER_TURN) { /* others want the loop, too */
                event_active(execute->start_event, 0, 0);
                return;
            }
            list_remove(&attempt->link);
            execute->queued[slot]--;
            execute->running[slot]++;
            attempt->state = ATTEMPT_RUNNING;
            attempt_start(attempt);
        }
    }
}

static void execute_queue(struct execute *execute, struct attempt *attempt)
{
    enum task_slot slot = attempt_slot(attempt);

    list_add_tail(&execute->queues[slot], &attempt->link);
    execute->queued[slot]++;
    event_active(execute->start_event, 0, 0);
}

/* --- the table of attempts -------------------------------------------------------------------- */

struct attempt *execute_find(const struct execute *execute, int64_t run_id, int32_t number,
                             int32_t token)
{
    struct attempt *attempt = map_get(&execute->runs, run_id);

    while (attempt && (attempt->number != number || attempt->token != token))
        attempt = attempt->next_of_run;
    return attempt;
}

static void execute_add(struct execute *execute, struct attempt *attempt)
{
    attempt->next_of_run = map_put(&execute->runs, attempt->run_id, attempt);
    list_add_tail(&execute->all, &attempt->all);
    execute->attempts++;
}

static void execute_remove(struct execute *execute, struct attempt *attempt)
{
    struct attempt *first = map_get(&execute->runs, attempt->run_id);

    if (first != attempt) {
        while (first->next_of_run != attempt)
            first = first->next_of_run;
        first->next_of_run = attempt->next_of_run;
    } else if (attempt->next_of_run)
        map_put(&execute->runs, attempt->run_id, attempt->next_of_run);
    else
        map_remove(&execute->runs, attempt->run_id);
    execute->attempts--;
}

static void drain_check(struct execute *execute)
{
    size_t open = 0;

    for (int slot = 0; slot < TASK_SLOT_COUNT; slot++)
        open += execute->running[slot] + execute->queued[slot];
    if (!execute->drained || open)
        return;
    /* What is not acknowledged by now goes on in the spool. */
    if (reporter_unacked(execute->reporter)) {
        reporter_spool_all(execute->reporter);
        log_sender_spool_all(execute->log_sender);
        spool_sync(execute->spool);
    }
    execute->drained(execute->drained_ctx);
    execute->drained = NULL;
}

void execute_ended(struct execute *execute, struct attempt *attempt)
{
    enum task_slot slot = attempt_slot(attempt);

    if (attempt->state == ATTEMPT_QUEUED)
        execute->queued[slot]--;
    else
        execute->running[slot]--;
    list_remove(&attempt->link);
    attempt->state = ATTEMPT_ENDED;
    if (execute->queued[slot])
        event_active(execute->start_event, 0, 0);
    if (execute->was_full && execute_slots_free(execute) > 0)
        heartbeat_now(execute);
    drain_check(execute);
}

static void result_acked(void *ctx, struct attempt *attempt)
{
    struct execute *execute = ctx;

    execute_remove(execute, attempt);
    attempt_free(attempt);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* A newer token for a run that still runs here: job-admin has given the older one up. */
static void execute_supersede(struct execute *execute, const struct execute_run *run)
{
    struct attempt *older = map_get(&execute->runs, run->run_id);

    for (; older; older = older->next_of_run)
        if (older->token < run->token && older->state != ATTEMPT_ENDED)
            break;
    if (older) {
        LOG_WARN("an older attempt of the run still runs here, stopping it", "run",
                 log_int(run->run_id), "attempt", log_int(older->number));
        attempt_stop(older, CAUSE_REPLACED);
    }
}

static enum dispatch_verdict execute_take(struct execute *execute, const struct execute_run *run,
                                          struct peer *peer, int64_t mono_ms)
{
    const struct task_type *type = task_type_find(run->task_type);
    struct attempt *attempt;

    if (execute_find(execute, run->run_id, run->attempt, run->token))
        return DISPATCH_SEEN;
    switch (seen_find(&execute->seen, run->run_id, run->attempt, run->token)) {
    case SEEN_TAKEN:
        return DISPATCH_SEEN;
    case SEEN_REFUSED:
        return DISPATCH_REFUSED;
    case SEEN_NOT:
        break;
    }
    if (!execute_has_room(execute, type ? type->slot : TASK_SLOT_LIGHT)) {
        seen_add(&execute->seen, run->run_id, run->attempt, run->token, true, mono_ms);
        return DISPATCH_REFUSED;
    }
    execute_supersede(execute, run);
    seen_add(&execute->seen, run->run_id, run->attempt, run->token, false, mono_ms);
    attempt = attempt_new(execute, run, peer);
    execute_add(execute, attempt);
    execute_queue(execute, attempt);
    return attempt->type ? DISPATCH_TAKEN : DISPATCH_BAD;
}

static void count_verdict(struct execute_counters *counters, enum dispatch_verdict verdict)
{
    counters->taken += verdict == DISPATCH_TAKEN || verdict == DISPATCH_BAD;
    counters->refused += verdict == DISPATCH_REFUSED;
    counters->seen += verdict == DISPATCH_SEEN;
}

/* Meant for an earlier start of this process: what that one had is lost, and it says so. */
static bool incarnation_wrong(const struct execute *execute, struct call *call,
                              const char *incarnation)
{
    struct error err = { 0 };

    if (incarnation && !strcmp(incarnation, execute->node->incarnation))
        return false;
    error_set(&err, ERR_CONFLICT, "this job-execute has been started anew: incarnation %s",
              execute->node->incarnation);
    call_fail(call, &err);
    return true;
}

void execute_handle_dispatch(struct call *call)
{
    struct execute *execute = call_state(call);
    const struct execute_dispatch *dispatch = call_request(call);
    struct peer *peer = peers_find(&execute->peers, dispatch->admin_url);
    struct execute_dispatched *answer = ARENA_NEW(call_arena(call), struct execute_dispatched);
    int64_t mono_ms = clock_mono_ms();

    if (incarnation_wrong(execute, call, dispatch->incarnation))
        return;
    answer->executor = (char *)(intptr_t)execute->node->name;
    answer->incarnation = execute->node->incarnation;
    answer->verdict_count = dispatch->run_count;
    answer->verdicts =
        ARENA_ARRAY(call_arena(call), struct execute_verdict, dispatch->run_count + 1);
    for (size_t i = 0; i < dispatch->run_count; i++) {
        const struct execute_run *run = &dispatch->runs[i];
        struct execute_verdict *verdict = &answer->verdicts[i];

        verdict->run_id = run->run_id;
        verdict->attempt = run->attempt;
        verdict->token = run->token;
        verdict->verdict = (int32_t)execute_take(execute, run, peer, mono_ms);
        count_verdict(&execute->counters, (enum dispatch_verdict)verdict->verdict);
    }
    answer->slots_free = execute_slots_free(execute);
    execute->was_full = answer->slots_free == 0;
    call_answer(call, answer);
}

/* Not seen means: and will not be run either, should it come after all. */
static bool execute_asked_seen(struct execute *execute, const struct execute_ask_run *run)
{
    if (execute_find(execute, run->run_id, run->attempt, run->token))
        return true;
    if (seen_find(&execute->seen, run->run_id, run->attempt, run->token) == SEEN_TAKEN)
        return true;
    seen_add(&execute->seen, run->run_id, run->attempt, run->token, true, clock_mono_ms());
    return false;
}

void execute_handle_ask(struct call *call)
{
    struct execute *execute = call_state(call);
    const struct execute_ask *ask = call_request(call);
    struct execute_asked *answer = ARENA_NEW(call_arena(call), struct execute_asked);

    if (incarnation_wrong(execute, call, ask->incarnation))
        return;
    answer->executor = (char *)(intptr_t)execute->node->name;
    answer->incarnation = execute->node->incarnation;
    answer->run_count = ask->run_count;
    answer->runs = ARENA_ARRAY(call_arena(call), struct execute_ask_run, ask->run_count + 1);
    for (size_t i = 0; i < ask->run_count; i++) {
        answer->runs[i] = ask->runs[i];
        answer->runs[i].seen = execute_asked_seen(execute, &ask->runs[i]);
    }
    call_answer(call, answer);
}

void execute_handle_stop(struct call *call)
{
    struct execute *execute = call_state(call);
    const struct execute_stop *stop = call_request(call);
    struct attempt *attempt = execute_find(execute, stop->run_id, stop->attempt, stop->token);
    struct execute_stopped *answer = ARENA_NEW(call_arena(call), struct execute_stopped);

    answer->known = attempt != NULL;
    if (attempt)
        attempt_stop(attempt, (enum cause)stop->cause);
    call_answer(call, answer);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void spooled_result(void *ctx, const char *incarnation, const struct admin_report_item *item)
{
    report_replay(((struct execute *)ctx)->reporter, incarnation, item);
}

static void spooled_chunk(void *ctx, const char *incarnation, const struct admin_log_chunk *chunk)
{
    log_replay(((struct execute *)ctx)->log_sender, incarnation, chunk);
}

static int execute_open_spool(struct execute *execute, struct error *err)
{
    struct spool_reader reader = { spooled_result, spooled_chunk, execute };
    char *path = memory_alloc(strlen(execute->node->data_dir) + sizeof "/job-execute.spool");
    int result;

    memcpy(path, execute->node->data_dir, strlen(execute->node->data_dir));
    memcpy(path + strlen(path), "/job-execute.spool", sizeof "/job-execute.spool");
    result = spool_open(path, execute->settings.spool_max, &reader, &execute->spool, err);
    free(path);
    return result;
}

static int execute_open_http(struct execute *execute, struct error *err)
{
    struct http_client_settings settings = {
        .egress = execute->node->egress ? egress_check_address : NULL,
        .egress_ctx = execute->node->egress,
        .connections_max = (unsigned)execute->settings.slots[TASK_SLOT_LIGHT],
        .connections_per_host_max = (unsigned)execute->settings.slots[TASK_SLOT_LIGHT],
    };

    return http_client_new(execute->node->base, &settings, &execute->http, err);
}

/* Without the launcher nothing more can be started and what runs cannot be told to stop: better to
 * end, so that whoever watches over this process starts it anew. */
static void launcher_gone(void *ctx)
{
    (void)ctx;
    LOG_ERROR("the launcher has died: scripts cannot be started any more, ending");
    _exit(SERVICE_EXIT_DEPENDENCY);
}

static int execute_open_scripts(struct execute *execute, struct error *err)
{
    struct execute_settings *settings = &execute->settings;
    struct node *node = execute->node;

    if (!node->launcher)
        return 0;
    if (work_root_open(config_text(node->config, "execute.work_dir"), node->data_dir,
                       geteuid() == 0 ? settings->user : NULL, &settings->work_dir, err) < 0)
        return -1;
    return launcher_attach(node->launcher, node->base, launcher_gone, execute, err);
}

static int execute_open(struct execute *execute, struct error *err)
{
    struct node *node = execute->node;

    if (execute_settings_read(node->config, &execute->settings, err) < 0 ||
        execute_open_http(execute, err) < 0 || execute_open_scripts(execute, err) < 0)
        return -1;
    execute->zones = zone_set_new(NULL);
    execute->start_event = event_new(node->base, -1, 0, execute_start_queued, execute);
    /* The spool is read into both, so both stand before it; they write to it later only. */
    execute->reporter = reporter_new(node, &execute->peers, &execute->spool, result_acked, execute);
    execute->log_sender =
        log_sender_new(node, &execute->peers, &execute->spool, execute->settings.backlog_max);
    if (execute_open_spool(execute, err) < 0)
        return -1;
    return heartbeat_start(execute, err);
}

int execute_new(struct node *node, struct execute **ret_execute, struct error *err)
{
    struct execute *execute = memory_alloc(sizeof *execute);

    execute->node = node;
    peers_init(&execute->peers, node);
    seen_init(&execute->seen, clock_mono_ms());
    map_init(&execute->runs);
    list_init(&execute->all);
    list_init(&execute->beats);
    for (int slot = 0; slot < TASK_SLOT_COUNT; slot++)
        list_init(&execute->queues[slot]);
    if (execute_open(execute, err) < 0) {
        execute_free(&execute);
        return -1;
    }
    *ret_execute = execute;
    return 0;
}

void execute_drain(struct execute *execute, void (*done)(void *ctx), void *ctx)
{
    execute->draining = true;
    execute->drained = done;
    execute->drained_ctx = ctx;
    heartbeat_now(execute);
    drain_check(execute);
}

void execute_free(struct execute **pointer)
{
    struct execute *execute = *pointer;

    if (!execute)
        return;
    heartbeat_stop(execute);
    http_client_free(&execute->http);
    if (execute->node->launcher)
        launcher_detach(execute->node->launcher);
    if (execute->reporter)
        reporter_spool_all(execute->reporter);
    spool_free(&execute->spool);
    LIST_EACH_SAFE(&execute->all, link)
        attempt_free(CONTAINER_OF(link, struct attempt, all));
    reporter_free(&execute->reporter);
    log_sender_free(&execute->log_sender);
    zone_set_free(&execute->zones);
    if (execute->start_event)
        event_free(execute->start_event);
    map_done(&execute->runs);
    seen_done(&execute->seen);
    peers_done(&execute->peers);
    if (execute->settings.work_dir)
        work_root_close(execute->settings.work_dir);
    free(execute->settings.work_dir);
    free(execute);
    *pointer = NULL;
}
