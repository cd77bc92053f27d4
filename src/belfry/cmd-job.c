#include "belfry/command.h"

#include "base/clock.h"
#include "base/str.h"
#include "belfry/client.h"
#include "belfry/job-body.h"
#include "belfry/job-find.h"
#include "belfry/run-print.h"
#include "belfry/table.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

enum { BODY_MAX = 2 * 1024 * 1024, PATH_BYTES = 16384 };

/* --- printing ------------------------------------------------------------------------------- */

static const char *job_state(struct cli *cli, const struct json_node *job)
{
    const char *paused = json_member_text(job, "paused_until", cli->arena);

    if (strcmp(json_member_text(job, "enabled", cli->arena), "false") == 0)
        return "disabled";
    return *paused ? "paused" : "enabled";
}

/* The one member of an object such as schedule or task that says its kind. */
static const char *kind_of(struct cli *cli, const struct json_node *object)
{
    if (!object || object->kind != JSON_KIND_OBJECT)
        return "";
    for (const struct json_node *n = object->first; n; n = n->next) {
        if (n->kind == JSON_KIND_OBJECT)
            return arena_strndup(cli->arena, n->name.bytes, n->name.size);
    }
    return "";
}

static const char *span_member(struct cli *cli, const struct json_node *of, const char *name)
{
    int64_t ms;

    return number_parse(str_of(json_member_text(of, name, cli->arena)), 0, INT64_MAX, &ms)
               ? duration_for_people(cli->arena, ms)
               : "?";
}

/* When it fires, in words: the server's for cron expressions. */
static const char *schedule_text(struct cli *cli, const struct json_node *job)
{
    const struct json_node *schedule = json_member_find(job, "schedule"), *part;
    const char *text = json_member_text(job, "schedule_text", cli->arena);

    if (*text)
        return text;
    if ((part = json_member_find(schedule, "every")))
        return arena_printf(cli->arena, "every %s", span_member(cli, part, "interval_ms"));
    if ((part = json_member_find(schedule, "delay")))
        return arena_printf(cli->arena, "%s after the last end",
                            span_member(cli, part, "delay_ms"));
    if ((part = json_member_find(schedule, "at")))
        return arena_printf(cli->arena, "at %u given times",
                            json_member_find(part, "times") ? json_member_find(part, "times")->count
                                                            : 0);
    return kind_of(cli, schedule);
}

static const char *group_name(struct cli *cli, const struct json_node *job)
{
    return arena_printf(cli->arena, "%s/%s", json_member_text(job, "group", cli->arena),
                        json_member_text(job, "name", cli->arena));
}

static const char *texts_join(struct cli *cli, const struct json_node *array)
{
    const char *joined = "";

    for (const struct json_node *n = array && array->kind == JSON_KIND_ARRAY ? array->first : NULL;
         n; n = n->next)
        joined = arena_printf(cli->arena, "%s%s%.*s", joined, *joined ? ", " : "",
                              (int)n->text.size, n->text.bytes);
    return joined;
}

static const char *compact(struct cli *cli, const struct json_node *node)
{
    return node ? json_compact_text(node, cli->arena) : "";
}

static void job_print(struct cli *cli, const struct json_node *job)
{
    const char *facts[][2] = {
        { "job", group_name(cli, job) },
        { "id", json_member_text(job, "id", cli->arena) },
        { "state", job_state(cli, job) },
        { "paused until",
          time_text_for_people(cli->arena, json_member_text(job, "paused_until", cli->arena)) },
        { "fires", schedule_text(cli, job) },
        { "next fire",
          time_text_for_people(cli->arena, json_member_text(job, "next_fire_at", cli->arena)) },
        { "description", json_member_text(job, "description", cli->arena) },
        { "owner", json_member_text(job, "owner", cli->arena) },
        { "tags", texts_join(cli, json_member_find(job, "tags")) },
        { "schedule", compact(cli, json_member_find(job, "schedule")) },
        { "task", compact(cli, json_member_find(job, "task")) },
        { "parameters", compact(cli, json_member_find(job, "parameters")) },
        { "misfire", compact(cli, json_member_find(job, "misfire")) },
        { "overlap", compact(cli, json_member_find(job, "overlap")) },
        { "retry", compact(cli, json_member_find(job, "retry")) },
        { "version", json_member_text(job, "version", cli->arena) },
        { "changed",
          time_text_for_people(cli->arena, json_member_text(job, "updated_at", cli->arena)) },
    };

    facts_print(facts, sizeof(facts) / sizeof(*facts));
}

