#include "job-admin/admin.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "job-execute/client.h"

#include <stdlib.h>

/*
 * Runs on their way to an executor: what the definition of the pinned version says is put beside
 * each and the batch is sent as one call. Definitions are kept at hand, the least used go first. A
 * batch under way holds those that it points to: other batches may replace them in the cache.
 */

enum { CACHE_MAX = 20000 };

struct dispatch_info {
    struct list lru;
    int32_t refs;             /* the cache, and each batch that points to it */
    struct arena *arena;
    int32_t job_id, version;
    char *name;               /* "group/name" */
    struct job job;
};

static struct dispatch_info *info_ref(struct dispatch_info *info)
{
    info->refs++;
    return info;
}

static void info_unref(struct dispatch_info *info)
{
    struct arena *arena = info->arena;

    if (--info->refs == 0)
        arena_free(&arena);
}

static struct dispatch_info *info_find(struct admin *admin, int32_t job_id, int32_t version)
{
    struct dispatch_info *info = map_get(&admin->dispatch_cache, job_id);

    if (!info || info->version != version)
        return NULL;
    list_remove(&info->lru);
    list_add_tail(&admin->dispatch_lru, &info->lru);
    return info;
}

static void cache_remove(struct admin *admin, struct dispatch_info *info)
{
    map_remove(&admin->dispatch_cache, info->job_id);
    admin->dispatch_cached--;
    list_remove(&info->lru);
    info_unref(info);
}

static void cache_add(struct admin *admin, struct dispatch_info *info)
{
    struct dispatch_info *old = map_get(&admin->dispatch_cache, info->job_id);

    if (old)
        cache_remove(admin, old);
    else if (admin->dispatch_cached >= CACHE_MAX)
        cache_remove(admin, CONTAINER_OF(admin->dispatch_lru.next, struct dispatch_info, lru));
    map_put(&admin->dispatch_cache, info->job_id, info);
    list_add_tail(&admin->dispatch_lru, &info->lru);
    admin->dispatch_cached++;
}

/* NULL, logged: the definition cannot be read. */
static struct dispatch_info *info_make(struct admin *admin, int32_t job_id, int32_t version,
                                       const char *definition)
{
    struct arena *arena = arena_new();
    struct dispatch_info *info = ARENA_NEW(arena, struct dispatch_info);
    struct error err;

    list_init(&info->lru);
    info->refs = 1;
    info->arena = arena;
    info->job_id = job_id;
    info->version = version;
    if (job_definition_read(&info->job, definition, arena, &err)) {
        LOG_ERROR("job definition cannot be read, its run fails", "job", log_int(job_id), "error",
                  error_english(&err));
        arena_free(&arena);
        return NULL;
    }
    info->name = arena_printf(arena, "%s/%s", info->job.group, info->job.name);
    cache_add(admin, info);
    return info;
}

void dispatch_cache_free(struct admin *admin)
{
    while (!list_empty(&admin->dispatch_lru))
        cache_remove(admin, CONTAINER_OF(admin->dispatch_lru.next, struct dispatch_info, lru));
    map_done(&admin->dispatch_cache);
}

/* --- one batch ---------------------------------------------------------------------------------------- */

struct batch {
    struct admin *admin;
    struct arena *arena;
    struct action action;             /* with its texts and runs copied */
    const char *instance;             /* NULL: this process */
    struct dispatch_info **infos;     /* of the runs of a dispatch, held; NULL: unreadable */
    size_t info_count;
    struct definition {
        size_t run;                   /* which one lacks it */
        int32_t job_id, version;
        const char *text;
    } *missing;
    size_t missing_count;
    struct execute_dispatch request;
    struct execute_ask ask;
    struct execute_stop stop;
};

static struct batch *batch_new(struct admin *admin, const struct action *action,
                               const char *executor)
{
    struct arena *arena = arena_new();
    struct batch *batch = ARENA_NEW(arena, struct batch);
    const struct executor *target = executor_find(admin, executor);

    batch->admin = admin;
    batch->arena = arena;
    batch->action = *action;
    if (target && strcmp(target->url, "local") != 0 && strcmp(target->url, admin->node->url) != 0)
        batch->instance = arena_strdup(arena, target->url);
    return batch;
}

static void batch_free(struct batch *batch)
{
    struct arena *arena = batch->arena;

    for (size_t i = 0; i < batch->info_count; i++)
        if (batch->infos[i])
            info_unref(batch->infos[i]);
    arena_free(&arena);
}

