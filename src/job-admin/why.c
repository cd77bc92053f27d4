#include "job-admin/api.h"
#include "job-admin/job-api.h"
#include "job-admin/run-api.h"

#include "base/clock.h"

/*
 * Why a job ran, or did not, at a time, past or to come. What is said comes from rows: the run, a
 * gap, the version of the job that was valid then, or where the job stands now.
 */

struct trace_item {
    int64_t at;
    char *kind, *text;
};

struct why_view {
    int32_t job_id;
    char *job, *group, *outcome;
    int64_t at;
    struct cause_view cause;
    struct run_view *run;
    int64_t gap_from, gap_to, gap_fires;
    struct trace_item *trace;
    size_t trace_count;
    int64_t previous_fire_at, next_fire_at;
};

static const struct json_member trace_members[] = {
    { .name = "at", .type = JSON_TIME, .offset = offsetof(struct trace_item, at) },
    { .name = "kind", .type = JSON_TEXT, .offset = offsetof(struct trace_item, kind) },
    { .name = "text", .type = JSON_TEXT, .offset = offsetof(struct trace_item, text) },
    { 0 },
};
static const struct json_table trace_table = { "TraceItem", sizeof(struct trace_item),
                                               trace_members };

static const struct json_member why_members[] = {
    { .name = "job_id", .type = JSON_INT32, .offset = offsetof(struct why_view, job_id) },
    { .name = "job", .type = JSON_TEXT, .offset = offsetof(struct why_view, job) },
    { .name = "group", .type = JSON_TEXT, .offset = offsetof(struct why_view, group) },
    { .name = "at", .type = JSON_TIME, .offset = offsetof(struct why_view, at) },
    { .name = "outcome", .type = JSON_TEXT, .offset = offsetof(struct why_view, outcome),
      .about = "state of the run, or NOT_RUN, NO_FIRE, EXPECTED, PENDING, UNEXPLAINED" },
    { .name = "cause", .type = JSON_STRUCT, .offset = offsetof(struct why_view, cause),
      .sub = &cause_table },
    { .name = "run", .type = JSON_OBJECT, .offset = offsetof(struct why_view, run),
      .sub = &run_table },
    { .name = "gap_from", .type = JSON_TIME, .offset = offsetof(struct why_view, gap_from),
      .flags = JSON_OMIT_EMPTY, .about = "first fire of the gap" },
    { .name = "gap_to", .type = JSON_TIME, .offset = offsetof(struct why_view, gap_to),
      .flags = JSON_OMIT_EMPTY, .about = "last fire of the gap" },
    { .name = "gap_fires", .type = JSON_INT, .offset = offsetof(struct why_view, gap_fires),
      .flags = JSON_OMIT_EMPTY },
    { .name = "trace", .type = JSON_ARRAY, .offset = offsetof(struct why_view, trace),
      .count_offset = offsetof(struct why_view, trace_count), .sub = &trace_table },
    { .name = "previous_fire_at", .type = JSON_TIME,
      .offset = offsetof(struct why_view, previous_fire_at) },
    { .name = "next_fire_at", .type = JSON_TIME, .offset = offsetof(struct why_view, next_fire_at) },
    { 0 },
};
const struct json_table why_table = { "Why", sizeof(struct why_view), why_members };

struct why_op {
    struct admin *admin;
    struct request *request;
    struct arena *arena;
    int64_t job_id, at, now_ms;
    bool missing, deleted, has_run, has_gap, has_version;
    struct job job;           /* as it is now, or its newest version */
    struct job then;          /* the version valid at the time */
    struct run_view run;
    int64_t gap_from, gap_to, gap_fires;
    enum cause gap_cause;
    struct why_view view;
};

/* --- rows ------------------------------------------------------------------------------------------------- */

static int version_read(struct db_tx *tx, struct why_op *op, struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, op->arena, &result, err,
                 "SELECT definition, schedule_version FROM job_version WHERE job_id = ? AND "
                 "valid_from <= ? ORDER BY version DESC LIMIT 1",
                 DB_I(op->job_id), DB_I(op->at)))
        return -1;
    op->has_version = db_next(result);
    if (!op->has_version)
        return 0;
    if (job_definition_read(&op->then, db_text(result, 0), op->arena, err))
        return -1;
    op->then.id = (int32_t)op->job_id;
    op->then.schedule_version = (int32_t)db_int(result, 1);
    return 0;
}

/* A deleted job lives on in its versions; its group in its runs. */
static int deleted_read(struct db_tx *tx, struct why_op *op, struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, op->arena, &result, err,
                 "SELECT definition FROM job_version WHERE job_id = ? ORDER BY version DESC LIMIT 1",
                 DB_I(op->job_id)))
        return -1;
    op->missing = !db_next(result);
    if (op->missing)
        return 0;
    op->deleted = true;
    if (job_definition_read(&op->job, db_text(result, 0), op->arena, err))
        return -1;
    op->job.id = (int32_t)op->job_id;
    int found = store_group_by_name(tx, op->arena, op->job.group, &op->job.group_id, err);
    return found < 0 ? -1 : 0;
}

