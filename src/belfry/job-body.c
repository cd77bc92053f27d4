#include "belfry/job-body.h"

#include "base/clock.h"
#include "base/str.h"
#include "belfry/client.h"
#include "json/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 1024 * 1024 };

const struct cli_option job_body_options[] = {
    { "file", 'f', "FILE", "read the job as JSON; - is standard input", NULL },
    { "cron", 0, "EXPR", "fire by a cron expression, such as \"0 2 * * *\"", NULL },
    { "dialect", 0, "NAME", "of the cron expression", "auto|unix|quartz|spring" },
    { "zone", 0, "ZONE", "time zone of the cron expression, such as Asia/Shanghai", NULL },
    { "every", 0, "TIME", "fire every so often: 30s, 5m, 1h", NULL },
    { "delay", 0, "TIME", "fire so long after the last run's end", NULL },
    { "at", 0, "TIME", "fire once at that time; give it again for more", NULL },
    { "manual", 0, NULL, "fire only when somebody says so", NULL },
    { "http", 0, "URL", "call that URL", NULL },
    { "method", 0, "METHOD", "of the call (default GET, with --body POST)", NULL },
    { "header", 0, "NAME: VALUE", "of the call; give it again for more", NULL },
    { "body", 0, "TEXT", "of the call", NULL },
    { "script", 0, "TEXT", "run that script; @FILE takes it from a file", NULL },
    { "interpreter", 0, "NAME", "of the script: sh (default), bash, python3, node …", NULL },
    { "param", 'p', "NAME=VALUE", "a parameter, ${NAME} in the task; give it again for more",
      NULL },
    { "description", 0, "TEXT", "for people", NULL },
    { "owner", 0, "NAME", "who answers for it", NULL },
    { "tag", 0, "TAG", "give it again for more", NULL },
    { "timeout", 0, "TIME", "stop a run after that long; 0s: never", NULL },
    { "retries", 0, "N", "try a failed run N times more", NULL },
    { "overlap", 0, "POLICY", "when the last run is not over", "skip|queue|replace|parallel" },
    { "misfire", 0, "POLICY", "when fires were missed", "once|all|skip" },
    { "at-most-once", 0, NULL, "never run a fire again when its executor is lost", NULL },
    { "priority", 0, "N", "higher ones start first when executors are full", NULL },
    { "disabled", 0, NULL, "leave it off", NULL },
    { 0 },
};

/* What the server writes and refuses to be told. */
static const char *const answer_members[] = {
    "id",         "version",    "schedule_version", "next_fire_at",  "paused_at", "paused_until",
    "created_at", "updated_at", "created_by",       "schedule_text", NULL,
};

bool job_body_has_options(const struct cli *cli)
{
    for (const struct cli_option *o = job_body_options; o->name; o++) {
        if (strcmp(o->name, "file") != 0 && cli_has(cli, o->name))
            return true;
    }
    return false;
}

/* --- parts ---------------------------------------------------------------------------------- */

static size_t given_count(const struct cli *cli, const char *const *names, const char **ret_one)
{
    size_t count = 0;

    for (; *names; names++) {
        if (cli_has(cli, *names)) {
            *ret_one = *names;
            count++;
        }
    }
    return count;
}

static void text_member(struct json_writer *w, const char *name, const char *text)
{
    if (!text)
        return;
    json_name(w, name);
    json_text(w, text);
}

static int interval_write(const struct cli *cli, struct json_writer *w, const char *option,
                          const char *member, struct error *err)
{
    int64_t ms;

    if (cli_duration(option, cli_option(cli, option), &ms, err) < 0)
        return -1;
    json_name(w, option);
    json_object(w);
    json_name(w, member);
    json_int(w, ms);
    json_object_end(w);
    return 0;
}

static int times_write(const struct cli *cli, struct json_writer *w, struct error *err)
{
    int64_t now_ms = clock_wall_ms(), time_ms;
    const char *text;

    json_name(w, "at");
    json_object(w);
    json_name(w, "times");
    json_array(w);
    for (size_t position = 0; (text = cli_option_next(cli, "at", &position));) {
        if (cli_time("--at", text, now_ms, &time_ms, err) < 0)
            return -1;
        json_time(w, time_ms);
    }
    json_array_end(w);
    json_object_end(w);
    return 0;
}

