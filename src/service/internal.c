#include "service/service-private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "http/egress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The listener for other processes. It answers
 *
 *   /healthz, /readyz                    anybody
 *   POST /internal/v1/SERVICE/NAME       calls; signed by a known node, but for those marked public
 *   /api/v1/…                            requests that a gateway passes on; signed likewise, with
 *                                        the principal in the claims
 *
 * Everything else, and everything for a service that does not run here, is 404.
 */
enum {
    HEAD_MAX = 128 * 1024,                 /* claims with many grants */
    BODY_UNVERIFIED_MAX = 4 * 1024 * 1024, /* of a sender whose key is not known yet */
    CALL_BODY_MAX = 16 * 1024 * 1024,
    API_BODY_MAX = 1024 * 1024,
};

struct incoming {
    struct frame *frame;
    struct http_exchange *exchange;
    const struct running *running;
    const struct call_handler *handler; /* of a call, else NULL */
    const struct route *route;          /* of an API request, else NULL */
    const char *params[REQUEST_PARAMS_MAX];
    struct str header;
    struct claims *claims;
    bool asked;
};

/* --- what is meant --------------------------------------------------------------------------- */

static const struct call_handler *find_call(const struct frame *frame, struct str path,
                                            struct running **ret_running)
{
    struct str prefix = STR("/internal/v1/"), name, service;
    char text[64];

    if (!str_starts_with(path, prefix))
        return NULL;
    name = (struct str){ path.bytes + prefix.size, path.size - prefix.size };
    if (!str_split(&name, '/', &service) || !name.bytes || service.size >= sizeof text)
        return NULL;
    snprintf(text, sizeof text, "%.*s", (int)service.size, service.bytes);
    *ret_running = frame_running(frame, text);
    if (!*ret_running || name.size >= sizeof text)
        return NULL;
    snprintf(text, sizeof text, "%.*s", (int)name.size, name.bytes);
    return call_handler_find((*ret_running)->service, text);
}

/* Fills in running and handler or route; false: not here. */
static bool target_find(struct incoming *in, const struct http_request *http)
{
    const struct service *service;
    struct running *running = NULL;
    const char *allow;

    in->handler = http->method == HTTP_POST ? find_call(in->frame, http->path, &running) : NULL;
    if (!in->handler) {
        if (route_find(in->frame->node.services, in->frame->node.service_count, http->method,
                       http->path, http->arena, &service, &in->route, in->params, &allow) != 1)
            return false;
        running = frame_running(in->frame, service->name);
    }
    in->running = running;
    return running != NULL;
}

/* --- answers of our own: nobody has looked at the request ------------------------------------ */

static void refuse(struct incoming *in, const struct error *err)
{
    static int64_t logged_ms = INT64_MIN / 2;
    int64_t now = clock_mono_ms();
    struct buf body;

    if (err->code == ERR_UNAUTHENTICATED &&
        now - logged_ms >= 1000) { /* one line a second will do */
        LOG_WARN("request of another process refused", "peer",
                 http_exchange_request(in->exchange)->peer, "why", error_english(err));
        logged_ms = now;
    }
    buf_init(&body, 64 * 1024);
    http_answer_header(in->exchange, NOT_HANDLED_HEADER, "1");
    if (in->route) {
        problem_write(err, LANGUAGE_EN, NULL, &body);
        http_answer(in->exchange, error_http_status(err->code), "application/problem+json",
                    buf_str(&body));
    } else {
        call_error_write(err, &body);
        http_answer(in->exchange, error_http_status(err->code), "application/json", buf_str(&body));
    }
    buf_done(&body);
}

/* --- handing over ---------------------------------------------------------------------------- */

static bool request_id_fits(const char *id)
{
    size_t size = id ? strlen(id) : 0;

    return size >= 8 && size < 40 &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == size;
}

