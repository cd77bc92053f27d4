#include "job-execute/task.h"

static const struct json_member members[] = { { 0 } };
static const struct json_table script_table = { "ScriptTask", 1, members };

static void script_defaults(void *settings)
{
    (void)settings;
}

static int script_check(void *settings, const struct params_names *names, struct arena *arena,
                        struct error *err)
{
    (void)settings;
    (void)names;
    (void)arena;
    return error_set(err, ERR_INVALID, "scripts come with the next change");
}

static int script_start(struct attempt *attempt, void *settings, struct error *err)
{
    (void)attempt;
    return script_check(settings, NULL, NULL, err);
}

static void script_cancel(struct attempt *attempt)
{
    (void)attempt;
}

const struct task_type task_script = {
    .name = "script",
    .settings = &script_table,
    .slot = TASK_SLOT_SCRIPT,
    .defaults = script_defaults,
    .check = script_check,
    .start = script_start,
    .cancel = script_cancel,
};
