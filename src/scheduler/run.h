#ifndef BELFRY_SCHEDULER_RUN_H
#define BELFRY_SCHEDULER_RUN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The words of a run's life (DESIGN section 5). Numbers are stored: never renumber. The names are
 * what the API shows (run_state_names, cause_names).
 */
enum run_state {
    RUN_PLANNED = 1,
    RUN_WAITING = 2,
    RUN_READY = 3,
    RUN_DISPATCHED = 4,
    RUN_RUNNING = 5,
    RUN_RETRY_WAIT = 6,
    /* terminal */
    RUN_SUCCEEDED = 10,
    RUN_FAILED = 11,
    RUN_TIMED_OUT = 12,
    RUN_CANCELLED = 13,
    RUN_SKIPPED = 14,
    RUN_SHED = 15,
    RUN_UNKNOWN = 16,
    RUN_STATE_LIMIT = 17
};

static inline bool run_state_terminal(enum run_state state)
{
    return state >= RUN_SUCCEEDED;
}

/* Why a run or a gap is what it is: the stable cause.kind of the API. */
enum cause {
    CAUSE_NONE = 0,
    /* how a run came to be */
    CAUSE_SCHEDULE = 1, /* planned at its time */
    CAUSE_MISFIRE = 2,  /* caught up: later than the misfire threshold */
    CAUSE_MANUAL = 3,
    CAUSE_RERUN = 4,
    /* how an attempt or run ended */
    CAUSE_OK = 20,
    CAUSE_EXIT_CODE = 21, /* script: another exit code than 0 */
    CAUSE_SIGNAL = 22,    /* script ended by a signal it did not get from us */
    CAUSE_HTTP_STATUS = 23,
    CAUSE_CHECK = 24,   /* success condition not met: JSON pointer or text */
    CAUSE_CONNECT = 25, /* resolve, connect, reset, protocol */
    CAUSE_TLS = 26,
    CAUSE_EGRESS = 27,    /* address refused by the egress rules */
    CAUSE_TOO_LARGE = 28, /* response or output over its cap */
    CAUSE_TIMEOUT = 29,
    CAUSE_MEMORY = 30,   /* script: over its memory limit */
    CAUSE_START = 31,    /* could not be started: interpreter missing, no such user … */
    CAUSE_TASK = 32,     /* definition cannot be carried out: parameter, template */
    CAUSE_LOST = 33,     /* executor lost */
    CAUSE_STOPPED = 34,  /* by a person */
    CAUSE_REPLACED = 35, /* by a newer fire (overlap policy) */
    CAUSE_DELETED = 36,  /* its job was deleted */
    CAUSE_REDIRECT = 37,
    CAUSE_OUTPUT_LIMIT = 38,
    CAUSE_PROCESSES = 39,
    /* why it did not run */
    CAUSE_OVERLAP = 50,     /* another run was active */
    CAUSE_QUEUE_FULL = 51,  /* overlap queue of the job is full */
    CAUSE_NO_EXECUTOR = 52, /* none came in time */
    CAUSE_NO_SLOT = 53,     /* none had room in time */
    /* gaps */
    CAUSE_MISFIRE_SKIPPED = 60, /* later than the threshold, policy skip */
    CAUSE_MISFIRE_MERGED = 61,  /* one newer fire stands for them */
    CAUSE_MISFIRE_LIMIT = 62,   /* policy all, over its limit */
    CAUSE_PAUSED = 63,
    CAUSE_DISABLED = 64,
    CAUSE_EDITED = 65, /* schedule changed before they were planned */
    /* 5 and 66 are kept for back-fills and calendars */
    CAUSE_LIMIT = 128
};

const char *run_state_name(enum run_state state); /* "PLANNED" …; NULL for no state */
bool run_state_parse(const char *name, enum run_state *ret_state);
const char *cause_name(enum cause cause); /* "schedule", "exit_code" …; NULL for none */

/* true where DESIGN section 5 has the edge. The closed list. */
bool run_edge_legal(enum run_state from, enum run_state to);
/* Orders states within one (attempt, token): checker K6. */
int run_state_rank(enum run_state state);

#endif
