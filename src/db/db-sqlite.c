#include "db/db-sqlite.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum sqlite_control {
    CONTROL_BEGIN,
    CONTROL_BEGIN_READ,
    CONTROL_COMMIT,
    CONTROL_ROLLBACK,
    CONTROL_SAVEPOINT,
    CONTROL_RELEASE,
    CONTROL_ROLLBACK_TO,
};

static const char *const control_sql[] = {
    [CONTROL_BEGIN] = "BEGIN IMMEDIATE",
    [CONTROL_BEGIN_READ] = "BEGIN",
    [CONTROL_COMMIT] = "COMMIT",
    [CONTROL_ROLLBACK] = "ROLLBACK",
    [CONTROL_SAVEPOINT] = "SAVEPOINT task",
    [CONTROL_RELEASE] = "RELEASE task",
    [CONTROL_ROLLBACK_TO] = "ROLLBACK TO task",
};

static struct sqlite_session *sqlite_of(struct db_session *session)
{
    return (struct sqlite_session *)session;
}

/* --- faults ----------------------------------------------------------------------------------- */

/*
 * After a failed write or fsync nobody knows what the disk holds, and a second fsync may say yes to
 * pages the kernel has dropped. The next start reads the log and keeps what is whole.
 */
static void __attribute__((noreturn)) sqlite_end(sqlite3 *handle, int code)
{
    LOG_ERROR("the disk failed under the database, ending at once", "file",
              sqlite3_db_filename(handle, "main"), "code", log_int(code), "error",
              sqlite3_errmsg(handle), "next", "restart recovers to the last durable commit");
    _exit(74);
}

static bool io_is_harmless(int code)
{
    switch (code) {
    case SQLITE_IOERR_READ:
    case SQLITE_IOERR_SHORT_READ:
    case SQLITE_IOERR_NOMEM:
    case SQLITE_IOERR_ACCESS:
    case SQLITE_IOERR_FSTAT:
    case SQLITE_IOERR_LOCK:
    case SQLITE_IOERR_RDLOCK:
    case SQLITE_IOERR_CHECKRESERVEDLOCK:
        return true;
    default:
        return false;
    }
}

static enum db_problem constraint_problem(int code)
{
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return DB_PROBLEM_EXISTS;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
    case SQLITE_CONSTRAINT_TRIGGER:
        return DB_PROBLEM_REFERENCE;
    default:
        return DB_PROBLEM_VALUE;
    }
}

static enum db_problem code_problem(int code, int extended)
{
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return constraint_problem(extended);
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
        return DB_PROBLEM_VALUE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return DB_PROBLEM_RACE;
    case SQLITE_FULL:
        return DB_PROBLEM_FULL;
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return DB_PROBLEM_FILE;
    default:
        return DB_PROBLEM_STATEMENT;
    }
}

enum db_fault sqlite_fault(sqlite3 *handle, int code, struct error *err)
{
    int extended = sqlite3_extended_errcode(handle);

    if ((code & 0xff) == SQLITE_IOERR && !io_is_harmless(extended))
        sqlite_end(handle, extended);
    return db_problem(code_problem(code, extended), sqlite3_errmsg(handle), err);
}

/* --- session ---------------------------------------------------------------------------------- */

static void statement_free(void *session, void *statement)
{
    (void)session;
    sqlite3_finalize(statement);
}

static void session_disconnect(struct db_session *base)
{
    struct sqlite_session *session = sqlite_of(base);

    for (size_t i = 0; i < sizeof control_sql / sizeof *control_sql; i++)
        sqlite3_finalize(session->control[i]);
    sqlite3_finalize(session->mark);
    db_statements_done(&session->statements);
    sqlite3_close(session->handle);
    free(session);
}

static int writer_prepare(struct sqlite_session *session, struct sqlite_store *store,
                          struct error *err)
{
    if (sqlite_mark_check(session->handle, store, err) < 0)
        return -1;
    if (store->main.relaxed) /* the mark would lead after a power cut */
        return 0;
    if (sqlite3_prepare_v3(session->handle, "UPDATE commit_mark SET commits = commits + 1", -1,
                           SQLITE_PREPARE_PERSISTENT, &session->mark, NULL) == SQLITE_OK)
        return 0;
    return error_set(err, ERR_IO, "database file: %s", sqlite3_errmsg(session->handle));
}

static enum db_fault session_connect(struct db *db, bool log_store, bool read_only,
                                     struct db_session **ret_session, struct error *err)
{
    struct sqlite_store *store = db->driver_data;
    struct sqlite_session *session = memory_alloc(sizeof *session);

