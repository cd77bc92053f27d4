#ifndef BELFRY_HTTP_HTTP_SERVER_H
#define BELFRY_HTTP_HTTP_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "http/http.h"

#include <stdint.h>

/*
 * HTTP/1.1 server (RFC 9112) on the event loop. Framing is strict: what specs "smuggling" lists is
 * refused with 400 and the connection closed; heads, bodies, times and connections are bounded.
 * Requests of one connection are answered in order, one at a time. Header lines by the server
 * itself: Date, Content-Length or Transfer-Encoding, Connection, X-Content-Type-Options,
 * Referrer-Policy. The process must ignore SIGPIPE (TLS writes with write(2)).
 */
struct event_base;
struct http_server;
struct http_exchange; /* one request and its answer; see http_exchange_on_gone for how long it lives */

struct http_limits {           /* 0: the default in parentheses */
    size_t line_max;           /* request line (8 KiB) */
    size_t head_max;           /* all headers (32 KiB) */
    unsigned header_count_max; /* (100) */
    size_t body_max;           /* (1 MiB); handlers may lower it per route: 413 */
    size_t bodies_max;         /* of all requests together (128 MiB): more are answered 503 */
    int head_timeout_ms;       /* first byte to end of head (10 s) */
    int body_timeout_ms;       /* whole body (30 s) */
    int idle_timeout_ms;       /* between requests (60 s) */
    int write_timeout_ms;      /* a peer that does not read (30 s) */
    unsigned connections_max;  /* (4096): more are answered 503 and closed */
    unsigned connections_per_address_max; /* (1024), IPv6 by /64 */
};

struct http_request {
    enum http_method method;
    struct str path;           /* normalised: decoded once, no dot segments, no "//" */
    struct str raw_target;     /* as sent, for logs only */
    struct str query;          /* undecoded, without '?' */
    struct str host;
    const struct http_header *headers; /* names as sent, hop-by-hop ones removed */
    size_t header_count;
    struct str body;           /* whole */
    char peer[64];             /* numeric address */
    bool tls;
    struct arena *arena;       /* of this exchange */
};

struct http_server_settings {
    const char *listen;        /* "127.0.0.1:8680", "[::1]:0", "0.0.0.0:8680"; port 0: any free */
    struct http_limits limits;
    const char *tls_certificate, *tls_key; /* PEM files; NULL: plain */
    /*
     * Called on the loop with the whole request, which lives as long as the exchange. Must lead to
     * exactly one http_answer or http_stream_end on the exchange, now or later, unless on_gone was
     * called. Never called from below http_answer or http_stream_end.
     */
    void (*handle)(void *ctx, struct http_exchange *exchange, const struct http_request *request);
    void *ctx;
    /* May refuse after the head, before the body is read: 0, or a status (404, 429 …). *ret_body_max
     * comes as limits.body_max for POST, PUT, PATCH and as 0 for the others, whose bodies are
     * refused; a route may change it. NULL: so for all. */
    int (*admit)(void *ctx, const struct http_request *head, size_t *ret_body_max);
};

/* Errors: ERR_CONFLICT port in use (names it), ERR_INVALID address, ERR_FORBIDDEN a port that only
 * root may have, ERR_IO certificate. */
int http_server_new(struct event_base *base, const struct http_server_settings *settings,
                    struct http_server **ret_server, struct error *err);
unsigned http_server_port(const struct http_server *server);
/* Stops accepting, lets running exchanges end (answers get Connection: close); done is called when
 * none is left or after timeout_ms, when the rest is cut; it may free the server. */
void http_server_drain(struct http_server *server, int timeout_ms, void (*done)(void *), void *ctx);
/* Not from inside handle or another callback of an exchange. on_gone is called for those that run. */
void http_server_free(struct http_server **server);

struct http_server_counters {
    uint64_t requests, bad_requests, connections_total, bytes_in, bytes_out;
    unsigned connections, exchanges;
};
void http_server_counters(const struct http_server *server, struct http_server_counters *ret);

struct arena *http_exchange_arena(struct http_exchange *exchange);
const struct http_request *http_exchange_request(const struct http_exchange *exchange);
/*
 * on_gone is called at most once, and only while no answer has been finished; the exchange and all
 * in its arena are gone when it returns. A peer that only closes its sending side is gone for a
 * stream; others may still read, so a whole answer is waited for. Without on_gone an exchange
 * lives until it is answered, in vain if need be.
 */
void http_exchange_on_gone(struct http_exchange *exchange, void (*on_gone)(void *ctx), void *ctx);
/* Called once when the exchange is over, for access logs: status of the answer (0: the peer went
 * away before there was one) and the bytes of its body. The request and its arena are still there. */
void http_exchange_on_end(struct http_exchange *exchange,
                          void (*on_end)(void *ctx, int status, uint64_t body_size), void *ctx);

/* Before the answer: adds a header, at most 32 KiB in all; name and value must be valid (assert):
 * check what comes from outside with http_header_value_valid. Copied. */
void http_answer_header(struct http_exchange *exchange, const char *name, const char *value);
/* The answer, whole. type NULL: no Content-Type. body is copied or written before this returns.
 * HEAD and 204/304 send no body. The exchange is gone afterwards. */
void http_answer(struct http_exchange *exchange, int status, const char *type, struct str body);

/* A streamed answer (Server-Sent Events, long logs): chunked. */
void http_stream_begin(struct http_exchange *exchange, int status, const char *type);
/* false when the peer reads too slowly (256 KiB would be waiting): nothing was taken, and the caller
 * gives up with http_stream_end or tries again in on_drained, which is called when all is out. */
bool http_stream_write(struct http_exchange *exchange, struct str bytes);
void http_stream_on_drained(struct http_exchange *exchange, void (*on_drained)(void *), void *ctx);
size_t http_stream_queued(const struct http_exchange *exchange);
void http_stream_end(struct http_exchange *exchange);
/* One event as of the WHATWG "text/event-stream" format; id and event may be NULL; data is split
 * into lines. */
bool http_stream_event(struct http_exchange *exchange, const char *id, const char *event,
                       struct str data);

/* Query parameters: decoded into the arena. 1 found, 0 absent, -1 bad encoding or given twice. */
int http_query_get(const struct http_request *request, const char *name, const char **ret_value,
                   struct error *err);
/* Refuses parameters that are not in names (NULL-terminated): ERR_INVALID, path "query.NAME". */
int http_query_check(const struct http_request *request, const char *const *names,
                     struct error *err);

/* RFC 3986 percent-decoding of a path or query part; '+' stays unless plus_is_space. */
int percent_decode(struct str text, bool plus_is_space, struct arena *arena, struct str *ret);
void percent_encode(struct buf *out, struct str text); /* all but unreserved characters */

#endif
