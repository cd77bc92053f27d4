#include "belfry/command.h"

#include "base/clock.h"
#include "base/memory.h"
#include "belfry/cron-request.h"
#include "belfry/table.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `belfry cron`: when would an expression fire, and what does it say? Needs no server. */

static const char *const weekdays[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const weekdays_zh[] = { "星期日", "星期一", "星期二", "星期三",
                                           "星期四", "星期五", "星期六" };

/* Offsets were not always whole minutes, RFC 3339 knows no others; the instant stays right. */
char *cron_time_format(const struct zone *zone, int64_t time_ms, char text[TIME_TEXT_SIZE])
{
    int offset = zone_offset_at(zone, time_ms);

    return time_format(time_ms, offset - offset % 60, text);
}

void cron_error_write(struct json_writer *w, const struct error *err, enum language language)
{
    char text[1200], sentence[1400];

    error_text(err, language, text, sizeof text);
    snprintf(sentence, sizeof sentence, "%s%s%s", err->path, *err->path ? ": " : "", text);
    json_name(w, "error");
    json_text(w, sentence);
    json_name(w, "field");
    json_int(w, err->field);
    json_name(w, "pos");
    json_int(w, err->position);
}

static enum language language_of(const struct cli *cli)
{
    const char *lang = cli_option(cli, "lang");

    if (!lang)
        return cli_language();
    return strcmp(lang, "zh") == 0 ? LANGUAGE_ZH : LANGUAGE_EN;
}

/* ---- the request ---- */

/* This machine's zone by TZ or by where /etc/localtime points; UTC where neither tells. */
static const char *local_zone_name(struct arena *arena)
{
    static const char mark[] = "/zoneinfo/";
    const char *tz = getenv("TZ"), *name;
    char path[PATH_MAX];
    ssize_t size;

    if (tz && *tz)
        return *tz == ':' ? tz + 1 : tz;
    size = readlink("/etc/localtime", path, sizeof path - 1);
    if (size <= 0)
        return "UTC";
    path[size] = '\0';
    name = strstr(path, mark);
    return name ? arena_strdup(arena, name + sizeof mark - 1) : "UTC";
}

static int number_option(const struct cli *cli, const char *name, int64_t min, int64_t max,
                         int64_t *number, struct error *err)
{
    const char *text = cli_option(cli, name);

    if (!text || number_parse(str_of(text), min, max, number))
        return 0;
    return error_set(err, ERR_INVALID, "--%s wants a number of %lld to %lld, not \"%s\"", name,
                     (long long)min, (long long)max, text);
}

static int from_option(const struct cli *cli, int64_t *ret_ms, struct error *err)
{
    const char *text = cli_option(cli, "from");

    *ret_ms = clock_wall_ms();
    if (!text || strcmp(text, "now") == 0 || time_parse(str_of(text), ret_ms))
        return 0;
    return error_set(err, ERR_INVALID,
                     "--from wants a time such as 2026-11-25T09:30:00+08:00, not \"%s\"", text);
}

static int options_read(const struct cli *cli, struct cron_request *request, struct error *err)
{
    const char *dialect = cli_option(cli, "dialect"), *dst = cli_option(cli, "dst");
    int64_t seed = 0;

    *request = (struct cron_request){ .expression = cli_arg(cli, 0), .count = CRON_COUNT_DEFAULT };
    if (dialect) /* the table has let no other value pass */
        cron_dialect_parse(str_of(dialect), &request->dialect);
    if (dst)
        dst_rule_parse(str_of(dst), &request->dst);
    if (number_option(cli, "seed", INT64_MIN, INT64_MAX, &seed, err) < 0 ||
        number_option(cli, "count", 1, CRON_COUNT_MAX, &request->count, err) < 0 ||
        from_option(cli, &request->from_ms, err) < 0)
        return -1;
    request->seed = (uint64_t)seed;
    if (!request->expression)
        return error_set(err, ERR_INVALID, "the expression is missing");
    return 0;
}

static int zone_read(const struct cli *cli, struct zone **ret_zone, struct error *err)
{
    const char *name = cli_option(cli, "tz");
    bool given = name != NULL;

    if (zone_load(given ? name : local_zone_name(cli->arena), ret_zone, err) == 0)
        return 0;
    return given ? -1 : zone_load("UTC", ret_zone, err);
}

static int expression_read(struct cron_request *r, struct error *err)
{
    return cron_parse(str_of(r->expression), r->dialect, r->seed, &r->cron, err);
}

/* ---- what is refused ---- */

/* Shows the place under the expression, as far as its columns can be counted. */
static void place_print(const char *expression, int position)
{
    struct str text = str_of(expression);
    CLEANUP(buf_done) struct buf clean, before;
    size_t end = 0;

    if (position < 1 || !utf8_valid(text))
        return;
    buf_init(&clean, 4096);
    buf_init(&before, 4096);
    text_clean(&clean, expression, false);
    for (int count = 0; end < text.size; end++)
        if (((unsigned char)expression[end] & 0xC0) != 0x80 && ++count == position)
            break;
    buf_add(&before, expression, end);
    fprintf(stderr, "  %s\n  %*s^\n", buf_text(&clean), (int)text_width(buf_text(&before)), "");
}

static int expression_refused(const struct cli *cli, const struct cron_request *request,
                              const struct error *err)
{
    struct json_writer w;
    struct buf out;
    char text[1200];

    if (!cli_has(cli, "json")) {
        fprintf(stderr, "belfry: %s\n", error_text(err, language_of(cli), text, sizeof text));
        place_print(request->expression, err->position);
        return EXIT_REFUSED;
    }
    buf_init(&out, 65536);
    json_begin(&w, &out);
    json_object(&w);
    cron_error_write(&w, err, language_of(cli));
    json_object_end(&w);
    puts(buf_text(&out));
    buf_done(&out);
    return EXIT_REFUSED;
}

/* ---- what an expression says ---- */

static void warnings_print(const struct cron_request *request, enum language language)
{
    struct cron_warning warnings[CRON_WARNINGS_MAX];
    size_t count =
        cron_warnings(&request->cron, request->zone, request->dst, request->from_ms, warnings);
    char text[1200];

    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "%s%s\n", language == LANGUAGE_ZH ? "注意：" : "note: ",
                error_text(&warnings[i].text, language, text, sizeof text));
}

