#include "scheduler/scheduler-private.h"

/* Changes of runs: asked for as compare-and-swaps in batches, believed when answered. */

enum { BATCH_FIRST = 16 };

/* --- what a run asks for ---------------------------------------------------------------------- */

static void stop_now(struct scheduler *s, struct run *run)
{
    bool at_executor = run->state == RUN_DISPATCHED || run->state == RUN_RUNNING;

    if (!at_executor || run->unsent)
        move_start(s, run, RUN_CANCELLED, run->stop_cause);
    else
        doubt_raise(s, run, 0); /* the stop is repeated until its result */
}

static void send_or_bounce(struct scheduler *s, struct run *run)
{
    if (run->executor->state == EXECUTOR_LIVE && !run->executor->draining)
        dispatch_send(s, run);
    else
        run_bounce(s, run);
}

void run_consider(struct scheduler *s, struct run *run)
{
    if (run_frozen(run) || !run->job->known)
        return;
    if (run->reports && report_judge(s, run))
        return;
    if (run->stop_requested && run->state != RUN_DISPATCHED && run->state != RUN_RUNNING)
        stop_now(s, run);
    if (run->state != RUN_DISPATCHED && run->state != RUN_RUNNING)
        return;
    if (!run->unsent && executor_gone(run->executor))
        run_lose(s, run);
    else if (run->stop_requested)
        stop_now(s, run);
    else if (run->unsent)
        send_or_bounce(s, run);
    else if (run->doubt && !heap_has(&run->timer))
        doubt_raise(s, run, 0);
}

/* --- batches ---------------------------------------------------------------------------------- */

static void batch_grow(struct flight *flight, size_t limit)
{
    size_t capacity = flight->capacity ? 4 * flight->capacity : BATCH_FIRST;

    if (capacity > limit)
        capacity = limit;
    struct move *moves = ARENA_ARRAY(flight->arena, struct move, capacity);
    struct run **runs = ARENA_ARRAY(flight->arena, struct run *, capacity);
    for (size_t i = 0; i < flight->count; i++) {
        moves[i] = flight->moves[i];
        runs[i] = flight->runs[i];
    }
    flight->moves = moves;
    flight->runs = runs;
    flight->capacity = capacity;
}

static struct flight *batch_open(struct scheduler *s)
{
    size_t limit = (size_t)s->settings.move_batch;

    if (s->move_flight && s->move_flight->count == limit) {
        list_add_tail(&s->outgoing, &s->move_flight->link);
        s->move_flight = NULL;
    }
    if (!s->move_flight)
        s->move_flight = flight_new(s, ACTION_MOVE);
    if (s->move_flight->count == s->move_flight->capacity)
        batch_grow(s->move_flight, limit);
    return s->move_flight;
}

struct move *move_start(struct scheduler *s, struct run *run, enum run_state to, enum cause cause)
{
    struct flight *flight = batch_open(s);
    struct move *move = &flight->moves[flight->count];

    run_freeze(s, run);
    run->reported = false;
    run->flight = flight;
    run->flight_index = (uint32_t)flight->count;
    flight->runs[flight->count++] = run;
    *move = (struct move){ .run_id = run->id,
                           .job_id = run->job->id,
                           .shard = shard_of_job(run->job->id),
                           .from = run->state,
                           .attempt = run->attempt,
                           .token = run->token,
                           .to = to,
                           .new_attempt = run->attempt,
                           .new_token = run->token,
                           .cause = cause,
                           .job_version = run->job_version,
                           .lost_count = run->lost_count,
                           .failed_count = run->failed_count };
    if (run_state_terminal(to))
        move_end(run, move, s->now_ms);
    return move;
}

/* Other scheduled runs of the job that are not about to end themselves, nor may have ended. */
static bool others_live(const struct run *run)
{
    const struct job *job = run->job;
    const struct list *const lists[] = { &job->planned, &job->waiting, &job->active };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        LIST_EACH (lists[i], node) {
            const struct run *other = CONTAINER_OF(node, const struct run, job_link);
            if (other == run || !other->scheduled || other->rereading)
                continue;
            if (!other->flight || !run_state_terminal(other->flight->moves[other->flight_index].to))
                return true;
        }
    return false;
}

/* Times of an end. A delay job's next fire counts from the end of its last run. */
void move_end(struct run *run, struct move *move, int64_t ended_at)
{
    const struct job *job = run->job;

    move->ended_at = ended_at;
    if (!run_state_terminal(move->to) || !run->scheduled || !job->schedule)
        return;
    if (job->schedule->kind != SCHEDULE_DELAY || !job->enabled || others_live(run))
        return;
    int64_t next = schedule_next_delay(job->schedule, ended_at);
    /* a run that was cancelled ahead of its time must not be met again: its row is there */
    if (next <= run->fire_at)
        next = run->fire_at + 1;
    move->set_next_fire_at = next == SCHEDULE_NEVER ? 0 : next;
    move->schedule_version = job->schedule_version;
}

/* To READY, or through it: the next attempt, with the definition of now. */
void move_ready(struct scheduler *s, struct run *run, struct move *move)
{
    move->new_attempt = run->attempt + 1;
    move->new_token = run->token + 1;
    move->job_version = run->job->version;
    move->ready_at = s->now_ms;
    move->due_at = run->due_at;
}

