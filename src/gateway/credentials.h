#ifndef BELFRY_GATEWAY_CREDENTIALS_H
#define BELFRY_GATEWAY_CREDENTIALS_H

#include "http/http.h"

/*
 * Reading of Cookie (RFC 6265) and Authorization headers. Strict: what could be read in two ways
 * is no credential at all.
 */

/* One cookie by name over all Cookie headers: 1 found, 0 none, -1 given twice or malformed. */
int cookie_find(const struct http_header *headers, size_t count, const char *name,
                struct str *ret_value);

/* "Authorization: Bearer TOKEN": 1 found, 0 no such header, -1 another scheme, malformed or twice. */
int bearer_find(const struct http_header *headers, size_t count, struct str *ret_token);

#endif
