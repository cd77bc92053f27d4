#include "job-execute/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- files ------------------------------------------------------------------------------------ */

static int file_open(const char *folder, const char *name, int flags)
{
    char path[CGROUP_PATH_MAX + 160];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return open(path, flags | O_CLOEXEC);
}

static bool file_write(const char *folder, const char *name, const char *text)
{
    int fd = file_open(folder, name, O_WRONLY);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return good;
}

static bool file_write_number(const char *folder, const char *name, int64_t number)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)number);
    return file_write(folder, name, text);
}

static bool file_read(const char *folder, const char *name, char *text, size_t size)
{
    int fd = file_open(folder, name, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    text[n] = '\0';
    return true;
}

/* The number behind "name " at the beginning of a line; name "": the file's first number. */
static int64_t file_number(const char *folder, const char *file, const char *name)
{
    char text[1024];
    const char *line = text;

    if (!file_read(folder, file, text, sizeof text))
        return 0;
    while (line && *line) {
        size_t size = strlen(name);

        if (!strncmp(line, name, size) && (!size || line[size] == ' '))
            return strtoll(line + size, NULL, 10);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return 0;
}

/* --- where we are ----------------------------------------------------------------------------- */

static bool has_option(const char *options, const char *wanted)
{
    size_t size = strlen(wanted);

    for (const char *at = options; (at = strstr(at, wanted)); at += size)
        if ((at == options || at[-1] == ',') && (at[size] == ',' || !at[size]))
            return true;
    return false;
}

/* Path of our own group in the hierarchy of a controller; "" names version 2. */
static bool own_group(const char *controller, char *path, size_t size)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[1024];
    bool found = false;

    while (file && !found && fgets(line, sizeof line, file)) {
        char *names = strchr(line, ':');
        char *rest = names ? strchr(names + 1, ':') : NULL;

        if (!rest)
            continue;
        *rest++ = '\0';
        rest[strcspn(rest, "\n")] = '\0';
        found = *controller ? has_option(names + 1, controller) : !names[1];
        if (found)
            snprintf(path, size, "%s", rest);
    }
    if (file)
        fclose(file);
    return found;
}

/* Where the hierarchy is mounted, and which of its groups is the mount's root. */
static bool mount_of(const char *controller, char root[CGROUP_PATH_MAX],
                     char point[CGROUP_PATH_MAX])
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[4096];
    bool found = false;

    while (file && !found && fgets(line, sizeof line, file)) {
        char mount_root[CGROUP_PATH_MAX], mount_point[CGROUP_PATH_MAX], type[64], options[1024];
        const char *rest = strstr(line, " - ");

        if (!rest || sscanf(line, "%*s %*s %*s %511s %511s", mount_root, mount_point) != 2 ||
            sscanf(rest, " - %63s %*s %1023s", type, options) != 2)
            continue;
        found = *controller ? !strcmp(type, "cgroup") && has_option(options, controller)
                            : !strcmp(type, "cgroup2");
        if (found) {
            memcpy(root, mount_root, sizeof mount_root);
            memcpy(point, mount_point, sizeof mount_point);
        }
    }
    if (file)
        fclose(file);
    return found;
}

static bool own_folder(const char *controller, char *folder, size_t size)
{
    char group[CGROUP_PATH_MAX], root[CGROUP_PATH_MAX], point[CGROUP_PATH_MAX];
    const char *below = group;

    if (!own_group(controller, group, sizeof group) || !mount_of(controller, root, point))
        return false;
    if (strcmp(root, "/") && !strncmp(group, root, strlen(root)))
        below += strlen(root);
    if (!strcmp(below, "/"))
        below = "";
    return snprintf(folder, size, "%s%s", point, below) < (int)size;
}

/* --- the base --------------------------------------------------------------------------------- */

/* Version 2: groups with controllers in use have no processes of their own, so all of ours move. */
static bool base_v2(struct cgroup_base *base, int serving)
{
    char own[CGROUP_PATH_MAX - 64], serve[CGROUP_PATH_MAX], text[1024];

    if (!own_folder("", own, sizeof own) ||
        !file_read(own, "cgroup.controllers", text, sizeof text) || !strstr(text, "memory") ||
        !strstr(text, "pids"))
        return false;
    snprintf(serve, sizeof serve, "%s/belfry-serve", own);
    snprintf(base->memory, sizeof base->memory, "%s/belfry-scripts", own);
    if ((mkdir(serve, 0755) < 0 && errno != EEXIST) ||
        !file_write_number(serve, "cgroup.procs", serving) ||
        !file_write_number(serve, "cgroup.procs", getpid()))
        return false;
    if (!file_write(own, "cgroup.subtree_control", "+memory +pids") ||
        (mkdir(base->memory, 0755) < 0 && errno != EEXIST) ||
        !file_write(base->memory, "cgroup.subtree_control", "+memory +pids"))
        return false;
    snprintf(base->pids, sizeof base->pids, "%s", base->memory);
    return true;
}

