#ifndef BELFRY_JOB_EXECUTE_ATTEMPT_H
#define BELFRY_JOB_EXECUTE_ATTEMPT_H

#include "base/arena.h"
#include "base/list.h"
#include "job-execute/client.h"
#include "job-execute/run-log.h"
#include "scheduler/run.h"

#include <stdbool.h>
#include <stdint.h>

struct execute;
struct event;
struct peer;
struct execute_report;
struct task_type;

enum attempt_state {
    ATTEMPT_QUEUED,
    ATTEMPT_RUNNING,
    ATTEMPT_ENDED,     /* its result waits to be acknowledged */
};

/* One attempt, from the dispatch that brought it until its result is acknowledged. */
struct attempt {
    struct execute *execute;
    struct attempt *next_of_run;   /* older ones of the same run */
    struct list link;              /* in the queue of its slot, or among the running */
    struct list all;
    enum attempt_state state;
    int64_t run_id;
    int32_t number, token, job_id; /* number: which attempt of the run, from 1 */
    struct peer *peer;             /* the job-admin that sent it */
    struct execute_report *start, *result; /* until acknowledged */

    /* The rest goes when it has ended. */
    struct arena *arena;
    struct execute_run *run;
    const struct task_type *type;
    void *task;                    /* the type's own */
    struct run_log log;
    struct event *timer;           /* timeout */
    int64_t started_at, started_mono_ms;
    enum cause stop_cause;         /* asked to stop */
    bool timed_out;
};

/* How an attempt ended. Texts are copied. */
struct attempt_result {
    enum run_state outcome;
    enum cause cause;
    const char *message;           /* one sentence; cut at 2,000 bytes */
    const char *output;            /* JSON, ≤ 64 KiB */
    const char *address;
    int exit_code, signal, http_status;
    int64_t retry_after_ms, cpu_ms, memory_peak;
    bool no_retry;
};
enum { OUTPUT_MAX = 64 * 1024, MESSAGE_MAX = 2000 };

/* For task types: ends the attempt; it must not be touched afterwards. */
void attempt_done(struct attempt *attempt, const struct attempt_result *result);
/* Starts the timeout anew for types that do not keep it themselves; calls type->cancel. */
void attempt_timer(struct attempt *attempt, int64_t timeout_ms);

#endif
