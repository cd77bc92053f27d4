#ifndef BELFRY_JOB_EXECUTE_TASK_H
#define BELFRY_JOB_EXECUTE_TASK_H

#include "job-execute/attempt.h"
#include "job-execute/params.h"

/*
 * A task type: how a definition is checked when a job is saved, and how an attempt is carried out.
 * Adding one is one file and one line in task.c.
 */
enum task_slot {
    TASK_SLOT_LIGHT,   /* waits on the loop: execute.slots */
    TASK_SLOT_SCRIPT,  /* a process of its own: execute.script_slots */
    TASK_SLOT_COUNT
};

struct task_type {
    const char *name;                  /* as stored in job.task_type */
    const struct json_table *settings; /* the definition */
    enum task_slot slot;
    bool blocking;                     /* needs a pool thread; none yet */
    /* Sets defaults in a zeroed struct of the settings. */
    void (*defaults)(void *settings);
    /* What the table cannot say. Paths are members of the definition. */
    int (*check)(void *settings, const struct params_names *names, struct arena *arena,
                 struct error *err);
    /* Ends in attempt_done, later on the loop. An error ends the attempt as CAUSE_TASK. */
    int (*start)(struct attempt *attempt, void *settings, struct error *err);
    /* Ends in attempt_done soon; attempt->stop_cause or ->timed_out tells why. Maybe twice. */
    void (*cancel)(struct attempt *attempt);
    /* The process ends, done will not be called: frees what is not in the arena. Optional. */
    void (*drop)(struct attempt *attempt);
};

/* NULL: there is no such type. */
const struct task_type *task_type_find(const char *name);

/* Reads a stored definition: defaults, table, check. In arena. Errors: ERR_INVALID. */
int task_read(const struct task_type *type, struct str definition,
              const struct params_names *names, struct arena *arena, void **ret_settings,
              struct error *err);

extern const struct task_type task_http, task_script;

#endif
