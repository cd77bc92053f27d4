#include "db/db-mysql.h"

#include "base/memory.h"
#include "base/str.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct mysql_session *mysql_of(struct db_session *session)
{
    return (struct mysql_session *)session;
}

/* --- faults ----------------------------------------------------------------------------------- */

/* Numbers that MySQL and MariaDB do not share in their headers. */
enum { MARIADB_CHECK_VIOLATED = 4025, MYSQL_CHECK_VIOLATED = 3819, MARIADB_KILLED = 1927,
       MYSQL_LOST_EXTENDED = 2055, MARIADB_IDLE_TRANSACTION = 4031, MARIADB_SNAPSHOT = 1020 };

static const struct {
    unsigned number;
    enum db_problem problem;
} numbers[] = {
    { ER_DUP_ENTRY, DB_PROBLEM_EXISTS },
    { ER_NO_REFERENCED_ROW, DB_PROBLEM_REFERENCE },
    { ER_NO_REFERENCED_ROW_2, DB_PROBLEM_REFERENCE },
    { ER_ROW_IS_REFERENCED, DB_PROBLEM_REFERENCE },
    { ER_ROW_IS_REFERENCED_2, DB_PROBLEM_REFERENCE },
    { ER_BAD_NULL_ERROR, DB_PROBLEM_VALUE },
    { ER_NO_DEFAULT_FOR_FIELD, DB_PROBLEM_VALUE },
    { ER_DATA_TOO_LONG, DB_PROBLEM_VALUE },
    { ER_WARN_DATA_OUT_OF_RANGE, DB_PROBLEM_VALUE },
    { ER_TRUNCATED_WRONG_VALUE, DB_PROBLEM_VALUE },
    { ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, DB_PROBLEM_VALUE },
    { ER_DATA_OUT_OF_RANGE, DB_PROBLEM_VALUE },
    { MARIADB_CHECK_VIOLATED, DB_PROBLEM_VALUE },
    { MYSQL_CHECK_VIOLATED, DB_PROBLEM_VALUE },
    { ER_LOCK_DEADLOCK, DB_PROBLEM_RACE },
    { ER_LOCK_WAIT_TIMEOUT, DB_PROBLEM_RACE },
    { ER_NEED_REPREPARE, DB_PROBLEM_RACE },
    { MARIADB_SNAPSHOT, DB_PROBLEM_RACE },
    { ER_RECORD_FILE_FULL, DB_PROBLEM_FULL },
    { ER_DISK_FULL, DB_PROBLEM_FULL },
    { ER_OUT_OF_RESOURCES, DB_PROBLEM_ROOM },
    { ER_OUTOFMEMORY, DB_PROBLEM_ROOM },
    { ER_QUERY_INTERRUPTED, DB_PROBLEM_ROOM },
    { ER_OPTION_PREVENTS_STATEMENT, DB_PROBLEM_READ_ONLY },
    { ER_READ_ONLY_MODE, DB_PROBLEM_READ_ONLY },
    { ER_SERVER_SHUTDOWN, DB_PROBLEM_LOST },
    { ER_NORMAL_SHUTDOWN, DB_PROBLEM_LOST },
    { ER_NET_READ_ERROR, DB_PROBLEM_LOST },
    { ER_NET_READ_INTERRUPTED, DB_PROBLEM_LOST },
    { ER_NET_ERROR_ON_WRITE, DB_PROBLEM_LOST },
    { ER_NET_WRITE_INTERRUPTED, DB_PROBLEM_LOST },
    { ER_NET_PACKETS_OUT_OF_ORDER, DB_PROBLEM_LOST },
    { ER_NET_PACKET_TOO_LARGE, DB_PROBLEM_LOST },
    { MARIADB_KILLED, DB_PROBLEM_LOST },
    { MARIADB_IDLE_TRANSACTION, DB_PROBLEM_LOST },
    { ER_ERROR_ON_WRITE, DB_PROBLEM_FILE },
    { ER_ERROR_ON_READ, DB_PROBLEM_FILE },
};

