#include "sim.h"

#include <string.h>

/*
 * Executors: bounded slots, results kept until acknowledged, (run, attempt, token) refused when
 * seen before. Everything but the spool dies with the process.
 */

enum { REPORT_EVERY_MS = 100, REPORT_AGAIN_MS = 1000, BATCH_MAX = 16 };

/* A message between an admin and an executor; one struct serves all kinds. */
struct parcel {
    struct admin *admin;
    uint64_t generation; /* of the admin that sent, for answers */
    struct executor_node *executor;
    uint64_t reference;
    char name[EXECUTOR_NAME_MAX], incarnation[INCARNATION_SIZE];
    const struct dispatch_run *runs;
    struct running_run *asked;
    size_t count;
    struct dispatch_answer *answers;
    struct seen_answer *seen;
    struct report *reports;
    struct executor_load load;
    enum ack_verdict verdict;
    enum report_kind kind;
};

static struct parcel *parcel_new(struct world *world, struct admin *admin,
                                 struct executor_node *executor)
{
    struct parcel *parcel = ARENA_NEW(world->arena, struct parcel);

    parcel->admin = admin;
    parcel->generation = admin->process.generation;
    parcel->executor = executor;
    return parcel;
}

static void sign(struct parcel *parcel, const struct executor_node *executor)
{
    memcpy(parcel->name, executor->name, sizeof parcel->name);
    memcpy(parcel->incarnation, executor->incarnation, sizeof parcel->incarnation);
}

static struct executor_node *find_executor(struct world *world, const char *name)
{
    for (int i = 0; i < world->executor_count; i++)
        if (strcmp(world->executors[i].name, name) == 0)
            return &world->executors[i];
    return NULL;
}

static int64_t key_of(int64_t run_id, int32_t attempt, int32_t token)
{
    return (run_id << 20) | (int64_t)(attempt & 0x3ff) << 10 | (token & 0x3ff);
}

static struct task *find_task(const struct executor_node *executor, int64_t run_id, int32_t token)
{
    for (struct task *task = executor->tasks; task; task = task->next)
        if (task->run_id == run_id && task->token == token)
            return task;
    return NULL;
}

static void remove_task(struct executor_node *executor, const struct task *gone)
{
    for (struct task **at = &executor->tasks; *at; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            return;
        }
}

/* --- running ---------------------------------------------------------------------------------- */

struct running {
    struct executor_node *executor;
    struct task *task;
};

static void start_next(struct world *world, struct executor_node *executor);

static void choose_outcome(struct world *world, const struct sim_job *job, struct task *task)
{
    task->outcome = RUN_SUCCEEDED;
    task->cause = CAUSE_OK;
    if (world_chance(world, job ? job->fail_permille : 0)) {
        task->outcome = RUN_FAILED;
        task->cause = CAUSE_EXIT_CODE;
        task->no_retry = world_chance(world, 100);
        task->retry_after_ms = world_chance(world, 100) ? 1500 : 0;
    } else if (world_chance(world, job ? job->timeout_permille : 0)) {
        task->outcome = RUN_TIMED_OUT;
        task->cause = CAUSE_TIMEOUT;
    }
}

static void finish(struct world *world, void *argument)
{
    struct running *running = argument;
    struct task *task = running->task;

    if (task->state != TASK_RUNNING)
        return;
    task->state = TASK_DONE;
    task->ended_at = SIM_T0 + world->now + running->executor->process.skew;
    task->told_at = 0;
    world_trace(world, "finish", task->run_id, task->attempt, task->token);
    start_next(world, running->executor);
}

static void start(struct world *world, struct executor_node *executor, struct task *task)
{
    const struct sim_job *job = store_job(&world->store, task->job_id);
    struct running *running = ARENA_NEW(world->arena, struct running);
    int64_t duration = world_between(world, 1, job ? job->duration_ms : 100);

    task->state = TASK_RUNNING;
    task->started_at = SIM_T0 + world->now + executor->process.skew;
    world_trace(world, "start", task->run_id, task->attempt, task->token);
    check_started(world, executor, task);
    choose_outcome(world, job, task);
    *running = (struct running){ .executor = executor, .task = task };
    world_at(world, world->now + duration, &executor->process, finish, running);
}

