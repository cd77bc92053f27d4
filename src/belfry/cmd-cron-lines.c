#include "belfry/cron-request.h"

#include "base/clock.h"
#include "base/memory.h"
#include "belfry/command.h"

#include <stdio.h>

/* `belfry cron next --jsonl`: for programs that ask much, such as tests against other engines. */

enum { LINE_MAX_BYTES = 64 * 1024 };

struct line {
    char *id; /* JSON, written back as it came */
    char *dialect, *expr, *tz, *dst;
    int64_t from_ms, count, seed;
    bool has_from;
};

static const struct json_member line_members[] = {
    { .name = "id", .type = JSON_ANY, .offset = offsetof(struct line, id), .max = 1024 },
    { .name = "dialect", .type = JSON_TEXT, .offset = offsetof(struct line, dialect) },
    { .name = "expr", .type = JSON_TEXT, .offset = offsetof(struct line, expr) },
    { .name = "tz", .type = JSON_TEXT, .offset = offsetof(struct line, tz) },
    { .name = "from",
      .type = JSON_TIME,
      .offset = offsetof(struct line, from_ms),
      .flags = JSON_HAS,
      .has_offset = offsetof(struct line, has_from) },
    { .name = "count", .type = JSON_INT, .offset = offsetof(struct line, count) },
    { .name = "dst", .type = JSON_TEXT, .offset = offsetof(struct line, dst) },
    { .name = "seed", .type = JSON_INT, .offset = offsetof(struct line, seed) },
    { 0 },
};
static const struct json_table line_table = { "CronLine", sizeof(struct line), line_members };

struct answerer {
    struct zone_set *zones;
    struct arena *arena;
    enum language language;
};

/* Reads up to the newline; a line that is too long is read to its end and dropped. 0: no more. */
static int line_read(FILE *in, struct buf *line)
{
    int c = getc_unlocked(in);

    buf_clear(line);
    line->overflow = false;
    if (c == EOF)
        return 0;
    for (; c != EOF && c != '\n'; c = getc_unlocked(in))
        buf_add_char(line, (char)c);
    return 1;
}

/* The expression is judged first: a request about a bad one is answered even if the rest is bad. */
static int request_fill(struct cron_request *request, const struct line *line, struct error *err)
{
    if (!line->expr)
        return error_set_at(err, ERR_INVALID, "expr", "the expression is missing");
    if (line->dialect && !cron_dialect_parse(str_of(line->dialect), &request->dialect))
        return error_set_at(err, ERR_INVALID, "dialect",
                            "a dialect is auto, unix, quartz or spring");
    request->expression = line->expr;
    request->seed = (uint64_t)line->seed;
    if (cron_parse(str_of(line->expr), request->dialect, request->seed, &request->cron, err) < 0)
        return -1;
    if (line->dst && !dst_rule_parse(str_of(line->dst), &request->dst))
        return error_set_at(err, ERR_INVALID, "dst", "a DST rule is once, skip or both");
    if (line->count < 0 || line->count > CRON_COUNT_MAX)
        return error_set_at(err, ERR_INVALID, "count", "count is 0-%d", CRON_COUNT_MAX);
    request->count = line->count;
    request->from_ms = line->has_from ? line->from_ms : clock_wall_ms();
    return 0;
}

static void fires_write(struct json_writer *w, const struct cron_request *request)
{
    int64_t time = request->from_ms, next;
    char text[TIME_TEXT_SIZE];

    json_name(w, "next");
    json_array(w);
    next = cron_next(&request->cron, request->zone, request->dst, time);
    for (int64_t i = 0; i < request->count && next != SCHEDULE_NEVER; i++) {
        json_text(w, cron_time_format(request->zone, next, text));
        next = cron_next(&request->cron, request->zone, request->dst, next);
    }
    json_array_end(w);
    json_name(w, "exhausted");
    json_bool(w, next == SCHEDULE_NEVER);
}

static int line_parse(struct answerer *a, const struct buf *text, struct line *line,
                      struct error *err)
{
    if (text->overflow)
        return error_set(err, ERR_TOO_LARGE, "a request line has at most %d bytes", LINE_MAX_BYTES);
    return json_read_all(buf_str(text), LINE_MAX_BYTES, &line_table, a->arena, line, err);
}

static void line_answer(struct answerer *a, const struct buf *text, struct json_writer *w)
{
    struct cron_request request = { 0 };
    struct line line = { .count = CRON_COUNT_DEFAULT };
    CLEANUP(zone_unref) struct zone *zone = NULL;
    struct error err = { 0 };
    bool good = line_parse(a, text, &line, &err) == 0 && request_fill(&request, &line, &err) == 0 &&
                zone_set_find(a->zones, line.tz ? line.tz : "UTC", &zone, &err) == 0;

    json_object(w);
    json_name(w, "id");
    json_raw(w, line.id);
    request.zone = zone;
    if (good)
        fires_write(w, &request);
    else
        cron_error_write(w, &err, a->language);
    json_object_end(w);
}

int cron_lines_answer(enum language language)
{
    struct answerer a = { zone_set_new(NULL), arena_new(), language };
    struct buf line, out;
    struct json_writer w;

    buf_init(&line, LINE_MAX_BYTES);
    buf_init(&out, 16 * LINE_MAX_BYTES);
    while (line_read(stdin, &line)) {
        if (!line.size)
            continue;
        buf_clear(&out);
        json_begin(&w, &out);
        line_answer(&a, &line, &w);
        buf_add_char(&out, '\n');
        fwrite(buf_text(&out), 1, out.size, stdout);
        if (fflush(stdout) != 0)
            break;
        arena_reset(a.arena);
    }
    buf_done(&line);
    buf_done(&out);
    zone_set_free(&a.zones);
    arena_free(&a.arena);
    return ferror(stdout) ? EXIT_REFUSED : EXIT_OK;
}
