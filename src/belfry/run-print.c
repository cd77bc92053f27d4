#include "belfry/run-print.h"

#include "base/clock.h"
#include "base/str.h"
#include "belfry/client.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LINE_BYTES = 256 * 1024, LIST_BYTES = 256 * 1024 * 1024, POLL_MS = 200 };

/* --- lists ---------------------------------------------------------------------------------- */

struct json_list {
    struct cli *cli;
    struct buf out;
};

static void json_item_add(void *ctx, const struct json_node *item)
{
    struct json_list *list = ctx;

    buf_add_text(&list->out, list->out.size > 1 ? ",\n" : "");
    json_compact(&list->out, item);
}

int list_print(struct cli *cli, const char *path, int64_t limit,
               void (*on_item)(void *ctx, const struct json_node *item), void *ctx,
               const struct table *table, struct error *err)
{
    struct json_list list = { .cli = cli };
    const char *text = cli_option(cli, "limit");
    int result;

    if (text && !number_parse(str_of(text), 1, 1000000, &limit))
        return error_set(err, ERR_INVALID, "--%s wants a number, not \"%s\"", "limit", text);
    if (!cli_has(cli, "json")) {
        result = client_list(cli, path, (size_t)limit, on_item, ctx, err);
        if (result == 0)
            table_print(table);
        return result;
    }
    buf_init(&list.out, LIST_BYTES);
    buf_add_char(&list.out, '[');
    result = client_list(cli, path, (size_t)limit, json_item_add, &list, err);
    buf_add_text(&list.out, "]\n");
    if (result == 0)
        fputs(buf_text(&list.out), stdout);
    buf_done(&list.out);
    return result;
}

int query_times_add(struct cli *cli, struct buf *path, struct error *err)
{
    static const char *const names[] = { "from", "to" };
    int64_t now_ms = clock_wall_ms(), time_ms;
    char text[TIME_TEXT_SIZE];

    for (size_t i = 0; i < 2; i++) {
        const char *value = cli_option(cli, names[i]);

        if (!value)
            continue;
        if (cli_time(i ? "--to" : "--from", value, now_ms, &time_ms, err) < 0)
            return -1;
        query_add(path, names[i], time_format_utc(time_ms, text));
    }
    return 0;
}

/* --- runs ----------------------------------------------------------------------------------- */

static const char *cause_text(struct cli *cli, const struct json_node *of)
{
    const struct json_node *cause = json_member_find(of, "cause");
    const char *text = json_member_text(cause, "text", cli->arena);

    return *text ? text : json_member_text(cause, "kind", cli->arena);
}

static const char *run_duration(struct cli *cli, const struct json_node *run)
{
    const char *text = json_member_text(run, "duration_ms", cli->arena);
    int64_t ms;

    return number_parse(str_of(text), 0, INT64_MAX, &ms) &&
                   *json_member_text(run, "started_at", cli->arena)
               ? duration_for_people(cli->arena, ms)
               : "";
}

const char *run_sentence(struct cli *cli, const struct json_node *run)
{
    const char *duration = run_duration(cli, run), *state, *why;

    state = json_member_text(run, "state", cli->arena);
    why = strcmp(state, "SUCCEEDED") == 0 ? "" : cause_text(cli, run);
    return arena_printf(
        cli->arena, "run %s of %s/%s: %s%s%s%s%s", json_member_text(run, "id", cli->arena),
        json_member_text(run, "group", cli->arena), json_member_text(run, "job", cli->arena), state,
        *duration ? " after " : "", duration, *why ? ": " : "", why);
}

bool run_is_over(struct cli *cli, const struct json_node *run)
{
    static const char *const over[] = { "SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED",
                                        "SKIPPED",   "SHED",   "UNKNOWN" };
    const char *state = json_member_text(run, "state", cli->arena);

    for (size_t i = 0; i < sizeof(over) / sizeof(*over); i++) {
        if (strcmp(state, over[i]) == 0)
            return true;
    }
    return false;
}

int run_wait(struct cli *cli, const char *run_id, const struct json_node **ret_run,
             struct error *err)
{
    const char *path = arena_printf(cli->arena, "/api/v1/runs/%s", run_id);
    struct client_answer answer;

    for (;;) {
        if (client_get(cli, path, &answer, err) < 0)
            return -1;
        if (run_is_over(cli, answer.json))
            break;
        nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
    }
    *ret_run = answer.json;
    return 0;
}

struct run_table run_table_new(struct cli *cli)
{
    static const char *const columns[] = { ">RUN",  "JOB",       "FIRE",  "STATE", ">TRY",
                                           ">LATE", ">DURATION", "CAUSE", NULL };

