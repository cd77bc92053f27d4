#include "job-execute/supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders below one another that are followed down when a private folder is removed. */
enum { DEPTH_MAX = 64, FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

static int write_whole(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);

        if (n < 0)
            return -1;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

static int script_write(int fd, const struct launch_order *order, uid_t uid, gid_t gid)
{
    int script = openat(fd, order->texts[TEXT_SCRIPT_NAME],
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0500);
    int result;

    if (script < 0)
        return -1;
    result = write_whole(script, order->script, order->wire->script_size);
    if (result == 0 && geteuid() == 0)
        result = fchown(script, uid, gid);
    close(script);
    return result;
}

int work_dir_make(struct work_dir *dir, const struct launch_order *order, uid_t uid, gid_t gid,
                  enum launch_step *ret_step)
{
    int fd, result = 0;

    *ret_step = STEP_WORK_DIR;
    dir->name = order->texts[TEXT_WORK_NAME];
    dir->root_fd = open(order->texts[TEXT_WORK_ROOT], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->root_fd < 0)
        return -1;
    snprintf(dir->path, sizeof dir->path, "%s/%s", order->texts[TEXT_WORK_ROOT], dir->name);
    if (mkdirat(dir->root_fd, dir->name, 0700) < 0)
        return -1;
    fd = openat(dir->root_fd, dir->name, FOLDER_FLAGS);
    if (fd < 0)
        return -1;
    if (order->wire->has_script) {
        *ret_step = STEP_SCRIPT;
        snprintf(dir->script, sizeof dir->script, "%s/%s", dir->path,
                 order->texts[TEXT_SCRIPT_NAME]);
        result = script_write(fd, order, uid, gid);
    }
    if (result == 0 && geteuid() == 0)
        result = fchown(fd, uid, gid);
    close(fd);
    return result;
}

/*
 * By descriptors and without following links, since scripts of the same user could put a link in
 * the way. A folder that is too deep stays, and with it all above it.
 */
static void folder_empty(int fd, int depth)
{
    DIR *folder = fdopendir(fd);
    const struct dirent *entry;

    if (!folder) {
        close(fd);
        return;
    }
    while ((entry = readdir(folder))) {
        int below;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (unlinkat(dirfd(folder), entry->d_name, 0) == 0 || depth == DEPTH_MAX)
            continue;
        below = openat(dirfd(folder), entry->d_name, FOLDER_FLAGS);
        /* A script may have taken our own right to read it; root is never refused. */
        if (below < 0 && errno == EACCES && fchmodat(dirfd(folder), entry->d_name, 0700, 0) == 0)
            below = openat(dirfd(folder), entry->d_name, FOLDER_FLAGS);
        if (below >= 0)
            folder_empty(below, depth + 1);
        unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
    }
    closedir(folder);
}

void work_dir_remove(struct work_dir *dir)
{
    int fd;

    if (dir->root_fd < 0)
        return;
    fd = openat(dir->root_fd, dir->name, FOLDER_FLAGS);
    if (fd >= 0)
        folder_empty(fd, 0);
    unlinkat(dir->root_fd, dir->name, AT_REMOVEDIR);
    close(dir->root_fd);
    dir->root_fd = -1;
}

void work_root_clear(const char *path)
{
    int fd = open(path, FOLDER_FLAGS);

    if (fd >= 0)
        folder_empty(fd, 0);
}
