#include "http/http-client-private.h"

#include "base/address.h"
#include "base/memory.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/*
 *   starting ─► begin ─► resolve ─► dial ─► sent ─► answer ─┬─► finish
 *                 ▲                                         │
 *                 └───────────── redirect ──────────────────┘
 */
static void finish(struct http_call *call);

int64_t http_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

const char *http_failure_name(enum http_failure failure)
{
    static const char *const names[] = {
        [HTTP_FAILURE_NONE] = "none",
        [HTTP_FAILURE_URL] = "url",
        [HTTP_FAILURE_RESOLVE] = "resolve",
        [HTTP_FAILURE_EGRESS] = "egress",
        [HTTP_FAILURE_CONNECT] = "connect",
        [HTTP_FAILURE_TLS] = "tls",
        [HTTP_FAILURE_TIMEOUT_CONNECT] = "timeout_connect",
        [HTTP_FAILURE_TIMEOUT_FIRST_BYTE] = "timeout_first_byte",
        [HTTP_FAILURE_TIMEOUT_TOTAL] = "timeout_total",
        [HTTP_FAILURE_TOO_LARGE] = "too_large",
        [HTTP_FAILURE_PROTOCOL] = "protocol",
        [HTTP_FAILURE_RESET] = "reset",
        [HTTP_FAILURE_REDIRECTS] = "redirects",
        [HTTP_FAILURE_CANCELLED] = "cancelled",
    };

    return names[failure];
}

/* --- failing ---------------------------------------------------------------------------------- */

int http_call_fail(struct http_call *call, enum http_failure failure)
{
    if (call->failure == HTTP_FAILURE_NONE)
        call->failure = failure;
    return -1;
}

/* The sentence of a failure, where whoever noticed it has not written one. */
static void failure_explain(struct http_call *call)
{
    const struct http_call_request *request = &call->request;
    const char *host = call->host ? call->host : "";
    const char *words = call->curl_text[0] ? call->curl_text : "no more is known";
    struct error *err = &call->err;

    switch (call->failure) {
    case HTTP_FAILURE_CONNECT:
        error_set(err, ERR_UNAVAILABLE, "cannot connect to %s: %s", host, words);
        break;
    case HTTP_FAILURE_TLS:
        error_set(err, ERR_UNAVAILABLE, "no TLS with %s: %s", host, words);
        break;
    case HTTP_FAILURE_TIMEOUT_CONNECT:
        error_set(err, ERR_TIMEOUT, "no connection to %s within %d ms", host,
                  request->connect_timeout_ms);
        break;
    case HTTP_FAILURE_TIMEOUT_FIRST_BYTE:
        error_set(err, ERR_TIMEOUT, "%s did not begin to answer within %d ms", host,
                  request->first_byte_timeout_ms);
        break;
    case HTTP_FAILURE_TIMEOUT_TOTAL:
        error_set(err, ERR_TIMEOUT, "%s did not finish within %d ms", host,
                  request->total_timeout_ms);
        break;
    case HTTP_FAILURE_TOO_LARGE:
        error_set(err, ERR_TOO_LARGE, "answer of %s is larger than %zu bytes", host,
                  call->response_max);
        break;
    case HTTP_FAILURE_PROTOCOL:
        error_set(err, ERR_UNAVAILABLE, "bad answer from %s: %s", host, words);
        break;
    case HTTP_FAILURE_RESET:
        error_set(err, ERR_UNAVAILABLE, "%s closed the connection before the end: %s", host, words);
        break;
    case HTTP_FAILURE_REDIRECTS:
        error_set(err, ERR_UNAVAILABLE, "more than %u redirects", request->redirects_max);
        break;
    default: error_set(err, ERR_UNAVAILABLE, "no answer from %s: %s", host, words); break;
    }
}

/* --- deadlines --------------------------------------------------------------------------------
 * One timer a call, set to whichever comes first: the end of the stage or of everything. */

static int64_t stage_deadline_us(const struct http_call *call)
{
    if ((call->stage == STAGE_RESOLVING || call->stage == STAGE_CONNECTING) &&
        call->request.connect_timeout_ms)
        return call->hop_us + call->request.connect_timeout_ms * INT64_C(1000);
    if (call->stage == STAGE_WAITING && call->request.first_byte_timeout_ms)
        return call->sent_us + call->request.first_byte_timeout_ms * INT64_C(1000);
    return INT64_MAX;
}

static int64_t total_deadline_us(const struct http_call *call)
{
    if (!call->request.total_timeout_ms)
        return INT64_MAX;
    return call->start_us + call->request.total_timeout_ms * INT64_C(1000);
}