/* Prints an answer that is a job: whole for programs, else a sentence. */
static int job_answer_print(struct cli *cli, const struct client_answer *answer, const char *what)
{
    const char *until = time_text_for_people(
        cli->arena, json_member_text(answer->json, "paused_until", cli->arena));
    const char *next = time_text_for_people(
        cli->arena, json_member_text(answer->json, "next_fire_at", cli->arena));

    if (cli_has(cli, "json")) {
        printf("%s\n", answer->text);
        return EXIT_OK;
    }
    printf("%s %s (id %s)", what, group_name(cli, answer->json),
           json_member_text(answer->json, "id", cli->arena));
    if (strcmp(until, "never") == 0)
        printf(" until somebody resumes it\n");
    else if (*until)
        printf(" until %s\n", until);
    else
        printf("%s%s\n", *next ? ", next fire " : "", next);
    return EXIT_OK;
}

/* --- list, show ----------------------------------------------------------------------------- */

static const struct cli_option list_options[] = {
    { "group", 'g', "GROUP", "only jobs of that group", NULL },
    { "tag", 0, "TAG", "only jobs with that tag", NULL },
    { "owner", 0, "NAME", "only jobs of that owner", NULL },
    { "search", 0, "TEXT", "only jobs with TEXT in name or description", NULL },
    { "enabled", 0, NULL, "only jobs that are on", NULL },
    { "disabled", 0, NULL, "only jobs that are off", NULL },
    { "limit", 0, "N", "at most N jobs (default: all)", NULL },
    { 0 },
};

struct job_list {
    struct cli *cli;
    struct table *table;
};

static void job_row_add(void *ctx, const struct json_node *job)
{
    struct job_list *list = ctx;
    struct cli *cli = list->cli;
    const char *cells[] = {
        json_member_text(job, "id", cli->arena),
        group_name(cli, job),
        job_state(cli, job),
        kind_of(cli, json_member_find(job, "task")),
        time_text_for_people(cli->arena, json_member_text(job, "next_fire_at", cli->arena)),
        schedule_text(cli, job),
    };

    table_add(list->table, cells);
}

static int job_list(struct cli *cli)
{
    static const char *const columns[] = {
        ">ID", "JOB", "STATE", "TASK", "NEXT FIRE", "FIRES", NULL
    };
    static const char *const filters[] = { "group", "tag", "owner", "search", NULL };
    struct job_list list = { cli, table_new(cli->arena, columns) };
    struct error err = { 0 };
    struct buf path;
    int result;

    buf_init(&path, PATH_BYTES);
    buf_add_text(&path, "/api/v1/jobs");
    for (const char *const *filter = filters; *filter; filter++)
        query_add(&path, *filter, cli_option(cli, *filter));
    if (cli_has(cli, "enabled") || cli_has(cli, "disabled"))
        query_add(&path, "enabled", cli_has(cli, "enabled") ? "true" : "false");
    result = list_print(cli, buf_text(&path), 0, job_row_add, &list, list.table, &err);
    buf_done(&path);
    return result < 0 ? cli_fail(cli, &err) : EXIT_OK;
}

static int job_show(struct cli *cli)
{
    const struct json_node *job;
    struct error err = { 0 };

    if (job_look_up(cli, cli_arg(cli, 0), &job, &err) < 0)
        return cli_fail(cli, &err);
    if (cli_has(cli, "json"))
        printf("%s\n", json_compact_text(job, cli->arena));
    else
        job_print(cli, job);
    return EXIT_OK;
}

/* --- create, update, delete ----------------------------------------------------------------- */

