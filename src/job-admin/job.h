#ifndef BELFRY_JOB_ADMIN_JOB_H
#define BELFRY_JOB_ADMIN_JOB_H

#include "base/arena.h"
#include "json/json.h"
#include "schedule/schedule.h"
#include "scheduler/scheduler.h"

/*
 * A job as the API takes and shows it, and as job_version keeps it (JSON by job_table). What
 * belongs to the row rather than to the definition stands in struct job.
 */
struct job_cron {
    char *expression;
    int32_t dialect;       /* enum cron_dialect; stored as resolved, never auto */
    char *zone;
    int32_t dst;           /* enum dst_rule */
};
struct job_every {
    int64_t interval_ms;
    int64_t start;         /* 0: when the job was created */
};
struct job_delay {
    int64_t delay_ms;
};
struct job_at {
    char **times;          /* RFC 3339 */
    size_t time_count;
};
struct job_manual {
    char unused;
};

struct job_schedule {
    struct job_cron *cron;
    struct job_every *every;
    struct job_delay *delay;
    struct job_at *at;
    struct job_manual *manual;
    int64_t from, until;   /* 0: no limit */
};

struct job_task {
    char *http, *script;   /* JSON of the definition */
};

struct job_misfire {
    int32_t policy;        /* enum misfire_policy */
    int64_t limit, threshold_ms;
};
struct job_overlap {
    int32_t policy;        /* enum overlap_policy */
    int64_t limit;
};
struct job_retry {
    int64_t max, first_ms, cap_ms, lost_max;
    bool timeouts;
};
struct job_route {
    int32_t policy;        /* enum route_policy */
    char *executor;
};

struct job {
    /* of the row */
    int32_t id, group_id, version, schedule_version;
    int64_t next_fire_at, paused_at, paused_until, disabled_at, created_at, updated_at;
    char *created_by;
    char *schedule_text;   /* made for answers */
    /* the definition */
    char *group, *name, *description, *owner;
    char **tags;
    size_t tag_count;
    bool enabled;
    struct job_schedule schedule;
    struct job_task task;
    struct json_pair *parameters;
    size_t parameter_count;
    struct job_misfire misfire;
    struct job_overlap overlap;
    struct job_retry retry;
    struct job_route route;
    int64_t timeout_ms, start_deadline_ms, jitter_ms, log_max;
    int32_t promise, priority;
};

extern const struct json_table job_table;

/* The defaults of absent members. */
void job_defaults(struct job *job);
/*
 * Checks what the table cannot: exactly one schedule and one task, names, cron, zone, times, the
 * task's definition with its variables; fills in what is stored (resolved dialect, canonical task,
 * zone). seed is the job's id. Errors: ERR_INVALID with the member's path.
 */
struct zone_set;
int job_check(struct job *job, struct zone_set *zones, const char *default_zone, int64_t now_ms,
              struct arena *arena, struct error *err);
const char *job_zone(const struct job *job); /* of the schedule; "UTC" where it has none */
const char *job_task_type(const struct job *job);
const char *job_task_definition(const struct job *job);
/* true when a's fires may differ from b's: schedule_version grows. */
bool job_schedule_differs(const struct job *a, const struct job *b, struct arena *arena);
/* The definition as JSON (without the row's members), in arena. */
char *job_definition(const struct job *job, struct arena *arena);
int job_definition_read(struct job *job, const char *definition, struct arena *arena,
                        struct error *err);

/*
 * A job ready to be scheduled: compiled schedule and policies in one piece of heap memory.
 */
struct job_entry {
    struct scheduler_job job; /* first: the scheduler hands back pointers to it */
    int32_t group_id;
    struct schedule schedule;
    struct cron cron;
    struct zone *zone;
    int64_t *at_ms;
};
/* Compiles; zone is looked up in zones (loop thread only). Errors: ERR_INVALID: a bad row. */
int job_entry_new(const struct job *job, struct zone_set *zones, struct job_entry **ret_entry,
                  struct error *err);
void job_entry_free(struct job_entry **entry);
/* The fire that follows after_ms under the job's schedule, with the delay rule for DELAY. */
int64_t job_entry_next(const struct job_entry *entry, int64_t after_ms);

#endif
