#include "db/db-mysql.h"

#include "base/memory.h"

#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>

/*
 * Many rows at once. MariaDB runs a prepared statement over an array of rows, but tells only how
 * many rows changed in all. So: a savepoint, the array, and if the total is not one for each, back
 * to the savepoint and one by one. MySQL has no such thing and goes one by one.
 */
enum { BULK_ROWS = 1000, BULK_BYTES = 1 << 20 };

static enum db_fault statement_fault(struct mysql_session *session, MYSQL_STMT *statement,
                                     struct error *err)
{
    return mysql_fault(session, mysql_stmt_errno(statement), mysql_stmt_error(statement), err);
}

void mysql_statement_free(void *session, void *statement)
{
    (void)session;
    mysql_stmt_close(statement);
}

static enum db_fault statement_get(struct mysql_session *session, const char *sql,
                                   size_t value_count, MYSQL_STMT **ret_statement,
                                   struct error *err)
{
    MYSQL_STMT *statement = db_statements_find(&session->statements, sql);
    const my_bool measure = 1;

    if (!statement) {
        statement = mysql_stmt_init(session->handle);
        mysql_stmt_attr_set(statement, STMT_ATTR_UPDATE_MAX_LENGTH, &measure);
        if (mysql_stmt_prepare(statement, sql, strlen(sql))) {
            enum db_fault fault = statement_fault(session, statement, err);
            mysql_stmt_close(statement);
            return fault;
        }
        db_statements_add(&session->statements, sql, statement);
    }
    *ret_statement = statement;
    if (mysql_stmt_param_count(statement) == value_count)
        return DB_FAULT_NONE;
    error_set(err, ERR_INTERNAL, "database statement: %d places for %zu values",
              (int)mysql_stmt_param_count(statement), value_count);
    return DB_FAULT_RULE;
}

static enum enum_field_types type_of(enum db_type type)
{
    switch (type) {
    case DB_INT: return MYSQL_TYPE_LONGLONG;
    case DB_TEXT: return MYSQL_TYPE_STRING;
    case DB_BLOB: return MYSQL_TYPE_BLOB;
    case DB_NULL: break;
    }
    return MYSQL_TYPE_NULL;
}

static size_t row_size(const struct db_value *values, size_t count)
{
    size_t size = 64;

    for (size_t i = 0; i < count; i++)
        size += values[i].size + 10;
    return size;
}

/* Too much at once makes the server end the session, and the next try too. */
static enum db_fault size_check(const struct mysql_session *session, const struct db_value *values,
                                size_t count, struct error *err)
{
    if (row_size(values, count) <= session->packet_max)
        return DB_FAULT_NONE;
    error_set(err, ERR_TOO_LARGE, "the database refuses a value (%s)", "max_allowed_packet");
    return DB_FAULT_RULE;
}

/* --- one row ---------------------------------------------------------------------------------- */

/* The client library reads through these pointers and does not write. */
static void bind_value(MYSQL_BIND *bind, const struct db_value *value)
{
    union {
        const void *from;
        void *to;
    } bytes = { .from = value->type == DB_INT ? (const void *)&value->integer
                                              : value->size ? value->bytes : "" };

    bind->buffer_type = type_of(value->type);
    bind->buffer = bytes.to;
    bind->buffer_length = value->size;
    bind->length_value = value->size;
    bind->length = &bind->buffer_length;
}

static enum db_fault execute_one(struct mysql_session *session, MYSQL_STMT *statement,
                                 const struct db_value *values, size_t count, struct error *err)
{
    enum db_fault fault = size_check(session, values, count, err);
    const unsigned no_array = 0;

    if (fault != DB_FAULT_NONE)
        return fault;
    MYSQL_BIND *binds = memory_alloc(size_multiply(count, sizeof *binds));
    for (size_t i = 0; i < count; i++)
        bind_value(&binds[i], &values[i]);
    mysql_stmt_attr_set(statement, STMT_ATTR_ARRAY_SIZE, &no_array);
    if ((count && mysql_stmt_bind_param(statement, binds)) || mysql_stmt_execute(statement))
        fault = statement_fault(session, statement, err);
    free(binds);
    if (fault == DB_FAULT_NONE && mysql_stmt_insert_id(statement))
        session->last_id = (int64_t)mysql_stmt_insert_id(statement);
    return fault;
}

