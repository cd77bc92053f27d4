#ifndef BELFRY_GATEWAY_IDENTITY_CACHE_H
#define BELFRY_GATEWAY_IDENTITY_CACHE_H

#include "auth/client.h"
#include "base/arena.h"

/*
 * Who a credential stands for, as auth said. An entry is good for 5 s (less when it
 * expires before), and only while
 * auth_generation() is what it was when auth was asked; then it is asked again. Refusals are not
 * kept. The number of entries is bounded: the oldest goes. Loop only.
 */
struct identity_cache;

enum { IDENTITY_TTL_MS = 5000, CACHE_KEY_SIZE = 32 };

struct identity_cache *identity_cache_new(size_t entries_max);
void identity_cache_free(struct identity_cache **cache);

/* The key of an entry: a keyed hash, so the cache holds no credential. */
void identity_cache_key(const struct identity_cache *cache, enum auth_kind kind, struct str token,
                        const char *address, char key[CACHE_KEY_SIZE + 1]);
/* A copy in arena; NULL: ask auth. */
const struct auth_identity *identity_cache_find(struct identity_cache *cache, const char *key,
                                                uint64_t generation, int64_t mono_ms,
                                                struct arena *arena);
void identity_cache_put(struct identity_cache *cache, const char *key,
                        const struct auth_identity *identity, uint64_t generation, int64_t mono_ms,
                        int64_t wall_ms);
/* Own copy of an identity. */
struct auth_identity *identity_copy(const struct auth_identity *identity, struct arena *arena);

#endif