/* Entries of runs that were dropped since are taken out. */
static void batch_compact(const struct scheduler *s, struct flight *flight)
{
    size_t kept = 0;

    for (size_t i = 0; i < flight->count; i++) {
        struct run *run = flight->runs[i];
        if (!run)
            continue;
        flight->moves[kept] = flight->moves[i];
        flight->moves[kept].epoch = s->shards[flight->moves[i].shard].epoch;
        flight->runs[kept] = run;
        run->flight_index = (uint32_t)kept++;
    }
    flight->count = kept;
}

static void batch_send(struct scheduler *s, struct flight *flight)
{
    batch_compact(s, flight);
    if (flight->count == 0) {
        flight_free(s, flight);
        return;
    }
    struct action *action = action_add(s, ACTION_MOVE);
    action->move.moves = flight->moves;
    action->move.count = flight->count;
    flight_track(s, flight, action->reference);
    s->moves_out++;
}

void moves_flush(struct scheduler *s)
{
    if (!store_open(s))
        return;
    while (!list_empty(&s->outgoing)) {
        struct flight *flight = CONTAINER_OF(s->outgoing.next, struct flight, link);
        list_remove(&flight->link);
        batch_send(s, flight);
    }
    struct flight *flight = s->move_flight;
    s->move_flight = NULL;
    if (flight)
        batch_send(s, flight);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void incident(struct scheduler *s, const struct move *move)
{
    if (move->to != RUN_FAILED && move->to != RUN_TIMED_OUT && move->to != RUN_UNKNOWN)
        return;
    struct action *action = action_add(s, ACTION_INCIDENT);
    action->incident.run_id = move->run_id;
    action->incident.job_id = move->job_id;
    action->incident.state = move->to;
    action->incident.cause = move->cause;
}

static void set_next_fire(struct scheduler *s, struct job *job, const struct move *move)
{
    if (!move->set_next_fire_at || job->schedule_version != move->schedule_version)
        return;
    if (job->planning || job->next_fire_at != SCHEDULE_NEVER)
        return;
    job->next_fire_at = move->set_next_fire_at;
    job->stamp = s->stamp;
    if (job_plannable(s, job) && list_empty(&job->plan_link) &&
        job->next_fire_at <= s->now_ms + s->settings.horizon_ms)
        list_add_tail(&s->plannable, &job->plan_link);
}

static void end(struct scheduler *s, struct run *run, const struct move *move)
{
    s->counters.ended++;
    incident(s, move);
    set_next_fire(s, run->job, move);
    run_drop(s, run, ACK_STALE);
}

static void apply(struct scheduler *s, struct run *run, const struct move *move)
{
    bool reported = run->reported;
    struct executor *executor = run->executor;

    run->flight = NULL;
    run->reported = false;
    s->counters.moves++;
    s->counters.started += move->to == RUN_RUNNING || move->via_running;
    if (reported)
        report_settle(s, run, move);
    if (executor && reported && move->to != RUN_RUNNING &&
        executor->slots_free < executor->slots_total)
        executor->slots_free++;
    if (run_state_terminal(move->to)) {
        end(s, run, move);
        return;
    }
    run_set_state(s, run, move->to);
    run->attempt = move->new_attempt;
    run->token = move->new_token;
    run->lost_count = move->lost_count;
    run->failed_count = move->failed_count;
    run->job_version = move->job_version;
    run->due_at = move->due_at ? move->due_at : run->due_at;
    run->stamp = s->stamp;
    run->questions = run->missing = 0;
    run->awaiting = run->doubt = false;
    run->unsent = move->to == RUN_DISPATCHED;
    run_place(s, run);
}

/* Another state, attempt, token or epoch than we thought, or not known what became of it. */
static void refused(struct scheduler *s, struct run *run)
{
    run->flight = NULL;
    run->reported = false;
    s->counters.moves_lost++;
    run_reread(s, run);
}

static void batch_failed(struct scheduler *s, struct flight *flight, enum store_answer answer)
{
    if (answer != STORE_CONFLICT)
        store_failed(s);
    for (size_t i = 0; i < flight->count; i++)
        if (flight->runs[i])
            refused(s, flight->runs[i]);
}

/* A refused change may mean that the shard is another's now. */
static void ask_leases(struct scheduler *s)
{
    if (s->settings.leases && s->lease_at != INT64_MAX)
        s->lease_at = s->mono_ms;
}

static void batch_answered(struct scheduler *s, struct flight *flight,
                           const struct move_answer *answers, size_t count)
{
    bool any_refused = false;

    for (size_t i = 0; i < count; i++) {
        struct run *run = run_find(s, answers[i].run_id);
        if (!run || run->flight != flight)
            continue;
        const struct move *move = &flight->moves[run->flight_index];
        flight->runs[run->flight_index] = NULL;
        any_refused |= !answers[i].applied;
        if (answers[i].applied)
            apply(s, run, move);
        else
            refused(s, run);
    }
    for (size_t i = 0; i < flight->count; i++)
        if (flight->runs[i])
            refused(s, flight->runs[i]);
    if (any_refused)
        ask_leases(s);
}

void moves_answered(struct scheduler *s, const struct scheduler_event *event)
{
    struct flight *flight = flight_take(s, event->reference, ACTION_MOVE);

    if (!flight)
        return;
    s->moves_out--;
    if (event->moved.answer == STORE_OK) {
        store_worked(s);
        batch_answered(s, flight, event->moved.moves, event->moved.count);
    } else {
        batch_failed(s, flight, event->moved.answer);
    }
    flight_free(s, flight);
}
