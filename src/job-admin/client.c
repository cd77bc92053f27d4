#include "job-admin/client.h"

#include "base/memory.h"

#include <stdlib.h>

enum { ITEMS_MAX = 100000 };

static const struct json_member running_members[] = {
    JSON_FIELD(admin_running, JSON_INT, run_id),
    JSON_FIELD(admin_running, JSON_INT32, attempt),
    JSON_FIELD(admin_running, JSON_INT32, token),
    { 0 },
};
static const struct json_table running_table = { "Running", sizeof(struct admin_running),
                                                 running_members };

static const struct json_member heartbeat_members[] = {
    JSON_FIELD(admin_heartbeat, JSON_TEXT, executor),
    JSON_FIELD(admin_heartbeat, JSON_TEXT, incarnation),
    JSON_FIELD(admin_heartbeat, JSON_TEXT, url),
    JSON_FIELD(admin_heartbeat, JSON_TEXT, address),
    JSON_FIELD(admin_heartbeat, JSON_INT32, slots_total),
    JSON_FIELD(admin_heartbeat, JSON_INT32, slots_free),
    JSON_FIELD(admin_heartbeat, JSON_BOOL, draining),
    { .name = "tags", .type = JSON_ARRAY, .offset = offsetof(struct admin_heartbeat, tags),
      .count_offset = offsetof(struct admin_heartbeat, tag_count), .element = JSON_TEXT },
    JSON_FIELD_ARRAY(admin_heartbeat, running, running_count, running_table, ITEMS_MAX),
    JSON_FIELD(admin_heartbeat, JSON_INT, clock_ms),
    JSON_FIELD(admin_heartbeat, JSON_INT, started_at),
    { 0 },
};
static const struct json_table heartbeat_table = { "Heartbeat", sizeof(struct admin_heartbeat),
                                                   heartbeat_members };

static const struct json_member heartbeat_answer_members[] = {
    JSON_FIELD(admin_heartbeat_answer, JSON_TEXT, admin),
    JSON_FIELD(admin_heartbeat_answer, JSON_TEXT, incarnation),
    { 0 },
};
static const struct json_table heartbeat_answer_table = {
    "HeartbeatAnswer", sizeof(struct admin_heartbeat_answer), heartbeat_answer_members
};

const struct call_type admin_heartbeat_call = {
    .service = "job-admin", .name = "heartbeat", .timeout_ms = 3000,
    .request = &heartbeat_table, .answer = &heartbeat_answer_table,
};

static const struct json_member report_item_members[] = {
    JSON_FIELD(admin_report_item, JSON_INT32, kind),
    JSON_FIELD(admin_report_item, JSON_INT, run_id),
    JSON_FIELD(admin_report_item, JSON_INT32, attempt),
    JSON_FIELD(admin_report_item, JSON_INT32, token),
    JSON_FIELD(admin_report_item, JSON_INT32, job_id),
    JSON_FIELD(admin_report_item, JSON_INT, started_at),
    JSON_FIELD(admin_report_item, JSON_INT, ended_at),
    JSON_FIELD(admin_report_item, JSON_INT32, outcome),
    JSON_FIELD(admin_report_item, JSON_INT32, cause),
    JSON_FIELD(admin_report_item, JSON_TEXT, message),
    JSON_FIELD_MAX(admin_report_item, JSON_TEXT, output, 128 * 1024),
    JSON_FIELD(admin_report_item, JSON_INT32, exit_code),
    JSON_FIELD(admin_report_item, JSON_INT32, signal),
    JSON_FIELD(admin_report_item, JSON_INT32, http_status),
    JSON_FIELD(admin_report_item, JSON_INT, retry_after_ms),
    JSON_FIELD(admin_report_item, JSON_BOOL, no_retry),
    JSON_FIELD(admin_report_item, JSON_INT, cpu_ms),
    JSON_FIELD(admin_report_item, JSON_INT, memory_peak),
    JSON_FIELD(admin_report_item, JSON_INT, log_bytes),
    JSON_FIELD(admin_report_item, JSON_INT, log_dropped),
    JSON_FIELD(admin_report_item, JSON_TEXT, address),
    { 0 },
};
static const struct json_table report_item_table = {
    "ReportItem", sizeof(struct admin_report_item), report_item_members
};

static const struct json_member report_members[] = {
    JSON_FIELD(admin_report, JSON_TEXT, executor),
    JSON_FIELD(admin_report, JSON_TEXT, incarnation),
    JSON_FIELD(admin_report, JSON_INT, clock_ms),
    JSON_FIELD_ARRAY(admin_report, items, item_count, report_item_table, ITEMS_MAX),
    { 0 },
};
static const struct json_table report_table = { "Report", sizeof(struct admin_report),
                                                report_members };

