#include "service/keyring.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct peer {
    struct keyring *keyring; /* NULL: freed while asking */
    char *name;
    unsigned char key[IDENTITY_KEY_SIZE];
    bool known, asking;
    int64_t asked_ms; /* monotonic, of the last question */
    struct list waiters;
};

struct waiter {
    struct list link;
    void (*done)(void *ctx);
    void *ctx;
};

struct keyring {
    struct node *node;
    const struct node_hooks *hooks;
    struct map by_name;
    unsigned asking;
};

struct keyring *keyring_new(struct node *node, const struct node_hooks *hooks)
{
    struct keyring *keyring = memory_alloc(sizeof *keyring);

    keyring->node = node;
    keyring->hooks = hooks;
    map_init(&keyring->by_name);
    return keyring;
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

void keyring_free(struct keyring **keyring)
{
    void *value;

    if (!*keyring)
        return;
    for (size_t i = 0; map_next(&(*keyring)->by_name, &i, &value);) {
        struct peer *peer = value;
        peer->keyring = NULL;
        waiters_drop(peer);
        if (!peer->asking) /* else the answer frees it */
            peer_free(peer);
    }
    map_done(&(*keyring)->by_name);
    free(*keyring);
    *keyring = NULL;
}

/* Names that nobody vouched for must not fill the memory: they make room for others. */
static void make_room(struct keyring *keyring)
{
    struct peer *oldest = NULL;
    void *value;

    if (keyring->by_name.count < KEYRING_MAX)
        return;
    for (size_t i = 0; map_next(&keyring->by_name, &i, &value);) {
        struct peer *peer = value;
        if (!peer->asking && (!oldest || peer->known < oldest->known ||
                              (peer->known == oldest->known && peer->asked_ms < oldest->asked_ms)))
            oldest = peer;
    }
    if (!oldest)
        return;
    map_remove_text(&keyring->by_name, oldest->name);
    peer_free(oldest);
}

static struct peer *peer_get(struct keyring *keyring, const char *name)
{
    struct peer *peer = map_get_text(&keyring->by_name, name);

    if (peer)
        return peer;
    make_room(keyring);
    peer = memory_alloc(sizeof *peer);
    peer->keyring = keyring;
    peer->name = memory_strdup(name);
    peer->asked_ms = INT64_MIN / 2;
    list_init(&peer->waiters);
    map_put_text(&keyring->by_name, name, peer);
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
    if (!peer->keyring) {
        peer_free(peer);
        return;
    }
    peer->keyring->asking--;
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
    peer->keyring->asking++;
    peer->keyring->hooks->find(peer->keyring->node, peer->name, on_found, peer);
}

const unsigned char *keyring_find(struct keyring *keyring, const char *name, int64_t mono_ms)
{
    struct peer *peer = map_get_text(&keyring->by_name, name);

    if (!peer || !peer->known)
        return NULL;
    if (!peer->asking && mono_ms - peer->asked_ms >= KEYRING_FRESH_MS && keyring->hooks)
        ask(peer, mono_ms);
    return peer->key;
}

bool keyring_ask(struct keyring *keyring, const char *name, int64_t mono_ms,
                 void (*done)(void *ctx), void *ctx)
{
    struct peer *peer = keyring->hooks ? peer_get(keyring, name) : NULL;

    if (!peer || (!peer->asking && (mono_ms - peer->asked_ms < KEYRING_RETRY_MS ||
                                    keyring->asking >= KEYRING_ASKED_MAX)))
        return false;
    struct waiter *waiter = memory_alloc(sizeof *waiter);
    waiter->done = done;
    waiter->ctx = ctx;
    list_add_tail(&peer->waiters, &waiter->link);
    if (!peer->asking)
        ask(peer, mono_ms);
    return true;
}

void keyring_forget(struct keyring *keyring, void *ctx)
{
    void *value;

    for (size_t i = 0; map_next(&keyring->by_name, &i, &value);) {
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
