#include "db/db-private.h"

#include "base/str.h"

#include <assert.h>
#include <string.h>

struct db_result *db_result_new(struct arena *arena, int column_count)
{
    struct db_result *result = ARENA_NEW(arena, struct db_result);

    result->arena = arena;
    result->column_count = column_count;
    return result;
}

struct db_cell *db_result_add_row(struct db_result *result)
{
    size_t columns = (size_t)result->column_count;

    if (result->row_count == result->row_capacity) {
        size_t capacity = result->row_capacity ? result->row_capacity * 2 : 4;
        struct db_cell *cells = ARENA_ARRAY(result->arena, struct db_cell,
                                            size_multiply(capacity, columns));
        if (result->row_count)
            memcpy(cells, result->cells, sizeof *cells * result->row_count * columns);
        result->cells = cells;
        result->row_capacity = capacity;
    }
    return result->cells + result->row_count++ * columns;
}

void db_cell_set_bytes(struct db_result *result, struct db_cell *cell, enum db_type type,
                       const void *bytes, size_t size)
{
    cell->type = type;
    cell->size = size;
    cell->bytes = arena_strndup(result->arena, bytes ? bytes : "", size);
}

bool db_next(struct db_result *result)
{
    if (result->row >= result->row_count)
        return false;
    result->row++;
    return true;
}

size_t db_row_count(const struct db_result *result)
{
    return result->row_count;
}

static const struct db_cell *cell_at(const struct db_result *result, int column)
{
    assert(result->row >= 1 && column >= 0 && column < result->column_count);
    return &result->cells[(result->row - 1) * (size_t)result->column_count + (size_t)column];
}

bool db_is_null(const struct db_result *result, int column)
{
    return cell_at(result, column)->type == DB_NULL;
}

/* Sums come as decimal text from some servers; what is no integer is 0. */
int64_t db_int(const struct db_result *result, int column)
{
    const struct db_cell *cell = cell_at(result, column);
    int64_t number = 0;

    if (cell->type == DB_INT)
        return cell->integer;
    if (cell->type == DB_NULL ||
        !number_parse((struct str){ cell->bytes, cell->size }, INT64_MIN, INT64_MAX, &number))
        return 0;
    return number;
}

const char *db_text(const struct db_result *result, int column)
{
    const struct db_cell *cell = cell_at(result, column);

    if (cell->type == DB_INT)
        return arena_printf(result->arena, "%lld", (long long)cell->integer);
    return cell->type == DB_NULL ? NULL : cell->bytes;
}

const void *db_blob(const struct db_result *result, int column, size_t *ret_size)
{
    const struct db_cell *cell = cell_at(result, column);

    *ret_size = cell->type == DB_NULL || cell->type == DB_INT ? 0 : cell->size;
    return cell->type == DB_NULL || cell->type == DB_INT ? NULL : cell->bytes;
}
