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

struct peer *peers_next(struct peers *peers, struct peer *after, int64_t mono_ms)
{
    struct peer *later = NULL;

    for (struct peer *peer = peer_after(peers, after); peer != after;
         peer = peer_after(peers, peer)) {
        if (!peer->listed)
            continue;
        if (peer->retry_mono_ms <= mono_ms)
            return peer;
        if (!later)
            later = peer;
    }
    if (after->listed && after->retry_mono_ms <= mono_ms)
        return after;
    return later ? later : after;
}

const char *peer_instance(const struct peer *peer)
{
    return strcmp(peer->instance, "local") ? peer->instance : NULL;
}

void peer_failed(struct peer *peer, int64_t mono_ms)
{
    peer->backoff_ms = peer->backoff_ms ? peer->backoff_ms * 2 : PEER_BACKOFF_FIRST_MS;
    if (peer->backoff_ms > PEER_BACKOFF_MAX_MS)
        peer->backoff_ms = PEER_BACKOFF_MAX_MS;
    peer->retry_mono_ms = mono_ms + peer->backoff_ms;
}

void peer_answered(struct peer *peer)
{
    peer->backoff_ms = 0;
    peer->retry_mono_ms = 0;
}
