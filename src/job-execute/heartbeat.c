#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "job-admin/client.h"
#include "job-execute/execute.h"

#include <event2/event.h>
#include <malloc.h>
#include <stdlib.h>

/*
 * Says once a second to every job-admin that this executor lives, what room it has and what it has
 * in hand; at once after the start, when room comes back after there was none, and when it drains.
 */
enum { BEAT_MS = 1000 };

struct beat {
    struct list link;
    struct execute *execute;
    struct peer *peer;
    struct arena *arena;
    struct admin_heartbeat request;
};

static void beat_send(struct execute *execute, struct peer *peer);

static void beat_free(struct beat *beat)
{
    list_remove(&beat->link);
    arena_free(&beat->arena);
    free(beat);
}

static void beat_answered(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct beat *beat = ctx;
    struct execute *execute = beat->execute;
    struct peer *peer = beat->peer;

    (void)sent;
    peer->beating = false;
    if (!answer)
        LOG_DEBUG("heartbeat not taken", "admin", peer->instance, "error", error_english(err));
    beat_free(beat);
    if (peer->beat_again) {
        peer->beat_again = false;
        if (answer) /* else the next second's will do */
            beat_send(execute, peer);
    }
}

static void beat_running(struct execute *execute, struct beat *beat)
{
    size_t i = 0;

    beat->request.running = ARENA_ARRAY(beat->arena, struct admin_running, execute->attempts + 1);
    LIST_EACH(&execute->all, link) {
        const struct attempt *attempt = CONTAINER_OF(link, struct attempt, all);

        beat->request.running[i++] = (struct admin_running){
            .run_id = attempt->run_id,
            .attempt = attempt->number,
            .token = attempt->token,
        };
    }
    beat->request.running_count = i;
}

static void beat_send(struct execute *execute, struct peer *peer)
{
    struct beat *beat;

    if (peer->beating) {
        peer->beat_again = true;
        return;
    }
    beat = memory_alloc(sizeof *beat);
    beat->execute = execute;
    beat->peer = peer;
    beat->arena = arena_new();
    list_add_tail(&execute->beats, &beat->link);
    beat->request.executor = (char *)(intptr_t)execute->node->name;
    beat->request.incarnation = execute->node->incarnation;
    beat->request.url = (char *)(intptr_t)execute->node->url;
    beat->request.address = beat->request.url;
    beat->request.slots_total = execute_slots_total(execute);
    beat->request.slots_free = execute_slots_free(execute);
    beat->request.draining = execute->draining;
    beat->request.clock_ms = clock_wall_ms();
    beat_running(execute, beat);
    peer->beating = true;
    call_send(execute->node, &admin_heartbeat_call, peer_instance(peer), &beat->request,
              beat_answered, beat);
}

static void beat_all(evutil_socket_t fd, short what, void *ctx)
{
    struct execute *execute = ctx;

    (void)fd;
    (void)what;
    execute->was_full = execute_slots_free(execute) == 0;
    LIST_EACH(&execute->peers.all, link) {
        struct peer *peer = CONTAINER_OF(link, struct peer, link);

        if (peer->listed)
            beat_send(execute, peer);
    }
}

/* After thousands of attempts at once the heap is as large as it was with them. */
static void memory_give_back(struct execute *execute)
{
    enum { MANY = 1000 };

    if (execute->attempts > execute->attempts_peak)
        execute->attempts_peak = execute->attempts;
    if (execute->attempts_peak < MANY || execute->attempts > execute->attempts_peak / 16)
        return;
    malloc_trim(0);
    execute->attempts_peak = 0;
}

static void beat_second(evutil_socket_t fd, short what, void *ctx)
{
    struct execute *execute = ctx;

    peers_refresh(&execute->peers);
    seen_turn(&execute->seen, clock_mono_ms());
    memory_give_back(execute);
    beat_all(fd, what, execute);
}

void heartbeat_now(struct execute *execute)
{
    event_active(execute->beat_event, 0, 0);
}

int heartbeat_start(struct execute *execute, struct error *err)
{
    struct timeval interval = { BEAT_MS / 1000, BEAT_MS % 1000 * 1000 };

    execute->beat_timer = event_new(execute->node->base, -1, EV_PERSIST, beat_second, execute);
    execute->beat_event = event_new(execute->node->base, -1, 0, beat_all, execute);
    if (!execute->beat_timer || !execute->beat_event || event_add(execute->beat_timer, &interval))
        return error_set(err, ERR_INTERNAL, "cannot make a timer");
    /* The registry may not be filled before all services have been started: look on the loop. */
    event_active(execute->beat_timer, 0, 0);
    return 0;
}

void heartbeat_stop(struct execute *execute)
{
    if (execute->beat_timer)
        event_free(execute->beat_timer);
    if (execute->beat_event)
        event_free(execute->beat_event);
    execute->beat_timer = execute->beat_event = NULL;
    LIST_EACH_SAFE(&execute->beats, link)
        beat_free(CONTAINER_OF(link, struct beat, link));
}
