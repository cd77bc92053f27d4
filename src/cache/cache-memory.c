#include "cache/cache-private.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"

#include <stdlib.h>

/* Entries in a map by key, and in a ring by use: the one used longest ago is the first. */
struct entry {
    struct list link;
    char *key;
    int64_t until_ms;
    size_t size; /* of the value */
    char value[];
};

struct memory_cache {
    struct cache cache; /* first */
    struct answers answers;
    struct map entries;
    struct list by_use;
    size_t bytes, bytes_max;
    int64_t (*now_ms)(void);
};

enum { ENTRY_OVERHEAD = 128 };

static size_t entry_bytes(const struct entry *entry)
{
    return ENTRY_OVERHEAD + strlen(entry->key) + entry->size;
}

static void entry_drop(struct memory_cache *c, struct entry *entry)
{
    map_remove_text(&c->entries, entry->key);
    list_remove(&entry->link);
    c->bytes -= entry_bytes(entry);
    free(entry->key);
    free(entry);
}

static void memory_remove(struct cache *cache, const char *key)
{
    struct memory_cache *c = (struct memory_cache *)cache;
    struct entry *entry = map_get_text(&c->entries, key);

    if (entry)
        entry_drop(c, entry);
}

static void memory_put(struct cache *cache, const char *key, struct str value, int64_t ttl_ms)
{
    struct memory_cache *c = (struct memory_cache *)cache;
    struct entry *entry = memory_alloc(sizeof *entry + value.size);

    memory_remove(cache, key);
    entry->key = memory_strdup(key);
    entry->until_ms = c->now_ms() + ttl_ms;
    entry->size = value.size;
    if (value.size)
        memcpy(entry->value, value.bytes, value.size);
    map_put_text(&c->entries, key, entry);
    list_init(&entry->link);
    list_add_tail(&c->by_use, &entry->link);
    c->bytes += entry_bytes(entry);
    while (c->bytes > c->bytes_max)
        entry_drop(c, CONTAINER_OF(c->by_use.next, struct entry, link));
}

/* --- answers --------------------------------------------------------------------------------- */

/* The value as it was when it was asked for. */
struct get_answer {
    struct answer answer; /* first */
    cache_done *done;
    void *ctx;
    bool found;
    size_t size;
    char value[];
};

static void get_give(struct answer *answer)
{
    struct get_answer *get = (struct get_answer *)answer;

    get->done(get->ctx, get->found ? (struct str){ get->value, get->size } : (struct str){ 0 });
    free(get);
}

static void answer_drop(struct answer *answer)
{
    free(answer);
}

static struct entry *entry_find(struct memory_cache *c, const char *key)
{
    struct entry *entry = map_get_text(&c->entries, key);

    if (!entry)
        return NULL;
    if (entry->until_ms <= c->now_ms()) {
        entry_drop(c, entry);
        return NULL;
    }
    list_remove(&entry->link);
    list_add_tail(&c->by_use, &entry->link);
    return entry;
}

static void memory_get(struct cache *cache, const char *key, cache_done *done, void *ctx)
{
    struct memory_cache *c = (struct memory_cache *)cache;
    const struct entry *entry = entry_find(c, key);
    struct get_answer *get = memory_alloc(sizeof *get + (entry ? entry->size : 0));

    get->answer.give = get_give;
    get->done = done;
    get->ctx = ctx;
    get->found = entry != NULL;
    if (entry) {
        get->size = entry->size;
        memcpy(get->value, entry->value, entry->size);
    }
    answers_add(&c->answers, &get->answer);
}

static void memory_free(struct cache *cache)
{
    struct memory_cache *c = (struct memory_cache *)cache;

    while (!list_empty(&c->by_use))
        entry_drop(c, CONTAINER_OF(c->by_use.next, struct entry, link));
    map_done(&c->entries);
    answers_done(&c->answers, answer_drop);
    free(c);
}

static const struct cache_backend backend = {
    .name = "memory",
    .put = memory_put,
    .remove = memory_remove,
    .get = memory_get,
    .free = memory_free,
};

struct cache *cache_memory_new(struct event_base *base, size_t bytes_max, int64_t (*now_ms)(void))
{
    struct memory_cache *c = memory_alloc(sizeof *c);

    c->cache.backend = &backend;
    c->bytes_max = bytes_max;
    c->now_ms = now_ms ? now_ms : clock_mono_ms;
    map_init(&c->entries);
    list_init(&c->by_use);
    answers_init(&c->answers, base);
    return &c->cache;
}
