#include "db/db-private.h"

/* One wording and one consequence for what the three databases each say in their own way. */
enum db_fault db_problem(enum db_problem problem, const char *text, struct error *err)
{
    switch (problem) {
    case DB_PROBLEM_EXISTS:
        error_set(err, ERR_CONFLICT, "a row with this key exists already (%s)", text);
        return DB_FAULT_CONFLICT;
    case DB_PROBLEM_REFERENCE:
        error_set(err, ERR_CONFLICT, "another row is missing or still needed (%s)", text);
        return DB_FAULT_RULE;
    case DB_PROBLEM_VALUE:
        error_set(err, ERR_INVALID, "the database refuses a value (%s)", text);
        return DB_FAULT_RULE;
    case DB_PROBLEM_RACE:
        error_set(err, ERR_UNAVAILABLE, "other work on the same rows came first (%s)", text);
        return DB_FAULT_RETRY;
    case DB_PROBLEM_FULL:
        error_set(err, ERR_STORAGE_FULL, "the disk of the database is full");
        return DB_FAULT_REFUSED;
    case DB_PROBLEM_FILE:
        error_set(err, ERR_IO, "database file: %s", text);
        return DB_FAULT_REFUSED;
    case DB_PROBLEM_ROOM:
        error_set(err, ERR_UNAVAILABLE, "the database lacks room: %s", text);
        return DB_FAULT_REFUSED;
    case DB_PROBLEM_READ_ONLY: /* a primary that became a replica: find the new one */
        error_set(err, ERR_UNAVAILABLE, "the database is read-only: %s", text);
        return DB_FAULT_LOST;
    case DB_PROBLEM_LOST:
        error_set(err, ERR_UNAVAILABLE, "lost the database: %s", text);
        return DB_FAULT_LOST;
    case DB_PROBLEM_STATEMENT:
        break;
    }
    error_set(err, ERR_INTERNAL, "database statement: %s", text);
    return DB_FAULT_RULE;
}