static int job_create(struct cli *cli)
{
    const struct json_node *base = NULL;
    const char *group = NULL, *name = NULL;
    struct client_answer answer;
    struct error err = { 0 };
    struct buf body;
    int code = EXIT_OK;

    if (cli_has(cli, "file") && job_file_read(cli, &base, &err) < 0)
        return cli_fail(cli, &err);
    if (cli_arg(cli, 0))
        job_name_split(cli, cli_arg(cli, 0), &group, &name);
    if (!name && !base) {
        error_set(&err, ERR_INVALID, "say what to create: a name with options, or --file");
        return cli_fail(cli, &err);
    }
    buf_init(&body, BODY_MAX);
    if (job_body_write(cli, group, name, base, &body, &err) < 0)
        code = cli_fail(cli, &err);
    else if (client_post(cli, "POST", "/api/v1/jobs", buf_text(&body), &answer, &err) < 0)
        code = cli_fail(cli, &err);
    buf_done(&body);
    return code == EXIT_OK ? job_answer_print(cli, &answer, "created") : code;
}

/* The version that a change is based on: the file's where it has one, so that an edit of what
 * `job show --json` printed does not undo somebody else's; else the one just read. */
static const char *etag_of(struct cli *cli, const struct json_node *file,
                           const struct json_node *job)
{
    const char *version = json_member_text(file, "version", cli->arena);

    if (!*version)
        version = json_member_text(job, "version", cli->arena);
    return arena_printf(cli->arena, "\"%s\"", version);
}

static int job_update(struct cli *cli)
{
    const struct json_node *file = NULL, *job;
    struct client_answer answer;
    struct error err = { 0 };
    struct buf body;
    int code = EXIT_OK;

    if (!cli_has(cli, "file") && !job_body_has_options(cli)) {
        error_set(&err, ERR_INVALID, "say what to change: options, or --file");
        return cli_fail(cli, &err);
    }
    if ((cli_has(cli, "file") && job_file_read(cli, &file, &err) < 0) ||
        job_look_up(cli, cli_arg(cli, 0), &job, &err) < 0)
        return cli_fail(cli, &err);
    buf_init(&body, BODY_MAX);
    if (job_body_write(cli, NULL, NULL, file ? file : job, &body, &err) < 0) {
        code = cli_fail(cli, &err);
    } else {
        struct client_call call = {
            .method = "PUT",
            .path = arena_printf(cli->arena, "/api/v1/jobs/%s",
                                 json_member_text(job, "id", cli->arena)),
            .body = buf_text(&body),
            .if_match = etag_of(cli, file, job),
        };
        if (client_send(cli, &call, &answer, &err) < 0)
            code = cli_fail(cli, &err);
    }
    buf_done(&body);
    return code == EXIT_OK ? job_answer_print(cli, &answer, "changed") : code;
}

static int job_delete(struct cli *cli)
{
    const struct json_node *job;
    struct client_answer answer;
    struct error err = { 0 };

    if (job_look_up(cli, cli_arg(cli, 0), &job, &err) < 0)
        return cli_fail(cli, &err);
    struct client_call call = {
        .method = "DELETE",
        .path =
            arena_printf(cli->arena, "/api/v1/jobs/%s", json_member_text(job, "id", cli->arena)),
        .if_match = etag_of(cli, NULL, job),
    };
    if (client_send(cli, &call, &answer, &err) < 0)
        return cli_fail(cli, &err);
    if (!cli_has(cli, "json"))
        printf("deleted %s\n", group_name(cli, job));
    return EXIT_OK;
}

/* --- enable, disable, pause, resume --------------------------------------------------------- */

static int job_act(struct cli *cli, const char *action, const char *body, const char *what)
{
    struct client_answer answer;
    struct error err = { 0 };
    const char *id;

    if (job_id_find(cli, cli_arg(cli, 0), &id, &err) < 0 ||
        client_post(cli, "POST", arena_printf(cli->arena, "/api/v1/jobs/%s/%s", id, action), body,
                    &answer, &err) < 0)
        return cli_fail(cli, &err);
    return job_answer_print(cli, &answer, what);
}

static int job_enable(struct cli *cli)
{
    return job_act(cli, "enable", NULL, "enabled");
}

static int job_disable(struct cli *cli)
{
    return job_act(cli, "disable", NULL, "disabled");
}

static int job_resume(struct cli *cli)
{
    return job_act(cli, "resume", NULL, "resumed");
}

static const struct cli_option pause_options[] = {
    { "until", 0, "TIME", "goes on by itself then (default: until `job resume`)", NULL },
    { "for", 0, "TIME", "goes on by itself after that long: 30m, 2h", NULL },
    { 0 },
};

