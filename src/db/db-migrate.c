#include "db/db-private.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * Each migration is a transaction of its own that takes the lock, looks what is there, and applies
 * the first that is missing. MySQL commits at every CREATE: there the row of a migration is
 * written first and counts the statements done, so that a start after a crash goes on where it
 * ended; a statement that had run but was not counted says "exists already" and is counted.
 */
struct migrate {
    const struct db_migration *migrations;
    size_t count;
    bool log_store;         /* which of SQLite's two files; */
    bool all;               /* servers have one place for both */
    bool applied;           /* result: one was missing and is there now */
};

static bool is_ours(const struct migrate *m, const struct db_migration *migration)
{
    return m->all || migration->log_store == m->log_store;
}

/* Tells an edited migration from the one applied; nobody attacks it. FNV-1a. */
static void hash_of(const char *sql, char text[17])
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    for (; *sql; sql++)
        hash = (hash ^ (unsigned char)*sql) * 0x100000001b3ULL;
    snprintf(text, 17, "%016" PRIx64, hash);
}

static int script(struct db_tx *tx, const char *sql, struct error *err)
{
    enum db_fault fault = tx->session->driver->script(tx->session, sql, err);

    if (fault == DB_FAULT_NONE)
        return 0;
    tx->fault = fault;
    tx->error = *err;
    return -1;
}

static const char *collation_of(struct db_tx *tx)
{
    const struct db_driver *driver = tx->session->driver;

    return driver->collation ? driver->collation(tx->session) : "";
}

/* --- one migration ---------------------------------------------------------------------------- */

static char *statement_next(struct arena *arena, const char **at)
{
    const char *begin = *at, *end;

    while (*begin == '\n' || *begin == ' ')
        begin++;
    if (!*begin)
        return NULL;
    end = strstr(begin, ";\n");
    *at = end ? end + 2 : begin + strlen(begin);
    size_t size = (size_t)((end ? end : *at) - begin);
    if (!end && begin[size - 1] == ';')
        size--;
    return arena_strndup(arena, begin, size);
}

static int64_t statement_count(struct arena *arena, const char *text)
{
    int64_t count = 0;

    while (statement_next(arena, &text))
        count++;
    return count;
}

static int step(struct db_tx *tx, const char *sql, bool may_be_done, struct error *err)
{
    const struct db_driver *driver = tx->session->driver;

    if (may_be_done && driver->script_again) {
        enum db_fault fault = driver->script_again(tx->session, sql, err);
        return fault == DB_FAULT_NONE ? 0 : -1;
    }
    return script(tx, sql, err);
}

static int steps_run(struct db_tx *tx, struct arena *arena, const struct db_migration *migration,
                     const char *text, int64_t first, struct error *err)
{
    const char *sql;

    for (int64_t i = 1; (sql = statement_next(arena, &text)); i++) {
        if (i <= first)
            continue;
        if (step(tx, sql, i == first + 1, err) < 0)
            return -1;
        if (DB_EXEC(tx, "UPDATE schema_version SET steps_done = ? WHERE version = ?", 1, err,
                    DB_I(i), DB_I(migration->version)) < 0)
            return -1;
    }
    return 0;
}

static int record(struct db_tx *tx, struct arena *arena, const struct db_migration *migration,
                  const char *text, struct error *err)
{
    char hash[17];

    hash_of(migration->sql, hash);
    if (DB_EXEC(tx, "DELETE FROM schema_version WHERE version = ?", DB_ANY_ROWS, err,
                DB_I(migration->version)) < 0)
        return -1;
    return DB_EXEC(tx,
                   "INSERT INTO schema_version "
                   "(version, name, hash, steps, steps_done, applied_at) "
                   "VALUES (?, ?, ?, ?, 0, ?)",
                   1, err, DB_I(migration->version), DB_T(migration->name), DB_T(hash),
                   DB_I(statement_count(arena, text)), DB_I(db_now_ms(tx)));
}

/* steps_done is -1 for one that has no record yet. */
static int migration_apply(struct db_tx *tx, struct arena *arena,
                           const struct db_migration *migration, int64_t steps_done,
                           struct error *err)
{
    const char *text = db_schema_text(arena, db_tx_backend(tx), collation_of(tx), migration->sql,
                                      err);

    if (!text || (steps_done <= 0 && record(tx, arena, migration, text, err) < 0))
        return -1;
    return steps_run(tx, arena, migration, text, steps_done < 0 ? 0 : steps_done, err);
}

/* --- what is there ---------------------------------------------------------------------------- */

static int table_ensure(struct db_tx *tx, struct arena *arena, struct error *err)
{
    const char *sql = db_schema_text(arena, db_tx_backend(tx), collation_of(tx),
                                     "CREATE TABLE IF NOT EXISTS schema_version (\n"
                                     "  version $INT PRIMARY KEY,\n"
                                     "  name $TEXT NOT NULL,\n"
                                     "  hash $KEY(16) NOT NULL,\n"
                                     "  steps $INT NOT NULL,\n"
                                     "  steps_done $INT NOT NULL,\n"
                                     "  applied_at $INT NOT NULL\n"
                                     ") $TABLE_OPTIONS",
                                     err);

    return sql ? script(tx, sql, err) : -1;
}

