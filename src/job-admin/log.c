#include "job-admin/api.h"
#include "job-admin/log-store.h"
#include "job-admin/run-api.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Logs of runs: chunks from executors into the log store, ranges and search out of it, and live
 * tails as Server-Sent Events. A tail reads the store; a chunk that arrives here wakes it at once,
 * one that arrived at another job-admin is found by a look every second.
 */

/* --- chunks in ------------------------------------------------------------------------------------------- */

struct take_op {
    struct call *call;
    struct log_write write;
};

static void tails_wake(struct admin *admin, const struct admin_log *log);

static void take_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct take_op *op = ctx;
    struct admin_logged answer = { .stored = (int64_t)op->write.log->chunk_count };
    struct error unavailable;

    if (outcome != DB_OK) {
        error_set(&unavailable, ERR_UNAVAILABLE, "the log store cannot be written");
        call_fail(op->call, err ? err : &unavailable);
        return;
    }
    tails_wake(call_state(op->call), op->write.log);
    call_answer(op->call, &answer);
}

static int take_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct take_op *op = ctx;

    return store_log_write(tx, &op->write, err);
}

void log_take(struct call *call)
{
    struct admin *admin = call_state(call);
    struct take_op *op = ARENA_NEW(call_arena(call), struct take_op);

    op->call = call;
    op->write = (struct log_write){ .log = call_request(call), .arena = call_arena(call) };
    db_submit(admin->node->db, DB_POOL_LOG, take_fn, op, take_done);
}

/* --- a range, a search ------------------------------------------------------------------------------------ */

struct range_op {
    struct admin *admin;
    struct request *request;
    int64_t run_id, attempt;
    struct run_view run;
    bool missing;
    struct log_read read;
    bool stream;
};

struct log_page {
    struct log_line *items;
    size_t item_count;
    int32_t attempt;
    int64_t next_line, dropped;
    bool complete;
};

static const struct json_member page_members[] = {
    { .name = "items", .type = JSON_ARRAY, .offset = offsetof(struct log_page, items),
      .count_offset = offsetof(struct log_page, item_count), .sub = &log_line_table },
    { .name = "attempt", .type = JSON_INT32, .offset = offsetof(struct log_page, attempt) },
    { .name = "next_line", .type = JSON_INT, .offset = offsetof(struct log_page, next_line),
      .about = "from_line of the next page" },
    { .name = "complete", .type = JSON_BOOL, .offset = offsetof(struct log_page, complete),
      .about = "nothing follows what was read" },
    { .name = "dropped", .type = JSON_INT, .offset = offsetof(struct log_page, dropped),
      .about = "bytes over the limit, not kept" },
    { 0 },
};
const struct json_table log_page_table = { "LogPage", sizeof(struct log_page), page_members };

static void range_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct range_op *op = ctx;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
        return;
    }
    struct log_page page = {
        .items = op->read.lines,
        .item_count = op->read.count,
        .attempt = op->read.attempt,
        .next_line = op->read.next_line,
        .dropped = op->read.dropped,
        .complete = op->read.complete,
    };
    request_answer(op->request, 200, &log_page_table, &page);
}

static int range_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct range_op *op = ctx;

    return store_log_read(tx, &op->read, err);
}

static void tail_open(struct range_op *op);

static int run_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct range_op *op = ctx;
    int found = store_run_find(tx, op->request->arena, op->run_id, &op->run, err);

    op->missing = found == 0;
    return found < 0 ? -1 : 0;
}

static void run_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct range_op *op = ctx;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
        return;
    }
    if (op->missing) {
        run_missing(op->request, op->run_id);
        return;
    }
    if (request_require(op->request, PERM_VIEW, op->run.group_id))
        return;
    op->read.attempt = (int32_t)(op->attempt ? op->attempt : op->run.attempt);
    if (op->stream)
        tail_open(op);
    else
        db_submit_read(op->admin->node->db, DB_POOL_LOG, range_fn, op, range_done);
}

static struct range_op *range_op_new(struct request *request)
{
    struct range_op *op = ARENA_NEW(request->arena, struct range_op);

