#include "belfry/command.h"

#include "base/clock.h"
#include "belfry/client.h"
#include "belfry/password.h"
#include "belfry/run-print.h"
#include "belfry/table.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BODY_BYTES = 256 * 1024, PATH_BYTES = 4096, KEY_DAYS = 90 };

static const struct cli_option password_options[] = { PASSWORD_OPTION, { 0 } };

/* --- what they share ------------------------------------------------------------------------ */

struct pair {
    const char *name, *value; /* value NULL: left out */
};

/* {"name":"value",…} in the arena. */
static char *object_text(struct cli *cli, const struct pair *pairs, size_t count)
{
    struct json_writer w;
    struct buf out;
    char *text;

    buf_init(&out, BODY_BYTES);
    json_begin(&w, &out);
    json_object(&w);
    for (size_t i = 0; i < count; i++) {
        if (!pairs[i].value)
            continue;
        json_name(&w, pairs[i].name);
        json_text(&w, pairs[i].value);
    }
    json_object_end(&w);
    text = arena_strdup(cli->arena, buf_text(&out));
    explicit_bzero(out.bytes, out.size);
    buf_done(&out);
    return text;
}

static int user_find(struct cli *cli, const char *name, const struct json_node **ret_user,
                     struct error *err)
{
    const struct json_node *items;
    struct client_answer answer;
    struct buf path;
    int result;

    buf_init(&path, PATH_BYTES);
    buf_add_text(&path, "/api/v1/users");
    query_add(&path, "name", name);
    result = client_get(cli, buf_text(&path), &answer, err);
    buf_done(&path);
    if (result < 0)
        return -1;
    items = json_member_find(answer.json, "items");
    if (!items || !items->count)
        return error_set(err, ERR_NOT_FOUND, "there is no user \"%s\"", name);
    *ret_user = items->first;
    return 0;
}

static const char *user_path(struct cli *cli, const struct json_node *user, const char *rest)
{
    return arena_printf(cli->arena, "/api/v1/users/%s%s", json_member_text(user, "id", cli->arena),
                        rest);
}

static const char *grants_text(struct cli *cli, const struct json_node *grants)
{
    const char *text = "";

    for (const struct json_node *g = grants ? grants->first : NULL; g; g = g->next)
        text = arena_printf(cli->arena, "%s%s%s of %s", text, *text ? ", " : "",
                            json_member_text(g, "role", cli->arena),
                            json_member_text(g, "group", cli->arena));
    return text;
}

static int user_answer_print(struct cli *cli, const struct client_answer *answer, const char *what)
{
    if (cli_has(cli, "json"))
        printf("%s\n", answer->text_size ? answer->text : "{}");
    else
        printf("%s\n", what);
    return EXIT_OK;
}

/* --- setup, sign-in, sign-out --------------------------------------------------------------- */

struct browser {
    const char *cookie, *csrf;
};

static int session_open(struct cli *cli, const char *name, const char *password,
                        struct browser *ret, struct error *err)
{
    struct pair pairs[] = { { "name", name }, { "password", password } };
    char *body = object_text(cli, pairs, 2);
    struct client_call call = {
        .method = "POST", .path = "/api/v1/session", .body = body, .anonymous = true
    };
    struct client_answer answer;
    int result = client_send(cli, &call, &answer, err);

    password_wipe(body);
    if (result < 0)
        return -1;
    if (!client_cookie(cli))
        return error_set(err, ERR_INTERNAL, "the server opened no session");
    ret->cookie = arena_strdup(cli->arena, client_cookie(cli));
    ret->csrf = json_member_text(answer.json, "csrf", cli->arena);
    return 0;
}

/* A key for this machine, which the session then is no more needed for. */
static int key_make(struct cli *cli, const struct browser *browser, struct error *err)
{
    char host[256] = "", until[TIME_TEXT_SIZE];
    struct client_answer answer;

    gethostname(host, sizeof(host) - 1);
    time_format_utc(clock_wall_ms() / 1000 * 1000 + INT64_C(86400000) * KEY_DAYS, until);
    struct pair pairs[] = { { "name", arena_printf(cli->arena, "%.40s, command line", host) },
                            { "expires_at", until } };
    struct client_call call = { .method = "POST",
                                .path = "/api/v1/keys",
                                .body = object_text(cli, pairs, 2),
                                .cookie = browser->cookie,
                                .csrf = browser->csrf };
    if (client_send(cli, &call, &answer, err) < 0)
        return -1;
    return key_file_save(cli, json_member_text(answer.json, "key", cli->arena), err);
}

