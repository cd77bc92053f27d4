#include "base/heap.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

void heap_init(struct heap *heap)
{
    *heap = (struct heap){ 0 };
}

void heap_done(struct heap *heap)
{
    free(heap->nodes);
    heap_init(heap);
}

static bool node_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void heap_place(struct heap *heap, size_t index, struct heap_node *node)
{
    heap->nodes[index] = node;
    node->index = index + 1;
}

static void heap_up(struct heap *heap, size_t index)
{
    struct heap_node *node = heap->nodes[index];

    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!node_before(node, heap->nodes[parent]))
            break;
        heap_place(heap, index, heap->nodes[parent]);
        index = parent;
    }
    heap_place(heap, index, node);
}

static void heap_down(struct heap *heap, size_t index)
{
    struct heap_node *node = heap->nodes[index];

    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && node_before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!node_before(heap->nodes[child], node))
            break;
        heap_place(heap, index, heap->nodes[child]);
        index = child;
    }
    heap_place(heap, index, node);
}

void heap_add(struct heap *heap, struct heap_node *node, int64_t key, uint64_t tie)
{
    assert(node->index == 0);
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : 64;
        heap->nodes = memory_resize(heap->nodes, heap->capacity * sizeof *heap->nodes);
    }
    node->key = key;
    node->tie = tie;
    heap->nodes[heap->count++] = node;
    heap_up(heap, heap->count - 1);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->index == 0)
        return;
    size_t index = node->index - 1;
    assert(index < heap->count && heap->nodes[index] == node);
    struct heap_node *last = heap->nodes[--heap->count];
    node->index = 0;
    if (last == node)
        return;
    heap_place(heap, index, last);
    heap_up(heap, index);
    heap_down(heap, last->index - 1);
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}