static void api_request(struct incoming *in)
{
    struct request *request = request_new(in->exchange);
    const struct claims *claims = in->claims;
    struct error err;

    request->route = in->route;
    memcpy(request->params, in->params, sizeof in->params);
    request->principal = claims->principal;
    request->state = in->running->state;
    if (request_id_fits(claims->request_id))
        snprintf(request->id, sizeof request->id, "%s", claims->request_id);
    if (claims->client_address)
        snprintf(request->client_address, sizeof request->client_address, "%s",
                 claims->client_address);
    if (principal_may_somewhere(request->principal, in->route->permission)) {
        in->route->handle(request);
        return;
    }
    if (request->principal)
        error_set(&err, ERR_FORBIDDEN, "your role does not allow this");
    else
        error_set(&err, ERR_UNAUTHENTICATED, "sign in first");
    request_fail(request, &err);
}

static void hand_over(struct incoming *in)
{
    http_exchange_on_gone(in->exchange, NULL, NULL);
    if (in->handler)
        call_receive(in->frame, in->running, in->handler, in->claims ? in->claims->issuer : "",
                     in->exchange);
    else
        api_request(in);
}

/* --- who sends ------------------------------------------------------------------------------- */

static const unsigned char *key_find(struct frame *frame, const char *name)
{
    if (strcmp(name, frame->node.name) == 0)
        return identity_public_key(frame->identity);
    return keyring_find(frame->keyring, name, clock_mono_ms());
}

static void verify(void *ctx);

/* 0: being asked for, goes on in verify. */
static int key_ask(struct incoming *in, struct error *err)
{
    if (!in->asked &&
        keyring_ask(in->frame->keyring, in->claims->issuer, clock_mono_ms(), verify, in))
        return in->asked = true, 0;
    return error_set(err, ERR_UNAUTHENTICATED, "node %s is not known here, or has another key",
                     in->claims->issuer);
}

static void verify(void *ctx)
{
    struct incoming *in = ctx;
    const struct http_request *http = http_exchange_request(in->exchange);
    const unsigned char *key = key_find(in->frame, in->claims->issuer);
    struct error err;

    if (!key || !identity_signed_by(in->header, key)) {
        if (key_ask(in, &err) < 0)
            refuse(in, &err);
        return;
    }
    if (identity_check(in->claims, in->running->service->name, http_method_name(http->method),
                       http->raw_target, http->body, clock_wall_ms(), &err) < 0) {
        refuse(in, &err);
        return;
    }
    hand_over(in);
}

static void on_gone(void *ctx)
{
    struct incoming *in = ctx;

    keyring_forget(in->frame->keyring, in);
}

static void on_request(void *ctx, struct http_exchange *exchange, const struct http_request *http)
{
    struct frame *frame = ctx;
    struct incoming *in;
    struct error err;

    if (node_health_answer(&frame->node, exchange))
        return;
    in = ARENA_NEW(http->arena, struct incoming);
    in->frame = frame;
    in->exchange = exchange;
    in->header = http_header_find(http->headers, http->header_count, IDENTITY_HEADER);
    if (!target_find(in, http)) {
        error_set(&err, ERR_NOT_FOUND, "there is nothing here under this path");
        refuse(in, &err);
    } else if (!in->running->started) {
        error_set(&err, ERR_UNAVAILABLE, "this process is starting");
        refuse(in, &err);
    } else if (in->handler && in->handler->why_public) {
        hand_over(in);
    } else if (identity_read(in->header, http->arena, &in->claims, &err) < 0) {
        refuse(in, &err);
    } else {
        http_exchange_on_gone(exchange, on_gone, in);
        verify(in);
    }
}

/* --- before the body ------------------------------------------------------------------------- */

/* The signature covers the head, so it can be checked before a large body costs memory. */
static bool sender_verified(struct frame *frame, const struct http_request *head)
{
    struct str header = http_header_find(head->headers, head->header_count, IDENTITY_HEADER);
    struct claims *claims;
    const unsigned char *key;

    if (identity_read(header, head->arena, &claims, NULL) < 0)
        return false;
    key = key_find(frame, claims->issuer);
    return key && identity_signed_by(header, key);
}

