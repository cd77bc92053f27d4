#include "belfry/client.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The key file, two lines:
 *   url=http://127.0.0.1:8680
 *   key=bf_…
 */
enum { KEY_FILE_MAX = 4096 };

const char *key_file_path(struct arena *arena)
{
    const char *path = getenv("BELFRY_KEY_FILE"), *base = getenv("XDG_CONFIG_HOME");

    if (path && *path)
        return path;
    if (base && *base)
        return arena_printf(arena, "%s/belfry/key", base);
    base = getenv("HOME");
    return arena_printf(arena, "%s/.config/belfry/key", base && *base ? base : "/");
}

/* Makes the folders above path that are missing, with mode 0700. */
static int folders_make(const char *path, struct arena *arena, struct error *err)
{
    char *text = arena_strdup(arena, path);

    for (char *slash = strchr(text + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(text, 0700) < 0 && errno != EEXIST)
            return error_set(err, ERR_IO, "cannot make the folder %s: %s", text, strerror(errno));
        *slash = '/';
    }
    return 0;
}

static int file_write(const char *path, struct str text, struct error *err)
{
    /* Never through a link or into a file that others have open: always a new file. */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return error_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    if (write(fd, text.bytes, text.size) != (ssize_t)text.size || fsync(fd) < 0) {
        int error = errno;

        close(fd);
        unlink(path);
        return error_set(err, ERR_IO, "cannot write %s: %s", path, strerror(error));
    }
    close(fd);
    return 0;
}

int key_file_save(struct cli *cli, const char *key, struct error *err)
{
    const char *path = key_file_path(cli->arena);
    const char *text = arena_printf(cli->arena, "url=%s\nkey=%s\n", client_url(cli), key);
    const char *fresh = arena_printf(cli->arena, "%s.new", path);

    if (folders_make(path, cli->arena, err) < 0)
        return -1;
    unlink(fresh);
    if (file_write(fresh, str_of(text), err) < 0)
        return -1;
    if (rename(fresh, path) < 0)
        return error_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

static int file_read(struct cli *cli, const char *path, int fd, char **ret_text, struct error *err)
{
    struct stat st;
    char *text = arena_alloc(cli->arena, KEY_FILE_MAX + 1);
    ssize_t size;

    if (fstat(fd, &st) < 0 || (size = read(fd, text, KEY_FILE_MAX)) < 0)
        return error_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    if (st.st_mode & 077)
        return error_set(err, ERR_FORBIDDEN, "others may read %s: chmod 600, and rotate that key",
                         path);
    text[size] = '\0';
    *ret_text = text;
    return 0;
}

/* The value of "name=" in the text's lines; NULL: none. */
static const char *line_value(struct arena *arena, const char *text, const char *name)
{
    struct str rest = str_of(text), line, head;

    while (str_split(&rest, '\n', &line)) {
        if (str_split(&line, '=', &head) && line.bytes && str_is(head, name))
            return arena_strndup(arena, line.bytes, line.size);
    }
    return NULL;
}

int key_file_load(struct cli *cli, const char **ret_key, struct error *err)
{
    const char *key = getenv("BELFRY_KEY"), *path = key_file_path(cli->arena), *url;
    char *text;
    int fd, result;

    if (key && *key) {
        *ret_key = key;
        return 1;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT
                   ? 0
                   : error_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    result = file_read(cli, path, fd, &text, err);
    close(fd);
    if (result < 0)
        return -1;
    url = line_value(cli->arena, text, "url");
    key = line_value(cli->arena, text, "key");
    if (!url || !key || strcmp(url, client_url(cli)) != 0)
        return 0;
    *ret_key = key;
    return 1;
}

int key_file_remove(struct arena *arena, struct error *err)
{
    const char *path = key_file_path(arena);

    if (unlink(path) < 0 && errno != ENOENT)
        return error_set(err, ERR_IO, "cannot remove %s: %s", path, strerror(errno));
    return 0;
}