static int sign_in(struct cli *cli, const char *name, const char *password, struct error *err)
{
    struct browser browser = { 0 };
    struct client_answer answer;
    struct error ignored;

    if (session_open(cli, name, password, &browser, err) < 0 || key_make(cli, &browser, err) < 0)
        return -1;
    struct client_call end = { .method = "DELETE",
                               .path = "/api/v1/session",
                               .cookie = browser.cookie,
                               .csrf = browser.csrf };
    client_send(cli, &end, &answer, &ignored); /* it would end by itself */
    cli->refused = false;
    printf("signed in at %s as %s; the key is in %s\n", client_url(cli), name,
           key_file_path(cli->arena));
    return 0;
}

static const struct cli_option setup_options[] = {
    { "code", 0, "CODE", "the one-time code that the first start printed", NULL },
    { "name", 0, "NAME", "of the first administrator", NULL },
    PASSWORD_OPTION,
    { 0 },
};

static int user_setup(struct cli *cli)
{
    struct client_answer answer;
    struct error err = { 0 };
    char *password, *body;
    int result;

    if (!cli_has(cli, "code") || !cli_has(cli, "name")) {
        error_set(&err, ERR_INVALID, "setup needs --code and --name");
        return cli_fail(cli, &err);
    }
    if (password_ask(cli, "Password (12 characters or more)", true, &password, &err) < 0)
        return cli_fail(cli, &err);
    struct pair pairs[] = { { "code", cli_option(cli, "code") },
                            { "name", cli_option(cli, "name") },
                            { "password", password } };
    body = object_text(cli, pairs, 3);
    struct client_call call = {
        .method = "POST", .path = "/api/v1/setup", .body = body, .anonymous = true
    };
    result = client_send(cli, &call, &answer, &err);
    password_wipe(body);
    if (result == 0)
        result = sign_in(cli, cli_option(cli, "name"), password, &err);
    password_wipe(password);
    return result < 0 ? cli_fail(cli, &err) : EXIT_OK;
}

static int user_sign_in(struct cli *cli)
{
    struct error err = { 0 };
    char *password;
    int result;

    if (password_ask(cli, "Password", false, &password, &err) < 0)
        return cli_fail(cli, &err);
    result = sign_in(cli, cli_arg(cli, 0), password, &err);
    password_wipe(password);
    return result < 0 ? cli_fail(cli, &err) : EXIT_OK;
}

struct own_key {
    struct cli *cli;
    const char *key, *id;
};

static void own_key_look(void *ctx, const struct json_node *item)
{
    struct own_key *own = ctx;
    const char *prefix = json_member_text(item, "prefix", own->cli->arena);

    if (*prefix && strncmp(own->key, prefix, strlen(prefix)) == 0)
        own->id = json_member_text(item, "id", own->cli->arena);
}

static int user_sign_out(struct cli *cli)
{
    struct own_key own = { .cli = cli };
    struct client_answer answer;
    struct error err = { 0 };
    int found = key_file_load(cli, &own.key, &err);

    if (found < 0)
        return cli_fail(cli, &err);
    if (found && client_list(cli, "/api/v1/keys", 0, own_key_look, &own, &err) == 0 && own.id)
        client_post(cli, "DELETE", arena_printf(cli->arena, "/api/v1/keys/%s", own.id), NULL,
                    &answer, &err);
    /* The file goes in any case: a key that the server does not know any more helps nobody. */
    if (key_file_remove(cli->arena, &err) < 0 ||
        (err.code != ERR_NONE && err.code != ERR_UNAUTHENTICATED))
        return cli_fail(cli, &err);
    printf("signed out\n");
    return EXIT_OK;
}

/* --- list, create, delete ------------------------------------------------------------------- */

struct user_list {
    struct cli *cli;
    struct table *table;
};

static void user_row_add(void *ctx, const struct json_node *user)
{
    struct user_list *list = ctx;
    struct arena *arena = list->cli->arena;
    const char *cells[] = {
        json_member_text(user, "id", arena),
        json_member_text(user, "name", arena),
        json_member_text(user, "display_name", arena),
        strcmp(json_member_text(user, "disabled", arena), "true") == 0 ? "disabled" : "enabled",
        time_text_for_people(arena, json_member_text(user, "signed_in_at", arena)),
        grants_text(list->cli, json_member_find(user, "grants")),
    };

    table_add(list->table, cells);
}