static void warnings_write(struct json_writer *w, const struct cron_request *request,
                           enum language language)
{
    struct cron_warning warnings[CRON_WARNINGS_MAX];
    size_t count =
        cron_warnings(&request->cron, request->zone, request->dst, request->from_ms, warnings);
    char text[1200];

    json_name(w, "warnings");
    json_array(w);
    for (size_t i = 0; i < count; i++) {
        json_object(w);
        json_name(w, "name");
        json_text(w, warnings[i].name);
        json_name(w, "text");
        json_text(w, error_text(&warnings[i].text, language, text, sizeof text));
        json_object_end(w);
    }
    json_array_end(w);
}

static void resolved_add(const struct cron_request *request, struct buf *out)
{
    struct error err;

    cron_resolve(str_of(request->expression), request->dialect, request->seed, out, &err);
}

/* The members that next and describe share. */
static void about_write(struct json_writer *w, const struct cron_request *request,
                        enum language language)
{
    struct buf text;

    buf_init(&text, 65536);
    json_name(w, "expr");
    json_text(w, request->expression);
    json_name(w, "dialect");
    json_text(w, cron_dialect_name((enum cron_dialect)request->cron.dialect));
    resolved_add(request, &text);
    json_name(w, "resolved");
    json_text(w, buf_text(&text));
    buf_clear(&text);
    cron_describe(&request->cron, language, &text);
    json_name(w, "description");
    json_text(w, buf_text(&text));
    buf_done(&text);
}

static void description_print(FILE *out, const struct cron_request *request, enum language language)
{
    struct buf text, resolved;

    buf_init(&text, 65536);
    buf_init(&resolved, 65536);
    cron_describe(&request->cron, language, &text);
    resolved_add(request, &resolved);
    fputs(buf_text(&text), out);
    if (strchr(request->expression, 'H') && strcmp(buf_text(&resolved), request->expression) != 0)
        fprintf(out, " (%s)", buf_text(&resolved));
    putc('\n', out);
    buf_done(&text);
    buf_done(&resolved);
}

/* ---- next ---- */

static int weekday_of(const struct cron_fire *fire)
{
    int64_t days = (fire->time_ms / 1000 + fire->offset_s) / 86400;

    return (int)((days + 4) % 7);
}

