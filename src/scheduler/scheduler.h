#ifndef BELFRY_SCHEDULER_SCHEDULER_H
#define BELFRY_SCHEDULER_SCHEDULER_H

#include "base/arena.h"
#include "schedule/schedule.h"
#include "scheduler/run.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The heart: events in, actions out. Pure: no clock, no I/O, no threads, no randomness; time is in
 * the events. The same code runs in job-admin (driver: job-admin/engine*.c) and in the simulator
 * (test/sim). Memory of the scheduler comes from base/memory; actions live in the arena that the
 * caller passes to the step and frees when it has carried them out.
 *
 * What is in memory here are copies of durable rows only. Every change of a run is asked for as a
 * compare-and-swap (MOVE) that names state, attempt and token; the scheduler's own copy changes
 * when EVENT_MOVED says that it was applied. While a move is under way, nothing else is asked
 * for that run. A store answer that is UNKNOWN is followed by reading the rows again, never by
 * repeating the write.
 *
 * What the driver owes:
 * - LEASE, SCAN, PLAN, LOAD, MOVE, DISPATCH and ASK are answered exactly once, in any order, each
 *   with the reference of its action. What a PLAN or MOVE points to stays valid until answered;
 *   everything else lives in the arena.
 * - Rows are read from the primary. Of a job, no row is given after a newer one; if it happens, the
 *   older is ignored and its schedule not looked at.
 * - An edit that takes PLANNED rows away (fire_at later than now) changes schedule_version, and so
 *   does each change of pause; a pause sets paused_at = now and leaves fires up to and including
 *   paused_at alone. Its gap is written by the first plan when it is over. So ending it early means
 *   paused_until = now and next_fire_at = the first fire at or after now (what was planned ahead
 *   goes, like in any edit). An edit that sets another schedule or pause while paused_at is still
 *   set writes that gap itself. A fire at paused_until itself is no longer in the pause.
 * - Only a plan parks a job with schedule "delay" (next_fire_at NULL until its run ends). An edit
 *   that changes schedule_version sets next_fire_at, also while a run is live: the end of that run
 *   finds another version and leaves it alone.
 * - A DISPATCH reaches that incarnation or nobody: another one must refuse it.
 */

enum { SHARD_COUNT = 64, EXECUTOR_NAME_MAX = 64, INCARNATION_SIZE = 33 };

enum misfire_policy { MISFIRE_ONCE, MISFIRE_ALL, MISFIRE_SKIP };
enum overlap_policy { OVERLAP_SKIP, OVERLAP_QUEUE, OVERLAP_REPLACE, OVERLAP_PARALLEL };
enum promise { PROMISE_AT_LEAST_ONCE, PROMISE_AT_MOST_ONCE };
enum route_policy { ROUTE_LEAST_LOADED, ROUTE_ROUND_ROBIN, ROUTE_PINNED };

struct scheduler_job {
    int32_t id;
    int32_t shard;               /* id % SHARD_COUNT */
    int32_t version;             /* of the definition; pinned to a run at READY */
    int32_t schedule_version;
    bool enabled;                /* false: planned nothing, but its runs go on */
    const struct schedule *schedule; /* the caller's; valid until it gives a newer row or
                                        EVENT_JOB_GONE; NULL: a row that cannot be planned */
    int64_t next_fire_at;        /* SCHEDULE_NEVER: none */
    int64_t paused_at, paused_until; /* 0: not paused; the gap is written when the pause is over */
    enum misfire_policy misfire;
    int32_t misfire_limit;       /* MISFIRE_ALL: at most so many, the newest */
    int64_t misfire_threshold_ms;
    enum overlap_policy overlap;
    int32_t overlap_limit;       /* PARALLEL: active runs; QUEUE: waiting runs (default 100) */
    enum promise promise;
    int32_t retry_max;           /* further attempts after a failure or timeout */
    int64_t retry_first_ms, retry_cap_ms; /* backoff doubles from first to cap, ±20 % by hash */
    int32_t lost_max;            /* further attempts after a loss (at-least-once); default 5 */
    bool retry_timeouts;         /* a timed-out attempt may be tried again */
    int32_t priority;            /* -100 … 100, larger first */
    int64_t start_deadline_ms;   /* READY longer than this is SHED; 0: waits for ever */
    int64_t jitter_ms; /* scheduled runs start up to so much after fire_at: scheduler_jitter */
    enum route_policy route;
    char route_executor[EXECUTOR_NAME_MAX]; /* ROUTE_PINNED */
};

