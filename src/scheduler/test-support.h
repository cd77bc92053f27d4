#ifndef BELFRY_SCHEDULER_TEST_SUPPORT_H
#define BELFRY_SCHEDULER_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "scheduler/scheduler-private.h"

#include <string.h>

/*
 * A scheduler in a test's hands: step it, look at the actions of the step. The store says yes to
 * everything unless the test answers itself (desk_quiet).
 */

#define T0 INT64_C(1800000000000) /* a whole second, some day */

struct desk {
    struct scheduler *scheduler;
    struct arena *arena;
    struct actions actions; /* of the last step */
    int64_t now_ms, mono_ms;
    int64_t next_id;
    struct schedule schedule;
    struct scheduler_job job;
};

static const char desk_incarnation[] = "0123456789abcdef0123456789abcdef";

static inline void desk_init(struct desk *desk, const struct scheduler_settings *settings)
{
    *desk = (struct desk){ .now_ms = T0, .mono_ms = 1000, .next_id = 1 };
    desk->scheduler = scheduler_new(settings ? settings : &(struct scheduler_settings){ 0 });
    desk->arena = arena_new();
    desk->schedule = (struct schedule){ .kind = SCHEDULE_EVERY,
                                        .every_ms = 60000,
                                        .start_ms = T0 + 1000,
                                        .not_before_ms = INT64_MIN,
                                        .not_after_ms = SCHEDULE_NEVER };
    desk->job = (struct scheduler_job){ .id = 7,
                                        .shard = 7,
                                        .version = 1,
                                        .schedule_version = 1,
                                        .enabled = true,
                                        .schedule = &desk->schedule,
                                        .next_fire_at = T0 + 1000,
                                        .misfire_threshold_ms = 5000,
                                        .lost_max = 5,
                                        .overlap_limit = 1 };
}

static inline void desk_done(struct desk *desk)
{
    scheduler_free(&desk->scheduler);
    arena_free(&desk->arena);
}

static inline void desk_step(struct desk *desk, struct scheduler_event event)
{
    event.now_ms = desk->now_ms;
    event.mono_ms = desk->mono_ms;
    desk->actions = (struct actions){ .arena = desk->arena };
    scheduler_step(desk->scheduler, &event, &desk->actions);
}

static inline void desk_tick(struct desk *desk)
{
    desk_step(desk, (struct scheduler_event){ .kind = EVENT_TICK });
}

static inline void desk_pass(struct desk *desk, int64_t ms)
{
    desk->now_ms += ms;
    desk->mono_ms += ms;
    desk_tick(desk);
}

/* The n-th action of a kind in the last step; NULL: none. */
static inline struct action *desk_nth(struct desk *desk, enum action_kind kind, size_t n)
{
    for (size_t i = 0; i < desk->actions.count; i++)
        if (desk->actions.items[i].kind == kind && n-- == 0)
            return &desk->actions.items[i];
    return NULL;
}

static inline struct action *desk_find(struct desk *desk, enum action_kind kind)
{
    return desk_nth(desk, kind, 0);
}

static inline void desk_rows(struct desk *desk, uint64_t reference,
                             const struct scheduler_run *runs, size_t count)
{
    struct scheduler_job *job = &desk->job;

    desk_step(desk, (struct scheduler_event){
                        .kind = EVENT_RUNS,
                        .reference = reference,
                        .runs = { .runs = runs, .count = count, .jobs = &job, .job_count = 1 } });
}

/* First steps: the shards are loaded and hold nothing but these rows. */
static inline void desk_start(struct desk *desk, const struct scheduler_run *runs, size_t count)
{
    desk_tick(desk);
    struct action *load = desk_find(desk, ACTION_LOAD);
    assert_non_null(load);
    assert_true(load->load.shards == UINT64_MAX);
    desk_rows(desk, load->reference, runs, count);
}

static inline void desk_heartbeat(struct desk *desk, const char *name, const char *incarnation,
                                  int32_t slots, const struct running_run *running, size_t count)
{
    struct executor_load load = { .name = name,
                                  .incarnation = incarnation,
                                  .slots_free = slots,
                                  .slots_total = slots,
                                  .running = running,
                                  .running_count = count };

    desk_step(desk,
              (struct scheduler_event){ .kind = EVENT_HEARTBEAT, .heartbeat = { .load = &load } });
}

/* Answers the step's SCAN with the desk's job, or with nothing. */
static inline void desk_due(struct desk *desk, bool job)
{
    struct scheduler_job *row = &desk->job;
    struct action *scan = desk_find(desk, ACTION_SCAN);

    assert_non_null(scan);
    desk_step(desk, (struct scheduler_event){ .kind = EVENT_DUE,
                                              .reference = scan->reference,
                                              .due = { .jobs = &row, .count = job } });
}

