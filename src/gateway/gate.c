#include "gateway/gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/credentials.h"
#include "gateway/identity-cache.h"
#include "gateway/origin.h"
#include "gateway/rate-limit.h"

#include <inttypes.h>
#include <sodium.h>

enum { BODY_MAX_DEFAULT = 1024 * 1024, BODY_MAX_NO_ROUTE = 64 * 1024 };

/* One request on its way in. In the exchange's arena. */
struct gate {
    struct gateway *gateway;
    struct request *request;
    struct http_request http;     /* what services see: headers filtered */
    const struct http_request *raw;
    int64_t started_ms;           /* monotonic */
    struct address site;          /* of the client */
    bool trusted;                 /* came through a trusted proxy */
    struct origin origin;
    const char *cookie_name;      /* NULL: this connection may have none */
    int found;                    /* of route_find */
    const struct service *service;
    const char *allow;
    bool counted;                 /* in gateway.running */

    enum auth_kind kind;
    struct str token;
    char key[CACHE_KEY_SIZE + 1];
    uint64_t generation;
    const struct auth_identity *identity;
};

/* --- the end ---------------------------------------------------------------------------------- */

static void uncount(struct gate *gate)
{
    struct gateway *gateway = gate->gateway;

    if (!gate->counted)
        return;
    gate->counted = false;
    gateway->running--;
    if (gateway->draining && gateway->running == 0 && gateway->drained) {
        void (*drained)(void *ctx) = gateway->drained;
        gateway->drained = NULL;
        drained(gateway->drained_ctx);
    }
}

static void access_log(const struct gate *gate, int status, uint64_t size)
{
    const struct http_request *http = gate->raw;
    const struct request *request = gate->request;
    const struct principal *who = request->principal;
    char path[512];

    if (!gate->gateway->access_log)
        return;
    snprintf(path, sizeof path, "%.*s", (int)(http->path.size < 500 ? http->path.size : 500),
             http->path.bytes);
    LOG_INFO("request", "method", http_method_name(http->method), "path", path, "status",
             log_int(status), "ms", log_int(clock_mono_ms() - gate->started_ms), "bytes",
             log_int((int64_t)size), "address", request->client_address, "user",
             who && who->kind == PRINCIPAL_USER ? who->name : NULL, "key",
             who && who->kind == PRINCIPAL_KEY ? who->name : NULL, "request", request->id);
}

static void on_end(void *ctx, int status, uint64_t body_size)
{
    struct gate *gate = ctx;

    gate->gateway->answers[status / 100 <= 5 ? status / 100 : 5]++;
    access_log(gate, status, body_size);
    uncount(gate);
}

static void refuse(struct gate *gate, enum gateway_refusal kind, const struct error *err)
{
    gate->gateway->refused[kind]++;
    request_fail(gate->request, err);
}

static void refuse_rate(struct gate *gate, int64_t wait_ms)
{
    struct error err;
    int64_t seconds = (wait_ms + 999) / 1000;

    request_header(gate->request, "Retry-After",
                   arena_printf(gate->request->arena, "%" PRId64, seconds));
    error_set(&err, ERR_THROTTLED, "too many requests: slow down");
    refuse(gate, REFUSED_RATE, &err);
}

/* --- 5: on to the service --------------------------------------------------------------------- */

/* What the route says about query and body holds for every service alike. */
static int shape_check(struct gate *gate)
{
    static const char *const none[] = { NULL };
    const struct route *route = gate->request->route;
    struct error err;

    if (request_query_check(gate->request, route->query ? route->query : none) < 0)
        return -1;
    if (gate->http.body.size == 0 || route->body)
        return 0;
    error_set(&err, ERR_INVALID, "this request takes no body");
    request_fail(gate->request, &err);
    return -1;
}

static void forward(struct gate *gate)
{
    struct request *request = gate->request;

    if (shape_check(gate) < 0)
        return;
    if (request->route->stream)
        uncount(gate); /* nobody waits for a stream's end to stop */
    service_forward(gate->gateway->node, gate->service, request);
}

/* --- 4: what the caller may ------------------------------------------------------------------- */

static bool is_changing(enum http_method method)
{
    return method != HTTP_GET && method != HTTP_HEAD && method != HTTP_OPTIONS;
}

static int csrf_check(struct gate *gate, bool browser)
{
    const struct http_request *raw = gate->raw;
    struct str token = http_header_find(raw->headers, raw->header_count, "X-Belfry-CSRF");
    const char *want = gate->identity ? gate->identity->csrf : NULL;
    struct error err;

    if (!is_changing(raw->method))
        return 0;
    if (!origin_allowed(&gate->origin, raw->headers, raw->header_count)) {
        error_set(&err, ERR_FORBIDDEN, "the request comes from a page of another site");
        refuse(gate, REFUSED_CSRF, &err);
        return -1;
    }
    if (!browser)
        return 0;
    if (want && token.size == strlen(want) && sodium_memcmp(token.bytes, want, token.size) == 0)
        return 0;
    error_set(&err, ERR_FORBIDDEN,
              "with a session cookie the header X-Belfry-CSRF must carry the csrf of "
              "GET /api/v1/session");
    refuse(gate, REFUSED_CSRF, &err);
    return -1;
}

