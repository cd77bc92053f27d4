#include "job-admin/run-api.h"

/* A run as JSON. */

static const struct json_member cause_members[] = {
    { .name = "kind", .type = JSON_TEXT, .offset = offsetof(struct cause_view, kind),
      .about = "stable name" },
    { .name = "text", .type = JSON_TEXT, .offset = offsetof(struct cause_view, text),
      .about = "a sentence for people" },
    { 0 },
};
const struct json_table cause_table = { "Cause", sizeof(struct cause_view), cause_members };

#define FIELD(struct_, kind, member) \
    { .name = #member, .type = (kind), .offset = offsetof(struct struct_, member) }
#define FIELD_IF(struct_, kind, member)                                               \
    { .name = #member, .type = (kind), .offset = offsetof(struct struct_, member),    \
      .flags = JSON_OMIT_EMPTY }
#define FIELD_CAUSE(struct_)                                                             \
    { .name = "cause", .type = JSON_STRUCT, .offset = offsetof(struct struct_, cause),   \
      .sub = &cause_table }

static const struct json_member attempt_members[] = {
    FIELD(attempt_view, JSON_INT32, attempt),
    FIELD(attempt_view, JSON_TEXT, state),
    FIELD_CAUSE(attempt_view),
    FIELD(attempt_view, JSON_TEXT, message),
    FIELD(attempt_view, JSON_TEXT, executor),
    FIELD(attempt_view, JSON_TIME, dispatched_at),
    FIELD(attempt_view, JSON_TIME, started_at),
    FIELD(attempt_view, JSON_TIME, ended_at),
    FIELD(attempt_view, JSON_INT, exit_code),
    FIELD_IF(attempt_view, JSON_INT, exit_signal),
    FIELD_IF(attempt_view, JSON_INT, http_status),
    FIELD_IF(attempt_view, JSON_INT, cpu_ms),
    FIELD_IF(attempt_view, JSON_INT, memory_peak),
    FIELD(attempt_view, JSON_INT, log_bytes),
    FIELD(attempt_view, JSON_INT, log_dropped),
    { 0 },
};
static const struct json_table attempt_table = { "Attempt", sizeof(struct attempt_view),
                                                 attempt_members };

static const struct json_member note_members[] = {
    FIELD(note_view, JSON_TIME, at),
    FIELD(note_view, JSON_TEXT, kind),
    FIELD(note_view, JSON_TEXT, text),
    { 0 },
};
static const struct json_table note_table = { "RunNote", sizeof(struct note_view), note_members };

#define RUN_FIELDS                                                                             \
    FIELD(run_view, JSON_INT, id), FIELD(run_view, JSON_INT32, job_id),                        \
        FIELD(run_view, JSON_TEXT, job), FIELD(run_view, JSON_TEXT, group),                    \
        FIELD(run_view, JSON_TIME, fire_at), FIELD(run_view, JSON_TEXT, fire_key),             \
        FIELD(run_view, JSON_TEXT, state), FIELD(run_view, JSON_TEXT, origin),                 \
        FIELD_CAUSE(run_view), FIELD(run_view, JSON_TEXT, message),                            \
        FIELD(run_view, JSON_INT32, attempt), FIELD(run_view, JSON_INT32, job_version),        \
        FIELD(run_view, JSON_INT32, priority), FIELD(run_view, JSON_TIME, planned_at),         \
        FIELD(run_view, JSON_TIME, ready_at), FIELD(run_view, JSON_TIME, dispatched_at),       \
        FIELD(run_view, JSON_TIME, started_at), FIELD(run_view, JSON_TIME, ended_at),          \
        FIELD(run_view, JSON_TIME, due_at), FIELD(run_view, JSON_INT, lateness_ms),            \
        FIELD(run_view, JSON_INT, duration_ms), FIELD(run_view, JSON_TEXT, executor),          \
        FIELD(run_view, JSON_INT, exit_code), FIELD_IF(run_view, JSON_INT, exit_signal),       \
        FIELD_IF(run_view, JSON_INT, http_status), FIELD_IF(run_view, JSON_INT, parent_run_id), \
        FIELD_IF(run_view, JSON_TEXT, created_by)

static const struct json_member run_item_members[] = { RUN_FIELDS, { 0 } };
const struct json_table run_item_table = { "RunItem", sizeof(struct run_view), run_item_members };

static const struct json_member run_members[] = {
    RUN_FIELDS,
    FIELD(run_view, JSON_INT32, token),
    FIELD(run_view, JSON_INT32, schedule_version),
    FIELD_IF(run_view, JSON_TEXT, incarnation),
    FIELD_IF(run_view, JSON_TEXT, address),
    FIELD(run_view, JSON_ANY, output),
    FIELD(run_view, JSON_ANY, parameters),
    FIELD_IF(run_view, JSON_TEXT, stop_by),
    FIELD_IF(run_view, JSON_TIME, stop_at),
    FIELD_IF(run_view, JSON_INT, cpu_ms),
    FIELD_IF(run_view, JSON_INT, memory_peak),
    FIELD(run_view, JSON_INT, log_bytes),
    FIELD(run_view, JSON_INT, log_dropped),
    { .name = "ahead", .type = JSON_INT32, .offset = offsetof(struct run_view, ahead),
      .about = "live runs that go first; -1 where it does not apply" },
    { .name = "attempts", .type = JSON_ARRAY, .offset = offsetof(struct run_view, attempts),
      .count_offset = offsetof(struct run_view, attempt_count), .sub = &attempt_table },
    { .name = "notes", .type = JSON_ARRAY, .offset = offsetof(struct run_view, notes),
      .count_offset = offsetof(struct run_view, note_count), .sub = &note_table },
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
    run->lateness_ms = run->started_at ? run->started_at - run->fire_at : -1;
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