static enum db_problem number_problem(unsigned number)
{
    if (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR)
        return DB_PROBLEM_LOST; /* the client's own: 2006, 2013, 2055 … */
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].number == number)
            return numbers[i].problem;
    return DB_PROBLEM_STATEMENT;
}

enum db_fault mysql_fault(struct mysql_session *session, unsigned number, const char *text,
                          struct error *err)
{
    (void)session;
    if (number == ER_DUP_ENTRY) { /* "Duplicate entry 'a value' for key 'name'": not the value */
        const char *key = strstr(text, "for key ");
        text = key ? key : "";
    }
    return db_problem(number_problem(number), text, err);
}

enum db_fault mysql_command(struct mysql_session *session, const char *sql, struct error *err)
{
    MYSQL *handle = session->handle;

    if (mysql_real_query(handle, sql, strlen(sql)))
        return mysql_fault(session, mysql_errno(handle), mysql_error(handle), err);
    MYSQL_RES *rows = mysql_store_result(handle);
    if (!rows && mysql_field_count(handle))
        return mysql_fault(session, mysql_errno(handle), mysql_error(handle), err);
    mysql_free_result(rows);
    return DB_FAULT_NONE;
}

/* --- transactions ----------------------------------------------------------------------------- */

/* Readers see one state from begin to end, as on SQLite; changes see what is committed. */
static enum db_fault session_begin(struct db_session *base, bool read_only, struct error *err)
{
    struct mysql_session *session = mysql_of(base);

    session->reading = read_only;
    if (!read_only)
        return mysql_command(session, "START TRANSACTION", err);
    enum db_fault fault =
        mysql_command(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", err);
    if (fault != DB_FAULT_NONE)
        return fault;
    return mysql_command(session, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", err);
}

/*
 * A deadlock at COMMIT (Galera certifies there) has rolled back. Any other error leaves open
 * whether the transaction is in: that is for the caller to look up.
 */
static enum db_fault session_commit(struct db_session *base, struct error *err)
{
    enum db_fault fault = mysql_command(mysql_of(base), "COMMIT", err);

    return fault == DB_FAULT_NONE || fault == DB_FAULT_RETRY ? fault : DB_FAULT_LOST;
}

static enum db_fault session_rollback(struct db_session *base, struct error *err)
{
    return mysql_command(mysql_of(base), "ROLLBACK", err);
}

/* The same name again replaces the one before, so none needs to be released. */
static enum db_fault session_savepoint(struct db_session *base, struct error *err)
{
    return mysql_command(mysql_of(base), "SAVEPOINT task", err);
}

static enum db_fault session_release(struct db_session *base, struct error *err)
{
    (void)base;
    (void)err;
    return DB_FAULT_NONE;
}

static enum db_fault session_rollback_to(struct db_session *base, struct error *err)
{
    return mysql_command(mysql_of(base), "ROLLBACK TO SAVEPOINT task", err);
}

/* --- session ---------------------------------------------------------------------------------- */

/* A peer that is gone without a word is noticed within 15 s. */
static void keepalive_set(MYSQL *handle)
{
    int fd = mysql_get_socket(handle);
    static const struct {
        int level, option, value;
    } options[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 1 },       { IPPROTO_TCP, TCP_KEEPIDLE, 5 },
        { IPPROTO_TCP, TCP_KEEPINTVL, 3 },     { IPPROTO_TCP, TCP_KEEPCNT, 3 },
        { IPPROTO_TCP, TCP_USER_TIMEOUT, 15000 }, { IPPROTO_TCP, TCP_NODELAY, 1 },
    };

    /* on a Unix socket the TCP ones fail, which is fine */
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].option, &options[i].value,
                   sizeof options[i].value);
}

