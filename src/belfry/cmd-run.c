#include "belfry/command.h"

#include "base/clock.h"
#include "belfry/client.h"
#include "belfry/job-find.h"
#include "belfry/run-print.h"
#include "belfry/table.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 16384, BODY_BYTES = 16384 };

/* --- list ----------------------------------------------------------------------------------- */

static const struct cli_option list_options[] = {
    { "job", 'j', "JOB", "only runs of that job", NULL },
    { "group", 'g', "GROUP", "only runs of that group", NULL },
    { "state", 0, "STATE", "only runs in that state",
      "PLANNED|WAITING|READY|DISPATCHED|RUNNING|RETRY_WAIT|SUCCEEDED|FAILED|TIMED_OUT|CANCELLED|"
      "SKIPPED|SHED|UNKNOWN" },
    { "from", 0, "TIME", "only fires from then on", NULL },
    { "to", 0, "TIME", "only fires before that (default: now)", NULL },
    { "limit", 'n', "N", "at most N runs (default 20)", NULL },
    { 0 },
};

static int list_path(struct cli *cli, struct buf *path, struct error *err)
{
    const char *job = cli_option(cli, "job"), *id = NULL;
    char now[TIME_TEXT_SIZE];

    if (job && job_id_find(cli, job, &id, err) < 0)
        return -1;
    buf_add_text(path, "/api/v1/runs");
    query_add(path, "job", id);
    query_add(path, "group", cli_option(cli, "group"));
    query_add(path, "state", cli_option(cli, "state"));
    if (!cli_has(cli, "to") && !cli_has(cli, "state"))
        query_add(path, "to", time_format_utc(clock_wall_ms() + 1, now));
    return query_times_add(cli, path, err);
}

static int run_list(struct cli *cli)
{
    struct run_table rows = run_table_new(cli);
    struct error err = { 0 };
    struct buf path;
    int result;

    buf_init(&path, PATH_BYTES);
    result = list_path(cli, &path, &err);
    if (result == 0)
        result = list_print(cli, buf_text(&path), 20, run_row_add, &rows, rows.table, &err);
    buf_done(&path);
    return result < 0 ? cli_fail(cli, &err) : EXIT_OK;
}

/* --- show ----------------------------------------------------------------------------------- */

static const char *time_member(struct cli *cli, const struct json_node *of, const char *name)
{
    return time_text_for_people(cli->arena, json_member_text(of, name, cli->arena));
}

static const char *compact_member(struct cli *cli, const struct json_node *of, const char *name)
{
    const struct json_node *member = json_member_find(of, name);

    return member && member->kind != JSON_KIND_NULL && member->count
               ? json_compact_text(member, cli->arena)
               : json_member_text(of, name, cli->arena);
}

/* "" for -1, which says that there is none. */
static const char *number_member(struct cli *cli, const struct json_node *of, const char *name)
{
    const char *text = json_member_text(of, name, cli->arena);

    return strcmp(text, "-1") == 0 ? "" : text;
}

static void attempts_print(struct cli *cli, const struct json_node *run)
{
    static const char *const columns[] = { ">TRY",  "STATE", "EXECUTOR", "STARTED",
                                           "ENDED", "CAUSE", NULL };
    const struct json_node *attempts = json_member_find(run, "attempts");
    struct table *table = table_new(cli->arena, columns);

    if (!attempts || !attempts->count)
        return;
    for (const struct json_node *a = attempts->first; a; a = a->next) {
        const struct json_node *cause = json_member_find(a, "cause");
        const char *cells[] = {
            json_member_text(a, "attempt", cli->arena),
            json_member_text(a, "state", cli->arena),
            json_member_text(a, "executor", cli->arena),
            time_member(cli, a, "started_at"),
            time_member(cli, a, "ended_at"),
            json_member_text(cause, "text", cli->arena),
        };
        table_add(table, cells);
    }
    putchar('\n');
    table_print(table);
}

