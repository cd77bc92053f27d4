#include "service/service-private.h"

#include "base/memory.h"

#include <string.h>

/*
 * Calls over HTTP: POST /internal/v1/SERVICE/NAME with the request as JSON by the type's table.
 * 200 brings the answer, another status an error (call-error.c).
 */
enum { TIMEOUT_MS = 10000, SIZE_MAX_DEFAULT = 16 * 1024 * 1024 };

struct remote_call {
    struct frame *frame;
    const struct call_type *type;
    struct arena *arena; /* this struct and all of it */
    struct list link;    /* in frame.remote_calls */
    bool fixed;          /* the caller named the instance */
    const char *instance;
    char *target;
    struct str body;
    char request_id[40];
    unsigned tries;
    struct http_call *http; /* NULL: the end is posted */
    call_done *done;
    void *ctx;
    struct error err; /* of one that was never sent */
};

static size_t size_max(const struct call_type *type)
{
    return type->size_max ? type->size_max : SIZE_MAX_DEFAULT;
}

/* --- the side that calls --------------------------------------------------------------------- */

static void finish(struct remote_call *rc, const void *answer, bool sent, const struct error *err)
{
    struct arena *arena = rc->arena;

    list_remove(&rc->link);
    if (rc->done)
        rc->done(rc->ctx, answer, sent, err);
    arena_free(&arena);
}

static void try_once(struct remote_call *rc);

static void answer_take(struct remote_call *rc, const struct http_call_result *result)
{
    const struct json_table *table = rc->type->answer;
    void *answer = arena_alloc(rc->arena, table->size);
    struct error err, why;

    if (result->status == 200 &&
        json_read_all(result->body, size_max(rc->type), table, rc->arena, answer, &why) == 0) {
        finish(rc, answer, true, NULL);
        return;
    }
    if (result->status == 200)
        error_set(&err, ERR_INTERNAL, "%s answered %s with something unreadable: %s", rc->instance,
                  rc->type->name, error_english(&why));
    else if (call_error_read(result->body, &err) < 0) /* of the listener itself, or a proxy */
        error_set(&err, result->status >= 502 ? ERR_UNAVAILABLE : ERR_INTERNAL,
                  "%s answered %s with status %d", rc->instance, rc->type->name, result->status);
    finish(rc, NULL, true, &err);
}

static void on_done(void *ctx, const struct http_call_result *result)
{
    struct remote_call *rc = ctx;
    bool not_handled = remote_not_handled(rc->frame, rc->instance, result);
    struct error err;

    rc->http = NULL;
    if (not_handled && !rc->fixed && rc->tries < 2) {
        try_once(rc);
        return;
    }
    if (result->failure == HTTP_FAILURE_NONE && !not_handled) {
        answer_take(rc, result);
        return;
    }
    if (result->failure == HTTP_FAILURE_NONE) {
        if (call_error_read(result->body, &err) < 0)
            error_set(&err, ERR_UNAVAILABLE, "%s answered %s with status %d", rc->instance,
                      rc->type->name, result->status);
    } else {
        error_set(&err,
                  result->failure == HTTP_FAILURE_TIMEOUT_TOTAL ? ERR_TIMEOUT : ERR_UNAVAILABLE,
                  "%s at %s does not answer: %s", rc->type->service, rc->instance,
                  error_english(result->err));
    }
    finish(rc, NULL, !not_handled, &err);
}

static void not_sent(void *ctx)
{
    struct remote_call *rc = ctx;

    finish(rc, NULL, false, &rc->err);
}

static void try_once(struct remote_call *rc)
{
    const char *before = rc->tries++ > 0 ? rc->instance : NULL;
    const struct http_header headers[] = {
        { STR("Content-Type"), STR("application/json") },
        { STR("X-Request-Id"), str_of(rc->request_id) },
    };

    if (!rc->fixed)
        rc->instance = remote_choose(rc->frame, rc->type->service, before, rc->arena);
    if (!rc->instance || rc->body.size > size_max(rc->type)) {
        if (!rc->instance)
            error_set(&rc->err, ERR_UNAVAILABLE, "no instance of %s is known", rc->type->service);
        else
            error_set(&rc->err, ERR_TOO_LARGE, "the call %s is larger than %zu bytes",
                      rc->type->name, size_max(rc->type));
        node_post(&rc->frame->node, not_sent, rc);
        return;
    }
    const struct remote_request request = {
        .instance = rc->instance,
        .service = rc->type->service,
        .method = "POST",
        .target = rc->target,
        .headers = headers,
        .header_count = 2,
        .body = rc->body,
        .request_id = rc->request_id,
        .timeout_ms = rc->type->timeout_ms ? rc->type->timeout_ms : TIMEOUT_MS,
        .answer_max = size_max(rc->type),
    };
    rc->http = remote_start(rc->frame, &request, NULL, on_done, rc);
}

