#ifndef BELFRY_HTTP_HTTP_CLIENT_PRIVATE_H
#define BELFRY_HTTP_HTTP_CLIENT_PRIVATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/http-client.h"
#include "http/http-resolver.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>

/*
 * http-client.c   curl's sockets and timer on the loop, calls to be started, calls that ended
 * http-call.c     life of one call: hops, deadlines, result
 * http-easy.c     one hop as a curl handle: options and callbacks
 */
enum {
    HTTP_RESPONSE_MAX_DEFAULT = 1024 * 1024,
    HTTP_RESPONSE_HEAD_MAX = 128 * 1024, /* of all answers of a hop, interim ones too */
    HTTP_RESPONSE_HEADERS_MAX = 500,
    HTTP_EASY_SPARES_MAX = 64,
};

struct http_client {
    struct event_base *base;
    struct http_client_settings settings;
    CURLM *multi;
    struct http_resolver *resolver;
    struct event timer_event, start_event;
    struct list calls;    /* all */
    struct list starting; /* to be begun by start_event, or ended there when they cannot */
    size_t sockets_open, calls_in_multi;
    CURL *spares[HTTP_EASY_SPARES_MAX];
    size_t spare_count;
    char user_agent[64];
};

enum http_call_stage { STAGE_STARTING, STAGE_RESOLVING, STAGE_CONNECTING, STAGE_WAITING,
                       STAGE_READING };

struct http_call {
    struct list all, starting;
    struct http_client *client;
    struct arena *arena;
    struct http_call_request request; /* copied into arena */
    struct http_url url;              /* of this hop */
    const char *host;                 /* url.host, in lower case */
    void (*on_data)(void *ctx, int status, struct str bytes);
    http_call_done *done;
    void *ctx;

    enum http_call_stage stage;
    unsigned redirects;
    struct http_lookup *lookup;
    CURL *easy;
    bool in_multi, in_callback, cancelled;
    struct curl_slist *headers, *resolve;
    struct event deadline_event;
    int64_t start_us, hop_us, sent_us, connect_us, first_byte_us;

    enum http_failure failure;        /* set where it is noticed */
    struct error err;
    bool sent, head_complete;
    int status;
    size_t head_size;                 /* of this hop */
    struct http_header *answer_headers;
    size_t answer_header_count, answer_header_capacity;
    struct buf body;
    size_t response_max;
    char address[64];
    char curl_text[CURL_ERROR_SIZE];
};

/* --- http-client.c --- */
void http_client_add_starting(struct http_call *call);
CURL *http_client_easy_take(struct http_client *client);
void http_client_easy_give(struct http_client *client, CURL *easy);

/* --- http-call.c --- */
/* Begins a call that stands in starting. */
void http_call_begin(struct http_call *call);
/* curl is through with this hop. */
void http_call_hop_done(struct http_call *call, CURLcode code);
/* Notes a failure, the first one counts; returns -1. */
int http_call_fail(struct http_call *call, enum http_failure failure);
void http_call_free(struct http_call *call);
/* The request is about to be sent; the final answer has begun. */
void http_call_connected(struct http_call *call);
void http_call_answering(struct http_call *call);

/* --- http-easy.c --- */
/* addresses: those that may be dialled; NULL for a literal address. 0, or -1 with the failure. */
int http_easy_start(struct http_call *call, const struct http_addresses *addresses);
void http_easy_stop(struct http_call *call);
enum http_failure http_easy_failure(CURLcode code, const char *curl_text);

int64_t http_now_us(void);

#endif
