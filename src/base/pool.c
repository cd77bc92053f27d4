#include "base/pool.h"

#include "base/arena.h"

#include <string.h>

void pool_init(struct pool *pool, size_t size)
{
    *pool = (struct pool){ .arena = arena_new(),
                           .size = size < sizeof(void *) ? sizeof(void *) : size };
}

void pool_done(struct pool *pool)
{
    arena_free(&pool->arena);
    *pool = (struct pool){ 0 };
}

void *pool_take(struct pool *pool)
{
    void *object = pool->unused;

    pool->count++;
    if (!object)
        return arena_alloc(pool->arena, pool->size);
    memcpy(&pool->unused, object, sizeof pool->unused);
    return memset(object, 0, pool->size);
}

void pool_put(struct pool *pool, void *object)
{
    memcpy(object, &pool->unused, sizeof pool->unused);
    pool->unused = object;
    if (--pool->count > 0)
        return;
    arena_reset(pool->arena);
    pool->unused = NULL;
}