    session->file = log_store ? &store->log : &store->main;
    session->base.driver = &db_driver_sqlite;
    session->base.db = db;
    session->base.log_store = log_store;
    session->base.read_only = read_only;
    db_statements_init(&session->statements, session, statement_free);
    int failed = sqlite_handle_open(session->file, read_only, &session->handle, err);
    for (size_t i = 0; !failed && i < sizeof control_sql / sizeof *control_sql; i++)
        if (sqlite3_prepare_v3(session->handle, control_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &session->control[i], NULL) != SQLITE_OK)
            failed = error_set(err, ERR_IO, "database file: %s", sqlite3_errmsg(session->handle));
    if (!failed && !log_store && !read_only)
        failed = writer_prepare(session, store, err);
    if (failed) {
        session_disconnect(&session->base);
        return DB_FAULT_REFUSED;
    }
    if (!read_only)
        sqlite_checkpoint_watch(session);
    *ret_session = &session->base;
    return DB_FAULT_NONE;
}

static enum db_fault step_once(struct sqlite_session *session, sqlite3_stmt *statement,
                               struct error *err)
{
    int code = sqlite3_step(statement);
    enum db_fault fault = DB_FAULT_NONE;

    if (code != SQLITE_DONE)
        fault = sqlite_fault(session->handle, code, err);
    sqlite3_reset(statement);
    return fault;
}

static enum db_fault control(struct db_session *base, enum sqlite_control which, struct error *err)
{
    return step_once(sqlite_of(base), sqlite_of(base)->control[which], err);
}

static enum db_fault session_begin(struct db_session *base, bool read_only, struct error *err)
{
    return control(base, read_only ? CONTROL_BEGIN_READ : CONTROL_BEGIN, err);
}

/* A full disk may have rolled the transaction back by itself. */
static enum db_fault session_rollback(struct db_session *base, struct error *err)
{
    if (sqlite3_get_autocommit(sqlite_of(base)->handle))
        return DB_FAULT_NONE;
    return control(base, CONTROL_ROLLBACK, err);
}

/* What COMMIT could not do is not done: the transaction is taken back, so nothing is unknown. */
static enum db_fault session_commit(struct db_session *base, struct error *err)
{
    struct sqlite_session *session = sqlite_of(base);
    bool marks = session->mark && !base->read_only;
    struct error ignored;
    enum db_fault fault = marks ? step_once(session, session->mark, err) : DB_FAULT_NONE;

    if (fault == DB_FAULT_NONE)
        fault = control(base, CONTROL_COMMIT, err);
    if (fault != DB_FAULT_NONE)
        session_rollback(base, &ignored);
    else if (marks)
        sqlite_mark_write(base->db->driver_data);
    return fault == DB_FAULT_RULE ? DB_FAULT_REFUSED : fault;
}

static enum db_fault session_savepoint(struct db_session *base, struct error *err)
{
    return control(base, CONTROL_SAVEPOINT, err);
}

static enum db_fault session_release(struct db_session *base, struct error *err)
{
    return control(base, CONTROL_RELEASE, err);
}

static enum db_fault session_rollback_to(struct db_session *base, struct error *err)
{
    enum db_fault fault = control(base, CONTROL_ROLLBACK_TO, err);

    return fault == DB_FAULT_NONE ? control(base, CONTROL_RELEASE, err) : fault;
}

/* --- statements ------------------------------------------------------------------------------- */

static enum db_fault prepare(struct sqlite_session *session, const char *sql, size_t value_count,
                             sqlite3_stmt **ret_statement, struct error *err)
{
    sqlite3_stmt *statement = db_statements_find(&session->statements, sql);

    if (!statement) {
        int code = sqlite3_prepare_v3(session->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                      &statement, NULL);
        if (code != SQLITE_OK)
            return sqlite_fault(session->handle, code, err);
        db_statements_add(&session->statements, sql, statement);
    }
    if ((size_t)sqlite3_bind_parameter_count(statement) != value_count) {
        error_set(err, ERR_INTERNAL, "database statement: %d places for %zu values",
                  sqlite3_bind_parameter_count(statement), value_count);
        return DB_FAULT_RULE;
    }
    *ret_statement = statement;
    return DB_FAULT_NONE;
}

/* The bytes live until the statement has run, so SQLite need not copy them. */
static int bind_value(sqlite3_stmt *statement, int place, const struct db_value *value)
{
    switch (value->type) {
    case DB_INT:
        return sqlite3_bind_int64(statement, place, value->integer);
    case DB_TEXT:
        return sqlite3_bind_text64(statement, place, value->size ? value->bytes : "", value->size,
                                   SQLITE_STATIC, SQLITE_UTF8);
    case DB_BLOB:
        return sqlite3_bind_blob64(statement, place, value->size ? value->bytes : "", value->size,
                                   SQLITE_STATIC);
    case DB_NULL:
        break;
    }
    return sqlite3_bind_null(statement, place);
}

static int bind_values(sqlite3_stmt *statement, const struct db_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int code = bind_value(statement, (int)i + 1, &values[i]);
        if (code != SQLITE_OK)
            return code;
    }
    return SQLITE_OK;
}

