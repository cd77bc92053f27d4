#include "job-admin/run-api.h"
#include "job-admin/api.h"

/* Runs over HTTP. */

void run_missing(struct request *request, int64_t id)
{
    struct error err;

    error_set(&err, ERR_NOT_FOUND, "no run %lld", (long long)id);
    request_fail(request, &err);
}

static int run_param(struct request *request, int64_t *ret_id)
{
    return request_param_id(request, 0, INT64_MAX, ret_id);
}

static void run_answer(struct request *request, int status, struct run_view *run)
{
    struct admin *admin = request->state;

    if (!run_state_terminal(run->state_id))
        scheduler_run_known(admin->scheduler, run->id, &run->ahead);
    run_view_complete(run, request->language, request->arena);
    request_answer(request, status, &run_table, run);
}

/* --- list ------------------------------------------------------------------------------------------------ */

static void list_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct run_list_op *op = ctx;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
        return;
    }
    size_t limit = (size_t)op->limit;
    for (size_t i = 0; i < op->count; i++)
        run_view_complete(&op->runs[i], op->request->language, op->arena);
    const struct run_view *last = op->count > limit ? &op->runs[limit - 1] : NULL;
    list_page_answer(op->request, &run_item_table, op->runs, sizeof *op->runs, op->count, limit,
                last ? cursor_make(op->arena, last->fire_at, last->id) : NULL);
}

static int state_param(struct request *request, int64_t *ret_state)
{
    const char *name = NULL;
    enum run_state state;
    struct error err;

    if (request_query_text(request, "state", &name))
        return -1;
    *ret_state = 0;
    if (!name)
        return 0;
    if (!run_state_parse(name, &state)) {
        error_set_at(&err, ERR_INVALID, "query.state",
                     "unknown state %s: PLANNED, WAITING, READY, DISPATCHED, RUNNING, RETRY_WAIT, "
                     "SUCCEEDED, FAILED, TIMED_OUT, CANCELLED, SKIPPED, SHED or UNKNOWN",
                     name);
        request_fail(request, &err);
        return -1;
    }
    *ret_state = (int64_t)state;
    return 0;
}

void api_run_list(struct request *request)
{
    struct admin *admin = request->state;
    struct run_list_op *op = ARENA_NEW(request->arena, struct run_list_op);
    const char *cursor = NULL;
    struct error err;

    op->admin = admin;
    op->request = request;
    op->arena = request->arena;
    if (request_query_int(request, "job", 1, INT32_MAX, 0, &op->job_id) ||
        request_query_text(request, "group", &op->group) || state_param(request, &op->state) ||
        request_query_time(request, "from", 0, &op->from) ||
        request_query_time(request, "to", INT64_MAX, &op->to) ||
        request_query_text(request, "cursor", &cursor) ||
        request_query_int(request, "limit", 1, 500, 50, &op->limit))
        return;
    op->after = cursor != NULL;
    if (cursor && cursor_read(cursor, &op->after_fire_at, &op->after_id, &err)) {
        request_fail(request, &err);
        return;
    }
    db_submit_read(admin->node->db, DB_POOL_API, store_run_list, op, list_done);
}

/* --- one --------------------------------------------------------------------------------------------------- */

static int one_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct run_stop_op *op = ctx;
    int found = store_run_find(tx, op->arena, op->run_id, &op->run, err);

    op->missing = found == 0;
    return found < 0 ? -1 : 0;
}

static void one_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct run_stop_op *op = ctx;

    if (outcome != DB_OK)
        request_fail_outcome(op->request, (int)outcome, err);
    else if (op->missing)
        run_missing(op->request, op->run_id);
    else if (request_require(op->request, PERM_VIEW, op->run.group_id) == 0)
        run_answer(op->request, 200, &op->run);
}

static struct run_stop_op *run_op_new(struct request *request)
{
    struct run_stop_op *op = ARENA_NEW(request->arena, struct run_stop_op);

    op->admin = request->state;
    op->request = request;
    op->arena = request->arena;
    op->now_ms = admin_now_ms(op->admin);
    return op;
}

void api_run_read_one(struct request *request)
{
    struct run_stop_op *op = run_op_new(request);

    if (run_param(request, &op->run_id) == 0)
        db_submit_read(op->admin->node->db, DB_POOL_API, one_fn, op, one_done);
}