/* A run row as the scheduler needs it. */
struct scheduler_run {
    int64_t id;
    int32_t job_id, shard;
    enum run_state state;
    int32_t attempt;             /* from 1; 0 before the first READY */
    int32_t token;               /* grows with each READY */
    int32_t lost_count;          /* attempts lost so far */
    int32_t failed_count;        /* attempts failed or timed out so far */
    int32_t job_version;         /* pinned; 0 before READY */
    int32_t priority;
    int64_t fire_at;
    bool scheduled;              /* fire_key is empty */
    int64_t due_at;              /* RETRY_WAIT: when; READY: since when */
    char executor[EXECUTOR_NAME_MAX]; /* DISPATCHED, RUNNING */
    char incarnation[INCARNATION_SIZE];
    bool stop_requested;
    enum cause stop_cause;       /* CAUSE_STOPPED, CAUSE_REPLACED, CAUSE_DELETED */
};

/* clang-format off: a table of events and actions reads better than the layout it would get */

/* --- events --------------------------------------------------------------------------------- */

enum event_kind {
    EVENT_TICK,          /* time passed; also when the timer asked for fires */
    EVENT_LEASES,        /* answer to ACTION_LEASE, or refused/unknown store */
    EVENT_DUE,           /* answer to ACTION_SCAN */
    EVENT_PLANNED,       /* answer to ACTION_PLAN */
    EVENT_RUNS,          /* answer to ACTION_LOAD, and single rows told by the API (manual runs) */
    EVENT_MOVED,         /* answer to ACTION_MOVE */
    EVENT_JOB,           /* a job row is new or was changed (API in this process, mail) */
    EVENT_JOB_GONE,
    EVENT_STOP,          /* a stop was made durable: run_id */
    EVENT_HEARTBEAT,
    EVENT_DISPATCHED,    /* answer to ACTION_DISPATCH */
    EVENT_SEEN,          /* answer to ACTION_ASK */
    EVENT_REPORT,        /* starts and results from an executor */
    EVENT_DRAIN,         /* stop taking new work: no plan, no dispatch; reports are still taken */
};

enum store_answer { STORE_OK, STORE_CONFLICT, STORE_NOT_APPLIED, STORE_UNKNOWN };

struct lease_answer {
    enum store_answer answer;
    uint64_t owned;              /* bit per shard */
    int64_t epochs[SHARD_COUNT]; /* of the owned ones */
    int64_t valid_until_mono_ms; /* for all owned; counted from before the transaction began */
};

struct plan_answer {             /* per item of the ACTION_PLAN */
    enum store_answer answer;    /* CONFLICT: job changed or shard lost; read again */
    const int64_t *run_ids;      /* in the item's order, with OK; 0: that fire had a row already */
};

struct move_answer {
    int64_t run_id;
    bool applied;                /* false: state, attempt or token was another: row is re-read */
};

struct executor_load {
    const char *name, *incarnation;
    int32_t slots_free;          /* slots and queue places left */
    int32_t slots_total;
    bool draining;
    const struct running_run *running; /* has, or has a result not yet acknowledged */
    size_t running_count;
    int64_t started_at;          /* of the process; tells the older of two incarnations; 0 unknown */
};

struct running_run {
    int64_t run_id;
    int32_t attempt, token;
};

enum dispatch_verdict {
    DISPATCH_TAKEN,
    DISPATCH_REFUSED,            /* no room or draining; not run, refused should it come again */
    DISPATCH_SEEN,               /* had this (run, attempt, token) before */
    DISPATCH_BAD,                /* task cannot be carried out (wire error): a result follows */
};

struct dispatch_answer {
    int64_t run_id;
    int32_t attempt, token;
    enum dispatch_verdict verdict;
};

struct seen_answer {
    int64_t run_id;
    int32_t attempt, token;
    bool seen;                   /* false: the executor recorded it as refused before answering */
};

enum report_kind { REPORT_START, REPORT_RESULT };

struct report {
    enum report_kind kind;
    uint64_t ack;                /* the driver's handle, given back by ACTION_ACK exactly once */
    int64_t run_id;
    int32_t job_id;              /* as dispatched: tells the shard of a run not known here */
    int32_t attempt, token;
    int64_t started_at, ended_at;  /* executor's clock corrected by the driver; 0 unknown */
    enum run_state outcome;      /* RESULT: SUCCEEDED, FAILED, TIMED_OUT, CANCELLED */
    enum cause cause;
    int64_t retry_after_ms;      /* asked for by the far end; 0: none. Capped by retry_cap_ms */
    bool no_retry;               /* task says: trying again is of no use */
    const void *detail;          /* driver's: output, message, usage; passed on in the MOVE;
                                    valid until the report is acknowledged */
};

