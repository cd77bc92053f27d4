#ifndef BELFRY_HTTP_HTTP_SERVER_PRIVATE_H
#define BELFRY_HTTP_HTTP_SERVER_PRIVATE_H

#include "base/address.h"
#include "base/list.h"
#include "base/map.h"
#include "http/http-parser.h"
#include "http/http-server.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <sys/uio.h>

/*
 * http-server.c      listener, limits, time-outs, drain
 * http-connection.c  one peer: reading, framing, closing
 * http-answer.c      one exchange: answers and streams
 * http-transport.c   bytes over TCP or TLS
 */
enum {
    HTTP_SCRATCH_SIZE = 64 * 1024,
    HTTP_PIPELINE_MAX = 16 * 1024,     /* read ahead while an exchange runs */
    HTTP_STREAM_QUEUED_MAX = 256 * 1024,
    HTTP_LINGER_MAX = 1024 * 1024,     /* bytes read and dropped after an early answer */
    HTTP_LINGER_MS = 2000,
    HTTP_SPARES_MAX = 64,
};

struct http_connection;

/* --- time-outs -------------------------------------------------------------------------------
 * Each kind lasts the same for all connections, so the ones that wait stand in a list in the order
 * of their deadlines, and only the first of each list is looked at. */

enum http_timeout { HTTP_WAIT_IDLE, HTTP_WAIT_HEAD, HTTP_WAIT_BODY, HTTP_WAIT_WRITE,
                    HTTP_WAIT_LINGER, HTTP_WAIT_COUNT, HTTP_WAIT_NONE = HTTP_WAIT_COUNT };

struct http_server {
    struct event_base *base;
    struct http_server_settings settings; /* limits are filled in */
    struct http_head_limits head_limits;
    struct event listen_event, timer_event, drain_event;
    int listen_fd, reserve_fd;
    unsigned port;
    SSL_CTX *tls;
    struct list connections;
    struct list waits[HTTP_WAIT_COUNT];
    int wait_ms[HTTP_WAIT_COUNT];
    int64_t timer_at;             /* INT64_MAX: not armed */
    int64_t drop_warn_ms;         /* when to warn again that descriptors are short */
    struct map addresses;         /* site in hex -> number of connections */
    struct list spares;           /* exchanges to be used again, with their arenas */
    struct list orphans;          /* exchanges whose peer is gone, yet to be answered */
    unsigned spare_count;
    char *scratch;
    struct buf head_buf;          /* of the answer being written */
    size_t bodies_size;           /* of all exchanges */
    int64_t date_s;
    char date[40];
    struct http_server_counters counters;
    bool draining;
    void (*drained)(void *ctx);
    void *drained_ctx;
};

/* The wait that a connection is in; adding it again moves it to the end. */
void http_wait(struct http_connection *connection, enum http_timeout kind);
void http_server_connection_closed(struct http_connection *connection);
const char *http_server_date(struct http_server *server);

/* --- connections -----------------------------------------------------------------------------
 *
 *   HEAD ──► BODY ──► EXCHANGE ──► HEAD …        one request after the other
 *     └───────┴──────────┴──► FLUSH ──► LINGER ──► closed
 */
enum http_connection_state {
    CONNECTION_HEAD, CONNECTION_BODY, CONNECTION_EXCHANGE,
    CONNECTION_FLUSH,  /* the last answer is on its way */
    CONNECTION_LINGER, /* our side is shut; the peer's bytes are dropped so that it sees the answer */
};

struct http_connection {
    struct list all, wait;
    enum http_timeout wait_kind;
    int64_t deadline_ms;
    struct http_server *server;
    int fd;
    SSL *tls;
    bool tls_wants_write;
    enum http_connection_state state;
    bool feeding;    /* input is being worked on below us: closing frees later */
    bool closed;
    bool eof;        /* the peer will send no more */
    bool unread;     /* closing leaves input unread: linger */
    bool broken;     /* writing failed; the loop will see to it */
    bool fresh;      /* no request yet */
    bool read_on, write_on;
    struct event read_event, write_event;
    struct http_head_scan scan;
    struct buf in, out;
    size_t lingered;
    struct http_exchange *exchange; /* BODY, EXCHANGE */
    char peer[64];
    struct address site;
};

struct http_connection *http_connection_new(struct http_server *server, int fd, const char *peer,
                                            struct address site);
/* At once; what the peer has not got is lost. */
void http_connection_close(struct http_connection *connection);
/* The wait ran out. */
void http_connection_expired(struct http_connection *connection);
/* Queues or writes; the rest goes out when the peer reads. */
void http_connection_write(struct http_connection *connection, const struct iovec *parts,
                           int part_count);
/* The answer is complete: on to the next request, or to the end. */
void http_connection_answered(struct http_connection *connection, bool keep_alive);
bool http_connection_is_idle(const struct http_connection *connection);

/* --- exchanges ------------------------------------------------------------------------------- */

struct http_exchange {
    struct list node;                   /* in spares or orphans */
    struct http_server *server;
    struct http_connection *connection; /* NULL: the peer is gone */
    struct arena *arena;
    struct http_request request;
    struct http_body frame;
    struct buf body, headers;           /* headers: added to the answer, as lines */
    bool keep_alive, is_http_1_1;
    bool streaming, chunked;
    void (*on_gone)(void *ctx);
    void *on_gone_ctx;
    void (*on_drained)(void *ctx);
    void *on_drained_ctx;
    void (*on_end)(void *ctx, int status, uint64_t body_size);
    void *on_end_ctx;
    int status;                         /* of the answer, once there is one */
    uint64_t answered_size;             /* of its body */
};

struct http_exchange *http_exchange_new(struct http_server *server);
void http_exchange_free(struct http_exchange *exchange);
/* The peer went away: tells whoever asked to know and frees, or leaves it to be answered in vain. */
void http_exchange_gone(struct http_exchange *exchange);
/* The server's own answer: application/problem+json. */
void http_answer_problem(struct http_exchange *exchange, const struct http_refusal *refusal);

/* --- transport ------------------------------------------------------------------------------- */

enum { TRANSPORT_AGAIN = -1, TRANSPORT_FAILED = -2 };

int http_tls_context_new(const char *certificate, const char *key, SSL_CTX **ret_context,
                         struct error *err);
/* Bytes read (0: end), or TRANSPORT_AGAIN, TRANSPORT_FAILED. */
ssize_t http_transport_read(struct http_connection *connection, char *bytes, size_t size);
ssize_t http_transport_write(struct http_connection *connection, const struct iovec *parts,
                             int part_count);
void http_transport_shut(struct http_connection *connection);

#endif
