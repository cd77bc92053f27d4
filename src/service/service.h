#ifndef BELFRY_SERVICE_SERVICE_H
#define BELFRY_SERVICE_SERVICE_H

#include "config/config.h"
#include "db/db.h"
#include "http/http-client.h"
#include "service/call.h"
#include "service/request.h"

#include <stdint.h>

/*
 * The frame that every service runs in. One process is a node: it has a loop, the configuration,
 * maybe a store, and one or more services. A service is a table; the frame starts it in the order
 * of the list, hands it requests and calls, asks for health and metrics, and drains it.
 */
struct event_base;
struct launcher;
struct registry;
struct egress;
struct service;

struct route {
    enum http_method method;
    const char *pattern;             /* "/api/v1/jobs/{id}/run" */
    enum permission permission;
    void (*handle)(struct request *request);
    const char *why_public;          /* with PERM_PUBLIC: why */
    size_t body_max;                 /* 0: 1 MiB; bodies on GET, HEAD, DELETE are refused */
    const char *const *query;        /* allowed query parameters, NULL-terminated; NULL: none */
    const struct json_table *body;   /* request schema, NULL: no body; for the API description */
    const struct json_table *answer; /* of the 2xx answer */
    bool before_setup;               /* answered while no administrator exists */
    bool stream;                     /* may stay open (SSE) */
};

struct node {
    struct event_base *base;
    const struct config *config;
    struct db *db;                   /* NULL in a process without store */
    struct registry *registry;
    struct http_client *http;        /* for calls between services */
    struct egress *egress;           /* rules for what tasks dial; own ports are in it */
    struct launcher *launcher;       /* NULL in a process without job-execute */
    const char *name;                /* node.name, unique in the cluster; default host name */
    const char *url;                 /* where other processes call this one; "local": nowhere */
    char incarnation[33];            /* random, new at each start (128 bit, hex) */
    const char *data_dir;            /* 0700 */
    int64_t started_ms;
    bool draining;
    const struct service *const *services; /* all of the executable, here or elsewhere */
    size_t service_count;
};

struct service {
    const char *name;                       /* "job-admin" */
    const struct route *routes;             /* ended by a row without pattern; NULL: none */
    const struct call_handler *calls;       /* ended by a row without type; NULL: none */
    const struct db_migration *migrations;
    size_t migration_count;
    bool needs_db, needs_launcher;
    /* Takes requests from outside: started before the store is there and all others, so that a
     * port in use is noticed before anything has happened, and health is answered meanwhile. */
    bool opens_listener;
    /* Errors stop the process with one clear line. state goes to handlers and the rest. */
    int (*start)(struct node *node, void **ret_state, struct error *err);
    /* 0 ready; -1 says what it waits for. NULL: always. */
    int (*ready)(void *state, struct error *err);
    /* Prometheus text, names begin with belfry_. NULL: none. */
    void (*metrics)(void *state, struct buf *out);
    /* Stop taking new work; call done once (maybe at once) when what runs is finished or handed
     * over; the frame goes on after node.drain_timeout in any case. NULL: at once. */
    void (*drain)(void *state, void (*done)(void *ctx), void *ctx);
    void (*free)(void *state);
    /* SIGHUP: time zones, certificates … read again. NULL: nothing to read. */
    void (*reload)(void *state);
};

/*
 * How nodes get to know each other's keys: auth keeps them. The frame may not include auth, so
 * belfry/cmd-serve.c hands its client in. Each done is called exactly once, later, on the loop.
 */
struct node_hooks {
    /* Makes this node's name and public key (node_public_key) known to auth, proving by
     * cluster.join_key that it belongs here. Called at the start, and again when refused. */
    void (*enrol)(struct node *node, void (*done)(void *ctx, const struct error *err), void *ctx);
    /* The public key of the node with this name; NULL where there is none (err NULL) or auth could
     * not be asked (err). */
    void (*find)(struct node *node, const char *name,
                 void (*done)(void *ctx, const unsigned char *public_key, const struct error *err),
                 void *ctx);
};
enum { NODE_KEY_SIZE = 32 };
const unsigned char *node_public_key(const struct node *node); /* NODE_KEY_SIZE bytes */

struct service_setup {
    const struct service *const *run; /* those of this process, in the order of their start */
    size_t run_count;
    const struct service *const *all; /* routes and migrations of remote ones are needed too */
    size_t all_count;
    const struct config *config;
    struct launcher *launcher;        /* may be NULL */
    const struct node_hooks *hooks;   /* may be NULL where every service runs here */
};

enum service_exit {
    SERVICE_EXIT_USAGE = 64,
    SERVICE_EXIT_DEPENDENCY = 69, /* something that it cannot run without */
    SERVICE_EXIT_BUG = 70,        /* ours */
    SERVICE_EXIT_DATA = 73,       /* data folder cannot be made or written */
    SERVICE_EXIT_BUSY = 75,       /* port in use, data folder used by another process */
    SERVICE_EXIT_CONFIG = 78,
};

/*
 * Runs the services until SIGTERM or SIGINT (drain, in the reverse order of the start) or a second
 * one (at once); SIGHUP reloads. Returns the exit code, 0 after a stop by signal. What stops the
 * start is logged as one line. A database server that is away is waited for, and the log says so.
 */
int service_main(const struct service_setup *setup);

/* Finds the route of a request among all services. 1 found with params; 0 none; -1 the path
 * exists but not with this method (ret_allow: "GET, POST"). */
int route_find(const struct service *const *all, size_t all_count, enum http_method method,
               struct str path, struct arena *arena, const struct service **ret_service,
               const struct route **ret_route, const char *params[REQUEST_PARAMS_MAX],
               const char **ret_allow);
/* -1 when a route has no permission, a public one no reason, or two rows are the same. */
int routes_check(const struct service *const *all, size_t all_count, struct error *err);

/*
 * For the gateway: hands a routed, authenticated request to the service: into its handler in this
 * process, else as a signed request to an instance from the registry, streaming the answer back.
 */
void service_forward(struct node *node, const struct service *service, struct request *request);
/* The service's state in this process, NULL when it does not run here. */
void *service_local_state(const struct node *node, const char *service_name);
/* 0 when the node can serve: store, services, not draining; -1 says what it waits for. */
int node_ready(struct node *node, struct error *err);
/* Answers GET /healthz and /readyz and returns true; false: another path. What is waited for is
 * told to loopback peers only. */
bool node_health_answer(struct node *node, struct http_exchange *exchange);
/* The counters of a listener, for a service's metrics: belfry_http_…{listener="…"}. */
void metrics_http_write(const char *listener, const struct http_server *server, struct buf *out);
/* Calls fn on the loop, soon and never inside this; loop only. fn is not called any more once the
 * node is being freed. */
void node_post(struct node *node, void (*fn)(void *ctx), void *ctx);

#endif
