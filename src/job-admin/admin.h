#ifndef BELFRY_JOB_ADMIN_ADMIN_H
#define BELFRY_JOB_ADMIN_ADMIN_H

#include "base/list.h"
#include "base/map.h"
#include "db/db.h"
#include "job-admin/client.h"
#include "job-admin/job.h"
#include "scheduler/scheduler.h"
#include "service/ids.h"
#include "service/service.h"

/* What the files of job-admin share: one struct admin per process, used on the loop only. */

extern const struct db_migration job_admin_migrations[];
extern const size_t job_admin_migration_count;

struct event;

/* An executor as its last heartbeat told. */
struct executor {
    char name[EXECUTOR_NAME_MAX], incarnation[INCARNATION_SIZE];
    char *url, *address;
    int32_t slots_total, slots_free;
    size_t running;
    bool draining;
    int64_t seen_at, seen_mono_ms;
    int64_t clock_offset_ms;     /* ours minus its, within the latency of a call */
};

struct admin {
    struct node *node;
    struct scheduler *scheduler;
    struct ids *run_ids;
    struct zone_set *zones;
    const char *default_zone;
    bool leases;                 /* shards are leased in SQL: servers; else this node has them all */
    bool drained;
    struct map jobs;             /* id → struct job_entry */
    struct map run_parameters;   /* run id → char *: JSON of runs with parameters of their own */
    struct map executors;        /* name → struct executor */
    struct map dispatch_cache;   /* job id → struct dispatch_info, newest first in dispatch_lru */
    struct list dispatch_lru;
    size_t dispatch_cached;
    struct ids *job_ids;
    struct list plans_waiting;   /* plans that wait for ids */
    struct list creates_waiting; /* new jobs that wait for an id */
    struct list log_tails;       /* open streams */
    struct event *timer, *mail_timer, *minute_timer;
    bool mail_reading, mail_again;
    int64_t clock_wall_before, clock_mono_before;
    uint64_t clock_jumps;
    unsigned minutes;
    void (*drain_done)(void *ctx);
    void *drain_ctx;
};

/* Time by the database's clock. */
int64_t admin_now_ms(const struct admin *admin);

/* --- engine.c: events in, actions carried out ------------------------------------------------- */

int engine_start(struct admin *admin, struct error *err);
void engine_stop(struct admin *admin);
void engine_drain(struct admin *admin, void (*done)(void *ctx), void *ctx);
/* now_ms and mono_ms are filled in here. Never called from inside a step. */
void engine_step(struct admin *admin, struct scheduler_event *event);
/* A row of the job is new or changed: it is read again and told to the scheduler. */
void engine_job_changed(struct admin *admin, int64_t job_id);
/* After a commit that concerns a run of a shard: tells the scheduler, or the owner by mail. */
void engine_run_added(struct admin *admin, int64_t run_id);
void engine_run_stopped(struct admin *admin, int64_t run_id, enum cause cause);
void engine_mail_poll(struct admin *admin);

/* --- store-engine.c: the scheduler's transactions ----------------------------------------------- */

/* One ACTION_… on its way through the store. In an arena of its own, which it owns. */
struct engine_op {
    struct admin *admin;
    struct arena *arena;
    struct scheduler_event answer;   /* filled by fn, completed by done */
    const struct action *action;     /* a copy in arena */
    void (*finish)(struct engine_op *op); /* on the loop, after the store */
    /* what fn needs and finds */
    const char *owner, *incarnation;
    int64_t now_ms, mono_ms, lease_ms;
    int64_t *run_ids;                /* PLAN: made beforehand, in order of items and runs */
    const struct job_entry **jobs;   /* PLAN: of the items; copies, for the worker thread */
    struct job_row *rows;            /* SCAN, LOAD, jobs: light rows */
    size_t row_count;
    char **run_parameters;           /* LOAD: beside runs */
    struct engine_op *waiting;       /* jobs: who goes on once these are compiled */
    struct list link;                /* plans waiting for ids */
};

/* A row of job, or of the newest job_version where the job is gone. */
struct job_row {
    int32_t id, group_id, shard, version, schedule_version;
    bool enabled, gone;
    int64_t next_fire_at, paused_at, paused_until;
    const char *definition;          /* NULL: not read, the compiled one at hand is current */
};

