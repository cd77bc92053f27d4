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

/* The grants of many, read at once: rows "id, group_id, role" in the order of id. */
struct grant_rows {
    int64_t *ids;
    struct grant *grants;
    size_t count;
};
void grant_rows_read(struct db_result *rows, struct arena *arena, struct grant_rows *ret);
/* Those of one id: a part of rows->grants. */
struct grant *grant_rows_of(const struct grant_rows *rows, int64_t id, size_t *ret_count);
int store_grants_insert(struct db_tx *tx, const char *sql, int64_t id, const struct grant *grants,
                        size_t count, struct error *err);

#endif
