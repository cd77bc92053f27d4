#include "sim.h"

#include <string.h>

/*
 * The driver of a scheduler, as job-admin is: carries its actions out in order, may die between
 * any two of them, and gives every answer once.
 */

struct timer {
    struct admin *admin;
    uint64_t number;
};

static void step(struct world *world, struct admin *admin, struct scheduler_event *event);

static int64_t admin_wall(const struct world *world, const struct admin *admin)
{
    return SIM_T0 + world->now + admin->process.skew + admin->jump;
}

/* Woken again and again with nothing to do: the processor would burn. */
static void check_spin(struct world *world, struct admin *admin)
{
    enum { RINGS_MAX = 400 };

    if (world->now / 1000 != admin->rings_second)
        admin->rings = 0;
    admin->rings_second = world->now / 1000;
    if (++admin->rings > RINGS_MAX)
        world_fail(world, "K10: the timer of admin %d rings without end", admin->process.index);
}

static void ring(struct world *world, void *argument)
{
    const struct timer *timer = argument;
    struct scheduler_event event = { .kind = EVENT_TICK };

    if (timer->number != timer->admin->timer)
        return;
    check_spin(world, timer->admin);
    step(world, timer->admin, &event);
}

static void set_timer(struct world *world, struct admin *admin, int64_t mono_ms)
{
    struct timer *timer = ARENA_NEW(world->arena, struct timer);
    int64_t wait = mono_ms - process_mono(world, &admin->process);

    *timer = (struct timer){ .admin = admin, .number = ++admin->timer };
    if (mono_ms < INT64_MAX)
        /* a step takes a little time, so that a wake at once does not stand still */
        world_at(world, world->now + (wait > 1 ? wait : 1), &admin->process, ring, timer);
}

static void acknowledge(struct world *world, struct admin *admin, const struct action *action)
{
    struct handed_report *report = map_remove(&admin->acks, (int64_t)action->ack.ack);

    if (!report) {
        world_fail(world, "report acknowledged twice, or never handed over");
        return;
    }
    if (action->ack.verdict == ACK_NOT_OURS)
        SOMETIMES(report_not_ours);
    if (action->ack.verdict == ACK_STALE)
        SOMETIMES(report_stale);
    executor_send_ack(world, admin, report->executor, report->run_id, report->attempt,
                      report->token, report->kind, action->ack.verdict);
}

static void carry_out(struct world *world, struct admin *admin, const struct action *action)
{
    switch (action->kind) {
    case ACTION_LEASE:
    case ACTION_SCAN:
    case ACTION_PLAN:
    case ACTION_LOAD:
    case ACTION_MOVE:
    case ACTION_JOBS:
        request_store(world, admin, action);
        return;
    case ACTION_DISPATCH:
        map_put(&admin->requests, (int64_t)action->reference, admin);
        executor_send_dispatch(world, admin, action);
        return;
    case ACTION_ASK:
        map_put(&admin->requests, (int64_t)action->reference, admin);
        executor_send_ask(world, admin, action);
        return;
    case ACTION_KILL:
        executor_send_kill(world, admin, action);
        return;
    case ACTION_ACK:
        acknowledge(world, admin, action);
        return;
    case ACTION_TIMER:
        set_timer(world, admin, action->timer.mono_ms);
        return;
    case ACTION_INCIDENT:
        world_trace(world, "incident", action->incident.run_id, action->incident.cause, 0);
        return;
    }
}

static void note_leases(struct admin *admin, const struct scheduler_event *event)
{
    if (event->kind != EVENT_LEASES || event->lease.answer != STORE_OK)
        return;
    if (admin->owned & ~event->lease.owned)
        SOMETIMES(lease_lost);
    if (event->lease.owned && event->lease.owned != UINT64_MAX)
        SOMETIMES(two_admins_own);
    admin->owned = event->lease.owned;
}

static void step(struct world *world, struct admin *admin, struct scheduler_event *event)
{
    struct actions actions = { .arena = admin->arena };

    event->now_ms = admin_wall(world, admin);
    event->mono_ms = process_mono(world, &admin->process);
    note_leases(admin, event);
    world_trace(world, "event", admin->process.index, (int64_t)event->kind,
                (int64_t)event->reference);
    scheduler_step(admin->scheduler, event, &actions);
    for (size_t i = 0; i < actions.count && admin->process.up; i++) {
        world_trace(world, "action", admin->process.index, (int64_t)actions.items[i].kind,
                    (int64_t)actions.items[i].reference);
        if (world_fault(world, FAULT_action_crash)) {
            SOMETIMES(admin_died_in_step);
            admin_crash(world, admin, true);
            return;
        }
        carry_out(world, admin, &actions.items[i]);
    }
    arena_reset(admin->arena);
}

void admin_event(struct world *world, struct admin *admin, struct scheduler_event *event)
{
    if (admin->process.up)
        step(world, admin, event);
}

bool admin_request_open(struct admin *admin, uint64_t reference)
{
    return map_get(&admin->requests, (int64_t)reference) != NULL;
}

void admin_request_close(struct admin *admin, uint64_t reference)
{
    map_remove(&admin->requests, (int64_t)reference);
}

void admin_take_heartbeat(struct world *world, struct admin *admin, struct executor_load *load)
{
    struct scheduler_event event = { .kind = EVENT_HEARTBEAT, .heartbeat = { .load = load } };

    admin_event(world, admin, &event);
}

void admin_take_reports(struct world *world, struct admin *admin, int executor,
                        const char *incarnation, struct report *reports, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct handed_report *handed = ARENA_NEW(world->arena, struct handed_report);
        *handed = (struct handed_report){ .executor = executor,
                                          .run_id = reports[i].run_id,
                                          .attempt = reports[i].attempt,
                                          .token = reports[i].token,
                                          .kind = reports[i].kind };
        reports[i].ack = ++admin->next_ack;
        map_put(&admin->acks, (int64_t)reports[i].ack, handed);
    }
    struct scheduler_event event = { .kind = EVENT_REPORT,
                                     .report = { .executor = world->executors[executor].name,
                                                 .incarnation = incarnation,
                                                 .reports = reports,
                                                 .count = count } };
    admin_event(world, admin, &event);
}

/* --- life and death --------------------------------------------------------------------------- */

void admin_start(struct world *world, void *argument)
{
    struct admin *admin = argument;
    struct scheduler_event event = { .kind = EVENT_TICK };

    if (admin->process.up || (world->quiet && world->now > world->quiet_since))
        return;
    admin->process.up = true;
    admin->process.generation++;
    incarnation_make(world, admin->incarnation);
    if (!admin->arena)
        admin->arena = arena_new();
    admin->scheduler = scheduler_new(&world->settings);
    step(world, admin, &event);
}

void admin_crash(struct world *world, struct admin *admin, bool comes_back)
{
    if (!admin->process.up && comes_back)
        return;
    world_trace(world, "admin-crash", admin->process.index, comes_back, 0);
    admin->process.up = false;
    admin->process.generation++;
    scheduler_free(&admin->scheduler);
    map_done(&admin->requests);
    map_done(&admin->acks);
    if (comes_back)
        world_at(world, world->now + world_between(world, 50, 8000), NULL, admin_start, admin);
}
