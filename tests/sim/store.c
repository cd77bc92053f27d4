#include "sim.h"

#include <string.h>

/*
 * The model of the database: what a transaction does, all at once. When it happens, and what is
 * told of it, is request.c's.
 */

bool run_live(const struct sim_run *run)
{
    return !run->deleted && !run_state_terminal(run->row.state);
}

struct sim_job *store_job(struct store *store, int32_t id)
{
    for (size_t i = 0; i < store->job_count; i++)
        if (store->jobs[i].row.id == id)
            return &store->jobs[i];
    return NULL;
}

struct sim_run *store_run(struct store *store, int64_t id)
{
    struct sim_run *run = map_get(&store->runs, id);

    return run && !run->deleted ? run : NULL;
}

/* The unique key of scheduled fires; manual ones have a fire_key of their own. */
static int64_t unique_key(int32_t job_id, int64_t fire_at)
{
    return (int64_t)job_id << 40 | (fire_at - SIM_T0 + 1000000);
}

static void *array_grow(struct arena *arena, void *old, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return old;
    *capacity = *capacity ? 2 * *capacity : 64;
    void *array = arena_alloc(arena, *capacity * size);
    if (count)
        memcpy(array, old, count * size);
    return array;
}

struct sim_run *store_insert(struct world *world, const struct scheduler_run *row)
{
    struct store *store = &world->store;
    struct sim_run *run = ARENA_NEW(world->arena, struct sim_run);

    run->row = *row;
    run->row.id = store->next_run_id++;
    run->inserted_at = world->now;
    run->start_at = row->due_at > row->fire_at ? row->due_at : row->fire_at;
    map_put(&store->runs, run->row.id, run);
    if (row->scheduled)
        map_put(&store->keys, unique_key(row->job_id, row->fire_at), run);
    store->all = array_grow(world->arena, store->all, store->run_count, &store->run_capacity,
                            sizeof(struct sim_run *));
    store->all[store->run_count++] = run;
    world->fires += row->scheduled;
    world_trace(world, "insert", run->row.id, row->job_id, row->fire_at - SIM_T0);
    check_inserted(world, run);
    return run;
}

void store_gap(struct world *world, int32_t job_id, const struct plan_gap *gap)
{
    struct store *store = &world->store;

    store->gaps = array_grow(world->arena, store->gaps, store->gap_count, &store->gap_capacity,
                             sizeof(struct sim_gap));
    store->gaps[store->gap_count++] = (struct sim_gap){ .job_id = job_id, .gap = *gap };
    world_trace(world, cause_name(gap->cause), job_id, gap->from_ms - SIM_T0, gap->to_ms - SIM_T0);
    if (gap->cause == CAUSE_MISFIRE_MERGED)
        SOMETIMES(gap_merged);
    if (gap->cause == CAUSE_MISFIRE_LIMIT)
        SOMETIMES(gap_limit);
    if (gap->cause == CAUSE_MISFIRE_SKIPPED)
        SOMETIMES(gap_misfire_skipped);
    if (gap->cause == CAUSE_PAUSED)
        SOMETIMES(gap_paused);
}

/* --- plan ------------------------------------------------------------------------------------- */

static bool epoch_holds(const struct world *world, int32_t shard, int64_t epoch)
{
    const struct store *store = &world->store;

    if (!world->settings.leases)
        return true;
    if (store->epochs && store->epochs[shard] != store->leases[shard].epoch)
        SOMETIMES(epoch_read_too_early);
    return (store->epochs ? store->epochs[shard] : store->leases[shard].epoch) == epoch;
}

static bool item_holds(struct world *world, const struct plan_item *item)
{
    const struct sim_job *job = store_job(&world->store, item->job_id);

    return job && !job->deleted && epoch_holds(world, item->shard, item->epoch) &&
           job->row.next_fire_at == item->next_fire_at &&
           job->row.schedule_version == item->schedule_version;
}

static int64_t insert_planned(struct world *world, const struct plan_item *item,
                              const struct plan_run *planned)
{
    const struct sim_job *job = store_job(&world->store, item->job_id);
    struct scheduler_run row = { .job_id = item->job_id,
                                 .shard = item->shard,
                                 .state = planned->state,
                                 .priority = job->row.priority,
                                 .fire_at = planned->fire_at,
                                 .due_at = planned->start_at,
                                 .scheduled = true };
    const struct sim_run *there =
        map_get(&world->store.keys, unique_key(item->job_id, planned->fire_at));

    if (there && !there->deleted && world->variant != VARIANT_no_unique_key) {
        SOMETIMES(plan_existing_fire);
        return 0; /* decided before: left as it is */
    }
    if (planned->cause == CAUSE_MISFIRE)
        SOMETIMES(run_misfire);
    if (planned->cause == CAUSE_MISFIRE_SKIPPED)
        SOMETIMES(run_misfire_skipped);
    return store_insert(world, &row)->row.id;
}

static void insert_item(struct world *world, const struct plan_item *item,
                        struct plan_answer *answer)
{
    int64_t *ids = ARENA_ARRAY(world->arena, int64_t, item->run_count + 1);

    for (size_t i = 0; i < item->run_count; i++)
        ids[i] = insert_planned(world, item, &item->runs[i]);
    for (size_t i = 0; i < item->gap_count; i++)
        store_gap(world, item->job_id, &item->gaps[i]);
    answer->run_ids = ids;
}

