#include "job-admin/run-api.h"

/* A run as JSON. */

static const struct json_member cause_members[] = {
    { .name = "kind",
      .type = JSON_TEXT,
      .offset = offsetof(struct cause_view, kind),
      .about = "stable name" },
    { .name = "text",
      .type = JSON_TEXT,
      .offset = offsetof(struct cause_view, text),
      .about = "a sentence for people" },
    { 0 },
};
const struct json_table cause_table = { "Cause", sizeof(struct cause_view), cause_members };

#define FIELD_CAUSE(struct_)                                                                       \
    {                                                                                              \
        .name = "cause", .type = JSON_STRUCT, .offset = offsetof(struct struct_, cause),           \
        .sub = &cause_table                                                                        \
    }

static const struct json_member attempt_members[] = {
    JSON_FIELD(attempt_view, JSON_INT32, attempt),
    JSON_FIELD(attempt_view, JSON_TEXT, state),
    FIELD_CAUSE(attempt_view),
    JSON_FIELD(attempt_view, JSON_TEXT, message),
    JSON_FIELD(attempt_view, JSON_TEXT, executor),
    JSON_FIELD(attempt_view, JSON_TIME, dispatched_at),
    JSON_FIELD(attempt_view, JSON_TIME, started_at),
    JSON_FIELD(attempt_view, JSON_TIME, ended_at),
    JSON_FIELD(attempt_view, JSON_INT, exit_code),
    JSON_FIELD_IF(attempt_view, JSON_INT, exit_signal),
    JSON_FIELD_IF(attempt_view, JSON_INT, http_status),
    JSON_FIELD_IF(attempt_view, JSON_INT, cpu_ms),
    JSON_FIELD_IF(attempt_view, JSON_INT, memory_peak),
    JSON_FIELD(attempt_view, JSON_INT, log_bytes),
    JSON_FIELD(attempt_view, JSON_INT, log_dropped),
    { 0 },
};
static const struct json_table attempt_table = { "Attempt", sizeof(struct attempt_view),
                                                 attempt_members };

static const struct json_member note_members[] = {
    JSON_FIELD(note_view, JSON_TIME, at),
    JSON_FIELD(note_view, JSON_TEXT, kind),
    JSON_FIELD(note_view, JSON_TEXT, text),
    { 0 },
};
static const struct json_table note_table = { "RunNote", sizeof(struct note_view), note_members };

#define RUN_FIELDS                                                                                 \
    JSON_FIELD(run_view, JSON_INT, id), JSON_FIELD(run_view, JSON_INT32, job_id),                  \
        JSON_FIELD(run_view, JSON_TEXT, job), JSON_FIELD(run_view, JSON_TEXT, group),              \
        JSON_FIELD(run_view, JSON_TIME, fire_at), JSON_FIELD(run_view, JSON_TIME, start_at),       \
        JSON_FIELD(run_view, JSON_TEXT, fire_key), JSON_FIELD(run_view, JSON_TEXT, state),         \
        JSON_FIELD(run_view, JSON_TEXT, origin), FIELD_CAUSE(run_view),                            \
        JSON_FIELD(run_view, JSON_TEXT, message), JSON_FIELD(run_view, JSON_INT32, attempt),       \
        JSON_FIELD(run_view, JSON_INT32, job_version), JSON_FIELD(run_view, JSON_INT32, priority), \
        JSON_FIELD(run_view, JSON_TIME, planned_at), JSON_FIELD(run_view, JSON_TIME, ready_at),    \
        JSON_FIELD(run_view, JSON_TIME, dispatched_at),                                            \
        JSON_FIELD(run_view, JSON_TIME, started_at), JSON_FIELD(run_view, JSON_TIME, ended_at),    \
        JSON_FIELD(run_view, JSON_TIME, due_at), JSON_FIELD(run_view, JSON_INT, lateness_ms),      \
        JSON_FIELD(run_view, JSON_INT, duration_ms), JSON_FIELD(run_view, JSON_TEXT, executor),    \
        JSON_FIELD(run_view, JSON_INT, exit_code), JSON_FIELD_IF(run_view, JSON_INT, exit_signal), \
        JSON_FIELD_IF(run_view, JSON_INT, http_status),                                            \
        JSON_FIELD_IF(run_view, JSON_INT, parent_run_id),                                          \
        JSON_FIELD_IF(run_view, JSON_TEXT, created_by)

static const struct json_member run_item_members[] = { RUN_FIELDS, { 0 } };
const struct json_table run_item_table = { "RunItem", sizeof(struct run_view), run_item_members };

static const struct json_member run_members[] = {
    RUN_FIELDS,
    JSON_FIELD(run_view, JSON_INT32, token),
    JSON_FIELD(run_view, JSON_INT32, schedule_version),
    JSON_FIELD_IF(run_view, JSON_TEXT, incarnation),
    JSON_FIELD_IF(run_view, JSON_TEXT, address),
    JSON_FIELD(run_view, JSON_ANY, output),
    JSON_FIELD(run_view, JSON_ANY, parameters),
    JSON_FIELD_IF(run_view, JSON_TEXT, stop_by),
    JSON_FIELD_IF(run_view, JSON_TIME, stop_at),
    JSON_FIELD_IF(run_view, JSON_INT, cpu_ms),
    JSON_FIELD_IF(run_view, JSON_INT, memory_peak),
    JSON_FIELD(run_view, JSON_INT, log_bytes),
    JSON_FIELD(run_view, JSON_INT, log_dropped),
    { .name = "ahead",
      .type = JSON_INT32,
      .offset = offsetof(struct run_view, ahead),
      .about = "live runs that go first; -1 where it does not apply" },
    { .name = "attempts",
      .type = JSON_ARRAY,
      .offset = offsetof(struct run_view, attempts),
      .count_offset = offsetof(struct run_view, attempt_count),
      .sub = &attempt_table },
    { .name = "notes",
      .type = JSON_ARRAY,
      .offset = offsetof(struct run_view, notes),
      .count_offset = offsetof(struct run_view, note_count),
      .sub = &note_table },
    { 0 },
};
const struct json_table run_table = { "Run", sizeof(struct run_view), run_members };

static char *name_of(struct arena *arena, const char *name)
{
    return arena_strdup(arena, name ? name : "unknown");
}

void run_view_complete(struct run_view *run, enum language language, struct arena *arena)
{
    run->state = name_of(arena, run_state_name(run->state_id));
    run->origin = name_of(arena, cause_name(run->origin_id));
    /* a run under way has no end to explain yet: it says why it is there, or why once more */
    enum cause cause = run->cause_id ? run->cause_id : run->origin_id;
    run->cause.kind = name_of(arena, cause_name(cause));
    run->cause.text = cause_sentence(run, cause, language, arena);
    if (!run->start_at)
        run->start_at = run->fire_at;
    run->lateness_ms = run->started_at ? run->started_at - run->start_at : -1;
    run->duration_ms = run->started_at && run->ended_at ? run->ended_at - run->started_at : -1;
    for (size_t i = 0; i < run->attempt_count; i++) {
        struct attempt_view *attempt = &run->attempts[i];
        if (!attempt->state) { /* the last attempt is the run's own row */
            attempt->state = run->state;
            attempt->cause = run->cause;
            continue;
        }
        attempt->cause.kind = name_of(arena, cause_name(attempt->cause_id));
        attempt->cause.text = cause_text(attempt->cause_id, language, arena);
    }
}
