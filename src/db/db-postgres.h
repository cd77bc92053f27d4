#ifndef BELFRY_DB_DB_POSTGRES_H
#define BELFRY_DB_DB_POSTGRES_H

#include "db/db-private.h"

#include <libpq-fe.h>

/*
 * The connection stays in pipeline mode. Commands that only open or close something (BEGIN,
 * SAVEPOINT, RELEASE) are sent along with the next statement: `queued` counts answers that are
 * still to be read before its own. So a small transaction in a group costs one way there and back.
 */
struct postgres_session {
    struct db_session base;
    PGconn *connection;
    struct db_statements statements;
    unsigned statement_number; /* names the next prepared statement */
    unsigned queued;
    bool reading; /* in a transaction that was begun for reading */
};

/* Fault of a failed result, or of the connection where result is NULL. Fills err. */
enum db_fault postgres_fault(struct postgres_session *session, const PGresult *result,
                             struct error *err);

/* Sends a parameterless command without waiting for it. */
enum db_fault postgres_queue(struct postgres_session *session, const char *sql, struct error *err);
/* Ends the batch and reads what was queued; then count more results are to be read. */
enum db_fault postgres_sync(struct postgres_session *session, struct error *err);
/* The next command's result; NULL with a fault. */
PGresult *postgres_result(struct postgres_session *session, enum db_fault *ret_fault,
                          struct error *err);
/* Reads up to the end of the batch, after a fault too. */
enum db_fault postgres_finish(struct postgres_session *session, enum db_fault fault,
                              struct error *err);
/* A command and its batch, waited for. */
enum db_fault postgres_command(struct postgres_session *session, const char *sql,
                               struct error *err);

enum db_fault postgres_exec(struct db_session *base, const char *sql, const struct db_value *values,
                            size_t value_count, size_t row_count, bool each_one,
                            int64_t *ret_rows, struct error *err);
enum db_fault postgres_insert_new(struct db_session *base, const char *table, const char *columns,
                                  const struct db_value *values, size_t value_count,
                                  size_t row_count, bool *ret_inserted, struct error *err);
enum db_fault postgres_query(struct db_session *base, struct arena *arena, const char *sql,
                             const struct db_value *values, size_t value_count,
                             struct db_result **ret_result, struct error *err);
void postgres_statement_free(void *session, void *statement);

#endif
