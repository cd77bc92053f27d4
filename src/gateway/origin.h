#ifndef BELFRY_GATEWAY_ORIGIN_H
#define BELFRY_GATEWAY_ORIGIN_H

#include "http/http.h"

#include <stdbool.h>

/* How a connection reaches us, as far as browsers are concerned. */
struct origin {
    bool tls;                /* here, or at a trusted proxy */
    bool loopback;           /* our listener has a loopback address */
    struct str host;         /* of the Host header */
    const char *public_url;  /* NULL: none */
};

/* Whether "name", "name:port", "[::1]:port" names this machine's loopback. */
bool host_is_loopback(struct str host);

/* The name of the session's cookie on this connection: NULL where a browser must not have one,
 * since anybody on the way could read it. */
const char *origin_cookie(const struct origin *origin);

/*
 * Whether a changing request may come from where its headers say: Sec-Fetch-Site, if there,
 * must be same-origin or none; Origin, if there, ours or that of public_url. Programs send neither.
 */
bool origin_allowed(const struct origin *origin, const struct http_header *headers, size_t count);

#endif
