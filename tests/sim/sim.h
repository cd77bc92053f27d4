#ifndef BELFRY_TESTS_SIM_SIM_H
#define BELFRY_TESTS_SIM_SIM_H

#include "base/arena.h"
#include "base/heap.h"
#include "base/map.h"
#include "scheduler/lease.h"
#include "scheduler/scheduler.h"

#include "sometimes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A world in one thread: a virtual clock, one heap of things to happen, one source of chance. The
 * schedulers in it are the real ones; store, network, executors and people are models that fail as
 * the seed says. The same seed gives the same world, to the last bit of its trace hash.
 *
 * A world has two phases. Safety: faults of the seed's classes come at its rates, and what must
 * never happen is checked at every change. Liveness: faults stop, one admin and one executor at
 * least are left, and everything must come to its end without help.
 */

#define SIM_T0 INT64_C(1800000000000) /* true time 0 of every world, UTC */

enum { ADMIN_MAX = 3, EXECUTOR_MAX = 4, JOB_MAX = 24, VERSION_MAX = 64, SLOT_MAX = 8 };

enum {
    SAFETY_MS = 60000,  /* faults happen */
    LIVELY_MS = 30000,  /* then none, jobs go on firing */
    SETTLE_MS = 20000,  /* of these: until nothing of the faults is felt (K4 counts from here) */
    FINISH_MS = 120000, /* jobs disabled: all must end in this time (K10) */
};

/* A name, chance per 1000 of being in a seed, and what it does. */
#define FAULT_CLASSES(X)                                                                           \
    X(drop, "messages are lost")                                                                   \
    X(duplicate, "messages arrive twice")                                                          \
    X(delay, "messages are late and overtake each other")                                          \
    X(one_way, "a link is deaf in one direction for a while")                                      \
    X(admin_crash, "an admin dies and comes back as another incarnation")                          \
    X(action_crash, "an admin dies between two actions of a step")                                 \
    X(admin_pause, "an admin stands still (SIGSTOP)")                                              \
    X(executor_crash, "an executor dies with what it runs; its spool survives")                    \
    X(executor_pause, "an executor stands still")                                                  \
    X(db_crash, "the database is away for a while")                                                \
    X(db_slow, "the database answers late")                                                        \
    X(db_unknown, "whether a write was applied is not told; it may be applied later")              \
    X(db_error, "requests fail without being applied")                                             \
    X(db_race, "a write reads the epochs a while before it changes rows")                          \
    X(skew, "clocks of the nodes are wrong by seconds")                                            \
    X(clock_jump, "the wall clock of an admin jumps")                                              \
    X(api_skew, "edits are made by a clock that is wrong")                                         \
    X(hint_loss, "what the API tells the admins is lost")                                          \
    X(poison, "job rows that cannot be used")                                                      \
    X(drain, "executors refuse work for a while")

enum fault {
#define X(name, text) FAULT_##name,
    FAULT_CLASSES(X)
#undef X
        FAULT_COUNT
};
extern const char *const fault_names[FAULT_COUNT];
extern const char *const fault_texts[FAULT_COUNT];

/* Deliberately broken worlds: each must be caught. */
#define VARIANTS(X)                                                                                \
    X(none, "the real thing")                                                                      \
    X(no_unique_key, "a fire may have two rows")                                                   \
    X(no_compare, "a change does not look at what it changes")                                     \
    X(two_transactions, "runs are inserted first, the job is advanced later")                      \
    X(no_reaper, "lost executors are never noticed")                                               \
    X(short_lease, "an executor counts as lost sooner than it can be heard")

enum variant {
#define X(name, text) VARIANT_##name,
    VARIANTS(X)
#undef X
        VARIANT_COUNT
};
extern const char *const variant_names[VARIANT_COUNT];
extern const char *const variant_texts[VARIANT_COUNT];

struct world;
typedef void (*happening)(struct world *world, void *argument);

