#ifndef BELFRY_BASE_HEAP_H
#define BELFRY_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Binary heap of intrusive nodes by (key, tie), smallest first. The order of equal keys is given
 * by tie alone, so it is the same in every run.
 */
struct heap_node {
    int64_t key;
    uint64_t tie;
    size_t index; /* 1-based place; 0: not in a heap */
};

struct heap {
    struct heap_node **nodes;
    size_t count, capacity;
};

void heap_init(struct heap *heap);
void heap_done(struct heap *heap);
void heap_add(struct heap *heap, struct heap_node *node, int64_t key, uint64_t tie);
void heap_remove(struct heap *heap, struct heap_node *node); /* no-op where it is not in */
struct heap_node *heap_first(const struct heap *heap);       /* NULL when empty */

static inline bool heap_has(const struct heap_node *node)
{
    return node->index != 0;
}

#endif
