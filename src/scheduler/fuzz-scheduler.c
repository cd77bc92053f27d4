#include "base/arena.h"
#include "scheduler/scheduler-private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * Bytes drive events into a scheduler, sensible and senseless ones: answers to what it asked and
 * to what it did not, rows and reports with any numbers in them. What it must keep up whatever it
 * is told is asserted after every step.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ASKED_MAX = 64, RUN_MAX = 24, STEP_MAX = 400 };

struct input {
    const uint8_t *data;
    size_t size;
};

struct fuzz {
    struct scheduler *scheduler;
    struct arena *arena;
    struct input in;
    int64_t now_ms, mono_ms, latest_ms;
    struct schedule schedules[3];
    struct action asked[ASKED_MAX]; /* not answered */
    size_t asked_count;
    uint64_t acks, acked; /* handed over, given back */
};

static uint8_t take(struct input *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

static bool flip(struct input *in)
{
    return take(in) & 1;
}

/* Mostly small, sometimes anything. */
static int64_t number(struct input *in, int64_t limit)
{
    uint8_t first = take(in);

    if (first < 250)
        return first % limit;
    int64_t wild = 0;
    for (int i = 0; i < 8; i++)
        wild = (int64_t)((uint64_t)wild << 8 | take(in));
    return wild;
}

static const char *incarnation(struct input *in)
{
    static const char *const names[] = { "1111", "2222", "3333", "" };

    return names[take(in) % 4];
}

static const char *executor(struct input *in)
{
    static const char *const names[] = { "e1", "e2", "" };

    return names[take(in) % 3];
}

static struct scheduler_job *make_job(struct fuzz *fuzz)
{
    struct input *in = &fuzz->in;
    struct scheduler_job *job = ARENA_NEW(fuzz->arena, struct scheduler_job);
    uint8_t kind = take(in) % 4;

    job->id = (int32_t)number(in, 5);
    job->shard = shard_of_job(job->id);
    job->version = (int32_t)number(in, 4);
    job->schedule_version = (int32_t)number(in, 4);
    job->enabled = take(in) < 220;
    job->schedule = kind < 3 ? &fuzz->schedules[kind] : NULL;
    job->next_fire_at = flip(in) ? fuzz->now_ms + number(in, 200) * 100 - 5000 : number(in, 9);
    if (flip(in)) {
        job->paused_at = fuzz->now_ms - number(in, 100) * 100;
        job->paused_until = job->paused_at + number(in, 200) * 100;
    }
    job->misfire = (enum misfire_policy)number(in, 3);
    job->misfire_limit = (int32_t)number(in, 9);
    job->misfire_threshold_ms = number(in, 10) * 1000;
    job->overlap = (enum overlap_policy)number(in, 4);
    job->overlap_limit = (int32_t)number(in, 4);
    job->promise = (enum promise)number(in, 2);
    job->retry_max = (int32_t)number(in, 4);
    job->retry_first_ms = number(in, 200);
    job->retry_cap_ms = number(in, 200) * 10;
    job->lost_max = (int32_t)number(in, 4);
    job->retry_timeouts = flip(in);
    job->priority = (int32_t)number(in, 100);
    job->start_deadline_ms = number(in, 3) * 1000;
    job->route = (enum route_policy)number(in, 3);
    strncpy(job->route_executor, executor(in), sizeof job->route_executor - 1);
    return job;
}

static void make_run(struct fuzz *fuzz, struct scheduler_run *run)
{
    struct input *in = &fuzz->in;

    *run = (struct scheduler_run){ .id = number(in, RUN_MAX) + 1,
                                   .job_id = (int32_t)number(in, 5),
                                   .state = (enum run_state)number(in, RUN_STATE_LIMIT),
                                   .attempt = (int32_t)number(in, 3),
                                   .token = (int32_t)number(in, 4),
                                   .fire_at = fuzz->now_ms + number(in, 100) * 50 - 2000,
                                   .due_at = fuzz->now_ms + number(in, 100) * 50 - 2000,
                                   .priority = (int32_t)number(in, 100),
                                   .scheduled = flip(in),
                                   .stop_requested = take(in) < 30,
                                   .lost_count = (int32_t)number(in, 3),
                                   .failed_count = (int32_t)number(in, 3) };
    strncpy(run->executor, executor(in), sizeof run->executor - 1);
    strncpy(run->incarnation, incarnation(in), sizeof run->incarnation - 1);
}

/* --- what must hold --------------------------------------------------------------------------- */

static void check_run(const struct scheduler *s, const struct run *run)
{
    bool at_executor = run->state == RUN_DISPATCHED || run->state == RUN_RUNNING;

    assert(run->state && !run_state_terminal(run->state));
    assert(run->job == map_get(&s->jobs, run->job->id));
    assert(run->role != ROLE_NONE);
    assert(!at_executor || run->executor);
    assert(!run_frozen(run) || (!heap_has(&run->timer) && !heap_has(&run->queue)));
    assert(!run->flight || run->flight->runs[run->flight_index] == run);
    assert(!run->unsent || run_frozen(run)); /* sent, or on its way back, in the step itself */
}

static size_t list_size(const struct list *list)
{
    size_t count = 0;

    LIST_EACH (list, node)
        count++;
    return count;
}

static void check_scheduler(const struct scheduler *s)
{
    uint64_t live = 0;
    void *value;

    for (size_t i = 0; map_next(&s->runs, &i, &value);)
        check_run(s, value);
    for (size_t i = 0; map_next(&s->jobs, &i, &value);) {
        const struct job *job = value;
        assert((size_t)job->active_count == list_size(&job->active));
        assert((size_t)job->waiting_count == list_size(&job->waiting));
        assert(s->shards[shard_of_job(job->id)].use != SHARD_FOREIGN);
    }
    for (int i = RUN_PLANNED; i < RUN_SUCCEEDED; i++)
        live += s->state_counts[i];
    assert(live == s->runs.count && live == s->run_pool.count);
    assert(list_empty(&s->outboxes));
}

static void check_moves(const struct fuzz *fuzz, const struct action *action)
{
    for (size_t i = 0; i < action->move.count; i++) {
        const struct move *move = &action->move.moves[i];
        bool via = move->via_ready || move->via_running;
        assert(via || run_edge_legal(move->from, move->to));
        assert(!move->via_ready ||
               (run_edge_legal(move->from, RUN_READY) && run_edge_legal(RUN_READY, move->to)));
        assert(!move->via_running ||
               (run_edge_legal(move->from, RUN_RUNNING) && run_edge_legal(RUN_RUNNING, move->to)));
        assert(move->to != RUN_DISPATCHED || (move->executor && move->incarnation));
        const struct run *run = run_find(fuzz->scheduler, move->run_id);
        assert(run && run->flight);
        assert(move->from != RUN_PLANNED || move->to == RUN_CANCELLED ||
               run->fire_at <= fuzz->latest_ms); /* never early */
    }
}

static void check_plan(const struct action *action)
{
    for (size_t i = 0; i < action->plan.count; i++) {
        const struct plan_item *item = &action->plan.items[i];
        assert(item->next_fire_at == SCHEDULE_NEVER ? item->new_next_fire_at != SCHEDULE_NEVER
                                                    : item->new_next_fire_at > item->next_fire_at);
        for (size_t k = 1; k < item->run_count; k++)
            assert(item->runs[k].fire_at > item->runs[k - 1].fire_at);
        for (size_t k = 0; k < item->run_count; k++)
            assert(item->runs[k].fire_at < item->new_next_fire_at);
    }
}

static void keep_asked(struct fuzz *fuzz, const struct actions *actions)
{
    for (size_t i = 0; i < actions->count; i++) {
        const struct action *action = &actions->items[i];
        if (action->kind == ACTION_MOVE)
            check_moves(fuzz, action);
        if (action->kind == ACTION_PLAN)
            check_plan(action);
        fuzz->acked += action->kind == ACTION_ACK;
        assert(fuzz->acked <= fuzz->acks);
        if (action->kind <= ACTION_ASK && fuzz->asked_count < ASKED_MAX)
            fuzz->asked[fuzz->asked_count++] = *action;
    }
}

static void step(struct fuzz *fuzz, struct scheduler_event event)
{
    struct actions actions = { .arena = fuzz->arena };

    if (fuzz->latest_ms < fuzz->now_ms)
        fuzz->latest_ms = fuzz->now_ms;
    event.now_ms = fuzz->now_ms;
    event.mono_ms = fuzz->mono_ms;
    scheduler_step(fuzz->scheduler, &event, &actions);
    keep_asked(fuzz, &actions);
    check_scheduler(fuzz->scheduler);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void answer_lease(struct fuzz *fuzz, struct scheduler_event *event)
{
    struct input *in = &fuzz->in;

    event->kind = EVENT_LEASES;
    event->lease.owned = flip(in) ? UINT64_MAX : take(in);
    for (int i = 0; i < SHARD_COUNT; i++)
        event->lease.epochs[i] = 1;
    event->lease.epochs[1] = take(in) % 4;
    event->lease.valid_until_mono_ms = fuzz->mono_ms + number(in, 100) * 100;
}

static void answer_scan(struct fuzz *fuzz, struct scheduler_event *event)
{
    size_t count = take(&fuzz->in) % 5;
    struct scheduler_job **jobs = ARENA_ARRAY(fuzz->arena, struct scheduler_job *, count + 1);

    for (size_t i = 0; i < count; i++)
        jobs[i] = make_job(fuzz);
    event->kind = EVENT_DUE;
    event->due.jobs = jobs;
    event->due.count = count;
    event->due.more = flip(&fuzz->in);
}

static void answer_plan(struct fuzz *fuzz, const struct action *action,
                        struct scheduler_event *event)
{
    struct plan_answer *items = ARENA_ARRAY(fuzz->arena, struct plan_answer, action->plan.count);

    for (size_t i = 0; i < action->plan.count; i++) {
        size_t count = action->plan.items[i].run_count;
        int64_t *ids = ARENA_ARRAY(fuzz->arena, int64_t, count + 1);
        for (size_t k = 0; k < count; k++)
            ids[k] = number(&fuzz->in, RUN_MAX);
        items[i].answer = (enum store_answer)(take(&fuzz->in) % 4);
        items[i].run_ids = ids;
    }
    event->kind = EVENT_PLANNED;
    event->planned.items = items;
    event->planned.count = action->plan.count - (take(&fuzz->in) == 9);
}

static void tell_rows(struct fuzz *fuzz, struct scheduler_event *event)
{
    size_t count = take(&fuzz->in) % 8;
    struct scheduler_run *runs = ARENA_ARRAY(fuzz->arena, struct scheduler_run, count + 1);
    struct scheduler_job **jobs = ARENA_ARRAY(fuzz->arena, struct scheduler_job *, 1);

    for (size_t i = 0; i < count; i++)
        make_run(fuzz, &runs[i]);
    event->kind = EVENT_RUNS;
    event->runs.runs = runs;
    event->runs.count = count;
    if (flip(&fuzz->in)) {
        jobs[0] = make_job(fuzz);
        event->runs.jobs = jobs;
        event->runs.job_count = 1;
    }
}

static void answer_move(struct fuzz *fuzz, const struct action *action,
                        struct scheduler_event *event)
{
    size_t count = action->move.count;
    struct move_answer *moves = ARENA_ARRAY(fuzz->arena, struct move_answer, count);

    for (size_t i = 0; i < count; i++)
        moves[i] = (struct move_answer){ action->move.moves[i].run_id, take(&fuzz->in) < 220 };
    event->kind = EVENT_MOVED;
    event->moved.moves = moves;
    event->moved.count = count - (take(&fuzz->in) == 9);
}

static void answer_dispatch(struct fuzz *fuzz, const struct action *action,
                            struct scheduler_event *event)
{
    struct input *in = &fuzz->in;
    size_t count = action->dispatch.count;
    struct dispatch_answer *answers = ARENA_ARRAY(fuzz->arena, struct dispatch_answer, count);

    for (size_t i = 0; i < count; i++)
        answers[i] = (struct dispatch_answer){ action->dispatch.runs[i].run_id,
                                               action->dispatch.runs[i].attempt,
                                               action->dispatch.runs[i].token,
                                               (enum dispatch_verdict)number(in, 4) };
    event->kind = EVENT_DISPATCHED;
    event->dispatched.sent = take(in) < 200;
    event->dispatched.executor = action->dispatch.executor;
    event->dispatched.incarnation = flip(in) ? action->dispatch.incarnation : NULL;
    event->dispatched.answers = answers;
    event->dispatched.count = event->dispatched.incarnation ? count : 0;
}

static void answer_ask(struct fuzz *fuzz, const struct action *action,
                       struct scheduler_event *event)
{
    size_t count = action->ask.count;
    struct seen_answer *answers = ARENA_ARRAY(fuzz->arena, struct seen_answer, count);

    for (size_t i = 0; i < count; i++)
        answers[i] = (struct seen_answer){ action->ask.runs[i].run_id, action->ask.runs[i].attempt,
                                           action->ask.runs[i].token, flip(&fuzz->in) };
    event->kind = EVENT_SEEN;
    event->seen.sent = flip(&fuzz->in);
    event->seen.incarnation = flip(&fuzz->in) ? action->ask.incarnation : incarnation(&fuzz->in);
    event->seen.answers = answers;
    event->seen.count = count;
}

/* Every answer begins with its enum store_answer where the store gives it. */
static void answer_one(struct fuzz *fuzz)
{
    if (fuzz->asked_count == 0)
        return;
    size_t chosen = take(&fuzz->in) % fuzz->asked_count;
    struct action action = fuzz->asked[chosen];
    struct scheduler_event event = { .reference = action.reference };
    enum store_answer answer =
        take(&fuzz->in) < 200 ? STORE_OK : (enum store_answer)(take(&fuzz->in) % 4);

    fuzz->asked[chosen] = fuzz->asked[--fuzz->asked_count];
    switch (action.kind) {
    case ACTION_LEASE:
        answer_lease(fuzz, &event);
        event.lease.answer = answer;
        break;
    case ACTION_SCAN:
        answer_scan(fuzz, &event);
        event.due.answer = answer;
        break;
    case ACTION_PLAN:
        answer_plan(fuzz, &action, &event);
        event.planned.answer = answer;
        break;
    case ACTION_LOAD:
        tell_rows(fuzz, &event);
        event.runs.answer = answer;
        break;
    case ACTION_MOVE:
        answer_move(fuzz, &action, &event);
        event.moved.answer = answer;
        break;
    case ACTION_DISPATCH:
        answer_dispatch(fuzz, &action, &event);
        break;
    default:
        answer_ask(fuzz, &action, &event);
        break;
    }
    step(fuzz, event);
}

/* --- events of their own ---------------------------------------------------------------------- */

static void send_heartbeat(struct fuzz *fuzz)
{
    struct input *in = &fuzz->in;
    struct running_run running[4];
    struct executor_load load = { .name = executor(in),
                                  .incarnation = incarnation(in),
                                  .slots_free = (int32_t)number(in, 5),
                                  .slots_total = 5,
                                  .draining = take(in) < 20,
                                  .running = running,
                                  .running_count = take(in) % 5,
                                  .started_at = number(in, 3) };

    for (size_t i = 0; i < load.running_count; i++)
        running[i] = (struct running_run){ number(in, RUN_MAX) + 1, (int32_t)number(in, 3),
                                           (int32_t)number(in, 4) };
    step(fuzz, (struct scheduler_event){ .kind = EVENT_HEARTBEAT, .heartbeat = { .load = &load } });
}

static void send_reports(struct fuzz *fuzz)
{
    struct input *in = &fuzz->in;
    size_t count = take(in) % 5;
    struct report *reports = ARENA_ARRAY(fuzz->arena, struct report, count + 1);

    for (size_t i = 0; i < count; i++)
        reports[i] = (struct report){ .kind = (enum report_kind)number(in, 2),
                                      .ack = ++fuzz->acks,
                                      .run_id = number(in, RUN_MAX) + 1,
                                      .job_id = (int32_t)number(in, 5),
                                      .attempt = (int32_t)number(in, 3),
                                      .token = (int32_t)number(in, 4),
                                      .ended_at = fuzz->now_ms - number(in, 9),
                                      .outcome = (enum run_state)(RUN_SUCCEEDED + number(in, 4)),
                                      .cause = (enum cause)number(in, 40),
                                      .retry_after_ms = number(in, 100),
                                      .no_retry = take(in) < 20 };
    step(fuzz, (struct scheduler_event){ .kind = EVENT_REPORT,
                                         .report = { "e1", "1111", reports, count } });
}

static void send_event(struct fuzz *fuzz)
{
    struct input *in = &fuzz->in;
    struct scheduler_event event = { .kind = EVENT_TICK };

    switch (take(in) % 12) {
    case 0:
        return send_heartbeat(fuzz);
    case 1:
    case 2:
        return send_reports(fuzz);
    case 3:
        event.kind = EVENT_JOB;
        event.job.job = make_job(fuzz);
        return step(fuzz, event);
    case 4:
        event.kind = EVENT_STOP;
        event.stop.run_id = number(in, RUN_MAX) + 1;
        event.stop.cause = (enum cause)(CAUSE_STOPPED + number(in, 3));
        return step(fuzz, event);
    case 5:
        event.kind = EVENT_JOB_GONE;
        event.job_gone.job_id = (int32_t)number(in, 5);
        return step(fuzz, event);
    case 6:
        tell_rows(fuzz, &event);
        return step(fuzz, event);
    case 7:
        event.kind = take(in) == 200 ? EVENT_DRAIN : EVENT_TICK;
        return step(fuzz, event);
    case 8:
        fuzz->now_ms += number(in, 100) * 100 - 2000; /* the wall clock jumps */
        if (fuzz->now_ms < 0 || fuzz->now_ms > INT64_C(1) << 42)
            fuzz->now_ms = INT64_C(1800000000000);
        return step(fuzz, event);
    case 9: {
        int64_t pass = take(in) * 20;
        fuzz->now_ms += pass;
        fuzz->mono_ms += pass;
        return step(fuzz, event);
    }
    default:
        return answer_one(fuzz);
    }
}

static void fuzz_init(struct fuzz *fuzz)
{
    bool small = flip(&fuzz->in);
    struct scheduler_settings settings = { .plan_batch = small ? 2 : 0,
                                           .move_batch = small ? 3 : 0,
                                           .dispatch_batch = small ? 2 : 0,
                                           .ready_max = small ? 3 : 0,
                                           .fires_per_plan = take(&fuzz->in) % 5,
                                           .sweep_interval_ms = 5000,
                                           .leases = flip(&fuzz->in) };

    fuzz->scheduler = scheduler_new(&settings);
    fuzz->now_ms = INT64_C(1800000000000);
    fuzz->mono_ms = 1000;
    for (size_t i = 0; i < 3; i++)
        fuzz->schedules[i] = (struct schedule){ .every_ms = 700,
                                                .start_ms = fuzz->now_ms,
                                                .delay_ms = 300,
                                                .not_before_ms = INT64_MIN,
                                                .not_after_ms = SCHEDULE_NEVER };
    fuzz->schedules[0].kind = SCHEDULE_EVERY;
    fuzz->schedules[1].kind = SCHEDULE_DELAY;
    fuzz->schedules[2].kind = SCHEDULE_MANUAL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = { .in = { data, size }, .arena = arena_new() };

    fuzz_init(&fuzz);
    for (int i = 0; i < STEP_MAX && fuzz.in.size > 0; i++)
        send_event(&fuzz);
    scheduler_free(&fuzz.scheduler);
    arena_free(&fuzz.arena);
    return 0;
}