static int user_list(struct cli *cli)
{
    static const char *const columns[] = { ">ID",          "NAME",  "FOR PEOPLE", "STATE",
                                           "LAST SIGN-IN", "ROLES", NULL };
    struct user_list list = { cli, table_new(cli->arena, columns) };
    struct error err = { 0 };

    return list_print(cli, "/api/v1/users", 0, user_row_add, &list, list.table, &err) < 0
               ? cli_fail(cli, &err)
               : EXIT_OK;
}

static void grant_write(struct json_writer *w, const char *group, const char *role)
{
    json_object(w);
    json_name(w, "group");
    json_text(w, group);
    json_name(w, "role");
    json_text(w, role);
    json_object_end(w);
}

#define ROLES "viewer|operator|developer|administrator"

static const struct cli_option create_options[] = {
    { "role", 0, "ROLE", "what the user may do (default: nothing yet)", ROLES },
    { "group", 'g', "GROUP", "where (default: * for all groups)", NULL },
    { "display-name", 0, "TEXT", "name for people", NULL },
    PASSWORD_OPTION,
    { 0 },
};

static char *create_body(struct cli *cli, const char *password)
{
    const char *role = cli_option(cli, "role"), *group = cli_option(cli, "group");
    const char *display_name = cli_option(cli, "display-name");
    struct json_writer w;
    struct buf out;
    char *text;

    buf_init(&out, BODY_BYTES);
    json_begin(&w, &out);
    json_object(&w);
    json_name(&w, "name");
    json_text(&w, cli_arg(cli, 0));
    json_name(&w, "password");
    json_text(&w, password);
    if (display_name) {
        json_name(&w, "display_name");
        json_text(&w, display_name);
    }
    json_name(&w, "grants");
    json_array(&w);
    if (role)
        grant_write(&w, group ? group : "*", role);
    json_array_end(&w);
    json_object_end(&w);
    text = arena_strdup(cli->arena, buf_text(&out));
    explicit_bzero(out.bytes, out.size);
    buf_done(&out);
    return text;
}

static int user_create(struct cli *cli)
{
    struct client_answer answer;
    struct error err = { 0 };
    char *password, *body;
    int result;

    if (password_ask(cli, "Password for the user (12 characters or more)", true, &password, &err) <
        0)
        return cli_fail(cli, &err);
    body = create_body(cli, password);
    result = client_post(cli, "POST", "/api/v1/users", body, &answer, &err);
    password_wipe(body);
    password_wipe(password);
    if (result < 0)
        return cli_fail(cli, &err);
    return user_answer_print(cli, &answer,
                             arena_printf(cli->arena, "created user %s", cli_arg(cli, 0)));
}

static int user_delete(struct cli *cli)
{
    const struct json_node *user;
    struct client_answer answer;
    struct error err = { 0 };

    if (user_find(cli, cli_arg(cli, 0), &user, &err) < 0 ||
        client_post(cli, "DELETE", user_path(cli, user, ""), NULL, &answer, &err) < 0)
        return cli_fail(cli, &err);
    return user_answer_print(cli, &answer,
                             arena_printf(cli->arena, "deleted user %s", cli_arg(cli, 0)));
}

/* --- grant, enable, disable, password ------------------------------------------------------- */

static const struct cli_option grant_options[] = {
    { "group", 'g', "GROUP", "where (default: * for all groups)", NULL },
    { 0 },
};

/* The user's grants with the one over group replaced; role "none" takes it away. */
static char *grants_body(struct cli *cli, const struct json_node *user, const char *group,
                         const char *role)
{
    const struct json_node *grants = json_member_find(user, "grants");
    struct json_writer w;
    struct buf out;
    char *text;

    buf_init(&out, BODY_BYTES);
    json_begin(&w, &out);
    json_object(&w);
    json_name(&w, "grants");
    json_array(&w);
    for (const struct json_node *g = grants ? grants->first : NULL; g; g = g->next) {
        const char *of = json_member_text(g, "group", cli->arena);

        if (strcmp(of, group) != 0)
            grant_write(&w, of, json_member_text(g, "role", cli->arena));
    }
    if (strcmp(role, "none") != 0)
        grant_write(&w, group, role);
    json_array_end(&w);
    json_object_end(&w);
    text = arena_strdup(cli->arena, buf_text(&out));
    buf_done(&out);
    return text;
}

static int user_grant(struct cli *cli)
{
    const char *group = cli_option(cli, "group"), *role = cli_arg(cli, 1);
    const struct json_node *user;
    struct client_answer answer;
    struct error err = { 0 };

    group = group ? group : "*";
    if (user_find(cli, cli_arg(cli, 0), &user, &err) < 0 ||
        client_post(cli, "PUT", user_path(cli, user, "/grants"),
                    grants_body(cli, user, group, role), &answer, &err) < 0)
        return cli_fail(cli, &err);
    return user_answer_print(
        cli, &answer,
        arena_printf(cli->arena, "%s: %s", cli_arg(cli, 0),
                     grants_text(cli, json_member_find(answer.json, "grants"))));
}

