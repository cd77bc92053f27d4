#include "scheduler/scheduler-private.h"

#include <string.h>

enum { MISFIRE_LIMIT_MAX = 10000 };

int32_t shard_of_job(int32_t job_id)
{
    return (int32_t)((uint32_t)job_id % SHARD_COUNT);
}

struct shard *job_shard(struct scheduler *s, const struct job *job)
{
    return &s->shards[shard_of_job(job->id)];
}

struct job *job_find(const struct scheduler *s, int32_t id)
{
    return map_get(&s->jobs, id);
}

/* What holds for the runs of a job whose row is not known: they wait, see run_consider. */
static struct job *job_new(struct scheduler *s, int32_t id)
{
    struct job *job = pool_take(&s->job_pool);

    job->id = id;
    job->next_fire_at = SCHEDULE_NEVER;
    job->overlap_limit = 1;
    job->queue = s->any_queue;
    list_init(&job->planned);
    list_init(&job->waiting);
    list_init(&job->active);
    list_init(&job->plan_link);
    list_init(&job->promote_link);
    list_init(&job->shard_link);
    list_add_tail(&job_shard(s, job)->jobs, &job->shard_link);
    map_put(&s->jobs, id, job);
    return job;
}

struct job *job_get(struct scheduler *s, int32_t id)
{
    struct job *job = job_find(s, id);

    if (job)
        return job;
    job = job_new(s, id);
    map_put(&s->wanted, id, job);
    s->wanted_at = s->mono_ms;
    return job;
}

static bool job_has_runs(const struct job *job)
{
    return !list_empty(&job->planned) || !list_empty(&job->waiting) || !list_empty(&job->active);
}

void job_free(struct scheduler *s, struct job *job)
{
    map_remove(&s->wanted, job->id);
    map_remove(&s->jobs, job->id);
    list_remove(&job->plan_link);
    list_remove(&job->promote_link);
    list_remove(&job->shard_link);
    ready_queue_release(s, job->queue);
    pool_put(&s->job_pool, job);
}

/*
 * A delay job that is parked, with no run left to end its parking: two nodes ended its last two
 * runs at the same time, each leaving the next fire to the end of the other.
 */
bool job_stranded(const struct scheduler *s, const struct job *job)
{
    return job->adrift && job->known && !job->gone && job->enabled && !job->planning &&
           job->next_fire_at == SCHEDULE_NEVER && job->schedule &&
           job->schedule->kind == SCHEDULE_DELAY && !job_has_runs(job) &&
           s->shards[shard_of_job(job->id)].use == SHARD_LOADED;
}

/*
 * A copy is kept while something is to be done with it; a scan or ACTION_JOBS brings it back. So
 * 100,000 jobs that sleep take no memory here.
 */
void job_settle(struct scheduler *s, struct job *job)
{
    bool due = job->next_fire_at <= s->now_ms + s->settings.horizon_ms;

    if (job_has_runs(job) || job->planning || (due && job_plannable(s, job)))
        return;
    if (job_stranded(s, job)) {
        if (list_empty(&job->plan_link))
            list_add_tail(&s->plannable, &job->plan_link);
        return;
    }
    job_free(s, job);
}

void job_release(struct scheduler *s, int32_t id)
{
    struct job *job = job_find(s, id);

    if (job && list_empty(&job->plan_link))
        job_settle(s, job);
}

bool job_plannable(const struct scheduler *s, const struct job *job)
{
    const struct shard *shard = &s->shards[shard_of_job(job->id)];

    return job->known && !job->gone && job->enabled && job->schedule && !job->planning &&
           shard->use == SHARD_LOADED && job->next_fire_at < SCHEDULE_NEVER;
}

static bool row_sound(const struct scheduler_job *row)
{
    return (unsigned)row->misfire <= MISFIRE_SKIP && (unsigned)row->overlap <= OVERLAP_PARALLEL &&
           (unsigned)row->promise <= PROMISE_AT_MOST_ONCE && (unsigned)row->route <= ROUTE_PINNED &&
           row->next_fire_at >= 0 && row->misfire_threshold_ms >= 0 &&
           memchr(row->route_executor, 0, sizeof row->route_executor) != NULL;
}

static int32_t between(int32_t value, int32_t least, int32_t most)
{
    return value < least ? least : value > most ? most : value;
}

static void fill_policies(struct job *job, const struct scheduler_job *row)
{
    job->misfire = (uint8_t)row->misfire;
    job->misfire_limit = between(row->misfire_limit, 1, MISFIRE_LIMIT_MAX);
    job->misfire_threshold_ms = row->misfire_threshold_ms;
    job->overlap = (uint8_t)row->overlap;
    job->overlap_limit = row->overlap_limit > 0          ? row->overlap_limit
                         : row->overlap == OVERLAP_QUEUE ? 100
                                                         : 1;
    job->promise = (uint8_t)row->promise;
    job->retry_max = row->retry_max;
    job->retry_first_ms = row->retry_first_ms;
    job->retry_cap_ms = row->retry_cap_ms;
    job->lost_max = row->lost_max;
    job->retry_timeouts = row->retry_timeouts;
    job->priority = (int16_t)between(row->priority, -100, 100);
    job->start_deadline_ms = row->start_deadline_ms;
    job->jitter_ms = row->jitter_ms;
    job->route = (uint8_t)row->route;
}

