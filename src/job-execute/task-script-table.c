#include "job-execute/interpreters.h"
#include "job-execute/task-script.h"

#include <string.h>

enum { SCRIPT_MAX = 256 * 1024, ARGS_MAX = 256, ENV_MAX = 128, STDIN_MAX = 512 * 1024 };

static const struct json_member env_members[] = {
    { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct script_env, name),
      .flags = JSON_REQUIRED | JSON_ONE_LINE, .min = 1, .max = 128, .about = "Name." },
    { .name = "value", .type = JSON_TEXT, .offset = offsetof(struct script_env, value),
      .flags = JSON_REQUIRED, .min = 0, .max = 32768,
      .about = "Value; parameters are filled in." },
    { 0 },
};
static const struct json_table env_table = { "ScriptEnv", sizeof(struct script_env), env_members };

static const struct json_member limit_members[] = {
    { .name = "memory", .type = JSON_INT, .offset = offsetof(struct script_limits, memory),
      .flags = JSON_OMIT_EMPTY, .min = 1 << 20, .max = INT64_C(1) << 50,
      .about = "Bytes, of the script and all its descendants." },
    { .name = "processes", .type = JSON_INT, .offset = offsetof(struct script_limits, processes),
      .flags = JSON_OMIT_EMPTY, .min = 1, .max = 1000000,
      .about = "Processes and threads, of the whole tree." },
    { .name = "output", .type = JSON_INT, .offset = offsetof(struct script_limits, output),
      .flags = JSON_OMIT_EMPTY, .min = 1, .max = INT64_C(1) << 50,
      .about = "Bytes printed; more ends the script." },
    { .name = "cpu_s", .type = JSON_INT, .offset = offsetof(struct script_limits, cpu_s),
      .flags = JSON_OMIT_EMPTY, .min = 1, .max = 31536000,
      .about = "Seconds of CPU time of one process." },
    { .name = "files", .type = JSON_INT, .offset = offsetof(struct script_limits, files),
      .flags = JSON_OMIT_EMPTY, .min = 8, .max = 1000000, .about = "Open files of one process." },
    { 0 },
};
static const struct json_table limits_table = { "ScriptLimits", sizeof(struct script_limits),
                                                limit_members };

static const struct json_member members[] = {
    { .name = "interpreter", .type = JSON_TEXT,
      .offset = offsetof(struct script_task, interpreter), .flags = JSON_REQUIRED,
      .min = 1, .max = 64, .about = "One of those that the configuration allows." },
    { .name = "script", .type = JSON_TEXT, .offset = offsetof(struct script_task, script),
      .flags = JSON_REQUIRED | JSON_NOT_BLANK, .min = 1, .max = SCRIPT_MAX,
      .about = "The program. Parameters are not filled in here: they come as arguments, standard "
               "input and environment." },
    { .name = "args", .type = JSON_ARRAY, .offset = offsetof(struct script_task, args),
      .count_offset = offsetof(struct script_task, arg_count), .element = JSON_TEXT,
      .flags = JSON_OMIT_EMPTY, .max = ARGS_MAX, .about = "Arguments; parameters are filled in." },
    { .name = "env", .type = JSON_ARRAY, .offset = offsetof(struct script_task, env),
      .count_offset = offsetof(struct script_task, env_count), .sub = &env_table,
      .flags = JSON_OMIT_EMPTY, .max = ENV_MAX, .about = "Added to the environment." },
    { .name = "cwd", .type = JSON_TEXT, .offset = offsetof(struct script_task, cwd),
      .flags = JSON_OMIT_EMPTY | JSON_ONE_LINE, .min = 1, .max = 1024,
      .about = "Working directory, absolute; default: a private folder, removed afterwards." },
    { .name = "user", .type = JSON_TEXT, .offset = offsetof(struct script_task, user),
      .flags = JSON_OMIT_EMPTY | JSON_ONE_LINE, .min = 1, .max = 64,
      .about = "User it runs as, where execute.any_user allows that." },
    { .name = "limits", .type = JSON_STRUCT, .offset = offsetof(struct script_task, limits),
      .sub = &limits_table, .about = "Where they are to be others than the configuration's." },
    { .name = "stdin", .type = JSON_TEXT, .offset = offsetof(struct script_task, stdin_text),
      .flags = JSON_OMIT_EMPTY, .min = 0, .max = STDIN_MAX,
      .about = "Standard input; parameters are filled in." },
    { 0 },
};
const struct json_table script_task_table = { "ScriptTask", sizeof(struct script_task), members };

static int env_check(const struct script_task *task, const struct params_names *names,
                     struct arena *arena, struct error *err)
{
    for (size_t i = 0; i < task->env_count; i++) {
        const struct script_env *env = &task->env[i];
        const char *name_path = arena_printf(arena, "env[%zu].name", i);

        if (!params_name_valid(env->name))
            return error_set_at(err, ERR_INVALID, name_path,
                                "must be letters, digits and _, not beginning with a digit");
        if (!strncmp(env->name, "BELFRY_", 7))
            return error_set_at(err, ERR_INVALID, name_path,
                                "names beginning with BELFRY_ are set by Belfry");
        if (names && params_check(str_of(env->value), arena_printf(arena, "env[%zu].value", i),
                                  names, err) < 0)
            return -1;
    }
    return 0;
}

static int args_check(const struct script_task *task, const struct params_names *names,
                      struct arena *arena, struct error *err)
{
    for (size_t i = 0; names && i < task->arg_count; i++)
        if (params_check(str_of(task->args[i]), arena_printf(arena, "args[%zu]", i), names,
                         err) < 0)
            return -1;
    return 0;
}

int script_task_check(void *settings, const struct params_names *names, struct arena *arena,
                      struct error *err)
{
    const struct script_task *task = settings;
    const char *path;

    if (!interpreter_find(task->interpreter, &path))
        return error_set_at(err, ERR_INVALID, "interpreter",
                            "\"%s\" is not among the allowed interpreters: %s", task->interpreter,
                            interpreter_names());
    if (task->cwd && task->cwd[0] != '/')
        return error_set_at(err, ERR_INVALID, "cwd", "must be an absolute path");
    if (args_check(task, names, arena, err) < 0 || env_check(task, names, arena, err) < 0)
        return -1;
    if (names && task->stdin_text &&
        params_check(str_of(task->stdin_text), "stdin", names, err) < 0)
        return -1;
    return 0;
}
