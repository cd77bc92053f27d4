#include "scheduler/scheduler-private.h"

/* Which shards are ours, and reading their runs. */

/* Nothing of it is ours any more: another node has, or may have, changed every row. */
static void shard_drop(struct scheduler *s, struct shard *shard)
{
    report_release(s, &shard->held, ACK_NOT_OURS);
    LIST_EACH_SAFE (&shard->jobs, node) {
        struct job *job = CONTAINER_OF(node, struct job, shard_link);
        struct list *const lists[] = { &job->planned, &job->waiting, &job->active };
        job->planning = true; /* keeps job_settle from freeing it under our hands */
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
            while (!list_empty(lists[i]))
                run_drop(s, CONTAINER_OF(lists[i]->next, struct run, job_link), ACK_NOT_OURS);
        job_free(s, job);
    }
    shard->use = SHARD_FOREIGN;
    shard->reload = false;
}

static void shard_gain(struct scheduler *s, struct shard *shard, int64_t epoch)
{
    shard->use = SHARD_LOADING;
    shard->epoch = epoch;
    shard->stamp = s->stamp;
    shard->reload = true;
}

void shard_leases(struct scheduler *s, const struct scheduler_event *event)
{
    const struct lease_answer *lease = &event->lease;

    if (lease->answer != STORE_OK) {
        /* the leases we have may run out; rows are kept, they are ours again with the same epoch */
        store_failed(s);
        s->lease_at = s->mono_ms + s->settings.lease_interval_ms / 4;
        return;
    }
    store_worked(s);
    s->lease_at = s->mono_ms + s->settings.lease_interval_ms;
    s->valid_until = lease->valid_until_mono_ms - s->settings.lease_ms / 10;
    for (int i = 0; i < SHARD_COUNT; i++) {
        struct shard *shard = &s->shards[i];
        bool owned = lease->owned >> i & 1;
        if (shard->use != SHARD_FOREIGN && (!owned || shard->epoch != lease->epochs[i]))
            shard_drop(s, shard);
        if (shard->use == SHARD_FOREIGN && owned)
            shard_gain(s, shard, lease->epochs[i]);
    }
}

/* --- loading ---------------------------------------------------------------------------------- */

static void load_shards(struct scheduler *s, uint64_t shards)
{
    struct flight *flight = flight_new(s, ACTION_LOAD);
    struct action *action = action_add(s, ACTION_LOAD);

    for (int i = 0; i < SHARD_COUNT; i++)
        if (shards >> i & 1)
            s->shards[i].reload = false;
    flight->shards = shards;
    action->load.shards = shards;
    flight_track(s, flight, action->reference);
    s->loading = true;
}

/* All that must be read, or else the one whose turn it is. */
static void load_next(struct scheduler *s)
{
    uint64_t shards = 0;

    for (int i = 0; i < SHARD_COUNT; i++)
        if (s->shards[i].use != SHARD_FOREIGN && s->shards[i].reload)
            shards |= UINT64_C(1) << i;
    if (shards) {
        load_shards(s, shards);
        return;
    }
    if (s->mono_ms < s->sweep_at)
        return;
    s->sweep_at = s->mono_ms + s->settings.sweep_interval_ms / SHARD_COUNT;
    s->sweep_shard = (s->sweep_shard + 1) % SHARD_COUNT;
    if (s->shards[s->sweep_shard].use == SHARD_LOADED)
        load_shards(s, UINT64_C(1) << s->sweep_shard);
}

/* One request for runs that must be read again and for ids not known. */
static void load_ids(struct scheduler *s)
{
    size_t limit = (size_t)s->settings.move_batch;
    struct flight *flight = flight_new(s, ACTION_LOAD);
    int64_t id;
    void *value;

    flight->ids = ARENA_ARRAY(flight->arena, int64_t, limit);
    while (!list_empty(&s->reread) && flight->count < limit) {
        struct run *run = CONTAINER_OF(s->reread.next, struct run, work_link);
        list_remove(&run->work_link);
        flight->ids[flight->count++] = run->id;
    }
    for (size_t i = 0; flight->count < limit && s->lookups_waiting > 0 &&
                       map_next_key(&s->lookups, &i, &id, &value);) {
        struct lookup *lookup = value;
        if (lookup->asked)
            continue;
        lookup->asked = true;
        s->lookups_waiting--;
        flight->ids[flight->count++] = id;
    }
    struct action *action = action_add(s, ACTION_LOAD);
    action->load.ids = arena_copy(s->actions->arena, flight->ids, flight->count * sizeof(int64_t));
    action->load.id_count = flight->count;
    flight_track(s, flight, action->reference);
}