/* What can die, stand still and be reached: an admin, an executor, the database. */
struct process {
    int index; /* in the world: for links and the trace */
    bool up;
    uint64_t generation; /* counts starts */
    int64_t paused_until;
    int64_t mono_offset;
    int64_t skew; /* of its idea of the database's clock */
};

/* --- store ------------------------------------------------------------------------------------ */

struct sim_version { /* of a job's schedule: fires in (from, to] are its */
    const struct schedule *schedule;
    int64_t from_ms, to_ms;
};

struct sim_job {
    struct scheduler_job row; /* schedule NULL: poison */
    bool deleted;
    struct sim_version versions[VERSION_MAX];
    size_t version_count;
    int64_t duration_ms; /* of its task, at most */
    int32_t fail_permille, timeout_permille;
};

struct sim_grant { /* one DISPATCHED */
    int32_t attempt, token;
    bool started;
};

struct sim_run {
    struct scheduler_run row;
    bool deleted;        /* by an edit, while PLANNED */
    int64_t inserted_at; /* true time */
    int64_t start_at;    /* not before: fire_at and the job's jitter */
    int32_t starts;
    struct sim_grant grants[32];
    size_t grant_count;
    bool lost_late; /* lost in a time without faults */
};

struct sim_gap {
    int32_t job_id;
    struct plan_gap gap;
};

struct store {
    struct process process;
    struct sim_job jobs[JOB_MAX];
    size_t job_count;
    struct map runs; /* by id: struct sim_run */
    struct map keys; /* job and fire: struct sim_run */
    struct sim_run **all;
    size_t run_count, run_capacity;
    struct sim_gap *gaps;
    size_t gap_count, gap_capacity;
    struct lease_row leases[SHARD_COUNT];
    int64_t peers_until[ADMIN_MAX];
    int64_t next_run_id;
    struct late_write *late; /* answered UNKNOWN, not yet applied */
    const int64_t *epochs;   /* as the write in hand has read them; NULL: as they are */
};

/* --- admins and executors --------------------------------------------------------------------- */

struct admin {
    struct process process;
    char name[EXECUTOR_NAME_MAX], incarnation[INCARNATION_SIZE];
    struct scheduler *scheduler;
    struct arena *arena; /* of the step in hand */
    uint64_t timer;      /* counts: only the last one told rings */
    int64_t rings, rings_second;
    struct map requests; /* reference: struct request, not answered */
    struct map acks;     /* handle: struct handed_report */
    uint64_t next_ack;
    int64_t jump;   /* of the wall clock */
    uint64_t owned; /* shards, as last told */
};

struct task { /* what an executor has of a run */
    struct task *next;
    int64_t run_id;
    int32_t job_id, attempt, token;
    enum task_state { TASK_QUEUED, TASK_RUNNING, TASK_DONE } state;
    bool start_told, killed;
    int64_t started_at, ended_at, told_at;
    enum run_state outcome;
    enum cause cause;
    bool no_retry;
    int64_t retry_after_ms;
};

struct executor_node {
    struct process process;
    char name[EXECUTOR_NAME_MAX], incarnation[INCARNATION_SIZE];
    int32_t slots, places;
    bool draining;
    struct task *tasks;       /* TASK_DONE ones are the spool: they survive */
    struct map seen, refused; /* of this incarnation */
    int target;               /* admin that reports go to */
    int64_t started_at;
};

/* --- world ------------------------------------------------------------------------------------ */

struct world {
    uint64_t seed, random;
    enum variant variant;
    uint32_t faults; /* classes of this seed */
    int32_t rates[FAULT_COUNT];
    bool quiet; /* liveness phase */
    bool verbose;
    int64_t now; /* true time, ms */
    uint64_t sequence, hash;
    struct heap queue;
    struct arena *arena; /* everything that lives as long as the world */
    struct scheduler_settings settings;
    int64_t heartbeat_ms, request_timeout_ms;
    struct store store;
    struct admin admins[ADMIN_MAX];
    struct executor_node executors[EXECUTOR_MAX];
    int admin_count, executor_count;
    int64_t deaf_until[1 + ADMIN_MAX + EXECUTOR_MAX][1 + ADMIN_MAX + EXECUTOR_MAX];
    int64_t quiet_since;
    uint64_t fires, steps;
    bool failed;
    char failure[256];
};