static void cron_write(const struct cli *cli, struct json_writer *w)
{
    json_name(w, "cron");
    json_object(w);
    text_member(w, "expression", cli_option(cli, "cron"));
    text_member(w, "dialect", cli_option(cli, "dialect"));
    text_member(w, "zone", cli_option(cli, "zone"));
    json_object_end(w);
}

/* 1 written, 0 no option says it. */
static int schedule_write(const struct cli *cli, struct json_writer *w, struct error *err)
{
    static const char *const kinds[] = { "cron", "every", "delay", "at", "manual", NULL };
    const char *kind = NULL;
    size_t count = given_count(cli, kinds, &kind);
    int result = 0;

    if (count > 1)
        return error_set(err, ERR_INVALID,
                         "give only one of --cron, --every, --delay, --at and --manual");
    if (!count && (cli_has(cli, "zone") || cli_has(cli, "dialect")))
        return error_set(err, ERR_INVALID, "--zone and --dialect go with --cron");
    if (!count)
        return 0;
    json_name(w, "schedule");
    json_object(w);
    if (strcmp(kind, "cron") == 0)
        cron_write(cli, w);
    else if (strcmp(kind, "every") == 0)
        result = interval_write(cli, w, "every", "interval_ms", err);
    else if (strcmp(kind, "delay") == 0)
        result = interval_write(cli, w, "delay", "delay_ms", err);
    else if (strcmp(kind, "at") == 0)
        result = times_write(cli, w, err);
    else {
        json_name(w, "manual");
        json_object(w);
        json_object_end(w);
    }
    json_object_end(w);
    return result < 0 ? -1 : 1;
}

static int headers_write(const struct cli *cli, struct json_writer *w, struct error *err)
{
    const char *text;

    if (!cli_has(cli, "header"))
        return 0;
    json_name(w, "headers");
    json_array(w);
    for (size_t position = 0; (text = cli_option_next(cli, "header", &position));) {
        struct str value = str_of(text), name;

        if (!str_split(&value, ':', &name) || !value.bytes || !name.size)
            return error_set(err, ERR_INVALID, "--header wants \"NAME: VALUE\", not \"%s\"", text);
        json_object(w);
        json_name(w, "name");
        json_str(w, str_trim(name));
        json_name(w, "value");
        json_str(w, str_trim(value));
        json_object_end(w);
    }
    json_array_end(w);
    return 0;
}

static int http_write(const struct cli *cli, struct json_writer *w, struct error *err)
{
    const char *method = cli_option(cli, "method");

    json_name(w, "http");
    json_object(w);
    text_member(w, "method", method ? method : cli_has(cli, "body") ? "POST" : "GET");
    text_member(w, "url", cli_option(cli, "http"));
    if (headers_write(cli, w, err) < 0)
        return -1;
    text_member(w, "body", cli_option(cli, "body"));
    json_object_end(w);
    return 0;
}

static int file_read(const char *path, struct buf *out, struct error *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *room;
    size_t size = 1;

    if (!file)
        return error_set(err, ERR_INVALID, "cannot read %s: %s", path, strerror(errno));
    while (size && (room = buf_reserve(out, 16384))) {
        size = fread(room, 1, 16384, file);
        buf_commit(out, size);
    }
    bool failed = ferror(file);
    if (file != stdin)
        fclose(file);
    if (failed)
        return error_set(err, ERR_INVALID, "cannot read %s: %s", path, strerror(EIO));
    if (size)
        return error_set(err, ERR_TOO_LARGE, "%s is larger than %d bytes", path, FILE_MAX);
    return 0;
}