static enum db_fault rows_one_by_one(struct mysql_session *session, MYSQL_STMT *statement,
                                     const struct db_value *values, size_t value_count,
                                     size_t row_count, int64_t *ret_rows, struct error *err)
{
    for (size_t i = 0; i < row_count; i++) {
        enum db_fault fault =
            execute_one(session, statement, values + i * value_count, value_count, err);
        if (fault != DB_FAULT_NONE)
            return fault;
        ret_rows[i] = (int64_t)mysql_stmt_affected_rows(statement);
        mysql_stmt_free_result(statement);
    }
    return DB_FAULT_NONE;
}

/* --- an array of rows ------------------------------------------------------------------------- */

/* A column of the array has one type; false where the rows differ in it. */
static bool column_type(const struct db_value *values, size_t value_count, size_t row_count,
                        size_t column, enum db_type *ret_type)
{
    *ret_type = DB_NULL;
    for (size_t i = 0; i < row_count; i++) {
        enum db_type type = values[i * value_count + column].type;
        if (type == DB_NULL || type == *ret_type)
            continue;
        if (*ret_type != DB_NULL)
            return false;
        *ret_type = type;
    }
    if (*ret_type == DB_NULL)
        *ret_type = DB_INT;
    return true;
}

static void column_fill_int(struct arena *arena, MYSQL_BIND *bind, const struct db_value *values,
                            size_t value_count, size_t row_count)
{
    int64_t *numbers = ARENA_ARRAY(arena, int64_t, row_count);

    for (size_t i = 0; i < row_count; i++)
        numbers[i] = values[i * value_count].integer;
    bind->buffer = numbers;
}

static void column_fill_bytes(struct arena *arena, MYSQL_BIND *bind, const struct db_value *values,
                              size_t value_count, size_t row_count)
{
    const char **texts = ARENA_ARRAY(arena, const char *, row_count);
    unsigned long *sizes = ARENA_ARRAY(arena, unsigned long, row_count);

    for (size_t i = 0; i < row_count; i++) {
        const struct db_value *value = &values[i * value_count];
        texts[i] = value->size ? value->bytes : "";
        sizes[i] = value->size;
    }
    bind->buffer = texts;
    bind->length = sizes;
}

/* NULL where the rows do not fit an array. */
static MYSQL_BIND *bulk_binds(struct arena *arena, const struct db_value *values,
                              size_t value_count, size_t row_count)
{
    MYSQL_BIND *binds = ARENA_ARRAY(arena, MYSQL_BIND, value_count);

    for (size_t column = 0; column < value_count; column++) {
        enum db_type type;
        if (!column_type(values, value_count, row_count, column, &type))
            return NULL;
        binds[column].buffer_type = type_of(type);
        (type == DB_INT ? column_fill_int : column_fill_bytes)(arena, &binds[column],
                                                               values + column, value_count,
                                                               row_count);
        binds[column].u.indicator = ARENA_ARRAY(arena, char, row_count);
        for (size_t i = 0; i < row_count; i++)
            binds[column].u.indicator[i] =
                values[i * value_count + column].type == DB_NULL ? STMT_INDICATOR_NULL
                                                                 : STMT_INDICATOR_NONE;
    }
    return binds;
}

/* How many rows fit into one packet; 1 where an array does not pay. */
static size_t bulk_size(const struct mysql_session *session, const struct db_value *values,
                        size_t value_count, size_t row_count)
{
    size_t most = session->packet_max < BULK_BYTES ? session->packet_max : BULK_BYTES;
    size_t bytes = 0, rows = 0;

    for (; rows < row_count && rows < BULK_ROWS; rows++) {
        bytes += row_size(values + rows * value_count, value_count);
        if (bytes > most)
            break;
    }
    return rows ? rows : 1;
}

static enum db_fault execute_bulk(struct mysql_session *session, MYSQL_STMT *statement,
                                  MYSQL_BIND *binds, size_t row_count, struct error *err)
{
    unsigned array_size = (unsigned)row_count;

    mysql_stmt_attr_set(statement, STMT_ATTR_ARRAY_SIZE, &array_size);
    if (mysql_stmt_bind_param(statement, binds) || mysql_stmt_execute(statement))
        return statement_fault(session, statement, err);
    return DB_FAULT_NONE;
}

/* Part of the rows as an array: 1 when each changed one row, 0 when that is not sure, -1 fault. */
static int rows_bulk(struct mysql_session *session, MYSQL_STMT *statement,
                     const struct db_value *values, size_t value_count, size_t row_count,
                     enum db_fault *ret_fault, struct error *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    MYSQL_BIND *binds = bulk_binds(arena, values, value_count, row_count);

    if (!binds)
        return 0;
    *ret_fault = execute_bulk(session, statement, binds, row_count, err);
    if (*ret_fault != DB_FAULT_NONE)
        return -1;
    return mysql_stmt_affected_rows(statement) == row_count;
}

