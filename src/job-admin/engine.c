#include "job-admin/admin.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

/*
 * The driver of the scheduler: events go in one at a time, actions come out and are carried out
 * through the store, calls and timers; their answers are events again. Loop thread only.
 */

int64_t admin_now_ms(const struct admin *admin)
{
    return clock_wall_ms() + db_clock_offset_ms(admin->node->db);
}

/* --- one step ---------------------------------------------------------------------------------------- */

static void action_carry_out(struct admin *admin, const struct action *action);

void engine_step(struct admin *admin, struct scheduler_event *event)
{
    struct actions actions = { .arena = arena_new() };
    static bool stepping;

    assert(!stepping);
    event->now_ms = admin_now_ms(admin);
    event->mono_ms = clock_mono_ms();
    stepping = true;
    scheduler_step(admin->scheduler, event, &actions);
    stepping = false;
    for (size_t i = 0; i < actions.count; i++)
        action_carry_out(admin, &actions.items[i]);
    arena_free(&actions.arena);
}

static void tick(struct admin *admin)
{
    struct scheduler_event event = { .kind = EVENT_TICK };

    engine_step(admin, &event);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    tick(ctx);
}

static void timer_set(struct admin *admin, int64_t mono_ms)
{
    int64_t left = mono_ms - clock_mono_ms();
    struct timeval wait = { 0 };

    if (left > 0) {
        wait.tv_sec = (time_t)(left / 1000);
        wait.tv_usec = (suseconds_t)(left % 1000 * 1000);
    }
    evtimer_add(admin->timer, &wait);
}

/* --- store operations --------------------------------------------------------------------------------- */

static enum store_answer store_answer_of(enum db_outcome outcome)
{
    switch (outcome) {
    case DB_OK: return STORE_OK;
    case DB_CONFLICT: return STORE_CONFLICT;
    case DB_UNKNOWN: return STORE_UNKNOWN;
    default: return STORE_NOT_APPLIED;
    }
}

static const char *action_name(const struct action *action)
{
    static const char *const names[] = {
        [ACTION_LEASE] = "lease", [ACTION_SCAN] = "scan", [ACTION_PLAN] = "plan",
        [ACTION_LOAD] = "load", [ACTION_MOVE] = "move",
    };

    return action ? names[action->kind] : "jobs";
}

/* Every answer begins with its enum store_answer, so that one place can set it. */
static void op_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct engine_op *op = ctx;

    _Static_assert(offsetof(struct scheduler_event, lease.answer) ==
                           offsetof(struct scheduler_event, due.answer) &&
                       offsetof(struct scheduler_event, due.answer) ==
                           offsetof(struct scheduler_event, moved.answer) &&
                       offsetof(struct scheduler_event, planned.answer) ==
                           offsetof(struct scheduler_event, runs.answer) &&
                       offsetof(struct scheduler_event, lease.answer) ==
                           offsetof(struct scheduler_event, runs.answer),
                   "the answer stands first");
    op->answer.lease.answer = store_answer_of(outcome);
    if (outcome != DB_OK)
        LOG_WARN("store operation of the scheduler failed, it will be tried again", "operation",
                 action_name(op->action), "error", err ? error_english(err) : "outcome unknown");
    op->finish(op);
}

static void op_submit(struct engine_op *op, db_fn *fn, bool read, void (*finish)(struct engine_op *))
{
    struct admin *admin = op->admin;

    op->finish = finish;
    op->now_ms = admin_now_ms(admin);
    op->mono_ms = clock_mono_ms();
    op->owner = admin->node->name;
    op->incarnation = admin->node->incarnation;
    if (read)
        db_submit_read(admin->node->db, DB_POOL_SCHEDULE, fn, op, op_done);
    else
        db_submit(admin->node->db, DB_POOL_SCHEDULE, fn, op, op_done);
}

static void op_answer(struct engine_op *op)
{
    engine_step(op->admin, &op->answer);
    engine_op_free(&op);
}

/* --- rows need their compiled jobs ------------------------------------------------------------------ */

static void jobs_read(struct engine_op *more)
{
    struct engine_op *op = more->waiting;

    if (more->answer.lease.answer != STORE_OK)
        op->answer.lease.answer = STORE_NOT_APPLIED;
    else
        for (size_t i = 0; i < more->row_count; i++)
            entry_take(op->admin, &more->rows[i]);
    engine_op_free(&more);
    op->finish(op);
}

/* Goes on with finish once all rows of op have their compiled job at hand: definitions that are
 * missing are read first. */
