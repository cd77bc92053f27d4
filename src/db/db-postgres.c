#include "db/db-postgres.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVER_VERSION_LEAST = 130000 };

static struct postgres_session *postgres_of(struct db_session *session)
{
    return (struct postgres_session *)session;
}

/* --- faults ----------------------------------------------------------------------------------- */

static const struct {
    const char *state; /* SQLSTATE, or its class; the first that fits counts */
    enum db_problem problem;
} states[] = {
    { "23505", DB_PROBLEM_EXISTS },
    { "23503", DB_PROBLEM_REFERENCE },
    { "23", DB_PROBLEM_VALUE },
    { "22", DB_PROBLEM_VALUE },
    { "40003", DB_PROBLEM_LOST },  /* statement_completion_unknown */
    { "40", DB_PROBLEM_RACE },     /* 40001 serialization, 40P01 deadlock */
    { "55P03", DB_PROBLEM_RACE },  /* lock_timeout */
    { "53100", DB_PROBLEM_FULL },
    { "53", DB_PROBLEM_ROOM },
    { "25006", DB_PROBLEM_READ_ONLY },
    { "57014", DB_PROBLEM_ROOM },  /* cancelled by a person or a statement_timeout */
    { "57", DB_PROBLEM_LOST },     /* the server shuts down, crashed or starts */
    { "08", DB_PROBLEM_LOST },
    { "25P03", DB_PROBLEM_LOST },  /* idle_in_transaction_session_timeout */
    { "58", DB_PROBLEM_FILE },
};

static enum db_problem state_problem(const char *state)
{
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strncmp(states[i].state, state, strlen(states[i].state)) == 0)
            return states[i].problem;
    return DB_PROBLEM_STATEMENT;
}

/* libpq's text is several lines; the first says it. */
static void first_line(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
}

enum db_fault postgres_fault(struct postgres_session *session, const PGresult *result,
                             struct error *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    char text[256];

    if (!state || PQstatus(session->connection) == CONNECTION_BAD) {
        first_line(text, sizeof text, PQerrorMessage(session->connection));
        return db_problem(DB_PROBLEM_LOST, text, err);
    }
    enum db_problem problem = state_problem(state);
    /* a FOR UPDATE in a transaction that was begun for reading is the program's mistake */
    if (problem == DB_PROBLEM_READ_ONLY && session->reading)
        problem = DB_PROBLEM_STATEMENT;
    return db_problem(problem, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), err);
}

/* --- pipeline --------------------------------------------------------------------------------- */

enum db_fault postgres_queue(struct postgres_session *session, const char *sql, struct error *err)
{
    if (!PQsendQueryParams(session->connection, sql, 0, NULL, NULL, NULL, NULL, 0))
        return postgres_fault(session, NULL, err);
    session->queued++;
    return DB_FAULT_NONE;
}

PGresult *postgres_result(struct postgres_session *session, enum db_fault *ret_fault,
                          struct error *err)
{
    PGresult *result = PQgetResult(session->connection);
    ExecStatusType status = PQresultStatus(result); /* of NULL: PGRES_FATAL_ERROR */

    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        PQclear(PQgetResult(session->connection)); /* the NULL that ends this command */
        return result;
    }
    if (status == PGRES_PIPELINE_ABORTED) /* one before it failed and has filled err */
        *ret_fault = *ret_fault == DB_FAULT_NONE ? DB_FAULT_LOST : *ret_fault;
    else
        *ret_fault = postgres_fault(session, result, err);
    if (result)
        PQclear(PQgetResult(session->connection));
    PQclear(result);
    return NULL;
}

enum db_fault postgres_sync(struct postgres_session *session, struct error *err)
{
    enum db_fault fault = DB_FAULT_NONE;

    if (!PQpipelineSync(session->connection))
        return postgres_fault(session, NULL, err);
    for (; session->queued > 0; session->queued--) {
        enum db_fault one = DB_FAULT_NONE;
        PQclear(postgres_result(session, &one, err));
        if (fault == DB_FAULT_NONE && one != DB_FAULT_NONE)
            fault = one == DB_FAULT_LOST ? one : DB_FAULT_RETRY;
    }
    return fault;
}

/*
 * What is left of the batch is read and dropped up to its end; a connection that gives no end is of
 * no use any more.
 */
enum db_fault postgres_finish(struct postgres_session *session, enum db_fault fault,
                              struct error *err)
{
    struct error *unread = fault == DB_FAULT_NONE ? err : &(struct error){ 0 };
    int nothing = 0;

    while (nothing < 2) {
        PGresult *result = PQgetResult(session->connection);
        ExecStatusType status = PQresultStatus(result);
        nothing = result ? 0 : nothing + 1;
        PQclear(result);
        if (result && status == PGRES_PIPELINE_SYNC)
            return PQstatus(session->connection) == CONNECTION_OK ? fault : DB_FAULT_LOST;
    }
    postgres_fault(session, NULL, unread);
    return DB_FAULT_LOST;
}