struct engine_op *engine_op_new(struct admin *admin, const struct action *action);
void engine_op_free(struct engine_op **op);

/* Epochs of the shards that are ours, -1 for others; all 0 where shards are not leased. */
int store_epochs(struct db_tx *tx, struct engine_op *op, int64_t epochs[SHARD_COUNT],
                 struct error *err);
int store_lease(struct db_tx *tx, void *op, struct error *err);
int store_scan(struct db_tx *tx, void *op, struct error *err);
int store_plan(struct db_tx *tx, void *op, struct error *err);
int store_load(struct db_tx *tx, void *op, struct error *err);
int store_move(struct db_tx *tx, void *op, struct error *err);
/* Reads the rows named by op->rows[i].id, definitions too. */
int store_jobs(struct db_tx *tx, void *op, struct error *err);

enum mail_kind { MAIL_JOB = 1, MAIL_RUN = 2, MAIL_STOP = 3 };
/* In the transaction of the change, where shards are leased. */
int store_mail_add(struct db_tx *tx, int32_t shard, enum mail_kind kind, int64_t ref,
                   struct error *err);

/* --- entries.c: compiled jobs at hand ------------------------------------------------------------ */

/*
 * The entry of a row, compiled anew where its definition is there. Returns NULL for a row that
 * cannot be compiled (logged; the job is left out, the others go on). A replaced entry is freed
 * once the scheduler has the new one: so this feeds EVENT_JOB itself when there was an old one.
 */
struct job_entry *entry_take(struct admin *admin, const struct job_row *row);
void entry_gone(struct admin *admin, int32_t job_id);
/* New tzdata: compiles the jobs of changed zones again and recomputes their next fire. */
void entries_zone_check(struct admin *admin);
void entries_free(struct admin *admin);

/* --- dispatch.c, executor.c, report.c ------------------------------------------------------------- */

void dispatch_start(struct admin *admin, const struct action *action);
void dispatch_ask(struct admin *admin, const struct action *action);
void dispatch_kill(struct admin *admin, const struct action *action);
void dispatch_cache_free(struct admin *admin);

void heartbeat_take(struct call *call);
const struct executor *executor_find(const struct admin *admin, const char *name);
void executors_free(struct admin *admin);

void reports_take(struct call *call);
void report_acked(struct admin *admin, uint64_t ack, enum ack_verdict verdict);

/* --- store-job.c, store-run.c: what the API reads and writes -------------------------------------- */

/* 64 parameters of an IN list; what is not needed is filled with a value that matches nothing. */
#define SQL_EIGHT "?, ?, ?, ?, ?, ?, ?, ?"
#define SQL_64 SQL_EIGHT ", " SQL_EIGHT ", " SQL_EIGHT ", " SQL_EIGHT ", " \
               SQL_EIGHT ", " SQL_EIGHT ", " SQL_EIGHT ", " SQL_EIGHT

/* The groups that the caller may see, as values of "(? = 1 OR group_id IN (SQL_64))". */
enum { VISIBLE_VALUES = 65 };
void visible_values(const struct request *request, struct db_value values[VISIBLE_VALUES]);
#define SQL_VISIBLE "(? = 1 OR group_id IN (" SQL_64 "))"

/* One job with its row; 1 found, 0 not there, -1. lock: FOR UPDATE. */
int store_job_find(struct db_tx *tx, struct arena *arena, int64_t id, bool lock, struct job *ret_job,
                   struct error *err);
int store_group_by_name(struct db_tx *tx, struct arena *arena, const char *name, int32_t *ret_id,
                        struct error *err);

/* --- the rest -------------------------------------------------------------------------------------- */

/* The job with its ETag and version in quotes. */
void job_answer(struct request *request, int status, struct job *job);

void creates_go(void *admin);

int partitions_make(struct admin *admin, struct error *err); /* at the start: blocks */
void partitions_keep(struct admin *admin);
void log_take(struct call *call);
void log_tails_free(struct admin *admin);
void group_find_call(struct call *call);
void groups_call(struct call *call);

extern const struct route job_admin_routes[];

#endif
