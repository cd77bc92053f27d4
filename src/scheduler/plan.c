#include "scheduler/scheduler-private.h"

#include <string.h>

/*
 * From a job's next_fire_at to runs, gaps and the next next_fire_at. One item of a PLAN is one
 * job; it is applied whole or not at all, so a fire is decided exactly once.
 */

enum { PLANS_OUT_MAX = 4, SCAN_EXTRA_MAX = 100000 };

/* An item being made. Runs and gaps are few: fires_per_plan and two. */
struct plan {
    const struct scheduler *s;
    const struct job *job;
    struct plan_run *runs;
    struct plan_gap *gaps;
    size_t run_count, run_limit, gap_count;
    int64_t until; /* last instant that may be planned now */
};

static int64_t next_fire(const struct job *job, int64_t after)
{
    int64_t next = schedule_next(job->schedule, after);

    return next > after ? next : SCHEDULE_NEVER;
}

static bool is_delay(const struct job *job)
{
    return job->schedule->kind == SCHEDULE_DELAY;
}

static void add_run(struct plan *plan, int64_t fire_at, enum run_state state, enum cause cause)
{
    plan->runs[plan->run_count++] =
        (struct plan_run){ .fire_at = fire_at, .state = state, .cause = cause };
}

/* Fires that are caught up start at once. */
static void spread(struct plan_run *runs, size_t count, const struct job *job)
{
    for (size_t i = 0; i < count && job->jitter_ms > 0; i++)
        if (runs[i].state == RUN_PLANNED && runs[i].cause == CAUSE_SCHEDULE)
            runs[i].start_at =
                runs[i].fire_at + scheduler_jitter(job->id, runs[i].fire_at, job->jitter_ms);
}

static void add_gap(struct plan *plan, int64_t from_ms, int64_t to_ms, int64_t count,
                    enum cause cause)
{
    plan->gaps[plan->gap_count++] =
        (struct plan_gap){ .from_ms = from_ms, .to_ms = to_ms, .count = count, .cause = cause };
}

/* Fires from first, which counts as one whatever the schedule says, to last. */
static int64_t count_fires(const struct job *job, int64_t first, int64_t last)
{
    return 1 + (last > first ? schedule_count(job->schedule, first, last, INT64_MAX - 1) : 0);
}

/* Newest fire in [first, before), where first is a fire itself. */
static int64_t last_before(const struct job *job, int64_t first, int64_t before)
{
    int64_t last = schedule_previous(job->schedule, before);

    return last > first ? last : first;
}

static void missed_once(struct plan *plan, int64_t first, int64_t last)
{
    if (last > first) {
        int64_t older = last_before(plan->job, first, last);
        add_gap(plan, first, older, count_fires(plan->job, first, older), CAUSE_MISFIRE_MERGED);
    }
    add_run(plan, last, RUN_PLANNED, CAUSE_MISFIRE);
}

static void missed_skip(struct plan *plan, int64_t first, int64_t last)
{
    if (last == first)
        add_run(plan, first, RUN_SKIPPED, CAUSE_MISFIRE_SKIPPED);
    else
        add_gap(plan, first, last, count_fires(plan->job, first, last), CAUSE_MISFIRE_SKIPPED);
}

/* The newest misfire_limit of them; of these, as many as an item holds: the rest comes next. */
static int64_t missed_all(struct plan *plan, int64_t first, int64_t last)
{
    const struct job *job = plan->job;
    int64_t oldest = last;

    for (int32_t i = 1; i < job->misfire_limit && oldest > first; i++)
        oldest = last_before(job, first, oldest);
    if (oldest > first) {
        int64_t older = last_before(job, first, oldest);
        add_gap(plan, first, older, count_fires(job, first, older), CAUSE_MISFIRE_LIMIT);
    }
    int64_t fire = oldest;
    while (fire <= last && plan->run_count < plan->run_limit) {
        add_run(plan, fire, RUN_PLANNED, CAUSE_MISFIRE);
        fire = next_fire(job, fire);
    }
    return fire;
}