static int gap_read(struct db_tx *tx, struct why_op *op, struct error *err)
{
    struct db_result *result;

    if (DB_QUERY(tx, op->arena, &result, err,
                 "SELECT from_at, to_at, fires, cause FROM fire_gap WHERE job_id = ? AND "
                 "from_at <= ? AND to_at >= ? ORDER BY created_at DESC LIMIT 1",
                 DB_I(op->job_id), DB_I(op->at), DB_I(op->at)))
        return -1;
    op->has_gap = db_next(result);
    if (!op->has_gap)
        return 0;
    op->gap_from = db_int(result, 0);
    op->gap_to = db_int(result, 1);
    op->gap_fires = db_int(result, 2);
    op->gap_cause = (enum cause)db_int(result, 3);
    return 0;
}

/* People name seconds; runs by hand stand at milliseconds: the first one in that second. */
static int run_near(struct db_tx *tx, struct why_op *op, struct error *err)
{
    struct db_result *result;
    int64_t second = op->at / 1000 * 1000;

    int found = store_run_at(tx, op->arena, op->job_id, op->at, &op->run, err);
    if (found != 0 || op->at != second)
        return found;
    if (DB_QUERY(tx, op->arena, &result, err,
                 "SELECT id FROM run WHERE job_id = ? AND fire_at > ? AND fire_at < ? AND day = ? "
                 "ORDER BY fire_at LIMIT 1",
                 DB_I(op->job_id), DB_I(second), DB_I(second + 1000), DB_I(time_day(second))))
        return -1;
    return db_next(result) ? store_run_find(tx, op->arena, db_int(result, 0), &op->run, err) : 0;
}

static int why_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct why_op *op = ctx;

    op->deleted = op->missing = false;
    int found = store_job_find(tx, op->arena, op->job_id, false, &op->job, err);
    if (found < 0 || (found == 0 && deleted_read(tx, op, err)))
        return -1;
    if (op->missing)
        return 0;
    found = run_near(tx, op, err);
    if (found < 0)
        return -1;
    op->has_run = found == 1;
    return version_read(tx, op, err) || gap_read(tx, op, err) ? -1 : 0;
}

/* --- the answer ------------------------------------------------------------------------------------------- */

static void verdict(struct why_op *op, const char *outcome, const char *kind, const char *english)
{
    const char *chinese = op->request->language == LANGUAGE_ZH ? message_chinese(english) : NULL;

    op->view.outcome = arena_strdup(op->arena, outcome);
    op->view.cause.kind = arena_strdup(op->arena, kind);
    op->view.cause.text = arena_strdup(op->arena, chinese ? chinese : english);
}

static void verdict_cause(struct why_op *op, const char *outcome, enum cause cause)
{
    op->view.outcome = arena_strdup(op->arena, outcome);
    op->view.cause.kind = arena_strdup(op->arena, cause_name(cause));
    op->view.cause.text = cause_text(cause, op->request->language, op->arena);
}

static void trace_add(struct why_op *op, int64_t at, const char *kind, const char *english,
                      const char *what)
{
    const char *chinese = op->request->language == LANGUAGE_ZH ? message_chinese(english) : NULL;

    if (!at)
        return;
    op->view.trace[op->view.trace_count++] = (struct trace_item){
        .at = at,
        .kind = arena_strdup(op->arena, kind),
        .text = arena_printf(op->arena, "%s%s%s", chinese ? chinese : english, what ? ": " : "",
                             what ? what : ""),
    };
}

static void trace_attempt(struct why_op *op, const struct attempt_view *attempt)
{
    trace_add(op, attempt->dispatched_at, "dispatched", "given to an executor", attempt->executor);
    trace_add(op, attempt->started_at, "started", "started on", attempt->executor);
    trace_add(op, attempt->ended_at, "ended", "ended",
              arena_printf(op->arena, "%s, %s%s%s", attempt->state, attempt->cause.text,
                           attempt->message ? ": " : "",
                           attempt->message ? attempt->message : ""));
}