static void mark_print(const struct cron_fire *fire, bool zh)
{
    int minute = (int)(fire->named_local_s / 60 % 1440);

    switch (fire->mark) {
    case FIRE_PLAIN:
        break;
    case FIRE_SHIFTED:
        printf(zh ? "  [%02d:%02d 被时钟跳过，移到此时]"
                  : "  [%02d:%02d is skipped by the clock: moved here]",
               minute / 60, minute % 60);
        break;
    case FIRE_FIRST_PASS:
        fputs(zh ? "  [时钟重复的时段，第一次]" : "  [the clock repeats this hour: first pass]",
              stdout);
        break;
    case FIRE_SECOND_PASS:
        fputs(zh ? "  [时钟重复的时段，第二次]" : "  [the clock repeats this hour: second pass]",
              stdout);
        break;
    }
}

static void fires_print(const struct cli *cli, const struct cron_request *request)
{
    bool zh = language_of(cli) == LANGUAGE_ZH;
    int64_t time = request->from_ms;
    struct cron_fire fire;
    char text[TIME_TEXT_SIZE];

    for (int64_t i = 0; i < request->count; i++) {
        if (!cron_next_detail(&request->cron, request->zone, request->dst, time, &fire)) {
            fputs(zh ? "到 2199 年为止不再触发\n" : "no more fires up to 2199\n", stderr);
            return;
        }
        time = fire.time_ms;
        printf("%s  %s  ", cron_time_format(request->zone, time, text),
               (zh ? weekdays_zh : weekdays)[weekday_of(&fire)]);
        printf(zh ? "%s 后" : "in %s", duration_for_people(cli->arena, time - request->from_ms));
        mark_print(&fire, zh);
        putchar('\n');
    }
}

static void fire_write(struct json_writer *w, const struct cron_request *request,
                       const struct cron_fire *fire)
{
    char text[TIME_TEXT_SIZE];

    json_object(w);
    json_name(w, "time");
    json_text(w, cron_time_format(request->zone, fire->time_ms, text));
    json_name(w, "weekday");
    json_text(w, weekdays[weekday_of(fire)]);
    json_name(w, "dst");
    json_text(w, fire->mark == FIRE_PLAIN ? NULL : fire_mark_name(fire->mark));
    json_object_end(w);
}

static void fires_write(struct json_writer *w, const struct cron_request *request)
{
    int64_t time = request->from_ms;
    struct cron_fire fire;

    json_name(w, "next");
    json_array(w);
    for (int64_t i = 0; i < request->count; i++) {
        if (!cron_next_detail(&request->cron, request->zone, request->dst, time, &fire))
            break;
        fire_write(w, request, &fire);
        time = fire.time_ms;
    }
    json_array_end(w);
    json_name(w, "exhausted");
    json_bool(w, cron_next(&request->cron, request->zone, request->dst, time) == SCHEDULE_NEVER);
}

static void next_write(const struct cli *cli, const struct cron_request *request)
{
    enum language language = language_of(cli);
    struct json_writer w;
    struct buf out;

    buf_init(&out, 4 << 20);
    json_begin(&w, &out);
    json_object(&w);
    about_write(&w, request, language);
    json_name(&w, "tz");
    json_text(&w, zone_name(request->zone));
    json_name(&w, "dst");
    json_text(&w, dst_rule_name(request->dst));
    fires_write(&w, request);
    warnings_write(&w, request, language);
    json_object_end(&w);
    puts(buf_text(&out));
    buf_done(&out);
}

static int cron_next_run(struct cli *cli)
{
    CLEANUP(zone_unref) struct zone *zone = NULL;
    struct cron_request request;
    struct error err = { 0 };

    if (cli_has(cli, "jsonl"))
        return cron_lines_answer(language_of(cli));
    if (options_read(cli, &request, &err) < 0 || zone_read(cli, &zone, &err) < 0)
        return cli_fail(cli, &err);
    request.zone = zone;
    if (expression_read(&request, &err) < 0)
        return expression_refused(cli, &request, &err);
    if (cli_has(cli, "json")) {
        next_write(cli, &request);
        return EXIT_OK;
    }
    description_print(stderr, &request, language_of(cli));
    warnings_print(&request, language_of(cli));
    fflush(stderr);
    fires_print(cli, &request);
    return EXIT_OK;
}

/* ---- describe ---- */

static void describe_write(const struct cli *cli, const struct cron_request *request)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, 1 << 20);
    json_begin(&w, &out);
    json_object(&w);
    about_write(&w, request, language_of(cli));
    warnings_write(&w, request, language_of(cli));
    json_object_end(&w);
    puts(buf_text(&out));
    buf_done(&out);
}

