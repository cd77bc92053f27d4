#ifndef BELFRY_JOB_ADMIN_JOB_API_H
#define BELFRY_JOB_ADMIN_JOB_API_H

#include "job-admin/admin.h"
#include "service/audit.h"

/* Operations on jobs on their way through the store: job-api.c and store-job.c. */

struct job_list_op {
    struct admin *admin;
    struct request *request;
    struct arena *arena;
    const char *group, *name, *owner, *tag, *search_pattern;
    int64_t enabled;              /* -1: both */
    int64_t after_id, limit;
    struct job *jobs;             /* up to limit + 1 */
    size_t count;
};

struct job_create_op {
    struct admin *admin;
    struct request *request;
    struct arena *arena;
    struct job *job;
    const char *definition;
    struct list link;
};

struct job_change_op {
    struct admin *admin;
    struct request *request;
    struct arena *arena;
    int64_t id, now_ms;
    int tries;
    struct job *old;              /* as read */
    struct job *job;              /* as it shall be */
    struct job *input;            /* of the request, or NULL */
    int64_t until;                /* of a pause */
    int64_t if_match;             /* 0: not asked */
    enum permission permission;
    bool check_group, remove_planned, stale;
    const char *action, *detail, *definition;
    struct plan_gap gaps[3];
    size_t gap_count;
    int64_t *live_runs;
    size_t live_count;
    /* Makes job, gaps and the rest from old; on the loop. Errors go to the caller. */
    int (*change)(struct job_change_op *op, struct error *err);
    db_fn *write;
};

int job_row_read(const struct db_result *result, struct arena *arena, struct job *ret_job,
                 struct error *err);
int store_job_list(struct db_tx *tx, void *op, struct error *err);
int store_job_create(struct db_tx *tx, void *op, struct error *err);
int store_job_change(struct db_tx *tx, void *op, struct error *err);
int store_job_delete(struct db_tx *tx, void *op, struct error *err);

#endif
