#include "job-execute/client.h"

#include <stddef.h>

#define MEMBER(type_, kind, member) \
    { .name = #member, .type = (kind), .offset = offsetof(struct type_, member) }
#define MEMBER_LONG(type_, kind, member, max_) \
    { .name = #member, .type = (kind), .offset = offsetof(struct type_, member), .max = (max_) }
#define MEMBER_ARRAY(type_, member, count, table, max_)                              \
    { .name = #member, .type = JSON_ARRAY, .offset = offsetof(struct type_, member), \
      .count_offset = offsetof(struct type_, count), .sub = &(table), .max = (max_) }

enum { RUNS_MAX = 100000, TASK_MAX = 1024 * 1024 };

static const struct json_member run_members[] = {
    MEMBER(execute_run, JSON_INT, run_id),
    MEMBER(execute_run, JSON_INT32, attempt),
    MEMBER(execute_run, JSON_INT32, token),
    MEMBER(execute_run, JSON_INT32, job_id),
    MEMBER(execute_run, JSON_INT32, job_version),
    MEMBER(execute_run, JSON_TEXT, job),
    MEMBER(execute_run, JSON_INT, fire_at),
    MEMBER(execute_run, JSON_TEXT, zone),
    MEMBER(execute_run, JSON_TEXT, task_type),
    MEMBER_LONG(execute_run, JSON_ANY, task, TASK_MAX),
    { .name = "parameters", .type = JSON_MAP, .offset = offsetof(struct execute_run, parameters),
      .count_offset = offsetof(struct execute_run, parameter_count) },
    MEMBER(execute_run, JSON_INT, timeout_ms),
    MEMBER(execute_run, JSON_BOOL, at_most_once),
    MEMBER(execute_run, JSON_INT, log_max),
    { 0 },
};
static const struct json_table run_table = { "ExecuteRun", sizeof(struct execute_run),
                                             run_members };

static const struct json_member dispatch_members[] = {
    MEMBER(execute_dispatch, JSON_TEXT, incarnation),
    MEMBER(execute_dispatch, JSON_TEXT, admin),
    MEMBER(execute_dispatch, JSON_TEXT, admin_incarnation),
    MEMBER(execute_dispatch, JSON_TEXT, admin_url),
    MEMBER_ARRAY(execute_dispatch, runs, run_count, run_table, RUNS_MAX),
    { 0 },
};
static const struct json_table dispatch_table = { "Dispatch", sizeof(struct execute_dispatch),
                                                  dispatch_members };

static const struct json_member verdict_members[] = {
    MEMBER(execute_verdict, JSON_INT, run_id),
    MEMBER(execute_verdict, JSON_INT32, attempt),
    MEMBER(execute_verdict, JSON_INT32, token),
    MEMBER(execute_verdict, JSON_INT32, verdict),
    { 0 },
};
static const struct json_table verdict_table = { "DispatchVerdict",
                                                 sizeof(struct execute_verdict), verdict_members };

static const struct json_member dispatched_members[] = {
    MEMBER(execute_dispatched, JSON_TEXT, executor),
    MEMBER(execute_dispatched, JSON_TEXT, incarnation),
    MEMBER_ARRAY(execute_dispatched, verdicts, verdict_count, verdict_table, RUNS_MAX),
    MEMBER(execute_dispatched, JSON_INT32, slots_free),
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
    MEMBER(execute_ask_run, JSON_INT, run_id),
    MEMBER(execute_ask_run, JSON_INT32, attempt),
    MEMBER(execute_ask_run, JSON_INT32, token),
    MEMBER(execute_ask_run, JSON_BOOL, seen),
    { 0 },
};
static const struct json_table ask_run_table = { "AskRun", sizeof(struct execute_ask_run),
                                                 ask_run_members };

static const struct json_member ask_members[] = {
    MEMBER(execute_ask, JSON_TEXT, incarnation),
    MEMBER_ARRAY(execute_ask, runs, run_count, ask_run_table, RUNS_MAX),
    { 0 },
};
static const struct json_table ask_table = { "Ask", sizeof(struct execute_ask), ask_members };

static const struct json_member asked_members[] = {
    MEMBER(execute_asked, JSON_TEXT, executor),
    MEMBER(execute_asked, JSON_TEXT, incarnation),
    MEMBER_ARRAY(execute_asked, runs, run_count, ask_run_table, RUNS_MAX),
    { 0 },
};
static const struct json_table asked_table = { "Asked", sizeof(struct execute_asked),
                                               asked_members };

const struct call_type execute_ask_call = {
    .service = "job-execute", .name = "ask", .timeout_ms = 5000,
    .request = &ask_table, .answer = &asked_table,
};

static const struct json_member stop_members[] = {
    MEMBER(execute_stop, JSON_INT, run_id),
    MEMBER(execute_stop, JSON_INT32, attempt),
    MEMBER(execute_stop, JSON_INT32, token),
    MEMBER(execute_stop, JSON_INT32, cause),
    { 0 },
};
static const struct json_table stop_table = { "Stop", sizeof(struct execute_stop), stop_members };

static const struct json_member stopped_members[] = {
    MEMBER(execute_stopped, JSON_BOOL, known),
    { 0 },
};
static const struct json_table stopped_table = { "Stopped", sizeof(struct execute_stopped),
                                                 stopped_members };

const struct call_type execute_stop_call = {
    .service = "job-execute", .name = "stop", .timeout_ms = 5000,
    .request = &stop_table, .answer = &stopped_table,
};
