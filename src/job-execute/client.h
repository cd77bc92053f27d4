#ifndef BELFRY_JOB_EXECUTE_CLIENT_H
#define BELFRY_JOB_EXECUTE_CLIENT_H

#include "scheduler/scheduler.h"
#include "service/call.h"

/*
 * How job-admin talks to job-execute: runs are dispatched in batches, asked after, stopped. The
 * other direction (heartbeats, reports, log chunks) is job-admin/client.h.
 */
struct node;

/* --- dispatch --------------------------------------------------------------------------------- */

struct execute_run {
    int64_t run_id;
    int32_t attempt, token;
    int32_t job_id, job_version;
    char *job;                    /* "group/name" */
    int64_t fire_at;
    char *zone;                   /* IANA zone of the job, for ${fire_date} and the like */
    char *task_type;              /* "http", "script" */
    char *task;                   /* definition, JSON as task_check gave it */
    struct json_pair *parameters; /* of the job, overlaid by those of the trigger */
    size_t parameter_count;
    int64_t timeout_ms;           /* counts from the start of the attempt; 0: none */
    bool at_most_once;
    int64_t log_max;              /* bytes of log kept for the attempt; more is dropped and counted */
};

struct execute_dispatch {
    char *incarnation;            /* meant for: another one answers ERR_CONFLICT and takes nothing */
    char *admin, *admin_incarnation; /* who sends */
    char *admin_url;              /* where reports go first; "local" in one process */
    struct execute_run *runs;
    size_t run_count;
};

struct execute_verdict {
    int64_t run_id;
    int32_t attempt, token;
    int32_t verdict;              /* enum dispatch_verdict */
};

struct execute_dispatched {
    char *executor, *incarnation;
    struct execute_verdict *verdicts;
    size_t verdict_count;
    int32_t slots_free;
};

extern const struct call_type execute_dispatch_call;

/* --- ask: seen? Those not seen are recorded as refused before the answer leaves. -------------- */

struct execute_ask_run {
    int64_t run_id;
    int32_t attempt, token;
    bool seen;                    /* in the answer */
};
struct execute_ask {
    char *incarnation;            /* asked for; another one answers ERR_CONFLICT */
    struct execute_ask_run *runs;
    size_t run_count;
};
struct execute_asked {
    char *executor, *incarnation;
    struct execute_ask_run *runs;
    size_t run_count;
};
extern const struct call_type execute_ask_call;

/* --- stop: the run's result (CANCELLED, or what it was before) tells that it has ended -------- */

struct execute_stop {
    int64_t run_id;
    int32_t attempt, token;
    int32_t cause;                /* enum cause: CAUSE_STOPPED, CAUSE_REPLACED, CAUSE_DELETED */
};
struct execute_stopped {
    bool known;                   /* false: not running here */
};
extern const struct call_type execute_stop_call;

/* --- task definitions: checked when a job is saved, without a call ---------------------------- */

/*
 * Checks a task of a job: type is "http" or "script", definition its JSON object. Unknown ${…}
 * variables are errors: known are fire_time, fire_date, scheduled names (docs/tasks.md) and the
 * job's parameter names. ret_definition: the definition with defaults filled in, compact JSON.
 * Errors: ERR_INVALID with the member's path inside the definition ("url", "headers[2].name").
 */
int task_check(const char *type, struct str definition, const struct json_pair *parameters,
               size_t parameter_count, struct arena *arena, char **ret_definition,
               struct error *err);
/*
 * Which interpreters scripts may name: "name=/path, …" as in execute.interpreters; NULL keeps the
 * default (sh, bash, python3, node). Once, at the start of job-admin and job-execute alike. On the
 * loop's thread, like task_check. Errors: ERR_INVALID.
 */
int task_interpreters_set(const char *list, struct error *err);
/* Names of the task types, NULL-terminated. */
extern const char *const task_type_names[];

#endif
