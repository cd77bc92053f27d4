#include "job-admin/job.h"

/* What a job looks like as JSON: the one table for requests, answers and storage. */

static const char *const dialect_names[] = { "auto", "unix", "quartz", "spring", NULL };
static const char *const dst_names[] = { "once", "skip", "both", NULL };
static const char *const misfire_names[] = { "once", "all", "skip", NULL };
static const char *const overlap_names[] = { "skip", "queue", "replace", "parallel", NULL };
static const char *const promise_names[] = { "at_least_once", "at_most_once", NULL };
static const char *const route_names[] = { "least_loaded", "round_robin", "pinned", NULL };

enum { TEXT_LINE = JSON_NOT_BLANK | JSON_ONE_LINE };
#define DAY_MS INT64_C(86400000)

static const struct json_member cron_members[] = {
    { .name = "expression", .type = JSON_TEXT, .offset = offsetof(struct job_cron, expression),
      .flags = JSON_REQUIRED | JSON_NOT_BLANK, .max = CRON_TEXT_MAX,
      .about = "cron expression of the dialect" },
    { .name = "dialect", .type = JSON_ENUM, .offset = offsetof(struct job_cron, dialect),
      .names = dialect_names, .about = "how the expression is read; auto: by its fields" },
    { .name = "zone", .type = JSON_TEXT, .offset = offsetof(struct job_cron, zone),
      .flags = TEXT_LINE, .max = 64, .about = "IANA time zone; default schedule.zone" },
    { .name = "dst", .type = JSON_ENUM, .offset = offsetof(struct job_cron, dst),
      .names = dst_names, .about = "what a clock change does to a fire" },
    { 0 },
};
static const struct json_table cron_table = { "JobCron", sizeof(struct job_cron), cron_members };

static const struct json_member every_members[] = {
    { .name = "interval_ms", .type = JSON_INT, .offset = offsetof(struct job_every, interval_ms),
      .flags = JSON_REQUIRED, .min = SCHEDULE_EVERY_MIN_MS, .max = SCHEDULE_EVERY_MAX_MS,
      .about = "milliseconds from fire to fire" },
    { .name = "start", .type = JSON_TIME, .offset = offsetof(struct job_every, start),
      .flags = JSON_OMIT_EMPTY | JSON_NULL_OK,
      .about = "a fire stands here; default: the moment the job was created" },
    { 0 },
};
static const struct json_table every_table = { "JobEvery", sizeof(struct job_every),
                                               every_members };

static const struct json_member delay_members[] = {
    { .name = "delay_ms", .type = JSON_INT, .offset = offsetof(struct job_delay, delay_ms),
      .flags = JSON_REQUIRED, .min = SCHEDULE_EVERY_MIN_MS, .max = SCHEDULE_EVERY_MAX_MS,
      .about = "milliseconds from the end of a run to the next fire" },
    { 0 },
};
static const struct json_table delay_table = { "JobDelay", sizeof(struct job_delay),
                                               delay_members };

static const struct json_member at_members[] = {
    { .name = "times", .type = JSON_ARRAY, .offset = offsetof(struct job_at, times),
      .count_offset = offsetof(struct job_at, time_count), .element = JSON_TEXT,
      .flags = JSON_REQUIRED, .min = 1, .max = SCHEDULE_AT_MAX,
      .about = "RFC 3339 times with offset" },
    { 0 },
};
static const struct json_table at_table = { "JobAt", sizeof(struct job_at), at_members };

static const struct json_member manual_members[] = { { 0 } };
static const struct json_table manual_table = { "JobManual", sizeof(struct job_manual),
                                                manual_members };

static const struct json_member schedule_members[] = {
    { .name = "cron", .type = JSON_OBJECT, .offset = offsetof(struct job_schedule, cron),
      .flags = JSON_OMIT_EMPTY, .sub = &cron_table },
    { .name = "every", .type = JSON_OBJECT, .offset = offsetof(struct job_schedule, every),
      .flags = JSON_OMIT_EMPTY, .sub = &every_table },
    { .name = "delay", .type = JSON_OBJECT, .offset = offsetof(struct job_schedule, delay),
      .flags = JSON_OMIT_EMPTY, .sub = &delay_table },
    { .name = "at", .type = JSON_OBJECT, .offset = offsetof(struct job_schedule, at),
      .flags = JSON_OMIT_EMPTY, .sub = &at_table },
    { .name = "manual", .type = JSON_OBJECT, .offset = offsetof(struct job_schedule, manual),
      .flags = JSON_OMIT_EMPTY, .sub = &manual_table },
    { .name = "from", .type = JSON_TIME, .offset = offsetof(struct job_schedule, from),
      .flags = JSON_OMIT_EMPTY | JSON_NULL_OK, .about = "no fire before" },
    { .name = "until", .type = JSON_TIME, .offset = offsetof(struct job_schedule, until),
      .flags = JSON_OMIT_EMPTY | JSON_NULL_OK, .about = "no fire after" },
    { 0 },
};
static const struct json_table schedule_table = { "JobSchedule", sizeof(struct job_schedule),
                                                  schedule_members };