static int script_write(const struct cli *cli, struct json_writer *w, struct error *err)
{
    const char *script = cli_option(cli, "script"), *interpreter = cli_option(cli, "interpreter");
    struct buf text;
    int result = 0;

    buf_init(&text, FILE_MAX + 16384);
    if (*script == '@')
        result = file_read(script + 1, &text, err);
    else
        buf_add_text(&text, script);
    json_name(w, "script");
    json_object(w);
    text_member(w, "interpreter", interpreter ? interpreter : "sh");
    text_member(w, "script", buf_text(&text));
    json_object_end(w);
    buf_done(&text);
    return result;
}

static int task_write(const struct cli *cli, struct json_writer *w, struct error *err)
{
    static const char *const kinds[] = { "http", "script", NULL };
    const char *kind = NULL;
    size_t count = given_count(cli, kinds, &kind);
    int result;

    if (count > 1)
        return error_set(err, ERR_INVALID, "give only one of --http and --script");
    if (!count)
        return 0;
    json_name(w, "task");
    json_object(w);
    result = strcmp(kind, "http") == 0 ? http_write(cli, w, err) : script_write(cli, w, err);
    json_object_end(w);
    return result < 0 ? -1 : 1;
}

static int parameters_write(const struct cli *cli, struct json_writer *w, struct error *err)
{
    const char *text;

    if (!cli_has(cli, "param"))
        return 0;
    json_name(w, "parameters");
    json_object(w);
    for (size_t position = 0; (text = cli_option_next(cli, "param", &position));) {
        struct str value = str_of(text), name;

        if (!str_split(&value, '=', &name) || !value.bytes || !name.size)
            return error_set(err, ERR_INVALID, "--param wants NAME=VALUE, not \"%s\"", text);
        json_name(w, arena_strndup(cli->arena, name.bytes, name.size));
        json_str(w, value);
    }
    json_object_end(w);
    return 1;
}

static int tags_write(const struct cli *cli, struct json_writer *w)
{
    const char *tag;

    if (!cli_has(cli, "tag"))
        return 0;
    json_name(w, "tags");
    json_array(w);
    for (size_t position = 0; (tag = cli_option_next(cli, "tag", &position));)
        json_text(w, tag);
    json_array_end(w);
    return 1;
}

static int number_write(const struct cli *cli, struct json_writer *w, const char *option,
                        const char *member, struct error *err)
{
    int64_t number;

    if (!number_parse(str_of(cli_option(cli, option)), INT32_MIN, INT32_MAX, &number))
        return error_set(err, ERR_INVALID, "--%s wants a number, not \"%s\"", option,
                         cli_option(cli, option));
    json_name(w, member);
    json_int(w, number);
    return 0;
}

/* Writes the members of an object of base but the one named. */
static void others_write(const struct cli *cli, struct json_writer *w,
                         const struct json_node *object, const char *but)
{
    if (!object || object->kind != JSON_KIND_OBJECT)
        return;
    for (const struct json_node *n = object->first; n; n = n->next) {
        if (str_is(n->name, but))
            continue;
        json_name(w, n->name.bytes);
        json_raw(w, json_compact_text(n, cli->arena));
    }
}

/* { "policy": …, and what else base has of it } */
static int policy_write(const struct cli *cli, struct json_writer *w, const char *member,
                        const struct json_node *base)
{
    if (!cli_has(cli, member))
        return 0;
    json_name(w, member);
    json_object(w);
    text_member(w, "policy", cli_option(cli, member));
    others_write(cli, w, json_member_find(base, member), "policy");
    json_object_end(w);
    return 1;
}

static int retry_write(const struct cli *cli, struct json_writer *w, const struct json_node *base,
                       struct error *err)
{
    if (!cli_has(cli, "retries"))
        return 0;
    json_name(w, "retry");
    json_object(w);
    if (number_write(cli, w, "retries", "max", err) < 0)
        return -1;
    others_write(cli, w, json_member_find(base, "retry"), "max");
    json_object_end(w);
    return 1;
}

static int timeout_write(const struct cli *cli, struct json_writer *w, struct error *err)
{
    int64_t ms;

    if (!cli_has(cli, "timeout"))
        return 0;
    if (cli_duration("timeout", cli_option(cli, "timeout"), &ms, err) < 0)
        return -1;
    json_name(w, "timeout_ms");
    json_int(w, ms);
    return 1;
}

