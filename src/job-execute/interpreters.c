#include "job-execute/interpreters.h"

#include "base/memory.h"
#include "base/str.h"
#include "job-execute/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INTERPRETERS_MAX = 32 };

struct interpreter {
    char *name, *path; /* path NULL: looked for in the usual folders */
};

static struct interpreter interpreters[INTERPRETERS_MAX] = {
    { (char *)(intptr_t)"sh", NULL },
    { (char *)(intptr_t)"bash", NULL },
    { (char *)(intptr_t)"python3", NULL },
    { (char *)(intptr_t)"node", NULL },
};
static size_t interpreter_count = 4;
static char interpreter_list[1024] = "sh, bash, python3, node";

static void list_write(void)
{
    size_t used = 0;

    for (size_t i = 0; i < interpreter_count; i++) {
        int n = snprintf(interpreter_list + used, sizeof interpreter_list - used, "%s%s",
                         i ? ", " : "", interpreters[i].name);

        if (n < 0 || (size_t)n >= sizeof interpreter_list - used)
            break;
        used += (size_t)n;
    }
}

static int part_read(struct str part, struct interpreter *ret, struct error *err)
{
    struct str rest = part, name = { 0 };

    str_split(&rest, '=', &name);
    name = str_trim(name);
    rest = str_trim(rest);
    if (!name.size || !rest.size || rest.bytes[0] != '/')
        return error_set_at(err, ERR_INVALID, "execute.interpreters",
                            "must be name=/path, not \"%.*s\"", (int)part.size, part.bytes);
    ret->name = memory_strndup(name.bytes, name.size);
    ret->path = memory_strndup(rest.bytes, rest.size);
    return 0;
}

int task_interpreters_set(const char *list, struct error *err)
{
    struct interpreter read[INTERPRETERS_MAX];
    struct str rest = str_of(list), part;
    size_t count = 0;

    if (!list)
        return 0;
    while (str_split(&rest, ',', &part)) {
        if (!str_trim(part).size)
            continue;
        if (count == INTERPRETERS_MAX)
            return error_set_at(err, ERR_INVALID, "execute.interpreters", "more than %d entries",
                                INTERPRETERS_MAX);
        if (part_read(part, &read[count], err) < 0)
            return -1;
        count++;
    }
    /* The old list stays in memory: a definition that is being checked may point into it. */
    memcpy(interpreters, read, count * sizeof *read);
    interpreter_count = count;
    list_write();
    return 0;
}

/* Only from fixed folders: PATH is not to be trusted here. */
static const char *look_for(const char *name)
{
    static const char *const folders[] = { "/usr/bin", "/bin", "/usr/local/bin" };
    static char path[128];

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%.64s", folders[i], name);
        if (access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

bool interpreter_find(const char *name, const char **ret_path)
{
    for (size_t i = 0; i < interpreter_count; i++) {
        struct interpreter *interpreter = &interpreters[i];

        if (strcmp(interpreter->name, name))
            continue;
        if (!interpreter->path) {
            const char *found = look_for(name);

            if (found)
                interpreter->path = memory_strdup(found);
        }
        *ret_path = interpreter->path;
        return true;
    }
    return false;
}

const char *interpreter_names(void)
{
    return interpreter_list;
}
