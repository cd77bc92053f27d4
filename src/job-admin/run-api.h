#ifndef BELFRY_JOB_ADMIN_RUN_API_H
#define BELFRY_JOB_ADMIN_RUN_API_H

#include "job-admin/admin.h"
#include "service/audit.h"

/* A run as the API shows it. Texts and arrays live in the arena of the request. */

struct cause_view {
    char *kind;               /* cause_name */
    char *text;               /* a sentence in the reader's language */
};

struct attempt_view {
    int32_t attempt;
    char *state;
    struct cause_view cause;
    enum cause cause_id;
    char *message, *executor;
    int64_t dispatched_at, started_at, ended_at;
    int64_t exit_code, exit_signal, http_status; /* -1, 0, 0: none */
    int64_t cpu_ms, memory_peak, log_bytes, log_dropped;
};

struct note_view {
    int64_t at;
    char *kind, *text;
};

struct run_view {
    int64_t id;
    int32_t job_id, group_id, job_version, schedule_version, attempt, token, priority;
    char *job, *group, *fire_key, *state, *origin;
    struct cause_view cause;
    enum run_state state_id;
    enum cause cause_id, origin_id;
    int64_t fire_at, start_at, due_at, planned_at, ready_at, dispatched_at, started_at, ended_at;
    int64_t lateness_ms, duration_ms; /* -1: not yet; lateness counts from start_at */
    char *executor, *incarnation, *message, *output, *parameters, *created_by, *stop_by, *address;
    int64_t stop_at, parent_run_id;
    enum cause stop_cause;
    int64_t exit_code, exit_signal, http_status, cpu_ms, memory_peak, log_bytes, log_dropped;
    int32_t ahead;            /* live runs that go first; -1: does not apply */
    struct attempt_view *attempts;
    size_t attempt_count;
    struct note_view *notes;
    size_t note_count;
};

extern const struct json_table cause_table;
extern const struct json_table run_table;      /* with attempts and notes */
extern const struct json_table run_item_table; /* in lists */

/* Reads a row of RUN_VIEW_COLUMNS. */
void run_view_read(struct run_view *run, const struct db_result *result, struct arena *arena);
/* Fills in names and texts for people. */
void run_view_complete(struct run_view *run, enum language language, struct arena *arena);
/* The sentence of a cause, alone or about this run. */
char *cause_text(enum cause cause, enum language language, struct arena *arena);
char *cause_sentence(const struct run_view *run, enum cause cause, enum language language,
                     struct arena *arena);

/* 1 found, 0 not there, -1. attempts and notes too. */
int store_run_find(struct db_tx *tx, struct arena *arena, int64_t id, struct run_view *ret_run,
                   struct error *err);
/* The run of a job's scheduled fire at exactly this time, or any run with this fire_at. */
int store_run_at(struct db_tx *tx, struct arena *arena, int64_t job_id, int64_t fire_at,
                 struct run_view *ret_run, struct error *err);

struct run_list_op {
    struct admin *admin;
    struct request *request;
    struct arena *arena;
    int64_t job_id;           /* 0: all */
    const char *group;
    int64_t state;            /* 0: all */
    int64_t from, to, limit;
    bool after;               /* with a cursor */
    int64_t after_fire_at, after_id;
    struct run_view *runs;
    size_t count;
};
int store_run_list(struct db_tx *tx, void *op, struct error *err);

struct run_add_op {
    struct admin *admin;
    struct request *request;
    struct arena *arena;
    int64_t job_id;
    int64_t source_id;        /* rerun: of this run; 0: a trigger */
    const char *parameters;   /* JSON or NULL */
    const char *request_id;
    int64_t now_ms, run_id;
    bool existed, missing;
    struct run_view run;
};
int store_run_trigger(struct db_tx *tx, void *op, struct error *err);
int store_run_rerun(struct db_tx *tx, void *op, struct error *err);

struct run_stop_op {
    struct admin *admin;
    struct request *request;
    struct arena *arena;
    int64_t run_id, now_ms;
    const char *reason;
    struct run_view run;
    bool missing;
};
int store_run_stop(struct db_tx *tx, void *op, struct error *err);


#endif
