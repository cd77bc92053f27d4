#include "sim.h"

#include <string.h>

/*
 * Between an admin and the store: a request travels, happens at the store at one moment, and its
 * answer travels back. The store may be away, slow, fail, or not tell what it did: then the write
 * may be applied later still, until somebody else has to wait for its locks.
 */

struct request {
    struct admin *admin;
    uint64_t generation;  /* of the admin */
    struct action action; /* points to copies */
    struct scheduler_event event;
    int64_t asked_mono;
    int64_t *epochs; /* read before; NULL: with the write */
};

struct late_write {
    struct late_write *next;
    struct request *request;
    bool done;
};

enum outcome {
    OUTCOME_OK,
    OUTCOME_ERROR,
    OUTCOME_UNKNOWN_APPLIED,
    OUTCOME_UNKNOWN_NOT_APPLIED,
    OUTCOME_UNKNOWN_LATE
};

/* --- copies: the scheduler that asked may be gone when it happens ----------------------------- */

static void copy_plan(struct arena *arena, struct action *action)
{
    size_t count = action->plan.count;
    struct plan_item *items = arena_copy(arena, action->plan.items, count * sizeof *items);

    for (size_t i = 0; i < count; i++) {
        items[i].runs =
            arena_copy(arena, items[i].runs, items[i].run_count * sizeof *items[i].runs);
        items[i].gaps =
            arena_copy(arena, items[i].gaps, items[i].gap_count * sizeof *items[i].gaps);
    }
    action->plan.items = items;
}

static void copy_moves(struct arena *arena, struct action *action)
{
    size_t count = action->move.count;
    struct move *moves = arena_copy(arena, action->move.moves, count * sizeof *moves);

    for (size_t i = 0; i < count; i++) {
        moves[i].executor = arena_strdup(arena, moves[i].executor);
        moves[i].incarnation = arena_strdup(arena, moves[i].incarnation);
    }
    action->move.moves = moves;
}

static struct request *request_new(struct world *world, struct admin *admin,
                                   const struct action *action)
{
    struct request *request = ARENA_NEW(world->arena, struct request);

    request->admin = admin;
    request->generation = admin->process.generation;
    request->action = *action;
    request->event.reference = action->reference;
    request->asked_mono = process_mono(world, &admin->process);
    if (action->kind == ACTION_PLAN)
        copy_plan(world->arena, &request->action);
    else if (action->kind == ACTION_MOVE)
        copy_moves(world->arena, &request->action);
    else if (action->kind == ACTION_LOAD)
        request->action.load.ids =
            arena_copy(world->arena, action->load.ids, action->load.id_count * sizeof(int64_t));
    else if (action->kind == ACTION_JOBS)
        request->action.jobs.ids =
            arena_copy(world->arena, action->jobs.ids, action->jobs.count * sizeof(int32_t));
    return request;
}

/* --- what happens at the store ---------------------------------------------------------------- */

