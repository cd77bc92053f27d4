#include "base/map.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum slot_state { SLOT_FREE, SLOT_USED, SLOT_GONE };

struct map_slot {
    int64_t key; /* the hash for text keys */
    char *text;
    void *value;
    enum slot_state state;
};

void map_init(struct map *map)
{
    *map = (struct map){ 0 };
}

void map_done(struct map *map)
{
    for (size_t i = 0; i < map->capacity; i++)
        free(map->slots[i].text);
    free(map->slots);
    map_init(map);
}

static uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
}

static int64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL;
    return (int64_t)hash;
}

static bool slot_matches(const struct map_slot *slot, int64_t key, const char *text)
{
    if (slot->state != SLOT_USED || slot->key != key)
        return false;
    return !text || strcmp(slot->text, text) == 0;
}

static struct map_slot *slot_find(const struct map *map, int64_t key, const char *text)
{
    if (!map->capacity)
        return NULL;
    size_t mask = map->capacity - 1;
    for (size_t i = hash_mix((uint64_t)key) & mask;; i = (i + 1) & mask) {
        struct map_slot *slot = &map->slots[i];
        if (slot->state == SLOT_FREE)
            return NULL;
        if (slot_matches(slot, key, text))
            return slot;
    }
}

static struct map_slot *slot_free(const struct map *map, int64_t key)
{
    size_t mask = map->capacity - 1;
    size_t i = hash_mix((uint64_t)key) & mask;

    while (map->slots[i].state == SLOT_USED)
        i = (i + 1) & mask;
    return &map->slots[i];
}

static void map_grow(struct map *map)
{
    struct map old = *map;

    /* used counts gone slots too: rebuilding at the same size clears them */
    map->capacity = old.count * 2 >= old.capacity ? (old.capacity ? old.capacity * 2 : 16)
                                                  : old.capacity;
    map->slots = memory_alloc(map->capacity * sizeof *map->slots);
    map->used = map->count;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].state == SLOT_USED)
            *slot_free(map, old.slots[i].key) = old.slots[i];
    free(old.slots);
}

static void *put(struct map *map, int64_t key, const char *text, void *value)
{
    struct map_slot *slot = slot_find(map, key, text);

    assert(value);
    if (slot) {
        void *old = slot->value;
        slot->value = value;
        return old;
    }
    if ((map->used + 1) * 4 > map->capacity * 3)
        map_grow(map);
    slot = slot_free(map, key);
    if (slot->state == SLOT_FREE)
        map->used++;
    *slot = (struct map_slot){ .key = key, .text = memory_strdup(text), .value = value,
                               .state = SLOT_USED };
    map->count++;
    return NULL;
}

static void *removed(struct map *map, struct map_slot *slot)
{
    if (!slot)
        return NULL;
    void *value = slot->value;
    free(slot->text);
    *slot = (struct map_slot){ .state = SLOT_GONE };
    map->count--;
    return value;
}

void *map_get(const struct map *map, int64_t key)
{
    struct map_slot *slot = slot_find(map, key, NULL);

    return slot ? slot->value : NULL;
}

void *map_put(struct map *map, int64_t key, void *value)
{
    return put(map, key, NULL, value);
}

void *map_remove(struct map *map, int64_t key)
{
    return removed(map, slot_find(map, key, NULL));
}

void *map_get_text(const struct map *map, const char *key)
{
    struct map_slot *slot = slot_find(map, hash_text(key), key);

    return slot ? slot->value : NULL;
}

void *map_put_text(struct map *map, const char *key, void *value)
{
    return put(map, hash_text(key), key, value);
}

void *map_remove_text(struct map *map, const char *key)
{
    return removed(map, slot_find(map, hash_text(key), key));
}

bool map_next_key(const struct map *map, size_t *position, int64_t *ret_key, void **ret_value)
{
    while (*position < map->capacity) {
        const struct map_slot *slot = &map->slots[(*position)++];
        if (slot->state != SLOT_USED)
            continue;
        if (ret_key)
            *ret_key = slot->key;
        *ret_value = slot->value;
        return true;
    }
    return false;
}

bool map_next(const struct map *map, size_t *position, void **ret_value)
{
    return map_next_key(map, position, NULL, ret_value);
}