static void notes_print(struct cli *cli, const struct json_node *run)
{
    const struct json_node *notes = json_member_find(run, "notes");

    if (!notes || !notes->count)
        return;
    putchar('\n');
    for (const struct json_node *n = notes->first; n; n = n->next) {
        const char *const fact[1][2] = { { time_member(cli, n, "at"),
                                           json_member_text(n, "text", cli->arena) } };
        facts_print(fact, 1);
    }
}

static void run_print(struct cli *cli, const struct json_node *run)
{
    const struct json_node *cause = json_member_find(run, "cause");
    const char *facts[][2] = {
        { "run", json_member_text(run, "id", cli->arena) },
        { "job", arena_printf(cli->arena, "%s/%s", json_member_text(run, "group", cli->arena),
                              json_member_text(run, "job", cli->arena)) },
        { "state", json_member_text(run, "state", cli->arena) },
        { "cause", json_member_text(cause, "text", cli->arena) },
        { "message", json_member_text(run, "message", cli->arena) },
        { "fire", time_member(cli, run, "fire_at") },
        { "fire key", json_member_text(run, "fire_key", cli->arena) },
        { "started", time_member(cli, run, "started_at") },
        { "ended", time_member(cli, run, "ended_at") },
        { "due again", time_member(cli, run, "due_at") },
        { "executor", json_member_text(run, "executor", cli->arena) },
        { "exit code", number_member(cli, run, "exit_code") },
        { "HTTP status", json_member_text(run, "http_status", cli->arena) },
        { "parameters", compact_member(cli, run, "parameters") },
        { "output", compact_member(cli, run, "output") },
        { "started by", json_member_text(run, "created_by", cli->arena) },
        { "parent run", json_member_text(run, "parent_run_id", cli->arena) },
    };

    facts_print(facts, sizeof(facts) / sizeof(*facts));
    attempts_print(cli, run);
    notes_print(cli, run);
}

/* The URL of the run that the command line names, and rest behind it. NULL: that is no run. */
static const char *run_path(struct cli *cli, const char *rest, struct error *err)
{
    const char *id = cli_arg(cli, 0);

    if (!is_number(id)) {
        error_set(err, ERR_INVALID, "RUN is the number that `belfry run list` shows, not \"%s\"",
                  id);
        return NULL;
    }
    return arena_printf(cli->arena, "/api/v1/runs/%s%s", id, rest);
}

static int run_show(struct cli *cli)
{
    struct client_answer answer;
    struct error err = { 0 };
    const char *path = run_path(cli, "", &err);

    if (!path || client_get(cli, path, &answer, &err) < 0)
        return cli_fail(cli, &err);
    if (cli_has(cli, "json"))
        printf("%s\n", answer.text);
    else
        run_print(cli, answer.json);
    return EXIT_OK;
}

/* --- stop, rerun ---------------------------------------------------------------------------- */

static const struct cli_option stop_options[] = {
    { "reason", 0, "TEXT", "why, for those who read it later", NULL },
    { "wait", 'w', NULL, "wait until it is over", NULL },
    { 0 },
};

static int run_stop(struct cli *cli)
{
    const char *reason = cli_option(cli, "reason");
    const struct json_node *run;
    struct client_answer answer;
    struct error err = { 0 };
    const char *path = run_path(cli, "/stop", &err);
    struct json_writer w;
    struct buf body;
    int result;

    if (!path)
        return cli_fail(cli, &err);
    buf_init(&body, BODY_BYTES);
    json_begin(&w, &body);
    json_object(&w);
    if (reason) {
        json_name(&w, "reason");
        json_text(&w, reason);
    }
    json_object_end(&w);
    result = client_post(cli, "POST", path, buf_text(&body), &answer, &err);
    buf_done(&body);
    if (result < 0)
        return cli_fail(cli, &err);
    if (!cli_has(cli, "wait")) {
        if (cli_has(cli, "json"))
            printf("%s\n", answer.text_size ? answer.text : "{}");
        else
            printf("run %s is being stopped\n", cli_arg(cli, 0));
        return EXIT_OK;
    }
    if (run_wait(cli, cli_arg(cli, 0), &run, &err) < 0)
        return cli_fail(cli, &err);
    printf("%s\n",
           cli_has(cli, "json") ? json_compact_text(run, cli->arena) : run_sentence(cli, run));
    return EXIT_OK;
}

