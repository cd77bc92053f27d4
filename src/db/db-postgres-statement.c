#include "db/db-postgres.h"

#include "base/memory.h"
#include "base/str.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Object ids of types, fixed in PostgreSQL's catalogue. */
enum { OID_BOOL = 16, OID_BYTEA = 17, OID_NAME = 19, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23,
       OID_TEXT = 25, OID_BPCHAR = 1042, OID_VARCHAR = 1043 };

/*
 * Parameters are declared by the values that come: left to itself the server takes `? + 100` for
 * 32 bits. A place that has had nothing but NULL is left to the server until a value comes; then
 * the statement is prepared anew.
 */
struct postgres_statement {
    char name[16];
    size_t place_count;
    Oid *types;   /* by place; 0: not known yet */
    bool binary;  /* all columns are of types that we read in binary */
};

void postgres_statement_free(void *session, void *pointer)
{
    struct postgres_statement *statement = pointer;

    (void)session; /* the server drops them with the session */
    free(statement->types);
    free(statement);
}

/* --- preparing -------------------------------------------------------------------------------- */

static Oid type_of(const struct db_value *value)
{
    switch (value->type) {
    case DB_INT: return OID_INT8;
    case DB_TEXT: return OID_TEXT;
    case DB_BLOB: return OID_BYTEA;
    case DB_NULL: break;
    }
    return 0;
}

/* Learns from the rows; true when the statement as prepared does not fit them. */
static bool types_learn(struct postgres_statement *statement, const struct db_value *values,
                        size_t row_count)
{
    bool changed = false;

    for (size_t i = 0; i < row_count * statement->place_count; i++) {
        Oid *type = &statement->types[i % statement->place_count];
        Oid wanted = type_of(&values[i]);
        if (wanted == 0 || wanted == *type)
            continue;
        *type = wanted;
        changed = true;
    }
    return changed;
}

static bool columns_binary(const PGresult *description)
{
    for (int i = 0; i < PQnfields(description); i++)
        switch (PQftype(description, i)) {
        case OID_BOOL: case OID_BYTEA: case OID_NAME: case OID_INT8: case OID_INT2: case OID_INT4:
        case OID_TEXT: case OID_BPCHAR: case OID_VARCHAR:
            break;
        default:
            return false;
        }
    return true;
}

static enum db_fault prepare_send(struct postgres_session *session,
                                  struct postgres_statement *statement, const char *sql,
                                  struct error *err)
{
    char *numbered = db_statement_numbered(sql);

    snprintf(statement->name, sizeof statement->name, "s%u", ++session->statement_number);
    int sent = PQsendPrepare(session->connection, statement->name, numbered,
                             (int)statement->place_count, statement->types) &&
               PQsendDescribePrepared(session->connection, statement->name);
    free(numbered);
    return sent ? DB_FAULT_NONE : postgres_fault(session, NULL, err);
}

static enum db_fault prepare(struct postgres_session *session,
                             struct postgres_statement *statement, const char *sql,
                             struct error *err)
{
    enum db_fault fault = prepare_send(session, statement, sql, err);

    if (fault != DB_FAULT_NONE)
        return fault;
    fault = postgres_sync(session, err);
    PQclear(postgres_result(session, &fault, err));
    PGresult *description = postgres_result(session, &fault, err);
    size_t places = description ? (size_t)PQnparams(description) : 0;
    statement->binary = description && columns_binary(description);
    PQclear(description);
    fault = postgres_finish(session, fault, err);
    if (fault == DB_FAULT_NONE && places != statement->place_count) {
        error_set(err, ERR_INTERNAL, "database statement: %d places for %zu values", (int)places,
                  statement->place_count);
        fault = DB_FAULT_RULE;
    }
    return fault;
}

/* The types no longer fit: forget the one on the server, keep ours. */
static enum db_fault prepare_again(struct postgres_session *session,
                                   struct postgres_statement *statement, const char *sql,
                                   struct error *err)
{
    char command[40];

    snprintf(command, sizeof command, "DEALLOCATE %s", statement->name);
    enum db_fault fault = postgres_queue(session, command, err);
    return fault == DB_FAULT_NONE ? prepare(session, statement, sql, err) : fault;
}

