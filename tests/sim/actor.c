#include "sim.h"

#include <string.h>

/*
 * People and programs: each act is one transaction at the store, as job-admin's API makes it, and
 * then a hint to every admin, which may be lost.
 */

struct hint {
    struct admin *admin;
    struct scheduler_event event;
    struct scheduler_job *job;
    struct scheduler_run run;
};

/* --- hints ------------------------------------------------------------------------------------ */

static void hint_arrives(struct world *world, void *argument)
{
    struct hint *hint = argument;

    admin_event(world, hint->admin, &hint->event);
}

static void hint_all(struct world *world, const struct sim_job *job, const struct sim_run *run,
                     enum event_kind kind)
{
    for (int i = 0; i < world->admin_count; i++) {
        struct hint *hint = ARENA_NEW(world->arena, struct hint);
        if (world_fault(world, FAULT_hint_loss))
            continue;
        hint->admin = &world->admins[i];
        hint->job = arena_copy(world->arena, &job->row, sizeof job->row);
        hint->event.kind = kind;
        if (run)
            hint->run = run->row;
        if (kind == EVENT_JOB)
            hint->event.job.job = hint->job;
        else if (kind == EVENT_JOB_GONE)
            hint->event.job_gone.job_id = job->row.id;
        else if (kind == EVENT_STOP) {
            hint->event.stop.run_id = run->row.id;
            hint->event.stop.cause = run->row.stop_cause;
        } else {
            hint->event.runs.runs = &hint->run;
            hint->event.runs.count = 1;
            hint->event.runs.jobs = &hint->job;
            hint->event.runs.job_count = world_chance(world, 700);
        }
        world_send(world, &world->store.process, &hint->admin->process, hint_arrives, hint);
    }
}

/* --- schedules -------------------------------------------------------------------------------- */

static const struct schedule *make_every(struct world *world, struct schedule *schedule)
{
    schedule->kind = SCHEDULE_EVERY;
    schedule->every_ms = world_between(world, 1, 12) * 500;
    schedule->start_ms = SIM_T0 + world_between(world, 0, 5000);
    return schedule;
}

static const struct schedule *make_cron(struct world *world, struct schedule *schedule)
{
    static const char *const texts[] = { "*/3 * * * * ?", "0/7 * * * * ?", "* * * * * ?",
                                         "1,2,20-23 * * * * ?" };
    struct cron *cron = ARENA_NEW(world->arena, struct cron);
    const char *text = texts[world_between(world, 0, 3)];

    if (cron_parse(str_of(text), CRON_QUARTZ, 1, cron, NULL) != 0)
        return make_every(world, schedule);
    schedule->kind = SCHEDULE_CRON;
    schedule->cron = cron;
    schedule->zone = zone_utc();
    return schedule;
}

static const struct schedule *make_at(struct world *world, struct schedule *schedule)
{
    size_t count = (size_t)world_between(world, 1, 12);
    int64_t *at = ARENA_ARRAY(world->arena, int64_t, count);
    int64_t last = SIM_T0 + world->now;

    for (size_t i = 0; i < count; i++)
        at[i] = last += world_between(world, 1, 9000);
    schedule->kind = SCHEDULE_AT;
    schedule->at_ms = at;
    schedule->at_count = count;
    return schedule;
}

static const struct schedule *make_schedule(struct world *world)
{
    struct schedule *schedule = ARENA_NEW(world->arena, struct schedule);
    int64_t kind = world_between(world, 0, 9);

    schedule->not_before_ms = INT64_MIN;
    schedule->not_after_ms = SCHEDULE_NEVER;
    if (kind < 4)
        return make_every(world, schedule);
    if (kind < 6)
        return make_cron(world, schedule);
    if (kind == 6)
        return make_at(world, schedule);
    if (kind == 9) {
        schedule->kind = SCHEDULE_MANUAL;
        return schedule;
    }
    schedule->kind = SCHEDULE_DELAY;
    schedule->delay_ms = world_between(world, 100, 5000);
    return schedule;
}

static int64_t first_fire(const struct schedule *schedule, int64_t now_ms)
{
    if (!schedule)
        return now_ms;
    return schedule->kind == SCHEDULE_DELAY ? schedule_next_delay(schedule, now_ms)
                                            : schedule_next(schedule, now_ms);
}

static void new_version(struct world *world, struct sim_job *job, int64_t now_ms)
{
    if (job->version_count == VERSION_MAX) {
        world_fail(world, "simulator: too many versions of a job");
        return;
    }
    job->versions[job->version_count++] = (struct sim_version){ .schedule = job->row.schedule,
                                                                .from_ms = now_ms,
                                                                .to_ms = INT64_MAX };
}