static int run_rerun(struct cli *cli)
{
    struct client_answer answer;
    struct error err = { 0 };
    const char *path = run_path(cli, "/rerun", &err);

    if (!path || client_post(cli, "POST", path, NULL, &answer, &err) < 0)
        return cli_fail(cli, &err);
    if (cli_has(cli, "json"))
        printf("%s\n", answer.text);
    else
        printf("run %s\n", json_member_text(answer.json, "id", cli->arena));
    return EXIT_OK;
}

/* --- log ------------------------------------------------------------------------------------ */

static const struct cli_option log_options[] = {
    { "follow", 'F', NULL, "go on until the run is over", NULL },
    { "attempt", 'a', "N", "of that attempt (default: the last)", NULL },
    { "search", 0, "TEXT", "only lines with TEXT", NULL },
    { 0 },
};

/* One page of lines; *ret_next is the line to go on with, 0 at the end of what there is. */
static int log_page(struct cli *cli, const char *log_path, int64_t from, int64_t *ret_next,
                    struct error *err)
{
    const struct json_node *items;
    struct client_answer answer;
    struct buf path;
    int64_t line = 0;
    int result;

    buf_init(&path, PATH_BYTES);
    buf_add_text(&path, log_path);
    query_add(&path, "attempt", cli_option(cli, "attempt"));
    query_add(&path, "search", cli_option(cli, "search"));
    query_add(&path, "from_line", arena_printf(cli->arena, "%lld", (long long)from));
    query_add(&path, "limit", "1000");
    result = client_get(cli, buf_text(&path), &answer, err);
    buf_done(&path);
    if (result < 0)
        return -1;
    items = json_member_find(answer.json, "items");
    *ret_next = 0;
    for (const struct json_node *n = items ? items->first : NULL; n; n = n->next) {
        if (cli_has(cli, "json"))
            printf("%s\n", json_compact_text(n, cli->arena));
        else
            log_line_print(cli, n);
        if (number_parse(str_of(json_member_text(n, "line", cli->arena)), 0, INT64_MAX, &line))
            *ret_next = line + 1;
    }
    return 0;
}

static int run_log(struct cli *cli)
{
    struct error err = { 0 };
    const char *path = run_path(cli, "/log", &err);

    if (!path)
        return cli_fail(cli, &err);
    if (cli_has(cli, "follow"))
        return run_log_follow(cli, cli_arg(cli, 0), cli_option(cli, "attempt"), &err) < 0
                   ? cli_fail(cli, &err)
                   : EXIT_OK;
    for (int64_t line = 1; line;) {
        if (log_page(cli, path, line, &line, &err) < 0)
            return cli_fail(cli, &err);
        if (cli_has(cli, "search"))
            break; /* found lines have gaps: the page is all there is */
    }
    return EXIT_OK;
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct subcommand subcommands[] = {
    { "list", "", "the runs, newest first", list_options, run_list,
      "  belfry run list --state FAILED --from '2026-11-25'\n"
      "  belfry run list --job hello -n 5 --json\n",
      false },
    { "show", "RUN", "one run with its attempts and decisions", NULL, run_show, NULL, false },
    { "log", "RUN", "what it printed; standard error goes there too", log_options, run_log,
      "  belfry run log 5410974924800 --follow\n"
      "  belfry run log 5410974924800 --search error\n",
      false },
    { "stop", "RUN", "end it, with every process it started", stop_options, run_stop,
      "  belfry run stop 5410974924800 --reason 'wrong day' --wait\n", false },
    { "rerun", "RUN", "fire it once more with the same inputs", NULL, run_rerun, NULL, false },
    { 0 },
};

const struct command command_run = {
    .name = "run",
    .about = "Runs: what was fired, how it went, and why.",
    .subcommands = subcommands,
    .more = "RUN is the number that `belfry run list` shows.\n",
};

int cmd_run(int argc, char **argv)
{
    return command_main(&command_run, argc, argv);
}
