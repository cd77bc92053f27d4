#ifndef BELFRY_JOB_EXECUTE_PEER_H
#define BELFRY_JOB_EXECUTE_PEER_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The job-admins that are known: those the registry lists and those that have sent a dispatch. Each
 * has its own queues of what it is to be told. They are few and stay for the life of the process.
 */
struct node;

/* Reports and logs fail apart: a store of logs that is full must not hold up a result. */
enum peer_line { PEER_REPORTS, PEER_LOGS, PEER_LINE_COUNT };

struct peer_health {
    int64_t retry_mono_ms;        /* no calls before: the last one failed */
    int backoff_ms;               /* 0: the last one did not */
};

struct peer {
    struct list link;
    char *instance;               /* "local" or "http://host:port" */
    bool listed;                  /* by the registry */
    struct list reports;          /* struct execute_report: to be sent */
    struct list chunks;           /* struct log_chunk: to be sent */
    size_t report_calls, log_calls; /* under way */
    bool beating;                 /* a heartbeat is under way */
    bool beat_again;              /* another one at once when it is back */
    struct peer_health health[PEER_LINE_COUNT];
};

struct peers {
    struct node *node;
    struct list all;
    size_t count;
};

enum { PEERS_MAX = 64, PEER_BACKOFF_FIRST_MS = 100, PEER_BACKOFF_MAX_MS = 2000 };

void peers_init(struct peers *peers, struct node *node);
void peers_done(struct peers *peers);
/* Reads the registry's list again. */
void peers_refresh(struct peers *peers);
/* By instance, made where it is new; NULL text: "local". */
struct peer *peers_find(struct peers *peers, const char *instance);
/* The next one to try after this one, round and round; the same when there is no other. Those that
 * are to be left alone for now come last. */
struct peer *peers_next(struct peers *peers, struct peer *after, enum peer_line line,
                        int64_t mono_ms);
/* For call_send: NULL for this process. */
const char *peer_instance(const struct peer *peer);
bool peer_rests(const struct peer *peer, enum peer_line line, int64_t mono_ms);
/* true: it is the first failure after a success. */
bool peer_failed(struct peer *peer, enum peer_line line, int64_t mono_ms);
void peer_answered(struct peer *peer, enum peer_line line);

#endif
