#include "service/peers.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct peer {
    struct peers *peers; /* NULL: freed while asking */
    char *name;
    unsigned char key[IDENTITY_KEY_SIZE];
    bool known, asking;
    int64_t asked_ms;    /* monotonic, of the last question */
    struct list waiters;
};

struct waiter {
    struct list link;
    void (*done)(void *ctx);
    void *ctx;
};

struct peers {
    struct node *node;
    const struct node_hooks *hooks;
    struct map by_name;
    unsigned asking;
};

struct peers *peers_new(struct node *node, const struct node_hooks *hooks)
{
    struct peers *peers = memory_alloc(sizeof *peers);

    peers->node = node;
    peers->hooks = hooks;
    map_init(&peers->by_name);
    return peers;
}

static void waiters_drop(struct peer *peer)
{
    LIST_EACH_SAFE(&peer->waiters, node)
        free(CONTAINER_OF(node, struct waiter, link));
    list_init(&peer->waiters);
}

static void peer_free(struct peer *peer)
{
    waiters_drop(peer);
    free(peer->name);
    free(peer);
}

void peers_free(struct peers **peers)
{
    void *value;

    if (!*peers)
        return;
    for (size_t i = 0; map_next(&(*peers)->by_name, &i, &value);) {
        struct peer *peer = value;
        peer->peers = NULL;
        waiters_drop(peer);
        if (!peer->asking) /* else the answer frees it */
            peer_free(peer);
    }
    map_done(&(*peers)->by_name);
    free(*peers);
    *peers = NULL;
}

/* Names that nobody vouched for must not fill the memory: they make room for others. */
static void make_room(struct peers *peers)
{
    struct peer *oldest = NULL;
    void *value;

    if (peers->by_name.count < PEERS_MAX)
        return;
    for (size_t i = 0; map_next(&peers->by_name, &i, &value);) {
        struct peer *peer = value;
        if (!peer->asking && (!oldest || peer->known < oldest->known ||
                              (peer->known == oldest->known && peer->asked_ms < oldest->asked_ms)))
            oldest = peer;
    }
    if (!oldest)
        return;
    map_remove_text(&peers->by_name, oldest->name);
    peer_free(oldest);
}

static struct peer *peer_get(struct peers *peers, const char *name)
{
    struct peer *peer = map_get_text(&peers->by_name, name);

    if (peer)
        return peer;
    make_room(peers);
    peer = memory_alloc(sizeof *peer);
    peer->peers = peers;
    peer->name = memory_strdup(name);
    peer->asked_ms = INT64_MIN / 2;
    list_init(&peer->waiters);
    map_put_text(&peers->by_name, name, peer);
    return peer;
}

/* A question that failed changes nothing: a key that was known stays known while auth is away. */
static void answer_take(struct peer *peer, const unsigned char *public_key, const struct error *err)
{
    if (err) {
        LOG_WARN("the key of a node could not be asked for", "node", peer->name, "why",
                 error_english(err));
        return;
    }
    peer->known = public_key != NULL;
    if (public_key)
        memcpy(peer->key, public_key, IDENTITY_KEY_SIZE);
    else
        LOG_WARN("requests come from a node that auth does not know", "node", peer->name);
}

static void on_found(void *ctx, const unsigned char *public_key, const struct error *err)
{
    struct peer *peer = ctx;

    peer->asking = false;
    if (!peer->peers) {
        peer_free(peer);
        return;
    }
    peer->peers->asking--;
    answer_take(peer, public_key, err);
    while (!list_empty(&peer->waiters)) {
        struct waiter *waiter = CONTAINER_OF(peer->waiters.next, struct waiter, link);
        void (*done)(void *) = waiter->done;
        void *done_ctx = waiter->ctx;
        list_remove(&waiter->link);
        free(waiter);
        done(done_ctx);
    }
}

static void ask(struct peer *peer, int64_t mono_ms)
{
    peer->asking = true;
    peer->asked_ms = mono_ms;
    peer->peers->asking++;
    peer->peers->hooks->find(peer->peers->node, peer->name, on_found, peer);
}

const unsigned char *peers_find(struct peers *peers, const char *name, int64_t mono_ms)
{
    struct peer *peer = map_get_text(&peers->by_name, name);

    if (!peer || !peer->known)
        return NULL;
    if (!peer->asking && mono_ms - peer->asked_ms >= PEERS_FRESH_MS && peers->hooks)
        ask(peer, mono_ms);
    return peer->key;
}

bool peers_ask(struct peers *peers, const char *name, int64_t mono_ms, void (*done)(void *ctx),
               void *ctx)
{
    struct peer *peer = peers->hooks ? peer_get(peers, name) : NULL;

    if (!peer || (!peer->asking && (mono_ms - peer->asked_ms < PEERS_RETRY_MS ||
                                    peers->asking >= PEERS_ASKED_MAX)))
        return false;
    struct waiter *waiter = memory_alloc(sizeof *waiter);
    waiter->done = done;
    waiter->ctx = ctx;
    list_add_tail(&peer->waiters, &waiter->link);
    if (!peer->asking)
        ask(peer, mono_ms);
    return true;
}

void peers_forget(struct peers *peers, void *ctx)
{
    void *value;

    for (size_t i = 0; map_next(&peers->by_name, &i, &value);) {
        struct peer *peer = value;
        LIST_EACH_SAFE(&peer->waiters, node) {
            struct waiter *waiter = CONTAINER_OF(node, struct waiter, link);
            if (waiter->ctx != ctx)
                continue;
            list_remove(&waiter->link);
            free(waiter);
        }
    }
}