static const struct json_member verdict_members[] = {
    JSON_FIELD(admin_report_verdict, JSON_INT32, verdict),
    { 0 },
};
static const struct json_table verdict_table = {
    "ReportVerdict", sizeof(struct admin_report_verdict), verdict_members
};

static const struct json_member reported_members[] = {
    JSON_FIELD_ARRAY(admin_reported, verdicts, verdict_count, verdict_table, ITEMS_MAX),
    { 0 },
};
static const struct json_table reported_table = { "Reported", sizeof(struct admin_reported),
                                                  reported_members };

const struct call_type admin_report_call = {
    .service = "job-admin", .name = "report", .timeout_ms = 15000, .size_max = 64 * 1024 * 1024,
    .request = &report_table, .answer = &reported_table,
};

static const struct json_member log_chunk_members[] = {
    JSON_FIELD(admin_log_chunk, JSON_INT, run_id),
    JSON_FIELD(admin_log_chunk, JSON_INT32, attempt),
    JSON_FIELD(admin_log_chunk, JSON_INT32, sequence),
    JSON_FIELD(admin_log_chunk, JSON_INT, first_at),
    JSON_FIELD(admin_log_chunk, JSON_INT, last_at),
    JSON_FIELD(admin_log_chunk, JSON_INT, line_count),
    JSON_FIELD(admin_log_chunk, JSON_INT, first_line),
    JSON_FIELD(admin_log_chunk, JSON_INT, dropped),
    JSON_FIELD(admin_log_chunk, JSON_BOOL, last),
    JSON_FIELD_MAX(admin_log_chunk, JSON_TEXT, text, 128 * 1024),
    { 0 },
};
static const struct json_table log_chunk_table = { "LogChunk", sizeof(struct admin_log_chunk),
                                                   log_chunk_members };

static const struct json_member log_members[] = {
    JSON_FIELD(admin_log, JSON_TEXT, executor),
    JSON_FIELD(admin_log, JSON_TEXT, incarnation),
    JSON_FIELD_ARRAY(admin_log, chunks, chunk_count, log_chunk_table, ITEMS_MAX),
    { 0 },
};
static const struct json_table log_table = { "Log", sizeof(struct admin_log), log_members };

static const struct json_member logged_members[] = {
    JSON_FIELD(admin_logged, JSON_INT, stored),
    { 0 },
};
static const struct json_table logged_table = { "Logged", sizeof(struct admin_logged),
                                                logged_members };

const struct call_type admin_log_call = {
    .service = "job-admin", .name = "log", .timeout_ms = 15000, .size_max = 64 * 1024 * 1024,
    .request = &log_table, .answer = &logged_table,
};

static const struct json_member group_find_members[] = {
    JSON_FIELD(admin_group_find, JSON_TEXT, name),
    JSON_FIELD(admin_group_find, JSON_INT32, id),
    { 0 },
};
static const struct json_table group_find_table = { "GroupFind", sizeof(struct admin_group_find),
                                                    group_find_members };

static const struct json_member group_found_members[] = {
    JSON_FIELD(admin_group_found, JSON_INT32, id),
    JSON_FIELD(admin_group_found, JSON_TEXT, name),
    { 0 },
};
static const struct json_table group_found_table = {
    "GroupFound", sizeof(struct admin_group_found), group_found_members
};

const struct call_type admin_group_find_call = {
    .service = "job-admin", .name = "group-find",
    .request = &group_find_table, .answer = &group_found_table,
};

static const struct json_member groups_members[] = {
    JSON_FIELD_ARRAY(admin_groups, groups, group_count, group_found_table, ITEMS_MAX),
    { 0 },
};
static const struct json_table groups_table = { "Groups", sizeof(struct admin_groups),
                                                groups_members };

const struct call_type admin_groups_call = {
    .service = "job-admin", .name = "groups",
    .request = &group_find_table, .answer = &groups_table,
};

struct group_question {
    struct admin_group_find find;
    job_admin_group_done *done;
    void *ctx;
};

static void group_answered(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct group_question *question = ctx;
    const struct admin_group_found *found = answer;

    (void)sent;
    question->done(question->ctx, found ? found->id : 0, found ? found->name : NULL, err);
    free(question->find.name);
    free(question);
}

void job_admin_group_find(struct node *node, const char *name, job_admin_group_done *done, void *ctx)
{
    struct group_question *question = memory_alloc(sizeof *question);

    question->find.name = memory_strdup(name);
    question->done = done;
    question->ctx = ctx;
    call_send(node, &admin_group_find_call, NULL, &question->find, group_answered, question);
}
