#ifndef BELFRY_HTTP_HTTP_CLIENT_H
#define BELFRY_HTTP_HTTP_CLIENT_H

#include "base/error.h"
#include "http/http.h"

#include <stdint.h>

/*
 * HTTP client on libcurl's multi socket interface and the event loop: thousands of calls in
 * flight, no thread per call. Names are resolved with c-ares on the loop; the address really
 * dialled is checked against the egress rules; redirects are off unless asked for, and each hop is
 * checked again, credentials dropped when the origin changes. CR, LF and NUL in URL, header or
 * method are refused before libcurl sees them. A call is never sent twice: where a kept connection
 * turns out dead once the request is out, the call fails with HTTP_FAILURE_RESET.
 *
 * One thread: that of the loop. The process must ignore SIGPIPE and have called
 * curl_global_init, which http_client_new does for the first client.
 */
struct event_base;
struct http_client;
struct http_call;

/* Verdict on an address that is about to be dialled: 0 allowed, -1 with ERR_FORBIDDEN. */
struct sockaddr;
typedef int egress_check(void *ctx, const struct sockaddr *address, struct error *err);

struct http_client_settings {
    egress_check *egress;    /* NULL: everything is allowed (calls between services) */
    void *egress_ctx;
    unsigned connections_max;          /* at the same time; 0: 20,000; calls beyond it wait */
    unsigned connections_per_host_max; /* 0: as many */
    unsigned connections_idle_max;     /* kept open for the next call; 0: 1,000 */
    const char *user_agent;  /* NULL: "belfry/VERSION" */
    const char *ca_file;     /* NULL: the system's; tests name their own */
    const char *name_servers; /* NULL: those of resolv.conf; "10.0.0.2:53, [::1]" */
};

/* Errors: ERR_INTERNAL (no curl, no c-ares), ERR_IO ca_file. */
int http_client_new(struct event_base *base, const struct http_client_settings *settings,
                    struct http_client **ret_client, struct error *err);
/* Cancels what runs, without calling done. Not from inside a callback of it. */
void http_client_free(struct http_client **client);

struct http_call_request {
    const char *method;           /* "GET", … any RFC 9110 token but CONNECT, TRACE */
    const char *url;              /* http or https only */
    const struct http_header *headers;
    size_t header_count;
    struct str body;              /* copied */
    int connect_timeout_ms;       /* name, TCP and TLS, of each hop; 0: none of its own */
    int first_byte_timeout_ms;    /* request sent until the final answer begins; 0: none */
    int total_timeout_ms;         /* everything; 0: 60 s, streams: none */
    size_t response_max;          /* body bytes, 0: 1 MiB; more ends the call with ERR_TOO_LARGE */
    unsigned redirects_max;       /* 0: a redirect is an answer like others */
    bool decompress;              /* accept gzip; response_max counts decoded bytes */
    bool resend_stale;            /* may go out again on a new connection when a kept one was dead:
                                     for calls that do no harm twice */
    bool fresh_connection;        /* on a connection of its own, so that no kept one can be dead */
};

/* Why a call had no answer: closed list, kept in runs as cause. */
enum http_failure {
    HTTP_FAILURE_NONE, HTTP_FAILURE_URL, HTTP_FAILURE_RESOLVE, HTTP_FAILURE_EGRESS,
    HTTP_FAILURE_CONNECT, HTTP_FAILURE_TLS, HTTP_FAILURE_TIMEOUT_CONNECT,
    HTTP_FAILURE_TIMEOUT_FIRST_BYTE, HTTP_FAILURE_TIMEOUT_TOTAL, HTTP_FAILURE_TOO_LARGE,
    HTTP_FAILURE_PROTOCOL, HTTP_FAILURE_RESET, HTTP_FAILURE_REDIRECTS, HTTP_FAILURE_CANCELLED,
};
const char *http_failure_name(enum http_failure failure);

struct http_call_result {         /* valid during done only */
    enum http_failure failure;
    const struct error *err;      /* with failure: a sentence */
    bool sent;                    /* the request may have reached the far end */
    int status;
    const struct http_header *headers;
    size_t header_count;
    struct str body;              /* what came, also with TOO_LARGE or a timeout */
    char address[64];             /* dialled last, numeric with port, or "" */
    int64_t connect_us, first_byte_us, total_us;
};
typedef void http_call_done(void *ctx, const struct http_call_result *result);

/* done is called exactly once, later, on the loop; never after http_call_cancel. */
struct http_call *http_call_start(struct http_client *client,
                                  const struct http_call_request *request, http_call_done *done,
                                  void *ctx);
void http_call_cancel(struct http_call *call);

/* A long answer read piece by piece (the CLI follows logs with it): on_data gets body bytes and may
 * cancel the call. response_max does not count. */
struct http_call *http_call_stream(struct http_client *client,
                                   const struct http_call_request *request,
                                   void (*on_data)(void *ctx, int status, struct str bytes),
                                   http_call_done *done, void *ctx);

/* "http" or "https", host, port and path of a URL; ERR_INVALID names what is wrong. */
struct http_url {
    struct str scheme, host, path_query;
    uint16_t port;
};
int http_url_parse(const char *url, struct http_url *ret, struct error *err);

#endif