static void fill_schedule(struct job *job, const struct scheduler_job *row)
{
    job->schedule_version = row->schedule_version;
    job->enabled = row->enabled;
    job->schedule = row->schedule;
    job->next_fire_at = row->next_fire_at;
    job->paused_at = row->paused_at;
    job->paused_until = row->paused_until;
}

/* READY runs go to the queue of the new route; limits and waiting ones are judged anew. */
static void reroute(struct scheduler *s, struct job *job, const struct scheduler_job *row)
{
    struct ready_queue *old = job->queue;

    LIST_EACH (&job->active, node)
        ready_remove(s, CONTAINER_OF(node, struct run, job_link));
    job->queue = ready_queue_get(s, row->route == ROUTE_PINNED ? row->route_executor : "");
    ready_queue_release(s, old);
    LIST_EACH (&job->active, node) {
        struct run *run = CONTAINER_OF(node, struct run, job_link);
        if (!run_frozen(run) && (run->state == RUN_READY || run->cleared))
            ready_add(s, run);
    }
}

/* The runs of a job whose row was not known go on now; armed ones after an edit may be gone. */
static void update_runs(struct scheduler *s, struct job *job, bool was_known, bool edited)
{
    struct list *const lists[] = { &job->planned, &job->waiting, &job->active };

    for (size_t i = 0; i < 3 && !was_known; i++)
        LIST_EACH_SAFE (lists[i], node)
            run_place(s, CONTAINER_OF(node, struct run, job_link));
    if (!edited)
        return;
    LIST_EACH_SAFE (&job->planned, node) {
        struct run *run = CONTAINER_OF(node, struct run, job_link);
        if (!run_frozen(run))
            run_reread(s, run);
    }
}

/* A row of a scan that was asked for before our last plan of this job: its times are old. */
static bool row_outdated(const struct scheduler *s, const struct job *job,
                         const struct scheduler_job *row, bool from_scan)
{
    return job->known && row->schedule_version == job->schedule_version &&
           (job->planning || (from_scan && job->stamp >= s->scan_stamp));
}

void job_update(struct scheduler *s, const struct scheduler_job *row, bool from_scan)
{
    struct job *job = job_find(s, row->id);
    bool was_known = job && job->known;

    if (!row_sound(row)) {
        s->counters.bad_rows++;
        return;
    }
    if (was_known && (row->version < job->version || row->schedule_version < job->schedule_version))
        return;
    if (s->shards[shard_of_job(row->id)].use == SHARD_FOREIGN)
        return;
    if (!job)
        job = job_new(s, row->id);
    bool edited = was_known && row->schedule_version != job->schedule_version;
    if (row_outdated(s, job, row, from_scan))
        job->schedule = row->schedule;
    else
        fill_schedule(job, row);
    fill_policies(job, row);
    job->version = row->version;
    job->known = true;
    job->gone = false;
    map_remove(&s->wanted, job->id);
    reroute(s, job, row);
    update_runs(s, job, was_known, edited);
    overlap_changed(s, job);
    if (job_plannable(s, job) && list_empty(&job->plan_link))
        list_add_tail(&s->plannable, &job->plan_link);
}

/* Its PLANNED runs may have gone with it; the others end by the policies last known. */
void job_gone(struct scheduler *s, int32_t id)
{
    struct job *job = job_find(s, id);

    if (!job)
        return;
    bool was_known = job->known;
    job->known = job->gone = true;
    job->schedule = NULL;
    job->next_fire_at = SCHEDULE_NEVER;
    list_remove(&job->plan_link);
    map_remove(&s->wanted, id);
    update_runs(s, job, was_known, true);
    job_settle(s, job);
}

/* Rows of jobs that runs came without; asked again every second until they are there. */
void jobs_ask(struct scheduler *s)
{
    int64_t id;
    void *value;
    size_t count = 0;

    if (s->wanted.count == 0 || s->mono_ms < s->wanted_at || !store_open(s))
        return;
    s->wanted_at = s->mono_ms + 1000;
    int32_t *ids = ARENA_ARRAY(s->actions->arena, int32_t, s->wanted.count);
    for (size_t i = 0; map_next_key(&s->wanted, &i, &id, &value);)
        ids[count++] = (int32_t)id;
    struct action *action = action_add(s, ACTION_JOBS);
    action->jobs.ids = ids;
    action->jobs.count = count;
}
