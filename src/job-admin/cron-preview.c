#include "job-admin/api.h"
#include "job-admin/admin.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>

/* What a cron expression means: next fires, words, warnings; for editors. */

struct preview_input {
    char *expression, *zone;
    int32_t dialect, dst;
    int64_t from;
    int32_t count;
    int64_t seed;
};

struct preview_fire {
    int64_t at;
    char *local;              /* with the zone's offset */
    char *mark;               /* "", "shifted", "first_pass", "second_pass" */
};

struct preview_warning {
    char *kind, *text;
};

struct preview_view {
    char *expression, *dialect, *zone, *resolved, *description;
    struct preview_fire *fires;
    size_t fire_count;
    struct preview_warning *warnings;
    size_t warning_count;
};

static const char *const dialect_names[] = { "auto", "unix", "quartz", "spring", NULL };
static const char *const dst_names[] = { "once", "skip", "both", NULL };

static const struct json_member input_members[] = {
    { .name = "expression", .type = JSON_TEXT, .offset = offsetof(struct preview_input, expression),
      .flags = JSON_REQUIRED | JSON_NOT_BLANK, .max = CRON_TEXT_MAX },
    { .name = "zone", .type = JSON_TEXT, .offset = offsetof(struct preview_input, zone),
      .flags = JSON_ONE_LINE, .max = 64 },
    { .name = "dialect", .type = JSON_ENUM, .offset = offsetof(struct preview_input, dialect),
      .names = dialect_names },
    { .name = "dst", .type = JSON_ENUM, .offset = offsetof(struct preview_input, dst),
      .names = dst_names },
    { .name = "from", .type = JSON_TIME, .offset = offsetof(struct preview_input, from) },
    { .name = "count", .type = JSON_INT32, .offset = offsetof(struct preview_input, count),
      .min = 1, .max = 100 },
    { .name = "seed", .type = JSON_INT, .offset = offsetof(struct preview_input, seed), .min = 0,
      .max = INT32_MAX, .about = "what H is hashed from: the job's id" },
    { 0 },
};
const struct json_table cron_preview_input_table = { "CronPreviewInput",
                                                     sizeof(struct preview_input), input_members };

static const struct json_member fire_members[] = {
    { .name = "at", .type = JSON_TIME, .offset = offsetof(struct preview_fire, at) },
    { .name = "local", .type = JSON_TEXT, .offset = offsetof(struct preview_fire, local) },
    { .name = "mark", .type = JSON_TEXT, .offset = offsetof(struct preview_fire, mark) },
    { 0 },
};
static const struct json_table preview_fire_table = { "CronPreviewFire", sizeof(struct preview_fire),
                                              fire_members };

static const struct json_member warning_members[] = {
    { .name = "kind", .type = JSON_TEXT, .offset = offsetof(struct preview_warning, kind) },
    { .name = "text", .type = JSON_TEXT, .offset = offsetof(struct preview_warning, text) },
    { 0 },
};
static const struct json_table warning_table = { "CronPreviewWarning",
                                                 sizeof(struct preview_warning), warning_members };

static const struct json_member view_members[] = {
    { .name = "expression", .type = JSON_TEXT, .offset = offsetof(struct preview_view, expression) },
    { .name = "dialect", .type = JSON_TEXT, .offset = offsetof(struct preview_view, dialect) },
    { .name = "zone", .type = JSON_TEXT, .offset = offsetof(struct preview_view, zone) },
    { .name = "resolved", .type = JSON_TEXT, .offset = offsetof(struct preview_view, resolved),
      .about = "with every H replaced" },
    { .name = "description", .type = JSON_TEXT,
      .offset = offsetof(struct preview_view, description) },
    { .name = "fires", .type = JSON_ARRAY, .offset = offsetof(struct preview_view, fires),
      .count_offset = offsetof(struct preview_view, fire_count), .sub = &preview_fire_table },
    { .name = "warnings", .type = JSON_ARRAY, .offset = offsetof(struct preview_view, warnings),
      .count_offset = offsetof(struct preview_view, warning_count), .sub = &warning_table },
    { 0 },
};
const struct json_table cron_preview_table = { "CronPreview", sizeof(struct preview_view),
                                               view_members };

