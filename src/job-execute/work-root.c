#include "job-execute/supervisor.h"
#include "job-execute/task-script.h"

#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The folder of the private folders. data.dir is for Belfry's eyes only, so scripts of another user
 * get theirs in /var/tmp, in a folder with a name that nobody could foresee; data.dir/work-dir, a
 * symbolic link, remembers it.
 */
#define TMP_PREFIX "/var/tmp/belfry-"

static int io_error(const char *path, struct error *err)
{
    return error_set(err, ERR_IO, "cannot use %s as folder for scripts: %s", path, strerror(errno));
}

/* Ours, a folder, and nobody else may write into it. */
static bool folder_trusted(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           !(status.st_mode & 022);
}

static int folder_make(const char *path, mode_t mode, struct error *err)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return io_error(path, err);
    if (!folder_trusted(path))
        return error_set(err, ERR_IO,
                         "%s must be a folder of Belfry's user that nobody else may write into",
                         path);
    if (chmod(path, mode) < 0)
        return io_error(path, err);
    return 0;
}

static int folder_in_tmp(const char *data_dir, char *path, size_t size, struct error *err)
{
    char link[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof link, "%s/work-dir", data_dir);
    n = readlink(link, path, size - 1);
    if (n > 0) {
        path[n] = '\0';
        if (!strncmp(path, TMP_PREFIX, sizeof TMP_PREFIX - 1) && folder_trusted(path))
            return 0;
    }
    snprintf(path, size, TMP_PREFIX "XXXXXX");
    if (!mkdtemp(path) || chmod(path, 0711) < 0)
        return io_error(path, err);
    unlink(link);
    if (symlink(path, link) < 0)
        return io_error(link, err);
    return 0;
}

void work_root_close(const char *path)
{
    /* Not where a supervisor still empties its folder: the next start finds it by the link. */
    if (!strncmp(path, TMP_PREFIX, sizeof TMP_PREFIX - 1))
        rmdir(path);
}

int work_root_open(const char *configured, const char *data_dir, const char *user, char **ret_path,
                   struct error *err)
{
    char path[PATH_MAX], whole[PATH_MAX];
    int result;

    if (configured) {
        snprintf(path, sizeof path, "%s", configured);
        result = folder_make(path, user ? 0711 : 0700, err);
    } else if (user)
        result = folder_in_tmp(data_dir, path, sizeof path, err);
    else {
        snprintf(path, sizeof path, "%s/work", data_dir);
        result = folder_make(path, 0700, err);
    }
    if (result < 0)
        return -1;
    if (!realpath(path, whole)) /* scripts are started from elsewhere */
        return io_error(path, err);
    work_root_clear(whole);
    *ret_path = memory_strdup(whole);
    return 0;
}
