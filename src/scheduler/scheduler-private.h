#ifndef BELFRY_SCHEDULER_SCHEDULER_PRIVATE_H
#define BELFRY_SCHEDULER_SCHEDULER_PRIVATE_H

#include "base/arena.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/pool.h"
#include "scheduler/scheduler.h"

/*
 * How the parts hang together. Everything is driven by levels, not edges: run_place() puts a run
 * where its state belongs (a heap by time, the ready queue, its executor's list), and what is due
 * there is looked at by every step. So it does not matter whether a run came from a plan, a load
 * after a take-over or a re-read: it goes on from its row.
 *
 *   shard ── jobs ── runs (planned | waiting | active)
 *                      │
 *   armed (fire_at) ───┤ PLANNED            executor ── runs DISPATCHED, RUNNING
 *   ready (priority) ──┤ cleared, READY
 *   timers (wall) ─────┤ RETRY_WAIT, limit of READY
 *   doubts (mono) ─────┘ DISPATCHED in doubt, stops to repeat
 *
 * A run with a change under way (flight) or to be read again is frozen: in no heap and no queue,
 * but still counted by its job.
 */

struct flight;
struct executor;

/* A run that somebody spoke of and that is not known here: its row tells. */
struct lookup {
    struct pending *reports;
    bool asked;
};

/* What a run is to the overlap policy of its job. */
enum run_role { ROLE_NONE, ROLE_PLANNED, ROLE_WAITING, ROLE_ACTIVE };

/* A report that waits for its run: a change is under way, or its shard is being loaded. */
struct pending {
    struct pending *next;
    struct report report;
};

struct run {
    int64_t id, fire_at;
    int64_t due_at; /* as in scheduler_run */
    struct job *job;
    struct executor *executor; /* DISPATCHED, RUNNING, and while moving there */
    struct list job_link;      /* in the list of its role */
    struct list executor_link;
    struct list work_link;   /* one of: s->unready, s->reread */
    struct heap_node timer;  /* armed, timers or doubts */
    struct heap_node queue;  /* a ready queue of job->queue */
    struct pending *reports; /* oldest first */
    struct flight *flight;   /* the change under way */
    uint64_t stamp;          /* step that last saw the row change */
    int64_t since_mono;      /* cleared since; in doubt: next question; dispatched at */
    uint32_t flight_index;
    int32_t attempt, token, lost_count, failed_count, job_version;
    int16_t priority;
    uint8_t state, role, stop_cause;
    uint8_t questions; /* asked so far: backoff */
    uint8_t missing;   /* heartbeats in a row that should list it and do not */
    bool scheduled : 1;
    bool cleared : 1; /* due and judged: may go to DISPATCHED in one change */
    bool stop_requested : 1;
    bool rereading : 1; /* row is to be read again, or being read */
    bool doubt : 1;     /* DISPATCHED, but whether it arrived is not known */
    bool unsent : 1;    /* DISPATCHED by our own change, request not yet sent */
    bool awaiting : 1;  /* request sent, not answered */
    bool heard : 1;     /* scratch of executor_heartbeat */
    bool adopted : 1;   /* executor is not who was sent it, but has its result */
    bool reported : 1;  /* the change under way is a report's */
};

/* READY runs for one target, best first. */
struct ready_queue {
    struct list link; /* s->queues */
    struct heap heap;
    char name[EXECUTOR_NAME_MAX]; /* "" any executor */
    size_t jobs;                  /* pinned to it */
};

struct job {
    int32_t id, version, schedule_version;
    int32_t misfire_limit, overlap_limit, retry_max, lost_max;
    uint8_t misfire, overlap, promise, route;
    int16_t priority;
    bool enabled : 1, retry_timeouts : 1;
    bool known : 1; /* a row was given; false: only its runs are known */
    bool gone : 1, planning : 1;
    bool adrift : 1;                 /* a scheduled run of it ended, and not by us */
    const struct schedule *schedule; /* NULL: cannot be planned */
    int64_t next_fire_at, paused_at, paused_until;
    int64_t misfire_threshold_ms, retry_first_ms, retry_cap_ms, start_deadline_ms;
    int64_t jitter_ms;
    struct ready_queue *queue;
    struct list planned, waiting, active; /* runs by role; waiting in order of fire */
    struct list shard_link;
    struct list plan_link;    /* s->plannable */
    struct list promote_link; /* s->promotable */
    uint64_t stamp;           /* step that last changed next_fire_at by a plan */
    int32_t waiting_count, active_count;
};

enum shard_use { SHARD_FOREIGN, SHARD_LOADING, SHARD_LOADED };

struct shard {
    enum shard_use use;
    bool reload;    /* to be read whole */
    uint64_t stamp; /* step in which it became ours */
    int64_t epoch;
    struct list jobs;
    struct pending *held; /* reports for runs not known, until it is loaded */
};

enum executor_state { EXECUTOR_UNHEARD, EXECUTOR_LIVE, EXECUTOR_SILENT, EXECUTOR_RETIRED };