static void end_version(struct sim_job *job, int64_t now_ms)
{
    struct sim_version *last = job->version_count ? &job->versions[job->version_count - 1] : NULL;

    if (last && last->to_ms == INT64_MAX)
        last->to_ms = now_ms;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* --- acts ------------------------------------------------------------------------------------- */

static void choose_policies(struct world *world, struct scheduler_job *row)
{
    static const int64_t thresholds[] = { 500, 1500, 5000, 5000 };

    row->misfire = (enum misfire_policy)world_between(world, MISFIRE_ONCE, MISFIRE_SKIP);
    row->misfire_limit = (int32_t)world_between(world, 1, 5);
    row->misfire_threshold_ms = thresholds[world_between(world, 0, 3)];
    row->overlap = (enum overlap_policy)world_between(world, OVERLAP_SKIP, OVERLAP_PARALLEL);
    row->overlap_limit = (int32_t)world_between(world, 1, 3);
    row->promise = world_chance(world, 300) ? PROMISE_AT_MOST_ONCE : PROMISE_AT_LEAST_ONCE;
    row->retry_max = (int32_t)world_between(world, 0, 3);
    row->retry_first_ms = world_between(world, 100, 2000);
    row->retry_cap_ms = 4000;
    row->retry_timeouts = world_chance(world, 500);
    row->lost_max = (int32_t)world_between(world, 0, 5);
    row->priority = (int32_t)world_between(world, -3, 3);
    row->jitter_ms = world_chance(world, 200) ? world_between(world, 1, 8000) : 0;
    row->start_deadline_ms = world_chance(world, 150) ? world_between(world, 500, 8000) : 0;
    row->route = (enum route_policy)world_between(world, ROUTE_LEAST_LOADED, ROUTE_ROUND_ROBIN);
    if (!world_chance(world, 100))
        return;
    row->route = ROUTE_PINNED; /* it may never come back: such a run must be shed in the end */
    memcpy(row->route_executor, world->executors[0].name, sizeof row->route_executor);
    row->start_deadline_ms = world_between(world, 500, 8000);
}

static void create_job(struct world *world, int64_t now_ms)
{
    struct store *store = &world->store;

    if (store->job_count == JOB_MAX)
        return;
    struct sim_job *job = &store->jobs[store->job_count++];
    struct scheduler_job *row = &job->row;
    row->id = (int32_t)(store->job_count * 7 + 1);
    row->shard = row->id % SHARD_COUNT;
    row->version = row->schedule_version = 1;
    row->enabled = true;
    row->schedule = make_schedule(world);
    row->next_fire_at = first_fire(row->schedule, now_ms);
    choose_policies(world, row);
    job->duration_ms = world_chance(world, 300) ? 9000 : world_between(world, 10, 1500);
    job->fail_permille = world_chance(world, 400) ? 300 : 0;
    job->timeout_permille = world_chance(world, 200) ? 300 : 0;
    new_version(world, job, now_ms);
    if (world_fault(world, FAULT_poison)) {
        row->schedule = NULL;
        job->version_count = 0;
    }
    world_trace(world, "create", row->id, job->version_count ? (int)row->schedule->kind : -1,
                row->overlap);
    hint_all(world, job, NULL, EVENT_JOB);
}

/*
 * PLANNED rows later than now go with the edit. Where its clock is behind that of the edit before,
 * they are of an older version, which is over sooner then.
 */
static void remove_planned(struct world *world, struct sim_job *job, int64_t now_ms)
{
    struct store *store = &world->store;

    for (size_t i = 0; i + 1 < job->version_count; i++)
        job->versions[i].to_ms = least(job->versions[i].to_ms, now_ms);
    for (size_t i = 0; i < store->run_count; i++) {
        struct sim_run *run = store->all[i];
        if (run->deleted || run->row.job_id != job->row.id || run->row.state != RUN_PLANNED ||
            !run->row.scheduled || run->row.fire_at <= now_ms)
            continue;
        run->deleted = true;
        world_trace(world, "remove", run->row.id, job->row.id, run->row.fire_at - SIM_T0);
    }
}

static void gap_between(struct world *world, const struct sim_job *job, int64_t from_ms,
                        int64_t to_ms, enum cause cause)
{
    const struct schedule *schedule = job->row.schedule;
    int64_t first = schedule_next(schedule, from_ms - 1);

    if (first > to_ms)
        return;
    struct plan_gap gap = { .from_ms = first,
                            .to_ms = schedule_previous(schedule, to_ms + 1),
                            .count = schedule_count(schedule, from_ms - 1, to_ms, 1000000),
                            .cause = cause };
    store_gap(world, job->row.id, &gap);
}

/* Every fire up to now that is not decided is decided by the edit itself. */
static void close_out(struct world *world, struct sim_job *job, int64_t now_ms, enum cause cause)
{
    struct scheduler_job *row = &job->row;
    int64_t next = row->next_fire_at;

    if (!row->schedule || row->schedule->kind == SCHEDULE_DELAY || !row->enabled)
        return;
    if (!row->paused_until) {
        if (next <= now_ms)
            gap_between(world, job, next, now_ms, cause);
        return;
    }
    if (next <= row->paused_at)
        gap_between(world, job, next, least(row->paused_at, now_ms), cause);
    gap_between(world, job, row->paused_at + 1, least(row->paused_until - 1, now_ms), CAUSE_PAUSED);
    if (row->paused_until <= now_ms)
        gap_between(world, job, most(next, row->paused_until), now_ms, cause);
}

static void carry_pause(struct scheduler_job *row, int64_t now_ms)
{
    if (row->paused_until > now_ms)
        row->paused_at = now_ms;
    else
        row->paused_at = row->paused_until = 0;
}

static void edit_job(struct world *world, struct sim_job *job, int64_t now_ms)
{
    struct scheduler_job *row = &job->row;

    if (!row->enabled || !row->schedule)
        return;
    SOMETIMES(job_edited);
    row->version++;
    choose_policies(world, row);
    if (world_chance(world, 700)) { /* the schedule too */
        close_out(world, job, now_ms, CAUSE_EDITED);
        carry_pause(row, now_ms);
        remove_planned(world, job, now_ms);
        end_version(job, now_ms);
        row->schedule = make_schedule(world);
        row->schedule_version++;
        row->next_fire_at = first_fire(row->schedule, now_ms);
        new_version(world, job, now_ms);
    }
    world_trace(world, "edit", row->id, row->version, row->schedule_version);
    hint_all(world, job, NULL, EVENT_JOB);
}

/* A pause that is over, but whose gap no plan has written yet, gives way to another. */
static void settle_pause(struct world *world, const struct sim_job *job)
{
    const struct scheduler_job *row = &job->row;

    if (!row->paused_until || row->schedule->kind == SCHEDULE_DELAY)
        return;
    if (row->next_fire_at <= row->paused_at)
        gap_between(world, job, row->next_fire_at, row->paused_at, CAUSE_PAUSED);
    gap_between(world, job, row->paused_at + 1, row->paused_until - 1, CAUSE_PAUSED);
}

static void pause_job(struct world *world, struct sim_job *job, int64_t now_ms)
{
    struct scheduler_job *row = &job->row;

    if (!row->enabled || !row->schedule || row->paused_until > now_ms)
        return;
    settle_pause(world, job);
    remove_planned(world, job, now_ms);
    int64_t until = now_ms + world_between(world, 500, 20000);
    if (row->schedule->kind == SCHEDULE_DELAY) /* an edit never leaves it parked: see scheduler.h */
        row->next_fire_at = least(row->next_fire_at, until);
    else if (row->paused_until && row->next_fire_at < row->paused_until)
        row->next_fire_at = schedule_next(row->schedule, row->paused_until - 1);
    else
        row->next_fire_at = least(row->next_fire_at, first_fire(row->schedule, now_ms));
    row->paused_at = now_ms;
    row->paused_until = until;
    row->schedule_version++;
    world_trace(world, "pause", row->id, row->paused_at - SIM_T0, row->paused_until - SIM_T0);
    hint_all(world, job, NULL, EVENT_JOB);
}

/* Ends a pause early. What is planned for after it is not due yet, so it goes as well. */
static void resume_job(struct world *world, struct sim_job *job, int64_t now_ms)
{
    struct scheduler_job *row = &job->row;

    if (!row->enabled || !row->schedule || row->paused_until <= now_ms || row->paused_at >= now_ms)
        return;
    if (row->next_fire_at <= row->paused_at && row->schedule->kind != SCHEDULE_DELAY)
        gap_between(world, job, row->next_fire_at, row->paused_at, CAUSE_EDITED);
    SOMETIMES(job_resumed);
    remove_planned(world, job, now_ms);
    row->paused_until = now_ms;
    row->schedule_version++;
    row->next_fire_at = row->schedule->kind == SCHEDULE_DELAY
                            ? now_ms + 1
                            : schedule_next(row->schedule, now_ms - 1);
    world_trace(world, "resume", row->id, now_ms - SIM_T0, 0);
    hint_all(world, job, NULL, EVENT_JOB);
}

static void disable_job(struct world *world, struct sim_job *job, int64_t now_ms)
{
    struct scheduler_job *row = &job->row;

    if (!row->enabled)
        return;
    close_out(world, job, now_ms, CAUSE_DISABLED);
    remove_planned(world, job, now_ms);
    end_version(job, now_ms);
    row->paused_at = row->paused_until = 0;
    row->enabled = false;
    row->schedule_version++;
    row->next_fire_at = SCHEDULE_NEVER;
    world_trace(world, "disable", row->id, now_ms - SIM_T0, 0);
    hint_all(world, job, NULL, EVENT_JOB);
}

static void enable_job(struct world *world, struct sim_job *job, int64_t now_ms)
{
    struct scheduler_job *row = &job->row;

    if (row->enabled || !row->schedule)
        return;
    row->enabled = true;
    row->schedule_version++;
    row->next_fire_at = first_fire(row->schedule, now_ms);
    new_version(world, job, now_ms);
    world_trace(world, "enable", row->id, now_ms - SIM_T0, 0);
    hint_all(world, job, NULL, EVENT_JOB);
}

static void stop_run(struct world *world, const struct sim_job *job, struct sim_run *run,
                     enum cause cause)
{
    run->row.stop_requested = true;
    run->row.stop_cause = cause;
    world_trace(world, "stop", run->row.id, cause, 0);
    hint_all(world, job, run, EVENT_STOP);
}

static void delete_job(struct world *world, struct sim_job *job, int64_t now_ms)
{
    struct store *store = &world->store;

    disable_job(world, job, now_ms);
    SOMETIMES(job_deleted);
    job->deleted = true;
    for (size_t i = 0; i < store->run_count; i++)
        if (run_live(store->all[i]) && store->all[i]->row.job_id == job->row.id)
            stop_run(world, job, store->all[i], CAUSE_DELETED);
    world_trace(world, "delete", job->row.id, 0, 0);
    hint_all(world, job, NULL, EVENT_JOB_GONE);
}

static void trigger_job(struct world *world, const struct sim_job *job, int64_t now_ms)
{
    struct scheduler_run row = { .job_id = job->row.id,
                                 .shard = job->row.shard,
                                 .state = RUN_PLANNED,
                                 .priority = job->row.priority,
                                 .fire_at = now_ms };

    SOMETIMES(manual_run);
    hint_all(world, job, store_insert(world, &row), EVENT_RUNS);
}

static void stop_some_run(struct world *world, const struct sim_job *job)
{
    struct store *store = &world->store;

    for (size_t i = store->run_count; i-- > 0;) {
        struct sim_run *run = store->all[i];
        if (!run_live(run) || run->row.job_id != job->row.id || run->row.stop_requested)
            continue;
        if (world_chance(world, 500)) {
            stop_run(world, job, run, CAUSE_STOPPED);
            return;
        }
    }
}

/* --- when ------------------------------------------------------------------------------------- */

static int64_t api_now(struct world *world)
{
    bool skewed = world_fault(world, FAULT_api_skew);

    return SIM_T0 + world->now + (skewed ? world_between(world, -4000, 1000) : 0);
}

static void act_on(struct world *world, struct sim_job *job, int64_t now_ms)
{
    switch (world_between(world, 0, 19)) {
    case 0:
    case 1:
    case 2:
        return edit_job(world, job, now_ms);
    case 3:
    case 4:
    case 5:
        return pause_job(world, job, now_ms);
    case 6:
    case 7:
        return resume_job(world, job, now_ms);
    case 8:
        return disable_job(world, job, now_ms);
    case 9:
    case 10:
        return enable_job(world, job, now_ms);
    case 11:
        if (world_chance(world, 200))
            delete_job(world, job, now_ms);
        return;
    case 12:
    case 13:
    case 14:
        return stop_some_run(world, job);
    default:
        return trigger_job(world, job, now_ms);
    }
}

static void act(struct world *world, void *argument)
{
    struct store *store = &world->store;
    (void)argument;

    if (world->now >= SAFETY_MS + LIVELY_MS)
        return;
    world_at(world, world->now + world_between(world, 200, 3000), NULL, act, NULL);
    if (!store->process.up)
        return;
    late_writes_resolve(world);
    struct sim_job *job = &store->jobs[world_between(world, 0, (int64_t)store->job_count - 1)];
    int64_t now_ms = api_now(world);
    if (world_chance(world, 30))
        create_job(world, now_ms);
    else if (!job->deleted)
        act_on(world, job, now_ms);
}

void actor_start(struct world *world)
{
    int64_t count = world_between(world, 1, 10);

    while (count-- > 0)
        create_job(world, SIM_T0);
    world_at(world, 2000, NULL, act, NULL);
}

void actor_disable_all(struct world *world)
{
    late_writes_resolve(world);
    check_delays(world);
    for (size_t i = 0; i < world->store.job_count; i++)
        if (!world->store.jobs[i].deleted)
            disable_job(world, &world->store.jobs[i], SIM_T0 + world->now);
}
