#include "service/service-private.h"

#include "base/log.h"

#include <limits.h>
#include <string.h>

/*
 * From the gateway to a service: into its handler here, or as a signed request to an instance
 * elsewhere. What is passed on is written anew: our method, our normalised path, the query as it
 * was, and the few headers that handlers look at; credentials go to auth only, since who asks
 * stands in the signed claims.
 */
enum { ANSWER_MAX = 64 * 1024 * 1024, TIMEOUT_MS = 60000 };

static const char *const request_headers[] = { "Accept",          "Accept-Language",
                                               "Content-Type",    "If-Match",
                                               "If-None-Match",   "Last-Event-ID",
                                               "Idempotency-Key", NULL };
static const char *const request_headers_auth[] = { "Cookie", "X-Belfry-Cookie", "User-Agent",
                                                    NULL };
static const char *const answer_headers[] = {
    "ETag", "Location", "Retry-After", "Cache-Control", "Content-Disposition", "WWW-Authenticate",
    NULL
};

struct forwarding {
    struct frame *frame;
    const struct service *service;
    struct request *request;
    char *target;
    const char *instance;
    unsigned tries;
    struct http_call *http;
    bool stream;        /* asked for a stream */
    bool streaming;     /* its first bytes have come, so the answer has begun */
    struct buf problem; /* body of an answer to it that is none */
};

static bool is_auth(const struct forwarding *f)
{
    return strcmp(f->service->name, "auth") == 0;
}

/* --- back ------------------------------------------------------------------------------------ */

static void headers_copy(struct forwarding *f, const struct http_call_result *result)
{
    for (const char *const *name = answer_headers; *name; name++) {
        struct str value = http_header_find(result->headers, result->header_count, *name);
        if (value.bytes && http_header_value_valid(value))
            http_answer_header(f->request->exchange, *name,
                               arena_strndup(f->request->arena, value.bytes, value.size));
    }
    for (size_t i = 0; is_auth(f) && i < result->header_count; i++) {
        struct str value = result->headers[i].value;
        if (str_equal_nocase(result->headers[i].name, STR("Set-Cookie")) &&
            http_header_value_valid(value))
            http_answer_header(f->request->exchange, "Set-Cookie",
                               arena_strndup(f->request->arena, value.bytes, value.size));
    }
}

static void answer_copy(struct forwarding *f, const struct http_call_result *result)
{
    struct str type = http_header_find(result->headers, result->header_count, "Content-Type");
    struct str body = f->stream ? buf_str(&f->problem) : result->body;

    headers_copy(f, result);
    http_answer(f->request->exchange, result->status,
                type.bytes && http_header_value_valid(type)
                    ? arena_strndup(f->request->arena, type.bytes, type.size)
                    : NULL,
                body);
}

static void answer_failed(struct forwarding *f, const struct http_call_result *result)
{
    struct error err;

    LOG_WARN("a request could not be passed on", "request", f->request->id, "service",
             f->service->name, "instance", f->instance, "why",
             result->err ? error_english(result->err) : NULL);
    if (result->failure == HTTP_FAILURE_NONE)
        error_set(&err, ERR_UNAVAILABLE, "the service %s does not take requests now",
                  f->service->name);
    else if (result->sent)
        error_set(
            &err, ERR_TIMEOUT,
            "the service %s did not answer; whether it did it is unknown: read before you try "
            "again",
            f->service->name);
    else
        error_set(&err, ERR_UNAVAILABLE, "the service %s is out of reach", f->service->name);
    request_fail(f->request, &err);
}

/* --- streams --------------------------------------------------------------------------------- */

static void stream_stop(struct forwarding *f)
{
    if (f->http)
        http_call_cancel(f->http);
    f->http = NULL;
    buf_done(&f->problem);
    http_stream_end(f->request->exchange);
}

static void on_data(void *ctx, int status, struct str bytes)
{
    struct forwarding *f = ctx;
    struct http_exchange *exchange = f->request->exchange;

    if (status != 200) {
        buf_add(&f->problem, bytes.bytes, bytes.size);
        return;
    }
    if (!f->streaming) {
        f->streaming = true;
        http_answer_header(exchange, "Cache-Control", "no-store");
        http_stream_begin(exchange, 200, "text/event-stream");
    }
    if (!http_stream_write(exchange, bytes))
        stream_stop(f); /* reads too slowly: it comes back with Last-Event-ID */
}