static void deadline_arm(struct http_call *call)
{
    int64_t stage_us = stage_deadline_us(call), total_us = total_deadline_us(call);
    int64_t at_us = stage_us < total_us ? stage_us : total_us, left_us = at_us - http_now_us();

    if (at_us == INT64_MAX) {
        event_del(&call->deadline_event);
        return;
    }
    left_us = left_us > 0 ? left_us : 0;
    struct timeval delay = { .tv_sec = left_us / 1000000, .tv_usec = left_us % 1000000 };
    event_add(&call->deadline_event, &delay);
}

static void on_deadline(evutil_socket_t fd, short events, void *ctx)
{
    struct http_call *call = ctx;

    (void)fd;
    (void)events;
    if (stage_deadline_us(call) > http_now_us() && total_deadline_us(call) > http_now_us()) {
        deadline_arm(call); /* the timer was a little early */
        return;
    }
    if (total_deadline_us(call) <= http_now_us())
        http_call_fail(call, HTTP_FAILURE_TIMEOUT_TOTAL);
    else if (call->stage == STAGE_WAITING)
        http_call_fail(call, HTTP_FAILURE_TIMEOUT_FIRST_BYTE);
    else
        http_call_fail(call, HTTP_FAILURE_TIMEOUT_CONNECT);
    finish(call);
}

void http_call_connected(struct http_call *call)
{
    call->sent_us = http_now_us();
    call->connect_us = call->sent_us - call->hop_us;
    call->sent = true;
    call->stage = STAGE_WAITING;
    deadline_arm(call);
}

void http_call_answering(struct http_call *call)
{
    if (call->stage == STAGE_READING)
        return;
    call->first_byte_us = http_now_us() - call->start_us;
    call->stage = STAGE_READING;
    deadline_arm(call);
}

/* --- one hop ---------------------------------------------------------------------------------- */

static int egress_ask(struct http_call *call, const struct sockaddr *address, struct error *err)
{
    const struct http_client_settings *settings = &call->client->settings;

    return settings->egress ? settings->egress(settings->egress_ctx, address, err) : 0;
}

static void port_set(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

static void dial(struct http_call *call, const struct http_addresses *addresses)
{
    call->stage = STAGE_CONNECTING;
    if (http_easy_start(call, addresses) < 0)
        finish(call);
}

/* Only addresses that may be dialled are given to curl. */
static void on_addresses(void *ctx, const struct http_addresses *addresses, const char *why)
{
    struct http_call *call = ctx;
    struct http_addresses allowed = { .count = 0 };
    struct error err = { 0 };

    call->lookup = NULL;
    if (why) {
        error_set(&call->err, ERR_UNAVAILABLE, "no address for %s: %s", call->host, why);
        http_call_fail(call, HTTP_FAILURE_RESOLVE);
        finish(call);
        return;
    }
    for (size_t i = 0; i < addresses->count; i++) {
        struct sockaddr_storage address = addresses->list[i];
        port_set(&address, call->url.port);
        if (egress_ask(call, (struct sockaddr *)&address, &err) == 0)
            allowed.list[allowed.count++] = address;
    }
    if (!allowed.count) {
        call->err = err;
        http_call_fail(call, HTTP_FAILURE_EGRESS);
        finish(call);
        return;
    }
    dial(call, &allowed);
}

/* url's host is an address: nothing to look up, and no reason to make a socket if it is refused. */
static bool literal_address(const struct http_call *call, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    struct address address;

    if (!address_parse(call->url.host, &address))
        return false;
    *ret = (struct sockaddr_storage){ 0 };
    if (memchr(call->url.host.bytes, ':', call->url.host.size)) {
        v6->sin6_family = AF_INET6;
        memcpy(&v6->sin6_addr, address.bytes, 16);
    } else {
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, address.bytes + 12, 4);
    }
    port_set(ret, call->url.port);
    return true;
}

static void hop_begin(struct http_call *call)
{
    struct sockaddr_storage address;

    call->hop_us = http_now_us();
    call->sent_us = 0;
    call->head_size = 0;
    call->head_complete = false;
    call->stage = STAGE_RESOLVING;
    deadline_arm(call);
    if (!literal_address(call, &address)) {
        struct http_lookup *lookup =
            http_resolver_look_up(call->client->resolver, call->host, on_addresses, call);
        if (lookup) /* else on_addresses has run, and the call may be gone */
            call->lookup = lookup;
        return;
    }
    if (egress_ask(call, (struct sockaddr *)&address, &call->err) < 0) {
        http_call_fail(call, HTTP_FAILURE_EGRESS);
        finish(call);
        return;
    }
    dial(call, NULL);
}

