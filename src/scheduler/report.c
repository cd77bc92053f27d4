#include "scheduler/scheduler-private.h"

/* What executors tell: starts and results. Acknowledged when durable. */

enum { LOST_FIRST_MS = 1000, LOST_CAP_MS = 30000 };

void report_ack(struct scheduler *s, uint64_t ack, enum ack_verdict verdict)
{
    struct action *action = action_add(s, ACTION_ACK);

    s->counters.late_reports += verdict == ACK_STALE;
    action->ack.ack = ack;
    action->ack.verdict = verdict;
}

void report_hold(struct scheduler *s, struct pending **list, const struct report *report)
{
    struct pending *pending = pool_take(&s->pending_pool);

    pending->report = *report;
    while (*list)
        list = &(*list)->next;
    *list = pending;
}

static void pending_settle(struct scheduler *s, struct pending **at, enum ack_verdict verdict)
{
    struct pending *pending = *at;

    *at = pending->next;
    report_ack(s, pending->report.ack, verdict);
    pool_put(&s->pending_pool, pending);
}

void report_release(struct scheduler *s, struct pending **list, enum ack_verdict verdict)
{
    while (*list)
        pending_settle(s, list, verdict);
}

/* --- ends ------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

int64_t scheduler_jitter(int32_t job_id, int64_t fire_at, int64_t jitter_ms)
{
    uint64_t seed = (uint64_t)job_id * 0x9e3779b97f4a7c15ULL + (uint64_t)fire_at;

    return jitter_ms > 0 ? (int64_t)(mix(seed) % (uint64_t)(jitter_ms + 1)) : 0;
}

/* first doubled n times up to cap, ±20 % by run and attempt, so that what failed together does not
 * come back together. */
int64_t backoff_ms(int64_t first_ms, int64_t cap_ms, int32_t n, int64_t run_id, int32_t attempt)
{
    int64_t wait = first_ms > 0 ? first_ms : 1000;

    if (cap_ms < wait)
        cap_ms = wait;
    for (; n > 0 && wait < cap_ms; n--)
        wait = wait > cap_ms / 2 ? cap_ms : 2 * wait;
    int64_t percent =
        80 + (int64_t)(mix((uint64_t)run_id * 0x9e3779b97f4a7c15ULL + (uint64_t)attempt) % 41);
    return wait / 100 * percent + wait % 100 * percent / 100;
}

static bool retry_allowed(const struct run *run, const struct report *report)
{
    const struct job *job = run->job;

    if (job->promise == PROMISE_AT_MOST_ONCE || report->no_retry)
        return false;
    if (report->outcome == RUN_TIMED_OUT && !job->retry_timeouts)
        return false;
    return run->failed_count < job->retry_max;
}

static int64_t retry_at(const struct scheduler *s, const struct run *run,
                        const struct report *report)
{
    const struct job *job = run->job;
    int64_t wait = backoff_ms(job->retry_first_ms, job->retry_cap_ms, run->failed_count, run->id,
                              run->attempt);
    int64_t asked = report->retry_after_ms;

    if (asked > job->retry_cap_ms)
        asked = job->retry_cap_ms;
    return s->now_ms + (asked > wait ? asked : wait);
}

static struct move *failure(struct scheduler *s, struct run *run, const struct report *report)
{
    bool again = retry_allowed(run, report);
    int64_t due_at = again ? retry_at(s, run, report) : 0;
    enum run_state to = again                              ? RUN_RETRY_WAIT
                        : report->outcome == RUN_TIMED_OUT ? RUN_TIMED_OUT
                                                           : RUN_FAILED;
    struct move *move = move_start(s, run, to, report->cause);

    move->failed_count = run->failed_count + 1;
    move->due_at = due_at;
    return move;
}

static void result(struct scheduler *s, struct run *run, const struct report *report)
{
    bool via_running = run->state == RUN_DISPATCHED;
    /* an executor's clock may be ahead */
    int64_t ended_at =
        report->ended_at > 0 && report->ended_at < s->now_ms ? report->ended_at : s->now_ms;
    struct move *move;

    if (report->outcome == RUN_SUCCEEDED)
        move = move_start(s, run, RUN_SUCCEEDED, report->cause);
    else if (run->stop_requested)
        move = move_start(s, run, RUN_CANCELLED, run->stop_cause);
    else if (report->outcome == RUN_CANCELLED)
        move = move_start(s, run, RUN_CANCELLED, report->cause ? report->cause : CAUSE_STOPPED);
    else
        move = failure(s, run, report);
    move->via_running = via_running;
    move->started_at = report->started_at;
    if (via_running && !move->started_at)
        move->started_at = ended_at;
    move->detail = report->detail;
    move_end(run, move, ended_at);
}

