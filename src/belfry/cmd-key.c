#include "belfry/command.h"

#include "base/clock.h"
#include "belfry/client.h"
#include "belfry/job-find.h"
#include "belfry/run-print.h"
#include "belfry/table.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

enum { BODY_BYTES = 64 * 1024, PATH_BYTES = 4096 };

/* --- list ----------------------------------------------------------------------------------- */

static const struct cli_option list_options[] = {
    { "all", 0, NULL, "those of all users (for administrators)", NULL },
    { 0 },
};

struct key_list {
    struct cli *cli;
    struct table *table;
};

static const char *key_state(struct arena *arena, const struct json_node *key)
{
    int64_t expires_ms;

    if (*json_member_text(key, "revoked_at", arena))
        return "revoked";
    if (time_parse(str_of(json_member_text(key, "expires_at", arena)), &expires_ms) &&
        expires_ms <= clock_wall_ms())
        return "expired";
    return "good";
}

static void key_row_add(void *ctx, const struct json_node *key)
{
    struct key_list *list = ctx;
    struct arena *arena = list->cli->arena;
    const char *cells[] = {
        json_member_text(key, "id", arena),
        json_member_text(key, "owner", arena),
        json_member_text(key, "prefix", arena),
        key_state(arena, key),
        time_text_for_people(arena, json_member_text(key, "expires_at", arena)),
        time_text_for_people(arena, json_member_text(key, "used_at", arena)),
        json_member_text(key, "name", arena),
    };

    table_add(list->table, cells);
}

static int key_list(struct cli *cli)
{
    static const char *const columns[] = { ">ID",        "OWNER",     "BEGINS WITH", "STATE",
                                           "GOOD UNTIL", "LAST USED", "NAME",        NULL };
    struct key_list list = { cli, table_new(cli->arena, columns) };
    const char *path = cli_has(cli, "all") ? "/api/v1/keys?all=true" : "/api/v1/keys";
    struct error err = { 0 };

    return list_print(cli, path, 0, key_row_add, &list, list.table, &err) < 0 ? cli_fail(cli, &err)
                                                                              : EXIT_OK;
}

/* --- create --------------------------------------------------------------------------------- */

static const struct cli_option create_options[] = {
    { "role", 0, "ROLE", "less than you may do yourself (default: the same)",
      "viewer|operator|developer|administrator" },
    { "group", 'g', "GROUP", "of that role (default: * for all groups)", NULL },
    { "expires", 0, "TIME", "end, as a time (default: never)", NULL },
    { "for", 0, "TIME", "end, as a duration: 90d", NULL },
    { "address", 0, "CIDR", "may be used only from there; give it again for more", NULL },
    { 0 },
};

static int expiry_write(struct cli *cli, struct json_writer *w, struct error *err)
{
    const char *at = cli_option(cli, "expires"), *span = cli_option(cli, "for");
    int64_t now_ms = clock_wall_ms(), time_ms;

    if (!at && !span)
        return 0;
    if (at ? cli_time("--expires", at, now_ms, &time_ms, err) < 0
           : cli_duration("for", span, &time_ms, err) < 0)
        return -1;
    json_name(w, "expires_at");
    json_time(w, at ? time_ms : now_ms + time_ms);
    return 0;
}

static int create_body(struct cli *cli, struct buf *out, struct error *err)
{
    const char *role = cli_option(cli, "role"), *group = cli_option(cli, "group"), *address;
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w);
    json_name(&w, "name");
    json_text(&w, cli_arg(cli, 0));
    if (group && !role)
        return error_set(err, ERR_INVALID, "--group goes with --role");
    if (role) {
        json_name(&w, "grants");
        json_array(&w);
        json_object(&w);
        json_name(&w, "group");
        json_text(&w, group ? group : "*");
        json_name(&w, "role");
        json_text(&w, role);
        json_object_end(&w);
        json_array_end(&w);
    }
    if (cli_has(cli, "address")) {
        json_name(&w, "addresses");
        json_array(&w);
        for (size_t position = 0; (address = cli_option_next(cli, "address", &position));)
            json_text(&w, address);
        json_array_end(&w);
    }
    if (expiry_write(cli, &w, err) < 0)
        return -1;
    json_object_end(&w);
    return 0;
}

