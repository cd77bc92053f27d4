#ifndef BELFRY_BASE_ARENA_H
#define BELFRY_BASE_ARENA_H

#include <stddef.h>

/*
 * Memory of a request, run or delivery: handed out piecemeal, freed all at once. Not shared
 * between threads. Allocation never fails: it aborts the process in one place (base/memory.h), so
 * bound what comes from outside first.
 */
struct arena;

struct arena *arena_new(void);
void arena_free(struct arena **arena);  /* accepts NULL, sets NULL */
void arena_reset(struct arena *arena);  /* frees all but the first block */

void *arena_alloc(struct arena *arena, size_t size); /* zeroed, aligned to 16 */
void *arena_copy(struct arena *arena, const void *bytes, size_t size);
char *arena_strdup(struct arena *arena, const char *text);             /* NULL gives NULL */
char *arena_strndup(struct arena *arena, const char *text, size_t size);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
size_t arena_size(const struct arena *arena); /* bytes taken from the system */

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) \
    ((type *)arena_alloc((arena), size_multiply(sizeof(type), (count))))

/* Aborts on overflow: for sizes that are already bounded. */
size_t size_multiply(size_t a, size_t b);

#endif