static void dispatch_answered(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct batch *batch = ctx;
    const struct execute_dispatched *dispatched = answer;
    struct scheduler_event event = { .kind = EVENT_DISPATCHED,
                                     .reference = batch->action.reference };
    struct dispatch_answer *answers = NULL;
    size_t count = dispatched ? dispatched->verdict_count : 0;

    answers = ARENA_ARRAY(batch->arena, struct dispatch_answer, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct execute_verdict *v = &dispatched->verdicts[i];
        answers[i] = (struct dispatch_answer){ .run_id = v->run_id, .attempt = v->attempt,
                                               .token = v->token,
                                               .verdict = (enum dispatch_verdict)v->verdict };
    }
    event.dispatched.sent = sent;
    event.dispatched.answers = answers;
    event.dispatched.count = count;
    if (dispatched) {
        event.dispatched.executor = dispatched->executor;
        event.dispatched.incarnation = dispatched->incarnation;
    } else {
        LOG_WARN("dispatch was not answered", "executor", batch->action.dispatch.executor, "error",
                 err ? error_english(err) : NULL, "next",
                 sent ? "the executor is asked" : "the runs go back to the queue");
    }
    engine_step(batch->admin, &event);
    batch_free(batch);
}

/* Parameters of the run stand over those of the job. */
static void run_parameters_fill(struct batch *batch, struct execute_run *run,
                                const struct job *job)
{
    const char *own = map_get(&batch->admin->run_parameters, run->run_id);
    struct json_pair *pairs = NULL;
    size_t count = 0, used = job->parameter_count;
    struct error err;

    run->parameters = job->parameters;
    run->parameter_count = job->parameter_count;
    if (!own || json_pairs(str_of(own), batch->arena, &pairs, &count, &err))
        return;
    struct json_pair *all =
        ARENA_ARRAY(batch->arena, struct json_pair, job->parameter_count + count + 1);
    memcpy(all, job->parameters, job->parameter_count * sizeof *all);
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < used && strcmp(all[k].name, pairs[i].name) != 0)
            k++;
        all[k] = pairs[i];
        used += k == used;
    }
    run->parameters = all;
    run->parameter_count = used;
}

static void run_fill(struct batch *batch, struct execute_run *run, const struct dispatch_run *from,
                     const struct dispatch_info *info)
{
    const struct job *job = &info->job;

    *run = (struct execute_run){
        .run_id = from->run_id,
        .attempt = from->attempt,
        .token = from->token,
        .job_id = from->job_id,
        .job_version = from->job_version,
        .fire_at = from->fire_at,
        .job = info->name,
        .zone = (char *)(intptr_t)job_zone(job),
        .task_type = (char *)(intptr_t)job_task_type(job),
        .task = (char *)(intptr_t)job_task_definition(job),
        .timeout_ms = job->timeout_ms,
        .at_most_once = job->promise == PROMISE_AT_MOST_ONCE,
        .log_max = job->log_max,
    };
    run_parameters_fill(batch, run, job);
}

/* The definition of a run is gone or unreadable: it fails as if its executor had said so. */
static void run_fail(struct batch *batch, const struct dispatch_run *run)
{
    struct admin_report_item *detail = ARENA_NEW(batch->arena, struct admin_report_item);
    struct report *report = ARENA_NEW(batch->arena, struct report);
    struct scheduler_event event = { .kind = EVENT_REPORT };

    detail->exit_code = -1;
    detail->message = arena_strdup(batch->arena, "the job's definition cannot be read");
    *report = (struct report){
        .kind = REPORT_RESULT, .run_id = run->run_id, .job_id = run->job_id,
        .attempt = run->attempt, .token = run->token,
        .ended_at = admin_now_ms(batch->admin), .outcome = RUN_FAILED, .cause = CAUSE_TASK,
        .no_retry = true, .detail = detail,
    };
    event.report.executor = batch->action.dispatch.executor;
    event.report.incarnation = batch->action.dispatch.incarnation;
    event.report.reports = report;
    event.report.count = 1;
    engine_step(batch->admin, &event);
}

static void batch_send(struct batch *batch)
{
    struct admin *admin = batch->admin;
    struct execute_dispatch *request = &batch->request;
    size_t count = batch->action.dispatch.count;

    request->incarnation = (char *)(intptr_t)batch->action.dispatch.incarnation;
    request->admin = (char *)(intptr_t)admin->node->name;
    request->admin_incarnation = admin->node->incarnation;
    request->admin_url = (char *)(intptr_t)(batch->instance ? admin->node->url : "local");
    request->runs = ARENA_ARRAY(batch->arena, struct execute_run, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct dispatch_run *run = &batch->action.dispatch.runs[i];
        if (batch->infos[i])
            run_fill(batch, &request->runs[request->run_count++], run, batch->infos[i]);
        else
            run_fail(batch, run);
    }
    call_send(admin->node, &execute_dispatch_call, batch->instance, request, dispatch_answered,
              batch);
}

/* --- definitions that are not at hand ------------------------------------------------------------------ */

