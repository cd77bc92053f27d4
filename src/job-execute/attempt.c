#include "job-execute/attempt.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "job-execute/execute.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- made and freed --------------------------------------------------------------------------- */

static struct json_pair *pairs_copy(struct arena *arena, const struct json_pair *pairs,
                                    size_t count)
{
    struct json_pair *copy = ARENA_ARRAY(arena, struct json_pair, count ? count : 1);

    for (size_t i = 0; i < count; i++) {
        copy[i].name = arena_strdup(arena, pairs[i].name);
        copy[i].value = arena_strdup(arena, pairs[i].value ? pairs[i].value : "");
    }
    return copy;
}

static struct execute_run *run_copy(struct arena *arena, const struct execute_run *run)
{
    struct execute_run *copy = arena_copy(arena, run, sizeof *run);

    copy->job = arena_strdup(arena, run->job ? run->job : "");
    copy->zone = arena_strdup(arena, run->zone);
    copy->task_type = arena_strdup(arena, run->task_type ? run->task_type : "");
    copy->task = arena_strdup(arena, run->task ? run->task : "");
    copy->parameters = pairs_copy(arena, run->parameters, run->parameter_count);
    return copy;
}

static bool log_emit(void *ctx, struct run_log *log, bool last)
{
    struct attempt *attempt = ctx;
    struct admin_log_chunk chunk = {
        .run_id = attempt->run_id,
        .attempt = attempt->number,
        .sequence = log->sequence,
        .first_at = log->chunk_first_at,
        .last_at = log->chunk_last_at,
        .line_count = log->chunk_lines,
        .first_line = log->lines + 1,
        .dropped = log->dropped,
        .last = last,
    };
    size_t size = log->chunk.size;

    return log_send(attempt->execute->log_sender, attempt->peer, &chunk, buf_take(&log->chunk),
                    size);
}

struct attempt *attempt_new(struct execute *execute, const struct execute_run *run,
                            struct peer *peer)
{
    struct attempt *attempt = memory_alloc(sizeof *attempt);

    attempt->execute = execute;
    attempt->run_id = run->run_id;
    attempt->number = run->attempt;
    attempt->token = run->token;
    attempt->job_id = run->job_id;
    attempt->peer = peer;
    attempt->arena = arena_new();
    attempt->run = run_copy(attempt->arena, run);
    attempt->type = task_type_find(attempt->run->task_type);
    list_init(&attempt->link);
    list_init(&attempt->all);
    run_log_init(&attempt->log, run->log_max);
    attempt->log.emit = log_emit;
    attempt->log.ctx = attempt;
    return attempt;
}

static void attempt_forget_task(struct attempt *attempt)
{
    run_log_done(&attempt->log);
    if (attempt->timer)
        event_free(attempt->timer);
    attempt->timer = NULL;
    arena_free(&attempt->arena);
    attempt->run = NULL;
    attempt->task = NULL;
}

void attempt_free(struct attempt *attempt)
{
    if (attempt->state == ATTEMPT_RUNNING && attempt->task && attempt->type->drop)
        attempt->type->drop(attempt);
    attempt_forget_task(attempt);
    list_remove(&attempt->link);
    list_remove(&attempt->all);
    free(attempt);
}

int execute_params(const struct attempt *attempt, struct params *ret_params, struct zone **ret_zone,
                   struct error *err)
{
    const struct execute_run *run = attempt->run;

    if (zone_set_find(attempt->execute->zones, run->zone ? run->zone : "UTC", ret_zone, err) < 0)
        return -1;
    *ret_params = (struct params){
        .pairs = run->parameters,
        .count = run->parameter_count,
        .run_id = run->run_id,
        .fire_at = run->fire_at,
        .attempt = run->attempt,
        .job = run->job,
        .zone = *ret_zone,
    };
    return 0;
}

/* --- start ------------------------------------------------------------------------------------ */

static void attempt_report_start(struct attempt *attempt)
{
    struct admin_report_item item = {
        .kind = REPORT_START,
        .run_id = attempt->run_id,
        .attempt = attempt->number,
        .token = attempt->token,
        .job_id = attempt->job_id,
        .started_at = attempt->started_at,
        .exit_code = -1,
    };

    attempt->start = report_start(attempt->execute->reporter, attempt, attempt->peer, &item);
}