static char *taken(struct buf *text, struct arena *arena)
{
    char *copy = arena_strdup(arena, buf_text(text));

    buf_clear(text);
    return copy;
}

static void fires_fill(struct preview_view *view, const struct preview_input *input,
                       const struct cron *cron, const struct zone *zone, struct arena *arena)
{
    int64_t after = input->from;
    struct cron_fire fire;

    view->fires = ARENA_ARRAY(arena, struct preview_fire, (size_t)input->count);
    while (view->fire_count < (size_t)input->count &&
           cron_next_detail(cron, zone, (enum dst_rule)input->dst, after, &fire)) {
        char *local = arena_alloc(arena, TIME_TEXT_SIZE);
        view->fires[view->fire_count++] = (struct preview_fire){
            .at = fire.time_ms,
            .local = time_format(fire.time_ms, fire.offset_s, local),
            .mark = arena_strdup(arena, fire_mark_name(fire.mark)),
        };
        after = fire.time_ms;
    }
}

static void warnings_fill(struct preview_view *view, const struct preview_input *input,
                          const struct cron *cron, const struct zone *zone,
                          enum language language, struct arena *arena)
{
    struct cron_warning *warnings = ARENA_ARRAY(arena, struct cron_warning, CRON_WARNINGS_MAX);
    char text[1024];

    view->warning_count =
        cron_warnings(cron, zone, (enum dst_rule)input->dst, input->from, warnings);
    view->warnings = ARENA_ARRAY(arena, struct preview_warning, CRON_WARNINGS_MAX);
    for (size_t i = 0; i < view->warning_count; i++)
        view->warnings[i] = (struct preview_warning){
            .kind = arena_strdup(arena, warnings[i].name),
            .text = arena_strdup(arena, error_text(&warnings[i].text, language, text, sizeof text)),
        };
}

static int preview_make(struct admin *admin, struct request *request,
                        const struct preview_input *input, struct preview_view *view,
                        struct error *err)
{
    CLEANUP(zone_unref) struct zone *zone = NULL;
    CLEANUP(buf_done) struct buf text;
    enum cron_dialect dialect = CRON_AUTO;
    struct cron cron;

    buf_init(&text, 16 * 1024);
    if (zone_set_find(admin->zones, input->zone, &zone, err)) {
        snprintf(err->path, sizeof err->path, "zone");
        return -1;
    }
    if (cron_normalize(str_of(input->expression), (enum cron_dialect)input->dialect, &dialect, &text,
                       err))
        return error_prefix_path(err, "expression");
    view->expression = taken(&text, request->arena);
    if (cron_parse(str_of(view->expression), dialect, (uint64_t)input->seed, &cron, err) ||
        cron_resolve(str_of(view->expression), dialect, (uint64_t)input->seed, &text, err))
        return error_prefix_path(err, "expression");
    view->resolved = taken(&text, request->arena);
    cron_describe(&cron, request->language, &text);
    view->description = taken(&text, request->arena);
    view->dialect = arena_strdup(request->arena, cron_dialect_name(dialect));
    view->zone = arena_strdup(request->arena, zone_name(zone));
    fires_fill(view, input, &cron, zone, request->arena);
    warnings_fill(view, input, &cron, zone, request->language, request->arena);
    return 0;
}

void api_cron_preview(struct request *request)
{
    struct admin *admin = request->state;
    struct preview_input input = { .count = 5, .zone = (char *)(intptr_t)admin->default_zone,
                                   .from = admin_now_ms(admin) };
    struct preview_view view = { 0 };
    struct error err;

    if (request_read(request, &cron_preview_input_table, &input))
        return;
    if (preview_make(admin, request, &input, &view, &err))
        request_fail(request, &err);
    else
        request_answer(request, 200, &cron_preview_table, &view);
}