/* Applies the step's PLAN of one item; the ids given go up from desk->next_id. */
static inline void desk_planned(struct desk *desk, enum store_answer answer)
{
    struct action *plan = desk_find(desk, ACTION_PLAN);

    assert_non_null(plan);
    assert_int_equal(plan->plan.count, 1);
    const struct plan_item *item = plan->plan.items;
    int64_t *ids = ARENA_ARRAY(desk->arena, int64_t, item->run_count + 1);
    for (size_t i = 0; i < item->run_count; i++)
        ids[i] = desk->next_id++;
    if (answer == STORE_OK)
        desk->job.next_fire_at = item->new_next_fire_at;
    struct plan_answer one = { .answer = answer, .run_ids = ids };
    desk_step(desk, (struct scheduler_event){ .kind = EVENT_PLANNED,
                                              .reference = plan->reference,
                                              .planned = { .items = &one, .count = 1 } });
}

/* Answers the step's MOVE, all of it alike. */
static inline void desk_moved(struct desk *desk, bool applied)
{
    struct action *action = desk_find(desk, ACTION_MOVE);

    assert_non_null(action);
    size_t count = action->move.count;
    struct move_answer *answers = ARENA_ARRAY(desk->arena, struct move_answer, count);
    for (size_t i = 0; i < count; i++)
        answers[i] =
            (struct move_answer){ .run_id = action->move.moves[i].run_id, .applied = applied };
    desk_step(desk, (struct scheduler_event){ .kind = EVENT_MOVED,
                                              .reference = action->reference,
                                              .moved = { .moves = answers, .count = count } });
}

static inline void desk_store_fails(struct desk *desk, enum action_kind kind,
                                    enum event_kind answer_kind, enum store_answer answer)
{
    struct action *action = desk_find(desk, kind);

    assert_non_null(action);
    struct scheduler_event event = { .kind = answer_kind, .reference = action->reference };
    switch (answer_kind) {
    case EVENT_MOVED:
        event.moved.answer = answer;
        break;
    case EVENT_PLANNED:
        event.planned.answer = answer;
        break;
    case EVENT_RUNS:
        event.runs.answer = answer;
        break;
    case EVENT_DUE:
        event.due.answer = answer;
        break;
    default:
        fail();
    }
    desk_step(desk, event);
}

/* Answers the step's DISPATCH: all runs alike. */
static inline void desk_dispatched(struct desk *desk, bool sent, const char *incarnation,
                                   enum dispatch_verdict verdict)
{
    struct action *action = desk_find(desk, ACTION_DISPATCH);

    assert_non_null(action);
    size_t count = incarnation ? action->dispatch.count : 0;
    struct dispatch_answer *answers = ARENA_ARRAY(desk->arena, struct dispatch_answer, count + 1);
    for (size_t i = 0; i < count; i++)
        answers[i] = (struct dispatch_answer){ .run_id = action->dispatch.runs[i].run_id,
                                               .attempt = action->dispatch.runs[i].attempt,
                                               .token = action->dispatch.runs[i].token,
                                               .verdict = verdict };
    desk_step(desk, (struct scheduler_event){ .kind = EVENT_DISPATCHED,
                                              .reference = action->reference,
                                              .dispatched = { .executor = incarnation ? "e1" : NULL,
                                                              .incarnation = incarnation,
                                                              .sent = sent,
                                                              .answers = answers,
                                                              .count = count } });
}

static inline void desk_report(struct desk *desk, struct report report)
{
    report.job_id = desk->job.id;
    desk_step(desk, (struct scheduler_event){ .kind = EVENT_REPORT,
                                              .report = { .executor = "e1",
                                                          .incarnation = desk_incarnation,
                                                          .reports = &report,
                                                          .count = 1 } });
}

static inline void desk_stop(struct desk *desk, int64_t run_id)
{
    desk_step(desk, (struct scheduler_event){
                        .kind = EVENT_STOP, .stop = { .run_id = run_id, .cause = CAUSE_STOPPED } });
}

/* The only MOVE of the step, of one run. */
static inline const struct move *desk_move(struct desk *desk)
{
    struct action *action = desk_find(desk, ACTION_MOVE);

    assert_non_null(action);
    assert_int_equal(action->move.count, 1);
    assert_null(desk_nth(desk, ACTION_MOVE, 1));
    return action->move.moves;
}

static inline struct scheduler_run desk_row(const struct desk *desk, int64_t id,
                                            enum run_state state)
{
    bool started = state == RUN_DISPATCHED || state == RUN_RUNNING;
    bool ready = started || state == RUN_READY || state == RUN_RETRY_WAIT;
    struct scheduler_run row = { .id = id,
                                 .job_id = desk->job.id,
                                 .shard = desk->job.shard,
                                 .state = state,
                                 .attempt = ready,
                                 .token = ready,
                                 .job_version = ready,
                                 .fire_at = desk->now_ms,
                                 .scheduled = true };
    if (started) {
        memcpy(row.executor, "e1", 3);
        memcpy(row.incarnation, desk_incarnation, sizeof desk_incarnation);
    }
    return row;
}

/* An executor is there, run 1 of the job is RUNNING there. */
static inline void desk_running(struct desk *desk)
{
    struct scheduler_run row = desk_row(desk, 1, RUN_RUNNING);

    desk->job.next_fire_at = SCHEDULE_NEVER;
    desk_start(desk, &row, 1);
    desk_heartbeat(desk, "e1", desk_incarnation, 9,
                   &(struct running_run){ .run_id = 1, .attempt = 1, .token = 1 }, 1);
}

#endif