static const struct json_member task_members[] = {
    { .name = "http", .type = JSON_ANY, .offset = offsetof(struct job_task, http),
      .flags = JSON_OMIT_EMPTY, .max = 256 * 1024, .about = "an HTTP call" },
    { .name = "script", .type = JSON_ANY, .offset = offsetof(struct job_task, script),
      .flags = JSON_OMIT_EMPTY, .max = 1024 * 1024, .about = "a script" },
    { 0 },
};
static const struct json_table task_table = { "JobTask", sizeof(struct job_task), task_members };

static const struct json_member misfire_members[] = {
    { .name = "policy", .type = JSON_ENUM, .offset = offsetof(struct job_misfire, policy),
      .names = misfire_names, .about = "what becomes of fires that are too late" },
    { .name = "limit", .type = JSON_INT, .offset = offsetof(struct job_misfire, limit), .min = 1,
      .max = 10000, .about = "with all: so many of the newest" },
    { .name = "threshold_ms", .type = JSON_INT,
      .offset = offsetof(struct job_misfire, threshold_ms), .min = 1000, .max = 30 * DAY_MS,
      .about = "later than this is too late" },
    { 0 },
};
static const struct json_table misfire_table = { "JobMisfire", sizeof(struct job_misfire),
                                                 misfire_members };

static const struct json_member overlap_members[] = {
    { .name = "policy", .type = JSON_ENUM, .offset = offsetof(struct job_overlap, policy),
      .names = overlap_names, .about = "what a fire does while a run of the job is active" },
    { .name = "limit", .type = JSON_INT, .offset = offsetof(struct job_overlap, limit), .min = 1,
      .max = 10000, .about = "queue: waiting runs; parallel: active runs" },
    { 0 },
};
static const struct json_table overlap_table = { "JobOverlap", sizeof(struct job_overlap),
                                                 overlap_members };

static const struct json_member retry_members[] = {
    { .name = "max", .type = JSON_INT, .offset = offsetof(struct job_retry, max), .min = 0,
      .max = 100, .about = "further attempts after a failure" },
    { .name = "first_ms", .type = JSON_INT, .offset = offsetof(struct job_retry, first_ms),
      .min = 100, .max = DAY_MS, .about = "first backoff; it doubles" },
    { .name = "cap_ms", .type = JSON_INT, .offset = offsetof(struct job_retry, cap_ms),
      .min = 100, .max = 7 * DAY_MS, .about = "largest backoff" },
    { .name = "timeouts", .type = JSON_BOOL, .offset = offsetof(struct job_retry, timeouts),
      .about = "a timed-out attempt may be tried again" },
    { .name = "lost_max", .type = JSON_INT, .offset = offsetof(struct job_retry, lost_max),
      .min = 0, .max = 100, .about = "further attempts after the executor was lost" },
    { 0 },
};
static const struct json_table retry_table = { "JobRetry", sizeof(struct job_retry),
                                               retry_members };

static const struct json_member route_members[] = {
    { .name = "policy", .type = JSON_ENUM, .offset = offsetof(struct job_route, policy),
      .names = route_names, .about = "which executor gets a run" },
    { .name = "executor", .type = JSON_TEXT, .offset = offsetof(struct job_route, executor),
      .flags = TEXT_LINE | JSON_OMIT_EMPTY | JSON_NULL_OK, .max = EXECUTOR_NAME_MAX - 1,
      .about = "with pinned: its node name" },
    { 0 },
};
static const struct json_table route_table = { "JobRoute", sizeof(struct job_route),
                                               route_members };

