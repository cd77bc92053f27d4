#include "job-execute/task-script.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "job-execute/execute.h"
#include "job-execute/interpreters.h"
#include "job-execute/launcher.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A script is a file in a private folder, run by an interpreter in a process tree of its own. */

enum { FLUSH_MS = 500, HOLD_MS = 50 };

struct script_attempt {
    struct attempt *attempt;
    const struct script_task *task;
    struct launch *launch;
    struct event *flush; /* lines are on their way within FLUSH_MS */
    int64_t printed, output_max;
    bool over_output, held;
};

static void script_defaults(void *settings)
{
    (void)settings;
}

/* --- output ----------------------------------------------------------------------------------- */

static void flush_later(struct script_attempt *script, int ms)
{
    struct timeval wait = { 0, ms * 1000 };

    if (!event_pending(script->flush, EV_TIMEOUT, NULL))
        event_add(script->flush, &wait);
}

static void script_flush(evutil_socket_t fd, short what, void *ctx)
{
    struct script_attempt *script = ctx;

    (void)fd;
    (void)what;
    run_log_flush(&script->attempt->log, false);
    if (!script->held)
        return;
    if (log_sender_hold(script->attempt->execute->log_sender)) {
        flush_later(script, HOLD_MS);
        return;
    }
    script->held = false;
    launch_pause(script->launch, false);
}

static void script_output(void *ctx, int stream, const char *bytes, size_t size)
{
    struct script_attempt *script = ctx;
    struct attempt *attempt = script->attempt;

    script->printed += (int64_t)size;
    if (script->printed > script->output_max && !script->over_output) {
        script->over_output = true;
        launch_stop(script->launch);
        launch_stop(script->launch); /* at once: it would go on printing through its grace */
    }
    run_log_add(&attempt->log, stream == 1 ? 'o' : 'e', bytes, size, clock_wall_ms());
    if (!attempt->log.full && log_sender_hold(attempt->execute->log_sender)) {
        script->held = true;
        launch_pause(script->launch, true);
        flush_later(script, HOLD_MS);
    } else
        flush_later(script, FLUSH_MS);
}

/* --- end -------------------------------------------------------------------------------------- */

static const char *signal_text(const struct script_attempt *script, int signal, struct arena *arena)
{
    if (signal == SIGXCPU)
        return arena_printf(arena, "used more than its limit of %lld s of CPU time",
                            (long long)script->task->limits.cpu_s);
    return arena_printf(arena, "ended by signal %d (%s)", signal, sigabbrev_np(signal));
}

/* With what the script said last, which is mostly why. */
static const char *exit_text(const struct script_attempt *script, int code, struct arena *arena)
{
    struct buf said;
    const char *text;

    buf_init(&said, MESSAGE_MAX);
    run_log_last_error(&script->attempt->log, &said);
    text =
        arena_printf(arena, said.size ? "exit code %d: %s" : "exit code %d", code, buf_text(&said));
    buf_done(&said);
    return text;
}

static void exited(const struct script_attempt *script, const struct launch_result *launched,
                   struct arena *arena, struct attempt_result *result)
{
    const char *json = script->attempt->log.json;
    char *output;

    result->outcome = RUN_FAILED;
    if (launched->signal) {
        result->cause = CAUSE_SIGNAL;
        result->message = signal_text(script, launched->signal, arena);
        return;
    }
    if (launched->exit_code) {
        result->cause = CAUSE_EXIT_CODE;
        result->message = exit_text(script, launched->exit_code, arena);
    } else {
        result->cause = CAUSE_OK;
        result->outcome = RUN_SUCCEEDED;
    }
    if (json && json_check(str_of(json), OUTPUT_MAX, true, arena, &output, NULL) == 0)
        result->output = output;
}

static void stopped(const struct script_attempt *script, struct arena *arena,
                    struct attempt_result *result)
{
    const struct attempt *attempt = script->attempt;

    result->outcome = RUN_FAILED;
    if (script->over_output) {
        result->cause = CAUSE_OUTPUT_LIMIT;
        result->message = arena_printf(arena, "printed more than its limit of %lld bytes",
                                       (long long)script->output_max);
    } else if (attempt->timed_out) {
        result->outcome = RUN_TIMED_OUT;
        result->cause = CAUSE_TIMEOUT;
        result->message = arena_printf(arena, "ran longer than its timeout of %lld ms",
                                       (long long)attempt->run->timeout_ms);
    } else {
        result->outcome = RUN_CANCELLED;
        result->cause = attempt->stop_cause;
        result->message = "stopped";
    }
}

static void end_judge(const struct script_attempt *script, const struct launch_result *launched,
                      struct arena *arena, struct attempt_result *result)
{
    result->outcome = RUN_FAILED;
    switch (launched->end) {
    case LAUNCH_EXITED:
        exited(script, launched, arena, result);
        break;
    case LAUNCH_STOPPED:
        stopped(script, arena, result);
        break;
    case LAUNCH_MEMORY:
        result->cause = CAUSE_MEMORY;
        result->message = "used more memory than its limit";
        break;
    case LAUNCH_PROCESSES:
        result->cause = CAUSE_PROCESSES;
        result->message = "started more processes than its limit";
        break;
    case LAUNCH_NOT_STARTED:
        result->cause = CAUSE_START;
        result->message = arena_strdup(arena, error_english(launched->err));
        break;
    case LAUNCH_LOST:
        result->cause = CAUSE_SIGNAL;
        result->message = arena_strdup(arena, error_english(launched->err));
        break;
    }
}

