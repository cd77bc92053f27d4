#ifndef BELFRY_BASE_POOL_H
#define BELFRY_BASE_POOL_H

#include <stddef.h>

struct arena;

/*
 * Objects of one size that come and go: taken from an arena and used again after pool_put. Memory
 * is given back when the last object is put back; there is no header per object.
 */
struct pool {
    struct arena *arena;
    void *unused;
    size_t size;
    size_t count; /* handed out now */
};

void pool_init(struct pool *pool, size_t size);
void pool_done(struct pool *pool);
void *pool_take(struct pool *pool); /* zeroed */
void pool_put(struct pool *pool, void *object);

#endif
