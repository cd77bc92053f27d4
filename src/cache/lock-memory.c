#include "cache/cache-private.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct held {
    char *name, *owner;
    int64_t until_ms, fence;
};

struct memory_locks {
    struct locks locks; /* first */
    struct answers answers;
    struct map held; /* by name */
    int64_t fence;   /* last given */
    int64_t (*now_ms)(void);
};

static void held_drop(struct memory_locks *l, struct held *held)
{
    map_remove_text(&l->held, held->name);
    free(held->name);
    free(held->owner);
    free(held);
}

/* NULL where nobody holds it, or its time is over. */
static struct held *held_find(struct memory_locks *l, const char *name)
{
    struct held *held = map_get_text(&l->held, name);

    if (held && held->until_ms <= l->now_ms()) {
        held_drop(l, held);
        return NULL;
    }
    return held;
}

struct take_answer {
    struct answer answer; /* first */
    lock_done *done;
    void *ctx;
    int64_t fence; /* 0: not held */
};

static void take_give(struct answer *answer)
{
    struct take_answer *take = (struct take_answer *)answer;

    take->done(take->ctx, take->fence != 0, take->fence);
    free(take);
}

static void answer_drop(struct answer *answer)
{
    free(answer);
}

static void answer(struct memory_locks *l, int64_t fence, lock_done *done, void *ctx)
{
    struct take_answer *take = memory_alloc(sizeof *take);

    *take =
        (struct take_answer){ .answer.give = take_give, .done = done, .ctx = ctx, .fence = fence };
    answers_add(&l->answers, &take->answer);
}

static void memory_take(struct locks *locks, const char *name, const char *owner, int64_t ttl_ms,
                        bool renew_only, lock_done *done, void *ctx)
{
    struct memory_locks *l = (struct memory_locks *)locks;
    struct held *held = held_find(l, name);

    if (held ? strcmp(held->owner, owner) != 0 : renew_only) {
        answer(l, 0, done, ctx);
        return;
    }
    if (!held) {
        held = memory_alloc(sizeof *held);
        held->name = memory_strdup(name);
        held->owner = memory_strdup(owner);
        held->fence = ++l->fence;
        map_put_text(&l->held, name, held);
    }
    held->until_ms = l->now_ms() + ttl_ms;
    answer(l, held->fence, done, ctx);
}

static void memory_release(struct locks *locks, const char *name, const char *owner)
{
    struct memory_locks *l = (struct memory_locks *)locks;
    struct held *held = held_find(l, name);

    if (held && strcmp(held->owner, owner) == 0)
        held_drop(l, held);
}

static void memory_free(struct locks *locks)
{
    struct memory_locks *l = (struct memory_locks *)locks;
    void *value;

    for (size_t i = 0; map_next(&l->held, &i, &value);) {
        struct held *held = value;
        free(held->name);
        free(held->owner);
        free(held);
    }
    map_done(&l->held);
    answers_done(&l->answers, answer_drop);
    free(l);
}

static const struct lock_backend backend = {
    .name = "memory",
    .take = memory_take,
    .release = memory_release,
    .free = memory_free,
};

struct locks *locks_memory_new(struct event_base *base, int64_t (*now_ms)(void))
{
    struct memory_locks *l = memory_alloc(sizeof *l);

    l->locks.backend = &backend;
    l->now_ms = now_ms ? now_ms : clock_mono_ms;
    l->fence = clock_wall_ms() << 10; /* so that it grows over restarts, too */
    map_init(&l->held);
    answers_init(&l->answers, base);
    return &l->locks;
}
