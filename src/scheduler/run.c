#include "scheduler/run.h"

#include <stddef.h>
#include <string.h>

static const char *const state_names[RUN_STATE_LIMIT] = {
    [RUN_PLANNED] = "PLANNED",       [RUN_WAITING] = "WAITING", [RUN_READY] = "READY",
    [RUN_DISPATCHED] = "DISPATCHED", [RUN_RUNNING] = "RUNNING", [RUN_RETRY_WAIT] = "RETRY_WAIT",
    [RUN_SUCCEEDED] = "SUCCEEDED",   [RUN_FAILED] = "FAILED",   [RUN_TIMED_OUT] = "TIMED_OUT",
    [RUN_CANCELLED] = "CANCELLED",   [RUN_SKIPPED] = "SKIPPED", [RUN_SHED] = "SHED",
    [RUN_UNKNOWN] = "UNKNOWN",
};

static const char *const cause_names[CAUSE_LIMIT] = {
    [CAUSE_SCHEDULE] = "schedule",
    [CAUSE_MISFIRE] = "misfire",
    [CAUSE_MANUAL] = "manual",
    [CAUSE_RERUN] = "rerun",
    [CAUSE_OK] = "ok",
    [CAUSE_EXIT_CODE] = "exit_code",
    [CAUSE_SIGNAL] = "signal",
    [CAUSE_HTTP_STATUS] = "http_status",
    [CAUSE_CHECK] = "check",
    [CAUSE_CONNECT] = "connect",
    [CAUSE_TLS] = "tls",
    [CAUSE_EGRESS] = "egress",
    [CAUSE_TOO_LARGE] = "too_large",
    [CAUSE_TIMEOUT] = "timeout",
    [CAUSE_MEMORY] = "memory",
    [CAUSE_START] = "start",
    [CAUSE_TASK] = "task",
    [CAUSE_LOST] = "lost",
    [CAUSE_STOPPED] = "stopped",
    [CAUSE_REPLACED] = "replaced",
    [CAUSE_DELETED] = "deleted",
    [CAUSE_REDIRECT] = "redirect",
    [CAUSE_OUTPUT_LIMIT] = "output_limit",
    [CAUSE_PROCESSES] = "processes",
    [CAUSE_OVERLAP] = "overlap",
    [CAUSE_QUEUE_FULL] = "queue_full",
    [CAUSE_NO_EXECUTOR] = "no_executor",
    [CAUSE_NO_SLOT] = "no_slot",
    [CAUSE_MISFIRE_SKIPPED] = "misfire_skipped",
    [CAUSE_MISFIRE_MERGED] = "misfire_merged",
    [CAUSE_MISFIRE_LIMIT] = "misfire_limit",
    [CAUSE_PAUSED] = "paused",
    [CAUSE_DISABLED] = "disabled",
    [CAUSE_EDITED] = "edited",
};

#define TO(state) (1u << (state))
#define ENDS (TO(RUN_SUCCEEDED) | TO(RUN_FAILED) | TO(RUN_TIMED_OUT) | TO(RUN_UNKNOWN))

/* DESIGN section 5, row by row; 0 is the row that is not there yet. */
static const uint32_t edges[RUN_STATE_LIMIT] = {
    [0] = TO(RUN_PLANNED) | TO(RUN_SKIPPED),
    [RUN_PLANNED] =
        TO(RUN_READY) | TO(RUN_WAITING) | TO(RUN_SKIPPED) | TO(RUN_FAILED) | TO(RUN_CANCELLED),
    [RUN_WAITING] = TO(RUN_READY) | TO(RUN_SKIPPED) | TO(RUN_FAILED) | TO(RUN_CANCELLED),
    [RUN_READY] = TO(RUN_DISPATCHED) | TO(RUN_SHED) | TO(RUN_CANCELLED),
    [RUN_DISPATCHED] =
        TO(RUN_RUNNING) | TO(RUN_READY) | TO(RUN_RETRY_WAIT) | ENDS | TO(RUN_CANCELLED),
    [RUN_RUNNING] = TO(RUN_RETRY_WAIT) | ENDS | TO(RUN_CANCELLED),
    [RUN_RETRY_WAIT] = TO(RUN_READY) | TO(RUN_CANCELLED),
};

const char *run_state_name(enum run_state state)
{
    return (unsigned)state < RUN_STATE_LIMIT ? state_names[state] : NULL;
}

bool run_state_parse(const char *name, enum run_state *ret_state)
{
    for (unsigned i = 0; i < RUN_STATE_LIMIT; i++) {
        if (!state_names[i] || strcmp(state_names[i], name) != 0)
            continue;
        *ret_state = (enum run_state)i;
        return true;
    }
    return false;
}

const char *cause_name(enum cause cause)
{
    return (unsigned)cause < CAUSE_LIMIT ? cause_names[cause] : NULL;
}

bool run_edge_legal(enum run_state from, enum run_state to)
{
    if ((unsigned)from >= RUN_STATE_LIMIT || (unsigned)to >= RUN_STATE_LIMIT)
        return false;
    return (edges[from] & TO(to)) != 0;
}

int run_state_rank(enum run_state state)
{
    return run_state_terminal(state) ? RUN_RETRY_WAIT + 1 : (int)state;
}
