#include "job-admin/api.h"
#include "job-admin/admin.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

/* Executors as their heartbeats tell. */

const struct executor *executor_find(const struct admin *admin, const char *name)
{
    return map_get_text(&admin->executors, name);
}

static void text_replace(char **text, const char *value)
{
    if (*text && value && strcmp(*text, value) == 0)
        return;
    free(*text);
    *text = memory_strdup(value ? value : "");
}

static struct executor *executor_take(struct admin *admin, const struct admin_heartbeat *beat)
{
    struct executor *executor = map_get_text(&admin->executors, beat->executor);

    if (!executor) {
        executor = memory_alloc(sizeof *executor);
        snprintf(executor->name, sizeof executor->name, "%s", beat->executor);
        map_put_text(&admin->executors, beat->executor, executor);
    }
    if (strcmp(executor->incarnation, beat->incarnation) != 0)
        LOG_INFO("executor is here", "executor", beat->executor, "incarnation", beat->incarnation,
                 "url", beat->url, "slots", log_int(beat->slots_total));
    snprintf(executor->incarnation, sizeof executor->incarnation, "%s", beat->incarnation);
    text_replace(&executor->url, beat->url);
    text_replace(&executor->address, beat->address);
    executor->slots_total = beat->slots_total;
    executor->slots_free = beat->slots_free;
    executor->running = beat->running_count;
    executor->draining = beat->draining;
    executor->seen_at = admin_now_ms(admin);
    executor->seen_mono_ms = clock_mono_ms();
    executor->clock_offset_ms = admin_now_ms(admin) - beat->clock_ms;
    return executor;
}

static bool heartbeat_valid(const struct admin_heartbeat *beat)
{
    return beat->executor && beat->incarnation && beat->url &&
           strlen(beat->executor) < EXECUTOR_NAME_MAX && beat->executor[0] &&
           strlen(beat->incarnation) == INCARNATION_SIZE - 1;
}

void heartbeat_take(struct call *call)
{
    struct admin *admin = call_state(call);
    const struct admin_heartbeat *beat = call_request(call);
    struct arena *arena = call_arena(call);
    struct error err;

    if (!heartbeat_valid(beat)) {
        error_set(&err, ERR_INVALID, "heartbeat without executor, incarnation or url");
        call_fail(call, &err);
        return;
    }
    struct executor *executor = executor_take(admin, beat);
    struct running_run *running = ARENA_ARRAY(arena, struct running_run, beat->running_count + 1);
    for (size_t i = 0; i < beat->running_count; i++)
        running[i] = (struct running_run){ .run_id = beat->running[i].run_id,
                                           .attempt = beat->running[i].attempt,
                                           .token = beat->running[i].token };
    struct executor_load load = {
        .name = executor->name,
        .incarnation = executor->incarnation,
        .slots_free = beat->slots_free,
        .slots_total = beat->slots_total,
        .draining = beat->draining,
        .running = running,
        .running_count = beat->running_count,
        .started_at = beat->started_at,
    };
    struct scheduler_event event = { .kind = EVENT_HEARTBEAT, .heartbeat = { &load } };
    engine_step(admin, &event);
    struct admin_heartbeat_answer answer = { .admin = (char *)(intptr_t)admin->node->name,
                                             .incarnation = admin->node->incarnation };
    call_answer(call, &answer);
}

void executors_free(struct admin *admin)
{
    void *value;

    for (size_t i = 0; map_next(&admin->executors, &i, &value);) {
        struct executor *executor = value;
        free(executor->url);
        free(executor->address);
        free(executor);
    }
    map_done(&admin->executors);
}

/* --- for people ------------------------------------------------------------------------------------------ */

struct executor_view {
    char *name, *incarnation, *address;
    int32_t slots_total, slots_free;
    int64_t running, seen_at, silent_ms, clock_offset_ms;
    bool draining, alive;
};

static const struct json_member executor_members[] = {
    { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct executor_view, name) },
    { .name = "incarnation", .type = JSON_TEXT,
      .offset = offsetof(struct executor_view, incarnation) },
    { .name = "address", .type = JSON_TEXT, .offset = offsetof(struct executor_view, address) },
    { .name = "alive", .type = JSON_BOOL, .offset = offsetof(struct executor_view, alive) },
    { .name = "draining", .type = JSON_BOOL, .offset = offsetof(struct executor_view, draining) },
    { .name = "slots_total", .type = JSON_INT32,
      .offset = offsetof(struct executor_view, slots_total) },
    { .name = "slots_free", .type = JSON_INT32,
      .offset = offsetof(struct executor_view, slots_free) },
    { .name = "running", .type = JSON_INT, .offset = offsetof(struct executor_view, running) },
    { .name = "seen_at", .type = JSON_TIME, .offset = offsetof(struct executor_view, seen_at) },
    { .name = "silent_ms", .type = JSON_INT, .offset = offsetof(struct executor_view, silent_ms) },
    { .name = "clock_offset_ms", .type = JSON_INT,
      .offset = offsetof(struct executor_view, clock_offset_ms),
      .about = "our clock minus its clock, with the latency of a call" },
    { 0 },
};
const struct json_table executor_table = { "Executor", sizeof(struct executor_view),
                                           executor_members };

void api_executor_list(struct request *request)
{
    struct admin *admin = request->state;
    int64_t lease_ms = config_int(admin->node->config, "admin.executor_lease");
    const void **items = ARENA_ARRAY(request->arena, const void *, admin->executors.count + 1);
    size_t count = 0;
    void *value;

    for (size_t i = 0; map_next(&admin->executors, &i, &value);) {
        const struct executor *executor = value;
        struct executor_view *view = ARENA_NEW(request->arena, struct executor_view);
        view->name = (char *)(intptr_t)executor->name;
        view->incarnation = (char *)(intptr_t)executor->incarnation;
        view->address = executor->address;
        view->slots_total = executor->slots_total;
        view->slots_free = executor->slots_free;
        view->running = (int64_t)executor->running;
        view->seen_at = executor->seen_at;
        view->silent_ms = clock_mono_ms() - executor->seen_mono_ms;
        view->clock_offset_ms = executor->clock_offset_ms;
        view->draining = executor->draining;
        view->alive = view->silent_ms < lease_ms;
        items[count++] = view;
    }
    request_answer_list(request, &executor_table, items, count, NULL);
}
