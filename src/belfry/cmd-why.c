#include "belfry/command.h"

#include "base/clock.h"
#include "belfry/client.h"
#include "belfry/job-find.h"
#include "belfry/table.h"

#include <stdio.h>

static const char *time_member(struct cli *cli, const struct json_node *of, const char *name)
{
    return time_text_for_people(cli->arena, json_member_text(of, name, cli->arena));
}

/* Fires that were left out together. */
static const char *gap_text(struct cli *cli, const struct json_node *why)
{
    const char *count = json_member_text(why, "gap_fires", cli->arena);

    if (!*count)
        return "";
    return arena_printf(cli->arena, "%s fires from %s to %s", count,
                        time_member(cli, why, "gap_from"), time_member(cli, why, "gap_to"));
}

static void why_print(struct cli *cli, const struct json_node *why)
{
    const struct json_node *cause = json_member_find(why, "cause");
    const struct json_node *trace = json_member_find(why, "trace");
    const struct json_node *run = json_member_find(why, "run");
    const char *facts[][2] = {
        { "at", time_member(cli, why, "at") },
        { "outcome", json_member_text(why, "outcome", cli->arena) },
        { "because", json_member_text(cause, "text", cli->arena) },
        { "left out", gap_text(cli, why) },
        { "run", json_member_text(run, "id", cli->arena) },
        { "fire before", time_member(cli, why, "previous_fire_at") },
        { "next fire", time_member(cli, why, "next_fire_at") },
    };

    facts_print(facts, sizeof(facts) / sizeof(*facts));
    if (!trace || !trace->count)
        return;
    putchar('\n');
    for (const struct json_node *step = trace->first; step; step = step->next) {
        const char *const fact[1][2] = { { time_member(cli, step, "at"),
                                           json_member_text(step, "text", cli->arena) } };
        facts_print(fact, 1);
    }
}

static int why(struct cli *cli)
{
    struct client_answer answer;
    struct error err = { 0 };
    char text[TIME_TEXT_SIZE];
    const char *id;
    int64_t at_ms;
    struct buf path;
    int result;

    if (cli_time("TIME", cli_arg(cli, 1), clock_wall_ms(), &at_ms, &err) < 0)
        return cli_fail(cli, &err);
    if (job_id_find(cli, cli_arg(cli, 0), &id, &err) < 0)
        return cli_fail(cli, &err);
    buf_init(&path, 4096);
    buf_printf(&path, "/api/v1/jobs/%s/why", id);
    query_add(&path, "at", time_format_utc(at_ms, text));
    result = client_get(cli, buf_text(&path), &answer, &err);
    buf_done(&path);
    if (result < 0)
        return cli_fail(cli, &err);
    if (cli_has(cli, "json"))
        printf("%s\n", answer.text);
    else
        why_print(cli, answer.json);
    return EXIT_OK;
}

static const struct subcommand subcommands[] = {
    { "", "JOB TIME", "Why did a job fire at that time, or why not; or will it?", NULL, why,
      "  belfry why hello now\n"
      "  belfry why fund/nightly-sync '2026-11-25 02:00'\n"
      "  belfry why 7 2026-12-25T09:30:00+08:00\n",
      false },
    { 0 },
};

const struct command command_why = {
    .name = "why",
    .about = "Explains a fire, past or future: the outcome, its cause and the trace of decisions.",
    .subcommands = subcommands,
    .more = "JOB is group/name, a name in group \"default\", or an id. TIME is RFC 3339, or\n"
            "\"2026-11-25 09:30\" or 09:30 in this machine's zone, or now.\n",
};

int cmd_why(int argc, char **argv)
{
    return command_main(&command_why, argc, argv);
}