static int job_pause(struct cli *cli)
{
    int64_t now_ms = clock_wall_ms(), until_ms = 0;
    const char *until = cli_option(cli, "until"), *span = cli_option(cli, "for");
    char text[TIME_TEXT_SIZE];
    struct error err = { 0 };

    if (until && cli_time("--until", until, now_ms, &until_ms, &err) < 0)
        return cli_fail(cli, &err);
    if (span && cli_duration("for", span, &until_ms, &err) < 0)
        return cli_fail(cli, &err);
    if (span)
        until_ms += now_ms;
    return job_act(
        cli, "pause",
        until_ms ? arena_printf(cli->arena, "{\"until\":\"%s\"}", time_format_utc(until_ms, text))
                 : "{}",
        "paused");
}

/* --- run ------------------------------------------------------------------------------------ */

static const struct cli_option run_options[] = {
    { "param", 'p', "NAME=VALUE", "in place of the job's parameter; give it again for more", NULL },
    { "request-id", 0, "TEXT", "the same id again gives the same run, not another one", NULL },
    { "wait", 'w', NULL, "wait until it is over; exit 1 unless it succeeded", NULL },
    { "follow", 'F', NULL, "print its log while it runs, then as --wait", NULL },
    { 0 },
};

static int run_body_write(struct cli *cli, struct buf *out, struct error *err)
{
    struct json_writer w;
    const char *text;

    json_begin(&w, out);
    json_object(&w);
    if (cli_has(cli, "request-id")) {
        json_name(&w, "request_id");
        json_text(&w, cli_option(cli, "request-id"));
    }
    if (cli_has(cli, "param")) {
        json_name(&w, "parameters");
        json_object(&w);
        for (size_t position = 0; (text = cli_option_next(cli, "param", &position));) {
            struct str value = str_of(text), name;

            if (!str_split(&value, '=', &name) || !value.bytes || !name.size)
                return error_set(err, ERR_INVALID, "--param wants NAME=VALUE, not \"%s\"", text);
            json_name(&w, arena_strndup(cli->arena, name.bytes, name.size));
            json_str(&w, value);
        }
        json_object_end(&w);
    }
    json_object_end(&w);
    return 0;
}

/* What --wait and --follow do with a run that was just made. */
static int run_await(struct cli *cli, const char *run_id)
{
    const struct json_node *run;
    struct error err = { 0 };

    if (cli_has(cli, "follow") && run_log_follow(cli, run_id, NULL, &err) < 0)
        return cli_fail(cli, &err);
    if (run_wait(cli, run_id, &run, &err) < 0)
        return cli_fail(cli, &err);
    if (cli_has(cli, "json"))
        printf("%s\n", json_compact_text(run, cli->arena));
    else
        fprintf(cli_has(cli, "follow") ? stderr : stdout, "%s\n", run_sentence(cli, run));
    return strcmp(json_member_text(run, "state", cli->arena), "SUCCEEDED") == 0 ? EXIT_OK
                                                                                : EXIT_REFUSED;
}

static int job_run(struct cli *cli)
{
    struct client_answer answer;
    struct error err = { 0 };
    const char *id, *run_id;
    struct buf body;
    int code = EXIT_OK;

    buf_init(&body, BODY_MAX);
    if (run_body_write(cli, &body, &err) < 0)
        code = cli_fail(cli, &err);
    else if (job_id_find(cli, cli_arg(cli, 0), &id, &err) < 0 ||
             client_post(cli, "POST", arena_printf(cli->arena, "/api/v1/jobs/%s/run", id),
                         buf_text(&body), &answer, &err) < 0)
        code = cli_fail(cli, &err);
    buf_done(&body);
    if (code != EXIT_OK)
        return code;
    run_id = json_member_text(answer.json, "id", cli->arena);
    if (cli_has(cli, "wait") || cli_has(cli, "follow"))
        return run_await(cli, run_id);
    if (cli_has(cli, "json"))
        printf("%s\n", answer.text);
    else
        printf("run %s\n", run_id);
    return EXIT_OK;
}

/* --- fires, status -------------------------------------------------------------------------- */

static const struct cli_option fires_options[] = {
    { "from", 0, "TIME", "begin there (default now)", NULL },
    { "to", 0, "TIME", "end there (default: the end of the calendar)", NULL },
    { "number", 'n', "N", "at most N fires (default 10)", NULL },
    { 0 },
};

