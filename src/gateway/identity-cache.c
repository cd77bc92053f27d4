#include "gateway/identity-cache.h"

#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/random.h"

#include <sodium.h>
#include <stdlib.h>

struct entry {
    struct list age; /* oldest first */
    char key[CACHE_KEY_SIZE + 1];
    uint64_t generation;
    int64_t until_ms;
    struct auth_identity *identity;
    struct arena *arena;
};

struct identity_cache {
    struct map entries;
    struct list by_age;
    size_t max;
    unsigned char secret[crypto_generichash_KEYBYTES];
};

struct identity_cache *identity_cache_new(size_t entries_max)
{
    struct identity_cache *cache = memory_alloc(sizeof *cache);

    map_init(&cache->entries);
    list_init(&cache->by_age);
    cache->max = entries_max;
    random_bytes(cache->secret, sizeof cache->secret);
    return cache;
}

static void entry_drop(struct identity_cache *cache, struct entry *entry)
{
    list_remove(&entry->age);
    map_remove_text(&cache->entries, entry->key);
    arena_free(&entry->arena);
    free(entry);
}

void identity_cache_free(struct identity_cache **ret_cache)
{
    struct identity_cache *cache = TAKE(*ret_cache);

    if (!cache)
        return;
    LIST_EACH_SAFE(&cache->by_age, node)
        entry_drop(cache, CONTAINER_OF(node, struct entry, age));
    map_done(&cache->entries);
    sodium_memzero(cache->secret, sizeof cache->secret);
    free(cache);
}

void identity_cache_key(const struct identity_cache *cache, enum auth_kind kind, struct str token,
                        const char *address, char key[CACHE_KEY_SIZE + 1])
{
    unsigned char digest[CACHE_KEY_SIZE / 2], first = (unsigned char)kind;
    crypto_generichash_state state;

    crypto_generichash_init(&state, cache->secret, sizeof cache->secret, sizeof digest);
    crypto_generichash_update(&state, &first, 1);
    /* An address has no NUL, so the two cannot run into each other. */
    crypto_generichash_update(&state, (const unsigned char *)address, strlen(address) + 1);
    crypto_generichash_update(&state, (const unsigned char *)token.bytes, token.size);
    crypto_generichash_final(&state, digest, sizeof digest);
    sodium_bin2hex(key, CACHE_KEY_SIZE + 1, digest, sizeof digest);
}

struct auth_identity *identity_copy(const struct auth_identity *identity, struct arena *arena)
{
    struct auth_identity *copy = arena_copy(arena, identity, sizeof *identity);
    struct principal *principal = &copy->principal;

    principal->name = arena_strdup(arena, principal->name);
    principal->grants = principal->grant_count
                            ? arena_copy(arena, principal->grants,
                                         principal->grant_count * sizeof *principal->grants)
                            : NULL;
    copy->csrf = arena_strdup(arena, identity->csrf);
    return copy;
}

const struct auth_identity *identity_cache_find(struct identity_cache *cache, const char *key,
                                                uint64_t generation, int64_t mono_ms,
                                                struct arena *arena)
{
    struct entry *entry = map_get_text(&cache->entries, key);

    if (!entry)
        return NULL;
    if (entry->generation != generation || mono_ms >= entry->until_ms) {
        entry_drop(cache, entry);
        return NULL;
    }
    return identity_copy(entry->identity, arena);
}

void identity_cache_put(struct identity_cache *cache, const char *key,
                        const struct auth_identity *identity, uint64_t generation, int64_t mono_ms,
                        int64_t wall_ms)
{
    struct entry *entry = map_get_text(&cache->entries, key);
    int64_t left = identity->expires_ms ? identity->expires_ms - wall_ms : IDENTITY_TTL_MS;

    if (entry)
        entry_drop(cache, entry);
    else if (cache->entries.count >= cache->max)
        entry_drop(cache, CONTAINER_OF(cache->by_age.next, struct entry, age));
    entry = memory_alloc(sizeof *entry);
    memcpy(entry->key, key, sizeof entry->key);
    entry->arena = arena_new();
    entry->identity = identity_copy(identity, entry->arena);
    entry->generation = generation;
    entry->until_ms = mono_ms + (left < IDENTITY_TTL_MS ? left : IDENTITY_TTL_MS);
    list_add_tail(&cache->by_age, &entry->age);
    map_put_text(&cache->entries, entry->key, entry);
}
