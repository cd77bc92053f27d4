#ifndef BELFRY_GATEWAY_GATEWAY_H
#define BELFRY_GATEWAY_GATEWAY_H

#include "auth/client.h"
#include "gateway/header-filter.h"
#include "service/service.h"

/*
 * What the files of the gateway share.
 *
 *   service.c        the public listener: start, drain, counters
 *   gate.c           one request's way in: limits, route, credentials, CSRF, permission, forward
 *   identity-cache.c who a credential stands for, for at most 5 s
 *   origin.c         which cookie a connection may have, whose page sent a request
 *   page.c           the page at /
 */
struct http_server;
struct identity_cache;
struct rate_limit;

enum gateway_refusal {
    REFUSED_RATE, REFUSED_ROUTE, REFUSED_SETUP, REFUSED_CREDENTIALS, REFUSED_CSRF,
    REFUSED_PERMISSION, REFUSED_COUNT
};

struct gateway {
    struct node *node;
    struct http_server *server;
    struct proxies proxies;
    const char *public_url;       /* NULL: none */
    bool loopback;                /* the listener's address is one */
    bool access_log;
    bool setup_complete;          /* once true it stays true */
    struct rate_limit *by_address, *by_principal;
    struct identity_cache *identities;

    unsigned running;             /* requests without answer, streams left out */
    bool draining;
    void (*drained)(void *ctx);
    void *drained_ctx;

    uint64_t answers[6];          /* by hundreds of the status; 0: the peer went away */
    uint64_t refused[REFUSED_COUNT];
};

/* http_server_settings.handle and .admit; ctx is the gateway. */
void gate_handle(void *ctx, struct http_exchange *exchange, const struct http_request *http);
int gate_admit(void *ctx, const struct http_request *head, size_t *ret_body_max);

/* The page at /: true where it answered. */
bool page_answer(struct gateway *gateway, struct request *request);

#endif
