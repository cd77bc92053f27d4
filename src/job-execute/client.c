#include "job-execute/client.h"

#include <stddef.h>

enum { RUNS_MAX = 100000, TASK_MAX = 1024 * 1024 };

static const struct json_member run_members[] = {
    JSON_FIELD(execute_run, JSON_INT, run_id),
    JSON_FIELD(execute_run, JSON_INT32, attempt),
    JSON_FIELD(execute_run, JSON_INT32, token),
    JSON_FIELD(execute_run, JSON_INT32, job_id),
    JSON_FIELD(execute_run, JSON_INT32, job_version),
    JSON_FIELD(execute_run, JSON_TEXT, job),
    JSON_FIELD(execute_run, JSON_INT, fire_at),
    JSON_FIELD(execute_run, JSON_TEXT, zone),
    JSON_FIELD(execute_run, JSON_TEXT, task_type),
    JSON_FIELD_MAX(execute_run, JSON_ANY, task, TASK_MAX),
    { .name = "parameters", .type = JSON_MAP, .offset = offsetof(struct execute_run, parameters),
      .count_offset = offsetof(struct execute_run, parameter_count) },
    JSON_FIELD(execute_run, JSON_INT, timeout_ms),
    JSON_FIELD(execute_run, JSON_BOOL, at_most_once),
    JSON_FIELD(execute_run, JSON_INT, log_max),
    { 0 },
};
static const struct json_table run_table = { "ExecuteRun", sizeof(struct execute_run),
                                             run_members };

static const struct json_member dispatch_members[] = {
    JSON_FIELD(execute_dispatch, JSON_TEXT, incarnation),
    JSON_FIELD(execute_dispatch, JSON_TEXT, admin),
    JSON_FIELD(execute_dispatch, JSON_TEXT, admin_incarnation),
    JSON_FIELD(execute_dispatch, JSON_TEXT, admin_url),
    JSON_FIELD_ARRAY(execute_dispatch, runs, run_count, run_table, RUNS_MAX),
    { 0 },
};
static const struct json_table dispatch_table = { "Dispatch", sizeof(struct execute_dispatch),
                                                  dispatch_members };

static const struct json_member verdict_members[] = {
    JSON_FIELD(execute_verdict, JSON_INT, run_id),
    JSON_FIELD(execute_verdict, JSON_INT32, attempt),
    JSON_FIELD(execute_verdict, JSON_INT32, token),
    JSON_FIELD(execute_verdict, JSON_INT32, verdict),
    { 0 },
};
static const struct json_table verdict_table = { "DispatchVerdict",
                                                 sizeof(struct execute_verdict), verdict_members };

static const struct json_member dispatched_members[] = {
    JSON_FIELD(execute_dispatched, JSON_TEXT, executor),
    JSON_FIELD(execute_dispatched, JSON_TEXT, incarnation),
    JSON_FIELD_ARRAY(execute_dispatched, verdicts, verdict_count, verdict_table, RUNS_MAX),
    JSON_FIELD(execute_dispatched, JSON_INT32, slots_free),
    { 0 },
};
static const struct json_table dispatched_table = {
    "Dispatched", sizeof(struct execute_dispatched), dispatched_members
};

const struct call_type execute_dispatch_call = {
    .service = "job-execute", .name = "dispatch", .timeout_ms = 10000,
    .size_max = 64 * 1024 * 1024, .request = &dispatch_table, .answer = &dispatched_table,
};

static const struct json_member ask_run_members[] = {
    JSON_FIELD(execute_ask_run, JSON_INT, run_id),
    JSON_FIELD(execute_ask_run, JSON_INT32, attempt),
    JSON_FIELD(execute_ask_run, JSON_INT32, token),
    JSON_FIELD(execute_ask_run, JSON_BOOL, seen),
    { 0 },
};
static const struct json_table ask_run_table = { "AskRun", sizeof(struct execute_ask_run),
                                                 ask_run_members };

static const struct json_member ask_members[] = {
    JSON_FIELD(execute_ask, JSON_TEXT, incarnation),
    JSON_FIELD_ARRAY(execute_ask, runs, run_count, ask_run_table, RUNS_MAX),
    { 0 },
};
static const struct json_table ask_table = { "Ask", sizeof(struct execute_ask), ask_members };

static const struct json_member asked_members[] = {
    JSON_FIELD(execute_asked, JSON_TEXT, executor),
    JSON_FIELD(execute_asked, JSON_TEXT, incarnation),
    JSON_FIELD_ARRAY(execute_asked, runs, run_count, ask_run_table, RUNS_MAX),
    { 0 },
};
static const struct json_table asked_table = { "Asked", sizeof(struct execute_asked),
                                               asked_members };

const struct call_type execute_ask_call = {
    .service = "job-execute", .name = "ask", .timeout_ms = 5000,
    .request = &ask_table, .answer = &asked_table,
};

static const struct json_member stop_members[] = {
    JSON_FIELD(execute_stop, JSON_INT, run_id),
    JSON_FIELD(execute_stop, JSON_INT32, attempt),
    JSON_FIELD(execute_stop, JSON_INT32, token),
    JSON_FIELD(execute_stop, JSON_INT32, cause),
    { 0 },
};
static const struct json_table stop_table = { "Stop", sizeof(struct execute_stop), stop_members };

static const struct json_member stopped_members[] = {
    JSON_FIELD(execute_stopped, JSON_BOOL, known),
    { 0 },
};
static const struct json_table stopped_table = { "Stopped", sizeof(struct execute_stopped),
                                                 stopped_members };

const struct call_type execute_stop_call = {
    .service = "job-execute", .name = "stop", .timeout_ms = 5000,
    .request = &stop_table, .answer = &stopped_table,
};
