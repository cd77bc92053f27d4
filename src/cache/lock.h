#ifndef BELFRY_CACHE_LOCK_H
#define BELFRY_CACHE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Named locks with an owner and a time to live: they decide who tries, so that not all do; who may
 * is decided by the compare-and-swap in SQL. A holder that stalls past its time has lost the lock
 * without knowing; the fence tells: each take of a name gives a larger number than all before,
 * also over restarts, and the store can refuse a smaller one. Answers come later, on the loop,
 * never inside the call. Loop only.
 */
struct locks;
struct event_base;

enum { LOCK_NAME_MAX = 256 };

/* now_ms as in cache.h. */
struct locks *locks_memory_new(struct event_base *base, int64_t (*now_ms)(void));
void locks_free(struct locks **locks); /* questions under way are not answered any more */

/* held: the owner has it now, with this fence. Taking one's own again renews it and keeps its
 * fence. Not held: fence is 0. */
typedef void lock_done(void *ctx, bool held, int64_t fence);
void lock_take(struct locks *locks, const char *name, const char *owner, int64_t ttl_ms,
               lock_done *done, void *ctx);
/* Only where the owner still has it. */
void lock_renew(struct locks *locks, const char *name, const char *owner, int64_t ttl_ms,
                lock_done *done, void *ctx);
/* No-op where another has it. */
void lock_release(struct locks *locks, const char *name, const char *owner);

#endif
