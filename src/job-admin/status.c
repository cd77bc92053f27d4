#include "job-admin/api.h"
#include "job-admin/job-api.h"
#include "job-admin/run-api.h"

#include "base/clock.h"

#include <stdlib.h>

/* The status page of a job: last runs, next fires, success rate, usual duration. */

enum { ENDED_MAX = 100, LAST_RUNS = 20, NEXT_FIRES = 5 };

struct status_view {
    int32_t job_id;
    char *job, *group;
    bool enabled;
    int64_t paused_until;
    char **next_fires;
    size_t next_fire_count;
    struct run_view *last_runs;
    size_t last_run_count;
    int64_t ended, succeeded;  /* of the last 100 ended runs */
    double success_rate;       /* 0 … 1; -1: nothing has ended yet */
    int64_t usual_duration_ms; /* median of those that succeeded; -1: none */
    int64_t long_duration_ms;  /* 95 of 100 were not longer; -1: none */
    int64_t lateness_p95_ms;   /* of scheduled runs; -1: none */
};

static const struct json_member status_members[] = {
    { .name = "job_id", .type = JSON_INT32, .offset = offsetof(struct status_view, job_id) },
    { .name = "job", .type = JSON_TEXT, .offset = offsetof(struct status_view, job) },
    { .name = "group", .type = JSON_TEXT, .offset = offsetof(struct status_view, group) },
    { .name = "enabled", .type = JSON_BOOL, .offset = offsetof(struct status_view, enabled) },
    { .name = "paused_until",
      .type = JSON_TIME,
      .offset = offsetof(struct status_view, paused_until) },
    { .name = "next_fires",
      .type = JSON_ARRAY,
      .offset = offsetof(struct status_view, next_fires),
      .count_offset = offsetof(struct status_view, next_fire_count),
      .element = JSON_TEXT },
    { .name = "ended",
      .type = JSON_INT,
      .offset = offsetof(struct status_view, ended),
      .about = "runs that the figures are made from, at most the last 100" },
    { .name = "succeeded", .type = JSON_INT, .offset = offsetof(struct status_view, succeeded) },
    { .name = "success_rate",
      .type = JSON_DOUBLE,
      .offset = offsetof(struct status_view, success_rate) },
    { .name = "usual_duration_ms",
      .type = JSON_INT,
      .offset = offsetof(struct status_view, usual_duration_ms),
      .about = "median" },
    { .name = "long_duration_ms",
      .type = JSON_INT,
      .offset = offsetof(struct status_view, long_duration_ms),
      .about = "95th percentile" },
    { .name = "lateness_p95_ms",
      .type = JSON_INT,
      .offset = offsetof(struct status_view, lateness_p95_ms) },
    { .name = "last_runs",
      .type = JSON_ARRAY,
      .offset = offsetof(struct status_view, last_runs),
      .count_offset = offsetof(struct status_view, last_run_count),
      .sub = &run_item_table },
    { 0 },
};
const struct json_table job_status_table = { "JobStatus", sizeof(struct status_view),
                                             status_members };

struct status_op {
    struct run_list_op list;
    struct job job;
    bool missing;
};

static int status_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct status_op *op = ctx;
    int found = store_job_find(tx, op->list.arena, op->list.job_id, false, &op->job, err);

    op->missing = found == 0;
    if (found != 1)
        return found;
    return store_run_list(tx, &op->list, err);
}

static int number_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* Nearest-rank percentile; -1 of nothing. Sorts. */
static int64_t percentile(int64_t *numbers, size_t count, unsigned percent)
{
    if (count == 0)
        return -1;
    qsort(numbers, count, sizeof *numbers, number_compare);
    return numbers[(count * percent + 99) / 100 - 1];
}

static void figures_fill(struct status_view *view, struct status_op *op)
{
    int64_t durations[ENDED_MAX], latenesses[ENDED_MAX];
    size_t duration_count = 0, lateness_count = 0;

    for (size_t i = 0; i < op->list.count && view->ended < ENDED_MAX; i++) {
        const struct run_view *run = &op->list.runs[i];
        bool judged = run->state_id == RUN_SUCCEEDED || run->state_id == RUN_FAILED ||
                      run->state_id == RUN_TIMED_OUT || run->state_id == RUN_UNKNOWN;
        if (!judged)
            continue;
        view->ended++;
        if (run->started_at && !run->fire_key[0])
            latenesses[lateness_count++] = run->lateness_ms;
        if (run->state_id != RUN_SUCCEEDED)
            continue;
        view->succeeded++;
        if (run->duration_ms >= 0)
            durations[duration_count++] = run->duration_ms;
    }
    view->success_rate = view->ended ? (double)view->succeeded / (double)view->ended : -1;
    view->usual_duration_ms = percentile(durations, duration_count, 50);
    view->long_duration_ms = percentile(durations, duration_count, 95);
    view->lateness_p95_ms = percentile(latenesses, lateness_count, 95);
}

static void next_fires_fill(struct status_view *view, struct status_op *op)
{
    struct job_entry *entry = NULL;
    struct error err;
    int64_t at = admin_now_ms(op->list.admin);

    view->next_fires = ARENA_ARRAY(op->list.arena, char *, NEXT_FIRES);
    if (!op->job.enabled || job_entry_new(&op->job, op->list.admin->zones, &entry, &err))
        return;
    if (op->job.paused_until > at)
        at = op->job.paused_until - 1;
    bool delay = entry->schedule.kind == SCHEDULE_DELAY;
    while (view->next_fire_count < NEXT_FIRES) {
        at = delay ? op->job.next_fire_at : schedule_next(&entry->schedule, at);
        if (at == SCHEDULE_NEVER || at == 0)
            break;
        char *text = arena_alloc(op->list.arena, TIME_TEXT_SIZE);
        view->next_fires[view->next_fire_count++] = time_format_utc(at, text);
        if (delay)
            break;
    }
    job_entry_free(&entry);
}

static void status_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct status_op *op = ctx;
    struct request *request = op->list.request;

    if (outcome != DB_OK) {
        request_fail_outcome(request, (int)outcome, err);
        return;
    }
    if (op->missing) {
        job_missing(request, op->list.job_id);
        return;
    }
    if (request_require(request, PERM_VIEW, op->job.group_id))
        return;
    struct status_view view = { .job_id = op->job.id,
                                .job = op->job.name,
                                .group = op->job.group,
                                .enabled = op->job.enabled,
                                .paused_until = op->job.paused_until };
    for (size_t i = 0; i < op->list.count; i++)
        run_view_complete(&op->list.runs[i], request->language, op->list.arena);
    figures_fill(&view, op);
    next_fires_fill(&view, op);
    view.last_runs = op->list.runs;
    view.last_run_count = op->list.count < LAST_RUNS ? op->list.count : LAST_RUNS;
    request_answer(request, 200, &job_status_table, &view);
}

void api_job_status(struct request *request)
{
    struct status_op *op = ARENA_NEW(request->arena, struct status_op);

    op->list = (struct run_list_op){ .admin = request->state,
                                     .request = request,
                                     .arena = request->arena,
                                     .to = admin_now_ms(request->state), /* not what is planned */
                                     .limit = 2 * ENDED_MAX };
    if (request_param_id(request, 0, INT32_MAX, &op->list.job_id) == 0)
        db_submit_read(op->list.admin->node->db, DB_POOL_API, status_fn, op, status_done);
}