static const struct json_member job_members[] = {
    { .name = "id", .type = JSON_INT32, .offset = offsetof(struct job, id),
      .flags = JSON_OUT_ONLY },
    { .name = "version", .type = JSON_INT32, .offset = offsetof(struct job, version),
      .flags = JSON_OUT_ONLY, .about = "grows with every change; the ETag" },
    { .name = "schedule_version", .type = JSON_INT32,
      .offset = offsetof(struct job, schedule_version), .flags = JSON_OUT_ONLY,
      .about = "grows when the fires may be others" },
    { .name = "group", .type = JSON_TEXT, .offset = offsetof(struct job, group),
      .flags = TEXT_LINE, .max = 64, .about = "job group; default \"default\"" },
    { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct job, name),
      .flags = JSON_REQUIRED | TEXT_LINE, .max = 128, .about = "unique in its group, without /" },
    { .name = "description", .type = JSON_TEXT, .offset = offsetof(struct job, description),
      .flags = JSON_NULL_OK, .max = 2000 },
    { .name = "owner", .type = JSON_TEXT, .offset = offsetof(struct job, owner),
      .flags = JSON_ONE_LINE | JSON_NULL_OK, .max = 128, .about = "person or team" },
    { .name = "tags", .type = JSON_ARRAY, .offset = offsetof(struct job, tags),
      .count_offset = offsetof(struct job, tag_count), .element = JSON_TEXT, .max = 20 },
    { .name = "enabled", .type = JSON_BOOL, .offset = offsetof(struct job, enabled) },
    { .name = "schedule", .type = JSON_STRUCT, .offset = offsetof(struct job, schedule),
      .flags = JSON_REQUIRED, .sub = &schedule_table },
    { .name = "schedule_text", .type = JSON_TEXT, .offset = offsetof(struct job, schedule_text),
      .flags = JSON_OUT_ONLY, .about = "the schedule in words, in the reader's language" },
    { .name = "task", .type = JSON_STRUCT, .offset = offsetof(struct job, task),
      .flags = JSON_REQUIRED, .sub = &task_table },
    { .name = "parameters", .type = JSON_MAP, .offset = offsetof(struct job, parameters),
      .count_offset = offsetof(struct job, parameter_count), .max = 100,
      .about = "values for ${name} in the task" },
    { .name = "misfire", .type = JSON_STRUCT, .offset = offsetof(struct job, misfire),
      .sub = &misfire_table },
    { .name = "overlap", .type = JSON_STRUCT, .offset = offsetof(struct job, overlap),
      .sub = &overlap_table },
    { .name = "retry", .type = JSON_STRUCT, .offset = offsetof(struct job, retry),
      .sub = &retry_table },
    { .name = "route", .type = JSON_STRUCT, .offset = offsetof(struct job, route),
      .sub = &route_table },
    { .name = "timeout_ms", .type = JSON_INT, .offset = offsetof(struct job, timeout_ms),
      .min = 0, .max = 30 * DAY_MS, .about = "of one attempt, from its start; 0: none" },
    { .name = "start_deadline_ms", .type = JSON_INT,
      .offset = offsetof(struct job, start_deadline_ms), .min = 0, .max = 30 * DAY_MS,
      .about = "a run without a place for so long is shed; 0: it waits" },
    { .name = "jitter_ms", .type = JSON_INT, .offset = offsetof(struct job, jitter_ms), .min = 0,
      .max = 60 * 60 * 1000,
      .about = "fires start up to so much later, each by its own hash; the fire's time stays" },
    { .name = "promise", .type = JSON_ENUM, .offset = offsetof(struct job, promise),
      .names = promise_names, .about = "what becomes of a run whose executor was lost" },
    { .name = "priority", .type = JSON_INT32, .offset = offsetof(struct job, priority),
      .min = -100, .max = 100, .about = "larger goes first" },
    { .name = "log_max", .type = JSON_INT, .offset = offsetof(struct job, log_max),
      .min = 0, .max = 1024 * 1024 * 1024, .about = "bytes of log kept of an attempt" },
    { .name = "next_fire_at", .type = JSON_TIME, .offset = offsetof(struct job, next_fire_at),
      .flags = JSON_OUT_ONLY },
    { .name = "paused_at", .type = JSON_TIME, .offset = offsetof(struct job, paused_at),
      .flags = JSON_OUT_ONLY },
    { .name = "paused_until", .type = JSON_TIME, .offset = offsetof(struct job, paused_until),
      .flags = JSON_OUT_ONLY },
    { .name = "created_at", .type = JSON_TIME, .offset = offsetof(struct job, created_at),
      .flags = JSON_OUT_ONLY },
    { .name = "updated_at", .type = JSON_TIME, .offset = offsetof(struct job, updated_at),
      .flags = JSON_OUT_ONLY },
    { .name = "created_by", .type = JSON_TEXT, .offset = offsetof(struct job, created_by),
      .flags = JSON_OUT_ONLY },
    { 0 },
};
const struct json_table job_table = { "Job", sizeof(struct job), job_members };
