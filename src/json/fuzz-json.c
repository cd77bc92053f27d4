#include "json/json.h"

#include "json/json-private.h"

#include <stdlib.h>

/*
 * A table with every kind of member. What is read must be written as JSON that reads back to the
 * same bytes, and the compact form of any valid document must be a fixed point.
 */
struct inner {
    char *text;
    int32_t number;
};

struct outer {
    char *text, *any;
    int64_t integer, time;
    int32_t small, choice;
    double real;
    bool flag, has;
    struct inner *object, in_place, *array;
    size_t array_count, texts_count, numbers_count, map_count;
    char **texts;
    int32_t *numbers;
    struct json_pair *map;
};

static const char *const choices[] = { "one", "two", "three", NULL };

static const struct json_member inner_members[] = {
    { "text", JSON_TEXT, offsetof(struct inner, text), .flags = JSON_ONE_LINE, .max = 20 },
    { "number", JSON_INT32, offsetof(struct inner, number), .flags = JSON_NULL_OK },
    { 0 },
};
static const struct json_table inner_table = { "Inner", sizeof(struct inner), inner_members };

static const struct json_member outer_members[] = {
    { "text", JSON_TEXT, offsetof(struct outer, text), .flags = JSON_NOT_BLANK },
    { "any", JSON_ANY, offsetof(struct outer, any), .flags = JSON_OMIT_EMPTY },
    { "integer", JSON_INT, .offset = offsetof(struct outer, integer) },
    { "time", JSON_TIME, .offset = offsetof(struct outer, time) },
    { "small", JSON_INT32, offsetof(struct outer, small), .min = -5, .max = 500 },
    { "choice", JSON_ENUM, offsetof(struct outer, choice), .names = choices },
    { "real", JSON_DOUBLE, .offset = offsetof(struct outer, real) },
    { "flag", JSON_BOOL, offsetof(struct outer, flag), .flags = JSON_HAS,
      .has_offset = offsetof(struct outer, has) },
    { "object", JSON_OBJECT, offsetof(struct outer, object), .sub = &inner_table },
    { "in_place", JSON_STRUCT, offsetof(struct outer, in_place), .sub = &inner_table },
    { "array", JSON_ARRAY, offsetof(struct outer, array), .sub = &inner_table,
      .count_offset = offsetof(struct outer, array_count) },
    { "texts", JSON_ARRAY, offsetof(struct outer, texts), .element = JSON_TEXT,
      .count_offset = offsetof(struct outer, texts_count) },
    { "numbers", JSON_ARRAY, offsetof(struct outer, numbers), .element = JSON_INT32,
      .count_offset = offsetof(struct outer, numbers_count) },
    { "map", JSON_MAP, offsetof(struct outer, map),
      .count_offset = offsetof(struct outer, map_count) },
    { 0 },
};
static const struct json_table outer_table = { "Outer", sizeof(struct outer), outer_members };

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void write_outer(struct buf *out, const struct outer *outer)
{
    struct json_writer w;

    json_begin(&w, out);
    json_write_all(&w, &outer_table, outer);
}

static void table_round_trip(struct str text, struct arena *arena)
{
    struct outer first = { 0 }, second = { 0 };
    struct buf once, twice;

    if (json_read(text, 1 << 20, &outer_table, arena, &first, NULL) < 0)
        return;
    buf_init(&once, 1 << 24);
    buf_init(&twice, 1 << 24);
    write_outer(&once, &first);
    check(json_read_all(buf_str(&once), 1 << 24, &outer_table, arena, &second, NULL) == 0);
    write_outer(&twice, &second);
    check(str_equal(buf_str(&once), buf_str(&twice)));
    buf_done(&once);
    buf_done(&twice);
}

static void compact_is_fixed(struct str text, struct arena *arena)
{
    char *once = NULL, *twice = NULL;

    if (json_check(text, 1 << 20, false, arena, &once, NULL) < 0)
        return;
    check(utf8_valid(str_of(once)));
    check(json_check(str_of(once), 1 << 24, false, arena, &twice, NULL) == 0);
    check(strcmp(once, twice) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { (const char *)data, size };
    struct arena *arena = arena_new();
    struct json_pair *pairs;
    struct error err;
    size_t count;
    char *value;

    table_round_trip(text, arena);
    compact_is_fixed(text, arena);
    if (size <= 1 << 20 && json_pairs(text, arena, &pairs, &count, &err) < 0)
        check(err.code == ERR_INVALID && utf8_valid(str_of(err.path)));
    if (size <= 1 << 20)
        json_pointer(text, "/array/0/text", true, arena, &value, NULL);
    arena_free(&arena);
    return 0;
}
