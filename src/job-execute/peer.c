#include "job-execute/peer.h"

#include "base/memory.h"
#include "service/call.h"
#include "service/service.h"

#include <stdlib.h>
#include <string.h>

void peers_init(struct peers *peers, struct node *node)
{
    peers->node = node;
    peers->count = 0;
    list_init(&peers->all);
}

void peers_done(struct peers *peers)
{
    LIST_EACH_SAFE(&peers->all, link) {
        struct peer *peer = CONTAINER_OF(link, struct peer, link);

        list_remove(link);
        free(peer->instance);
        free(peer);
    }
    peers->count = 0;
}

static struct peer *peer_new(const char *instance)
{
    struct peer *peer = memory_alloc(sizeof *peer);

    peer->instance = memory_strdup(instance);
    list_init(&peer->reports);
    list_init(&peer->chunks);
    return peer;
}

struct peer *peers_find(struct peers *peers, const char *instance)
{
    struct peer *peer;

    if (!instance)
        instance = "local";
    LIST_EACH(&peers->all, link) {
        peer = CONTAINER_OF(link, struct peer, link);
        if (!strcmp(peer->instance, instance))
            return peer;
    }
    /* More than this are not a cluster but a mistake: reports find their way by any of them. */
    if (peers->count >= PEERS_MAX)
        return CONTAINER_OF(peers->all.next, struct peer, link);
    peer = peer_new(instance);
    list_add_tail(&peers->all, &peer->link);
    peers->count++;
    return peer;
}

void peers_refresh(struct peers *peers)
{
    struct arena *arena = arena_new();
    const char *const *instances;
    size_t count = call_instances(peers->node, "job-admin", arena, &instances);

    LIST_EACH(&peers->all, link)
        CONTAINER_OF(link, struct peer, link)->listed = false;
    for (size_t i = 0; i < count; i++)
        peers_find(peers, instances[i])->listed = true;
    arena_free(&arena);
}

static struct peer *peer_after(const struct peers *peers, const struct peer *peer)
{
    struct list *next = peer->link.next == &peers->all ? peers->all.next : peer->link.next;

    return CONTAINER_OF(next, struct peer, link);
}

bool peer_rests(const struct peer *peer, enum peer_line line, int64_t mono_ms)
{
    return peer->health[line].retry_mono_ms > mono_ms;
}

struct peer *peers_next(struct peers *peers, struct peer *after, enum peer_line line,
                        int64_t mono_ms)
{
    struct peer *later = NULL;

    for (struct peer *peer = peer_after(peers, after); peer != after;
         peer = peer_after(peers, peer)) {
        if (!peer->listed)
            continue;
        if (!peer_rests(peer, line, mono_ms))
            return peer;
        if (!later)
            later = peer;
    }
    if (after->listed && !peer_rests(after, line, mono_ms))
        return after;
    return later ? later : after;
}

const char *peer_instance(const struct peer *peer)
{
    return strcmp(peer->instance, "local") ? peer->instance : NULL;
}

bool peer_failed(struct peer *peer, enum peer_line line, int64_t mono_ms)
{
    struct peer_health *health = &peer->health[line];
    bool first = !health->backoff_ms;

    health->backoff_ms = first ? PEER_BACKOFF_FIRST_MS : health->backoff_ms * 2;
    if (health->backoff_ms > PEER_BACKOFF_MAX_MS)
        health->backoff_ms = PEER_BACKOFF_MAX_MS;
    health->retry_mono_ms = mono_ms + health->backoff_ms;
    return first;
}

void peer_answered(struct peer *peer, enum peer_line line)
{
    peer->health[line] = (struct peer_health){ 0 };
}