static struct str body_write(const struct call_type *type, const void *request, struct arena *arena)
{
    struct json_writer w;
    struct buf body;

    buf_init(&body, size_max(type) + 1); /* one more tells what is too large from what fits */
    json_begin(&w, &body);
    json_write_all(&w, type->request, request);
    struct str copy = { arena_copy(arena, buf_text(&body), body.size),
                        body.overflow ? size_max(type) + 1 : body.size };
    buf_done(&body);
    return copy;
}

void call_send_remote(struct frame *frame, const struct call_type *type, const char *instance,
                      const void *request, call_done *done, void *ctx)
{
    struct arena *arena = arena_new();
    struct remote_call *rc = ARENA_NEW(arena, struct remote_call);

    *rc = (struct remote_call){
        .frame = frame,
        .type = type,
        .arena = arena,
        .fixed = instance != NULL,
        .instance = arena_strdup(arena, instance),
        .target = arena_printf(arena, "/internal/v1/%s/%s", type->service, type->name),
        .body = body_write(type, request, arena),
        .done = done,
        .ctx = ctx,
    };
    request_id_make(rc->request_id);
    list_init(&rc->link);
    list_add_tail(&frame->remote_calls, &rc->link);
    if (instance && strcmp(instance, "local") == 0)
        rc->instance = NULL; /* the service does not run here */
    try_once(rc);
}

void remote_calls_abandon(struct frame *frame)
{
    struct error err;
    struct list now;

    error_set(&err, ERR_UNAVAILABLE, "this process is stopping");
    list_init(&now);
    LIST_EACH_SAFE(&frame->remote_calls, node) {
        list_remove(node);
        list_add_tail(&now, node);
    }
    while (!list_empty(&now)) {
        struct remote_call *rc = CONTAINER_OF(now.next, struct remote_call, link);
        if (rc->http)
            http_call_cancel(rc->http);
        finish(rc, NULL, true, &err);
    }
}

/* --- the side that is called ----------------------------------------------------------------- */

static void on_gone(void *ctx)
{
    struct call *call = ctx;

    call->gone = true;
}

static void error_answer(struct http_exchange *exchange, const struct error *err)
{
    struct buf body;

    buf_init(&body, 64 * 1024);
    call_error_write(err, &body);
    http_answer(exchange, error_http_status(err->code), "application/json", buf_str(&body));
    buf_done(&body);
}

void call_receive(struct frame *frame, const struct running *running,
                  const struct call_handler *handler, const char *from,
                  struct http_exchange *exchange)
{
    const struct http_request *http = http_exchange_request(exchange);
    const struct call_type *type = handler->type;
    struct arena *arena = arena_new();
    void *request = arena_alloc(arena, type->request->size);
    struct error err;

    if (json_read_all(http->body, size_max(type), type->request, arena, request, &err) < 0) {
        error_answer(exchange, &err);
        arena_free(&arena);
        return;
    }
    struct call *call = ARENA_NEW(arena, struct call);
    *call = (struct call){
        .frame = frame,
        .type = type,
        .handler = handler,
        .state = running->state,
        .arena = arena,
        .request = request,
        .from = arena_strdup(arena, from),
        .exchange = exchange,
    };
    list_init(&call->link);
    list_add_tail(&frame->calls, &call->link);
    http_exchange_on_gone(exchange, on_gone, call);
    handler->handle(call);
}

static void answer_write(struct call *call)
{
    struct json_writer w;
    struct buf body;
    struct error err;

    buf_init(&body, size_max(call->type));
    json_begin(&w, &body);
    json_write_all(&w, call->type->answer, call->answer);
    if (!body.overflow) {
        http_answer(call->exchange, 200, "application/json", buf_str(&body));
    } else {
        error_set(&err, ERR_TOO_LARGE, "the answer is larger than %zu bytes", size_max(call->type));
        error_answer(call->exchange, &err);
    }
    buf_done(&body);
}

void call_answer_remote(struct call *call)
{
    if (call->frame->calls_abandoned)
        return; /* freed with the rest */
    if (!call->gone && call->failed)
        error_answer(call->exchange, &call->err);
    else if (!call->gone)
        answer_write(call);
    call_free(call);
}
