#ifndef BELFRY_BASE_MAP_H
#define BELFRY_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Hash maps with open addressing, from int64 or text to a pointer. Values are not owned, text keys
 * are copied. Iteration order depends on keys and history alone, never on addresses, so what hangs
 * on it is the same in every run.
 */
struct map {
    struct map_slot *slots;
    size_t count, used, capacity;
};

void map_init(struct map *map);
void map_done(struct map *map);

void *map_get(const struct map *map, int64_t key);              /* NULL: none */
void *map_put(struct map *map, int64_t key, void *value);       /* returns the old value or NULL */
void *map_remove(struct map *map, int64_t key);                 /* returns it or NULL */

/* The same with text keys; one map holds one kind of key only. */
void *map_get_text(const struct map *map, const char *key);
void *map_put_text(struct map *map, const char *key, void *value);
void *map_remove_text(struct map *map, const char *key);

/* Walks all entries in unspecified but repeatable order: for (size_t i = 0; map_next(m, &i, &v);) */
bool map_next(const struct map *map, size_t *position, void **ret_value);
bool map_next_key(const struct map *map, size_t *position, int64_t *ret_key, void **ret_value);

#endif
