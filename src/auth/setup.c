#include "auth/setup.h"

#include "auth/store.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

static const char file_name[] = "setup-code";

static const char *code_path(const struct auth *auth, struct arena *arena)
{
    return arena_printf(arena, "%s/%s", auth->node->data_dir, file_name);
}

static int code_save(const struct auth *auth, const char *path, struct error *err)
{
    char line[TOKEN_SETUP_SIZE + 2];
    int size = snprintf(line, sizeof line, "%s\n", auth->setup_code);
    ssize_t written;
    int fd;

    unlink(path); /* of an earlier start: never write through what somebody else may have open */
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    written = write(fd, line, (size_t)size);
    close(fd);
    sodium_memzero(line, sizeof line);
    if (written != size)
        return error_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

static void code_show(const struct auth *auth)
{
    const char *listen = config_text(auth->node->config, "http.listen");
    const char *url = config_text(auth->node->config, "http.public_url");

    /* A line for people, who look for it: not among the log's key=value lines. */
    printf("First start: open %s%s/ or run: belfry user setup --code %s\n", url ? "" : "http://",
           url ? url : listen, auth->setup_code);
    fflush(stdout);
}

struct question {
    struct arena *arena;
    bool complete;
};

static int question_run(struct db_tx *tx, void *ctx, struct error *err)
{
    struct question *question = ctx;

    return store_setup_complete(tx, question->arena, &question->complete, err);
}

static int code_begin(struct auth *auth, struct arena *arena, struct error *err)
{
    const char *path = code_path(auth, arena);

    token_setup_make(auth->setup_code);
    if (code_save(auth, path, err) < 0)
        return -1;
    code_show(auth);
    LOG_WARN("no administrator yet: everything but setup is refused", "code_file", path);
    return 0;
}

int setup_begin(struct auth *auth, struct error *err)
{
    struct question question = { .arena = arena_new() };
    int result = -1;

    if (db_run(auth->node->db, DB_POOL_API, question_run, &question, err) != DB_OK)
        goto out;
    auth->setup_complete = question.complete;
    result = 0;
    if (question.complete)
        unlink(code_path(auth, question.arena));
    else
        result = code_begin(auth, question.arena, err);
out:
    arena_free(&question.arena);
    return result;
}

void setup_finish(struct auth *auth)
{
    struct arena *arena;

    if (auth->setup_complete)
        return;
    arena = arena_new();
    auth->setup_complete = true;
    sodium_memzero(auth->setup_code, sizeof auth->setup_code);
    unlink(code_path(auth, arena));
    arena_free(&arena);
    LOG_INFO("setup complete: an administrator exists");
}
