#include "job-execute/task-http.h"

#include "base/clock.h"
#include "base/memory.h"
#include "http/http-client.h"
#include "job-execute/execute.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* An http task waits on the loop: no thread, no process; thousands are in flight at once. */

enum {
    CONNECT_MS = 10000,
    TOTAL_MS = 60000,
    RESPONSE_MAX = 1024 * 1024,
    BODY_LOGGED = 1024,
    OWN_HEADERS = 6
};

static void http_defaults(void *settings)
{
    struct http_task *task = settings;

    task->method = (char *)(intptr_t)"GET";
    task->timeout.connect_ms = CONNECT_MS;
    task->response_max = RESPONSE_MAX;
    task->retry_after = true;
}

/* What an attempt keeps while its call is in flight. */
struct http_attempt {
    const struct http_task *task;
    struct http_call *call;
};

/* Asking again changes nothing at the far end (RFC 9110 9.2.1). */
static bool method_safe(const char *method)
{
    return !strcmp(method, "GET") || !strcmp(method, "HEAD") || !strcmp(method, "OPTIONS");
}

/* --- request ---------------------------------------------------------------------------------- */

struct building {
    const struct http_task *task;
    struct params params;
    struct zone *zone;
    struct arena *arena;
    struct http_header *headers;
    size_t header_count;
    struct http_call_request request;
};

static void header_add(struct building *b, const char *name, const char *value)
{
    b->headers[b->header_count++] = (struct http_header){ str_of(name), str_of(value) };
}

static void headers_own(struct building *b, const struct attempt *attempt)
{
    char time[TIME_TEXT_SIZE];
    int offset_s = zone_offset_at(b->zone, attempt->run->fire_at);

    time_format(attempt->run->fire_at, offset_s, time);
    header_add(b, "Idempotency-Key",
               arena_printf(b->arena, "belfry-%lld", (long long)attempt->run_id));
    header_add(b, "X-Belfry-Job", attempt->run->job);
    header_add(b, "X-Belfry-Fire-Time", arena_strdup(b->arena, time));
    header_add(b, "X-Belfry-Attempt", arena_printf(b->arena, "%d", (int)attempt->number));
}

static int headers_build(struct building *b, const struct attempt *attempt, struct error *err)
{
    const struct http_task *task = b->task;

    b->headers = ARENA_ARRAY(b->arena, struct http_header, task->header_count + OWN_HEADERS);
    headers_own(b, attempt);
    for (size_t i = 0; i < task->header_count; i++) {
        const struct http_task_header *header = &task->headers[i];
        char path[40];
        char *value;

        snprintf(path, sizeof path, "headers[%zu].value", i);
        if (params_expand(str_of(header->value), path, PARAMS_LINE, &b->params, b->arena, &value,
                          err) < 0)
            return -1;
        header_add(b, header->name, value);
    }
    return 0;
}

static struct str content_type(const struct building *b)
{
    return http_header_find(b->headers, b->header_count, "Content-Type");
}

static enum params_context body_context(const struct building *b)
{
    if (params_is_json(str_of(b->task->body), b->arena))
        return PARAMS_JSON;
    if (str_starts_with(content_type(b), STR("application/x-www-form-urlencoded")))
        return PARAMS_FORM;
    return PARAMS_TEXT;
}

static int body_build(struct building *b, struct error *err)
{
    enum params_context context;
    char *body;

    if (!b->task->body)
        return 0;
    context = body_context(b);
    if (params_expand(str_of(b->task->body), "body", context, &b->params, b->arena, &body, err) < 0)
        return -1;
    b->request.body = str_of(body);
    if (!content_type(b).bytes)
        header_add(b, "Content-Type",
                   context == PARAMS_JSON ? "application/json" : "text/plain; charset=utf-8");
    return 0;
}

static int request_build(struct building *b, const struct attempt *attempt, struct error *err)
{
    const struct http_task *task = b->task;
    int64_t total_ms = attempt->run->timeout_ms ? attempt->run->timeout_ms : TOTAL_MS;
    char *url;

    if (params_expand(str_of(task->url), "url", PARAMS_URL, &b->params, b->arena, &url, err) < 0 ||
        headers_build(b, attempt, err) < 0 || body_build(b, err) < 0)
        return -1;
    b->request.method = task->method;
    b->request.url = url;
    b->request.headers = b->headers;
    b->request.header_count = b->header_count;
    b->request.connect_timeout_ms = (int)task->timeout.connect_ms;
    b->request.first_byte_timeout_ms = (int)task->timeout.first_byte_ms;
    b->request.total_timeout_ms = (int)(total_ms < INT32_MAX ? total_ms : INT32_MAX);
    b->request.response_max = (size_t)task->response_max;
    b->request.redirects_max = (unsigned)task->redirects;
    b->request.decompress = true;
    /* A kept connection may have died unnoticed, and then nobody knows whether the far end got the
     * request: safe ones go out again, others get a connection of their own. */
    b->request.resend_stale = method_safe(task->method) && !attempt->run->at_most_once;
    b->request.fresh_connection = !b->request.resend_stale;
    return 0;
}

/* --- answer ----------------------------------------------------------------------------------- */

/* The head and the beginning of the body, for the run's log. */
static void answer_log(struct attempt *attempt, const struct http_call_result *answer,
                       struct arena *arena)
{
    int64_t now_ms = clock_wall_ms();
    size_t size = answer->body.size < BODY_LOGGED ? answer->body.size : BODY_LOGGED;