static enum db_fault command(struct postgres_session *session, const char *sql, const char *tag,
                             struct error *err)
{
    if (!PQsendQueryParams(session->connection, sql, 0, NULL, NULL, NULL, NULL, 0))
        return postgres_fault(session, NULL, err);
    enum db_fault fault = postgres_sync(session, err);
    PGresult *result = postgres_result(session, &fault, err);
    /* COMMIT of a transaction that has failed is answered by ROLLBACK, and no error */
    if (result && tag && strcmp(PQcmdStatus(result), tag) != 0) {
        error_set(err, ERR_INTERNAL, "database statement: %s", PQcmdStatus(result));
        fault = DB_FAULT_REFUSED;
    }
    PQclear(result);
    return postgres_finish(session, fault, err);
}

enum db_fault postgres_command(struct postgres_session *session, const char *sql,
                               struct error *err)
{
    return command(session, sql, NULL, err);
}

/* --- transactions ----------------------------------------------------------------------------- */

/* Readers see one state from begin to end, as on SQLite; changes see what is committed. */
static enum db_fault session_begin(struct db_session *base, bool read_only, struct error *err)
{
    postgres_of(base)->reading = read_only;
    return postgres_queue(postgres_of(base),
                          read_only ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" : "BEGIN",
                          err);
}

static enum db_fault session_commit(struct db_session *base, struct error *err)
{
    return command(postgres_of(base), "COMMIT", "COMMIT", err);
}

static enum db_fault session_rollback(struct db_session *base, struct error *err)
{
    return postgres_command(postgres_of(base), "ROLLBACK", err);
}

static enum db_fault session_savepoint(struct db_session *base, struct error *err)
{
    return postgres_queue(postgres_of(base), "SAVEPOINT task", err);
}

static enum db_fault session_release(struct db_session *base, struct error *err)
{
    return postgres_queue(postgres_of(base), "RELEASE task", err);
}

static enum db_fault session_rollback_to(struct db_session *base, struct error *err)
{
    enum db_fault fault = postgres_queue(postgres_of(base), "ROLLBACK TO task", err);

    return fault == DB_FAULT_NONE ? session_release(base, err) : fault;
}

/* --- session ---------------------------------------------------------------------------------- */

static void notice_ignore(void *argument, const char *message)
{
    (void)argument;
    (void)message;
}

static PGconn *connection_open(const struct db *db)
{
    const struct db_url *url = &db->url;
    static const char *const modes[] = {
        [DB_TLS_DEFAULT] = "prefer", [DB_TLS_OFF] = "disable", [DB_TLS_REQUIRE] = "require",
        [DB_TLS_VERIFY] = "verify-full",
    };
    const char *mode = db_url_wants_tls(url) ? modes[url->tls] : "disable";
    char port[16], timeout[16];
    const char *names[] = { "host", "port", "user", "password", "dbname", "sslmode", "sslrootcert",
                            "connect_timeout", "gssencmode", "application_name", "client_encoding",
                            "keepalives_idle", "keepalives_interval", "keepalives_count",
                            "tcp_user_timeout", NULL };
    const char *values[] = { url->socket ? url->socket : url->host, port, url->user, db->password,
                             url->database, mode, url->ca, timeout, "disable",
                             "belfry", "UTF8", "5", "3", "3", "15000", NULL };

    snprintf(port, sizeof port, "%d", url->port ? url->port : 5432);
    snprintf(timeout, sizeof timeout, "%d", (db->connect_timeout_ms + 999) / 1000);
    return PQconnectdbParams(names, values, 0);
}

/* The server drops a session whose client is gone (keepalives), or that forgot a transaction. */
static const char session_sql[] =
    "SET TIME ZONE 'UTC'; SET client_min_messages = warning;"
    "SET default_transaction_isolation = 'read committed'; SET statement_timeout = 0;"
    "SET idle_in_transaction_session_timeout = '300s'; SET tcp_keepalives_idle = 5;"
    "SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3;"
    "SET standard_conforming_strings = on; SET jit = off;"
    "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on',"
    " current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',"
    " current_setting('synchronous_commit') <> 'off', pg_encoding_to_char(encoding) = 'UTF8'"
    " FROM pg_database WHERE datname = current_database()";

static bool answer(const PGresult *result, int column)
{
    return strcmp(PQgetvalue(result, 0, column), "t") == 0;
}

static int session_check(struct postgres_session *session, const PGresult *result,
                         struct error *err)
{
    bool relaxed = session->base.db->durability_relaxed;

    if (PQserverVersion(session->connection) < SERVER_VERSION_LEAST)
        return error_set(err, ERR_UNAVAILABLE, "PostgreSQL %d is too old, 13 is the least",
                         PQserverVersion(session->connection) / 10000);
    if (answer(result, 0))
        return error_set(err, ERR_UNAVAILABLE, "the database server is a read-only replica");
    if (!answer(result, 3))
        return error_set(err, ERR_UNAVAILABLE, "the database's encoding is not UTF8");
    if (!answer(result, 1) && !relaxed)
        return error_set(err, ERR_UNAVAILABLE,
                         "the database server runs without %s: a power cut would lose commits",
                         "fsync or full_page_writes");
    return 0;
}

