#ifndef BELFRY_DB_DB_SQLITE_H
#define BELFRY_DB_DB_SQLITE_H

#include "db/db-private.h"

#include <sqlite3.h>

struct sqlite_session {
    struct db_session base;
    sqlite3 *handle;
    struct db_statements statements;
    sqlite3_stmt *control[7]; /* by enum sqlite_control */
    struct sqlite_file *file;
};

/* One of the two files of a store: the database, or the run logs. */
struct sqlite_file {
    char *path;
    bool log_store;
    /* the checkpointer's part, see db-sqlite-file.c */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, stopping, wanted;
    _Atomic bool finish_wanted; /* the bulk is copied: the writer does what is left */
};

struct sqlite_store {
    struct sqlite_file main, log;
    int lock_fd;
};

/* What an SQLite result code means; ends the process where going on would risk stored data. */
enum db_fault sqlite_fault(sqlite3 *handle, int code, struct error *err);

int sqlite_store_open(struct db *db, struct error *err);
void sqlite_store_close(struct db *db);
/* Opens the handle with everything a session of its kind needs. */
int sqlite_handle_open(struct sqlite_file *file, bool read_only, sqlite3 **ret_handle,
                       struct error *err);
/* Writer: is told of the log's length by SQLite after each commit. */
void sqlite_checkpoint_watch(struct sqlite_session *session);
/* Writer, between groups. */
void sqlite_checkpoint_finish(struct sqlite_session *session);

#endif