static int count_tasks(const struct executor_node *executor, enum task_state state)
{
    int count = 0;

    for (const struct task *task = executor->tasks; task; task = task->next)
        count += task->state == state;
    return count;
}

static void start_next(struct world *world, struct executor_node *executor)
{
    struct task *oldest = NULL;

    if (count_tasks(executor, TASK_RUNNING) >= executor->slots)
        return;
    for (struct task *task = executor->tasks; task; task = task->next)
        if (task->state == TASK_QUEUED)
            oldest = task; /* new ones come first in the list */
    if (oldest)
        start(world, executor, oldest);
}

/* --- dispatch, questions, stops --------------------------------------------------------------- */

static enum dispatch_verdict take_run(struct world *world, struct executor_node *executor,
                                      const struct dispatch_run *run)
{
    int64_t key = key_of(run->run_id, run->attempt, run->token);
    int busy = count_tasks(executor, TASK_RUNNING) + count_tasks(executor, TASK_QUEUED);

    if (map_get(&executor->refused, key)) {
        SOMETIMES(refused_after_not_seen);
        return DISPATCH_REFUSED;
    }
    if (map_get(&executor->seen, key)) {
        SOMETIMES(dispatch_seen);
        return DISPATCH_SEEN;
    }
    if (executor->draining || busy >= executor->slots + executor->places) {
        SOMETIMES(dispatch_refused);
        map_put(&executor->refused, key, executor);
        return DISPATCH_REFUSED;
    }
    struct task *task = ARENA_NEW(world->arena, struct task);
    *task = (struct task){ .next = executor->tasks,
                           .run_id = run->run_id,
                           .job_id = run->job_id,
                           .attempt = run->attempt,
                           .token = run->token };
    executor->tasks = task;
    map_put(&executor->seen, key, executor);
    start_next(world, executor);
    return DISPATCH_TAKEN;
}

static void dispatch_answer_arrives(struct world *world, void *argument)
{
    const struct parcel *parcel = argument;
    struct admin *admin = parcel->admin;

    if (admin->process.generation != parcel->generation ||
        !admin_request_open(admin, parcel->reference))
        return;
    admin_request_close(admin, parcel->reference);
    admin_event(world, admin,
                &(struct scheduler_event){ .kind = EVENT_DISPATCHED,
                                           .reference = parcel->reference,
                                           .dispatched = { .executor = parcel->name,
                                                           .incarnation = parcel->incarnation,
                                                           .sent = true,
                                                           .answers = parcel->answers,
                                                           .count = parcel->count } });
}

static void dispatch_arrives(struct world *world, void *argument)
{
    const struct parcel *request = argument;
    struct executor_node *executor = request->executor;
    struct parcel *answer = parcel_new(world, request->admin, executor);

    answer->generation = request->generation;
    answer->reference = request->reference;
    sign(answer, executor);
    if (strcmp(request->incarnation, executor->incarnation) != 0) {
        SOMETIMES(dispatch_wrong_incarnation);
    } else {
        answer->answers = ARENA_ARRAY(world->arena, struct dispatch_answer, request->count);
        for (size_t i = 0; i < request->count; i++) {
            const struct dispatch_run *run = &request->runs[i];
            answer->answers[answer->count++] =
                (struct dispatch_answer){ .run_id = run->run_id,
                                          .attempt = run->attempt,
                                          .token = run->token,
                                          .verdict = take_run(world, executor, run) };
        }
    }
    world_send(world, &executor->process, &request->admin->process, dispatch_answer_arrives,
               answer);
}

/* Nobody answered in time, or (sent false) nobody was there. */
static void give_up(struct world *world, const struct parcel *parcel, enum event_kind kind,
                    bool sent)
{
    struct admin *admin = parcel->admin;
    struct scheduler_event event = { .kind = kind, .reference = parcel->reference };

    if (admin->process.generation != parcel->generation ||
        !admin_request_open(admin, parcel->reference))
        return;
    admin_request_close(admin, parcel->reference);
    if (kind == EVENT_DISPATCHED)
        event.dispatched.sent = sent;
    else
        event.seen.sent = sent;
    admin_event(world, admin, &event);
}