/* One that holds a row for long must not hold up a group. */
static int lock_timeout_set(struct postgres_session *session, struct error *err)
{
    char text[16];
    const char *values[] = { text };

    snprintf(text, sizeof text, "%d", session->base.db->lock_timeout_s * 1000);
    PGresult *result = PQexecParams(session->connection,
                                    "SELECT set_config('lock_timeout', $1, false)", 1, NULL,
                                    values, NULL, NULL, 0);
    int failed = PQresultStatus(result) == PGRES_TUPLES_OK ? 0 : -1;
    if (failed)
        postgres_fault(session, result, err);
    PQclear(result);
    return failed;
}

static int session_configure(struct postgres_session *session, struct error *err)
{
    PGresult *result = PQexec(session->connection, session_sql);
    bool relaxed = session->base.db->durability_relaxed;

    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) {
        postgres_fault(session, result, err);
        PQclear(result);
        return -1;
    }
    int failed = session_check(session, result, err);
    bool synchronous = answer(result, 2);
    PQclear(result);
    if (!failed && !synchronous && !relaxed)
        PQclear(PQexec(session->connection, "SET synchronous_commit = on"));
    return failed ? failed : lock_timeout_set(session, err);
}

static void session_disconnect(struct db_session *base)
{
    struct postgres_session *session = postgres_of(base);

    db_statements_done(&session->statements);
    PQfinish(session->connection);
    free(session);
}

static enum db_fault session_connect(struct db *db, bool log_store, bool read_only,
                                     struct db_session **ret_session, struct error *err)
{
    struct postgres_session *session = memory_alloc(sizeof *session);
    char text[256];

    (void)log_store;
    (void)read_only;
    session->base.driver = &db_driver_postgres;
    session->base.db = db;
    db_statements_init(&session->statements, session, postgres_statement_free);
    session->connection = connection_open(db);
    PQsetNoticeProcessor(session->connection, notice_ignore, NULL);
    int failed = 0;
    if (PQstatus(session->connection) != CONNECTION_OK) {
        first_line(text, sizeof text, PQerrorMessage(session->connection));
        failed = error_set(err, ERR_UNAVAILABLE, "cannot reach the database: %s", text);
    }
    if (!failed)
        failed = session_configure(session, err);
    if (!failed && !PQenterPipelineMode(session->connection))
        failed = error_set(err, ERR_INTERNAL, "cannot reach the database: %s",
                           PQerrorMessage(session->connection));
    if (failed) {
        session_disconnect(&session->base);
        return DB_FAULT_LOST;
    }
    *ret_session = &session->base;
    return DB_FAULT_NONE;
}

/* --- the rest --------------------------------------------------------------------------------- */

static enum db_fault session_script(struct db_session *base, const char *sql, struct error *err)
{
    return postgres_command(postgres_of(base), sql, err);
}

static enum db_fault number_query(struct db_session *base, const char *sql, int64_t *ret_number,
                                  struct error *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    struct db_result *result;
    enum db_fault fault = postgres_query(base, arena, sql, NULL, 0, &result, err);

    if (fault == DB_FAULT_NONE)
        *ret_number = db_next(result) ? db_int(result, 0) : 0;
    return fault;
}

static enum db_fault session_last_id(struct db_session *base, int64_t *ret_id, struct error *err)
{
    return number_query(base, "SELECT lastval()", ret_id, err);
}

static enum db_fault session_clock(struct db_session *base, int64_t *ret_ms, struct error *err)
{
    return number_query(base, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
                        ret_ms, err);
}

/* Held to the end of the transaction. A migration elsewhere may take longer than a row's lock. */
static enum db_fault session_migrate_lock(struct db_session *base, bool locked, struct error *err)
{
    struct postgres_session *session = postgres_of(base);

    if (!locked)
        return DB_FAULT_NONE;
    enum db_fault fault = postgres_queue(session, "SET LOCAL lock_timeout = '60s'", err);
    if (fault != DB_FAULT_NONE)
        return fault;
    return postgres_command(session, "SELECT pg_advisory_xact_lock(4774451407313060418)", err);
}

const struct db_driver db_driver_postgres = {
    .name = "postgres",
    .backend = DB_POSTGRES,
    .connect = session_connect,
    .disconnect = session_disconnect,
    .begin = session_begin,
    .commit = session_commit,
    .rollback = session_rollback,
    .savepoint = session_savepoint,
    .savepoint_release = session_release,
    .savepoint_rollback = session_rollback_to,
    .exec = postgres_exec,
    .insert_new = postgres_insert_new,
    .query = postgres_query,
    .script = session_script,
    .last_id = session_last_id,
    .clock = session_clock,
    .migrate_lock = session_migrate_lock,
};
