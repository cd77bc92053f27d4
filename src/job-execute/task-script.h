#ifndef BELFRY_JOB_EXECUTE_TASK_SCRIPT_H
#define BELFRY_JOB_EXECUTE_TASK_SCRIPT_H

#include "base/arena.h"
#include "job-execute/attempt.h"
#include "job-execute/params.h"
#include "json/json.h"

/* The definition of a script task: task-script-table.c checks it, task-script.c runs it. */
struct script_env {
    char *name, *value;
};

struct script_limits {
    int64_t memory, processes, output, cpu_s, files; /* 0: the default of the configuration */
};

struct script_task {
    char *interpreter, *script;
    char **args;
    size_t arg_count;
    struct script_env *env;
    size_t env_count;
    char *cwd, *user, *stdin_text;
    struct script_limits limits;
};

extern const struct json_table script_task_table;
int script_task_check(void *settings, const struct params_names *names, struct arena *arena,
                      struct error *err);

/* script-env.c: argv behind the interpreter, and environment, NULL-terminated, in arena. */
int script_argv(const struct script_task *task, const struct params *params, struct arena *arena,
                const char ***ret_argv, struct error *err);
int script_environment(const struct script_task *task, const struct attempt *attempt,
                       const struct params *params, const char *folder, struct arena *arena,
                       const char ***ret_env, struct error *err);

/* work-root.c: where private folders are made; user NULL: scripts run as this process. The path is
 * the caller's to free. */
int work_root_open(const char *configured, const char *data_dir, const char *user, char **ret_path,
                   struct error *err);
/* Removes one that was made in /var/tmp, if it is empty. */
void work_root_close(const char *path);

#endif