static void dispatch_timeout(struct world *world, void *argument)
{
    const struct parcel *parcel = argument;

    if (admin_request_open(parcel->admin, parcel->reference))
        SOMETIMES(dispatch_unanswered);
    give_up(world, parcel, EVENT_DISPATCHED, true);
}

static void dispatch_unsent(struct world *world, void *argument)
{
    SOMETIMES(dispatch_not_sent);
    give_up(world, argument, EVENT_DISPATCHED, false);
}

static void ask_timeout(struct world *world, void *argument)
{
    give_up(world, argument, EVENT_SEEN, true);
}

void executor_send_dispatch(struct world *world, struct admin *admin, const struct action *action)
{
    struct executor_node *executor = find_executor(world, action->dispatch.executor);
    struct parcel *parcel = parcel_new(world, admin, executor);
    size_t count = action->dispatch.count;

    parcel->reference = action->reference;
    memcpy(parcel->incarnation, action->dispatch.incarnation, strlen(action->dispatch.incarnation));
    parcel->runs = arena_copy(world->arena, action->dispatch.runs, count * sizeof *parcel->runs);
    parcel->count = count;
    if (!executor->process.up && world_chance(world, 500)) {
        world_at(world, world->now + 2, &admin->process, dispatch_unsent, parcel);
        return;
    }
    world_send(world, &admin->process, &executor->process, dispatch_arrives, parcel);
    world_at(world, world->now + world->request_timeout_ms, &admin->process, dispatch_timeout,
             parcel);
}

static void ask_answer_arrives(struct world *world, void *argument)
{
    const struct parcel *parcel = argument;
    struct admin *admin = parcel->admin;

    if (admin->process.generation != parcel->generation ||
        !admin_request_open(admin, parcel->reference))
        return;
    admin_request_close(admin, parcel->reference);
    admin_event(world, admin,
                &(struct scheduler_event){ .kind = EVENT_SEEN,
                                           .reference = parcel->reference,
                                           .seen = { .executor = parcel->name,
                                                     .incarnation = parcel->incarnation,
                                                     .sent = true,
                                                     .answers = parcel->seen,
                                                     .count = parcel->count } });
}

static bool was_seen(struct executor_node *executor, const struct running_run *asked)
{
    int64_t key = key_of(asked->run_id, asked->attempt, asked->token);

    if (map_get(&executor->seen, key)) {
        SOMETIMES(ask_seen);
        return true;
    }
    SOMETIMES(ask_not_seen);
    map_put(&executor->refused, key, executor); /* before it is said */
    return false;
}

static void ask_arrives(struct world *world, void *argument)
{
    const struct parcel *request = argument;
    struct executor_node *executor = request->executor;
    struct parcel *answer = parcel_new(world, request->admin, executor);

    answer->generation = request->generation;
    answer->reference = request->reference;
    sign(answer, executor);
    if (strcmp(request->incarnation, executor->incarnation) != 0) {
        SOMETIMES(ask_wrong_incarnation);
    } else {
        answer->seen = ARENA_ARRAY(world->arena, struct seen_answer, request->count);
        for (size_t i = 0; i < request->count; i++)
            answer->seen[answer->count++] =
                (struct seen_answer){ .run_id = request->asked[i].run_id,
                                      .attempt = request->asked[i].attempt,
                                      .token = request->asked[i].token,
                                      .seen = was_seen(executor, &request->asked[i]) };
    }
    world_send(world, &executor->process, &request->admin->process, ask_answer_arrives, answer);
}