static int on_head(void *ctx, const struct http_request *head, size_t *ret_body_max)
{
    struct incoming in = { .frame = ctx };
    int64_t length = 0;

    *ret_body_max = BODY_UNVERIFIED_MAX;
    if (!target_find(&in, head))
        return 0; /* answered when it is whole */
    size_t most = in.handler ? in.handler->type->size_max : in.route->body_max;
    if (most == 0)
        most = in.handler ? CALL_BODY_MAX : API_BODY_MAX;
    struct str text = http_header_find(head->headers, head->header_count, "Content-Length");
    if (!text.bytes || !number_parse(text, 0, INT64_MAX, &length))
        length = BODY_UNVERIFIED_MAX + 1; /* chunked: any length */
    if (most <= BODY_UNVERIFIED_MAX || length <= BODY_UNVERIFIED_MAX ||
        sender_verified(in.frame, head))
        *ret_body_max = most;
    return 0;
}

/* --- opening --------------------------------------------------------------------------------- */

static bool answers_others(const struct frame *frame)
{
    for (size_t i = 0; frame_is_apart(frame) && i < frame->running_count; i++)
        if (frame->running[i].service->calls || frame->running[i].service->routes)
            return true;
    return false;
}

/* The host:port that the first service's default in [registry] names. */
static const char *listen_default(const struct frame *frame)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].section, "registry") == 0 && config_keys[i].fallback &&
            frame_running(frame, config_keys[i].name))
            return config_keys[i].fallback + strlen("http://");
    return "127.0.0.1:0";
}

static int url_make(struct frame *frame, const char *listen, struct error *err)
{
    const struct config *config = frame->node.config;
    const char *url = config_text(config, "internal.url");
    const char *colon = strrchr(listen, ':');
    struct str host = { listen, colon ? (size_t)(colon - listen) : strlen(listen) };
    struct buf text;

    if (!url && (str_is(host, "0.0.0.0") || str_is(host, "[::]")))
        return error_set(
            err, ERR_INVALID,
            "internal.url must say under which address other processes reach this one, "
            "since internal.listen is %s",
            listen);
    free(frame->url);
    buf_init(&text, 512);
    if (url)
        buf_add_text(&text, url);
    else
        buf_printf(&text, "%s://%.*s:%u",
                   config_text(config, "internal.tls_certificate") ? "https" : "http",
                   (int)host.size, host.bytes, http_server_port(frame->internal));
    frame->url = text.bytes ? buf_take(&text) : memory_strdup("local");
    frame->node.url = frame->url;
    return 0;
}

int internal_open(struct frame *frame, struct error *err)
{
    const struct config *config = frame->node.config;
    const char *listen = config_text(config, "internal.listen");
    struct http_server_settings settings = {
        .limits = { .head_max = HEAD_MAX, .line_max = 16 * 1024, .body_max = CALL_BODY_MAX },
        .tls_certificate = config_text(config, "internal.tls_certificate"),
        .tls_key = config_text(config, "internal.tls_key"),
        .handle = on_request,
        .admit = on_head,
        .ctx = frame,
    };

    if (!answers_others(frame))
        return 0;
    settings.listen = listen ? listen : listen_default(frame);
    if (http_server_new(frame->node.base, &settings, &frame->internal, err) < 0)
        return -1;
    egress_own_port(frame->node.egress, (uint16_t)http_server_port(frame->internal));
    if (!settings.tls_certificate && !listen_is_loopback(settings.listen))
        LOG_WARN(
            "other processes are answered over plain HTTP: signed, but readable on the way; set "
            "internal.tls_certificate",
            "listen", settings.listen);
    return url_make(frame, settings.listen, err);
}
