#include "service/service-private.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The folder of one process: its key, SQLite files, spools. The lock is a flock on the file "lock"
 * in it, which the kernel drops with the process however that ends, so there is no stale lock. The
 * pid inside is for people.
 */
struct data_dir {
    int lock_fd;
};

static int folder_make(const char *path, struct error *err)
{
    struct stat st;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_set(err, ERR_IO, "cannot make the data folder %s: %s", path, strerror(errno));
    if (stat(path, &st) < 0)
        return error_set(err, ERR_IO, "cannot use the data folder %s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ERR_IO, "data.dir %s is not a folder", path);
    if (st.st_mode & 0077)
        LOG_WARN("others can look into the data folder; give it mode 0700", "dir", path);
    return 0;
}

static int lock_busy(const char *path, int fd, struct error *err)
{
    char text[32] = "";
    int64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n > 0 && number_parse((struct str){ text, (size_t)n }, 1, INT32_MAX, &pid))
        return error_set(err, ERR_CONFLICT, "the data folder %s is in use by process %lld", path,
                         (long long)pid);
    return error_set(err, ERR_CONFLICT, "the data folder %s is in use by another process", path);
}

static int lock_take(const char *path, int *ret_fd, struct error *err)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd =
        folder < 0 ? -1 : openat(folder, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error_number = errno;
    int rc = 0;

    if (folder >= 0)
        close(folder);
    if (fd < 0)
        return error_set(err, ERR_IO, "cannot write to the data folder %s: %s", path,
                         strerror(error_number));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        rc = errno == EWOULDBLOCK ? lock_busy(path, fd, err)
                                  : error_set(err, ERR_IO, "cannot lock the data folder %s: %s",
                                              path, strerror(errno));
    } else if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        rc =
            error_set(err, ERR_IO, "cannot write to the data folder %s: %s", path, strerror(errno));
    }
    if (rc < 0)
        close(fd);
    else
        *ret_fd = fd;
    return rc;
}

int data_dir_open(const char *path, struct data_dir **ret_data_dir, struct error *err)
{
    int fd;

    if (folder_make(path, err) < 0 || lock_take(path, &fd, err) < 0)
        return -1;
    struct data_dir *data_dir = memory_alloc(sizeof *data_dir);
    data_dir->lock_fd = fd;
    *ret_data_dir = data_dir;
    return 0;
}

void data_dir_free(struct data_dir **data_dir)
{
    if (!*data_dir)
        return;
    close((*data_dir)->lock_fd);
    free(*data_dir);
    *data_dir = NULL;
}
