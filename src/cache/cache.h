#ifndef BELFRY_CACHE_CACHE_H
#define BELFRY_CACHE_CACHE_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Values that may be forgotten at any time: a hint that saves a question, never the truth. In one
 * process they are kept in memory; in a cluster (a later backend) in Redis, so everything answers
 * later, on the loop, and never inside the call. Loop only.
 */
struct cache;
struct event_base;

enum { CACHE_KEY_MAX = 256, CACHE_VALUE_MAX = 1024 * 1024 };

/* bytes_max bounds keys and values together; those not used for longest go first. now_ms tells
 * monotonic time, NULL: clock_mono_ms (tests set their own). */
struct cache *cache_memory_new(struct event_base *base, size_t bytes_max, int64_t (*now_ms)(void));
void cache_free(struct cache **cache); /* questions under way are not answered any more */

/* Kept for at most ttl_ms. A key or value that is too large is not kept; the old one goes then. */
void cache_put(struct cache *cache, const char *key, struct str value, int64_t ttl_ms);
void cache_remove(struct cache *cache, const char *key);
/* value.bytes is NULL where there is none; it lives during done only. */
typedef void cache_done(void *ctx, struct str value);
void cache_get(struct cache *cache, const char *key, cache_done *done, void *ctx);

#endif