void executor_send_ask(struct world *world, struct admin *admin, const struct action *action)
{
    struct executor_node *executor = find_executor(world, action->ask.executor);
    struct parcel *parcel = parcel_new(world, admin, executor);

    parcel->reference = action->reference;
    memcpy(parcel->incarnation, action->ask.incarnation, strlen(action->ask.incarnation));
    parcel->asked =
        arena_copy(world->arena, action->ask.runs, action->ask.count * sizeof *parcel->asked);
    parcel->count = action->ask.count;
    world_send(world, &admin->process, &executor->process, ask_arrives, parcel);
    world_at(world, world->now + world->request_timeout_ms, &admin->process, ask_timeout, parcel);
}

static void kill_arrives(struct world *world, void *argument)
{
    const struct parcel *parcel = argument;
    struct executor_node *executor = parcel->executor;
    struct task *task = find_task(executor, parcel->asked->run_id, parcel->asked->token);

    if (strcmp(parcel->incarnation, executor->incarnation) != 0 || !task) {
        SOMETIMES(kill_unknown);
        return;
    }
    if (task->state == TASK_DONE)
        return;
    SOMETIMES(kill_running);
    task->state = TASK_DONE;
    task->killed = true;
    task->outcome = RUN_CANCELLED;
    task->cause = CAUSE_STOPPED;
    task->ended_at = SIM_T0 + world->now + executor->process.skew;
    start_next(world, executor);
}

void executor_send_kill(struct world *world, struct admin *admin, const struct action *action)
{
    struct executor_node *executor = find_executor(world, action->kill.executor);
    struct parcel *parcel = parcel_new(world, admin, executor);

    memcpy(parcel->incarnation, action->kill.incarnation, strlen(action->kill.incarnation));
    parcel->asked = arena_copy(world->arena, &action->kill.run, sizeof *parcel->asked);
    world_send(world, &admin->process, &executor->process, kill_arrives, parcel);
}

/* --- reports ---------------------------------------------------------------------------------- */

static void ack_arrives(struct world *world, void *argument)
{
    const struct parcel *parcel = argument;
    struct executor_node *executor = parcel->executor;
    struct task *task = find_task(executor, parcel->asked->run_id, parcel->asked->token);

    if (parcel->verdict == ACK_NOT_OURS) {
        if (executor->target == parcel->admin->process.index - 1)
            executor->target = (executor->target + 1) % world->admin_count;
        if (task)
            task->told_at = 0;
        return;
    }
    if (!task)
        return;
    if (parcel->kind == REPORT_START)
        task->start_told = true;
    else if (task->state == TASK_DONE)
        remove_task(executor, task);
}

void executor_send_ack(struct world *world, struct admin *admin, int index, int64_t run_id,
                       int32_t attempt, int32_t token, enum report_kind kind,
                       enum ack_verdict verdict)
{
    struct executor_node *executor = &world->executors[index];
    struct parcel *parcel = parcel_new(world, admin, executor);
    struct running_run run = { .run_id = run_id, .attempt = attempt, .token = token };

    parcel->asked = arena_copy(world->arena, &run, sizeof run);
    parcel->kind = kind;
    parcel->verdict = verdict;
    world_send(world, &admin->process, &executor->process, ack_arrives, parcel);
}

static void reports_arrive(struct world *world, void *argument)
{
    const struct parcel *parcel = argument;
    struct report *reports =
        arena_copy(world->arena, parcel->reports, parcel->count * sizeof *reports);

    admin_take_reports(world, parcel->admin, parcel->executor->process.index - 1 - ADMIN_MAX,
                       parcel->incarnation, reports, parcel->count);
}

static bool wants_report(const struct world *world, const struct task *task)
{
    if (task->told_at && world->now < task->told_at + REPORT_AGAIN_MS)
        return false;
    return task->state == TASK_DONE || (task->state == TASK_RUNNING && !task->start_told);
}