struct scheduler_event { /* not "event": libevent has that name */
    enum event_kind kind;
    int64_t now_ms;              /* UTC by the database's clock */
    int64_t mono_ms;
    uint64_t reference;          /* the action that this answers */
    union {
        struct lease_answer lease;
        struct { enum store_answer answer; struct scheduler_job *const *jobs; size_t count;
                 bool more; } due;
        struct { enum store_answer answer; const struct plan_answer *items; size_t count; } planned;
        struct { enum store_answer answer; uint64_t shards; /* complete for these; 0: single rows */
                 const struct scheduler_run *runs; size_t count;
                 /* rows of their jobs, where the driver has them at hand: spares ACTION_JOBS */
                 struct scheduler_job *const *jobs; size_t job_count; } runs;
        struct { enum store_answer answer; const struct move_answer *moves; size_t count; } moved;
        struct { const struct scheduler_job *job; } job;
        struct { int32_t job_id; } job_gone;
        struct { int64_t run_id; enum cause cause; } stop;
        struct { const struct executor_load *load; } heartbeat;
        struct { const char *executor, *incarnation; /* who answered; NULL: nobody */ bool sent;
                 const struct dispatch_answer *answers; size_t count; } dispatched;
        struct { const char *executor, *incarnation; bool sent;
                 const struct seen_answer *answers; size_t count; } seen;
        struct { const char *executor, *incarnation;
                 const struct report *reports; size_t count; } report;
    };
};

/* --- actions -------------------------------------------------------------------------------- */

enum action_kind {
    ACTION_LEASE,        /* one transaction: lease_plan over the 64 rows (scheduler/lease.h) */
    ACTION_SCAN,         /* jobs of shards with next_fire_at <= horizon_ms, oldest first, limit */
    ACTION_PLAN,
    ACTION_LOAD,         /* all runs of shards that are not terminal; shards 0: the runs of ids */
    ACTION_MOVE,
    ACTION_DISPATCH,     /* one request to one executor with many runs */
    ACTION_ASK,          /* seen? one request to one executor */
    ACTION_KILL,         /* stop a run at its executor; the result tells what became of it */
    ACTION_ACK,          /* report is durable (taken), not ours, or of no more use (stale) */
    ACTION_TIMER,        /* wake me with TICK at mono_ms; a later one replaces it */
    ACTION_INCIDENT,     /* a run has ended badly after its last attempt */
    ACTION_JOBS,         /* job rows wanted (runs of jobs not known here): answered by EVENT_JOB or
                            EVENT_JOB_GONE for each, in any order; no answer: asked again */
};

struct plan_run {
    int64_t fire_at;
    enum run_state state;        /* RUN_PLANNED; RUN_SKIPPED with cause: a single skipped fire */
    enum cause cause;            /* CAUSE_SCHEDULE, CAUSE_MISFIRE; or why skipped */
    int64_t start_at;     /* with jitter: the row's due_at; 0: fire_at */
};

struct plan_gap {
    int64_t from_ms, to_ms;      /* both fires themselves: first and last of those not fired */
    int64_t count;
    enum cause cause;
};

/*
 * Inserts runs and gaps and advances next_fire_at where the job row still has
 * (next_fire_at, schedule_version) and the shard's epoch is ours: all of the item or nothing.
 * A run whose (job, fire_at) has a row already (an edit by a clock that is behind asks for it once
 * more) is left as it is: it was decided. Its id is answered as 0; the item applies all the same.
 */
struct plan_item {
    int32_t job_id, shard;
    int32_t schedule_version;
    int64_t epoch;
    int64_t next_fire_at, new_next_fire_at; /* SCHEDULE_NEVER: NULL, compared and stored as such */
    bool clear_pause;
    const struct plan_run *runs;
    size_t run_count;
    const struct plan_gap *gaps;
    size_t gap_count;
};

struct move {
    int64_t run_id;
    int32_t job_id, shard;
    int64_t epoch;
    enum run_state from;         /* compared, with attempt and token */
    int32_t attempt, token;
    enum run_state to;
    int32_t new_attempt, new_token;
    bool via_ready;              /* PLANNED|WAITING|RETRY_WAIT → READY → DISPATCHED in one change */
    bool via_running;            /* DISPATCHED → RUNNING → to in one change: start with result */
    enum cause cause;            /* of the end, or of the further attempt */
    int32_t job_version;         /* to READY: pinned */
    int64_t ready_at, started_at, ended_at; /* set where not 0 */
    int64_t due_at;              /* to RETRY_WAIT, READY */
    const char *executor, *incarnation; /* to DISPATCHED */
    int32_t lost_count, failed_count;
    const void *detail;          /* of the report that caused it, or NULL */
    /* A job with schedule "delay": its next fire, set in the same transaction where the job still
     * has schedule_version and its next_fire_at is NULL (parked). 0: leave it. Whether that row was
     * changed does not decide whether the move counts as applied. */
    int64_t set_next_fire_at;
    int32_t schedule_version;
};

