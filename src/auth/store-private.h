#ifndef BELFRY_AUTH_STORE_PRIVATE_H
#define BELFRY_AUTH_STORE_PRIVATE_H

#include "auth/store.h"

/* A time that may be unset is NULL in the store and 0 in a struct. */
static inline struct db_value store_time(int64_t time_ms)
{
    return time_ms ? DB_I(time_ms) : DB_N();
}

static inline char *store_text(const struct db_result *row, int column)
{
    return (char *)(uintptr_t)db_text(row, column); /* in the arena, ours to keep */
}

/* Reads "id, group_id, role" rows and hands those of one id over. */
int store_grants_read(struct db_result *rows, struct arena *arena, int64_t id,
                      struct grant **ret_grants, size_t *ret_count);
int store_grants_insert(struct db_tx *tx, const char *sql, int64_t id, const struct grant *grants,
                        size_t count, struct error *err);

#endif