    op->admin = request->state;
    op->request = request;
    op->read.arena = request->arena;
    if (request_param_id(request, 0, INT64_MAX, &op->run_id) ||
        request_query_int(request, "attempt", 1, INT32_MAX, 0, &op->attempt) ||
        request_query_int(request, "from_line", 1, INT64_MAX, 1, &op->read.from_line))
        return NULL;
    op->read.run_id = op->run_id;
    return op;
}

void api_run_log(struct request *request)
{
    struct range_op *op = range_op_new(request);

    if (!op || request_query_int(request, "limit", 1, 10000, 1000, &op->read.limit) ||
        request_query_text(request, "search", &op->read.search))
        return;
    db_submit_read(op->admin->node->db, DB_POOL_API, run_fn, op, run_done);
}

/* --- live tails --------------------------------------------------------------------------------------------- */

enum { TAIL_LINES = 500 };

struct tail {
    struct list link;             /* in admin.log_tails */
    struct admin *admin;
    struct http_exchange *exchange; /* NULL: the reader is gone */
    enum language language;
    int64_t run_id, next_line;
    int32_t attempt;
    bool attempt_fixed;           /* asked for one attempt: later ones are not followed */
    bool reading, again, blocked;
    struct event *timer;
};

struct tail_read {
    struct tail *tail;
    struct log_read read;
    struct run_view run;
    bool run_ended;
};

static void tail_read(struct tail *tail);

static void tail_free(struct tail *tail)
{
    list_remove(&tail->link);
    event_free(tail->timer);
    free(tail);
}

static void on_tail_gone(void *ctx)
{
    struct tail *tail = ctx;

    tail->exchange = NULL;
    if (!tail->reading)
        tail_free(tail);
}

static void tail_end(struct tail *tail)
{
    struct http_exchange *exchange = tail->exchange;

    http_stream_event(exchange, NULL, "end", STR("{}"));
    tail->exchange = NULL;
    http_stream_end(exchange);
    tail_free(tail);
}

/* false: the reader is too slow; on_tail_drained goes on. */
static bool tail_line_send(struct tail *tail, const struct log_line *line)
{
    struct json_writer w;
    struct buf data;
    char id[48];

    buf_init(&data, 256 * 1024);
    json_begin(&w, &data);
    json_write(&w, &log_line_table, line);
    snprintf(id, sizeof id, "%d-%lld", tail->attempt, (long long)line->line);
    bool room = http_stream_event(tail->exchange, id, "line", buf_str(&data));
    buf_done(&data);
    tail->next_line = line->line + 1;
    return room;
}

static void on_tail_drained(void *ctx)
{
    struct tail *tail = ctx;

    tail->blocked = false;
    tail_read(tail);
}

static void tail_lines_send(struct tail *tail, const struct log_read *read)
{
    for (size_t i = 0; i < read->count; i++)
        if (!tail_line_send(tail, &read->lines[i])) {
            tail->blocked = true;
            http_stream_on_drained(tail->exchange, on_tail_drained, tail);
            return;
        }
    if (read->next_line > tail->next_line)
        tail->next_line = read->next_line;
}

/* After a read: on with the next attempt, to the end, or waiting. */
static void tail_go_on(struct tail *tail, const struct tail_read *op)
{
    bool attempt_over = op->run.attempt > tail->attempt || op->run_ended;
    bool full = op->read.count >= TAIL_LINES;

    if (tail->blocked)
        return;
    if (full || tail->again) {
        tail_read(tail);
    } else if (attempt_over && op->run.attempt > tail->attempt && !tail->attempt_fixed) {
        tail->attempt++;
        tail->next_line = 1;
        tail_read(tail);
    } else if (attempt_over && (op->read.complete || op->run_ended)) {
        tail_end(tail);
    }
}

static void tail_read_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct tail_read *op = ctx;
    struct tail *tail = op->tail;
    struct arena *arena = op->read.arena;

    (void)err;
    tail->reading = false;
    if (!tail->exchange) {
        tail_free(tail);
    } else if (outcome == DB_OK) {
        tail_lines_send(tail, &op->read);
        tail_go_on(tail, op);
    } /* else: the timer tries again */
    arena_free(&arena);
}