static int url_take(struct http_call *call, const char *url)
{
    if (http_url_parse(url, &call->url, &call->err) < 0)
        return http_call_fail(call, HTTP_FAILURE_URL);
    char *host = arena_strndup(call->arena, call->url.host.bytes, call->url.host.size);
    for (char *p = host; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    call->host = host;
    return 0;
}

/* --- redirects -------------------------------------------------------------------------------- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The absolute URL that location means seen from base; NULL where it means none. */
static const char *location_resolve(struct http_call *call, struct str location)
{
    CURLU *url = curl_url();
    char *text = NULL;
    const char *copy = NULL;

    if (url &&
        curl_url_set(url, CURLUPART_URL, call->request.url, CURLU_PATH_AS_IS) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_URL, arena_strndup(call->arena, location.bytes, location.size),
                     CURLU_PATH_AS_IS) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK)
        copy = arena_strdup(call->arena, text);
    curl_free(text);
    curl_url_cleanup(url);
    return copy;
}

/* Credentials are for the origin they were given for. */
static void credentials_drop(struct http_call *call)
{
    static const char *const names[] = { "Authorization", "Cookie", "Host" };
    struct http_header *kept =
        ARENA_ARRAY(call->arena, struct http_header, call->request.header_count);
    size_t count = 0;

    for (size_t i = 0; i < call->request.header_count; i++) {
        const struct http_header *header = &call->request.headers[i];
        bool drop = false;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            drop = drop || str_equal_nocase(header->name, str_of(names[k]));
        if (!drop)
            kept[count++] = *header;
    }
    call->request.headers = kept;
    call->request.header_count = count;
}

/* 303, and 301 or 302 after POST as everybody does it: go and GET it, without the body. */
static void method_change(struct http_call *call)
{
    struct http_call_request *request = &call->request;
    bool is_post = strcmp(request->method, "POST") == 0;

    if (call->status != 303 && !(is_post && (call->status == 301 || call->status == 302)))
        return;
    if (strcmp(request->method, "HEAD") != 0)
        request->method = "GET";
    request->body = (struct str){ 0 };
}

static void redirect_follow(struct http_call *call, struct str location)
{
    struct http_url from = call->url;
    const char *url = location_resolve(call, location);

    http_easy_stop(call);
    if (call->redirects++ == call->request.redirects_max) {
        http_call_fail(call, HTTP_FAILURE_REDIRECTS);
        finish(call);
        return;
    }
    if (!url || url_take(call, url) < 0) {
        if (!url)
            error_set(&call->err, ERR_UNAVAILABLE, "redirect to something that is no URL");
        http_call_fail(call, HTTP_FAILURE_URL);
        finish(call);
        return;
    }
    call->request.url = url;
    if (!str_equal(from.scheme, call->url.scheme) || from.port != call->url.port ||
        !str_equal_nocase(from.host, call->url.host))
        credentials_drop(call);
    method_change(call);
    call->status = 0;
    call->answer_header_count = 0;
    hop_begin(call);
}

void http_call_hop_done(struct http_call *call, CURLcode code)
{
    struct str location = { 0 };

    if (code != CURLE_OK)
        http_call_fail(call, http_easy_failure(code, call->curl_text));
    if (call->failure == HTTP_FAILURE_EGRESS && code == CURLE_OK)
        call->failure = HTTP_FAILURE_NONE; /* another address of the name was allowed */
    if (code == CURLE_OK && !call->head_complete)
        http_call_fail(call, HTTP_FAILURE_RESET); /* cut in its head: to curl that is an answer */
    if (call->failure == HTTP_FAILURE_NONE && call->request.redirects_max &&
        is_redirect(call->status))
        location = http_header_find(call->answer_headers, call->answer_header_count, "Location");
    if (location.bytes)
        redirect_follow(call, location);
    else
        finish(call);
}

/* --- beginning -------------------------------------------------------------------------------- */

static int method_check(struct http_call *call)
{
    const char *method = call->request.method;

    if (http_header_name_valid(str_of(method)) && strlen(method) <= 32 &&
        strcmp(method, "CONNECT") != 0 && strcmp(method, "TRACE") != 0)
        return 0;
    error_set(&call->err, ERR_INVALID, "bad method");
    return http_call_fail(call, HTTP_FAILURE_URL);
}

