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
    char incarnation[33];            /* random, new at each start (128 bit, hex) */
    const char *data_dir;            /* 0700 */
    int64_t started_ms;
    bool draining;
};

struct service {
    const char *name;                       /* "job-admin" */
    const struct route *routes;             /* ended by a row without pattern; NULL: none */
    const struct call_handler *calls;       /* ended by a row without type; NULL: none */
    const struct db_migration *migrations;
    size_t migration_count;
    bool needs_db, needs_launcher;
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
};

/* Runs the services until SIGTERM or SIGINT (drain) or a second one (at once). Returns the exit
 * code: 0, 64 usage, 69 a dependency, 73 data folder, 75 port in use or data folder busy, 78
 * configuration. all: every service of the executable (routes of remote ones are needed too). */
int service_main(const struct service *const *run, size_t run_count,
                 const struct service *const *all, size_t all_count, const struct config *config,
                 struct launcher *launcher);

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

#endif