static void folder_remove(const char *path)
{
    /* A group is busy for a moment after its last process has been reaped. */
    for (int i = 0; rmdir(path) < 0 && errno == EBUSY && i < 50; i++)
        poll(NULL, 0, 2);
}

/* With the groups in it: those of supervisors that were killed. */
static void base_remove(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
    if (folder)
        closedir(folder);
    folder_remove(path);
}

/* What launchers that were killed have left. */
static void stale_remove(const char *own)
{
    DIR *folder = opendir(own);
    const struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        char path[CGROUP_PATH_MAX + 300];
        long pid;

        if (strncmp(entry->d_name, "belfry-", 7) ||
            (pid = strtol(entry->d_name + 7, NULL, 10)) <= 0 || kill((pid_t)pid, 0) == 0 ||
            errno != ESRCH)
            continue;
        snprintf(path, sizeof path, "%s/%s", own, entry->d_name);
        base_remove(path);
    }
    if (folder)
        closedir(folder);
}

static bool base_v1_make(const char *controller, char *path)
{
    char own[CGROUP_PATH_MAX - 64];

    if (!own_folder(controller, own, sizeof own))
        return false;
    stale_remove(own);
    snprintf(path, CGROUP_PATH_MAX, "%s/belfry-%d", own, (int)getpid());
    return mkdir(path, 0755) == 0;
}

void cgroup_base_init(struct cgroup_base *base, int serving)
{
    *base = (struct cgroup_base){ .version = 0 };
    if (base_v2(base, serving))
        base->version = 2;
    else if (base_v1_make("memory", base->memory)) {
        if (base_v1_make("pids", base->pids))
            base->version = 1;
        else
            rmdir(base->memory);
    }
}

void cgroup_base_done(struct cgroup_base *base)
{
    if (base->version)
        base_remove(base->memory);
    if (base->version == 1)
        base_remove(base->pids);
}

/* --- one group -------------------------------------------------------------------------------- */

static bool limit_set(const struct cgroup *cgroup, const struct launch_limits *limits)
{
    bool good = true;

    if (limits->processes)
        good = file_write_number(cgroup->pids, "pids.max", limits->processes);
    if (!limits->memory)
        return good;
    if (cgroup->base->version == 2) {
        file_write(cgroup->memory, "memory.swap.max", "0");
        file_write(cgroup->memory, "memory.oom.group", "1");
        return good && file_write_number(cgroup->memory, "memory.max", limits->memory);
    }
    good = good && file_write_number(cgroup->memory, "memory.limit_in_bytes", limits->memory);
    /* Not there where the kernel does not count swap. */
    file_write_number(cgroup->memory, "memory.memsw.limit_in_bytes", limits->memory);
    return good;
}

bool cgroup_make(struct cgroup *cgroup, const struct cgroup_base *base, const char *name,
                 const struct launch_limits *limits)
{
    *cgroup = (struct cgroup){ .base = base };
    if (!base->version)
        return false;
    snprintf(cgroup->memory, sizeof cgroup->memory, "%s/%.80s", base->memory, name);
    snprintf(cgroup->pids, sizeof cgroup->pids, "%s/%.80s", base->pids, name);
    if (mkdir(cgroup->memory, 0755) < 0)
        return false;
    if (base->version == 1 && mkdir(cgroup->pids, 0755) < 0) {
        rmdir(cgroup->memory);
        return false;
    }
    cgroup->made = true;
    if (limit_set(cgroup, limits))
        return true;
    cgroup_remove(cgroup);
    return false;
}

bool cgroup_join(const struct cgroup *cgroup)
{
    return file_write(cgroup->memory, "cgroup.procs", "0") &&
           (cgroup->base->version == 2 || file_write(cgroup->pids, "cgroup.procs", "0"));
}

int64_t cgroup_memory_hits(const struct cgroup *cgroup)
{
    return file_number(cgroup->memory,
                       cgroup->base->version == 2 ? "memory.events" : "memory.oom_control",
                       "oom_kill");
}

int64_t cgroup_process_hits(const struct cgroup *cgroup)
{
    return file_number(cgroup->pids, "pids.events", "max");
}

int64_t cgroup_memory_peak(const struct cgroup *cgroup)
{
    return file_number(cgroup->memory,
                       cgroup->base->version == 2 ? "memory.peak" : "memory.max_usage_in_bytes",
                       "");
}

int cgroup_members(const struct cgroup *cgroup, bool end)
{
    char text[8192];
    const char *at = text;
    char *next;
    long pid;
    int count = 0;

    if (!file_read(cgroup->pids, "cgroup.procs", text, sizeof text))
        return 0;
    while ((pid = strtol(at, &next, 10)) > 0) {
        count++;
        if (end)
            kill((pid_t)pid, SIGKILL);
        at = next;
    }
    return count;
}

void cgroup_remove(struct cgroup *cgroup)
{
    if (!cgroup->made)
        return;
    folder_remove(cgroup->memory);
    if (cgroup->base->version == 1)
        folder_remove(cgroup->pids);
    cgroup->made = false;
}
