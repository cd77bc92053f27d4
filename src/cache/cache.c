#include "cache/cache-private.h"

#include <string.h>

void cache_put(struct cache *cache, const char *key, struct str value, int64_t ttl_ms)
{
    if (strlen(key) > CACHE_KEY_MAX || value.size > CACHE_VALUE_MAX || ttl_ms <= 0)
        cache->backend->remove(cache, key);
    else
        cache->backend->put(cache, key, value, ttl_ms);
}

void cache_remove(struct cache *cache, const char *key)
{
    cache->backend->remove(cache, key);
}

void cache_get(struct cache *cache, const char *key, cache_done *done, void *ctx)
{
    cache->backend->get(cache, key, done, ctx);
}

void cache_free(struct cache **cache)
{
    if (*cache)
        (*cache)->backend->free(*cache);
    *cache = NULL;
}
