#include "cache/cache-private.h"

void lock_take(struct locks *locks, const char *name, const char *owner, int64_t ttl_ms,
               lock_done *done, void *ctx)
{
    locks->backend->take(locks, name, owner, ttl_ms, false, done, ctx);
}

void lock_renew(struct locks *locks, const char *name, const char *owner, int64_t ttl_ms,
                lock_done *done, void *ctx)
{
    locks->backend->take(locks, name, owner, ttl_ms, true, done, ctx);
}

void lock_release(struct locks *locks, const char *name, const char *owner)
{
    locks->backend->release(locks, name, owner);
}

void locks_free(struct locks **locks)
{
    if (*locks)
        (*locks)->backend->free(*locks);
    *locks = NULL;
}
