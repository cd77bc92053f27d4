#ifndef BELFRY_HTTP_HTTP_RESOLVER_H
#define BELFRY_HTTP_HTTP_RESOLVER_H

#include "base/error.h"

#include <stddef.h>
#include <sys/socket.h>

/*
 * Names to addresses with c-ares on the event loop: /etc/hosts and resolv.conf, no thread. Answers
 * are kept for their time to live (1 to 60 s), failures for 1 s, and one question serves all who
 * ask it meanwhile.
 */
struct event_base;
struct http_resolver;
struct http_lookup;

enum { HTTP_ADDRESSES_MAX = 8 };

struct http_addresses {
    struct sockaddr_storage list[HTTP_ADDRESSES_MAX]; /* ports are 0 */
    size_t count;
};

/* why: c-ares' words where count is 0, else NULL. Must not look up anything itself. */
typedef void http_lookup_done(void *ctx, const struct http_addresses *addresses, const char *why);

/* servers: "127.0.0.1:5353, [::1]" instead of those in resolv.conf; NULL: those, read again when
 * the file has changed. */
int http_resolver_new(struct event_base *base, const char *servers,
                      struct http_resolver **ret_resolver, struct error *err);
void http_resolver_free(struct http_resolver **resolver); /* calls no done */
/* done is called before this returns when the answer is at hand (then NULL is returned), else
 * later, once, on the loop. */
struct http_lookup *http_resolver_look_up(struct http_resolver *resolver, const char *name,
                                          http_lookup_done *done, void *ctx);
void http_lookup_cancel(struct http_lookup *lookup);

#endif
