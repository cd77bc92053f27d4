#include "db/db-private.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The first fault stays: what follows in this transaction fails with it. */
static int tx_fail(struct db_tx *tx, enum db_fault fault, struct error *err)
{
    if (tx->fault == DB_FAULT_NONE) {
        tx->fault = fault;
        if (err)
            tx->error = *err;
    } else if (err) {
        *err = tx->error;
    }
    return -1;
}

/* err may be NULL, but the reason of the first fault is needed in any case. */
static struct error *error_of(struct db_tx *tx, struct error *err)
{
    return err ? err : &tx->error;
}

static int tx_check(struct db_tx *tx, const struct db_value *values, size_t count,
                    struct error *err)
{
    if (tx->fault != DB_FAULT_NONE)
        return tx_fail(tx, tx->fault, err);
    if (db_values_check(values, count, error_of(tx, err)) < 0)
        return tx_fail(tx, DB_FAULT_RULE, err);
    return 0;
}

static int check_write(struct db_tx *tx, const struct db_value *values, size_t count,
                       struct error *err)
{
    if (tx_check(tx, values, count, err) < 0)
        return -1;
    if (!tx->read_only)
        return 0;
    error_set(error_of(tx, err), ERR_INTERNAL, "a change inside a read-only transaction");
    return tx_fail(tx, DB_FAULT_RULE, err);
}

static int rows_unexpected(struct db_tx *tx, int64_t rows, int64_t expected, struct error *err)
{
    error_set(error_of(tx, err), ERR_CONFLICT,
              "a change touched %lld rows where %lld were expected", (long long)rows,
              (long long)expected);
    return tx_fail(tx, DB_FAULT_CONFLICT, err);
}

int db_exec(struct db_tx *tx, const char *sql, const struct db_value *values, size_t value_count,
            int64_t expect_rows, int64_t *ret_rows, struct error *err)
{
    const struct db_driver *driver = tx->session->driver;
    int64_t rows = 0;

    if (check_write(tx, values, value_count, err) < 0)
        return -1;
    enum db_fault fault = driver->exec(tx->session, sql, values, value_count, 1, true, &rows,
                                       error_of(tx, err));
    if (fault != DB_FAULT_NONE)
        return tx_fail(tx, fault, err);
    if (expect_rows != DB_ANY_ROWS && rows != expect_rows)
        return rows_unexpected(tx, rows, expect_rows, err);
    if (ret_rows)
        *ret_rows = rows;
    return 0;
}

int db_exec_many(struct db_tx *tx, const char *sql, const struct db_value *values,
                 size_t value_count, size_t row_count, int64_t *ret_rows, struct error *err)
{
    const struct db_driver *driver = tx->session->driver;
    int64_t *rows = ret_rows;

    if (check_write(tx, values, size_multiply(value_count, row_count), err) < 0)
        return -1;
    if (row_count == 0)
        return 0;
    if (!rows)
        rows = memory_alloc(size_multiply(row_count, sizeof *rows));
    enum db_fault fault = driver->exec(tx->session, sql, values, value_count, row_count, !ret_rows,
                                       rows, error_of(tx, err));
    int result = fault == DB_FAULT_NONE ? 0 : tx_fail(tx, fault, err);
    for (size_t i = 0; result == 0 && !ret_rows && i < row_count; i++)
        if (rows[i] != 1)
            result = rows_unexpected(tx, rows[i], 1, err);
    if (!ret_rows)
        free(rows);
    return result;
}

int db_insert_new(struct db_tx *tx, const char *table, const char *columns,
                  const struct db_value *values, size_t value_count, size_t row_count,
                  bool *ret_inserted, struct error *err)
{
    const struct db_driver *driver = tx->session->driver;
    bool *inserted = ret_inserted;

    if (check_write(tx, values, size_multiply(value_count, row_count), err) < 0)
        return -1;
    if (row_count == 0)
        return 0;
    if (!inserted)
        inserted = memory_alloc(row_count);
    enum db_fault fault = driver->insert_new(tx->session, table, columns, values, value_count,
                                             row_count, inserted, error_of(tx, err));
    if (!ret_inserted)
        free(inserted);
    return fault == DB_FAULT_NONE ? 0 : tx_fail(tx, fault, err);
}

int db_query(struct db_tx *tx, struct arena *arena, const char *sql, const struct db_value *values,
             size_t value_count, struct db_result **ret_result, struct error *err)
{
    if (tx_check(tx, values, value_count, err) < 0)
        return -1;
    enum db_fault fault = tx->session->driver->query(tx->session, arena, sql, values, value_count,
                                                     ret_result, error_of(tx, err));
    return fault == DB_FAULT_NONE ? 0 : tx_fail(tx, fault, err);
}

const char *db_for_update(const struct db_tx *tx)
{
    return db_tx_backend(tx) == DB_SQLITE ? "" : " FOR UPDATE";
}

const char *db_for_update_skip(const struct db_tx *tx)
{
    return db_tx_backend(tx) == DB_SQLITE ? "" : " FOR UPDATE SKIP LOCKED";
}

enum db_backend db_tx_backend(const struct db_tx *tx)
{
    return tx->session->driver->backend;
}

int64_t db_now_ms(struct db_tx *tx)
{
    return db_clock_now_ms(tx->session->db);
}

int64_t db_last_id(struct db_tx *tx)
{
    struct error err = { 0 };
    int64_t id = 0;

    if (tx->fault != DB_FAULT_NONE)
        return 0;
    enum db_fault fault = tx->session->driver->last_id(tx->session, &id, &err);
    if (fault == DB_FAULT_NONE)
        return id;
    tx_fail(tx, fault, &err);
    return 0;
}
