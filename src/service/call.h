#ifndef BELFRY_SERVICE_CALL_H
#define BELFRY_SERVICE_CALL_H

#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"

/*
 * Calls between services pass structs. In one process the handler gets the caller's struct itself;
 * over HTTP (POST /internal/v1/SERVICE/NAME, signed by the node's key) the tables carry it both
 * ways. Each service's client.h wraps its call types in typed functions.
 */
struct node;
struct call;

struct call_type {
    const char *service;              /* "job-execute" */
    const char *name;                 /* "dispatch" */
    const struct json_table *request;
    const struct json_table *answer;
    int timeout_ms;                   /* over HTTP; 0: 10 s */
    size_t size_max;                  /* of request and answer as JSON; 0: 16 MiB */
};

struct call_handler {
    const struct call_type *type;
    void (*handle)(struct call *call);
    const char *why_public;           /* set: also answers nodes whose key is not known yet, and why
                                         that is safe (a node that enrols proves itself otherwise) */
};

/* --- the side that is called: on the loop; exactly one call_answer or call_fail, now or later -- */
const void *call_request(const struct call *call);   /* struct as of type->request; valid until answered */
void *call_state(const struct call *call);           /* state of the service that is called */
struct arena *call_arena(struct call *call);         /* for the answer */
const char *call_from(const struct call *call);      /* node name of the caller, verified */
/* answer is copied as far as the struct itself goes (it may be on the stack); what it points to
 * must live in call_arena or for ever. */
void call_answer(struct call *call, const void *answer);
void call_fail(struct call *call, const struct error *err);

/* --- the side that calls ------------------------------------------------------------------------
 * done runs later on the loop (never inside call_send), exactly once: answer is valid during done
 * only; with err set it is NULL. sent false: certainly not handled by anybody. sent true with
 * ERR_UNAVAILABLE or ERR_TIMEOUT: whether it was handled is unknown; with another error: the
 * handler failed it. A call without an instance is tried at most once more, on another one, and
 * only where it was certainly not handled.
 */
typedef void call_done(void *ctx, const void *answer, bool sent, const struct error *err);

/*
 * instance: "http://host:port" of one instance, "local" for this process, or NULL: this process if
 * the service runs here, else one from the registry. request must stay valid until done (put it into ctx's memory).
 */
void call_send(struct node *node, const struct call_type *type, const char *instance,
               const void *request, call_done *done, void *ctx);
/* Addresses of all known instances of a service; "local" stands for this process. In arena. */
size_t call_instances(struct node *node, const char *service, struct arena *arena,
                      const char *const **ret_instances);

#endif