/* Fires later than the threshold, from first to the newest before cut. Returns the one after. */
static int64_t plan_missed(struct plan *plan, int64_t first, int64_t cut)
{
    int64_t last = last_before(plan->job, first, cut);

    switch ((enum misfire_policy)plan->job->misfire) {
    case MISFIRE_ONCE:
        missed_once(plan, first, last);
        return next_fire(plan->job, last);
    case MISFIRE_SKIP:
        missed_skip(plan, first, last);
        return next_fire(plan->job, last);
    case MISFIRE_ALL:
        return missed_all(plan, first, last);
    }
    return SCHEDULE_NEVER;
}

/* Fires from fire up to limit (not included); returns the first that is not planned. */
static int64_t plan_fires(struct plan *plan, int64_t fire, int64_t limit)
{
    int64_t cut = plan->s->now_ms - plan->job->misfire_threshold_ms;

    if (fire < cut && fire < limit)
        fire = plan_missed(plan, fire, cut < limit ? cut : limit);
    while (fire < limit && fire <= plan->until && plan->run_count < plan->run_limit) {
        add_run(plan, fire, RUN_PLANNED, CAUSE_SCHEDULE);
        fire = next_fire(plan->job, fire);
    }
    return fire;
}

static bool in_pause(const struct job *job, int64_t fire)
{
    return job->paused_until > 0 && fire > job->paused_at && fire < job->paused_until;
}

static void gap_of_pause(struct plan *plan)
{
    const struct job *job = plan->job;
    int64_t last_ms = job->paused_until - 1;
    int64_t count = schedule_count(job->schedule, job->paused_at, last_ms, INT64_MAX - 1);

    if (count > 0)
        add_gap(plan, schedule_next(job->schedule, job->paused_at),
                schedule_previous(job->schedule, job->paused_until), count, CAUSE_PAUSED);
}

static int64_t first_after_pause(const struct job *job)
{
    if (job->paused_until == SCHEDULE_NEVER || is_delay(job))
        return job->paused_until;
    return next_fire(job, job->paused_until - 1);
}

/*
 * Fires before the pause are planned as ever, those in it are jumped, those after it planned ahead.
 * Its gap waits until it is over: until then it may be changed.
 */
static int64_t plan_around_pause(struct plan *plan, int64_t fire, bool *ret_clear)
{
    const struct job *job = plan->job;

    if (job->paused_until <= 0)
        return plan_fires(plan, fire, SCHEDULE_NEVER);
    if (fire <= job->paused_at)
        fire = plan_fires(plan, fire, job->paused_at + 1);
    if (in_pause(job, fire))
        fire = first_after_pause(job);
    if (fire < job->paused_until)
        return fire;
    if (plan->s->now_ms >= job->paused_until) {
        gap_of_pause(plan);
        *ret_clear = true;
    }
    return plan_fires(plan, fire, SCHEDULE_NEVER);
}

/* After a delay job's only fire it is parked: the end of its run tells the next one. */
static int64_t next_of_delay(const struct plan *plan, int64_t next)
{
    if (plan->run_count == 0)
        return next;
    if (plan->runs[0].state != RUN_SKIPPED)
        return SCHEDULE_NEVER;
    return schedule_next_delay(plan->job->schedule, plan->s->now_ms);
}

bool plan_job(struct scheduler *s, struct arena *arena, const struct job *job,
              struct plan_item *item, bool *ret_bad)
{
    size_t limit = (size_t)s->settings.fires_per_plan;
    struct plan plan = { .s = s,
                         .job = job,
                         .run_limit = limit,
                         .runs = ARENA_ARRAY(arena, struct plan_run, limit + 1),
                         .gaps = ARENA_ARRAY(arena, struct plan_gap, 4),
                         .until = s->now_ms + s->settings.horizon_ms };
    bool clear = false;