void run_lose(struct scheduler *s, struct run *run)
{
    const struct job *job = run->job;

    if (!job->known)
        return; /* its promise decides what becomes of it: seen again when that is known */
    s->counters.lost++;
    if (run->stop_requested) {
        move_start(s, run, RUN_CANCELLED, run->stop_cause);
    } else if (job->promise == PROMISE_AT_MOST_ONCE) {
        move_start(s, run, RUN_UNKNOWN, CAUSE_LOST);
    } else if (run->lost_count < job->lost_max) {
        int64_t wait =
            backoff_ms(LOST_FIRST_MS, LOST_CAP_MS, run->lost_count, run->id, run->attempt);
        struct move *move = move_start(s, run, RUN_RETRY_WAIT, CAUSE_LOST);
        move->lost_count = run->lost_count + 1;
        move->due_at = s->now_ms + wait;
        move->ended_at = s->now_ms;
    } else {
        move_start(s, run, RUN_FAILED, CAUSE_LOST)->lost_count = run->lost_count + 1;
    }
}

void run_stop(struct scheduler *s, struct run *run, enum cause cause)
{
    if (!run->stop_requested) {
        run->stop_requested = true;
        run->stop_cause = (uint8_t)(cause ? cause : CAUSE_STOPPED);
        run->questions = 0;
    }
    run_consider(s, run);
}

/* --- judging ---------------------------------------------------------------------------------- */

static bool fits(const struct run *run, const struct report *report)
{
    return (run->state == RUN_DISPATCHED || run->state == RUN_RUNNING) &&
           run->attempt == report->attempt && run->token == report->token;
}

/* A result spares the change that its start would be. */
static const struct report *best_report(const struct run *run)
{
    const struct report *best = NULL;

    for (const struct pending *pending = run->reports; pending; pending = pending->next)
        if (!best || (best->kind == REPORT_START && pending->report.kind == REPORT_RESULT))
            best = &pending->report;
    return best;
}

static void settle_stale(struct scheduler *s, struct run *run)
{
    for (struct pending **at = &run->reports; *at;) {
        const struct report *report = &(*at)->report;
        if (!fits(run, report))
            pending_settle(s, at, ACK_STALE);
        else if (report->kind == REPORT_START && run->state == RUN_RUNNING)
            pending_settle(s, at, ACK_TAKEN);
        else
            at = &(*at)->next;
    }
}

bool report_judge(struct scheduler *s, struct run *run)
{
    settle_stale(s, run);
    const struct report *report = best_report(run);
    if (!report)
        return false;
    if (report->kind == REPORT_START) {
        struct move *move = move_start(s, run, RUN_RUNNING, CAUSE_NONE);
        move->started_at = report->started_at > 0 ? report->started_at : s->now_ms;
        move->detail = report->detail;
    } else {
        result(s, run, report);
    }
    run->reported = true;
    return true;
}

/* The change that a report asked for is durable. */
void report_settle(struct scheduler *s, struct run *run, const struct move *applied)
{
    bool result_taken = false;

    for (struct pending **at = &run->reports; *at;) {
        const struct report *report = &(*at)->report;
        bool matches = report->attempt == applied->attempt && report->token == applied->token;
        if (!matches || (report->kind == REPORT_RESULT && applied->to == RUN_RUNNING)) {
            at = &(*at)->next;
            continue;
        }
        bool taken = report->kind == REPORT_START || !result_taken;
        result_taken |= report->kind == REPORT_RESULT;
        pending_settle(s, at, taken ? ACK_TAKEN : ACK_STALE);
    }
}

static bool already_held(const struct run *run, const struct report *report)
{
    for (const struct pending *pending = run->reports; pending; pending = pending->next)
        if (pending->report.kind == report->kind && pending->report.attempt == report->attempt &&
            pending->report.token == report->token)
            return true;
    return false;
}

void report_take(struct scheduler *s, const struct report *report)
{
    struct run *run = run_find(s, report->run_id);
    struct shard *shard = &s->shards[shard_of_job(run ? run->job->id : report->job_id)];

    if (shard->use == SHARD_FOREIGN || !scheduler_usable(s)) {
        report_ack(s, report->ack, ACK_NOT_OURS);
    } else if (!run && shard->use == SHARD_LOADING) {
        report_hold(s, &shard->held, report);
    } else if (!run) {
        run_lookup(s, report->run_id,
                   report); /* stale says the row alone: the far end forgets it */
    } else if (already_held(run, report)) {
        /* the first is under way; the executor keeps it until that one is answered */
        report_ack(s, report->ack, ACK_NOT_OURS);
    } else {
        report_hold(s, &run->reports, report);
        run_consider(s, run);
    }
}