static int cron_describe_run(struct cli *cli)
{
    struct cron_request request;
    struct error err = { 0 };

    if (options_read(cli, &request, &err) < 0)
        return cli_fail(cli, &err);
    request.zone = zone_utc();
    if (expression_read(&request, &err) < 0)
        return expression_refused(cli, &request, &err);
    if (cli_has(cli, "json")) {
        describe_write(cli, &request);
        return EXIT_OK;
    }
    description_print(stdout, &request, language_of(cli));
    fflush(stdout);
    warnings_print(&request, language_of(cli));
    return EXIT_OK;
}

#define DIALECT_OPTION                                                                             \
    {                                                                                              \
        "dialect", 'd', "DIALECT", "how to read the expression; auto by default",                  \
            "auto|unix|quartz|spring"                                                              \
    }
#define SEED_OPTION                                                                                \
    {                                                                                              \
        "seed", 0, "N", "what H is hashed from: a job's id; 0 by default", NULL                    \
    }
#define LANG_OPTION                                                                                \
    {                                                                                              \
        "lang", 0, "LANG", "language; from LC_ALL, LC_MESSAGES, LANG by default", "zh|en"          \
    }

static const struct cli_option next_options[] = {
    DIALECT_OPTION,
    { "tz", 0, "ZONE", "time zone such as Asia/Shanghai; this machine's by default", NULL },
    { "dst", 0, "RULE", "what a clock change does to a time; once by default", "once|skip|both" },
    SEED_OPTION,
    { "from", 0, "TIME", "fires after this; now by default", NULL },
    { "count", 'n', "N", "how many, 1-1000; 5 by default", NULL },
    LANG_OPTION,
    { "jsonl", 0, NULL, "read one request a line from standard input, answer each with one line",
      NULL },
    { 0 },
};
static const struct cli_option describe_options[] = {
    DIALECT_OPTION, SEED_OPTION, LANG_OPTION, { 0 }
};

static const struct subcommand subcommands[] = {
    { "next", "[EXPR]", "Prints the next times at which an expression fires.", next_options,
      cron_next_run,
      "  belfry cron next '0 9 * * 1-5'                      09:00 from Monday to Friday\n"
      "  belfry cron next --tz Asia/Shanghai '0 0/5 * * * ?' every 5 minutes, as in XXL-JOB\n"
      "  belfry cron next --tz America/New_York --from 2026-03-07T12:00:00-05:00 '30 2 * * *'\n"
      "                                                      02:30 over a clock change\n"
      "  belfry cron next --seed 42 'H H(0-5) * * *'         a minute of the night, 42's own\n"
      "  echo '{\"id\":1,\"dialect\":\"unix\",\"expr\":\"0 9 * * *\",\"tz\":\"UTC\",\n"
      "         \"from\":\"2026-01-01T00:00:00Z\",\"count\":2}' |\n"
      "    tr -d '\\n' | belfry cron next --jsonl\n",
      true },
    { "describe", "EXPR", "Says what an expression means, and warns of traps.", describe_options,
      cron_describe_run,
      "  belfry cron describe '0 15 10 ? * 6#3'\n"
      "  belfry cron describe --lang zh '*/5 14,18 * * *'\n"
      "  belfry cron describe --dialect spring '0 0 9 15-21 * MON'\n",
      true },
    { 0 },
};

const struct command command_cron = {
    .name = "cron",
    .about = "Reads cron expressions: when they fire and what they say. Needs no server.",
    .subcommands = subcommands,
    .more = "EXPR is one argument: put it in quotes. Dialects:\n"
            "  unix    minute hour day month weekday              '*/10 9-17 * * 1-5'\n"
            "  quartz  second minute hour day month weekday [year] '0 0 9 ? * MON-FRI' (XXL-JOB)\n"
            "  spring  second minute hour day month weekday        '0 0 9 * * MON-FRI'\n"
            "  auto    unix for 5 fields, quartz for 6 or 7; refuses what could be read two ways\n"
            "Weekday numbers differ: 1 is Monday in unix and spring, Sunday in quartz.\n"
            "H stands for a value that hangs on --seed, to spread jobs over time.\n"
            "Exit codes: 0 done, 1 the expression is refused, 2 usage.\n",
};

int cmd_cron(int argc, char **argv)
{
    return command_main(&command_cron, argc, argv);
}