static int option_text_write(const struct cli *cli, struct json_writer *w, const char *name)
{
    text_member(w, name, cli_option(cli, name));
    return cli_has(cli, name);
}

/* --- the whole ------------------------------------------------------------------------------ */

static bool is_answer_member(struct str name)
{
    for (const char *const *member = answer_members; *member; member++) {
        if (str_is(name, *member))
            return true;
    }
    return false;
}

/* Writes one member as the options say it: 1; 0 where they do not; -1 bad option. */
static int member_write(const struct cli *cli, struct json_writer *w, const char *member,
                        const struct json_node *base, struct error *err)
{
    if (strcmp(member, "schedule") == 0)
        return schedule_write(cli, w, err);
    if (strcmp(member, "task") == 0)
        return task_write(cli, w, err);
    if (strcmp(member, "parameters") == 0)
        return parameters_write(cli, w, err);
    if (strcmp(member, "tags") == 0)
        return tags_write(cli, w);
    if (strcmp(member, "misfire") == 0 || strcmp(member, "overlap") == 0)
        return policy_write(cli, w, member, base);
    if (strcmp(member, "retry") == 0)
        return retry_write(cli, w, base, err);
    if (strcmp(member, "timeout_ms") == 0)
        return timeout_write(cli, w, err);
    if (strcmp(member, "description") == 0 || strcmp(member, "owner") == 0)
        return option_text_write(cli, w, member);
    if (strcmp(member, "priority") == 0 && cli_has(cli, "priority"))
        return number_write(cli, w, "priority", "priority", err) < 0 ? -1 : 1;
    if (strcmp(member, "promise") == 0 && cli_has(cli, "at-most-once")) {
        text_member(w, member, "at_most_once");
        return 1;
    }
    if (strcmp(member, "enabled") == 0 && cli_has(cli, "disabled")) {
        json_name(w, member);
        json_bool(w, false);
        return 1;
    }
    return 0;
}

static const char *const option_members[] = {
    "description", "owner",   "tags",  "enabled",    "schedule", "task",     "parameters",
    "misfire",     "overlap", "retry", "timeout_ms", "promise",  "priority", NULL,
};

static bool contains(const char *const *names, const char *name)
{
    for (; *names; names++) {
        if (strcmp(*names, name) == 0)
            return true;
    }
    return false;
}

int job_body_write(struct cli *cli, const char *group, const char *name,
                   const struct json_node *base, struct buf *out, struct error *err)
{
    const char *written[sizeof(option_members) / sizeof(*option_members) + 2];
    struct json_writer w;
    size_t count = 0;

    json_begin(&w, out);
    json_object(&w);
    if (name) {
        text_member(&w, "group", group);
        text_member(&w, "name", name);
        written[count++] = "group";
        written[count++] = "name";
    }
    for (const char *const *member = option_members; *member; member++) {
        int result = member_write(cli, &w, *member, base, err);
        if (result < 0)
            return -1;
        if (result)
            written[count++] = *member;
    }
    written[count] = NULL;
    for (const struct json_node *n = base ? base->first : NULL; n; n = n->next) {
        if (is_answer_member(n->name) || contains(written, n->name.bytes))
            continue;
        json_name(&w, n->name.bytes);
        json_raw(&w, json_compact_text(n, cli->arena));
    }
    json_object_end(&w);
    return 0;
}

int job_file_read(struct cli *cli, const struct json_node **ret_job, struct error *err)
{
    const char *path = cli_option(cli, "file");
    struct json_node *job;
    struct buf text;
    int result;

    buf_init(&text, FILE_MAX + 16384);
    result = file_read(path, &text, err);
    if (result == 0) {
        char *copy = arena_strndup(cli->arena, buf_text(&text), text.size);

        result = json_parse((struct str){ copy, text.size }, FILE_MAX, cli->arena, &job, err);
    }
    buf_done(&text);
    if (result < 0)
        return -1;
    if (job->kind != JSON_KIND_OBJECT)
        return error_set(err, ERR_INVALID, "%s is no JSON object", path);
    *ret_job = job;
    return 0;
}