/* --- there ----------------------------------------------------------------------------------- */

static void try_once(struct forwarding *f);

static void on_done(void *ctx, const struct http_call_result *result)
{
    struct forwarding *f = ctx;
    bool not_handled = remote_not_handled(f->frame, f->instance, result);

    f->http = NULL;
    if (f->streaming) {
        stream_stop(f);
        return;
    }
    if (not_handled && f->tries < 2) {
        buf_clear(&f->problem);
        try_once(f);
        return;
    }
    http_exchange_on_gone(f->request->exchange, NULL, NULL);
    struct buf problem = f->problem; /* f goes with the exchange */
    if (not_handled || result->failure != HTTP_FAILURE_NONE)
        answer_failed(f, result);
    else
        answer_copy(f, result);
    buf_done(&problem);
}

static void on_gone(void *ctx)
{
    struct forwarding *f = ctx;

    if (f->http)
        http_call_cancel(f->http);
    buf_done(&f->problem);
}

static size_t headers_take(const struct forwarding *f, const char *const *names,
                           struct http_header *headers)
{
    const struct http_request *http = f->request->http;
    size_t count = 0;

    for (; *names; names++) {
        struct str value = http_header_find(http->headers, http->header_count, *names);
        if (value.bytes)
            headers[count++] = (struct http_header){ str_of(*names), value };
    }
    return count;
}

static void try_once(struct forwarding *f)
{
    struct request *request = f->request;
    struct http_header headers[REMOTE_HEADERS_MAX];
    struct error err;

    f->instance =
        remote_choose(f->frame, f->service->name, f->tries++ ? f->instance : NULL, request->arena);
    if (!f->instance) {
        error_set(&err, ERR_UNAVAILABLE, "no instance of %s is known", f->service->name);
        http_exchange_on_gone(request->exchange, NULL, NULL);
        request_fail(request, &err);
        return;
    }
    size_t count = headers_take(f, request_headers, headers);
    if (is_auth(f))
        count += headers_take(f, request_headers_auth, headers + count);
    const struct remote_request remote = {
        .instance = f->instance,
        .service = f->service->name,
        .method = http_method_name(request->http->method),
        .target = f->target,
        .headers = headers,
        .header_count = count,
        .body = request->http->body,
        .request_id = request->id,
        .client_address = request->client_address,
        .principal = request->principal,
        .timeout_ms = f->stream ? INT_MAX : TIMEOUT_MS,
        .answer_max = f->stream ? 0 : ANSWER_MAX,
    };
    f->http = remote_start(f->frame, &remote, f->stream ? on_data : NULL, on_done, f);
}

/* The normalised path, each segment encoded again, and the query as it came. */
static char *target_make(const struct request *request)
{
    struct str path = request->http->path, query = request->http->query, segment;
    struct buf target;

    buf_init(&target, 64 * 1024);
    if (path.size) {
        path.bytes++; /* the first '/' */
        path.size--;
    }
    while (str_split(&path, '/', &segment)) {
        buf_add_char(&target, '/');
        percent_encode(&target, segment);
    }
    if (query.size) {
        buf_add_char(&target, '?');
        buf_add(&target, query.bytes, query.size);
    }
    char *copy = arena_strdup(request->arena, buf_text(&target));
    buf_done(&target);
    return copy;
}

static bool wants_stream(const struct request *request)
{
    struct str accept =
        http_header_find(request->http->headers, request->http->header_count, "Accept");

    return request->route->stream && accept.bytes &&
           memmem(accept.bytes, accept.size, "text/event-stream", strlen("text/event-stream"));
}

static void forward_remote(struct frame *frame, const struct service *service,
                           struct request *request)
{
    struct forwarding *f = ARENA_NEW(request->arena, struct forwarding);

    f->frame = frame;
    f->service = service;
    f->request = request;
    f->target = target_make(request);
    f->stream = wants_stream(request);
    buf_init(&f->problem, 64 * 1024);
    http_exchange_on_gone(request->exchange, on_gone, f);
    try_once(f);
}

void service_forward(struct node *node, const struct service *service, struct request *request)
{
    struct running *running = frame_running(frame_of(node), service->name);

    if (!running || !running->started) {
        forward_remote(frame_of(node), service, request);
        return;
    }
    request->state = running->state;
    request->route->handle(request);
}
