#include "job-execute/service.h"

#include "job-execute/execute.h"
#include "job-execute/launcher.h"

static int job_execute_start(struct node *node, void **ret_state, struct error *err)
{
    struct execute *execute = NULL;

    if (execute_new(node, &execute, err) < 0)
        return -1;
    *ret_state = execute;
    return 0;
}

static void job_execute_metrics(void *state, struct buf *out)
{
    const struct execute *execute = state;
    const struct execute_counters *counters = &execute->counters;

    buf_printf(out, "belfry_execute_running{slot=\"light\"} %zu\n",
               execute->running[TASK_SLOT_LIGHT]);
    buf_printf(out, "belfry_execute_running{slot=\"script\"} %zu\n",
               execute->running[TASK_SLOT_SCRIPT]);
    buf_printf(out, "belfry_execute_queued{slot=\"light\"} %zu\n",
               execute->queued[TASK_SLOT_LIGHT]);
    buf_printf(out, "belfry_execute_queued{slot=\"script\"} %zu\n",
               execute->queued[TASK_SLOT_SCRIPT]);
    buf_printf(out, "belfry_execute_slots_free %d\n", (int)execute_slots_free(execute));
    buf_printf(out, "belfry_execute_unacknowledged %zu\n", reporter_unacked(execute->reporter));
    buf_printf(out, "belfry_execute_spool_bytes %zu\n", spool_size(execute->spool));
    buf_printf(out, "belfry_execute_log_backlog_bytes %zu\n",
               log_sender_backlog(execute->log_sender));
    buf_printf(out, "belfry_execute_taken_total %llu\n", (unsigned long long)counters->taken);
    buf_printf(out, "belfry_execute_refused_total %llu\n", (unsigned long long)counters->refused);
    buf_printf(out, "belfry_execute_seen_total %llu\n", (unsigned long long)counters->seen);
    buf_printf(out, "belfry_execute_ended_total %llu\n", (unsigned long long)counters->ended);
    buf_printf(out, "belfry_execute_failed_total %llu\n", (unsigned long long)counters->failed);
    buf_printf(out, "belfry_execute_timed_out_total %llu\n",
               (unsigned long long)counters->timed_out);
    buf_printf(out, "belfry_execute_stopped_total %llu\n", (unsigned long long)counters->stopped);
}

static void job_execute_drain(void *state, void (*done)(void *ctx), void *ctx)
{
    execute_drain(state, done, ctx);
}

static void job_execute_free(void *state)
{
    struct execute *execute = state;

    execute_free(&execute);
}

static const struct call_handler job_execute_calls[] = {
    { .type = &execute_dispatch_call, .handle = execute_handle_dispatch },
    { .type = &execute_ask_call, .handle = execute_handle_ask },
    { .type = &execute_stop_call, .handle = execute_handle_stop },
    { 0 },
};

const struct service job_execute_service = {
    .name = "job-execute",
    .calls = job_execute_calls,
    .needs_launcher = true,
    .start = job_execute_start,
    .metrics = job_execute_metrics,
    .drain = job_execute_drain,
    .free = job_execute_free,
};
