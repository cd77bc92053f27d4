#include "schedule/zone-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONE_FOLDER "/usr/share/zoneinfo"

/* What people write who do not know the IANA names. */
static const struct {
    const char *wrong, *right;
} hints[] = {
    { "Asia/Beijing", "Asia/Shanghai" },
    { "Beijing", "Asia/Shanghai" },
    { "China", "Asia/Shanghai" },
    { "CST", "Asia/Shanghai" },
    { "GMT+8", "Asia/Shanghai" },
    { "UTC+8", "Asia/Shanghai" },
    { "+08:00", "Asia/Shanghai" },
    { "IST", "Asia/Kolkata" },
    { "JST", "Asia/Tokyo" },
    { "PST", "America/Los_Angeles" },
    { "Z", "UTC" },
};

static bool name_char_valid(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("+-_/", c));
}

/* No dots, so no way out of the folder; "right/" would count leap seconds. */
bool zone_name_valid(const char *name)
{
    size_t size = strnlen(name, ZONE_NAME_MAX + 1);

    if (size == 0 || size > ZONE_NAME_MAX || name[0] == '/' || strncmp(name, "right/", 6) == 0)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!name_char_valid(name[i]))
            return false;
    return true;
}

static int unknown_error(const char *name, struct error *err)
{
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (strcmp(hints[i].wrong, name) == 0)
            return error_set(err, ERR_INVALID, "unknown time zone \"%s\"; write %s", name,
                             hints[i].right);
    return error_set(err, ERR_INVALID,
                     "unknown time zone \"%.*s\"; zones are named like Asia/Shanghai",
                     ZONE_NAME_MAX, name);
}

static int zone_open(const char *folder, const char *name)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder ? folder : ZONE_FOLDER, name);

    return n < (int)sizeof path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
}

static bool fd_read(int fd, struct buf *out)
{
    for (;;) {
        char *room = buf_reserve(out, 16384);
        ssize_t n = room ? read(fd, room, 16384) : -1;
        if (n < 0 && room && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        buf_commit(out, (size_t)n);
    }
}

int zone_file_read(const char *folder, const char *name, struct buf *out, struct error *err)
{
    bool good;
    int fd;

    if (!zone_name_valid(name) || (fd = zone_open(folder, name)) < 0)
        return unknown_error(name, err);
    good = fd_read(fd, out); /* a folder, such as Asia, cannot be read */
    close(fd);
    return good ? 0 : unknown_error(name, err);
}

bool zone_file_stamp(const char *folder, const char *name, struct zone_stamp *ret_stamp)
{
    char path[4096];
    struct stat st;

    if (snprintf(path, sizeof path, "%s/%s", folder ? folder : ZONE_FOLDER, name) >=
            (int)sizeof path ||
        stat(path, &st) < 0)
        return false;
    *ret_stamp = (struct zone_stamp){ (int64_t)st.st_ino, st.st_size, st.st_mtim.tv_sec,
                                      st.st_mtim.tv_nsec };
    return true;
}
