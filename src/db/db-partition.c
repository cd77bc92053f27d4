#include "db/db-private.h"

#include "base/str.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

/*
 * One partition a day, named for its day, and one called rest for everything else. Table names come
 * from our own code; they are checked because they become part of the SQL.
 */
static void name_check(const char *table)
{
    assert(*table && strlen(table) < 48);
    for (; *table; table++)
        assert(islower((unsigned char)*table) || isdigit((unsigned char)*table) || *table == '_');
}

static int script(struct db_tx *tx, const char *sql, struct error *err)
{
    enum db_fault fault = tx->session->driver->script(tx->session, sql, err);

    if (fault == DB_FAULT_NONE)
        return 0;
    if (tx->fault == DB_FAULT_NONE) {
        tx->fault = fault;
        tx->error = *err;
    }
    return -1;
}

/* --- PostgreSQL ------------------------------------------------------------------------------- */

static int postgres_exists(struct db_tx *tx, struct arena *arena, const char *name,
                           bool *ret_exists, struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, arena, &result, err, "SELECT to_regclass(?) IS NOT NULL", DB_T(name)) < 0)
        return -1;
    *ret_exists = db_next(result) && db_int(result, 0);
    return 0;
}

/*
 * Made beside the table and attached, which locks less than CREATE … PARTITION OF; rows of the day
 * that had gone to rest are taken along.
 */
static int postgres_add(struct db_tx *tx, struct arena *arena, const char *table, int64_t day,
                        struct error *err)
{
    const char *name = arena_printf(arena, "%s_d%lld", table, (long long)day);
    bool exists;

    if (postgres_exists(tx, arena, name, &exists, err) < 0)
        return -1;
    if (exists)
        return 0;
    if (script(tx, arena_printf(arena, "CREATE TABLE %s (LIKE %s INCLUDING ALL)", name, table),
               err) < 0)
        return -1;
    if (script(tx,
               arena_printf(arena,
                            "WITH moved AS (DELETE FROM %s_rest WHERE day = %lld RETURNING *) "
                            "INSERT INTO %s SELECT * FROM moved",
                            table, (long long)day, name),
               err) < 0)
        return -1;
    return script(tx,
                  arena_printf(arena,
                               "ALTER TABLE %s ATTACH PARTITION %s "
                               "FOR VALUES FROM (%lld) TO (%lld)",
                               table, name, (long long)day, (long long)day + 1),
                  err);
}

static int postgres_ensure(struct db_tx *tx, struct arena *arena, const char *table, int64_t first,
                           int64_t last, struct error *err)
{
    /* two nodes at once: the second waits and finds the work done */
    if (script(tx, arena_printf(arena, "LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE", table),
               err) < 0)
        return -1;
    for (int64_t day = first; day <= last; day++)
        if (postgres_add(tx, arena, table, day, err) < 0)
            return -1;
    return 0;
}

/* --- MySQL ------------------------------------------------------------------------------------ */

/*
 * The partitions of a table by name with the first day that is no longer in them; rest has none.
 * There each reaches down to its predecessor, so only days after the last can be added.
 */
static int mysql_list(struct db_tx *tx, struct arena *arena, const char *table,
                      struct db_result **ret_result, struct error *err)
{
    return DB_QUERY(tx, arena, ret_result, err,
                    "SELECT partition_name, partition_description FROM "
                    "information_schema.partitions WHERE table_schema = DATABASE() "
                    "AND table_name = ? AND partition_description <> 'MAXVALUE' "
                    "ORDER BY partition_ordinal_position",
                    DB_T(table));
}

static int mysql_ensure(struct db_tx *tx, struct arena *arena, const char *table, int64_t first,
                        int64_t last, struct error *err)
{
    struct db_result *result;
    int64_t next = first;

    if (mysql_list(tx, arena, table, &result, err) < 0)
        return -1;
    while (db_next(result))
        if (db_int(result, 1) > next)
            next = db_int(result, 1);
    if (next > last)
        return 0;
    char *sql = arena_printf(arena, "ALTER TABLE %s REORGANIZE PARTITION rest INTO (", table);
    for (int64_t day = next; day <= last; day++)
        sql = arena_printf(arena, "%sPARTITION d%lld VALUES LESS THAN (%lld), ", sql,
                           (long long)day, (long long)day + 1);
    return script(tx, arena_printf(arena, "%sPARTITION rest VALUES LESS THAN MAXVALUE)", sql), err);
}