static void rows_complete(struct engine_op *op, void (*finish)(struct engine_op *))
{
    struct engine_op *more = engine_op_new(op->admin, NULL);

    more->rows = ARENA_ARRAY(more->arena, struct job_row, op->row_count + 1);
    for (size_t i = 0; i < op->row_count; i++) {
        const struct job_entry *entry = map_get(&op->admin->jobs, op->rows[i].id);
        if (!op->rows[i].definition && !(entry && entry->job.version >= op->rows[i].version))
            more->rows[more->row_count++].id = op->rows[i].id;
    }
    op->finish = finish;
    more->waiting = op;
    if (more->row_count > 0) {
        op_submit(more, store_jobs, true, jobs_read);
    } else {
        engine_op_free(&more);
        finish(op);
    }
}

/* --- lease, scan, load ------------------------------------------------------------------------------- */

static void lease_start(struct admin *admin, const struct action *action)
{
    struct engine_op *op = engine_op_new(admin, action);

    op->answer.kind = EVENT_LEASES;
    op->lease_ms = config_int(admin->node->config, "admin.lease");
    /* from before the transaction began, so that we stop before others may begin */
    op->answer.lease.valid_until_mono_ms = clock_mono_ms() + op->lease_ms;
    op_submit(op, store_lease, false, op_answer);
}

static void scan_answer(struct engine_op *op)
{
    struct scheduler_job **jobs = ARENA_ARRAY(op->arena, struct scheduler_job *, op->row_count + 1);
    size_t count = 0;

    for (size_t i = 0; i < op->row_count; i++) {
        struct job_entry *entry = entry_take(op->admin, &op->rows[i]);
        if (entry)
            jobs[count++] = &entry->job;
    }
    op->answer.due.jobs = jobs;
    op->answer.due.count = count;
    op_answer(op);
}

static void scan_done(struct engine_op *op)
{
    if (op->answer.due.answer == STORE_OK)
        rows_complete(op, scan_answer);
    else
        op_answer(op);
}

static void scan_start(struct admin *admin, const struct action *action)
{
    struct engine_op *op = engine_op_new(admin, action);

    op->answer.kind = EVENT_DUE;
    op_submit(op, store_scan, true, scan_done);
}

static void run_parameters_keep(struct admin *admin, int64_t run_id, const char *parameters)
{
    if (!parameters || map_get(&admin->run_parameters, run_id))
        return;
    map_put(&admin->run_parameters, run_id, memory_strdup(parameters));
}

static void load_answer(struct engine_op *op)
{
    struct admin *admin = op->admin;
    struct scheduler_job **jobs = ARENA_ARRAY(op->arena, struct scheduler_job *, op->row_count + 1);

    for (size_t i = 0; i < op->row_count; i++) {
        struct job_entry *entry = entry_take(admin, &op->rows[i]);
        if (entry)
            jobs[op->answer.runs.job_count++] = &entry->job;
    }
    op->answer.runs.jobs = jobs;
    for (size_t i = 0; i < op->answer.runs.count; i++)
        if (!run_state_terminal(op->answer.runs.runs[i].state))
            run_parameters_keep(admin, op->answer.runs.runs[i].id, op->run_parameters[i]);
    op_answer(op);
}

static void load_done(struct engine_op *op)
{
    if (op->answer.runs.answer == STORE_OK)
        rows_complete(op, load_answer);
    else
        op_answer(op);
}

static void load_start(struct admin *admin, const struct action *action)
{
    struct engine_op *op = engine_op_new(admin, action);
    struct action *copy = (struct action *)(intptr_t)op->action;

    copy->load.ids = arena_copy(op->arena, action->load.ids,
                                action->load.id_count * sizeof *action->load.ids);
    op->answer.kind = EVENT_RUNS;
    op->answer.runs.shards = action->load.shards;
    /* single rows are locked for a moment on servers, so that is no read there */
    op_submit(op, store_load, !admin->leases || action->load.shards, load_done);
}

/* --- plan --------------------------------------------------------------------------------------------- */

static const struct plan_item *plan_items_copy(struct engine_op *op, const struct action *action)
{
    size_t count = action->plan.count;
    struct plan_item *items =
        arena_copy(op->arena, action->plan.items, count * sizeof *action->plan.items);

    op->jobs = ARENA_ARRAY(op->arena, const struct job_entry *, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct job_entry *entry = map_get(&op->admin->jobs, items[i].job_id);
        items[i].runs = arena_copy(op->arena, items[i].runs,
                                   items[i].run_count * sizeof *items[i].runs);
        items[i].gaps = arena_copy(op->arena, items[i].gaps,
                                   items[i].gap_count * sizeof *items[i].gaps);
        op->jobs[i] = arena_copy(op->arena, entry, sizeof *entry);
    }
    return items;
}