/* --- trigger and rerun --------------------------------------------------------------------------------------- */

struct trigger_input {
    struct json_pair *parameters;
    size_t parameter_count;
    char *request_id;
};

static const struct json_member trigger_members[] = {
    { .name = "parameters", .type = JSON_MAP, .offset = offsetof(struct trigger_input, parameters),
      .count_offset = offsetof(struct trigger_input, parameter_count), .max = 100,
      .about = "stand over the job's own" },
    { .name = "request_id", .type = JSON_TEXT, .offset = offsetof(struct trigger_input, request_id),
      .flags = JSON_NULL_OK | JSON_NOT_BLANK | JSON_ONE_LINE, .max = 100,
      .about = "the same one again gives the same run" },
    { 0 },
};
const struct json_table run_trigger_table = { "RunTrigger", sizeof(struct trigger_input),
                                              trigger_members };

static void add_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct run_add_op *op = ctx;
    struct admin *admin = op->admin;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
    } else if (op->missing && op->source_id) {
        run_missing(op->request, op->source_id);
    } else if (op->missing) {
        job_missing(op->request, op->job_id);
    } else {
        if (admin->leases)
            engine_mail_poll(admin);
        else if (!op->existed)
            engine_run_added(admin, op->run_id);
        run_answer(op->request, op->existed ? 200 : 201, &op->run);
    }
}

static struct run_add_op *add_op_new(struct request *request)
{
    struct run_add_op *op = ARENA_NEW(request->arena, struct run_add_op);

    op->admin = request->state;
    op->request = request;
    op->arena = request->arena;
    op->now_ms = admin_now_ms(op->admin);
    return op;
}

/* As a JSON object, or NULL when there are none. */
static char *pairs_json(struct arena *arena, const struct json_pair *pairs, size_t count)
{
    struct json_writer w;
    struct buf out;

    if (count == 0)
        return NULL;
    buf_init(&out, 1024 * 1024);
    json_begin(&w, &out);
    json_object(&w);
    for (size_t i = 0; i < count; i++) {
        json_name(&w, pairs[i].name);
        json_text(&w, pairs[i].value);
    }
    json_object_end(&w);
    char *text = arena_strdup(arena, buf_text(&out));
    buf_done(&out);
    return text;
}

void api_run_trigger(struct request *request)
{
    struct run_add_op *op = add_op_new(request);
    struct trigger_input input = { 0 };

    if (request_param_id(request, 0, INT32_MAX, &op->job_id) ||
        (request->http->body.size && request_read(request, &run_trigger_table, &input)))
        return;
    op->parameters = pairs_json(request->arena, input.parameters, input.parameter_count);
    op->request_id = input.request_id;
    db_submit(op->admin->node->db, DB_POOL_API, store_run_trigger, op, add_done);
}

void api_run_rerun(struct request *request)
{
    struct run_add_op *op = add_op_new(request);

    if (run_param(request, &op->source_id) == 0)
        db_submit(op->admin->node->db, DB_POOL_API, store_run_rerun, op, add_done);
}

/* --- stop ------------------------------------------------------------------------------------------------------ */

struct stop_input {
    char *reason;
};

static const struct json_member stop_members[] = {
    { .name = "reason", .type = JSON_TEXT, .offset = offsetof(struct stop_input, reason),
      .flags = JSON_NULL_OK | JSON_ONE_LINE, .max = 500 },
    { 0 },
};
const struct json_table run_stop_table = { "RunStop", sizeof(struct stop_input), stop_members };

static void stop_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct run_stop_op *op = ctx;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
    } else if (op->missing) {
        run_missing(op->request, op->run_id);
    } else {
        if (op->admin->leases)
            engine_mail_poll(op->admin);
        else
            engine_run_stopped(op->admin, op->run_id, CAUSE_STOPPED);
        run_answer(op->request, 202, &op->run);
    }
}

void api_run_stop(struct request *request)
{
    struct run_stop_op *op = run_op_new(request);
    struct stop_input input = { 0 };

    if (run_param(request, &op->run_id) ||
        (request->http->body.size && request_read(request, &run_stop_table, &input)))
        return;
    op->reason = input.reason;
    db_submit(op->admin->node->db, DB_POOL_API, store_run_stop, op, stop_done);
}