static int by_fire(const struct scheduler_job *a, const struct scheduler_job *b)
{
    if (a->next_fire_at != b->next_fire_at)
        return a->next_fire_at < b->next_fire_at ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

static void scan(struct world *world, struct request *request)
{
    const struct action *action = &request->action;
    struct scheduler_job **rows = ARENA_ARRAY(world->arena, struct scheduler_job *, JOB_MAX);
    size_t count = 0;

    for (size_t i = 0; i < world->store.job_count; i++) {
        const struct sim_job *job = &world->store.jobs[i];
        if (job->deleted || !(action->scan.shards >> job->row.shard & 1) ||
            job->row.next_fire_at > action->scan.horizon_ms)
            continue;
        struct scheduler_job *row = arena_copy(world->arena, &job->row, sizeof *row);
        size_t at = count++;
        for (; at > 0 && by_fire(row, rows[at - 1]) < 0; at--)
            rows[at] = rows[at - 1];
        rows[at] = row;
        if (!row->schedule)
            SOMETIMES(poison_seen);
    }
    request->event.kind = EVENT_DUE;
    request->event.due.jobs = rows;
    request->event.due.more = count > action->scan.limit;
    request->event.due.count = count > action->scan.limit ? action->scan.limit : count;
}

static void load(struct world *world, struct request *request)
{
    const struct action *action = &request->action;
    struct store *store = &world->store;
    size_t limit = store->run_count + 1, count = 0;
    struct scheduler_run *rows = ARENA_ARRAY(world->arena, struct scheduler_run, limit);

    for (size_t i = 0; i < store->run_count && action->load.shards; i++)
        if (run_live(store->all[i]) && action->load.shards >> store->all[i]->row.shard & 1)
            rows[count++] = store->all[i]->row;
    for (size_t i = 0; i < action->load.id_count; i++) {
        const struct sim_run *run = store_run(store, action->load.ids[i]);
        if (run && count < limit)
            rows[count++] = run->row;
    }
    if (action->load.shards && count)
        SOMETIMES(shard_loaded_with_runs);
    request->event.kind = EVENT_RUNS;
    request->event.runs.shards = action->load.shards;
    request->event.runs.runs = rows;
    request->event.runs.count = count;
}

static void plan(struct world *world, struct request *request)
{
    const struct action *action = &request->action;
    struct plan_answer *answers = ARENA_ARRAY(world->arena, struct plan_answer, action->plan.count);

    for (size_t i = 0; i < action->plan.count; i++)
        store_plan(world, &action->plan.items[i], &answers[i]);
    request->event.kind = EVENT_PLANNED;
    request->event.planned.items = answers;
    request->event.planned.count = action->plan.count;
}

static void move(struct world *world, struct request *request)
{
    const struct action *action = &request->action;
    struct move_answer *answers = ARENA_ARRAY(world->arena, struct move_answer, action->move.count);

    for (size_t i = 0; i < action->move.count; i++) {
        answers[i].run_id = action->move.moves[i].run_id;
        answers[i].applied = store_move(world, &action->move.moves[i]);
    }
    request->event.kind = EVENT_MOVED;
    request->event.moved.moves = answers;
    request->event.moved.count = action->move.count;
}

static void lease(struct world *world, struct request *request)
{
    request->event.kind = EVENT_LEASES;
    store_lease(world, request->admin, &request->event.lease);
    request->event.lease.valid_until_mono_ms = request->asked_mono + world->settings.lease_ms;
}

static void execute(struct world *world, struct request *request)
{
    world->store.epochs = request->epochs;
    if (request->action.kind == ACTION_LEASE)
        lease(world, request);
    else if (request->action.kind == ACTION_SCAN)
        scan(world, request);
    else if (request->action.kind == ACTION_LOAD)
        load(world, request);
    else if (request->action.kind == ACTION_PLAN)
        plan(world, request);
    else
        move(world, request);
    world->store.epochs = NULL;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void answer_with(struct request *request, enum store_answer answer)
{
    switch (request->action.kind) {
    case ACTION_LEASE:
        request->event.kind = EVENT_LEASES;
        request->event.lease.answer = answer;
        return;
    case ACTION_SCAN:
        request->event.kind = EVENT_DUE;
        request->event.due.answer = answer;
        return;
    case ACTION_LOAD:
        request->event.kind = EVENT_RUNS;
        request->event.runs.answer = answer;
        request->event.runs.count = 0;
        return;
    case ACTION_PLAN:
        request->event.kind = EVENT_PLANNED;
        request->event.planned.answer = answer;
        return;
    default:
        request->event.kind = EVENT_MOVED;
        request->event.moved.answer = answer;
        return;
    }
}

static void deliver(struct world *world, void *argument)
{
    struct request *request = argument;

    if (request->admin->process.generation == request->generation)
        admin_event(world, request->admin, &request->event);
}

static int64_t store_latency(struct world *world)
{
    if (world_fault(world, FAULT_db_slow))
        return world_between(world, 100, 3000);
    return world_between(world, 1, 20);
}

static void send_answer(struct world *world, struct request *request)
{
    world_at(world, world->now + store_latency(world), &request->admin->process, deliver, request);
}

/* ACTION_JOBS is answered by an event for each. */
static void answer_jobs(struct world *world, const struct request *request)
{
    for (size_t i = 0; i < request->action.jobs.count; i++) {
        struct sim_job *job = store_job(&world->store, request->action.jobs.ids[i]);
        struct request *one = ARENA_NEW(world->arena, struct request);
        SOMETIMES(wanted_job);
        one->admin = request->admin;
        one->generation = request->generation;
        one->event.kind = job && !job->deleted ? EVENT_JOB : EVENT_JOB_GONE;
        if (one->event.kind == EVENT_JOB)
            one->event.job.job = arena_copy(world->arena, &job->row, sizeof job->row);
        else
            one->event.job_gone.job_id = request->action.jobs.ids[i];
        send_answer(world, one);
    }
}

/* --- writes that come late -------------------------------------------------------------------- */

static void late_write_now(struct world *world, void *argument)
{
    struct late_write *write = argument;

    if (write->done)
        return;
    write->done = true;
    SOMETIMES(write_applied_late);
    world_trace(world, "late-write", (int64_t)write->request->action.kind, 0, 0);
    execute(world, write->request);
}

/* Whoever needs their locks waits for them: each is applied or given up before. */
void late_writes_resolve(struct world *world)
{
    struct late_write *write = world->store.late;

    world->store.late = NULL;
    for (; write; write = write->next) {
        if (world_chance(world, 500))
            late_write_now(world, write);
        write->done = true;
    }
}

static void postpone(struct world *world, struct request *request)
{
    struct late_write *write = ARENA_NEW(world->arena, struct late_write);
    struct request *copy = arena_copy(world->arena, request, sizeof *request);

    write->request = copy;
    write->next = world->store.late;
    world->store.late = write;
    world_at(world, world->now + world_between(world, 10, 2000), NULL, late_write_now, write);
}

/* --- a request's way -------------------------------------------------------------------------- */

static bool is_write(const struct request *request)
{
    enum action_kind kind = request->action.kind;

    return kind == ACTION_PLAN || kind == ACTION_MOVE || kind == ACTION_LEASE;
}

static enum outcome choose_outcome(struct world *world, const struct request *request)
{
    if (!world->store.process.up)
        return is_write(request) && world_chance(world, 100) ? OUTCOME_UNKNOWN_NOT_APPLIED
                                                             : OUTCOME_ERROR;
    if (world_fault(world, FAULT_db_error))
        return OUTCOME_ERROR;
    /* a store in the admin's own process cannot apply anything after it has answered */
    if (is_write(request) && world_fault(world, FAULT_db_unknown))
        return (enum outcome)world_between(world, OUTCOME_UNKNOWN_APPLIED,
                                           world->settings.leases ? OUTCOME_UNKNOWN_LATE
                                                                  : OUTCOME_UNKNOWN_NOT_APPLIED);
    return OUTCOME_OK;
}

/* Variant two_transactions: the second one. */
static void advance_later(struct world *world, void *argument)
{
    struct request *request = argument;
    size_t count = request->action.plan.count;
    struct plan_answer *answers =
        arena_copy(world->arena, request->event.planned.items, count * sizeof *answers);

    for (size_t i = 0; i < count && world->store.process.up; i++)
        store_advance(world, &request->action.plan.items[i], &answers[i]);
    request->event.planned.items = answers;
    if (!world->store.process.up)
        answer_with(request, STORE_UNKNOWN);
    send_answer(world, request);
}

static void note_outcome(const struct request *request, enum outcome outcome)
{
    bool plan = request->action.kind == ACTION_PLAN, move = request->action.kind == ACTION_MOVE;

    if (outcome == OUTCOME_UNKNOWN_APPLIED && plan)
        SOMETIMES(plan_unknown_applied);
    if (outcome == OUTCOME_UNKNOWN_NOT_APPLIED && plan)
        SOMETIMES(plan_unknown_not_applied);
    if (outcome == OUTCOME_UNKNOWN_APPLIED && move)
        SOMETIMES(move_unknown_applied);
    if (outcome == OUTCOME_UNKNOWN_NOT_APPLIED && move)
        SOMETIMES(move_unknown_not_applied);
}

static void arrive(struct world *world, void *argument);

/* Its transaction has read the epochs; the rest of it comes later. */
static bool reads_ahead(struct world *world, struct request *request)
{
    enum action_kind kind = request->action.kind;

    if (request->epochs || !world->settings.leases || !world->store.process.up ||
        (kind != ACTION_PLAN && kind != ACTION_MOVE) || !world_fault(world, FAULT_db_race))
        return false;
    request->epochs = ARENA_ARRAY(world->arena, int64_t, SHARD_COUNT);
    for (int i = 0; i < SHARD_COUNT; i++)
        request->epochs[i] = world->store.leases[i].epoch;
    world_at(world, world->now + world_between(world, 5, 4000), NULL, arrive, request);
    return true;
}

static void arrive(struct world *world, void *argument)
{
    struct request *request = argument;
    if (reads_ahead(world, request))
        return;
    enum outcome outcome = choose_outcome(world, request);
    enum action_kind kind = request->action.kind;

    world_trace(world, "store", (int64_t)kind, request->admin->process.index, outcome);
    note_outcome(request, outcome);
    if (outcome != OUTCOME_ERROR && (is_write(request) || request->action.load.id_count > 0))
        late_writes_resolve(world);
    if (kind == ACTION_JOBS) {
        if (outcome == OUTCOME_OK)
            answer_jobs(world, request);
        return; /* asked again */
    }
    if (outcome == OUTCOME_OK || outcome == OUTCOME_UNKNOWN_APPLIED)
        execute(world, request);
    if (outcome == OUTCOME_UNKNOWN_LATE && kind != ACTION_LEASE)
        postpone(world, request);
    if (outcome == OUTCOME_OK && kind == ACTION_PLAN &&
        world->variant == VARIANT_two_transactions) {
        struct process *process = world->settings.leases ? NULL : &request->admin->process;
        world_at(world, world->now + store_latency(world), process, advance_later, request);
        return;
    }
    if (outcome == OUTCOME_ERROR)
        answer_with(request, STORE_NOT_APPLIED);
    else if (outcome != OUTCOME_OK)
        answer_with(request, STORE_UNKNOWN);
    send_answer(world, request);
}

/* What a dead admin has sent still arrives; where the store is in its process, it does not. */
void request_store(struct world *world, struct admin *admin, const struct action *action)
{
    struct request *request = request_new(world, admin, action);
    struct process *process = world->settings.leases ? NULL : &admin->process;

    world_at(world, world->now + store_latency(world), process, arrive, request);
}
