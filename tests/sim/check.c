#include "sim.h"

#include <string.h>

enum { PLAN_LATE_MS = 3000 };

/*
 * The checkers of specs/reliability 1.3 that a simulated world can run: K2, K3, K4, K6, K10, and
 * that overlap policies hold in the store. K2, K6 and overlap look at every change, the others at
 * the end.
 */

static long long shown(int64_t utc_ms)
{
    return (long long)(utc_ms - SIM_T0);
}

/* --- K6: legal transitions -------------------------------------------------------------------- */

static int compare_rank(const struct scheduler_run *a, const struct scheduler_run *b)
{
    if (a->attempt != b->attempt)
        return a->attempt < b->attempt ? -1 : 1;
    if (a->token != b->token)
        return a->token < b->token ? -1 : 1;
    return run_state_rank(a->state) - run_state_rank(b->state);
}

static void note_state(enum run_state state)
{
    static const int sites[RUN_STATE_LIMIT] = {
        [RUN_WAITING] = SITE_state_waiting,   [RUN_READY] = SITE_state_ready,
        [RUN_RUNNING] = SITE_state_running,   [RUN_RETRY_WAIT] = SITE_state_retry_wait,
        [RUN_SUCCEEDED] = SITE_end_succeeded, [RUN_FAILED] = SITE_end_failed,
        [RUN_TIMED_OUT] = SITE_end_timed_out, [RUN_CANCELLED] = SITE_end_cancelled,
        [RUN_SKIPPED] = SITE_end_skipped,     [RUN_SHED] = SITE_end_shed,
        [RUN_UNKNOWN] = SITE_end_unknown,
    };

    if (sites[state])
        site_hits[sites[state]]++;
}

static void note_cause(const struct scheduler_run *next, enum cause cause)
{
    if (cause == CAUSE_OVERLAP)
        SOMETIMES(cause_overlap);
    if (cause == CAUSE_QUEUE_FULL)
        SOMETIMES(cause_queue_full);
    if (cause == CAUSE_REPLACED)
        SOMETIMES(cause_replaced);
    if (cause == CAUSE_STOPPED)
        SOMETIMES(cause_stopped);
    if (cause == CAUSE_DELETED)
        SOMETIMES(cause_deleted);
    if (cause == CAUSE_LOST)
        SOMETIMES(cause_lost);
    if (cause == CAUSE_LOST && next->state == RUN_FAILED)
        SOMETIMES(lost_at_last);
    if (next->attempt > 1 && next->state == RUN_READY)
        SOMETIMES(attempt_second);
    if (next->state == RUN_SUCCEEDED && next->stop_requested)
        SOMETIMES(result_after_stop_succeeded);
}

static bool counts_active(enum run_state state)
{
    return state >= RUN_READY && state <= RUN_RETRY_WAIT;
}

/* --- overlap ---------------------------------------------------------------------------------- */

/* A run that becomes active must be allowed beside those that are. */
static void check_overlap(struct world *world, const struct scheduler_run *next)
{
    const struct sim_job *job = store_job(&world->store, next->job_id);
    int32_t active = 0;

    if (world->faults >> FAULT_db_race & 1)
        return; /* two owners may judge at the same moment; each run stays single */
    for (size_t i = 0; i < world->store.run_count; i++) {
        const struct sim_run *run = world->store.all[i];
        active += run_live(run) && run->row.job_id == next->job_id && run->row.id != next->id &&
                  counts_active(run->row.state);
    }
    int32_t limit = job->row.overlap == OVERLAP_PARALLEL ? job->row.overlap_limit : 1;
    if (active >= limit && job->row.version == 1)
        world_fail(world, "overlap: run %lld of job %d becomes active beside %d others",
                   (long long)next->id, next->job_id, active);
}

/* K4: once the faults are over and forgotten, nothing is lost. */
static void check_economy(struct world *world, const struct scheduler_run *next, enum cause cause)
{
    if (world->quiet && world->now > world->quiet_since + SETTLE_MS && cause == CAUSE_LOST)
        world_fail(world, "K4: run %lld counts as lost while nothing fails", (long long)next->id);
}

void check_transition(struct world *world, const struct scheduler_run *old,
                      const struct scheduler_run *next, enum cause cause)
{
    world_trace(world, run_state_name(next->state), next->id, next->attempt, next->token);
    note_state(next->state);
    note_cause(next, cause);
    if (run_state_terminal(old->state))
        world_fail(world, "K6: run %lld was %s for good, and became %s", (long long)next->id,
                   run_state_name(old->state), run_state_name(next->state));
    else if (!run_edge_legal(old->state, next->state))
        world_fail(world, "K6: run %lld went from %s to %s", (long long)next->id,
                   run_state_name(old->state), run_state_name(next->state));
    else if (compare_rank(old, next) >= 0)
        world_fail(world, "K6: attempt, token or rank of run %lld did not grow (%s to %s)",
                   (long long)next->id, run_state_name(old->state), run_state_name(next->state));
    if (next->state == RUN_RETRY_WAIT && cause == CAUSE_NONE)
        world_fail(world, "K2: run %lld gets another attempt without a cause", (long long)next->id);
    if (!counts_active(old->state) && counts_active(next->state))
        check_overlap(world, next);
    check_economy(world, next, cause);
}