static int permission_check(struct gate *gate)
{
    struct request *request = gate->request;
    struct error err;

    if (principal_may_somewhere(request->principal, request->route->permission))
        return 0;
    error_set(&err, ERR_FORBIDDEN, "your role does not allow this");
    refuse(gate, REFUSED_PERMISSION, &err);
    return -1;
}

/* A path that is not there, or not with this method: told to those who are signed in. */
static void refuse_route(struct gate *gate)
{
    struct error err;

    if (gate->found < 0) {
        request_header(gate->request, "Allow", gate->allow);
        error_set(&err, ERR_METHOD, "this path takes %s only", gate->allow);
    } else {
        error_set(&err, ERR_NOT_FOUND, "there is nothing at this path");
    }
    refuse(gate, REFUSED_ROUTE, &err);
}

static void enter(struct gate *gate)
{
    struct gateway *gateway = gate->gateway;
    const struct principal *principal = &gate->identity->principal;
    struct { int32_t kind, id; } who = { principal->kind, principal->id };
    int64_t wait;

    gate->request->principal = principal;
    wait = rate_limit_take(gateway->by_principal, (struct str){ (char *)&who, sizeof who },
                           gate->started_ms);
    if (wait > 0)
        refuse_rate(gate, wait);
    else if (gate->found != 1)
        refuse_route(gate);
    else if (csrf_check(gate, principal->browser) == 0 && permission_check(gate) == 0)
        forward(gate);
}

/* --- 3: who the caller is --------------------------------------------------------------------- */

static void on_checked(void *ctx, const struct auth_identity *identity, const struct error *err)
{
    struct gate *gate = ctx;

    if (err) {
        refuse(gate, REFUSED_CREDENTIALS, err);
        return;
    }
    identity_cache_put(gate->gateway->identities, gate->key, identity, gate->generation,
                       clock_mono_ms(), clock_wall_ms());
    gate->identity = identity_copy(identity, gate->request->arena);
    enter(gate);
}

static void identify(struct gate *gate)
{
    struct gateway *gateway = gate->gateway;
    struct request *request = gate->request;

    gate->generation = auth_generation();
    identity_cache_key(gateway->identities, gate->kind, gate->token, request->client_address,
                       gate->key);
    gate->identity = identity_cache_find(gateway->identities, gate->key, gate->generation,
                                         gate->started_ms, request->arena);
    if (gate->identity) {
        enter(gate);
        return;
    }
    auth_check(gateway->node, gate->kind,
               arena_strndup(request->arena, gate->token.bytes, gate->token.size),
               request->client_address, on_checked, gate);
}

/* An Authorization header counts alone: no page of another site can make a browser send one. */
static int credentials_find(struct gate *gate, struct error *err)
{
    const struct http_header *headers = gate->raw->headers;
    size_t count = gate->raw->header_count;
    int found = bearer_find(headers, count, &gate->token);

    gate->kind = AUTH_KEY;
    if (found < 0)
        return error_set(err, ERR_UNAUTHENTICATED,
                         "the Authorization header must be: Bearer, a space, an API key");
    if (found > 0)
        return 0;
    gate->kind = AUTH_SESSION;
    found = gate->cookie_name ? cookie_find(headers, count, gate->cookie_name, &gate->token) : 0;
    if (found < 0)
        return error_set(err, ERR_UNAUTHENTICATED, "the session cookie is malformed or came twice");
    if (found > 0)
        return 0;
    return error_set(err, ERR_UNAUTHENTICATED, "sign in first");
}

static void authenticate(struct gate *gate)
{
    struct error err;

    if (gate->found == 1 && gate->request->route->permission == PERM_PUBLIC) {
        if (csrf_check(gate, false) == 0)
            forward(gate);
        return;
    }
    if (credentials_find(gate, &err) < 0)
        refuse(gate, REFUSED_CREDENTIALS, &err);
    else
        identify(gate);
}

/* --- 2: where it goes, and whether anybody may go anywhere yet -------------------------------- */

static void on_setup_known(void *ctx, bool complete, const struct error *err)
{
    struct gate *gate = ctx;
    struct error mine;

    if (err) {
        request_fail(gate->request, err);
        return;
    }
    if (complete) {
        gate->gateway->setup_complete = true;
        authenticate(gate);
        return;
    }
    error_set(&mine, ERR_SETUP_REQUIRED,
              "no administrator exists yet: run belfry user setup with the code of the first start");
    refuse(gate, REFUSED_SETUP, &mine);
}

