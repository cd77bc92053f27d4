#include "job-execute/task-script.h"

#include "base/clock.h"
#include "schedule/zone.h"

#include <stdio.h>
#include <string.h>

/* What a script finds: nothing of Belfry's own environment, and no shell in between. */

int script_argv(const struct script_task *task, const struct params *params, struct arena *arena,
                const char ***ret_argv, struct error *err)
{
    const char **argv = ARENA_ARRAY(arena, const char *, task->arg_count + 2);

    argv[0] = task->interpreter;
    for (size_t i = 0; i < task->arg_count; i++) {
        char path[32];
        char *text;

        snprintf(path, sizeof path, "args[%zu]", i);
        if (params_expand(str_of(task->args[i]), path, PARAMS_TEXT, params, arena, &text, err) < 0)
            return -1;
        argv[1 + i] = text;
    }
    *ret_argv = argv;
    return 0;
}

static char *fire_time(const struct params *params, struct arena *arena)
{
    char text[TIME_TEXT_SIZE];

    time_format(params->fire_at, zone_offset_at(params->zone, params->fire_at), text);
    return arena_strdup(arena, text);
}

static size_t own_environment(const struct attempt *attempt, const struct params *params,
                              const char *folder, struct arena *arena, const char **env)
{
    size_t n = 0;

    env[n++] = "PATH=/usr/local/bin:/usr/bin:/bin";
    env[n++] = "LANG=C.UTF-8";
    env[n++] = "PYTHONUNBUFFERED=1"; /* lines are to be seen when they are printed */
    env[n++] = arena_printf(arena, "HOME=%s", folder);
    env[n++] = arena_printf(arena, "TMPDIR=%s", folder);
    env[n++] = arena_printf(arena, "TZ=%s", zone_name(params->zone));
    env[n++] = arena_printf(arena, "BELFRY_RUN_ID=%lld", (long long)attempt->run_id);
    env[n++] = arena_printf(arena, "BELFRY_JOB=%s", params->job);
    env[n++] = arena_printf(arena, "BELFRY_FIRE_TIME=%s", fire_time(params, arena));
    env[n++] = arena_printf(arena, "BELFRY_ATTEMPT=%d", (int)attempt->number);
    env[n++] = arena_printf(arena, "BELFRY_TOKEN=%d", (int)attempt->token);
    for (size_t i = 0; i < params->count; i++)
        if (params_name_valid(params->pairs[i].name))
            env[n++] = arena_printf(arena, "BELFRY_PARAM_%s=%s", params->pairs[i].name,
                                    params->pairs[i].value);
    return n;
}

int script_environment(const struct script_task *task, const struct attempt *attempt,
                       const struct params *params, const char *folder, struct arena *arena,
                       const char ***ret_env, struct error *err)
{
    enum { OWN = 12 };
    const char **env = ARENA_ARRAY(arena, const char *, OWN + params->count + task->env_count + 1);
    size_t n = own_environment(attempt, params, folder, arena, env);
    size_t own = n;

    for (size_t i = 0; i < task->env_count; i++) {
        const struct script_env *wanted = &task->env[i];
        size_t size = strlen(wanted->name), at = 0;
        char path[32];
        char *value;

        snprintf(path, sizeof path, "env[%zu].value", i);
        if (params_expand(str_of(wanted->value), path, PARAMS_TEXT, params, arena, &value, err) < 0)
            return -1;
        /* PATH, HOME and the like may be replaced. */
        while (at < own && (strncmp(env[at], wanted->name, size) || env[at][size] != '='))
            at++;
        env[at < own ? at : n++] = arena_printf(arena, "%s=%s", wanted->name, value);
    }
    *ret_env = env;
    return 0;
}