/* One start of an executor's process. */
struct executor {
    char name[EXECUTOR_NAME_MAX], incarnation[INCARNATION_SIZE];
    enum executor_state state;
    bool draining;
    int32_t slots_free, slots_total;
    int64_t started_at;
    uint64_t order;        /* of creation: breaks ties */
    int64_t backoff_until; /* mono: it refused */
    struct host *host;
    struct list host_link;
    struct list live_link; /* s->live, by name */
    struct list runs;
    struct heap_node deadline; /* mono: silent, never heard, or to be forgotten */
    struct list outbox;        /* runs whose DISPATCH goes with this step, by work_link */
    struct list outbox_link;   /* s->outboxes */
    struct list questions;     /* runs to ask about with this step, by work_link */
};

/* Executors of one name. */
struct host {
    struct list executors;
    struct executor *current;
};

/* An action that the driver has yet to answer. */
struct flight {
    struct list link; /* s->outgoing until it is sent */
    struct arena *arena;
    enum action_kind kind;
    uint64_t reference, stamp;
    uint64_t shards;   /* LOAD */
    struct run **runs; /* MOVE, LOAD: NULL where dropped meanwhile */
    int64_t *ids;      /* LOAD */
    struct move *moves;
    struct plan_item *items;
    struct running_run *sent; /* DISPATCH, ASK */
    char executor[EXECUTOR_NAME_MAX], incarnation[INCARNATION_SIZE];
    size_t count, capacity;
};

struct scheduler {
    struct arena *arena; /* holds this */
    struct scheduler_settings settings;
    struct scheduler_counters counters;
    int64_t now_ms, mono_ms; /* of the event in hand */
    struct actions *actions;
    uint64_t stamp; /* counts steps */
    uint64_t references;
    bool draining, started;

    struct shard shards[SHARD_COUNT];
    int64_t valid_until; /* mono: of the leases */
    int64_t lease_at;    /* mono: next renewal; INT64_MAX: one is under way */
    int64_t sweep_at;
    int32_t sweep_shard;

    struct pool run_pool, job_pool, pending_pool, lookup_pool, executor_pool, host_pool, queue_pool,
        flight_pool;
    struct list unused_flights; /* with their arenas */
    struct map runs, jobs, executors, hosts, flights;
    struct heap armed, timers, doubts, deadlines;
    struct list queues; /* ready queues; the first takes any executor */
    struct ready_queue *any_queue;
    struct list unready; /* cleared runs not yet written as READY, oldest first */
    struct list reread;  /* runs to be read again */
    struct list plannable, promotable, outboxes, live;
    struct list outgoing;       /* full MOVE flights that could not be sent yet */
    struct flight *move_flight; /* being filled */
    struct map lookups;         /* run ids to be read that are not known here: struct lookup */
    size_t lookups_waiting;     /* of these, not yet asked for */
    struct map wanted;          /* job ids of runs without a job row (values: struct job) */
    int64_t wanted_at;          /* mono: ask (again) for their rows */

    size_t ready_count;           /* in ready queues */
    int32_t moves_out, plans_out; /* flights */
    bool loading;                 /* a LOAD of shards is under way */
    bool scanning, scan_more;
    int64_t scan_at;
    uint32_t scan_extra; /* rows of the last scan that could not be planned */
    uint64_t scan_stamp; /* step in which the scan under way was asked for */
    int64_t hold_until;  /* mono: the store failed; ask nothing of it before */
    int32_t hold_failures;
    bool more_work; /* bounded work was cut short: step again at once */
    int64_t timer_told;
    int32_t round_robin;
    uint64_t state_counts[RUN_STATE_LIMIT];
};

/* scheduler.c */
struct action *action_add(struct scheduler *s, enum action_kind kind);
bool scheduler_usable(const struct scheduler *s); /* our leases are valid now */
bool store_open(const struct scheduler *s);       /* usable, and the store not just failed */
void store_failed(struct scheduler *s);
void store_worked(struct scheduler *s);
struct flight *flight_new(struct scheduler *s, enum action_kind kind);
struct flight *flight_take(struct scheduler *s, uint64_t reference, enum action_kind kind);
void flight_free(struct scheduler *s, struct flight *flight);
void flight_track(struct scheduler *s, struct flight *flight, uint64_t reference);

/* live.c: runs in memory */
struct run *run_find(const struct scheduler *s, int64_t id);
struct run *run_add(struct scheduler *s, const struct scheduler_run *row);
void run_merge(struct scheduler *s, struct run *run, const struct scheduler_run *row);
void run_drop(struct scheduler *s, struct run *run, enum ack_verdict verdict);
void run_vanished(struct scheduler *s, struct run *run); /* ended, or was removed, by others */
void run_set_state(struct scheduler *s, struct run *run, enum run_state state);
void run_set_role(struct scheduler *s, struct run *run, enum run_role role);
void run_set_executor(struct run *run, struct executor *executor);
void run_place(struct scheduler *s, struct run *run);  /* by its state; then run_consider */
void run_freeze(struct scheduler *s, struct run *run); /* out of heaps and queues */
void run_reread(struct scheduler *s, struct run *run);
/* The row of a run not known here; report (or NULL) waits for it. */
void run_lookup(struct scheduler *s, int64_t id, const struct report *report);
static inline bool run_frozen(const struct run *run)
{
    return run->flight || run->rereading;
}