/* false: no ids at hand yet. */
static bool plan_ids_take(struct engine_op *op)
{
    const struct action *action = op->action;
    size_t total = 0, next = 0;

    for (size_t i = 0; i < action->plan.count; i++)
        total += action->plan.items[i].run_count;
    if (!ids_available(op->admin->run_ids, (int64_t)total))
        return false;
    op->run_ids = ARENA_ARRAY(op->arena, int64_t, total + 1);
    for (size_t i = 0; i < action->plan.count; i++)
        for (size_t k = 0; k < action->plan.items[i].run_count; k++)
            op->run_ids[next++] =
                ids_next(op->admin->run_ids, action->plan.items[i].runs[k].fire_at);
    return true;
}

static void plans_go(struct admin *admin)
{
    while (!list_empty(&admin->plans_waiting)) {
        struct engine_op *op = CONTAINER_OF(admin->plans_waiting.next, struct engine_op, link);
        if (!plan_ids_take(op))
            return;
        list_remove(&op->link);
        op_submit(op, store_plan, false, op_answer);
    }
}

static void on_ids_ready(void *ctx)
{
    plans_go(ctx);
}

static void plan_start(struct admin *admin, const struct action *action)
{
    struct engine_op *op = engine_op_new(admin, action);

    ((struct action *)(intptr_t)op->action)->plan.items = plan_items_copy(op, action);
    op->answer.kind = EVENT_PLANNED;
    list_add_tail(&admin->plans_waiting, &op->link);
    plans_go(admin);
}

/* --- move --------------------------------------------------------------------------------------------- */

static void move_done(struct engine_op *op)
{
    const struct action *action = op->action;

    for (size_t i = 0; i < op->answer.moved.count && op->answer.moved.answer == STORE_OK; i++)
        if (op->answer.moved.moves[i].applied &&
            run_state_terminal(action->move.moves[i].to))
            free(map_remove(&op->admin->run_parameters, action->move.moves[i].run_id));
    op_answer(op);
}

static void move_start(struct admin *admin, const struct action *action)
{
    struct engine_op *op = engine_op_new(admin, action);
    struct move *moves = arena_copy(op->arena, action->move.moves,
                                    action->move.count * sizeof *action->move.moves);

    for (size_t i = 0; i < action->move.count; i++) {
        moves[i].executor = arena_strdup(op->arena, moves[i].executor);
        moves[i].incarnation = arena_strdup(op->arena, moves[i].incarnation);
    }
    ((struct action *)(intptr_t)op->action)->move.moves = moves;
    op->answer.kind = EVENT_MOVED;
    op_submit(op, store_move, false, move_done);
}

/* --- all actions -------------------------------------------------------------------------------------- */

static void incident_log(const struct action *action)
{
    LOG_WARN("run ended badly after its last attempt", "run", log_int(action->incident.run_id),
             "job", log_int(action->incident.job_id), "state",
             run_state_name(action->incident.state), "cause", cause_name(action->incident.cause));
}

static void action_carry_out(struct admin *admin, const struct action *action)
{
    switch (action->kind) {
    case ACTION_LEASE: lease_start(admin, action); break;
    case ACTION_SCAN: scan_start(admin, action); break;
    case ACTION_PLAN: plan_start(admin, action); break;
    case ACTION_LOAD: load_start(admin, action); break;
    case ACTION_MOVE: move_start(admin, action); break;
    case ACTION_DISPATCH: dispatch_start(admin, action); break;
    case ACTION_ASK: dispatch_ask(admin, action); break;
    case ACTION_KILL: dispatch_kill(admin, action); break;
    case ACTION_ACK: report_acked(admin, action->ack.ack, action->ack.verdict); break;
    case ACTION_TIMER: timer_set(admin, action->timer.mono_ms); break;
    case ACTION_INCIDENT: incident_log(action); break;
    case ACTION_JOBS:
        for (size_t i = 0; i < action->jobs.count; i++)
            engine_job_changed(admin, action->jobs.ids[i]);
        break;
    }
}

/* --- what the API tells --------------------------------------------------------------------------------- */

static void job_changed_done(struct engine_op *op)
{
    struct admin *admin = op->admin;
    const struct job_row *row = &op->rows[0];

    if (op->answer.lease.answer == STORE_OK && row->gone && !row->definition) {
        entry_gone(admin, row->id);
    } else if (op->answer.lease.answer == STORE_OK) {
        struct job_entry *entry = entry_take(admin, row);
        struct scheduler_event event = { .kind = EVENT_JOB };
        if (entry) {
            event.job.job = &entry->job;
            engine_step(admin, &event);
        }
    }
    engine_op_free(&op);
}