static enum db_fault statement_get(struct postgres_session *session, const char *sql,
                                   const struct db_value *values, size_t value_count,
                                   size_t row_count, struct postgres_statement **ret_statement,
                                   struct error *err)
{
    struct postgres_statement *statement = db_statements_find(&session->statements, sql);
    enum db_fault fault = DB_FAULT_NONE;

    if (statement && statement->place_count != value_count) {
        error_set(err, ERR_INTERNAL, "database statement: %d places for %zu values",
                  (int)statement->place_count, value_count);
        return DB_FAULT_RULE;
    }
    if (statement) {
        *ret_statement = statement;
        return types_learn(statement, values, row_count)
                   ? prepare_again(session, statement, sql, err)
                   : DB_FAULT_NONE;
    }
    statement = memory_alloc(sizeof *statement);
    statement->place_count = value_count;
    statement->types = memory_alloc(value_count * sizeof *statement->types);
    types_learn(statement, values, row_count);
    fault = prepare(session, statement, sql, err);
    if (fault != DB_FAULT_NONE) {
        postgres_statement_free(session, statement);
        return fault;
    }
    db_statements_add(&session->statements, sql, statement);
    *ret_statement = statement;
    return DB_FAULT_NONE;
}

/* --- executing -------------------------------------------------------------------------------- */

enum { PLACES_MAX = 1000 };

/* The arrays libpq wants, for one row at a time; numbers are big-endian 64 bits. */
struct parameters {
    const char *values[PLACES_MAX];
    int sizes[PLACES_MAX], formats[PLACES_MAX];
    uint64_t numbers[PLACES_MAX];
};

static void parameters_set(struct parameters *p, const struct db_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        p->formats[i] = 1;
        p->sizes[i] = (int)values[i].size;
        p->values[i] = values[i].size ? values[i].bytes : "";
        if (values[i].type == DB_NULL)
            p->values[i] = NULL;
        if (values[i].type != DB_INT)
            continue;
        p->numbers[i] = htobe64((uint64_t)values[i].integer);
        p->values[i] = (const char *)&p->numbers[i];
        p->sizes[i] = sizeof p->numbers[i];
    }
}

static int values_check(const struct db_value *values, size_t value_count, size_t row_count,
                        struct error *err)
{
    if (value_count > PLACES_MAX)
        return error_set(err, ERR_INTERNAL, "database statement: more than %d values", PLACES_MAX);
    for (size_t i = 0; i < value_count * row_count; i++)
        if (values[i].size > (1 << 30) - 64)
            return error_set(err, ERR_TOO_LARGE, "the database refuses a value (%s)",
                             "larger than 1 GiB");
    return 0;
}

static enum db_fault rows_send(struct postgres_session *session,
                               const struct postgres_statement *statement,
                               const struct db_value *values, size_t row_count, struct error *err)
{
    size_t count = statement->place_count;
    struct parameters *p = memory_alloc(sizeof *p);
    int sent = 1;

    for (size_t i = 0; sent && i < row_count; i++) {
        parameters_set(p, values + i * count, count);
        sent = PQsendQueryPrepared(session->connection, statement->name, (int)count, p->values,
                                   p->sizes, p->formats, statement->binary);
    }
    free(p);
    return sent ? DB_FAULT_NONE : postgres_fault(session, NULL, err);
}

static int64_t rows_changed(PGresult *result)
{
    int64_t rows = 0;

    number_parse(str_of(PQcmdTuples(result)), 0, INT64_MAX, &rows);
    return rows;
}

enum db_fault postgres_exec(struct db_session *base, const char *sql, const struct db_value *values,
                            size_t value_count, size_t row_count, bool each_one,
                            int64_t *ret_rows, struct error *err)
{
    struct postgres_session *session = (struct postgres_session *)base;
    struct postgres_statement *statement;

    (void)each_one;
    if (values_check(values, value_count, row_count, err) < 0)
        return DB_FAULT_RULE;
    enum db_fault fault =
        statement_get(session, sql, values, value_count, row_count, &statement, err);
    if (fault == DB_FAULT_NONE)
        fault = rows_send(session, statement, values, row_count, err);
    if (fault != DB_FAULT_NONE)
        return fault;
    fault = postgres_sync(session, err);
    for (size_t i = 0; fault == DB_FAULT_NONE && i < row_count; i++) {
        PGresult *result = postgres_result(session, &fault, err);
        if (result)
            ret_rows[i] = rows_changed(result);
        PQclear(result);
    }
    return postgres_finish(session, fault, err);
}