/* job.c */
struct job *job_find(const struct scheduler *s, int32_t id);
struct job *job_get(struct scheduler *s, int32_t id); /* made when not known */
void job_update(struct scheduler *s, const struct scheduler_job *row, bool from_scan);
void job_gone(struct scheduler *s, int32_t id);
void job_settle(struct scheduler *s, struct job *job); /* freed where nothing needs it */
void job_release(struct scheduler *s, int32_t id);     /* the same, unless it is to be planned */
void job_free(struct scheduler *s, struct job *job);
struct shard *job_shard(struct scheduler *s, const struct job *job);
int32_t shard_of_job(int32_t job_id);
bool job_plannable(const struct scheduler *s, const struct job *job);
bool job_stranded(const struct scheduler *s, const struct job *job);
void jobs_ask(struct scheduler *s);

/* shard.c: leases and loading */
void shard_leases(struct scheduler *s, const struct scheduler_event *event);
void shard_loaded(struct scheduler *s, const struct scheduler_event *event);
void shard_work(struct scheduler *s);

/* plan.c */
void plan_due(struct scheduler *s, const struct scheduler_event *event);
void plan_answered(struct scheduler *s, const struct scheduler_event *event);
void plan_work(struct scheduler *s);
bool plan_wanted(const struct scheduler *s); /* a scan is to come, at scan_at */
/* Fills item for job; false: nothing to plan now (or ever: *ret_bad). Exposed for its test. */
bool plan_job(struct scheduler *s, struct arena *arena, const struct job *job,
              struct plan_item *item, bool *ret_bad);

/* What one step does at most of a kind; the rest follows in the next. */
enum { WORK_MAX = 5000, MOVES_OUT_MAX = 8 };

/* So often an executor may say "seen" of a run that its heartbeats do not list. */
enum { MISSING_MAX = 3 };

/* arm.c: PLANNED runs that come due, retries, limits */
void arm_work(struct scheduler *s);
void run_clear(struct scheduler *s, struct run *run); /* may start now: into the ready queue */

/* overlap.c */
void overlap_judge(struct scheduler *s, struct run *run);
void overlap_work(struct scheduler *s);
void overlap_changed(struct scheduler *s, struct job *job); /* an active run has ended */

/* dispatch.c */
int32_t ready_ahead(const struct run *run);
void ready_add(struct scheduler *s, struct run *run);
void ready_remove(struct scheduler *s, struct run *run);
struct ready_queue *ready_queue_get(struct scheduler *s, const char *name);
void ready_queue_release(struct scheduler *s, struct ready_queue *queue);
void dispatch_work(struct scheduler *s);
void dispatch_send(struct scheduler *s, struct run *run); /* goes out with this step */
void dispatch_answered(struct scheduler *s, const struct scheduler_event *event);
void dispatch_flush(struct scheduler *s);
/* Back to READY with a new token: it was certainly not taken. */
void run_bounce(struct scheduler *s, struct run *run);

/* doubt.c: was it received? is it stopped? */
void doubt_raise(struct scheduler *s, struct run *run, int64_t wait_ms);
void doubt_work(struct scheduler *s);
void doubt_answered(struct scheduler *s, const struct scheduler_event *event);

/* executor.c */
struct executor *executor_get(struct scheduler *s, const char *name, const char *incarnation);
void executor_heartbeat(struct scheduler *s, const struct executor_load *load);
void executor_work(struct scheduler *s);
bool executor_gone(const struct executor *executor);
bool executor_has_room(const struct scheduler *s, const struct executor *executor);

/* report.c */
void report_take(struct scheduler *s, const struct report *report);
bool report_judge(struct scheduler *s, struct run *run); /* true: a change is under way */
void report_settle(struct scheduler *s, struct run *run, const struct move *applied);
void report_ack(struct scheduler *s, uint64_t ack, enum ack_verdict verdict);
void report_hold(struct scheduler *s, struct pending **list, const struct report *report);
void report_release(struct scheduler *s, struct pending **list, enum ack_verdict verdict);
void run_lose(struct scheduler *s, struct run *run);
void run_stop(struct scheduler *s, struct run *run, enum cause cause);

/* move.c */
/* What the run asks for next, where it is not frozen: report, loss, stop. */
void run_consider(struct scheduler *s, struct run *run);
/* A change of run to state, filled with what does not differ; the caller adds the rest. Valid until
 * the next one. */
struct move *move_start(struct scheduler *s, struct run *run, enum run_state to, enum cause cause);
void move_end(struct run *run, struct move *move, int64_t ended_at);
void move_ready(struct scheduler *s, struct run *run,
                struct move *move); /* attempt, token, version */
void moves_answered(struct scheduler *s, const struct scheduler_event *event);
void moves_flush(struct scheduler *s);

int64_t backoff_ms(int64_t first_ms, int64_t cap_ms, int32_t n, int64_t run_id, int32_t attempt);

#endif