void engine_job_changed(struct admin *admin, int64_t job_id)
{
    struct engine_op *op = engine_op_new(admin, NULL);

    op->rows = ARENA_NEW(op->arena, struct job_row);
    op->rows[0].id = (int32_t)job_id;
    op->row_count = 1;
    op_submit(op, store_jobs, true, job_changed_done);
}

void engine_run_added(struct admin *admin, int64_t run_id)
{
    struct action load = { .kind = ACTION_LOAD, .load = { .ids = &run_id, .id_count = 1 } };

    load_start(admin, &load);
}

void engine_run_stopped(struct admin *admin, int64_t run_id, enum cause cause)
{
    struct scheduler_event event = { .kind = EVENT_STOP, .stop = { run_id, cause } };

    engine_step(admin, &event);
}

/* --- start and end ---------------------------------------------------------------------------------------- */

/* Notices that the wall clock was set: the unique key keeps a fire from being decided twice, the
 * misfire policy decides about what was jumped over; people should know. */
static void clock_watch(struct admin *admin)
{
    int64_t wall = clock_wall_ms(), mono = clock_mono_ms();
    int64_t jump = (wall - admin->clock_wall_before) - (mono - admin->clock_mono_before);

    if (admin->clock_mono_before && (jump > 2000 || jump < -2000)) {
        admin->clock_jumps++;
        LOG_WARN("clock_jump: the wall clock was set, the misfire policy decides about late fires",
                 "jump_ms", log_int(jump));
    }
    admin->clock_wall_before = wall;
    admin->clock_mono_before = mono;
}

static void drain_check(struct admin *admin)
{
    struct scheduler_counters counters;
    void (*done)(void *ctx) = admin->drain_done;

    scheduler_counters(admin->scheduler, &counters);
    if (!done || counters.active > 0)
        return;
    admin->drain_done = NULL;
    done(admin->drain_ctx);
}

static void on_second(evutil_socket_t fd, short what, void *ctx)
{
    struct admin *admin = ctx;

    (void)fd;
    (void)what;
    clock_watch(admin);
    if (admin->leases)
        engine_mail_poll(admin);
    drain_check(admin);
}

static void on_minute(evutil_socket_t fd, short what, void *ctx)
{
    struct admin *admin = ctx;

    (void)fd;
    (void)what;
    entries_zone_check(admin);
    if (admin->minutes++ % 60 == 59)
        partitions_keep(admin);
}

static struct event *periodic(struct admin *admin, event_callback_fn callback, int ms)
{
    struct timeval interval = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    struct event *timer = event_new(admin->node->base, -1, EV_PERSIST, callback, admin);

    event_add(timer, &interval);
    return timer;
}

int engine_start(struct admin *admin, struct error *err)
{
    const struct config *config = admin->node->config;
    struct scheduler_settings settings = {
        .leases = admin->leases,
        .lease_ms = config_int(config, "admin.lease"),
        .executor_lease_ms = config_int(config, "admin.executor_lease"),
    };

    (void)err;
    admin->scheduler = scheduler_new(&settings);
    admin->run_ids = ids_new(admin->node->db, "run", 10000);
    ids_on_ready(admin->run_ids, on_ids_ready, admin);
    admin->timer = evtimer_new(admin->node->base, on_timer, admin);
    admin->mail_timer = periodic(admin, on_second, 500);
    admin->minute_timer = periodic(admin, on_minute, 60000);
    tick(admin);
    return 0;
}

void engine_drain(struct admin *admin, void (*done)(void *ctx), void *ctx)
{
    struct scheduler_event event = { .kind = EVENT_DRAIN };

    engine_step(admin, &event);
    admin->drained = true;
    admin->drain_done = done;
    admin->drain_ctx = ctx;
    drain_check(admin);
}

void engine_stop(struct admin *admin)
{
    void *value;

    event_free(admin->timer);
    event_free(admin->mail_timer);
    event_free(admin->minute_timer);
    while (!list_empty(&admin->plans_waiting)) {
        struct engine_op *op = CONTAINER_OF(admin->plans_waiting.next, struct engine_op, link);
        list_remove(&op->link);
        engine_op_free(&op);
    }
    ids_free(&admin->run_ids);
    scheduler_free(&admin->scheduler);
    for (size_t i = 0; map_next(&admin->run_parameters, &i, &value);)
        free(value);
    map_done(&admin->run_parameters);
}
