#ifndef BELFRY_DB_DB_MYSQL_H
#define BELFRY_DB_DB_MYSQL_H

#include "db/db-private.h"

#include <mysql.h>

struct mysql_session {
    struct db_session base;
    MYSQL *handle;
    struct db_statements statements;
    bool bulk;              /* MariaDB: one execution for an array of rows */
    bool reading;           /* in a transaction that was begun for reading */
    size_t packet_max;      /* the server ends a session that sends more at once */
    const char *collation;  /* by bytes, no padding */
    int64_t last_id;
};

enum db_fault mysql_fault(struct mysql_session *session, unsigned number, const char *text,
                          struct error *err);
/* Runs text without parameters; rows, if any, are dropped. */
enum db_fault mysql_command(struct mysql_session *session, const char *sql, struct error *err);
void mysql_statement_free(void *session, void *statement);

enum db_fault mysql_exec(struct db_session *base, const char *sql, const struct db_value *values,
                         size_t value_count, size_t row_count, bool each_one, int64_t *ret_rows,
                         struct error *err);
enum db_fault mysql_insert_new(struct db_session *base, const char *table, const char *columns,
                               const struct db_value *values, size_t value_count, size_t row_count,
                               bool *ret_inserted, struct error *err);
enum db_fault mysql_select(struct db_session *base, struct arena *arena, const char *sql,
                           const struct db_value *values, size_t value_count,
                           struct db_result **ret_result, struct error *err);

#endif