static int disabled_set(struct cli *cli, bool disabled)
{
    const struct json_node *user;
    struct client_answer answer;
    struct error err = { 0 };

    if (user_find(cli, cli_arg(cli, 0), &user, &err) < 0 ||
        client_post(cli, "PATCH", user_path(cli, user, ""),
                    disabled ? "{\"disabled\":true}" : "{\"disabled\":false}", &answer, &err) < 0)
        return cli_fail(cli, &err);
    return user_answer_print(cli, &answer,
                             arena_printf(cli->arena, "%s is %s now", cli_arg(cli, 0),
                                          disabled ? "disabled" : "enabled"));
}

static int user_disable(struct cli *cli)
{
    return disabled_set(cli, true);
}

static int user_enable(struct cli *cli)
{
    return disabled_set(cli, false);
}

static int own_password(struct cli *cli, struct error *err)
{
    struct client_answer answer;
    char *current, *fresh, *body;
    int result;

    if (password_ask(cli, "Password so far", false, &current, err) < 0 ||
        password_ask(cli, "New password (12 characters or more)", true, &fresh, err) < 0)
        return -1;
    struct pair pairs[] = { { "current", current }, { "password", fresh } };
    body = object_text(cli, pairs, 2);
    result = client_post(cli, "PUT", "/api/v1/password", body, &answer, err);
    password_wipe(body);
    password_wipe(current);
    password_wipe(fresh);
    return result;
}

static int other_password(struct cli *cli, struct error *err)
{
    const struct json_node *user;
    struct client_answer answer;
    char *fresh, *body;
    int result;

    if (user_find(cli, cli_arg(cli, 0), &user, err) < 0 ||
        password_ask(cli, "New password for the user (12 characters or more)", true, &fresh, err) <
            0)
        return -1;
    struct pair pairs[] = { { "password", fresh } };
    body = object_text(cli, pairs, 1);
    result = client_post(cli, "PUT", user_path(cli, user, "/password"), body, &answer, err);
    password_wipe(body);
    password_wipe(fresh);
    return result;
}

static int user_password(struct cli *cli)
{
    struct error err = { 0 };
    int result = cli_arg(cli, 0) ? other_password(cli, &err) : own_password(cli, &err);

    if (result < 0)
        return cli_fail(cli, &err);
    if (!cli_has(cli, "json"))
        printf("the password is changed, and all sessions are ended\n");
    return EXIT_OK;
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct subcommand subcommands[] = {
    { "setup", "", "make the first administrator, and sign in", setup_options, user_setup,
      "  belfry user setup --code 7K4P-2M9X-QW3R --name admin\n", false },
    { "sign-in", "NAME", "keep a key for this server in the key file", password_options,
      user_sign_in,
      "  belfry user sign-in lee\n"
      "  BELFRY_URL=https://belfry.example.com belfry user sign-in lee\n",
      false },
    { "sign-out", "", "revoke that key and remove the file", NULL, user_sign_out, NULL, false },
    { "list", "", "the users and their roles", NULL, user_list, NULL, false },
    { "create", "NAME", "make a user", create_options, user_create,
      "  belfry user create lee --role operator --group fund\n", false },
    { "grant", "NAME ROLE", "give a role over a group: " ROLES "|none", grant_options, user_grant,
      "  belfry user grant lee developer --group fund\n"
      "  belfry user grant lee none --group fund\n",
      false },
    { "enable", "NAME", "let the user sign in again", NULL, user_enable, NULL, false },
    { "disable", "NAME", "end all sessions; keys stop working", NULL, user_disable, NULL, false },
    { "password", "[NAME]", "change your password, or another user's", password_options,
      user_password, NULL, false },
    { "delete", "NAME", "remove a user with all keys", NULL, user_delete, NULL, false },
    { 0 },
};

const struct command command_user = {
    .name = "user",
    .about = "Users: who signs in, and what they may do.",
    .subcommands = subcommands,
    .more = "Signing in leaves a key in ~/.config/belfry/key (or BELFRY_KEY_FILE), good for this\n"
            "server and 90 days; BELFRY_KEY takes precedence.\n",
};

int cmd_user(int argc, char **argv)
{
    return command_main(&command_user, argc, argv);
}
