#ifndef BELFRY_CACHE_CACHE_PRIVATE_H
#define BELFRY_CACHE_CACHE_PRIVATE_H

#include "base/list.h"
#include "cache/cache.h"
#include "cache/lock.h"

/* The slots of a backend, all needed. Its state begins with struct cache or struct locks. */
struct cache_backend {
    const char *name;
    void (*put)(struct cache *cache, const char *key, struct str value, int64_t ttl_ms);
    void (*remove)(struct cache *cache, const char *key);
    void (*get)(struct cache *cache, const char *key, cache_done *done, void *ctx);
    void (*free)(struct cache *cache);
};
struct cache {
    const struct cache_backend *backend;
};

struct lock_backend {
    const char *name;
    void (*take)(struct locks *locks, const char *name, const char *owner, int64_t ttl_ms,
                 bool renew_only, lock_done *done, void *ctx);
    void (*release)(struct locks *locks, const char *name, const char *owner);
    void (*free)(struct locks *locks);
};
struct locks {
    const struct lock_backend *backend;
};

/* Answers of a backend in memory, given from the loop. */
struct answers {
    struct list queue;
    struct event *event;
};
struct answer {
    struct list link;
    void (*give)(struct answer *answer); /* frees it */
};
void answers_init(struct answers *answers, struct event_base *base);
void answers_done(struct answers *answers, void (*drop)(struct answer *answer));
void answers_add(struct answers *answers, struct answer *answer);

#endif