static int tail_log_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct tail_read *op = ctx;

    return store_log_read(tx, &op->read, err);
}

/* The run first, then its log: an end that is seen has all its lines in the store, or never will:
 * an executor sends the last chunk before, or soon after, the result. */
static void tail_run_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct tail_read *op = ctx;

    if (outcome != DB_OK) {
        tail_read_done(op, outcome, err);
        return;
    }
    int64_t since_end = admin_now_ms(op->tail->admin) - op->run.ended_at;
    op->run_ended = run_state_terminal(op->run.state_id) && since_end > 2000;
    op->read.attempt = op->tail->attempt;
    db_submit_read(op->tail->admin->node->db, DB_POOL_LOG, tail_log_fn, op, tail_read_done);
}

static int tail_run_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct tail_read *op = ctx;

    op->run = (struct run_view){ 0 };
    return store_run_find(tx, op->read.arena, op->read.run_id, &op->run, err) < 0 ? -1 : 0;
}

static void tail_read(struct tail *tail)
{
    if (tail->reading || tail->blocked) {
        tail->again = true;
        return;
    }
    struct arena *arena = arena_new();
    struct tail_read *op = ARENA_NEW(arena, struct tail_read);
    op->tail = tail;
    op->read = (struct log_read){ .arena = arena, .run_id = tail->run_id,
                                  .from_line = tail->next_line, .limit = TAIL_LINES };
    tail->reading = true;
    tail->again = false;
    db_submit_read(tail->admin->node->db, DB_POOL_API, tail_run_fn, op, tail_run_done);
}

static void on_tail_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    tail_read(ctx);
}

static void tails_wake(struct admin *admin, const struct admin_log *log)
{
    LIST_EACH(&admin->log_tails, node) {
        struct tail *tail = CONTAINER_OF(node, struct tail, link);
        for (size_t i = 0; i < log->chunk_count; i++)
            if (log->chunks[i].run_id == tail->run_id) {
                tail_read(tail);
                break;
            }
    }
}

/* "ATTEMPT-LINE" of the last event that the reader has. */
static void resume_from(struct tail *tail, struct str id)
{
    int64_t attempt, line;
    struct str part;

    if (!str_split(&id, '-', &part) || !number_parse(part, 1, INT32_MAX, &attempt) ||
        !id.bytes || !number_parse(id, 0, INT64_MAX - 1, &line))
        return;
    tail->attempt = (int32_t)attempt;
    tail->next_line = line + 1;
}

static void tail_open(struct range_op *op)
{
    const struct http_request *http = op->request->http;
    struct timeval second = { .tv_sec = 1 };
    struct tail *tail = memory_alloc(sizeof *tail);

    tail->admin = op->admin;
    tail->exchange = op->request->exchange;
    tail->run_id = op->run_id;
    tail->attempt = op->attempt ? (int32_t)op->attempt : 1;
    tail->attempt_fixed = op->attempt != 0;
    tail->next_line = op->read.from_line;
    resume_from(tail, http_header_find(http->headers, http->header_count, "Last-Event-ID"));
    tail->timer = event_new(op->admin->node->base, -1, EV_PERSIST, on_tail_timer, tail);
    event_add(tail->timer, &second);
    list_add_tail(&op->admin->log_tails, &tail->link);
    http_exchange_on_gone(tail->exchange, on_tail_gone, tail);
    http_stream_begin(tail->exchange, 200, "text/event-stream");
    tail_read(tail);
}

void api_run_log_stream(struct request *request)
{
    struct range_op *op = range_op_new(request);

    if (!op)
        return;
    op->stream = true;
    db_submit_read(op->admin->node->db, DB_POOL_API, run_fn, op, run_done);
}

void log_tails_free(struct admin *admin)
{
    LIST_EACH_SAFE(&admin->log_tails, node) {
        struct tail *tail = CONTAINER_OF(node, struct tail, link);
        struct http_exchange *exchange = tail->exchange;
        tail->exchange = NULL;
        if (exchange)
            http_stream_end(exchange);
        tail_free(tail);
    }
}
