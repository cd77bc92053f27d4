#ifndef BELFRY_JOB_ADMIN_LOG_STORE_H
#define BELFRY_JOB_ADMIN_LOG_STORE_H

#include "job-admin/admin.h"

/* Lines of a run's log: stored as compressed chunks, read back by line number. */

struct log_line {
    int64_t line;             /* from 1 within the attempt */
    int64_t time;
    char *stream;             /* "stdout", "stderr" */
    char *text;
};
extern const struct json_table log_line_table;

struct log_read {
    int64_t run_id;
    int32_t attempt;
    int64_t from_line;        /* first line wanted */
    int64_t limit;            /* lines at most */
    const char *search;       /* only lines that contain it; NULL: all */
    /* results, in arena */
    struct arena *arena;
    struct log_line *lines;
    size_t count;
    int64_t next_line;        /* where to go on */
    int64_t dropped;          /* bytes, as of the last chunk seen */
    bool complete;            /* the last chunk was among those read: nothing follows */
};

/* Pool LOG, read. */
int store_log_read(struct db_tx *tx, void *read, struct error *err);

struct log_write {
    const struct admin_log *log;
    struct arena *arena;
};
int store_log_write(struct db_tx *tx, void *write, struct error *err);

#endif
