#include "job-execute/task.h"

#include "base/memory.h"

#include <string.h>

enum { DEFINITION_MAX = 1024 * 1024 };

static const struct task_type *const task_types[] = { &task_http, &task_script };
enum { TASK_TYPE_COUNT = sizeof task_types / sizeof *task_types };

const char *const task_type_names[] = { "http", "script", NULL };

const struct task_type *task_type_find(const char *name)
{
    for (size_t i = 0; name && i < TASK_TYPE_COUNT; i++)
        if (!strcmp(task_types[i]->name, name))
            return task_types[i];
    return NULL;
}

int task_read(const struct task_type *type, struct str definition, const struct params_names *names,
              struct arena *arena, void **ret_settings, struct error *err)
{
    void *settings = arena_alloc(arena, type->settings->size);

    type->defaults(settings);
    if (json_read(definition, DEFINITION_MAX, type->settings, arena, settings, err) < 0 ||
        type->check(settings, names, arena, err) < 0)
        return -1;
    *ret_settings = settings;
    return 0;
}

int task_check(const char *name, struct str definition, const struct json_pair *parameters,
               size_t parameter_count, struct arena *arena, char **ret_definition,
               struct error *err)
{
    const struct task_type *type = task_type_find(name);
    const struct params_names names = { parameters, parameter_count };
    struct json_writer w;
    struct buf out;
    void *settings;

    if (!type)
        return error_set(err, ERR_INVALID, "unknown task type \"%s\"; known are http and script",
                         name);
    if (task_read(type, definition, &names, arena, &settings, err) < 0)
        return -1;
    buf_init(&out, DEFINITION_MAX);
    json_begin(&w, &out);
    json_write(&w, type->settings, settings);
    if (!out.overflow)
        *ret_definition = arena_strdup(arena, buf_text(&out));
    buf_done(&out);
    return out.overflow ? error_set(err, ERR_TOO_LARGE, "task definition is larger than %d bytes",
                                    DEFINITION_MAX)
                        : 0;
}
