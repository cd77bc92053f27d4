#ifndef BELFRY_BELFRY_CLIENT_H
#define BELFRY_BELFRY_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "belfry/command.h"
#include "json/json-tree.h"

#include <stdint.h>

/*
 * The command line as a client of the gateway: one blocking call after the other over one
 * connection. The server is --url, BELFRY_URL or http://127.0.0.1:8680; the key is BELFRY_KEY or
 * the key file (BELFRY_KEY_FILE, default ~/.config/belfry/key, 0600), which belongs to the server
 * it was made at and is sent to no other.
 */
struct client;

void client_free(struct client **client);

struct client_answer {
    int status;
    char *text;                      /* body, NUL-terminated, in the command's arena */
    size_t text_size;
    const struct json_node *json;    /* of a JSON body, else NULL */
    const char *etag;                /* with its quotes; NULL: none */
};

struct client_call {
    const char *method, *path;       /* "/api/v1/jobs?limit=10" */
    const char *body;                /* JSON; NULL: none */
    const char *if_match;            /* NULL: none */
    const char *cookie, *csrf;       /* of a session, in place of the key; NULL: none */
    bool anonymous;                  /* sends no key */
};

/*
 * Makes the call. -1 where there is no answer, or one that is not 2xx: err then says what the
 * server said, in the user's language, with the member's path. Errors: ERR_UNAVAILABLE no answer,
 * or 502/503/504; the codes of the server's problem otherwise.
 */
int client_send(struct cli *cli, const struct client_call *call, struct client_answer *ret,
                struct error *err);
int client_get(struct cli *cli, const char *path, struct client_answer *ret, struct error *err);
int client_post(struct cli *cli, const char *method, const char *path, const char *body,
                struct client_answer *ret, struct error *err);
/* The first Set-Cookie of the last answer as "name=value", NULL: none. */
const char *client_cookie(struct cli *cli);

/*
 * Reads text/event-stream until the server ends it, on_event returns false, or the connection
 * breaks (then it goes on after the last id). event and id are "" where absent.
 */
int client_stream(struct cli *cli, const char *path,
                  bool (*on_event)(void *ctx, const char *event, const char *data), void *ctx,
                  struct error *err);

/* Calls on_item for each item of a list, page after page; stops at max (0: all). */
int client_list(struct cli *cli, const char *path, size_t max,
                void (*on_item)(void *ctx, const struct json_node *item), void *ctx,
                struct error *err);

/* Adds "?name=value" or "&name=value", percent-encoded; nothing where value is NULL. */
void query_add(struct buf *path, const char *name, const char *value);

/* --- the key file --------------------------------------------------------------------------- */

/* Text of the path of the key file. */
const char *key_file_path(struct arena *arena);
int key_file_save(struct cli *cli, const char *key, struct error *err);
/* 1 a key for this server, 0 none, -1 failed (others may read it, …). */
int key_file_load(struct cli *cli, const char **ret_key, struct error *err);
int key_file_remove(struct arena *arena, struct error *err);
/* The server of this command line, without '/' at the end. */
const char *client_url(const struct cli *cli);

#endif
