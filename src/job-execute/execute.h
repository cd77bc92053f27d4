#ifndef BELFRY_JOB_EXECUTE_EXECUTE_H
#define BELFRY_JOB_EXECUTE_EXECUTE_H

#include "base/list.h"
#include "base/map.h"
#include "job-execute/attempt.h"
#include "job-execute/log-send.h"
#include "job-execute/peer.h"
#include "job-execute/report.h"
#include "job-execute/seen.h"
#include "job-execute/spool.h"
#include "job-execute/task.h"
#include "schedule/zone.h"
#include "service/call.h"
#include "service/service.h"

/*
 * The attempts of this process: taken from dispatches, queued where there is no slot, started,
 * ended, and kept until their results are acknowledged.
 */
struct launcher;

struct execute_settings {
    int slots[TASK_SLOT_COUNT];    /* attempts that run at once */
    int queue;                     /* attempts that wait for a slot */
    size_t backlog_max;            /* log bytes not yet stored, all attempts */
    size_t spool_max;              /* bytes of the spool file */
    int grace_ms;                  /* scripts: from TERM to KILL */
    int nice;
    bool cgroups, cgroups_always;
    const char *user;              /* scripts run as; NULL: as this process */
    bool any_user;                 /* a task may name another user, root too */
    char *work_dir;                /* scripts' private directories are made in it */
    struct launch_limits_default {
        int64_t memory, processes, files, output;
    } limits;
};

struct execute_counters {
    uint64_t taken, refused, seen, ended, failed, timed_out, stopped;
};

struct execute {
    struct node *node;
    struct execute_settings settings;
    struct peers peers;
    struct seen seen;
    struct spool *spool;
    struct reporter *reporter;
    struct log_sender *log_sender;
    struct http_client *http;      /* what tasks dial: under the egress rules */
    struct zone_set *zones;
    struct map runs;               /* run id → newest struct attempt of it */
    struct list all;
    struct list queues[TASK_SLOT_COUNT];
    size_t queued[TASK_SLOT_COUNT], running[TASK_SLOT_COUNT], attempts;
    struct event *start_event, *beat_timer, *beat_event;
    struct list beats;             /* heartbeats under way */
    size_t attempts_peak;          /* since memory was last given back */
    bool was_full;                 /* the last heartbeat or answer said: no room */
    bool draining;
    void (*drained)(void *ctx);
    void *drained_ctx;
    struct execute_counters counters;
};

/* At most so many results may wait to be acknowledged before no more runs are taken. */
enum { UNACKED_MAX = 50000 };

int execute_new(struct node *node, struct execute **ret_execute, struct error *err);
void execute_free(struct execute **execute);
void execute_drain(struct execute *execute, void (*done)(void *ctx), void *ctx);
int32_t execute_slots_free(const struct execute *execute);
int32_t execute_slots_total(const struct execute *execute);
/* The attempt if it is still known here. */
struct attempt *execute_find(const struct execute *execute, int64_t run_id, int32_t attempt,
                             int32_t token);

/* Handlers of the calls in client.h. */
void execute_handle_dispatch(struct call *call);
void execute_handle_ask(struct call *call);
void execute_handle_stop(struct call *call);

/* attempt.c: made from a dispatched run. */
struct attempt *attempt_new(struct execute *execute, const struct execute_run *run,
                            struct peer *peer);
void attempt_free(struct attempt *attempt);
void attempt_start(struct attempt *attempt);
/* Ends it with CAUSE_TASK or another cause, without trying again. */
void attempt_fail(struct attempt *attempt, enum cause cause, const struct error *err);
void attempt_stop(struct attempt *attempt, enum cause cause);

/* What the attempt's parameters are worth; zone is the caller's (zone_unref). */
int execute_params(const struct attempt *attempt, struct params *ret_params, struct zone **ret_zone,
                   struct error *err);

/* execute.c, told by attempt.c: a slot is free, or a queue place. */
void execute_ended(struct execute *execute, struct attempt *attempt);

/* heartbeat.c: one a second to every job-admin, and at once. */
int heartbeat_start(struct execute *execute, struct error *err);
void heartbeat_stop(struct execute *execute);
void heartbeat_now(struct execute *execute);

/* settings.c: from the configuration. */
int execute_settings_read(const struct config *config, struct execute_settings *ret,
                          struct error *err);

#endif
