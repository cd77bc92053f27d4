#include "base/log.h"
#include "base/memory.h"
#include "job-execute/execute.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that are not for attempts: store, listeners, logs, calls between services. */
enum { FILES_APART = 256, FILES_PER_SCRIPT = 4 };

/* Each light attempt may hold a connection: asks for as many descriptors as the system allows. */
static int files_raise(int wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return wanted;
    if (limit.rlim_cur < (rlim_t)wanted && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < (rlim_t)wanted ? limit.rlim_max : (rlim_t)wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur < (rlim_t)wanted ? (int)limit.rlim_cur : wanted;
}

static void slots_fit(struct execute_settings *settings)
{
    int apart = FILES_APART + settings->slots[TASK_SLOT_SCRIPT] * FILES_PER_SCRIPT;
    int wanted = settings->slots[TASK_SLOT_LIGHT] + apart;
    int files = files_raise(wanted);

    if (files == wanted)
        return;
    settings->slots[TASK_SLOT_LIGHT] = files - apart > 16 ? files - apart : 16;
    LOG_WARN("open files are limited (ulimit -n), so execute.slots is, too", "files",
             log_int(files), "slots", log_int(settings->slots[TASK_SLOT_LIGHT]));
}

int execute_settings_read(const struct config *config, struct execute_settings *ret,
                          struct error *err)
{
    ret->slots[TASK_SLOT_LIGHT] = (int)config_int(config, "execute.slots");
    ret->slots[TASK_SLOT_SCRIPT] = (int)config_int(config, "execute.script_slots");
    ret->queue = (int)config_int(config, "execute.queue");
    ret->backlog_max = (size_t)config_int(config, "execute.log_backlog");
    ret->spool_max = (size_t)config_int(config, "execute.spool_size");
    ret->grace_ms = (int)config_int(config, "execute.stop_grace");
    ret->nice = (int)config_int(config, "execute.script_nice");
    ret->cgroups = strcmp(config_text(config, "execute.cgroups"), "off") != 0;
    ret->cgroups_always = !strcmp(config_text(config, "execute.cgroups"), "always");
    ret->user = config_text(config, "execute.user");
    if (!ret->user && geteuid() == 0)
        ret->user = "nobody";
    ret->any_user = config_bool(config, "execute.any_user");
    ret->limits.memory = config_int(config, "execute.script_memory");
    ret->limits.processes = config_int(config, "execute.script_processes");
    ret->limits.files = config_int(config, "execute.script_files");
    ret->limits.output = config_int(config, "execute.script_output");
    slots_fit(ret);
    return task_interpreters_set(config_text(config, "execute.interpreters"), err);
}
