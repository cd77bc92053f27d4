#ifndef BELFRY_SERVICE_SERVICE_PRIVATE_H
#define BELFRY_SERVICE_SERVICE_PRIVATE_H

#include "base/list.h"
#include "service/identity.h"
#include "service/keyring.h"
#include "service/picker.h"
#include "service/service.h"

#include <event2/event.h>

/* What the files of the frame share: the node as they see it. */
enum { SERVICES_MAX = 16 };

struct running {
    const struct service *service;
    void *state;
    bool started, drained;
};

struct frame {
    struct node node; /* first: frame_of */
    const struct service_setup *setup;
    struct running running[SERVICES_MAX];
    size_t running_count;

    struct list posts; /* struct post, in order */
    struct event *post_event;
    struct list calls; /* local calls that are not done */
    bool calls_abandoned;

    struct identity *identity;
    struct keyring *keyring;
    struct picker *picker;
    struct list remote_calls; /* to other processes, not done; see call-remote.c */
    struct http_server *internal, *metrics;
    struct enrolment *enrolment; /* NULL: auth runs here, or nothing else does */

    struct data_dir *data_dir;
    char *name, *url, *data_path;
    bool ready;              /* every service has started */
    bool stop, stop_at_once; /* a signal came; a second one */
    struct event *signals[4];
    struct event *drain_timer;
};

static inline struct frame *frame_of(const struct node *node)
{
    return (struct frame *)(uintptr_t)node;
}

/* --- node.c: a node without services yet, and its end ---------------------------------------- */

/* Errors carry the exit code in ret_exit. */
int frame_new(const struct service_setup *setup, struct frame **ret_frame, int *ret_exit,
              struct error *err);
void frame_free(struct frame **frame);
struct running *frame_running(const struct frame *frame, const char *service_name);
/* Whether the registry's entry of a service is meant: somebody wrote it, or not all runs here. */
bool registry_is_meant(const struct frame *frame, const char *service_name);
/* Whether there are, or may be, other processes of the cluster. */
bool frame_is_apart(const struct frame *frame);
bool listen_is_loopback(const char *listen); /* "host:port" */
int exit_code_of(enum error_code code);

/* --- store.c --------------------------------------------------------------------------------- */

/* Opens the store, waits for it, brings its tables up to date. 1: stopped by a signal meanwhile. */
int store_start(struct frame *frame, struct error *err);

/* --- stop.c ---------------------------------------------------------------------------------- */

/* Signals set frame.stop and begin the drain; the loop is broken when that is over. */
int signals_init(struct frame *frame, struct error *err);
void signals_done(struct frame *frame);

/* --- post.c ---------------------------------------------------------------------------------- */

void posts_init(struct frame *frame);
void posts_done(struct frame *frame); /* what is still posted is forgotten */
void posts_run(struct frame *frame);  /* all that is posted now; for the end */

/* --- data-dir.c ------------------------------------------------------------------------------ */

/* Makes the folder (0700) where it is missing and takes its lock. Errors: ERR_IO, ERR_CONFLICT
 * when another process has it. */
int data_dir_open(const char *path, struct data_dir **ret_data_dir, struct error *err);
void data_dir_free(struct data_dir **data_dir);

/* --- remote.c: signed requests to other processes -------------------------------------------- */

struct remote_request {
    const char *instance; /* "http://host:port" */
    const char *service;  /* audience */
    const char *method, *target;
    const struct http_header *headers;
    size_t header_count;
    struct str body;
    const char *request_id, *client_address;
    const struct principal *principal;
    int timeout_ms; /* 0: none, for streams */
    size_t answer_max;
};

enum { REMOTE_CONNECT_MS = 1000, REMOTE_HEADERS_MAX = 24 };

/* on_data NULL: the answer comes whole. */
struct http_call *remote_start(struct frame *frame, const struct remote_request *request,
                               void (*on_data)(void *ctx, int status, struct str bytes),
                               http_call_done *done, void *ctx);
/* An instance of a service that runs elsewhere, not except if there is another; in arena; NULL:
 * none is known. */
const char *remote_choose(struct frame *frame, const char *service, const char *except,
                          struct arena *arena);
/*
 * What a result says about the instance, told to the picker. Returns whether the request was
 * certainly not handled by anybody, so that another instance may be asked.
 */
bool remote_not_handled(struct frame *frame, const char *instance,
                        const struct http_call_result *result);
/* Set on answers that say: nobody has looked at the request. */
#define NOT_HANDLED_HEADER "X-Belfry-Not-Handled"

/* --- internal.c: the listener for other processes -------------------------------------------- */

/* Opens it where it is needed and sets node.url. */
int internal_open(struct frame *frame, struct error *err);

/* --- metrics.c ------------------------------------------------------------------------------- */

int metrics_open(struct frame *frame, struct error *err);

/* --- enrolment.c: telling auth about this node's key ----------------------------------------- */

struct enrolment *enrolment_new(struct frame *frame);
void enrolment_free(struct enrolment **enrolment);
bool enrolment_done(const struct enrolment *enrolment);
/* Somebody did not know our key: enrol again. */
void enrolment_again(struct enrolment *enrolment);

/* --- call.c, call-remote.c, call-error.c ----------------------------------------------------- */

/* An error on its way between processes: code, English format, arguments, path, position. */
void call_error_write(const struct error *err, struct buf *out);
/* -1 where text is no such thing. */
int call_error_read(struct str text, struct error *ret);

struct call {
    struct frame *frame;
    const struct call_type *type;
    const struct call_handler *handler;
    void *state;
    struct arena *arena;
    const void *request;
    const char *from;
    bool answered;
    bool failed;
    const void *answer;
    struct error err;

    struct list link; /* in frame.calls */
    /* a local call: */
    call_done *done;
    void *ctx;
    /* a call from another process: */
    struct http_exchange *exchange; /* NULL: local */
    bool gone;                      /* the caller hung up: its answer goes nowhere */
};

const struct call_handler *call_handler_find(const struct service *service, const char *name);
/* Ends all local calls with ERR_UNAVAILABLE, so that every done has been called; later answers
 * are ignored. Before the services are freed. */
void calls_abandon(struct frame *frame);
void calls_free(struct frame *frame); /* after the services are freed */
void remote_calls_abandon(struct frame *frame);
/* A call that came over HTTP; body is JSON as of the type. Answers the exchange in any case. */
void call_receive(struct frame *frame, const struct running *running,
                  const struct call_handler *handler, const char *from,
                  struct http_exchange *exchange);
/* Its answer. */
void call_answer_remote(struct call *call);
void call_free(struct call *call);
void call_send_remote(struct frame *frame, const struct call_type *type, const char *instance,
                      const void *request, call_done *done, void *ctx);

#endif