/* --- K2: every start granted, every fire legal ------------------------------------------------ */

static int64_t clock_error(const struct world *world)
{
    return (world->faults >> FAULT_skew & 1 ? 2000 : 0) +
           (world->faults >> FAULT_clock_jump & 1 ? 6000 : 0) +
           (world->faults >> FAULT_api_skew & 1 ? 1000 : 0);
}

static bool fire_legal(const struct schedule *schedule, int64_t fire_at)
{
    if (schedule->kind == SCHEDULE_DELAY)
        return true; /* follows an end, or a pause */
    return schedule_next(schedule, fire_at - 1) == fire_at;
}

/* K9: with nothing failing, a fire is planned before its time, or soon after the edit that made it.
 */
static void check_planned_in_time(struct world *world, const struct sim_run *run)
{
    int64_t late = SIM_T0 + world->now - run->row.fire_at;
    int64_t fired = run->row.fire_at - SIM_T0;

    if (store_job(&world->store, run->row.job_id)->row.schedule->kind == SCHEDULE_DELAY)
        return; /* counts from an end that may have been reported late */
    if (world->quiet && fired > world->quiet_since + SETTLE_MS &&
        late > PLAN_LATE_MS + clock_error(world))
        world_fail(world, "K9: the fire of job %d at %lld is planned %lld ms late", run->row.job_id,
                   shown(run->row.fire_at), (long long)late);
}

void check_inserted(struct world *world, const struct sim_run *run)
{
    const struct sim_job *job = store_job(&world->store, run->row.job_id);

    if (!run->row.scheduled)
        return;
    if (!job->row.enabled || job->deleted || !job->row.schedule ||
        !fire_legal(job->row.schedule, run->row.fire_at))
        world_fail(world, "K2: job %d has no fire at %lld", job->row.id, shown(run->row.fire_at));
    check_planned_in_time(world, run);
    for (size_t i = 0; i < world->store.run_count; i++) {
        const struct sim_run *other = world->store.all[i];
        if (other != run && !other->deleted && other->row.scheduled &&
            other->row.job_id == run->row.job_id && other->row.fire_at == run->row.fire_at)
            world_fail(world, "K2: the fire of job %d at %lld was decided twice", job->row.id,
                       shown(run->row.fire_at));
    }
}

static struct sim_grant *find_grant(struct sim_run *run, int32_t attempt, int32_t token)
{
    for (size_t i = 0; i < run->grant_count; i++)
        if (run->grants[i].attempt == attempt && run->grants[i].token == token)
            return &run->grants[i];
    return NULL;
}

static void check_attempt_once(struct world *world, const struct sim_run *run, int32_t attempt)
{
    int starts = 0;

    for (size_t i = 0; i < run->grant_count; i++)
        starts += run->grants[i].attempt == attempt && run->grants[i].started;
    if (starts > 1)
        world_fail(world, "K2: attempt %d of run %lld started %d times", attempt,
                   (long long)run->row.id, starts);
}

void check_started(struct world *world, const struct executor_node *executor,
                   const struct task *task)
{
    struct sim_run *run = map_get(&world->store.runs, task->run_id);
    struct sim_grant *grant = run ? find_grant(run, task->attempt, task->token) : NULL;
    (void)executor;

    if (!grant) {
        world_fail(world, "K2: run %lld started without a grant", (long long)task->run_id);
        return;
    }
    const struct sim_job *job = store_job(&world->store, task->job_id);
    if (grant->started)
        world_fail(world, "K2: a grant of run %lld was used twice", (long long)task->run_id);
    grant->started = true;
    run->starts++;
    check_attempt_once(world, run, task->attempt);
    if (job->row.promise == PROMISE_AT_MOST_ONCE && job->row.version == 1 && run->starts > 1)
        world_fail(world, "K2: run %lld of an at-most-once job started twice",
                   (long long)task->run_id);
    if (SIM_T0 + world->now < run->start_at - clock_error(world))
        world_fail(world, "K2: run %lld started before its time", (long long)task->run_id);
}

/* --- K3: no silent miss ----------------------------------------------------------------------- */

/* Rows of the fire. One that was stopped ahead of its time may lie in a gap that came later. */
static int count_rows(const struct world *world, int32_t job_id, int64_t fire_at, bool *ret_open,
                      bool *ret_stopped)
{
    int count = 0;

    for (size_t i = 0; i < world->store.run_count; i++) {
        const struct sim_run *run = world->store.all[i];
        if (run->deleted || !run->row.scheduled || run->row.job_id != job_id ||
            run->row.fire_at != fire_at)
            continue;
        count++;
        *ret_open |= !run_state_terminal(run->row.state);
        *ret_stopped |= run->row.state == RUN_CANCELLED;
    }
    return count;
}

