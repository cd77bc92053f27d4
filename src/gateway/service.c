#include "gateway/service.h"

#include "base/log.h"
#include "base/memory.h"
#include "gateway/gateway.h"
#include "gateway/identity-cache.h"
#include "gateway/rate-limit.h"
#include "http/egress.h"

#include <stdlib.h>

enum { BUCKETS = 8192, IDENTITIES_MAX = 4096 };

/* The host part of "host:port", "[v6]:port". */
static struct str listen_host(const char *listen)
{
    struct str text = str_of(listen);

    while (text.size > 0 && text.bytes[text.size - 1] != ':')
        text.size--;
    if (text.size > 0)
        text.size--;
    return text;
}

static bool listen_is_loopback(const char *listen)
{
    struct str host = listen_host(listen);
    struct address address;

    return str_equal_nocase(host, STR("localhost")) ||
           (address_parse(host, &address) && address_is_loopback(&address));
}

static int insecure_check(const struct gateway *gateway, const struct config *config,
                          const char *listen, struct error *err)
{
    bool tls = config_text(config, "http.tls_certificate") != NULL;

    if (tls || gateway->loopback)
        return 0;
    if (!config_bool(config, "http.insecure_plain"))
        return error_set(err, ERR_INVALID,
                         "http.listen %s is not a loopback address and there is no TLS: set "
                         "http.tls_certificate and http.tls_key, or put a TLS proxy in front of a "
                         "loopback address, or set http.insecure_plain = true (API keys only, no "
                         "sign-in)", listen);
    LOG_WARN("plain HTTP on an address that is not loopback: API keys can be read on the way, "
             "sign-in is refused", "listen", listen);
    return 0;
}

static void limits_make(struct gateway *gateway, const struct config *config)
{
    int64_t address = config_int(config, "http.rate_address");
    int64_t principal = config_int(config, "http.rate_principal");

    gateway->by_address = rate_limit_new(address, 2 * address, BUCKETS);
    gateway->by_principal = rate_limit_new(principal, 2 * principal, BUCKETS);
}

static int proxies_read(struct gateway *gateway, const struct config *config, struct error *err)
{
    int count = cidr_list_parse(config_text(config, "http.trusted_proxies"), gateway->proxies.cidrs,
                                sizeof gateway->proxies.cidrs / sizeof *gateway->proxies.cidrs,
                                err);

    if (count < 0)
        return error_prefix_path(err, "http.trusted_proxies");
    gateway->proxies.count = (size_t)count;
    return 0;
}

static int listener_open(struct gateway *gateway, const char *listen, struct error *err)
{
    const struct config *config = gateway->node->config;
    struct http_server_settings settings = {
        .listen = listen,
        .tls_certificate = config_text(config, "http.tls_certificate"),
        .tls_key = config_text(config, "http.tls_key"),
        .handle = gate_handle,
        .admit = gate_admit,
        .ctx = gateway,
    };

    if (http_server_new(gateway->node->base, &settings, &gateway->server, err) < 0)
        return -1;
    if (gateway->node->egress)
        egress_own_port(gateway->node->egress, (uint16_t)http_server_port(gateway->server));
    LOG_INFO("listening", "listen", listen, "port", log_int(http_server_port(gateway->server)),
             "tls", settings.tls_certificate ? "yes" : "no");
    return 0;
}

static void gateway_free(void *state)
{
    struct gateway *gateway = state;

    if (!gateway)
        return;
    http_server_free(&gateway->server);
    rate_limit_free(&gateway->by_address);
    rate_limit_free(&gateway->by_principal);
    identity_cache_free(&gateway->identities);
    free(gateway);
}

static int gateway_start(struct node *node, void **ret_state, struct error *err)
{
    struct gateway *gateway = memory_alloc(sizeof *gateway);
    const char *listen = config_text(node->config, "http.listen");

    gateway->node = node;
    gateway->public_url = config_text(node->config, "http.public_url");
    gateway->access_log = config_bool(node->config, "http.access_log");
    gateway->loopback = listen_is_loopback(listen);
    gateway->identities = identity_cache_new(IDENTITIES_MAX);
    limits_make(gateway, node->config);
    if (proxies_read(gateway, node->config, err) < 0 ||
        insecure_check(gateway, node->config, listen, err) < 0 ||
        listener_open(gateway, listen, err) < 0) {
        gateway_free(gateway);
        return -1;
    }
    *ret_state = gateway;
    return 0;
}

static void drain_nothing(void *ctx)
{
    (void)ctx;
}

/* Streams do not hold up the stop: the services that feed them drain after us and end them. */
static void gateway_drain(void *state, void (*done)(void *ctx), void *ctx)
{
    struct gateway *gateway = state;
    int timeout_ms = (int)config_int(gateway->node->config, "node.drain_timeout");

    gateway->draining = true;
    gateway->drained = done;
    gateway->drained_ctx = ctx;
    http_server_drain(gateway->server, timeout_ms, drain_nothing, NULL);
    if (gateway->running == 0 && gateway->drained) {
        gateway->drained = NULL;
        done(ctx);
    }
}

static void metric(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void gateway_metrics(void *state, struct buf *out)
{
    static const char *const classes[] = { "gone", "1xx", "2xx", "3xx", "4xx", "5xx" };
    static const char *const refusals[REFUSED_COUNT] = {
        [REFUSED_RATE] = "rate",       [REFUSED_ROUTE] = "route", [REFUSED_SETUP] = "setup",
        [REFUSED_CREDENTIALS] = "credentials", [REFUSED_CSRF] = "csrf",
        [REFUSED_PERMISSION] = "permission",
    };
    const struct gateway *gateway = state;
    struct http_server_counters counters;

    http_server_counters(gateway->server, &counters);
    buf_add_text(out, "# TYPE belfry_gateway_answers_total counter\n");
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (i != 1)
            buf_printf(out, "belfry_gateway_answers_total{class=\"%s\"} %llu\n", classes[i],
                       (unsigned long long)gateway->answers[i]);
    buf_add_text(out, "# TYPE belfry_gateway_refused_total counter\n");
    for (size_t i = 0; i < REFUSED_COUNT; i++)
        buf_printf(out, "belfry_gateway_refused_total{why=\"%s\"} %llu\n", refusals[i],
                   (unsigned long long)gateway->refused[i]);
    buf_add_text(out, "# TYPE belfry_gateway_bad_requests_total counter\n");
    metric(out, "belfry_gateway_bad_requests_total", counters.bad_requests);
    buf_add_text(out, "# TYPE belfry_gateway_received_bytes_total counter\n");
    metric(out, "belfry_gateway_received_bytes_total", counters.bytes_in);
    buf_add_text(out, "# TYPE belfry_gateway_sent_bytes_total counter\n");
    metric(out, "belfry_gateway_sent_bytes_total", counters.bytes_out);
    buf_add_text(out, "# TYPE belfry_gateway_connections gauge\n");
    metric(out, "belfry_gateway_connections", counters.connections);
}

const struct service gateway_service = {
    .name = "gateway",
    .opens_listener = true,
    .start = gateway_start,
    .metrics = gateway_metrics,
    .drain = gateway_drain,
    .free = gateway_free,
};