static void trace_fill(struct why_op *op)
{
    const struct run_view *run = &op->run;

    op->view.trace =
        ARENA_ARRAY(op->arena, struct trace_item, 8 + 3 * run->attempt_count + run->note_count);
    trace_add(op, run->planned_at, "planned", "planned", cause_text(run->origin_id,
              op->request->language, op->arena));
    trace_add(op, run->ready_at, "ready", "due, and nothing to wait for", NULL);
    for (size_t i = 0; i < run->attempt_count; i++)
        trace_attempt(op, &run->attempts[i]);
    for (size_t i = 0; i < run->note_count; i++)
        trace_add(op, run->notes[i].at, run->notes[i].kind, run->notes[i].kind, run->notes[i].text);
    trace_add(op, run->stop_at, "stop", "stop was asked for by", run->stop_by);
    if (!run->attempt_count)
        trace_add(op, run->ended_at, "ended", "ended", run->cause.text);
}

static bool is_fire(const struct job_entry *entry, int64_t at)
{
    return schedule_next(&entry->schedule, at - 1) == at;
}

static void run_verdict(struct why_op *op)
{
    run_view_complete(&op->run, op->request->language, op->arena);
    op->view.outcome = op->run.state;
    op->view.cause = op->run.cause;
    op->view.run = &op->run;
    trace_fill(op);
}

/* A fire that is still to come. */
static void future_verdict(struct why_op *op)
{
    if (!op->job.enabled)
        verdict_cause(op, "NOT_RUN", CAUSE_DISABLED);
    else if (op->job.paused_until > op->at)
        verdict_cause(op, "NOT_RUN", CAUSE_PAUSED);
    else
        verdict(op, "EXPECTED", "expected", "it will fire then");
}

/* A fire of the past without a run and without a gap. */
static void past_verdict(struct why_op *op)
{
    const struct job *job = &op->job;

    if (!op->deleted && !job->enabled && job->disabled_at <= op->at)
        verdict_cause(op, "NOT_RUN", CAUSE_DISABLED);
    else if (!op->deleted && job->paused_at && job->paused_at <= op->at &&
             op->at < job->paused_until)
        verdict_cause(op, "NOT_RUN", CAUSE_PAUSED);
    else if (!op->deleted && job->next_fire_at && job->next_fire_at <= op->at)
        verdict(op, "PENDING", "pending", "due, and not decided yet: the scheduler is behind");
    else if (op->deleted)
        verdict_cause(op, "NOT_RUN", CAUSE_DELETED);
    else
        verdict(op, "UNEXPLAINED", "unexplained", "no record of this fire: please report this");
}

static void fire_verdict(struct why_op *op)
{
    struct job_entry *entry = NULL;
    struct error err;

    if (!op->has_version) {
        verdict(op, "NO_FIRE", "before_creation", "the job did not exist then");
        return;
    }
    if (job_entry_new(op->at > op->now_ms ? &op->job : &op->then, op->admin->zones, &entry, &err)) {
        verdict(op, "NO_FIRE", "not_scheduled", "the schedule has no fire at this time");
        return;
    }
    bool fire = is_fire(entry, op->at) || (entry->schedule.kind == SCHEDULE_DELAY &&
                                           op->job.next_fire_at == op->at);
    int64_t previous = schedule_previous(&entry->schedule, op->at);
    int64_t next = schedule_next(&entry->schedule, op->at);
    op->view.previous_fire_at = previous == SCHEDULE_NONE ? 0 : previous;
    op->view.next_fire_at = next == SCHEDULE_NEVER ? 0 : next;
    job_entry_free(&entry);
    if (!fire)
        verdict(op, "NO_FIRE", "not_scheduled", "the schedule has no fire at this time");
    else if (op->has_gap)
        verdict_cause(op, "NOT_RUN", op->gap_cause);
    else if (op->at > op->now_ms && !op->deleted)
        future_verdict(op);
    else
        past_verdict(op);
    if (fire && op->has_gap) {
        op->view.gap_from = op->gap_from;
        op->view.gap_to = op->gap_to;
        op->view.gap_fires = op->gap_fires;
    }
}

static void why_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct why_op *op = ctx;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
        return;
    }
    if (op->missing) {
        job_missing(op->request, op->job_id);
        return;
    }
    if (request_require(op->request, PERM_VIEW, op->job.group_id))
        return;
    op->view.job_id = (int32_t)op->job_id;
    op->view.job = op->job.name;
    op->view.group = op->job.group;
    op->view.at = op->at;
    if (op->has_run)
        run_verdict(op);
    else
        fire_verdict(op);
    request_answer(op->request, 200, &why_table, &op->view);
}

void api_job_why(struct request *request)
{
    struct why_op *op = ARENA_NEW(request->arena, struct why_op);

    op->admin = request->state;
    op->request = request;
    op->arena = request->arena;
    op->now_ms = admin_now_ms(op->admin);
    if (request_param_id(request, 0, INT32_MAX, &op->job_id) ||
        request_query_time(request, "at", op->now_ms, &op->at))
        return;
    db_submit_read(op->admin->node->db, DB_POOL_API, why_fn, op, why_done);
}