    return (struct run_table){ cli, table_new(cli->arena, columns) };
}

void run_row_add(void *ctx, const struct json_node *run)
{
    struct run_table *rows = ctx;
    struct cli *cli = rows->cli;
    const char *late = json_member_text(run, "lateness_ms", cli->arena);
    int64_t ms;
    const char *cells[] = {
        json_member_text(run, "id", cli->arena),
        arena_printf(cli->arena, "%s/%s", json_member_text(run, "group", cli->arena),
                     json_member_text(run, "job", cli->arena)),
        time_text_for_people(cli->arena, json_member_text(run, "fire_at", cli->arena)),
        json_member_text(run, "state", cli->arena),
        json_member_text(run, "attempt", cli->arena),
        number_parse(str_of(late), 0, INT64_MAX, &ms) ? duration_for_people(cli->arena, ms) : "",
        run_duration(cli, run),
        strcmp(json_member_text(run, "state", cli->arena), "SUCCEEDED") == 0 ? ""
                                                                             : cause_text(cli, run),
    };

    table_add(rows->table, cells);
}

/* --- logs ----------------------------------------------------------------------------------- */

void log_line_print(struct cli *cli, const struct json_node *line)
{
    bool is_error = strcmp(json_member_text(line, "stream", cli->arena), "stderr") == 0;
    struct buf out;

    buf_init(&out, LINE_BYTES);
    text_clean(&out, json_member_text(line, "text", cli->arena), false);
    fprintf(is_error ? stderr : stdout, "%s\n", buf_text(&out));
    buf_done(&out);
}

static bool log_event(void *ctx, const char *event, const char *data)
{
    struct cli *cli = ctx;
    struct arena *all = cli->arena;
    struct json_node *line;

    if (strcmp(event, "end") == 0)
        return false;
    /* A log may be endless: what one line needs goes with it. */
    cli->arena = arena_new();
    if (strcmp(event, "line") == 0 &&
        json_parse(str_of(data), LINE_BYTES, cli->arena, &line, NULL) == 0)
        log_line_print(cli, line);
    arena_free(&cli->arena);
    cli->arena = all;
    fflush(stdout);
    return true;
}

int run_log_follow(struct cli *cli, const char *run_id, const char *attempt, struct error *err)
{
    struct buf path;
    int result;

    buf_init(&path, 4096);
    buf_printf(&path, "/api/v1/runs/%s/log/stream", run_id);
    query_add(&path, "attempt", attempt);
    result = client_stream(cli, buf_text(&path), log_event, cli, err);
    buf_done(&path);
    return result;
}

/* --- how a job does ------------------------------------------------------------------------- */

static const char *success_text(struct cli *cli, const struct json_node *status)
{
    const char *ended = json_member_text(status, "ended", cli->arena);

    if (strcmp(ended, "0") == 0)
        return "no run has ended yet";
    return arena_printf(cli->arena, "%s of the last %s ended runs",
                        json_member_text(status, "succeeded", cli->arena), ended);
}

/* "" for -1, which says that there is none. */
static const char *span_text(struct cli *cli, const char *text)
{
    int64_t ms;

    return number_parse(str_of(text), 0, INT64_MAX, &ms) ? duration_for_people(cli->arena, ms) : "";
}

static const char *times_text(struct cli *cli, const struct json_node *times)
{
    const char *text = "";

    for (const struct json_node *n = times ? times->first : NULL; n; n = n->next) {
        const char *time =
            n->kind == JSON_KIND_TEXT ? n->text.bytes : json_member_text(n, "fire_at", cli->arena);

        text = arena_printf(cli->arena, "%s%s%s", text, *text ? "\n" : "",
                            time_text_for_people(cli->arena, time));
    }
    return text;
}

void job_status_print(struct cli *cli, const struct json_node *status)
{
    const struct json_node *runs = json_member_find(status, "last_runs");
    struct run_table rows = run_table_new(cli);
    const char *facts[][2] = {
        { "job", arena_printf(cli->arena, "%s/%s", json_member_text(status, "group", cli->arena),
                              json_member_text(status, "job", cli->arena)) },
        { "succeeded", success_text(cli, status) },
        { "usual duration",
          span_text(cli, json_member_text(status, "usual_duration_ms", cli->arena)) },
        { "late by at most",
          span_text(cli, json_member_text(status, "lateness_p95_ms", cli->arena)) },
        { "next fires", times_text(cli, json_member_find(status, "next_fires")) },
    };

    facts_print(facts, sizeof(facts) / sizeof(*facts));
    if (!runs || !runs->count)
        return;
    putchar('\n');
    for (const struct json_node *run = runs->first; run; run = run->next)
        run_row_add(&rows, run);
    table_print(rows.table);
}