static int definitions_read(struct db_tx *tx, void *ctx, struct error *err)
{
    struct batch *batch = ctx;
    struct db_result *result;

    for (size_t i = 0; i < batch->missing_count; i++) {
        struct definition *d = &batch->missing[i];
        d->text = NULL;
        if (DB_QUERY(tx, batch->arena, &result, err,
                     "SELECT definition FROM job_version WHERE job_id = ? AND version = ?",
                     DB_I(d->job_id), DB_I(d->version)))
            return -1;
        if (db_next(result))
            d->text = db_text(result, 0);
    }
    return 0;
}

static void definitions_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct batch *batch = ctx;

    if (outcome != DB_OK) {
        dispatch_answered(batch, NULL, false, err);
        return;
    }
    for (size_t i = 0; i < batch->missing_count; i++) {
        const struct definition *d = &batch->missing[i];
        /* another batch may have brought it by now */
        struct dispatch_info *info = info_find(batch->admin, d->job_id, d->version);
        if (!info && d->text)
            info = info_make(batch->admin, d->job_id, d->version, d->text);
        batch->infos[d->run] = info ? info_ref(info) : NULL;
    }
    batch_send(batch);
}

void dispatch_start(struct admin *admin, const struct action *action)
{
    struct batch *batch = batch_new(admin, action, action->dispatch.executor);
    size_t count = action->dispatch.count;

    batch->action.dispatch.executor = arena_strdup(batch->arena, action->dispatch.executor);
    batch->action.dispatch.incarnation = arena_strdup(batch->arena, action->dispatch.incarnation);
    batch->action.dispatch.runs =
        arena_copy(batch->arena, action->dispatch.runs, count * sizeof *action->dispatch.runs);
    batch->infos = ARENA_ARRAY(batch->arena, struct dispatch_info *, count + 1);
    batch->info_count = count;
    batch->missing = ARENA_ARRAY(batch->arena, struct definition, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct dispatch_run *run = &batch->action.dispatch.runs[i];
        struct dispatch_info *info = info_find(admin, run->job_id, run->job_version);
        if (info)
            batch->infos[i] = info_ref(info);
        else
            batch->missing[batch->missing_count++] = (struct definition){
                .run = i, .job_id = run->job_id, .version = run->job_version
            };
    }
    if (batch->missing_count)
        db_submit_read(admin->node->db, DB_POOL_SCHEDULE, definitions_read, batch,
                       definitions_done);
    else
        batch_send(batch);
}

/* --- ask and kill ---------------------------------------------------------------------------------------- */

static void ask_answered(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct batch *batch = ctx;
    const struct execute_asked *asked = answer;
    struct scheduler_event event = { .kind = EVENT_SEEN, .reference = batch->action.reference };
    size_t count = asked ? asked->run_count : 0;
    struct seen_answer *answers = ARENA_ARRAY(batch->arena, struct seen_answer, count + 1);

    (void)err;
    for (size_t i = 0; i < count; i++) {
        const struct execute_ask_run *run = &asked->runs[i];
        answers[i] = (struct seen_answer){ .run_id = run->run_id, .attempt = run->attempt,
                                           .token = run->token, .seen = run->seen };
    }
    event.seen.sent = sent;
    event.seen.executor = asked ? asked->executor : NULL;
    event.seen.incarnation = asked ? asked->incarnation : NULL;
    event.seen.answers = answers;
    event.seen.count = count;
    engine_step(batch->admin, &event);
    batch_free(batch);
}

void dispatch_ask(struct admin *admin, const struct action *action)
{
    struct batch *batch = batch_new(admin, action, action->ask.executor);
    struct execute_ask *ask = &batch->ask;

    ask->incarnation = arena_strdup(batch->arena, action->ask.incarnation);
    ask->runs = ARENA_ARRAY(batch->arena, struct execute_ask_run, action->ask.count + 1);
    ask->run_count = action->ask.count;
    for (size_t i = 0; i < action->ask.count; i++) {
        const struct running_run *run = &action->ask.runs[i];
        ask->runs[i] = (struct execute_ask_run){ .run_id = run->run_id, .attempt = run->attempt,
                                                 .token = run->token };
    }
    call_send(admin->node, &execute_ask_call, batch->instance, ask, ask_answered, batch);
}

static void kill_answered(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct batch *batch = ctx;

    (void)answer;
    (void)sent;
    if (err)
        LOG_WARN("stop did not reach the executor, it will be sent again", "run",
                 log_int(batch->stop.run_id), "error", error_english(err));
    batch_free(batch);
}

void dispatch_kill(struct admin *admin, const struct action *action)
{
    struct batch *batch = batch_new(admin, action, action->kill.executor);

    batch->stop = (struct execute_stop){
        .run_id = action->kill.run.run_id,
        .attempt = action->kill.run.attempt,
        .token = action->kill.run.token,
        .cause = (int32_t)action->kill.cause,
    };
    call_send(admin->node, &execute_stop_call, batch->instance, &batch->stop, kill_answered, batch);
}
