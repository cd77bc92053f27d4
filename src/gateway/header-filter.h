#ifndef BELFRY_GATEWAY_HEADER_FILTER_H
#define BELFRY_GATEWAY_HEADER_FILTER_H

#include "base/address.h"
#include "base/arena.h"
#include "http/http.h"

/*
 * What of a request's headers is believed and handed on. Services get identity from the gateway
 * only, so every spelling of a header that could pretend one is removed: names are compared
 * folded (case, '_' and '.' as '-'), since back ends merge these.
 */

/* Whether a header may reach a service: no X-Belfry-*, X-User-*, X-Tenant-*, X-Auth-*, X-Internal-*,
 * no forwarding header, no credential, no name outside [A-Za-z0-9-]. */
bool header_passes(struct str name);
/* The headers that pass, in arena, with room for extra more; returns how many. */
size_t headers_filter(const struct http_header *headers, size_t count, size_t extra,
                      struct arena *arena, struct http_header **ret_headers);

struct proxies {
    struct cidr cidrs[32];
    size_t count;
};

/*
 * Whose request it is: peer itself, or when peer is a trusted proxy the right-most address of
 * X-Forwarded-For that is none. Writes a numeric address; returns whether peer is trusted.
 */
bool client_address_find(const struct proxies *proxies, const char *peer,
                         const struct http_header *headers, size_t count, char ret_address[64]);

/* A request id is taken over from a trusted proxy when it is 8 to 39 of [A-Za-z0-9._-]. */
bool request_id_valid(struct str id);

#endif
