#ifndef BELFRY_DB_DB_SQLITE_H
#define BELFRY_DB_DB_SQLITE_H

#include "db/db-private.h"

#include <sqlite3.h>

struct sqlite_session {
    struct db_session base;
    sqlite3 *handle;
    struct db_statements statements;
    sqlite3_stmt *control[7]; /* transactions, by enum sqlite_control */
    sqlite3_stmt *mark; /* counts a commit; the writer of the database only */
    struct sqlite_file *file;
};

/* One of the two files of a store: the database, or the run logs. */
struct sqlite_file {
    char *path;
    bool relaxed; /* may lose its last second in a power cut: run logs, or all by the settings */
    /* the checkpointer's part, see db-sqlite-file.c */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, stopping, wanted;
    _Atomic bool finish_wanted; /* the bulk is copied: the writer does what is left */
    /* the check's part, see db-sqlite-check.c */
    pthread_t check_thread;
    bool checking;
    char *damage; /* what is wrong with its pages, under lock; NULL: nothing known */
};

struct sqlite_store {
    struct sqlite_file main, log;
    int lock_fd;
    int64_t commits; /* the writer's: how many are durable */
};

/* What an SQLite result code means; ends the process where going on would risk stored data. */
enum db_fault sqlite_fault(sqlite3 *handle, int code, struct error *err);

int sqlite_store_open(struct db *db, struct error *err);
int sqlite_store_opened(struct db *db, struct error *err);
void sqlite_store_close(struct db *db);
/* Opens the handle with everything a session of its kind needs. */
int sqlite_handle_open(struct sqlite_file *file, bool read_only, sqlite3 **ret_handle,
                       struct error *err);
/* Refuses a database that has lost commits; the writer's handle, before anything else. */
int sqlite_mark_check(sqlite3 *handle, struct sqlite_store *store, struct error *err);
/* After a durable commit that counted itself. */
void sqlite_mark_write(struct sqlite_store *store);
int sqlite_check_start(struct sqlite_file *file, struct error *err);
int sqlite_store_ready(struct db *db, struct error *err);
/* Writer: is told of the log's length by SQLite after each commit. */
void sqlite_checkpoint_watch(struct sqlite_session *session);
/* Writer, between groups. */
void sqlite_checkpoint_finish(struct sqlite_session *session);

#endif