static int count_gaps(const struct world *world, int32_t job_id, int64_t fire_at)
{
    int count = 0;

    for (size_t i = 0; i < world->store.gap_count; i++) {
        const struct sim_gap *gap = &world->store.gaps[i];
        count += gap->job_id == job_id && gap->gap.from_ms <= fire_at && fire_at <= gap->gap.to_ms;
    }
    return count;
}

static void check_fire(struct world *world, const struct sim_job *job, int64_t fire_at)
{
    bool open = false, overlaps = false;
    int rows = count_rows(world, job->row.id, fire_at, &open, &overlaps);
    int gaps = count_gaps(world, job->row.id, fire_at);
    /* what a wrong clock edits, or calls over, reaches back into what was decided */
    overlaps |= world->faults & (1u << FAULT_api_skew | 1u << FAULT_skew | 1u << FAULT_clock_jump);

    if (rows == 0 && gaps == 0)
        world_fail(world, "K3: the fire of job %d at %lld was missed", job->row.id, shown(fire_at));
    if (rows > 1 || (rows + gaps > 1 && !overlaps))
        world_fail(world, "K3: the fire of job %d at %lld was decided twice: %d rows, %d gaps",
                   job->row.id, shown(fire_at), rows, gaps);
    if (open)
        world_fail(world, "K3: the fire of job %d at %lld has no end", job->row.id, shown(fire_at));
}

static void check_versions(struct world *world, const struct sim_job *job)
{
    for (size_t i = 0; i < job->version_count; i++) {
        const struct sim_version *version = &job->versions[i];
        if (version->schedule->kind == SCHEDULE_DELAY)
            continue;
        int64_t fire = schedule_next(version->schedule, version->from_ms);
        for (; fire <= version->to_ms && fire != SCHEDULE_NEVER && !world->failed;
             fire = schedule_next(version->schedule, fire))
            check_fire(world, job, fire);
    }
}

static void check_gap_counts(struct world *world)
{
    for (size_t i = 0; i < world->store.gap_count; i++) {
        const struct plan_gap *gap = &world->store.gaps[i].gap;
        if (gap->count < 1 || gap->from_ms > gap->to_ms ||
            (gap->count == 1) != (gap->from_ms == gap->to_ms))
            world_fail(world, "K3: a gap of job %d from %lld to %lld counts %lld",
                       world->store.gaps[i].job_id, shown(gap->from_ms), shown(gap->to_ms),
                       (long long)gap->count);
    }
}

/* A delay job that is parked waits for the end of a run, so there must be one. */
void check_delays(struct world *world)
{
    for (size_t i = 0; i < world->store.job_count; i++) {
        const struct sim_job *job = &world->store.jobs[i];
        bool live = false;
        if (job->deleted || !job->row.enabled || !job->row.schedule ||
            job->row.schedule->kind != SCHEDULE_DELAY || job->row.next_fire_at != SCHEDULE_NEVER)
            continue;
        for (size_t k = 0; k < world->store.run_count; k++)
            live |= run_live(world->store.all[k]) && world->store.all[k]->row.scheduled &&
                    world->store.all[k]->row.job_id == job->row.id;
        if (!live)
            world_fail(world, "K3: delay job %d is parked for ever", job->row.id);
    }
}

/* --- K10: back to rest ------------------------------------------------------------------------ */

static uint64_t memory_runs(const struct scheduler_counters *counters)
{
    return counters->armed + counters->ready + counters->waiting + counters->active +
           counters->retrying;
}

static const struct sim_run *first_live(const struct world *world)
{
    for (size_t i = 0; i < world->store.run_count; i++)
        if (run_live(world->store.all[i]))
            return world->store.all[i];
    return NULL;
}

static bool spools_empty(const struct world *world)
{
    for (int i = 0; i < world->executor_count; i++)
        if (world->executors[i].process.up && world->executors[i].tasks)
            return false;
    return true;
}

static bool admins_empty(const struct world *world)
{
    for (int i = 0; i < world->admin_count; i++) {
        struct scheduler_counters counters;
        if (!world->admins[i].process.up)
            continue;
        scheduler_counters(world->admins[i].scheduler, &counters);
        if (memory_runs(&counters) > 0 || world->admins[i].acks.count > 0)
            return false;
    }
    return true;
}

bool check_idle(const struct world *world)
{
    return !first_live(world) && spools_empty(world) && admins_empty(world);
}

static void check_rest(struct world *world)
{
    const struct sim_run *run = first_live(world);

    if (run)
        world_fail(world, "K10: run %lld of job %d is still %s", (long long)run->row.id,
                   run->row.job_id, run_state_name(run->row.state));
    else if (!spools_empty(world))
        world_fail(world, "K10: an executor still has what it could not report");
    else if (!admins_empty(world))
        world_fail(world, "K10: an admin remembers runs that have ended, or owes an answer");
}

void check_end(struct world *world)
{
    check_rest(world);
    check_gap_counts(world);
    for (size_t i = 0; i < world->store.job_count; i++)
        check_versions(world, &world->store.jobs[i]);
}