static int handle_open(struct mysql_session *session, struct error *err)
{
    const struct db *db = session->base.db;
    const struct db_url *url = &db->url;
    unsigned timeout_s = (unsigned)(db->connect_timeout_ms + 999) / 1000, local_infile = 0;
    unsigned protocol = url->socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    my_bool tls = db_url_wants_tls(url), verify = url->tls == DB_TLS_VERIFY;
    MYSQL *handle = session->handle = mysql_init(NULL);

    mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &timeout_s);
    mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &local_infile);
    mysql_options(handle, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &tls);
    mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    if (url->ca)
        mysql_options(handle, MYSQL_OPT_SSL_CA, url->ca);
    /* rows are counted when found, not only when changed: as the other databases do */
    if (!mysql_real_connect(handle, url->socket ? NULL : url->host, url->user, db->password,
                            url->database, (unsigned)url->port, url->socket, CLIENT_FOUND_ROWS))
        return error_set(err, ERR_UNAVAILABLE, "cannot reach the database: %s",
                         mysql_error(handle));
    /* to the library "enforce" means "where the server has it" */
    if (url->tls >= DB_TLS_REQUIRE && !mysql_get_ssl_cipher(handle))
        return error_set(err, ERR_UNAVAILABLE, "cannot reach the database: %s",
                         "the server has no TLS, and it is required");
    keepalive_set(handle);
    return 0;
}

/*
 * The SQL of the standard: "names", 'texts', ||, no backslashes, nothing cut silently.
 * wait_timeout: the server drops us, and our locks, when our minutely ping stays away.
 */
static const char *const session_sql[] = {
    "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,"
    "ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION'",
    "SET SESSION time_zone = '+00:00', wait_timeout = 180, autocommit = 1",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
};

static int answers_check(struct mysql_session *session, struct db_result *row, struct error *err)
{
    if (db_int(row, 0))
        return error_set(err, ERR_UNAVAILABLE, "the database server is a read-only replica");
    session->packet_max = (size_t)db_int(row, 4);
    if (session->base.db->durability_relaxed)
        return 0;
    /* 3 is MariaDB's 1 with the binary log's part made durable too */
    if (db_int(row, 1) != 1 && db_int(row, 1) != 3)
        return error_set(err, ERR_UNAVAILABLE,
                         "the database server runs without %s: a power cut would lose commits",
                         "innodb_flush_log_at_trx_commit=1");
    if (db_int(row, 2) && db_int(row, 3) != 1)
        return error_set(err, ERR_UNAVAILABLE,
                         "the database server runs without %s: a power cut would lose commits",
                         "sync_binlog=1");
    return 0;
}

static int version_check(struct mysql_session *session, struct error *err)
{
    unsigned long version = mysql_get_server_version(session->handle);
    bool mariadb = mariadb_connection(session->handle);
    unsigned long capabilities = 0;

    session->collation = mariadb ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin";
    /* the upper half of MARIADB_CLIENT_STMT_BULK_OPERATIONS */
    if (mariadb && mariadb_get_infov(session->handle,
                                     MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES,
                                     &capabilities) == 0)
        session->bulk = capabilities & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32);
    if (version >= (mariadb ? 100600UL : 80000UL))
        return 0;
    return error_set(err, ERR_UNAVAILABLE,
                     "the database server %s is too old, MariaDB 10.6 or MySQL 8 is the least",
                     mysql_get_server_info(session->handle));
}

static int session_configure(struct mysql_session *session, struct error *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    struct db_result *row;

    if (version_check(session, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof session_sql / sizeof *session_sql; i++)
        if (mysql_command(session, session_sql[i], err) != DB_FAULT_NONE)
            return -1;
    /* one that holds a row for long must not hold up a group */
    struct db_value lock_timeout = DB_I(session->base.db->lock_timeout_s);
    if (mysql_select(&session->base, arena, "SET SESSION innodb_lock_wait_timeout = ?",
                     &lock_timeout, 1, &row, err) != DB_FAULT_NONE)
        return -1;
    if (mysql_select(&session->base, arena,
                     "SELECT @@global.read_only OR @@global.innodb_read_only,"
                     " @@global.innodb_flush_log_at_trx_commit, @@global.log_bin,"
                     " @@global.sync_binlog, @@global.max_allowed_packet",
                     NULL, 0, &row, err) != DB_FAULT_NONE)
        return -1;
    return db_next(row) ? answers_check(session, row, err) : -1;
}

static void session_disconnect(struct db_session *base)
{
    struct mysql_session *session = mysql_of(base);

    db_statements_done(&session->statements);
    if (session->handle)
        mysql_close(session->handle);
    free(session);
}

static enum db_fault session_connect(struct db *db, bool log_store, bool read_only,
                                     struct db_session **ret_session, struct error *err)
{
    struct mysql_session *session = memory_alloc(sizeof *session);

    (void)log_store;
    (void)read_only;
    session->base.driver = &db_driver_mysql;
    session->base.db = db;
    session->packet_max = 1 << 20;
    db_statements_init(&session->statements, session, mysql_statement_free);
    if (handle_open(session, err) < 0 || session_configure(session, err) < 0) {
        session_disconnect(&session->base);
        return DB_FAULT_LOST;
    }
    *ret_session = &session->base;
    return DB_FAULT_NONE;
}

/* The client library's own set-up is not safe to be raced for by the workers. */
static void library_init(void)
{
    mysql_library_init(0, NULL, NULL);
}

static int driver_open(struct db *db, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)db;
    (void)err;
    pthread_once(&once, library_init);
    return 0;
}