/* Framing is the client's own business; injected lines are an attack. */
static int header_check(struct http_call *call, const struct http_header *header)
{
    static const char *const own[] = { "Connection", "Content-Length", "Expect", "Keep-Alive", "TE",
                                       "Trailer", "Transfer-Encoding", "Upgrade" };
    bool is_own = false;

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        is_own = is_own || str_equal_nocase(header->name, str_of(own[i]));
    if (http_header_name_valid(header->name) && http_header_value_valid(header->value) && !is_own)
        return 0;
    error_set(&call->err, ERR_INVALID, "bad header %.*s", 40, header->name.bytes);
    return http_call_fail(call, HTTP_FAILURE_URL);
}

static int request_check(struct http_call *call)
{
    if (method_check(call) < 0)
        return -1;
    for (size_t i = 0; i < call->request.header_count; i++)
        if (header_check(call, &call->request.headers[i]) < 0)
            return -1;
    return url_take(call, call->request.url);
}

void http_call_begin(struct http_call *call)
{
    if (request_check(call) < 0)
        finish(call);
    else
        hop_begin(call);
}

static void request_copy(struct http_call *call, const struct http_call_request *request)
{
    struct arena *arena = call->arena;
    struct http_header *headers = ARENA_ARRAY(arena, struct http_header, request->header_count);

    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *from = &request->headers[i];
        headers[i].name = (struct str){
            arena_strndup(arena, from->name.bytes, from->name.size), from->name.size };
        headers[i].value = (struct str){
            arena_strndup(arena, from->value.bytes, from->value.size), from->value.size };
    }
    call->request = *request;
    call->request.headers = headers;
    call->request.url = arena_strdup(arena, request->url);
    call->request.method = arena_strdup(arena, request->method);
    call->request.body.bytes = arena_copy(arena, request->body.bytes, request->body.size);
}

static struct http_call *call_new(struct http_client *client,
                                  const struct http_call_request *request, http_call_done *done,
                                  void *ctx)
{
    struct http_call *call = memory_alloc(sizeof *call);

    call->client = client;
    call->arena = arena_new();
    call->done = done;
    call->ctx = ctx;
    call->start_us = http_now_us();
    request_copy(call, request);
    call->response_max = request->response_max ? request->response_max : HTTP_RESPONSE_MAX_DEFAULT;
    buf_init(&call->body, call->response_max);
    list_init(&call->all);
    list_init(&call->starting);
    list_add_tail(&client->calls, &call->all);
    event_assign(&call->deadline_event, client->base, -1, 0, on_deadline, call);
    return call;
}

struct http_call *http_call_start(struct http_client *client,
                                  const struct http_call_request *request, http_call_done *done,
                                  void *ctx)
{
    struct http_call *call = call_new(client, request, done, ctx);

    if (!call->request.total_timeout_ms)
        call->request.total_timeout_ms = 60000;
    http_client_add_starting(call);
    return call;
}

struct http_call *http_call_stream(struct http_client *client,
                                   const struct http_call_request *request,
                                   void (*on_data)(void *ctx, int status, struct str bytes),
                                   http_call_done *done, void *ctx)
{
    struct http_call *call = call_new(client, request, done, ctx);

    call->on_data = on_data;
    http_client_add_starting(call);
    return call;
}

/* --- ending ----------------------------------------------------------------------------------- */

void http_call_free(struct http_call *call)
{
    if (call->lookup)
        http_lookup_cancel(call->lookup);
    http_easy_stop(call);
    event_del(&call->deadline_event);
    list_remove(&call->all);
    list_remove(&call->starting);
    buf_done(&call->body);
    arena_free(&call->arena);
    free(call);
}

void http_call_cancel(struct http_call *call)
{
    call->cancelled = true;
    if (!call->in_callback) /* else curl is above us, and hop_done will see to it */
        http_call_free(call);
}

static void finish(struct http_call *call)
{
    struct http_call_result result = {
        .failure = call->failure,
        .err = &call->err,
        .sent = call->sent,
        .status = call->status,
        .headers = call->answer_headers,
        .header_count = call->answer_header_count,
        .connect_us = call->connect_us,
        .first_byte_us = call->first_byte_us,
        .total_us = http_now_us() - call->start_us,
    };

    if (call->lookup) {
        http_lookup_cancel(call->lookup);
        call->lookup = NULL;
    }
    if (call->failure != HTTP_FAILURE_NONE && call->err.code == ERR_NONE)
        failure_explain(call);
    http_easy_stop(call); /* before done: what it starts may use the connection again */
    result.body = buf_str(&call->body);
    memcpy(result.address, call->address, sizeof result.address);
    if (!call->cancelled) {
        event_del(&call->deadline_event);
        call->in_callback = true; /* cancelling from inside done is too late, but harmless */
        call->done(call->ctx, &result);
    }
    http_call_free(call);
}