enum db_fault postgres_insert_new(struct db_session *base, const char *table, const char *columns,
                                  const struct db_value *values, size_t value_count,
                                  size_t row_count, bool *ret_inserted, struct error *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    const char *sql = db_statement_insert(arena, table, columns, value_count,
                                          " ON CONFLICT DO NOTHING");
    int64_t *rows = ARENA_ARRAY(arena, int64_t, row_count);
    enum db_fault fault = postgres_exec(base, sql, values, value_count, row_count, false, rows,
                                        err);

    for (size_t i = 0; fault == DB_FAULT_NONE && i < row_count; i++)
        ret_inserted[i] = rows[i] == 1;
    return fault;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Big-endian, of 1, 2, 4 or 8 bytes, with its sign. */
static int64_t binary_int(const char *bytes, int size)
{
    int64_t number = size > 0 && (bytes[0] & 0x80) ? -1 : 0;

    for (int i = 0; i < size; i++)
        number = (int64_t)((uint64_t)number << 8 | (unsigned char)bytes[i]);
    return number;
}

static void cell_read_binary(struct db_result *result, struct db_cell *cell, Oid type,
                             const char *bytes, int size)
{
    switch (type) {
    case OID_BOOL: case OID_INT2: case OID_INT4: case OID_INT8:
        cell->type = DB_INT;
        cell->integer = binary_int(bytes, size);
        break;
    default:
        db_cell_set_bytes(result, cell, type == OID_BYTEA ? DB_BLOB : DB_TEXT, bytes, (size_t)size);
        break;
    }
}

static void cell_read_text(struct db_result *result, struct db_cell *cell, Oid type,
                           const char *text, int size)
{
    size_t blob_size;

    switch (type) {
    case OID_BOOL:
        cell->type = DB_INT;
        cell->integer = text[0] == 't';
        break;
    case OID_INT2: case OID_INT4: case OID_INT8:
        cell->type = DB_INT;
        number_parse(str_of(text), INT64_MIN, INT64_MAX, &cell->integer);
        break;
    case OID_BYTEA: {
        unsigned char *blob = PQunescapeBytea((const unsigned char *)text, &blob_size);
        db_cell_set_bytes(result, cell, DB_BLOB, blob, blob ? blob_size : 0);
        PQfreemem(blob);
        break;
    }
    default:
        db_cell_set_bytes(result, cell, DB_TEXT, text, (size_t)size);
        break;
    }
}

static struct db_result *result_read(struct arena *arena, const PGresult *from, bool binary)
{
    int columns = PQnfields(from), rows = PQntuples(from);
    struct db_result *result = db_result_new(arena, columns);

    for (int row = 0; row < rows; row++) {
        struct db_cell *cells = db_result_add_row(result);
        for (int i = 0; i < columns; i++) {
            if (PQgetisnull(from, row, i))
                continue;
            (binary ? cell_read_binary : cell_read_text)(result, &cells[i], PQftype(from, i),
                                                         PQgetvalue(from, row, i),
                                                         PQgetlength(from, row, i));
        }
    }
    return result;
}

enum db_fault postgres_query(struct db_session *base, struct arena *arena, const char *sql,
                             const struct db_value *values, size_t value_count,
                             struct db_result **ret_result, struct error *err)
{
    struct postgres_session *session = (struct postgres_session *)base;
    struct postgres_statement *statement;

    if (values_check(values, value_count, 1, err) < 0)
        return DB_FAULT_RULE;
    enum db_fault fault = statement_get(session, sql, values, value_count, 1, &statement, err);
    if (fault == DB_FAULT_NONE)
        fault = rows_send(session, statement, values, 1, err);
    if (fault != DB_FAULT_NONE)
        return fault;
    fault = postgres_sync(session, err);
    PGresult *result = postgres_result(session, &fault, err);
    if (result)
        *ret_result = result_read(arena, result, statement->binary);
    PQclear(result);
    return postgres_finish(session, fault, err);
}