/* Two nodes at once would both reorganize: the migration lock keeps one out. */
static int mysql_ensure_locked(struct db_tx *tx, struct arena *arena, const char *table,
                               int64_t first, int64_t last, struct error *err)
{
    const struct db_driver *driver = tx->session->driver;
    struct error ignored;

    enum db_fault fault = driver->migrate_lock(tx->session, true, err);
    if (fault != DB_FAULT_NONE) {
        tx->fault = fault;
        tx->error = *err;
        return -1;
    }
    int result = mysql_ensure(tx, arena, table, first, last, err);
    if (tx->fault != DB_FAULT_LOST)
        driver->migrate_lock(tx->session, false, &ignored);
    return result;
}

int db_partitions_ensure(struct db_tx *tx, const char *table, int64_t first_day, int64_t last_day,
                         struct error *err)
{
    int result = 0;

    name_check(table);
    assert(last_day - first_day < 400);
    if (db_tx_backend(tx) == DB_SQLITE || last_day < first_day)
        return 0;
    struct arena *arena = arena_new();
    if (db_tx_backend(tx) == DB_POSTGRES)
        result = postgres_ensure(tx, arena, table, first_day, last_day, err);
    else
        result = mysql_ensure_locked(tx, arena, table, first_day, last_day, err);
    arena_free(&arena);
    return result;
}

/* --- the end of history ----------------------------------------------------------------------- */

enum { DROP_ROWS = 2000 };

/* The oldest partition whose day is before before_day, by name, in ret_name; NULL: none. */
static int partition_oldest(struct db_tx *tx, struct arena *arena, const char *table,
                            int64_t before_day, const char **ret_name, struct error *err)
{
    struct db_result *result;

    *ret_name = NULL;
    if (db_tx_backend(tx) == DB_MYSQL) {
        if (mysql_list(tx, arena, table, &result, err) < 0)
            return -1;
        if (db_next(result) && db_int(result, 1) <= before_day)
            *ret_name = db_text(result, 0);
        return 0;
    }
    if (DB_QUERY(tx, arena, &result, err,
                 "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
                 "WHERE i.inhparent = to_regclass(?) AND c.relname ~ '_d[0-9]+$' AND "
                 "CAST(substring(c.relname from '_d([0-9]+)$') AS bigint) < ? "
                 "ORDER BY length(c.relname), c.relname LIMIT 1",
                 DB_T(table), DB_I(before_day)) < 0)
        return -1;
    if (db_next(result))
        *ret_name = db_text(result, 0);
    return 0;
}

static int partition_drop(struct db_tx *tx, struct arena *arena, const char *table,
                          int64_t before_day, bool *ret_more, struct error *err)
{
    const char *name;

    if (partition_oldest(tx, arena, table, before_day, &name, err) < 0)
        return -1;
    *ret_more = name != NULL;
    if (!name)
        return 0;
    return script(tx,
                  db_tx_backend(tx) == DB_MYSQL
                      ? arena_printf(arena, "ALTER TABLE %s DROP PARTITION %s", table, name)
                      : arena_printf(arena, "DROP TABLE %s", name),
                  err);
}

/* A batch of rows: on SQLite all there is to do, on servers what lies in no day of its own. */
static int rows_drop(struct db_tx *tx, struct arena *arena, const char *table, int64_t before_day,
                     bool *ret_more, struct error *err)
{
    enum db_backend backend = db_tx_backend(tx);
    int64_t rows;
    const char *sql;

    if (backend == DB_MYSQL)
        sql = arena_printf(arena, "DELETE FROM %s WHERE day < ? LIMIT %d", table, DROP_ROWS);
    else if (backend == DB_SQLITE)
        sql = arena_printf(arena,
                           "DELETE FROM %s WHERE rowid IN "
                           "(SELECT rowid FROM %s WHERE day < ? LIMIT %d)",
                           table, table, DROP_ROWS);
    else
        sql = arena_printf(arena,
                           "DELETE FROM %s_rest WHERE ctid IN "
                           "(SELECT ctid FROM %s_rest WHERE day < ? LIMIT %d)",
                           table, table, DROP_ROWS);
    struct db_value before = DB_I(before_day);
    if (db_exec(tx, sql, &before, 1, DB_ANY_ROWS, &rows, err) < 0)
        return -1;
    *ret_more = rows == DROP_ROWS;
    return 0;
}

int db_history_drop(struct db_tx *tx, const char *table, int64_t before_day, bool *ret_more,
                    struct error *err)
{
    struct arena *arena = arena_new();
    int result = 0;

    name_check(table);
    *ret_more = false;
    if (db_tx_backend(tx) != DB_SQLITE)
        result = partition_drop(tx, arena, table, before_day, ret_more, err);
    if (result == 0 && !*ret_more)
        result = rows_drop(tx, arena, table, before_day, ret_more, err);
    arena_free(&arena);
    return result;
}