/*
 * All rows in arrays as large as fit. 1, 0, -1 as above; after 0 some of them may have run, and the
 * caller goes back to its savepoint.
 */
static int all_bulk(struct mysql_session *session, MYSQL_STMT *statement,
                    const struct db_value *values, size_t value_count, size_t row_count,
                    enum db_fault *ret_fault, struct error *err)
{
    for (size_t done = 0; done < row_count;) {
        const struct db_value *rest = values + done * value_count;
        size_t size = bulk_size(session, rest, value_count, row_count - done);
        int result = 0;
        *ret_fault = size_check(session, rest, value_count, err);
        if (*ret_fault != DB_FAULT_NONE)
            return -1;
        result = rows_bulk(session, statement, rest, value_count, size, ret_fault, err);
        if (result != 1)
            return result;
        done += size;
    }
    return 1;
}

/* MariaDB refuses arrays for INSERT … SELECT (error 1295). */
static bool takes_bulk(const char *sql)
{
    return strncmp(sql, "INSERT", 6) != 0 || !strstr(sql, " SELECT ");
}

enum db_fault mysql_exec(struct db_session *base, const char *sql, const struct db_value *values,
                         size_t value_count, size_t row_count, bool each_one, int64_t *ret_rows,
                         struct error *err)
{
    struct mysql_session *session = (struct mysql_session *)base;
    MYSQL_STMT *statement;
    enum db_fault fault = statement_get(session, sql, value_count, &statement, err);

    if (fault != DB_FAULT_NONE)
        return fault;
    if (!session->bulk || row_count < 4 || value_count == 0 || !takes_bulk(sql))
        return rows_one_by_one(session, statement, values, value_count, row_count, ret_rows, err);
    /* who fails unless each row changes one needs no way back */
    if (!each_one)
        fault = mysql_command(session, "SAVEPOINT many", err);
    if (fault != DB_FAULT_NONE)
        return fault;
    int result = all_bulk(session, statement, values, value_count, row_count, &fault, err);
    if (result < 0)
        return fault;
    for (size_t i = 0; i < row_count; i++)
        ret_rows[i] = result;
    if (result == 1 || each_one)
        return DB_FAULT_NONE;
    fault = mysql_command(session, "ROLLBACK TO SAVEPOINT many", err);
    if (fault != DB_FAULT_NONE)
        return fault;
    return rows_one_by_one(session, statement, values, value_count, row_count, ret_rows, err);
}

/* --- rows whose key may be there already ------------------------------------------------------ */

/* An INSERT that breaks a unique key undoes itself alone; the transaction goes on. */
static enum db_fault insert_one_by_one(struct mysql_session *session, MYSQL_STMT *statement,
                                       const struct db_value *values, size_t value_count,
                                       size_t row_count, bool *ret_inserted, struct error *err)
{
    for (size_t i = 0; i < row_count; i++) {
        struct error ignored;
        enum db_fault fault =
            execute_one(session, statement, values + i * value_count, value_count, &ignored);
        ret_inserted[i] = fault == DB_FAULT_NONE;
        if (fault == DB_FAULT_NONE || fault == DB_FAULT_CONFLICT)
            continue;
        *err = ignored;
        return fault;
    }
    return DB_FAULT_NONE;
}

/*
 * INSERT IGNORE would also swallow a NULL or a text too long; with ON DUPLICATE KEY UPDATE the
 * count is 1 for old and new rows alike. So: all at once in the hope that all are new.
 */