void store_advance(struct world *world, const struct plan_item *item, struct plan_answer *answer)
{
    struct sim_job *job = store_job(&world->store, item->job_id);

    if (!item_holds(world, item)) {
        SOMETIMES(plan_conflict);
        answer->answer = STORE_CONFLICT;
        return;
    }
    answer->answer = STORE_OK;
    job->row.next_fire_at = item->new_next_fire_at;
    if (item->clear_pause)
        job->row.paused_at = job->row.paused_until = 0;
}

void store_plan(struct world *world, const struct plan_item *item, struct plan_answer *answer)
{
    if (world->variant == VARIANT_two_transactions) {
        insert_item(world, item, answer);
        answer->answer = STORE_OK;
        return; /* request.c calls store_advance later */
    }
    store_advance(world, item, answer);
    if (answer->answer == STORE_OK)
        insert_item(world, item, answer);
}

/* --- move ------------------------------------------------------------------------------------- */

static bool move_holds(struct world *world, const struct move *move, const struct sim_run *run)
{
    if (!run)
        return false;
    if (world->variant == VARIANT_no_compare)
        return true;
    if (!epoch_holds(world, move->shard, move->epoch)) {
        SOMETIMES(move_foreign_epoch);
        return false;
    }
    return run->row.state == move->from && run->row.attempt == move->attempt &&
           run->row.token == move->token;
}

/* One edge, or each of the edges that a change of several takes. */
static void step(struct world *world, struct sim_run *run, const struct scheduler_run *next,
                 enum run_state state, enum cause cause)
{
    struct scheduler_run row = *next;

    row.state = state;
    check_transition(world, &run->row, &row, cause);
    run->row = row;
}

static void grant(struct world *world, struct sim_run *run)
{
    if (run->grant_count == sizeof run->grants / sizeof *run->grants) {
        world_fail(world, "K2: run %lld was dispatched again and again", (long long)run->row.id);
        return;
    }
    run->grants[run->grant_count++] =
        (struct sim_grant){ .attempt = run->row.attempt, .token = run->row.token };
}

static void set_next_fire(struct world *world, const struct move *move)
{
    struct sim_job *job = store_job(&world->store, move->job_id);

    if (!move->set_next_fire_at || !job || job->deleted ||
        job->row.schedule_version != move->schedule_version ||
        job->row.next_fire_at != SCHEDULE_NEVER)
        return;
    SOMETIMES(delay_rescheduled);
    job->row.next_fire_at = move->set_next_fire_at;
}

bool store_move(struct world *world, const struct move *move)
{
    struct sim_run *run = store_run(&world->store, move->run_id);

    if (!move_holds(world, move, run)) {
        SOMETIMES(move_conflict);
        return false;
    }
    struct scheduler_run next = run->row;
    next.lost_count = move->lost_count;
    next.failed_count = move->failed_count;
    if (move->via_running) {
        SOMETIMES(result_without_start);
        step(world, run, &next, RUN_RUNNING, CAUSE_NONE);
    }
    next.attempt = move->new_attempt;
    next.token = move->new_token;
    next.job_version = move->job_version;
    next.due_at = move->due_at;
    if (move->via_ready)
        step(world, run, &next, RUN_READY, CAUSE_NONE);
    if (move->executor) {
        memcpy(next.executor, move->executor, strlen(move->executor) + 1);
        memcpy(next.incarnation, move->incarnation, strlen(move->incarnation) + 1);
    }
    step(world, run, &next, move->to, move->cause);
    if (move->to == RUN_DISPATCHED)
        grant(world, run);
    set_next_fire(world, move);
    return true;
}

/* --- leases ----------------------------------------------------------------------------------- */

static struct lease_peers count_peers(const struct world *world, int index)
{
    struct lease_peers peers = { 0 };

    for (int i = 0; i < world->admin_count; i++) {
        if (world->store.peers_until[i] <= world->now)
            continue;
        peers.count++;
        peers.rank += i < index;
    }
    return peers;
}

static void note_leases(const struct lease_row old[SHARD_COUNT], const struct lease_row *rows,
                        const bool changed[SHARD_COUNT], const char *owner, int64_t now_ms)
{
    for (int i = 0; i < SHARD_COUNT; i++) {
        if (changed[i] && rows[i].epoch > old[i].epoch && old[i].owner[0])
            SOMETIMES(lease_taken_over);
        if (!changed[i] && rows[i].expires_at > now_ms && strcmp(rows[i].owner, owner) == 0)
            SOMETIMES(lease_given_back);
    }
}

void store_lease(struct world *world, const struct admin *admin, struct lease_answer *answer)
{
    struct store *store = &world->store;
    struct lease_row old[SHARD_COUNT];
    bool changed[SHARD_COUNT];
    int index = admin->process.index - 1;
    int64_t now_ms = SIM_T0 + world->now;

    memcpy(old, store->leases, sizeof old);
    store->peers_until[index] = world->now + world->settings.lease_ms;
    struct lease_peers peers = count_peers(world, index);
    answer->owned = lease_plan(store->leases, admin->name, admin->incarnation, &peers, now_ms,
                               world->settings.lease_ms, changed);
    for (int i = 0; i < SHARD_COUNT; i++)
        answer->epochs[i] = store->leases[i].epoch;
    note_leases(old, store->leases, changed, admin->name, now_ms);
    answer->answer = STORE_OK;
}
