#include "db/db-sqlite.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Is this the file that was there? SQLite takes an empty file for a new database, and a database
 * without its log for one that is whole. So each commit counts itself in a table, and once it is
 * durable also in the lock file beside it (which needs no fsync: it may lag, not lead). A database
 * that knows of fewer commits than the lock file has lost some: it is refused, never silently used.
 *
 * Whether its pages are whole is looked at in the background, one table at a time, so that no long
 * read keeps the log from being shortened.
 */

/* --- the count of commits --------------------------------------------------------------------- */

enum { MARK_SIZE = 20 }; /* 19 digits and a newline, always: written in place */

static int64_t mark_read(int fd)
{
    char text[MARK_SIZE];
    int64_t commits = 0;

    if (pread(fd, text, sizeof text, 0) != (ssize_t)sizeof text || text[MARK_SIZE - 1] != '\n' ||
        !number_parse((struct str){ text, MARK_SIZE - 1 }, 0, INT64_MAX, &commits))
        return 0;
    return commits;
}

static int64_t number_of(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = -1;

    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

int sqlite_mark_check(sqlite3 *handle, struct sqlite_store *store, struct error *err)
{
    int64_t marked = mark_read(store->lock_fd);
    int64_t tables = number_of(handle, "SELECT COUNT(*) FROM sqlite_schema WHERE name = "
                                       "'commit_mark'");
    int64_t stored = tables == 1 ? number_of(handle, "SELECT commits FROM commit_mark") : 0;

    if (tables < 0 || stored < 0)
        return error_set(err, ERR_IO, "cannot use %s: %s", store->main.path,
                         sqlite3_errmsg(handle));
    if (stored < marked)
        return error_set(err, ERR_IO,
                         "%s lacks its last %lld commits: restore it together with its -wal file, "
                         "or remove %s.lock to go on without them",
                         store->main.path, (long long)(marked - stored), store->main.path);
    if (tables == 0 &&
        sqlite3_exec(handle,
                     "BEGIN IMMEDIATE; CREATE TABLE commit_mark (commits INTEGER NOT NULL) STRICT;"
                     "INSERT INTO commit_mark VALUES (0); COMMIT",
                     NULL, NULL, NULL) != SQLITE_OK)
        return error_set(err, ERR_IO, "cannot use %s: %s", store->main.path,
                         sqlite3_errmsg(handle));
    store->commits = stored;
    return 0;
}

/* Best effort: a mark that lags only notices less. */
void sqlite_mark_write(struct sqlite_store *store)
{
    char text[MARK_SIZE + 1];

    store->commits++;
    snprintf(text, sizeof text, "%019lld\n", (long long)store->commits);
    ssize_t written = pwrite(store->lock_fd, text, MARK_SIZE, 0);
    (void)written;
}

/* --- the pages -------------------------------------------------------------------------------- */

/* Disk time that nobody else wants; where the call is refused the check is merely less polite. */
static void io_idle(void)
{
    enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_CLASS_IDLE_SHIFTED = 3 << 13 };

    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_IDLE_SHIFTED);
}

static void damage_note(struct sqlite_file *file, const char *text)
{
    LOG_ERROR("the database file is damaged", "file", file->path, "what", text, "next",
              "stop, keep the file, restore a backup");
    pthread_mutex_lock(&file->lock);
    if (!file->damage)
        file->damage = memory_strdup(text);
    pthread_mutex_unlock(&file->lock);
}

static bool check_stopping(struct sqlite_file *file)
{
    pthread_mutex_lock(&file->lock);
    bool stopping = file->stopping;
    pthread_mutex_unlock(&file->lock);
    return stopping;
}

/* Called by SQLite every so many steps. */
static int check_interrupted(void *context)
{
    return check_stopping(context);
}

static void table_check(struct sqlite_file *file, sqlite3 *handle, const char *table)
{
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("PRAGMA quick_check(%Q)", table);
    int code = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);

    sqlite3_free(sql);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        if (strcmp(text, "ok") != 0)
            damage_note(file, text);
    } else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
        damage_note(file, sqlite3_errmsg(handle));
    }
    sqlite3_finalize(statement);
}

/* The next table by name after this one; NULL at the end. Free with sqlite3_free. */
static char *table_after(struct sqlite_file *file, sqlite3 *handle, const char *name)
{
    static const char sql[] =
        "SELECT MIN(name) FROM sqlite_schema WHERE type = 'table' AND name > ?";
    sqlite3_stmt *statement = NULL;
    char *next = NULL;
    int code = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_TEXT)
        next = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0));
    else if (code == SQLITE_CORRUPT)
        damage_note(file, sqlite3_errmsg(handle));
    sqlite3_finalize(statement);
    return next;
}

static void *check_main(void *argument)
{
    struct sqlite_file *file = argument;
    sqlite3 *handle = NULL;
    char *name, *next;
    struct error err;

    log_service_set("db");
    io_idle();
    if (sqlite_handle_open(file, true, &handle, &err) < 0)
        return NULL;
    sqlite3_progress_handler(handle, 10000, check_interrupted, file);
    name = table_after(file, handle, "");
    for (; name && !check_stopping(file); name = next) {
        table_check(file, handle, name);
        next = table_after(file, handle, name);
        sqlite3_free(name);
    }
    sqlite3_free(name);
    sqlite3_close(handle);
    return NULL;
}

int sqlite_check_start(struct sqlite_file *file, struct error *err)
{
    if (db_thread_start(&file->check_thread, "check", check_main, file, err) < 0)
        return -1;
    file->checking = true;
    return 0;
}

int sqlite_store_ready(struct db *db, struct error *err)
{
    struct sqlite_store *store = db->driver_data;
    struct sqlite_file *file = &store->main;

    pthread_mutex_lock(&file->lock);
    int result = !file->damage ? 0
                               : error_set(err, ERR_IO, "%s is damaged (%s): restore a backup",
                                           file->path, file->damage);
    pthread_mutex_unlock(&file->lock);
    return result;
}