enum db_fault mysql_insert_new(struct db_session *base, const char *table, const char *columns,
                               const struct db_value *values, size_t value_count, size_t row_count,
                               bool *ret_inserted, struct error *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    struct mysql_session *session = (struct mysql_session *)base;
    const char *sql = db_statement_insert(arena, table, columns, value_count, "");
    struct error conflict;
    MYSQL_STMT *statement;
    enum db_fault fault = statement_get(session, sql, value_count, &statement, err);

    if (fault != DB_FAULT_NONE)
        return fault;
    if (!session->bulk || row_count < 4)
        return insert_one_by_one(session, statement, values, value_count, row_count, ret_inserted,
                                 err);
    fault = mysql_command(session, "SAVEPOINT many", err);
    if (fault != DB_FAULT_NONE)
        return fault;
    int result = all_bulk(session, statement, values, value_count, row_count, &fault, &conflict);
    if (result < 0 && fault != DB_FAULT_CONFLICT) {
        *err = conflict;
        return fault;
    }
    memset(ret_inserted, true, row_count);
    if (result == 1)
        return DB_FAULT_NONE;
    fault = mysql_command(session, "ROLLBACK TO SAVEPOINT many", err);
    if (fault != DB_FAULT_NONE)
        return fault;
    return insert_one_by_one(session, statement, values, value_count, row_count, ret_inserted, err);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct column {
    bool is_int, is_blob;
    int64_t integer;
    char *bytes;
    unsigned long size;
    my_bool is_null;
};

static bool field_is_int(const MYSQL_FIELD *field)
{
    switch (field->type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR:
        return true;
    default:
        return false;
    }
}

/* The result is stored, so the longest value of each column is known. */
static void column_bind(struct arena *arena, MYSQL_BIND *bind, struct column *column,
                        const MYSQL_FIELD *field)
{
    enum { CHARSET_BINARY = 63 };

    column->is_int = field_is_int(field);
    column->is_blob = field->charsetnr == CHARSET_BINARY && (field->flags & BLOB_FLAG);
    bind->is_null = &column->is_null;
    bind->length = &column->size;
    if (column->is_int) {
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->buffer = &column->integer;
        bind->buffer_length = sizeof column->integer;
        return;
    }
    bind->buffer_type = column->is_blob ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING;
    bind->buffer_length = field->max_length + 1;
    bind->buffer = column->bytes = arena_alloc(arena, bind->buffer_length);
}

static enum db_fault rows_fetch(struct mysql_session *session, MYSQL_STMT *statement,
                                struct db_result *result, const struct column *columns,
                                struct error *err)
{
    int code;

    while ((code = mysql_stmt_fetch(statement)) == 0) {
        struct db_cell *cells = db_result_add_row(result);
        for (int i = 0; i < result->column_count; i++) {
            const struct column *column = &columns[i];
            if (column->is_null)
                continue;
            if (column->is_int) {
                cells[i].type = DB_INT;
                cells[i].integer = column->integer;
            } else {
                db_cell_set_bytes(result, &cells[i], column->is_blob ? DB_BLOB : DB_TEXT,
                                  column->bytes, column->size);
            }
        }
    }
    if (code == MYSQL_NO_DATA)
        return DB_FAULT_NONE;
    return statement_fault(session, statement, err);
}

static enum db_fault result_read(struct mysql_session *session, MYSQL_STMT *statement,
                                 struct arena *arena, struct db_result **ret_result,
                                 struct error *err)
{
    CLEANUP(arena_free) struct arena *scratch = arena_new();
    size_t count = mysql_stmt_field_count(statement);
    struct db_result *result = db_result_new(arena, (int)count);

    *ret_result = result;
    if (count == 0)
        return DB_FAULT_NONE;
    MYSQL_BIND *binds = ARENA_ARRAY(scratch, MYSQL_BIND, count);
    struct column *columns = ARENA_ARRAY(scratch, struct column, count);
    if (mysql_stmt_store_result(statement))
        return statement_fault(session, statement, err);
    MYSQL_RES *metadata = mysql_stmt_result_metadata(statement);
    for (size_t i = 0; metadata && i < count; i++)
        column_bind(scratch, &binds[i], &columns[i],
                    mysql_fetch_field_direct(metadata, (unsigned)i));
    enum db_fault fault = !metadata || mysql_stmt_bind_result(statement, binds)
                              ? statement_fault(session, statement, err)
                              : rows_fetch(session, statement, result, columns, err);
    mysql_free_result(metadata);
    return fault;
}

enum db_fault mysql_select(struct db_session *base, struct arena *arena, const char *sql,
                           const struct db_value *values, size_t value_count,
                           struct db_result **ret_result, struct error *err)
{
    struct mysql_session *session = (struct mysql_session *)base;
    MYSQL_STMT *statement;
    enum db_fault fault = statement_get(session, sql, value_count, &statement, err);

    if (fault == DB_FAULT_NONE)
        fault = execute_one(session, statement, values, value_count, err);
    if (fault != DB_FAULT_NONE)
        return fault;
    fault = result_read(session, statement, arena, ret_result, err);
    mysql_stmt_free_result(statement);
    return fault;
}