static int refuse_newer(const struct migrate *m, int64_t version, struct error *err)
{
    int known = 0;

    for (size_t i = 0; i < m->count; i++)
        if (m->migrations[i].version > known)
            known = m->migrations[i].version;
    if (version <= known)
        return 0;
    return error_set(err, ERR_CONFLICT,
                     "the database is newer than this program: it has schema version %lld, "
                     "the program knows %d",
                     (long long)version, known);
}

static int hash_check(const struct db_migration *migration, const char *stored, struct error *err)
{
    char hash[17];

    hash_of(migration->sql, hash);
    if (strcmp(hash, stored) == 0)
        return 0;
    return error_set(err, ERR_CONFLICT,
                     "migration %d (%s) is not the one that was applied to this database",
                     migration->version, migration->name);
}

/* Sets ret_missing to the first migration to apply, NULL when all are there. */
static int missing_find(struct migrate *m, struct db_result *rows,
                        const struct db_migration **ret_missing, int64_t *ret_steps_done,
                        struct error *err)
{
    bool more = db_next(rows);

    *ret_missing = NULL;
    *ret_steps_done = -1;
    for (size_t i = 0; i < m->count; i++) {
        const struct db_migration *migration = &m->migrations[i];
        if (!is_ours(m, migration))
            continue;
        while (more && db_int(rows, 0) < migration->version)
            more = db_next(rows);
        bool recorded = more && db_int(rows, 0) == migration->version;
        int64_t steps_done = recorded ? db_int(rows, 3) : -1;
        /* one of which nothing is done may be another by now: it had failed and was mended */
        if (steps_done > 0 && hash_check(migration, db_text(rows, 1), err) < 0)
            return -1;
        if (recorded && steps_done == db_int(rows, 2))
            continue;
        *ret_missing = migration;
        *ret_steps_done = steps_done;
        return 0;
    }
    return 0;
}

static int newest_check(struct db_tx *tx, struct arena *arena, const struct migrate *m,
                        struct error *err)
{
    struct db_result *result;

    if (db_query(tx, arena, "SELECT MAX(version) FROM schema_version", NULL, 0, &result, err) < 0)
        return -1;
    return db_next(result) ? refuse_newer(m, db_int(result, 0), err) : 0;
}

static int migrate_locked(struct db_tx *tx, struct migrate *m, struct arena *arena,
                          struct error *err)
{
    const struct db_migration *missing;
    struct db_result *rows;
    int64_t steps_done;

    if (table_ensure(tx, arena, err) < 0 || newest_check(tx, arena, m, err) < 0 ||
        db_query(tx, arena,
                 "SELECT version, hash, steps, steps_done FROM schema_version ORDER BY version",
                 NULL, 0, &rows, err) < 0 ||
        missing_find(m, rows, &missing, &steps_done, err) < 0)
        return -1;
    if (!missing)
        return 0;
    if (migration_apply(tx, arena, missing, steps_done, err) < 0)
        return -1;
    m->applied = true;
    LOG_INFO("schema migrated", "version", log_int(missing->version), "name", missing->name);
    return 0;
}

static int migrate_fn(struct db_tx *tx, void *context, struct error *err)
{
    const struct db_driver *driver = tx->session->driver;
    struct migrate *m = context;
    struct arena *arena;
    struct error ignored;

    m->applied = false;
    if (driver->migrate_lock) {
        tx->fault = driver->migrate_lock(tx->session, true, err);
        if (tx->fault != DB_FAULT_NONE) {
            tx->error = *err;
            return -1;
        }
    }
    arena = arena_new();
    int result = migrate_locked(tx, m, arena, err);
    arena_free(&arena);
    if (driver->migrate_lock && tx->fault != DB_FAULT_LOST)
        driver->migrate_lock(tx->session, false, &ignored);
    return result;
}

static int store_migrate(struct db *db, enum db_pool pool, struct migrate *m, int *applied,
                         struct error *err)
{
    do {
        if (db_run(db, pool, migrate_fn, m, err) != DB_OK)
            return -1;
        *applied += m->applied;
    } while (m->applied);
    return 0;
}

int db_migrate(struct db *db, const struct db_migration *migrations, size_t count, int *ret_applied,
               struct error *err)
{
    struct migrate m = { .migrations = migrations, .count = count };
    int applied = 0;

    m.all = db_backend(db) != DB_SQLITE;
    /* the API pool never joins transactions on servers, where a CREATE may commit */
    if (store_migrate(db, DB_POOL_API, &m, &applied, err) < 0)
        return -1;
    m.log_store = true;
    if (!m.all && store_migrate(db, DB_POOL_LOG, &m, &applied, err) < 0)
        return -1;
    if (ret_applied)
        *ret_applied = applied;
    return 0;
}