struct action {
    enum action_kind kind;
    uint64_t reference;          /* to be given back in the answering event */
    union {
        struct { uint64_t shards; int64_t horizon_ms; uint32_t limit; } scan;
        struct { const struct plan_item *items; size_t count; } plan;
        struct { uint64_t shards; const int64_t *ids; size_t id_count; } load;
        struct { const struct move *moves; size_t count; } move;
        struct { const char *executor, *incarnation;
                 const struct dispatch_run { int64_t run_id;
                                             int32_t attempt, token, job_id, job_version;
                                             int64_t fire_at; } *runs; size_t count; } dispatch;
        struct { const char *executor, *incarnation;
                 const struct running_run *runs; size_t count; } ask;
        struct { const char *executor, *incarnation;
                 struct running_run run; enum cause cause; } kill;
        /* NOT_OURS: not taken here; keep it and report again (to the shard's owner). */
        struct { uint64_t ack;
                 enum ack_verdict { ACK_TAKEN, ACK_NOT_OURS, ACK_STALE } verdict; } ack;
        struct { int64_t mono_ms; } timer;
        struct { int64_t run_id; int32_t job_id; enum run_state state; enum cause cause; } incident;
        struct { const int32_t *ids; size_t count; } jobs;
    };
};

/* clang-format on */

struct actions {                 /* in order; carried out in order */
    struct arena *arena;
    struct action *items;
    size_t count, capacity;
};

/* --- the scheduler --------------------------------------------------------------------------- */

struct scheduler_settings {      /* 0: the default in parentheses */
    int64_t horizon_ms;          /* plan so far ahead (5,000) */
    int64_t scan_interval_ms;    /* (1,000) */
    int64_t lease_interval_ms;   /* renew (2,000); a lease lasts lease_ms (10,000) */
    int64_t lease_ms;
    int64_t executor_lease_ms;   /* silent so long: lost (10,000) */
    int32_t plan_batch;          /* jobs in one PLAN (1,000) */
    int32_t move_batch;          /* (1,000) */
    int32_t dispatch_batch;      /* (500) */
    int32_t ready_max;           /* READY runs held in all; more due ones stay PLANNED (200,000) */
    int32_t fires_per_plan;      /* runs of one job in one item (16) */
    int64_t settle_ms;           /* after start or take-over: wait so long for heartbeats before
                                    a run's unknown executor counts as lost (executor_lease_ms) */
    int64_t ready_grace_ms;      /* a due run without a free slot is written as READY after this:
                                    until then one write may take it to DISPATCHED (200) */
    int64_t sweep_interval_ms;   /* every owned shard is read again once in this time, one after
                                    the other: what hints did not tell comes to light (60,000) */
    bool leases;                 /* false: this node owns all shards (SQLite) with epoch 0 */
};

struct scheduler;
struct scheduler *scheduler_new(const struct scheduler_settings *settings);
void scheduler_free(struct scheduler **scheduler);
void scheduler_step(struct scheduler *scheduler, const struct scheduler_event *event,
                    struct actions *actions);

/*
 * What jitter adds to a fire: 0 … jitter_ms, the same for a job and fire each time, so that fires
 * stay on their grid and lateness, counted from their sum, stays a measure.
 */
int64_t scheduler_jitter(int32_t job_id, int64_t fire_at, int64_t jitter_ms);

struct scheduler_counters {
    uint64_t planned, started, ended, late_reports, moves, moves_lost, dispatches, refused, lost,
        shed;
    uint64_t bad_rows;           /* job rows that cannot be used: given, each time */
    uint64_t armed, ready, waiting, active, retrying, executors, shards;
    int64_t oldest_due_ms;       /* fire_at of the oldest run due and not dispatched; 0 none */
};
void scheduler_counters(const struct scheduler *scheduler, struct scheduler_counters *ret);
/* For `why` and the run page: where a live run stands, e.g. behind how many others. */
bool scheduler_run_known(const struct scheduler *scheduler, int64_t run_id, int32_t *ret_ahead);

#endif
