#ifndef BELFRY_SERVICE_REQUEST_H
#define BELFRY_SERVICE_REQUEST_H

#include "base/arena.h"
#include "http/http-server.h"
#include "json/json.h"
#include "service/permission.h"

/*
 * An API request as a service's handler sees it: routed, authenticated, permission checked for
 * some group (the handler checks the group of the thing it works on). It is the same whether it
 * came through the gateway of this process or, signed, from another one. It must be answered
 * exactly once, now or later, on the loop; then it and its arena are gone.
 */
struct route;

enum { REQUEST_PARAMS_MAX = 4 };

struct request {
    const struct route *route;
    const struct http_request *http;          /* body, query, headers */
    struct http_exchange *exchange;           /* for streams */
    struct arena *arena;
    const struct principal *principal;        /* NULL on public routes when nobody is signed in */
    const char *params[REQUEST_PARAMS_MAX];   /* values of {…} in the pattern, in order, decoded */
    enum language language;                   /* by Accept-Language */
    char id[40];                              /* request id, also in logs and X-Request-Id */
    char client_address[64];                  /* the caller's, behind trusted proxies too */
    void *state;                              /* of the service, as its start returned it */
};

/* Reads the JSON body into target; on failure the request is answered with 4xx and -1 returned. */
int request_read(struct request *request, const struct json_table *table, void *target);
/* {id} style parameter as a number; answers 404 and returns -1 when it is none. */
int request_param_id(struct request *request, unsigned index, int64_t max, int64_t *ret_id);
/* As http_query_get / http_query_check, answering 400 and returning -1 on bad ones. */
int request_query_text(struct request *request, const char *name, const char **ret_value);
int request_query_int(struct request *request, const char *name, int64_t min, int64_t max,
                      int64_t absent, int64_t *ret_value);
int request_query_time(struct request *request, const char *name, int64_t absent,
                       int64_t *ret_time_ms);
int request_query_bool(struct request *request, const char *name, bool absent, bool *ret_value);
int request_query_check(struct request *request, const char *const *names);
/* 0 where principal_may; else answers (404 when it may not even VIEW the group, so that ids of
 * foreign groups tell nothing; else 403) and returns -1. */
int request_require(struct request *request, enum permission permission, int32_t group_id);

void request_header(struct request *request, const char *name, const char *value);
void request_answer(struct request *request, int status, const struct json_table *table,
                    const void *source);
void request_answer_json(struct request *request, int status, const struct buf *json);
void request_answer_empty(struct request *request, int status); /* 204 */
/* application/problem+json in the reader's language with code, path, position, request id. */
void request_fail(struct request *request, const struct error *err);
/* The answer for an outcome of the store (enum db_outcome) that is not DB_OK. DB_UNKNOWN is 504:
 * whether it is stored must be read. */
void request_fail_outcome(struct request *request, int outcome, const struct error *err);

/* { "items": […], "next_cursor": "…" | null } */
void request_answer_list(struct request *request, const struct json_table *item_table,
                         const void *const *items, size_t count, const char *next_cursor);
/* Cursors are opaque texts of two numbers, checked when they come back (ERR_INVALID query.cursor). */
char *cursor_make(struct arena *arena, int64_t a, int64_t b);
int cursor_read(const char *cursor, int64_t *ret_a, int64_t *ret_b, struct error *err);

/* HTTP status of an error code: one table. */
int error_http_status(enum error_code code);

/* --- for those who take requests in: the gateway, the internal listener ------------------------
 * A request in the exchange's arena with http, language, client_address (the peer) and an id of
 * its own (UUIDv7) set; route, params, principal and state are the caller's to add.
 */
struct request *request_new(struct http_exchange *exchange);
/* The application/problem+json of err; request_id may be NULL. */
void problem_write(const struct error *err, enum language language, const char *request_id,
                   struct buf *out);
enum language language_accepted(struct str accept_language);
void request_id_make(char id[40]); /* UUIDv7 */

#endif