    if (answer->status)
        run_log_line(&attempt->log, 'o',
                     arena_printf(arena, "HTTP %d from %s in %lld ms", answer->status,
                                  answer->address, (long long)answer->total_us / 1000),
                     now_ms);
    for (size_t i = 0; i < answer->header_count; i++)
        run_log_line(&attempt->log, 'o',
                     arena_printf(arena, "%.*s: %.*s", (int)answer->headers[i].name.size,
                                  answer->headers[i].name.bytes, (int)answer->headers[i].value.size,
                                  answer->headers[i].value.bytes),
                     now_ms);
    if (!size)
        return;
    run_log_line(&attempt->log, 'o', "", now_ms);
    run_log_add(&attempt->log, 'o', answer->body.bytes, size, now_ms);
    if (size < answer->body.size) {
        run_log_add(&attempt->log, 'o', "\n", 1, now_ms);
        run_log_line(&attempt->log, 'o',
                     arena_printf(arena, "[%zu bytes more]", answer->body.size - size), now_ms);
    }
}

static void failure_result(const struct http_call_result *answer, struct attempt_result *result)
{
    static const enum cause causes[] = {
        [HTTP_FAILURE_URL] = CAUSE_TASK,
        [HTTP_FAILURE_RESOLVE] = CAUSE_CONNECT,
        [HTTP_FAILURE_EGRESS] = CAUSE_EGRESS,
        [HTTP_FAILURE_CONNECT] = CAUSE_CONNECT,
        [HTTP_FAILURE_TLS] = CAUSE_TLS,
        [HTTP_FAILURE_TIMEOUT_CONNECT] = CAUSE_CONNECT,
        [HTTP_FAILURE_TIMEOUT_FIRST_BYTE] = CAUSE_TIMEOUT,
        [HTTP_FAILURE_TIMEOUT_TOTAL] = CAUSE_TIMEOUT,
        [HTTP_FAILURE_TOO_LARGE] = CAUSE_TOO_LARGE,
        [HTTP_FAILURE_PROTOCOL] = CAUSE_CONNECT,
        [HTTP_FAILURE_RESET] = CAUSE_CONNECT,
        [HTTP_FAILURE_REDIRECTS] = CAUSE_REDIRECT,
        [HTTP_FAILURE_CANCELLED] = CAUSE_STOPPED,
    };

    result->cause = causes[answer->failure];
    result->outcome = result->cause == CAUSE_TIMEOUT ? RUN_TIMED_OUT : RUN_FAILED;
    result->no_retry = result->cause == CAUSE_TASK || result->cause == CAUSE_EGRESS;
    result->message = answer->err ? error_english(answer->err) : http_failure_name(answer->failure);
}

/* Statuses that say that the same request will never do. Others may: a service that is being
 * deployed answers 404, an expired token is renewed. */
static bool status_hopeless(int status)
{
    static const int hopeless[] = { 400, 405, 410, 411, 413, 414, 415, 422, 431, 501, 505 };

    for (size_t i = 0; i < sizeof hopeless / sizeof *hopeless; i++)
        if (status == hopeless[i])
            return true;
    return false;
}

static void answer_judge(const struct http_task *task, const struct http_call_result *answer,
                         struct arena *arena, struct attempt_result *result)
{
    result->outcome = RUN_FAILED;
    if (http_task_judge(&task->success, answer->status, answer->body, arena, result) < 0) {
        result->no_retry = result->cause == CAUSE_HTTP_STATUS && status_hopeless(answer->status);
        if (task->retry_after && (answer->status == 429 || answer->status == 503))
            result->retry_after_ms = http_task_retry_after(
                http_header_find(answer->headers, answer->header_count, "Retry-After"),
                clock_wall_ms());
        return;
    }
    if (task->output && http_task_take_output(task->output, answer->body, arena, result) < 0)
        return;
    result->outcome = RUN_SUCCEEDED;
    result->cause = CAUSE_OK;
}

static void http_answered(void *ctx, const struct http_call_result *answer)
{
    struct attempt *attempt = ctx;
    struct http_attempt *http = attempt->task;
    struct attempt_result result = { .exit_code = -1,
                                     .http_status = answer->status,
                                     .address = answer->address[0] ? answer->address : NULL };
    struct arena *arena = arena_new();

    answer_log(attempt, answer, arena);
    if (answer->failure)
        failure_result(answer, &result);
    else
        answer_judge(http->task, answer, arena, &result);
    if (result.message)
        run_log_line(&attempt->log, 'e', result.message, clock_wall_ms());
    attempt_done(attempt, &result);
    arena_free(&arena);
}

/* --- the type --------------------------------------------------------------------------------- */

static int http_start(struct attempt *attempt, void *settings, struct error *err)
{
    struct execute *execute = attempt->execute;
    struct http_attempt *http = ARENA_NEW(attempt->arena, struct http_attempt);
    struct building b = { .task = settings, .arena = arena_new() };
    int result = execute_params(attempt, &b.params, &b.zone, err);

    http->task = settings;
    attempt->task = http;
    if (result == 0)
        result = request_build(&b, attempt, err);
    if (result == 0)
        http->call = http_call_start(execute->http, &b.request, http_answered, attempt);
    zone_unref(&b.zone);
    arena_free(&b.arena);
    return result;
}

static void http_cancel(struct attempt *attempt)
{
    struct http_attempt *http = attempt->task;
    struct attempt_result result = {
        .outcome = RUN_CANCELLED,
        .cause = attempt->stop_cause,
        .exit_code = -1,
        .message = "stopped; whether the far end has acted on the request is not known",
    };

    http_call_cancel(http->call);
    attempt_done(attempt, &result);
}

const struct task_type task_http = {
    .name = "http",
    .settings = &http_task_table,
    .slot = TASK_SLOT_LIGHT,
    .defaults = http_defaults,
    .check = http_task_check,
    .start = http_start,
    .cancel = http_cancel,
};