static void descendants_tell(struct attempt *attempt, const struct launch_result *launched,
                             struct arena *arena)
{
    if (launched->left_behind)
        run_log_line(&attempt->log, 'e',
                     arena_printf(arena, "%d descendants outlived the script and were ended",
                                  launched->left_behind),
                     clock_wall_ms());
    if (launched->survivors)
        LOG_ERROR("descendants of a script could not be ended", "run", log_int(attempt->run_id),
                  "survivors", log_int(launched->survivors));
}

static void script_done(void *ctx, const struct launch_result *launched)
{
    struct script_attempt *script = ctx;
    struct attempt *attempt = script->attempt;
    struct arena *arena = arena_new();
    struct attempt_result result = {
        .exit_code = launched->exit_code,
        .signal = launched->signal,
        .cpu_ms = launched->cpu_ms,
        .memory_peak = launched->memory_peak,
    };

    event_free(script->flush);
    /* The last line may be the output. */
    run_log_end(&attempt->log);
    end_judge(script, launched, arena, &result);
    descendants_tell(attempt, launched, arena);
    if (result.message)
        run_log_line(&attempt->log, 'e', result.message, clock_wall_ms());
    attempt_done(attempt, &result);
    arena_free(&arena);
}

static void script_started(void *ctx)
{
    (void)ctx; /* reported when it was asked for: a few ms make no difference */
}

/* --- start ------------------------------------------------------------------------------------ */

static int64_t either(int64_t first, int64_t second)
{
    return first ? first : second;
}

static void limits_take(const struct execute_settings *settings, const struct script_task *task,
                        struct launch_limits *ret)
{
    ret->memory = either(task->limits.memory, settings->limits.memory);
    ret->processes = either(task->limits.processes, settings->limits.processes);
    ret->files = either(task->limits.files, settings->limits.files);
    ret->cpu_s = task->limits.cpu_s;
}

static int user_take(const struct execute_settings *settings, const struct script_task *task,
                     const char **ret_user, struct error *err)
{
    *ret_user = settings->user;
    if (!task->user || (settings->user && !strcmp(task->user, settings->user)))
        return 0;
    if (!settings->any_user)
        return error_set_at(err, ERR_FORBIDDEN, "user",
                            "scripts may not name a user here (execute.any_user)");
    *ret_user = task->user;
    return 0;
}

static int request_fill(struct attempt *attempt, const struct script_task *task,
                        const struct params *params, struct arena *arena,
                        struct launch_request *request, struct error *err)
{
    const struct execute_settings *settings = &attempt->execute->settings;
    const char **argv, **env;
    char *input = NULL;

    if (!interpreter_find(task->interpreter, &request->path) || !request->path)
        return error_set_at(err, ERR_NOT_FOUND, "interpreter", "%s is not installed here",
                            task->interpreter);
    request->work_root = settings->work_dir;
    request->work_name = arena_printf(arena, "%lld-%d-%d", (long long)attempt->run_id,
                                      (int)attempt->number, (int)attempt->token);
    if (user_take(settings, task, &request->user, err) < 0 ||
        script_argv(task, params, arena, &argv, err) < 0 ||
        script_environment(task, attempt, params,
                           arena_printf(arena, "%s/%s", request->work_root, request->work_name),
                           arena, &env, err) < 0)
        return -1;
    if (task->stdin_text && params_expand(str_of(task->stdin_text), "stdin", PARAMS_TEXT, params,
                                          arena, &input, err) < 0)
        return -1;
    request->argv = argv;
    request->env = env;
    request->script = task->script;
    request->script_size = strlen(task->script);
    request->script_name = "script";
    request->input = input;
    request->input_size = input ? strlen(input) : 0;
    request->cwd = task->cwd;
    request->nice = settings->nice;
    request->grace_ms = settings->grace_ms;
    limits_take(settings, task, &request->limits);
    request->cgroup = settings->cgroups_always ||
                      (settings->cgroups && (task->limits.memory || task->limits.processes));
    return 0;
}

static void script_launch(struct attempt *attempt, const struct script_task *task,
                          const struct launch_request *request)
{
    static const struct launch_events events = { script_started, script_output, script_done };
    struct script_attempt *script = ARENA_NEW(attempt->arena, struct script_attempt);

    script->attempt = attempt;
    script->task = task;
    script->output_max = either(task->limits.output, attempt->execute->settings.limits.output);
    script->flush = event_new(attempt->execute->node->base, -1, 0, script_flush, script);
    attempt->task = script;
    attempt->log.keep_json = true;
    if (attempt->run->timeout_ms > 0)
        attempt_timer(attempt, attempt->run->timeout_ms);
    script->launch = launcher_run(attempt->execute->node->launcher, request, &events, script);
}

static int script_start(struct attempt *attempt, void *settings, struct error *err)
{
    const struct script_task *task = settings;
    struct launch_request request = { 0 };
    struct arena *arena = arena_new();
    struct zone *zone = NULL;
    struct params params;
    int result;

    if (!attempt->execute->node->launcher) {
        arena_free(&arena);
        return error_set(err, ERR_UNAVAILABLE, "this process has no launcher for scripts");
    }
    result = execute_params(attempt, &params, &zone, err);
    if (result == 0)
        result = request_fill(attempt, task, &params, arena, &request, err);
    if (result == 0)
        script_launch(attempt, task, &request);
    zone_unref(&zone);
    arena_free(&arena);
    return result;
}

static void script_cancel(struct attempt *attempt)
{
    struct script_attempt *script = attempt->task;

    launch_stop(script->launch);
}

static void script_drop(struct attempt *attempt)
{
    struct script_attempt *script = attempt->task;

    event_free(script->flush);
}

const struct task_type task_script = {
    .name = "script",
    .settings = &script_task_table,
    .slot = TASK_SLOT_SCRIPT,
    .defaults = script_defaults,
    .check = script_task_check,
    .start = script_start,
    .cancel = script_cancel,
    .drop = script_drop,
};