static void route(struct gate *gate)
{
    struct gateway *gateway = gate->gateway;
    struct request *request = gate->request;
    const struct route *found = NULL;

    gate->found = route_find(gateway->node->services, gateway->node->service_count,
                             gate->http.method, gate->http.path, request->arena, &gate->service,
                             &found, request->params, &gate->allow);
    request->route = found;
    if (!str_starts_with(gate->http.path, STR("/api/")) && gate->found != 1) {
        refuse_route(gate);
        return;
    }
    request_header(request, "Cache-Control", "no-store");
    if (gateway->setup_complete || (gate->found == 1 && found->before_setup))
        authenticate(gate);
    else
        auth_setup_complete(gateway->node, on_setup_known, gate);
}

/* --- 1: the connection ------------------------------------------------------------------------ */

static bool proxy_says_tls(const struct gate *gate)
{
    struct str proto = http_header_find(gate->raw->headers, gate->raw->header_count,
                                        "X-Forwarded-Proto");

    return gate->trusted && proto.bytes && str_equal_nocase(str_trim(proto), STR("https"));
}

static void connection_read(struct gate *gate)
{
    const struct http_request *raw = gate->raw;
    struct request *request = gate->request;
    struct address address = { 0 };
    struct str id = http_header_find(raw->headers, raw->header_count, "X-Request-Id");

    gate->trusted = client_address_find(&gate->gateway->proxies, raw->peer, raw->headers,
                                        raw->header_count, request->client_address);
    if (gate->trusted && id.bytes && request_id_valid(id))
        snprintf(request->id, sizeof request->id, "%.*s", (int)id.size, id.bytes);
    address_parse(str_of(request->client_address), &address);
    gate->site = address_site(&address);
    gate->origin = (struct origin){
        .tls = raw->tls || proxy_says_tls(gate),
        .loopback = gate->gateway->loopback,
        .host = raw->host,
        .public_url = gate->gateway->public_url,
    };
    gate->cookie_name = origin_cookie(&gate->origin);
}

/* What services get to see instead of what was sent. */
static void headers_replace(struct gate *gate)
{
    struct http_header *headers;
    size_t count = headers_filter(gate->raw->headers, gate->raw->header_count, 1,
                                  gate->request->arena, &headers);

    if (gate->cookie_name)
        headers[count++] = (struct http_header){ STR(AUTH_COOKIE_HEADER),
                                                 str_of(gate->cookie_name) };
    gate->http = *gate->raw;
    gate->http.headers = headers;
    gate->http.header_count = count;
    gate->request->http = &gate->http;
}

static struct gate *gate_new(struct gateway *gateway, struct http_exchange *exchange,
                             const struct http_request *http)
{
    struct gate *gate = ARENA_NEW(http_exchange_arena(exchange), struct gate);

    gate->gateway = gateway;
    gate->raw = http;
    gate->started_ms = clock_mono_ms();
    gate->request = request_new(exchange);
    gate->counted = true;
    gateway->running++;
    http_exchange_on_end(exchange, on_end, gate);
    connection_read(gate);
    headers_replace(gate);
    http_answer_header(exchange, "X-Request-Id", gate->request->id);
    if (gate->origin.tls)
        http_answer_header(exchange, "Strict-Transport-Security", "max-age=31536000");
    return gate;
}

void gate_handle(void *ctx, struct http_exchange *exchange, const struct http_request *http)
{
    struct gateway *gateway = ctx;
    struct gate *gate;
    int64_t wait;

    if (node_health_answer(gateway->node, exchange))
        return;
    gate = gate_new(gateway, exchange, http);
    wait = rate_limit_take(gateway->by_address,
                           (struct str){ (char *)gate->site.bytes, sizeof gate->site.bytes },
                           gate->started_ms);
    if (wait > 0)
        refuse_rate(gate, wait);
    else if (!page_answer(gateway, gate->request))
        route(gate);
}

/* Before the body is read: how large it may be there. Nobody is identified yet, so this bounds
 * what a stranger can make us hold. */
int gate_admit(void *ctx, const struct http_request *head, size_t *ret_body_max)
{
    struct gateway *gateway = ctx;
    const char *params[REQUEST_PARAMS_MAX], *allow;
    const struct service *service;
    const struct route *found;

    if (head->method != HTTP_POST && head->method != HTTP_PUT && head->method != HTTP_PATCH)
        return 0;
    if (route_find(gateway->node->services, gateway->node->service_count, head->method, head->path,
                   head->arena, &service, &found, params, &allow) == 1)
        *ret_body_max = found->body_max ? found->body_max : BODY_MAX_DEFAULT;
    else
        *ret_body_max = BODY_MAX_NO_ROUTE;
    return 0;
}