/* The key alone on standard output, so that KEY=$(belfry key create …) works. */
static int secret_print(struct cli *cli, const struct client_answer *answer)
{
    if (cli_has(cli, "json")) {
        printf("%s\n", answer->text);
        return EXIT_OK;
    }
    fprintf(stderr, "key %s; it is shown only now:\n",
            json_member_text(answer->json, "id", cli->arena));
    printf("%s\n", json_member_text(answer->json, "key", cli->arena));
    return EXIT_OK;
}

static int key_create(struct cli *cli)
{
    struct client_answer answer;
    struct error err = { 0 };
    struct buf body;
    int result;

    buf_init(&body, BODY_BYTES);
    result = create_body(cli, &body, &err);
    if (result == 0)
        result = client_post(cli, "POST", "/api/v1/keys", buf_text(&body), &answer, &err);
    buf_done(&body);
    return result < 0 ? cli_fail(cli, &err) : secret_print(cli, &answer);
}

/* --- revoke, rotate ------------------------------------------------------------------------- */

static int key_id_check(struct cli *cli, struct error *err)
{
    if (is_number(cli_arg(cli, 0)))
        return 0;
    return error_set(err, ERR_INVALID, "KEY is the number that `belfry key list` shows, not \"%s\"",
                     cli_arg(cli, 0));
}

static int key_revoke(struct cli *cli)
{
    struct client_answer answer;
    struct error err = { 0 };

    if (key_id_check(cli, &err) < 0 ||
        client_post(cli, "DELETE", arena_printf(cli->arena, "/api/v1/keys/%s", cli_arg(cli, 0)),
                    NULL, &answer, &err) < 0)
        return cli_fail(cli, &err);
    if (!cli_has(cli, "json"))
        printf("revoked key %s\n", cli_arg(cli, 0));
    return EXIT_OK;
}

static const struct cli_option rotate_options[] = {
    { "overlap", 0, "TIME", "how long the old secret stays good (default 1h)", NULL },
    { 0 },
};

static int key_rotate(struct cli *cli)
{
    const char *overlap = cli_option(cli, "overlap"), *body = "{}";
    struct client_answer answer;
    struct error err = { 0 };
    int64_t ms;

    if (key_id_check(cli, &err) < 0 || (overlap && cli_duration("overlap", overlap, &ms, &err) < 0))
        return cli_fail(cli, &err);
    if (overlap)
        body = arena_printf(cli->arena, "{\"overlap_seconds\":%lld}", (long long)(ms / 1000));
    if (client_post(cli, "POST",
                    arena_printf(cli->arena, "/api/v1/keys/%s/rotate", cli_arg(cli, 0)), body,
                    &answer, &err) < 0)
        return cli_fail(cli, &err);
    return secret_print(cli, &answer);
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct subcommand subcommands[] = {
    { "list", "", "your keys", list_options, key_list, NULL, false },
    { "create", "NAME", "make a key for a program; prints it, once", create_options, key_create,
      "  BELFRY_KEY=$(belfry key create deploy --role operator --group fund --for 90d)\n", false },
    { "revoke", "KEY", "end it at once", NULL, key_revoke, "  belfry key revoke 3\n", false },
    { "rotate", "KEY", "give it a new secret; prints it, once", rotate_options, key_rotate,
      "  belfry key rotate 3 --overlap 24h\n", false },
    { 0 },
};

const struct command command_key = {
    .name = "key",
    .about = "API keys: how programs sign in.",
    .subcommands = subcommands,
    .more = "KEY is the number that `belfry key list` shows. Programs send a key as\n"
            "Authorization: Bearer KEY.\n",
};

int cmd_key(int argc, char **argv)
{
    return command_main(&command_key, argc, argv);
}