void attempt_start(struct attempt *attempt)
{
    struct error err = { 0 };
    void *settings;

    attempt->started_at = clock_wall_ms();
    attempt->started_mono_ms = clock_mono_ms();
    attempt_report_start(attempt);
    if (!attempt->type) {
        error_set(&err, ERR_INVALID, "this job-execute has no task type \"%s\"",
                  attempt->run->task_type);
        attempt_fail(attempt, CAUSE_TASK, &err);
        return;
    }
    if (task_read(attempt->type, str_of(attempt->run->task), NULL, attempt->arena, &settings,
                  &err) < 0 ||
        attempt->type->start(attempt, settings, &err) < 0)
        attempt_fail(attempt, err.code == ERR_INVALID ? CAUSE_TASK : CAUSE_START, &err);
}

static void attempt_timeout(evutil_socket_t fd, short what, void *ctx)
{
    struct attempt *attempt = ctx;

    (void)fd;
    (void)what;
    if (!attempt->stop_cause)
        attempt->timed_out = true;
    attempt->type->cancel(attempt);
}

void attempt_timer(struct attempt *attempt, int64_t timeout_ms)
{
    struct timeval wait = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

    if (!attempt->timer)
        attempt->timer = event_new(attempt->execute->node->base, -1, 0, attempt_timeout, attempt);
    event_add(attempt->timer, &wait);
}

/* --- end -------------------------------------------------------------------------------------- */

static void attempt_report_result(struct attempt *attempt, const struct attempt_result *result)
{
    struct admin_report_item item = {
        .kind = REPORT_RESULT,
        .run_id = attempt->run_id,
        .attempt = attempt->number,
        .token = attempt->token,
        .job_id = attempt->job_id,
        .started_at = attempt->started_at,
        .ended_at = clock_wall_ms(),
        .outcome = (int32_t)result->outcome,
        .cause = (int32_t)result->cause,
        .output = (char *)(intptr_t)result->output,
        .exit_code = result->exit_code,
        .signal = result->signal,
        .http_status = result->http_status,
        .retry_after_ms = result->retry_after_ms,
        .no_retry = result->no_retry,
        .cpu_ms = result->cpu_ms,
        .memory_peak = result->memory_peak,
        .log_bytes = attempt->log.bytes,
        .log_dropped = attempt->log.dropped,
        .address = (char *)(intptr_t)result->address,
    };
    char message[MESSAGE_MAX + 1];

    if (result->message) {
        size_t size = strlen(result->message);

        if (size > MESSAGE_MAX)
            size = MESSAGE_MAX;
        while (size && size < strlen(result->message) &&
               ((unsigned char)result->message[size] & 0xc0) == 0x80)
            size--; /* whole code points only */
        memcpy(message, result->message, size);
        message[size] = '\0';
        item.message = message;
    }
    attempt->result =
        report_result(attempt->execute->reporter, attempt, attempt->start, attempt->peer, &item);
}

void attempt_done(struct attempt *attempt, const struct attempt_result *result)
{
    struct execute_counters *counters = &attempt->execute->counters;

    counters->ended++;
    counters->failed += result->outcome == RUN_FAILED;
    counters->timed_out += result->outcome == RUN_TIMED_OUT;
    counters->stopped += result->outcome == RUN_CANCELLED;
    run_log_end(&attempt->log);
    run_log_flush(&attempt->log, true);
    attempt_report_result(attempt, result);
    attempt_forget_task(attempt);
    execute_ended(attempt->execute, attempt);
}

void attempt_fail(struct attempt *attempt, enum cause cause, const struct error *err)
{
    struct attempt_result result = {
        .outcome = RUN_FAILED,
        .cause = cause,
        .exit_code = -1,
        .no_retry = cause == CAUSE_TASK,
    };
    char text[1024];

    size_t used = 0;

    if (err->path[0]) {
        int n = snprintf(text, sizeof text, "%s: ", err->path);
        used = n > 0 && (size_t)n < sizeof text / 2 ? (size_t)n : 0;
    }
    error_text(err, LANGUAGE_EN, text + used, sizeof text - used);
    result.message = text;
    attempt_done(attempt, &result);
}

void attempt_stop(struct attempt *attempt, enum cause cause)
{
    struct attempt_result result = {
        .outcome = RUN_CANCELLED,
        .cause = cause,
        .exit_code = -1,
        .message = "stopped before it began",
    };

    if (attempt->state == ATTEMPT_ENDED)
        return;
    if (attempt->state == ATTEMPT_QUEUED) {
        attempt_done(attempt, &result);
        return;
    }
    if (!attempt->stop_cause)
        attempt->stop_cause = cause;
    attempt->type->cancel(attempt);
}
