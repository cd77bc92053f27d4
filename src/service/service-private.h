#ifndef BELFRY_SERVICE_SERVICE_PRIVATE_H
#define BELFRY_SERVICE_SERVICE_PRIVATE_H

#include "base/list.h"
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

    struct list posts;        /* struct post, in order */
    struct event *post_event;
    struct list calls;        /* local calls that are not done */
    bool calls_abandoned;

    struct data_dir *data_dir;
    char *name, *url;
    bool ready;               /* every service has started */
    bool stop, stop_at_once;  /* a signal came; a second one */
    struct event *signals[4];
    struct event *drain_timer;
};

static inline struct frame *frame_of(const struct node *node)
{
    return (struct frame *)(uintptr_t)node;
}

/* --- node.c: a node without services yet, and its end ------------------------------------------ */

/* Errors carry the exit code in ret_exit. */
int frame_new(const struct service_setup *setup, struct frame **ret_frame, int *ret_exit,
              struct error *err);
void frame_free(struct frame **frame);
struct running *frame_running(const struct frame *frame, const char *service_name);
/* Whether the registry's entry of a service is meant: somebody wrote it, or not all runs here. */
bool registry_is_meant(const struct frame *frame, const char *service_name);
int exit_code_of(enum error_code code);

/* --- store.c ----------------------------------------------------------------------------------- */

/* Opens the store, waits for it, brings its tables up to date. 1: stopped by a signal meanwhile. */
int store_start(struct frame *frame, struct error *err);

/* --- stop.c ------------------------------------------------------------------------------------ */

/* Signals set frame.stop and begin the drain; the loop is broken when that is over. */
int signals_init(struct frame *frame, struct error *err);
void signals_done(struct frame *frame);

/* --- post.c ------------------------------------------------------------------------------------ */

void posts_init(struct frame *frame);
void posts_done(struct frame *frame); /* what is still posted is forgotten */
void posts_run(struct frame *frame);  /* all that is posted now; for the end */

/* --- data-dir.c -------------------------------------------------------------------------------- */

/* Makes the folder (0700) where it is missing and takes its lock. Errors: ERR_IO, ERR_CONFLICT
 * when another process has it. */
int data_dir_open(const char *path, struct data_dir **ret_data_dir, struct error *err);
void data_dir_free(struct data_dir **data_dir);

/* --- call.c, call-remote.c --------------------------------------------------------------------- */

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

    /* a local call: */
    call_done *done;
    void *ctx;
    struct list link;                /* in frame.calls */
    /* a call from another process: */
    struct http_exchange *exchange;  /* NULL: local */
    bool gone;                       /* the caller hung up: its answer goes nowhere */
};

const struct call_handler *call_handler_find(const struct service *service, const char *name);
/* Ends all local calls with ERR_UNAVAILABLE, so that every done has been called; later answers
 * are ignored. Before the services are freed. */
void calls_abandon(struct frame *frame);
void calls_free(struct frame *frame); /* after the services are freed */
/* The answer of a call that came over HTTP. */
void call_answer_remote(struct call *call);
void call_send_remote(struct frame *frame, const struct call_type *type, const char *instance,
                      const void *request, call_done *done, void *ctx);

#endif