void shard_work(struct scheduler *s)
{
    if (s->settings.leases && s->mono_ms >= s->lease_at) {
        action_add(s, ACTION_LEASE);
        s->lease_at = INT64_MAX;
    }
    if (!store_open(s))
        return;
    if (!s->loading)
        load_next(s);
    while (!list_empty(&s->reread) || s->lookups_waiting > 0)
        load_ids(s);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void load_failed(struct scheduler *s, const struct flight *flight)
{
    store_failed(s);
    for (int i = 0; i < SHARD_COUNT; i++)
        if (flight->shards >> i & 1)
            s->shards[i].reload = true;
    for (size_t i = 0; i < flight->count; i++) {
        struct run *run = run_find(s, flight->ids[i]);
        struct lookup *lookup = map_get(&s->lookups, flight->ids[i]);
        if (run && run->rereading && list_empty(&run->work_link))
            list_add_tail(&s->reread, &run->work_link);
        if (lookup && lookup->asked) {
            lookup->asked = false;
            s->lookups_waiting++;
        }
    }
}

/* A row that was read, or told by the API. */
static void take_row(struct scheduler *s, const struct scheduler_run *row)
{
    struct run *run = run_find(s, row->id);

    if (s->shards[shard_of_job(row->job_id)].use == SHARD_FOREIGN)
        return;
    if ((unsigned)row->state >= RUN_STATE_LIMIT || !run_state_name(row->state)) {
        s->counters.bad_rows++;
        return;
    }
    if (run)
        run_merge(s, run, row);
    else if (!run_state_terminal(row->state))
        run_add(s, row);
}

/* Told without being asked. While a shard is being read, overlap cannot be judged: read it again.
 */
static void take_hints(struct scheduler *s, const struct scheduler_event *event)
{
    for (size_t i = 0; i < event->runs.count; i++) {
        const struct scheduler_run *row = &event->runs.runs[i];
        struct shard *shard = &s->shards[shard_of_job(row->job_id)];
        if (shard->use == SHARD_LOADING)
            shard->reload = true;
        else
            take_row(s, row);
    }
}

static void take_rows(struct scheduler *s, const struct scheduler_event *event)
{
    for (size_t i = 0; i < event->runs.count; i++)
        take_row(s, &event->runs.runs[i]);
}

static void mark_shown(struct scheduler *s, const struct scheduler_event *event)
{
    for (size_t i = 0; i < event->runs.count; i++) {
        struct run *run = run_find(s, event->runs.runs[i].id);
        if (run)
            run->stamp = s->stamp;
    }
}

/* Its reports find the run now, or there is none. */
static void lookup_answered(struct scheduler *s, int64_t id)
{
    struct lookup *lookup = map_get(&s->lookups, id);

    if (!lookup || !lookup->asked)
        return;
    map_remove(&s->lookups, id);
    while (lookup->reports) {
        struct pending *pending = lookup->reports;
        lookup->reports = pending->next;
        const struct shard *shard = &s->shards[shard_of_job(pending->report.job_id)];
        if (run_find(s, id))
            report_take(s, &pending->report);
        else
            report_ack(s, pending->report.ack,
                       shard->use == SHARD_FOREIGN ? ACK_NOT_OURS : ACK_STALE);
        pool_put(&s->pending_pool, pending);
    }
    pool_put(&s->lookup_pool, lookup);
}

/*
 * Rows of ids are read when no change of theirs is under way, so they are the truth, and what has
 * no row is over.
 */
static void take_ids(struct scheduler *s, const struct flight *flight,
                     const struct scheduler_event *event)
{
    const int64_t *asked = arena_copy(flight->arena, flight->ids, flight->count * sizeof *asked);

    for (size_t i = 0; i < flight->count; i++) {
        struct run *run = run_find(s, flight->ids[i]);
        if (run && run->rereading && list_empty(&run->work_link))
            run->rereading = false;
        else
            flight->ids[i] = 0; /* not known, or dropped and back since */
    }
    mark_shown(s, event);
    take_rows(s, event);
    for (size_t i = 0; i < flight->count; i++)
        lookup_answered(s, asked[i]);
    for (size_t i = 0; i < flight->count; i++) {
        struct run *run = flight->ids[i] ? run_find(s, flight->ids[i]) : NULL;
        if (run && run->stamp != s->stamp && !run_frozen(run))
            run_vanished(s, run);
    }
}

/* Runs of the shard that the read did not show, and that have not changed since it was asked for.
 */
static void drop_absent(struct scheduler *s, struct shard *shard, const struct flight *flight)
{
    LIST_EACH_SAFE (&shard->jobs, node) {
        struct job *job = CONTAINER_OF(node, struct job, shard_link);
        struct list *const lists[] = { &job->planned, &job->waiting, &job->active };
        bool planning = job->planning;
        job->planning = true;
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
            LIST_EACH_SAFE (lists[i], link) {
                struct run *run = CONTAINER_OF(link, struct run, job_link);
                if (run->stamp <= flight->stamp && !run_frozen(run))
                    run_vanished(s, run);
            }
        job->planning = planning;
        job_settle(s, job);
    }
}

static void shard_complete(struct scheduler *s, struct shard *shard)
{
    struct pending *held = shard->held;

    shard->use = SHARD_LOADED;
    shard->held = NULL;
    LIST_EACH (&shard->jobs, node) {
        struct job *job = CONTAINER_OF(node, struct job, shard_link);
        if (job_plannable(s, job) && list_empty(&job->plan_link))
            list_add_tail(&s->plannable, &job->plan_link);
    }
    while (held) {
        struct pending *next = held->next;
        report_take(s, &held->report);
        pool_put(&s->pending_pool, held);
        held = next;
    }
}

static void take_shards(struct scheduler *s, const struct flight *flight,
                        const struct scheduler_event *event)
{
    take_rows(s, event);
    mark_shown(s, event);
    for (int i = 0; i < SHARD_COUNT; i++) {
        struct shard *shard = &s->shards[i];
        if (!(flight->shards >> i & 1) || shard->use == SHARD_FOREIGN)
            continue;
        if (flight->stamp < shard->stamp)
            continue; /* lost and gained since: it is read once more */
        drop_absent(s, shard, flight);
        if (shard->use == SHARD_LOADING)
            shard_complete(s, shard);
    }
}

void shard_loaded(struct scheduler *s, const struct scheduler_event *event)
{
    struct flight *flight = event->reference ? flight_take(s, event->reference, ACTION_LOAD) : NULL;

    if (!flight) {
        if (!event->reference)
            take_hints(s, event);
        return;
    }
    if (flight->shards)
        s->loading = false;
    if (event->runs.answer != STORE_OK) {
        load_failed(s, flight);
    } else {
        store_worked(s);
        if (flight->shards)
            take_shards(s, flight, event);
        else
            take_ids(s, flight, event);
    }
    flight_free(s, flight);
}
