#ifndef BELFRY_JOB_ADMIN_CLIENT_H
#define BELFRY_JOB_ADMIN_CLIENT_H

#include "scheduler/scheduler.h"
#include "service/call.h"

/*
 * What job-execute tells job-admin: that it lives and what it has (heartbeat), starts and results
 * (report), and log chunks; and what auth asks: groups.
 */
struct node;

/* --- heartbeat: every second and at once when slots come free after none were; to each admin --- */

struct admin_running {
    int64_t run_id;
    int32_t attempt, token;
};

struct admin_heartbeat {
    char *executor, *incarnation; /* node.name and this start's random id */
    char *url;                    /* of its internal listener; "local" in one process */
    char *address;                /* for people */
    int32_t slots_total, slots_free;
    bool draining;
    char **tags;
    size_t tag_count;
    struct admin_running *running; /* taken and not finished, or its result not acknowledged */
    size_t running_count;
    int64_t clock_ms;             /* executor's UTC when it was built */
    int64_t started_at;           /* its process, by its clock */
};
struct admin_heartbeat_answer {
    char *admin, *incarnation;
};
extern const struct call_type admin_heartbeat_call;

/* --- report ------------------------------------------------------------------------------------ */

struct admin_report_item {
    int32_t kind;                 /* enum report_kind */
    int64_t run_id;
    int32_t attempt, token, job_id;
    int64_t started_at, ended_at; /* executor's clock */
    int32_t outcome;              /* enum run_state, RESULT only */
    int32_t cause;                /* enum cause */
    char *message;                /* one sentence for people, ≤ 2,000 bytes, or NULL */
    char *output;                 /* JSON ≤ 64 KiB, or NULL */
    int32_t exit_code;            /* script; -1: none */
    int32_t signal;               /* script; 0: none */
    int32_t http_status;          /* http; 0: none */
    int64_t retry_after_ms;
    bool no_retry;
    int64_t cpu_ms, memory_peak;  /* script: user + system time; bytes */
    int64_t log_bytes, log_dropped;
    char *address;                /* http: dialled */
};

struct admin_report {
    char *executor, *incarnation;
    int64_t clock_ms;             /* executor's UTC at sending: the admin corrects by it */
    struct admin_report_item *items;
    size_t item_count;
};

struct admin_report_verdict {
    int32_t verdict;              /* enum ack_verdict, in the order of the items */
};
struct admin_reported {
    struct admin_report_verdict *verdicts;
    size_t verdict_count;
};
/* Answered when the changes are durable. */
extern const struct call_type admin_report_call;

/* --- log chunks: lines of one attempt in order ------------------------------------------------- */

struct admin_log_chunk {
    int64_t run_id;
    int32_t attempt;
    int32_t sequence;             /* from 0, without holes */
    int64_t first_at, last_at;    /* of its lines */
    int64_t line_count;
    int64_t first_line;           /* number of its first line, from 1 */
    int64_t dropped;              /* bytes dropped so far in this attempt */
    bool last;                    /* nothing follows */
    char *text;                   /* lines "TIME_MS<space>o|e<space>text\n", valid UTF-8, ≤ 64 KiB */
};
struct admin_log {
    char *executor, *incarnation;
    struct admin_log_chunk *chunks;
    size_t chunk_count;
};
struct admin_logged {
    int64_t stored;               /* chunks stored (again is fine) */
};
extern const struct call_type admin_log_call;

/* --- groups, for auth --------------------------------------------------------------------------- */

struct admin_group_find {
    char *name;                   /* or NULL: by id */
    int32_t id;
};
struct admin_group_found {
    int32_t id;                   /* 0: there is none */
    char *name;
};
extern const struct call_type admin_group_find_call;
typedef void job_admin_group_done(void *ctx, int32_t id, const char *name, const struct error *err);
/* By name; done later on the loop. id 0 without err: there is none. */
void job_admin_group_find(struct node *node, const char *name, job_admin_group_done *done, void *ctx);
/* Names of all groups: for lists of grants. */
struct admin_groups {
    struct admin_group_found *groups;
    size_t group_count;
};
extern const struct call_type admin_groups_call;

#endif
