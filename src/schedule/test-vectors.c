#include "schedule/schedule.h"

#include "base/clock.h"
#include "base/memory.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The vectors of tests/vectors: fires as other engines and the rules of the dialects give them. */

struct rules {
    char **once, **skip;
    size_t once_count, skip_count;
};

struct vector {
    char *id, *dialect, *expr, *tz;
    int64_t from_ms;
    bool error, exhausted;
    char **next;
    size_t next_count;
    struct rules *rules;
};

static const struct json_member rules_members[] = {
    { .name = "realtime-or-once", .type = JSON_ARRAY, .element = JSON_TEXT,
      .offset = offsetof(struct rules, once), .count_offset = offsetof(struct rules, once_count) },
    { .name = "skip-first", .type = JSON_ARRAY, .element = JSON_TEXT,
      .offset = offsetof(struct rules, skip), .count_offset = offsetof(struct rules, skip_count) },
    { 0 },
};
static const struct json_table rules_table = { "Rules", sizeof(struct rules), rules_members };

static const struct json_member vector_members[] = {
    { .name = "id", .type = JSON_TEXT, .offset = offsetof(struct vector, id) },
    { .name = "dialect", .type = JSON_TEXT, .offset = offsetof(struct vector, dialect) },
    { .name = "expr", .type = JSON_TEXT, .offset = offsetof(struct vector, expr) },
    { .name = "tz", .type = JSON_TEXT, .offset = offsetof(struct vector, tz) },
    { .name = "from", .type = JSON_TIME, .offset = offsetof(struct vector, from_ms) },
    { .name = "error", .type = JSON_BOOL, .offset = offsetof(struct vector, error) },
    { .name = "exhausted", .type = JSON_BOOL, .offset = offsetof(struct vector, exhausted) },
    { .name = "next", .type = JSON_ARRAY, .element = JSON_TEXT,
      .offset = offsetof(struct vector, next),
      .count_offset = offsetof(struct vector, next_count) },
    { .name = "rules", .type = JSON_OBJECT, .sub = &rules_table,
      .offset = offsetof(struct vector, rules) },
    { 0 },
};
static const struct json_table vector_table = { "Vector", sizeof(struct vector), vector_members };

static void fires_check(const struct vector *v, const struct cron *cron, const struct zone *zone,
                        enum dst_rule dst, char **expected, size_t count)
{
    int64_t time = v->from_ms;
    char text[TIME_TEXT_SIZE];

    for (size_t i = 0; i < count; i++) {
        time = cron_next(cron, zone, dst, time);
        assert_int_not_equal(time, SCHEDULE_NEVER);
        time_format(time, zone_offset_at(zone, time), text);
        if (strcmp(text, expected[i]) != 0)
            fail_msg("%s %s: fire %zu is %s, expected %s", v->id, v->expr, i, text, expected[i]);
    }
    if (v->exhausted)
        assert_int_equal(cron_next(cron, zone, dst, time), SCHEDULE_NEVER);
}

static void vector_check(const struct vector *v)
{
    CLEANUP(zone_unref) struct zone *zone = NULL;
    enum cron_dialect dialect;
    struct error err = { 0 };
    struct cron cron;
    int result;

    assert_true(cron_dialect_parse(str_of(v->dialect), &dialect));
    result = cron_parse(str_of(v->expr), dialect, 0, &cron, &err);
    if (v->error != (result < 0))
        fail_msg("%s %s: %s", v->id, v->expr, result < 0 ? error_english(&err) : "accepted");
    if (v->error) {
        assert_true(err.position >= 1 && err.field >= 1);
        return;
    }
    assert_int_equal(zone_load(v->tz, &zone, &err), 0);
    if (v->rules) {
        fires_check(v, &cron, zone, DST_ONCE, v->rules->once, v->rules->once_count);
        fires_check(v, &cron, zone, DST_SKIP, v->rules->skip, v->rules->skip_count);
    } else {
        fires_check(v, &cron, zone, DST_ONCE, v->next, v->next_count);
    }
}

static void file_check(const char *path, size_t least)
{
    struct arena *arena = arena_new();
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0, count = 0;
    ssize_t size;

    assert_non_null(file);
    for (; (size = getline(&line, &room, file)) > 0; count++) {
        struct vector v = { 0 };
        struct error err = { 0 };
        struct str text = { line, (size_t)size };
        if (json_read_all(text, 65536, &vector_table, arena, &v, &err) < 0) /* other rules pass */
            fail_msg("%s:%zu: %s", path, count + 1, error_english(&err));
        vector_check(&v);
    }
    assert_true(count >= least);
    free(line);
    fclose(file);
    arena_free(&arena);
}

static void test_vectors(void **state)
{
    (void)state;
    file_check(VECTORS "/cron-sample.jsonl", 60);
}

static void test_vectors_dst(void **state)
{
    (void)state;
    file_check(VECTORS "/cron-sample-dst.jsonl", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_vectors_dst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
