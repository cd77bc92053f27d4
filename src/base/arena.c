#include "base/arena.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_FIRST = 2048, BLOCK_MAX = 256 * 1024, ALIGN = 16 };

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(ALIGN) char bytes[];
};

struct arena {
    struct block *head; /* the one being filled */
    size_t total;
};

size_t size_multiply(size_t a, size_t b)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        abort();
    return product;
}

static struct block *block_new(size_t size)
{
    struct block *block = malloc(sizeof *block + size);

    if (!block)
        abort();
    block->next = NULL;
    block->size = size;
    block->used = 0;
    return block;
}

struct arena *arena_new(void)
{
    struct arena *arena = memory_alloc(sizeof *arena);

    arena->head = block_new(BLOCK_FIRST);
    arena->total = BLOCK_FIRST;
    return arena;
}

void arena_reset(struct arena *arena)
{
    struct block *block = arena->head;

    while (block->next) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    block->used = 0;
    arena->head = block;
    arena->total = block->size;
}

void arena_free(struct arena **arena)
{
    if (!*arena)
        return;
    arena_reset(*arena);
    free((*arena)->head);
    free(*arena);
    *arena = NULL;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct block *block = arena->head;

    if (size > SIZE_MAX / 2)
        abort();
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (block->size - block->used < size) {
        size_t want = block->size < BLOCK_MAX / 2 ? block->size * 2 : BLOCK_MAX;
        block = block_new(size > want ? size : want);
        block->next = arena->head;
        arena->head = block;
        arena->total += block->size;
    }
    void *bytes = block->bytes + block->used;
    block->used += size;
    return memset(bytes, 0, size);
}

void *arena_copy(struct arena *arena, const void *bytes, size_t size)
{
    void *copy = arena_alloc(arena, size);

    return size ? memcpy(copy, bytes, size) : copy;
}

char *arena_strndup(struct arena *arena, const char *text, size_t size)
{
    char *copy = arena_alloc(arena, size + 1);

    if (size)
        memcpy(copy, text, size);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text ? arena_strndup(arena, text, strlen(text)) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list ap, again;

    va_start(ap, format);
    va_copy(again, ap);
    int size = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (size < 0)
        abort();
    char *text = arena_alloc(arena, (size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

size_t arena_size(const struct arena *arena)
{
    return arena->total;
}