    *ret_bad = !job->schedule;
    if (!job->schedule || job->next_fire_at > plan.until)
        return false;
    int64_t next = plan_around_pause(&plan, job->next_fire_at, &clear);
    if (is_delay(job))
        next = next_of_delay(&plan, next);
    if (next <= job->next_fire_at) {
        *ret_bad = true; /* a schedule that does not advance */
        return false;
    }
    spread(plan.runs, plan.run_count, job);
    *item = (struct plan_item){
        .job_id = job->id,
        .shard = shard_of_job(job->id),
        .schedule_version = job->schedule_version,
        .epoch = s->shards[shard_of_job(job->id)].epoch,
        .next_fire_at = job->next_fire_at,
        .new_next_fire_at = next,
        .clear_pause = clear,
        .runs = plan.runs,
        .run_count = plan.run_count,
        .gaps = plan.gaps,
        .gap_count = plan.gap_count,
    };
    return true;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* NULL becomes a time, if it still is NULL. */
static void plan_stranded(struct scheduler *s, struct flight *flight, struct job *job)
{
    flight->items[flight->count++] = (struct plan_item){
        .job_id = job->id,
        .shard = shard_of_job(job->id),
        .schedule_version = job->schedule_version,
        .epoch = job_shard(s, job)->epoch,
        .next_fire_at = SCHEDULE_NEVER,
        .new_next_fire_at = schedule_next_delay(job->schedule, s->now_ms),
    };
    job->planning = true;
    job->adrift = false;
}

static bool plan_one(struct scheduler *s, struct flight *flight)
{
    struct job *job = CONTAINER_OF(s->plannable.next, struct job, plan_link);
    bool bad = false;

    list_remove(&job->plan_link);
    if (job_stranded(s, job)) {
        plan_stranded(s, flight, job);
        return true;
    }
    if (!job_plannable(s, job))
        return false;
    if (!plan_job(s, flight->arena, job, &flight->items[flight->count], &bad)) {
        s->counters.bad_rows += bad;
        if (bad)
            job->schedule = NULL;
        job_settle(s, job);
        return false;
    }
    job->planning = true;
    flight->count++;
    return true;
}

static void plan_batch(struct scheduler *s)
{
    size_t limit = (size_t)s->settings.plan_batch;
    struct flight *flight = flight_new(s, ACTION_PLAN);

    flight->items = ARENA_ARRAY(flight->arena, struct plan_item, limit);
    while (flight->count < limit && !list_empty(&s->plannable))
        plan_one(s, flight);
    if (flight->count == 0) {
        flight_free(s, flight);
        return;
    }
    struct action *action = action_add(s, ACTION_PLAN);
    action->plan.items = flight->items;
    action->plan.count = flight->count;
    flight_track(s, flight, action->reference);
    s->plans_out++;
}

static void scan(struct scheduler *s)
{
    struct action *action = action_add(s, ACTION_SCAN);

    for (int i = 0; i < SHARD_COUNT; i++)
        if (s->shards[i].use == SHARD_LOADED)
            action->scan.shards |= UINT64_C(1) << i;
    action->scan.horizon_ms = s->now_ms + s->settings.horizon_ms;
    action->scan.limit = (uint32_t)s->settings.plan_batch * PLANS_OUT_MAX + s->scan_extra;
    s->scanning = true;
    s->scan_more = false;
    s->scan_stamp = s->stamp;
    s->scan_at = s->mono_ms + s->settings.scan_interval_ms;
}

static bool any_loaded(const struct scheduler *s)
{
    for (int i = 0; i < SHARD_COUNT; i++)
        if (s->shards[i].use == SHARD_LOADED)
            return true;
    return false;
}

bool plan_wanted(const struct scheduler *s)
{
    return !s->scanning && !s->draining && any_loaded(s);
}

void plan_work(struct scheduler *s)
{
    if (s->draining || !store_open(s))
        return;
    while (!list_empty(&s->plannable) && s->plans_out < PLANS_OUT_MAX)
        plan_batch(s);
    /* the rows that a scan shows are the same until they are planned */
    bool again = s->scan_more && list_empty(&s->plannable) && s->plans_out == 0;
    if (plan_wanted(s) && (again || s->mono_ms >= s->scan_at))
        scan(s);
}

/* --- answers ---------------------------------------------------------------------------------- */

void plan_due(struct scheduler *s, const struct scheduler_event *event)
{
    uint32_t idle = 0;

    s->scanning = false;
    if (event->due.answer != STORE_OK) {
        store_failed(s);
        return;
    }
    store_worked(s);
    s->scan_more = event->due.more;
    for (size_t i = 0; i < event->due.count; i++) {
        const struct scheduler_job *row = event->due.jobs[i];
        job_update(s, row, true);
        const struct job *job = job_find(s, row->id);
        idle += !job || list_empty(&job->plan_link);
        job_release(s, row->id);
    }
    /* rows that cannot be planned come first for ever: look past them */
    s->scan_extra = idle < SCAN_EXTRA_MAX ? idle : SCAN_EXTRA_MAX;
    if (event->due.count == idle)
        s->scan_more = s->scan_more && idle > 0 && s->scan_extra < SCAN_EXTRA_MAX;
}

static void add_planned(struct scheduler *s, struct job *job, const struct plan_item *item,
                        const int64_t *run_ids)
{
    for (size_t i = 0; i < item->run_count; i++) {
        job->adrift |= !run_ids[i]; /* a delay job that met its own past must not stay parked */
        if (item->runs[i].state != RUN_PLANNED || !run_ids[i] || run_find(s, run_ids[i]))
            continue;
        run_add(s, &(struct scheduler_run){ .id = run_ids[i],
                                            .job_id = item->job_id,
                                            .shard = item->shard,
                                            .state = RUN_PLANNED,
                                            .priority = job->priority,
                                            .fire_at = item->runs[i].fire_at,
                                            .due_at = item->runs[i].start_at,
                                            .scheduled = true });
    }
}

static void item_applied(struct scheduler *s, struct job *job, const struct plan_item *item,
                         const int64_t *run_ids)
{
    s->counters.planned += item->run_count;
    if (job->schedule_version == item->schedule_version) {
        job->next_fire_at = item->new_next_fire_at;
        job->stamp = s->stamp;
        if (item->clear_pause)
            job->paused_at = job->paused_until = 0;
    }
    add_planned(s, job, item, run_ids);
    /* an edit in between may have taken the rows away again */
    if (job->schedule_version != item->schedule_version)
        LIST_EACH_SAFE (&job->planned, node) {
            struct run *run = CONTAINER_OF(node, struct run, job_link);
            if (!run_frozen(run))
                run_reread(s, run);
        }
}

static void item_refused(struct scheduler *s, struct job *job, enum store_answer answer)
{
    /* the row is another, or may be: the next scan shows it */
    if (!job->gone)
        job->next_fire_at = SCHEDULE_NEVER;
    s->scan_at = s->mono_ms;
    if (answer == STORE_CONFLICT) {
        s->counters.moves_lost++;
        if (s->settings.leases && s->lease_at != INT64_MAX)
            s->lease_at = s->mono_ms; /* or the shard is no longer ours */
        return;
    }
    if (answer != STORE_NOT_APPLIED)
        job_shard(s, job)->reload = true; /* its runs may be there */
    store_failed(s);
}

static void item_answered(struct scheduler *s, const struct plan_item *item,
                          const struct plan_answer *answer)
{
    struct job *job = job_find(s, item->job_id);
    struct shard *shard = &s->shards[item->shard];

    if (!job || !job->planning || shard->use == SHARD_FOREIGN || shard->epoch != item->epoch)
        return;
    job->planning = false;
    if (answer->answer == STORE_OK && (answer->run_ids || item->run_count == 0))
        item_applied(s, job, item, answer->run_ids);
    else
        item_refused(s, job, answer->answer);
    if (job_plannable(s, job) && list_empty(&job->plan_link) &&
        job->next_fire_at <= s->now_ms + s->settings.horizon_ms)
        list_add_tail(&s->plannable, &job->plan_link);
    job_settle(s, job);
}

void plan_answered(struct scheduler *s, const struct scheduler_event *event)
{
    struct flight *flight = flight_take(s, event->reference, ACTION_PLAN);
    struct plan_answer failed = { .answer = event->planned.answer };

    if (!flight)
        return;
    s->plans_out--;
    if (event->planned.answer == STORE_OK)
        store_worked(s);
    for (size_t i = 0; i < flight->count; i++) {
        bool told = event->planned.answer == STORE_OK && i < event->planned.count;
        if (event->planned.answer == STORE_OK && !told)
            failed.answer = STORE_UNKNOWN;
        item_answered(s, &flight->items[i], told ? &event->planned.items[i] : &failed);
    }
    flight_free(s, flight);
}