/* --- the rest --------------------------------------------------------------------------------- */

static enum db_fault session_script(struct db_session *base, const char *sql, struct error *err)
{
    return mysql_command(mysql_of(base), sql, err);
}

/* After a crash between a CREATE, which commits by itself, and its count. */
static enum db_fault session_script_again(struct db_session *base, const char *sql,
                                          struct error *err)
{
    struct mysql_session *session = mysql_of(base);
    enum db_fault fault = mysql_command(session, sql, err);

    switch (fault == DB_FAULT_NONE ? 0 : mysql_errno(session->handle)) {
    case ER_TABLE_EXISTS_ERROR:
    case ER_DUP_FIELDNAME:
    case ER_DUP_KEYNAME:
    case ER_CANT_DROP_FIELD_OR_KEY:
    case ER_SAME_NAME_PARTITION:
        return DB_FAULT_NONE;
    default:
        return fault;
    }
}

static const char *session_collation(struct db_session *base)
{
    return mysql_of(base)->collation;
}

static enum db_fault session_last_id(struct db_session *base, int64_t *ret_id, struct error *err)
{
    (void)err;
    *ret_id = mysql_of(base)->last_id;
    return DB_FAULT_NONE;
}

static enum db_fault number_query(struct db_session *base, const char *sql, int64_t *ret_number,
                                  struct error *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    struct db_result *result;
    enum db_fault fault = mysql_select(base, arena, sql, NULL, 0, &result, err);

    if (fault == DB_FAULT_NONE)
        *ret_number = db_next(result) ? db_int(result, 0) : 0;
    return fault;
}

static enum db_fault session_clock(struct db_session *base, int64_t *ret_ms, struct error *err)
{
    return number_query(base, "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)", ret_ms, err);
}

/* Held by the session over the commits that CREATE makes. */
static enum db_fault session_migrate_lock(struct db_session *base, bool locked, struct error *err)
{
    int64_t got = 0;
    enum db_fault fault = number_query(
        base,
        locked ? "SELECT GET_LOCK(LEFT(CONCAT('belfry.', DATABASE()), 64), 60)"
               : "SELECT RELEASE_LOCK(LEFT(CONCAT('belfry.', DATABASE()), 64))",
        &got, err);

    if (fault == DB_FAULT_NONE && locked && got != 1)
        return db_problem(DB_PROBLEM_RACE, "another node migrates", err);
    return fault;
}

const struct db_driver db_driver_mysql = {
    .name = "mysql",
    .backend = DB_MYSQL,
    .open = driver_open,
    .connect = session_connect,
    .disconnect = session_disconnect,
    .begin = session_begin,
    .commit = session_commit,
    .rollback = session_rollback,
    .savepoint = session_savepoint,
    .savepoint_release = session_release,
    .savepoint_rollback = session_rollback_to,
    .exec = mysql_exec,
    .insert_new = mysql_insert_new,
    .query = mysql_select,
    .script = session_script,
    .script_again = session_script_again,
    .collation = session_collation,
    .last_id = session_last_id,
    .clock = session_clock,
    .migrate_lock = session_migrate_lock,
};