/* The fault is taken before the reset, which would overwrite the error text. */
static enum db_fault step_all(struct sqlite_session *session, sqlite3_stmt *statement,
                              struct error *err)
{
    int code;

    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        ;
    enum db_fault fault = code == SQLITE_DONE ? DB_FAULT_NONE
                                              : sqlite_fault(session->handle, code, err);
    sqlite3_reset(statement);
    return fault;
}

static enum db_fault session_exec(struct db_session *base, const char *sql,
                                  const struct db_value *values, size_t value_count,
                                  size_t row_count, bool each_one, int64_t *ret_rows,
                                  struct error *err)
{
    struct sqlite_session *session = sqlite_of(base);
    sqlite3_stmt *statement;
    enum db_fault fault = prepare(session, sql, value_count, &statement, err);

    (void)each_one;
    for (size_t i = 0; fault == DB_FAULT_NONE && i < row_count; i++) {
        int64_t before = sqlite3_total_changes64(session->handle);
        int code = bind_values(statement, values + i * value_count, value_count);
        fault = code == SQLITE_OK ? step_all(session, statement, err)
                                  : sqlite_fault(session->handle, code, err);
        /* changes() would still tell of an earlier statement after one that is no change */
        ret_rows[i] = sqlite3_total_changes64(session->handle) == before
                          ? 0
                          : sqlite3_changes64(session->handle);
    }
    return fault;
}

static enum db_fault session_insert_new(struct db_session *base, const char *table,
                                        const char *columns, const struct db_value *values,
                                        size_t value_count, size_t row_count, bool *ret_inserted,
                                        struct error *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    const char *sql = db_statement_insert(arena, table, columns, value_count,
                                          " ON CONFLICT DO NOTHING");
    int64_t *rows = ARENA_ARRAY(arena, int64_t, row_count);
    enum db_fault fault = session_exec(base, sql, values, value_count, row_count, false, rows,
                                        err);

    for (size_t i = 0; fault == DB_FAULT_NONE && i < row_count; i++)
        ret_inserted[i] = rows[i] == 1;
    return fault;
}

static void cell_read(struct db_result *result, struct db_cell *cell, sqlite3_stmt *statement,
                      int column)
{
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
        break;
    case SQLITE_INTEGER:
        cell->type = DB_INT;
        cell->integer = sqlite3_column_int64(statement, column);
        break;
    case SQLITE_BLOB:
        db_cell_set_bytes(result, cell, DB_BLOB, sqlite3_column_blob(statement, column),
                          (size_t)sqlite3_column_bytes(statement, column));
        break;
    default:
        db_cell_set_bytes(result, cell, DB_TEXT, sqlite3_column_text(statement, column),
                          (size_t)sqlite3_column_bytes(statement, column));
        break;
    }
}

static enum db_fault session_query(struct db_session *base, struct arena *arena, const char *sql,
                                   const struct db_value *values, size_t value_count,
                                   struct db_result **ret_result, struct error *err)
{
    struct sqlite_session *session = sqlite_of(base);
    sqlite3_stmt *statement;
    int code;
    enum db_fault fault = prepare(session, sql, value_count, &statement, err);

    if (fault != DB_FAULT_NONE)
        return fault;
    code = bind_values(statement, values, value_count);
    if (code != SQLITE_OK)
        return sqlite_fault(session->handle, code, err);
    struct db_result *result = db_result_new(arena, sqlite3_column_count(statement));
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct db_cell *row = db_result_add_row(result);
        for (int i = 0; i < result->column_count; i++)
            cell_read(result, &row[i], statement, i);
    }
    if (code == SQLITE_DONE)
        *ret_result = result;
    else
        fault = sqlite_fault(session->handle, code, err);
    sqlite3_reset(statement);
    return fault;
}

static enum db_fault session_script(struct db_session *base, const char *sql, struct error *err)
{
    struct sqlite_session *session = sqlite_of(base);
    int code = sqlite3_exec(session->handle, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? DB_FAULT_NONE : sqlite_fault(session->handle, code, err);
}

static enum db_fault session_last_id(struct db_session *base, int64_t *ret_id, struct error *err)
{
    (void)err;
    *ret_id = sqlite3_last_insert_rowid(sqlite_of(base)->handle);
    return DB_FAULT_NONE;
}

static void session_maintain(struct db_session *base)
{
    if (!base->read_only)
        sqlite_checkpoint_finish(sqlite_of(base));
}

const struct db_driver db_driver_sqlite = {
    .name = "sqlite",
    .backend = DB_SQLITE,
    .open = sqlite_store_open,
    .opened = sqlite_store_opened,
    .close = sqlite_store_close,
    .ready = sqlite_store_ready,
    .connect = session_connect,
    .disconnect = session_disconnect,
    .begin = session_begin,
    .commit = session_commit,
    .rollback = session_rollback,
    .savepoint = session_savepoint,
    .savepoint_release = session_release,
    .savepoint_rollback = session_rollback_to,
    .exec = session_exec,
    .insert_new = session_insert_new,
    .query = session_query,
    .script = session_script,
    .last_id = session_last_id,
    .maintain = session_maintain,
};