/* world.c */
uint64_t world_random(struct world *world);
int64_t world_between(struct world *world, int64_t least, int64_t most);
bool world_chance(struct world *world, int32_t permille);
bool world_fault(struct world *world, enum fault fault); /* one of its class happens now */
void world_trace(struct world *world, const char *what, int64_t a, int64_t b, int64_t c);
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Happens to the world (process NULL), or to this life of a process; waits while it stands still.
 */
void world_at(struct world *world, int64_t at, struct process *process, happening happen,
              void *argument);
/* A message: lost, doubled or late as the faults have it; lost when the far process is down. */
void world_send(struct world *world, const struct process *from, struct process *to,
                happening happen, void *argument);
void world_run(struct world *world, uint64_t seed, enum variant variant, uint32_t disabled);
void world_done(struct world *world);
int64_t process_mono(const struct world *world, const struct process *process);
void incarnation_make(struct world *world, char incarnation[INCARNATION_SIZE]);

/* store.c: each happens at once, at the store; false: not applied, ask again */
struct sim_job *store_job(struct store *store, int32_t id);
struct sim_run *store_run(struct store *store, int64_t id);
struct sim_run *store_insert(struct world *world, const struct scheduler_run *row);
void store_gap(struct world *world, int32_t job_id, const struct plan_gap *gap);
void store_plan(struct world *world, const struct plan_item *item, struct plan_answer *answer);
bool store_move(struct world *world, const struct move *move);
void store_lease(struct world *world, const struct admin *admin, struct lease_answer *answer);
bool run_live(const struct sim_run *run);
/* Applies the PLAN's second half only (variant two_transactions). */
void store_advance(struct world *world, const struct plan_item *item, struct plan_answer *answer);

/* request.c: what admins ask of the store */
void request_store(struct world *world, struct admin *admin, const struct action *action);
void late_writes_resolve(struct world *world);

/* admin.c */
void admin_start(struct world *world, void *admin);
void admin_crash(struct world *world, struct admin *admin, bool comes_back);
void admin_event(struct world *world, struct admin *admin, struct scheduler_event *event);
void admin_take_heartbeat(struct world *world, struct admin *admin, struct executor_load *load);

/* executor.c */
void executor_start(struct world *world, void *executor);
void executor_crash(struct world *world, struct executor_node *executor, bool comes_back);
struct parcel;
void executor_send_dispatch(struct world *world, struct admin *admin, const struct action *action);
void executor_send_ask(struct world *world, struct admin *admin, const struct action *action);
void executor_send_kill(struct world *world, struct admin *admin, const struct action *action);
void executor_send_ack(struct world *world, struct admin *admin, int executor, int64_t run_id,
                       int32_t attempt, int32_t token, enum report_kind kind,
                       enum ack_verdict verdict);
/* A batch of reports reaches an admin; acks are its handles in order. */
struct handed_report {
    int executor;
    int64_t run_id;
    int32_t attempt, token;
    enum report_kind kind;
};
void admin_take_reports(struct world *world, struct admin *admin, int executor,
                        const char *incarnation, struct report *reports, size_t count);
bool admin_request_open(struct admin *admin, uint64_t reference);
void admin_request_close(struct admin *admin, uint64_t reference);

/* actor.c: people and their API */
void actor_start(struct world *world);
void actor_disable_all(struct world *world);

/* check.c */
void check_transition(struct world *world, const struct scheduler_run *old,
                      const struct scheduler_run *next, enum cause cause);
void check_inserted(struct world *world, const struct sim_run *run);
void check_started(struct world *world, const struct executor_node *executor,
                   const struct task *task);
bool check_idle(const struct world *world); /* nothing left to be done */
void check_delays(struct world *world);
void check_end(struct world *world);

#endif
