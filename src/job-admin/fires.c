#include "job-admin/api.h"
#include "job-admin/job-api.h"
#include "job-admin/run-api.h"

#include <stdlib.h>

/* Fires to come: of a job, and of all in a window. */

enum { FIRES_MAX = 1000, JOBS_MAX = 20000 };
#define WEEK_MS (INT64_C(7) * 86400000)

struct fire_view {
    int64_t fire_at;
    int32_t job_id;
    char *job, *group;
};

static const struct json_member fire_members[] = {
    { .name = "fire_at", .type = JSON_TIME, .offset = offsetof(struct fire_view, fire_at) },
    { .name = "job_id", .type = JSON_INT32, .offset = offsetof(struct fire_view, job_id) },
    { .name = "job", .type = JSON_TEXT, .offset = offsetof(struct fire_view, job) },
    { .name = "group", .type = JSON_TEXT, .offset = offsetof(struct fire_view, group) },
    { 0 },
};
const struct json_table fire_table = { "Fire", sizeof(struct fire_view), fire_members };

struct fires_op {
    struct admin *admin;
    struct request *request;
    struct arena *arena;
    int64_t job_id;           /* 0: all */
    const char *group;
    int64_t from, to, limit;
    struct job *jobs;
    size_t job_count;
    bool missing;
    struct fire_view *fires;
    size_t count;
};

static int jobs_read(struct db_tx *tx, struct fires_op *op, struct error *err)
{
    struct job_list_op list = { .request = op->request, .arena = op->arena, .group = op->group,
                                .enabled = 1, .limit = JOBS_MAX };

    if (store_job_list(tx, &list, err))
        return -1;
    op->jobs = list.jobs;
    op->job_count = list.count;
    return 0;
}

static int fires_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct fires_op *op = ctx;

    if (!op->job_id)
        return jobs_read(tx, op, err);
    op->jobs = ARENA_NEW(op->arena, struct job);
    int found = store_job_find(tx, op->arena, op->job_id, false, op->jobs, err);
    op->missing = found == 0;
    op->job_count = found == 1;
    return found < 0 ? -1 : 0;
}

static int fire_compare(const void *a, const void *b)
{
    const struct fire_view *x = a, *y = b;

    if (x->fire_at != y->fire_at)
        return x->fire_at < y->fire_at ? -1 : 1;
    return x->job_id < y->job_id ? -1 : x->job_id > y->job_id;
}

/* Keeps the `limit` earliest: when the list is twice as long it is sorted and cut. */
static void fire_add(struct fires_op *op, const struct job *job, int64_t fire_at)
{
    if (op->count == 2 * (size_t)op->limit) {
        qsort(op->fires, op->count, sizeof *op->fires, fire_compare);
        op->count = (size_t)op->limit;
    }
    op->fires[op->count++] = (struct fire_view){ .fire_at = fire_at, .job_id = job->id,
                                                 .job = job->name, .group = job->group };
}

static void job_fires(struct fires_op *op, const struct job *job)
{
    struct job_entry *entry = NULL;
    struct error err;
    int64_t after = op->from - 1;

    if (!job->enabled || job_entry_new(job, op->admin->zones, &entry, &err))
        return;
    if (job->paused_until > after)
        after = job->paused_until - 1; /* a fire at the very end of the pause fires */
    if (entry->schedule.kind == SCHEDULE_DELAY) {
        if (job->next_fire_at > after && job->next_fire_at <= op->to)
            fire_add(op, job, job->next_fire_at);
    } else {
        for (int64_t i = 0; i < op->limit; i++) {
            after = schedule_next(&entry->schedule, after);
            if (after == SCHEDULE_NEVER || after > op->to)
                break;
            fire_add(op, job, after);
        }
    }
    job_entry_free(&entry);
}

static void fires_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct fires_op *op = ctx;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
        return;
    }
    if (op->missing) {
        job_missing(op->request, op->job_id);
        return;
    }
    if (op->job_id && request_require(op->request, PERM_VIEW, op->jobs[0].group_id))
        return;
    op->fires = ARENA_ARRAY(op->arena, struct fire_view, 2 * (size_t)op->limit);
    for (size_t i = 0; i < op->job_count; i++)
        job_fires(op, &op->jobs[i]);
    qsort(op->fires, op->count, sizeof *op->fires, fire_compare);
    list_page_answer(op->request, &fire_table, op->fires, sizeof *op->fires, op->count,
                (size_t)op->limit, NULL);
}

static void fires_start(struct request *request, struct fires_op *op)
{
    struct error err;
    int64_t now_ms = admin_now_ms(op->admin);

    if (request_query_time(request, "from", now_ms, &op->from) ||
        request_query_time(request, "to", op->from + WEEK_MS, &op->to) ||
        request_query_int(request, "limit", 1, FIRES_MAX, 100, &op->limit))
        return;
    if (op->to < op->from) {
        error_set_at(&err, ERR_INVALID, "query.to", "to must not be before from");
        request_fail(request, &err);
        return;
    }
    db_submit_read(op->admin->node->db, DB_POOL_API, fires_fn, op, fires_done);
}

static struct fires_op *fires_op_new(struct request *request)
{
    struct fires_op *op = ARENA_NEW(request->arena, struct fires_op);

    op->admin = request->state;
    op->request = request;
    op->arena = request->arena;
    return op;
}

void api_job_fires_list(struct request *request)
{
    struct fires_op *op = fires_op_new(request);

    if (request_param_id(request, 0, INT32_MAX, &op->job_id) == 0)
        fires_start(request, op);
}

void api_fires_list(struct request *request)
{
    struct fires_op *op = fires_op_new(request);

    if (request_query_text(request, "group", &op->group) == 0)
        fires_start(request, op);
}