static void report_round(struct world *world, void *argument)
{
    struct executor_node *executor = argument;
    struct admin *admin = &world->admins[executor->target];
    struct parcel *parcel = NULL;

    world_at(world, world->now + REPORT_EVERY_MS, &executor->process, report_round, executor);
    for (struct task *task = executor->tasks; task; task = task->next) {
        if (!wants_report(world, task) || (parcel && parcel->count == BATCH_MAX))
            continue;
        if (!parcel) {
            parcel = parcel_new(world, admin, executor);
            parcel->reports = ARENA_ARRAY(world->arena, struct report, BATCH_MAX);
            sign(parcel, executor);
        }
        if (task->told_at) /* no answer: somebody else may be there */
            executor->target = (int)world_between(world, 0, world->admin_count - 1);
        task->told_at = world->now;
        parcel->reports[parcel->count++] = (struct report){
            .kind = task->state == TASK_DONE ? REPORT_RESULT : REPORT_START,
            .run_id = task->run_id,
            .job_id = task->job_id,
            .attempt = task->attempt,
            .token = task->token,
            .started_at = task->started_at,
            .ended_at = task->ended_at,
            .outcome = task->outcome,
            .cause = task->cause,
            .no_retry = task->no_retry,
            .retry_after_ms = task->retry_after_ms,
        };
    }
    if (parcel)
        world_send(world, &executor->process, &admin->process, reports_arrive, parcel);
}

/* --- heartbeats ------------------------------------------------------------------------------- */

static void heartbeat_arrives(struct world *world, void *argument)
{
    struct parcel *parcel = argument;
    struct executor_load load = parcel->load;

    load.name = parcel->name;
    load.incarnation = parcel->incarnation;
    admin_take_heartbeat(world, parcel->admin, &load);
}

static void heartbeat_to(struct world *world, struct executor_node *executor, struct admin *admin)
{
    struct parcel *parcel = parcel_new(world, admin, executor);
    int busy = count_tasks(executor, TASK_RUNNING) + count_tasks(executor, TASK_QUEUED);
    int all = busy + count_tasks(executor, TASK_DONE);
    struct running_run *running = ARENA_ARRAY(world->arena, struct running_run, (size_t)all);

    sign(parcel, executor);
    for (const struct task *task = executor->tasks; task; task = task->next)
        running[parcel->count++] = (struct running_run){ .run_id = task->run_id,
                                                         .attempt = task->attempt,
                                                         .token = task->token };
    parcel->load = (struct executor_load){ .slots_free = executor->slots + executor->places - busy,
                                           .slots_total = executor->slots + executor->places,
                                           .draining = executor->draining,
                                           .running = running,
                                           .running_count = parcel->count,
                                           .started_at = executor->started_at };
    world_send(world, &executor->process, &admin->process, heartbeat_arrives, parcel);
}

static void heartbeat_round(struct world *world, void *argument)
{
    struct executor_node *executor = argument;

    for (int i = 0; i < world->admin_count; i++)
        heartbeat_to(world, executor, &world->admins[i]);
    world_at(world, world->now + world->heartbeat_ms, &executor->process, heartbeat_round,
             executor);
}

/* --- life and death --------------------------------------------------------------------------- */

void executor_start(struct world *world, void *argument)
{
    struct executor_node *executor = argument;

    if (executor->process.up || (world->quiet && world->now > world->quiet_since))
        return;
    executor->process.up = true;
    executor->process.generation++;
    executor->started_at = SIM_T0 + world->now;
    executor->target = (int)world_between(world, 0, world->admin_count - 1);
    incarnation_make(world, executor->incarnation);
    for (const struct task *task = executor->tasks; task; task = task->next)
        SOMETIMES(report_from_spool);
    heartbeat_round(world, executor);
    report_round(world, executor);
}

void executor_crash(struct world *world, struct executor_node *executor, bool comes_back)
{
    if (!executor->process.up && comes_back)
        return;
    world_trace(world, "executor-crash", executor->process.index, comes_back, 0);
    if (count_tasks(executor, TASK_RUNNING) > 0)
        SOMETIMES(executor_lost_running);
    executor->process.up = false;
    executor->process.generation++;
    map_done(&executor->seen);
    map_done(&executor->refused);
    for (struct task *task = executor->tasks, *next; task; task = next) {
        next = task->next;
        task->told_at = 0;
        if (task->state != TASK_DONE)
            remove_task(executor, task);
    }
    executor->draining = false;
    if (comes_back)
        world_at(world, world->now + world_between(world, 50, 15000), NULL, executor_start,
                 executor);
}