static int job_fires(struct cli *cli)
{
    struct client_answer answer;
    struct error err = { 0 };
    const char *id, *number = cli_option(cli, "number");
    struct buf path;
    int result;

    if (job_id_find(cli, cli_arg(cli, 0), &id, &err) < 0)
        return cli_fail(cli, &err);
    buf_init(&path, PATH_BYTES);
    buf_printf(&path, "/api/v1/jobs/%s/fires", id);
    query_add(&path, "limit", number ? number : "10");
    if (!cli_has(cli, "to"))
        query_add(&path, "to", "2199-12-31T23:59:59Z"); /* the server looks one week ahead */
    result = query_times_add(cli, &path, &err);
    if (result == 0)
        result = client_get(cli, buf_text(&path), &answer, &err);
    buf_done(&path);
    if (result < 0)
        return cli_fail(cli, &err);
    if (cli_has(cli, "json")) {
        printf("%s\n", answer.text);
        return EXIT_OK;
    }
    const struct json_node *items = json_member_find(answer.json, "items");
    for (const struct json_node *n = items ? items->first : NULL; n; n = n->next)
        printf("%s\n",
               time_text_for_people(cli->arena, json_member_text(n, "fire_at", cli->arena)));
    return EXIT_OK;
}

static int job_status(struct cli *cli)
{
    struct client_answer answer;
    struct error err = { 0 };
    const char *id;

    if (job_id_find(cli, cli_arg(cli, 0), &id, &err) < 0 ||
        client_get(cli, arena_printf(cli->arena, "/api/v1/jobs/%s/status", id), &answer, &err) < 0)
        return cli_fail(cli, &err);
    if (cli_has(cli, "json"))
        printf("%s\n", answer.text);
    else
        job_status_print(cli, answer.json);
    return EXIT_OK;
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct subcommand subcommands[] = {
    { "list", "", "the jobs", list_options, job_list,
      "  belfry job list\n"
      "  belfry job list --group default --tag fund --json\n",
      false },
    { "show", "JOB", "one job, whole", NULL, job_show,
      "  belfry job show nightly-sync\n"
      "  belfry job show 7 --json > job.json\n",
      false },
    { "create", "[JOB]", "make a job", job_body_options, job_create,
      "  belfry job create hello --every 10s --script 'echo hello at $BELFRY_FIRE_TIME'\n"
      "  belfry job create fund/nightly-sync --cron '0 2 * * *' --zone Asia/Shanghai \\\n"
      "      --http http://127.0.0.1:9000/sync --retries 3 --timeout 5m\n"
      "  belfry job create -f job.json\n",
      false },
    { "update", "JOB", "change a job; what is not given stays", job_body_options, job_update,
      "  belfry job update hello --every 1m\n"
      "  belfry job show hello --json > job.json; $EDITOR job.json\n"
      "  belfry job update hello -f job.json        refused if somebody else was faster\n",
      false },
    { "delete", "JOB", "remove a job; its runs stay to be read", NULL, job_delete,
      "  belfry job delete hello\n", false },
    { "enable", "JOB", "switch it on", NULL, job_enable, NULL, false },
    { "disable", "JOB", "switch it off", NULL, job_disable, NULL, false },
    { "pause", "JOB", "leave out its fires for a while", pause_options, job_pause,
      "  belfry job pause hello --for 2h\n"
      "  belfry job pause hello --until '2026-12-01 08:00'\n",
      false },
    { "resume", "JOB", "end a pause", NULL, job_resume, NULL, false },
    { "run", "JOB", "fire it now", run_options, job_run,
      "  belfry job run hello --follow\n"
      "  belfry job run fund/nightly-sync -p day=2026-11-24 --wait && echo done\n",
      false },
    { "fires", "JOB", "when it will fire", fires_options, job_fires,
      "  belfry job fires hello -n 5\n"
      "  belfry job fires hello --from '2026-12-24' --to '2026-12-27'\n",
      false },
    { "status", "JOB", "how it does: last runs, success rate, usual duration", NULL, job_status,
      NULL, false },
    { 0 },
};

const struct command command_job = {
    .name = "job",
    .about = "Jobs: what is to be done, and when.",
    .subcommands = subcommands,
    .more = "JOB is group/name, a name in group \"default\", or an id.\n",
};

int cmd_job(int argc, char **argv)
{
    return command_main(&command_job, argc, argv);
}
