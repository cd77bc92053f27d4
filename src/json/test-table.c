#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct header {
    const char *name, *value;
};

struct task {
    const char *url;
    int32_t kind, timeout_s;
    struct header *headers;
    size_t header_count;
};

struct job {
    int64_t id;
    const char *name, *note, *secret, *params;
    int64_t size, start_at;
    double ratio;
    bool enabled, note_has;
    struct task *task;
    struct task fallback;
    const char **tags;
    size_t tag_count;
    int64_t *numbers;
    size_t number_count;
    struct json_pair *env;
    size_t env_count;
};

static const char *const kinds[] = { "http", "script", NULL };

static const struct json_member header_members[] = {
    { "name", JSON_TEXT, offsetof(struct header, name), .flags = JSON_REQUIRED | JSON_ONE_LINE },
    { "value", JSON_TEXT, offsetof(struct header, value), .flags = JSON_ONE_LINE },
    { 0 },
};
static const struct json_table header_table = { "Header", sizeof(struct header), header_members };

static const struct json_member task_members[] = {
    { "kind", JSON_ENUM, offsetof(struct task, kind), .names = kinds },
    { "url", JSON_TEXT, offsetof(struct task, url), .flags = JSON_REQUIRED, .min = 1, .max = 20 },
    { "timeout_s", JSON_INT32, offsetof(struct task, timeout_s), .min = 1, .max = 3600 },
    { "headers", JSON_ARRAY, offsetof(struct task, headers), .max = 3,
      .count_offset = offsetof(struct task, header_count), .sub = &header_table },
    { 0 },
};
static const struct json_table task_table = { "Task", sizeof(struct task), task_members };

static const struct json_member job_members[] = {
    { "id", JSON_INT, offsetof(struct job, id), .flags = JSON_OUT_ONLY },
    { "name", JSON_TEXT, offsetof(struct job, name), .flags = JSON_REQUIRED | JSON_NOT_BLANK,
      .min = 1, .max = 8 },
    { "note", JSON_TEXT, offsetof(struct job, note),
      .flags = JSON_NULL_OK | JSON_HAS | JSON_OMIT_EMPTY,
      .has_offset = offsetof(struct job, note_has) },
    { "secret", JSON_TEXT, offsetof(struct job, secret), .flags = JSON_IN_ONLY },
    { "params", JSON_ANY, offsetof(struct job, params), .flags = JSON_OMIT_EMPTY, .max = 20 },
    { "size", JSON_INT, offsetof(struct job, size), .flags = JSON_OMIT_EMPTY },
    { "ratio", JSON_DOUBLE, offsetof(struct job, ratio), .flags = JSON_OMIT_EMPTY, .max = 1 },
    { "start_at", JSON_TIME, offsetof(struct job, start_at), .flags = JSON_NULL_OK },
    { "enabled", JSON_BOOL, .offset = offsetof(struct job, enabled) },
    { "task", JSON_OBJECT, offsetof(struct job, task), .flags = JSON_OMIT_EMPTY, .sub = &task_table },
    { "fallback", JSON_STRUCT, offsetof(struct job, fallback), .sub = &task_table },
    { "tags", JSON_ARRAY, offsetof(struct job, tags), .flags = JSON_OMIT_EMPTY,
      .count_offset = offsetof(struct job, tag_count), .element = JSON_TEXT },
    { "numbers", JSON_ARRAY, offsetof(struct job, numbers), .flags = JSON_OMIT_EMPTY,
      .count_offset = offsetof(struct job, number_count), .element = JSON_INT },
    { "env", JSON_MAP, offsetof(struct job, env), .flags = JSON_OMIT_EMPTY | JSON_ONE_LINE,
      .count_offset = offsetof(struct job, env_count) },
    { 0 },
};
static const struct json_table job_table = { "Job", sizeof(struct job), job_members };

static void test_reads_everything(void **state)
{
    static const struct str text =
        STR("{\"env\":{\"A\":\"1\",\"B\":\"\"},\"name\":\"钟楼\",\"note\":\"n\",\"secret\":\"s\",\"params\":{ \"x\": [1] },"
            "\"size\":9007199254740993,\"ratio\":0.25,\"start_at\":\"2026-11-25T09:30:00+08:00\","
            "\"enabled\":true,\"task\":{\"kind\":\"script\",\"url\":\"u\",\"timeout_s\":5,"
            "\"headers\":[{\"name\":\"h\",\"value\":\"v\"},{\"name\":\"i\"}]},"
            "\"fallback\":{\"url\":\"f\"},\"tags\":[\"a\",\"b\"],\"numbers\":[1,-2]}");
    struct arena *arena = arena_new();
    struct job job = { .fallback.timeout_s = 7 };
    struct error err;

    (void)state;
    assert_int_equal(json_read(text, 10000, &job_table, arena, &job, &err), 0);
    assert_string_equal(job.name, "钟楼");
    assert_true(job.note_has);
    assert_string_equal(job.params, "{\"x\":[1]}");
    assert_int_equal(job.size, 9007199254740993);
    assert_int_equal(job.start_at, 1795570200000);
    assert_true(job.enabled);
    assert_int_equal(job.task->kind, 1);
    assert_int_equal(job.task->header_count, 2);
    assert_string_equal(job.task->headers[0].value, "v");
    assert_null(job.task->headers[1].value);
    assert_int_equal(job.fallback.timeout_s, 7); /* a default stays */
    assert_int_equal(job.tag_count, 2);
    assert_string_equal(job.tags[1], "b");
    assert_int_equal(job.numbers[1], -2);
    assert_string_equal(job.env[1].name, "B");
    arena_free(&arena);
}

static void test_refuses(void **state)
{
    static const struct {
        const char *text, *path, *message;
    } rows[] = {
        { "{}", "name", "is required" },
        { "[]", "", "must be an object" },
        { "{\"name\":null}", "name", "must not be null" },
        { "{\"name\":5}", "name", "must be text" },
        { "{\"name\":\"\"}", "name", "must have at least 1 characters" },
        { "{\"name\":\" \\t\"}", "name", "must not be blank" },
        { "{\"name\":\"123456789\"}", "name", "must have at most 8 characters" },
        { "{\"name\":\"a\",\"nmae\":1}", "nmae", "no such member" },
        { "{\"name\":\"a\",\"id\":1}", "id", "is set by Belfry and cannot be given" },
        { "{\"name\":\"a\",\"size\":1.0}", "size", "must be a whole number" },
        { "{\"name\":\"a\",\"size\":\"1\"}", "size", "must be a whole number" },
        { "{\"name\":\"a\",\"ratio\":1.5}", "ratio", "must be between 0 and 1" },
        { "{\"name\":\"a\",\"ratio\":\"x\"}", "ratio", "must be a number" },
        { "{\"name\":\"a\",\"enabled\":1}", "enabled", "must be true or false" },
        { "{\"name\":\"a\",\"start_at\":\"tomorrow\"}", "start_at",
          "must be a time with offset such as 2026-11-25T09:30:00+08:00" },
        { "{\"name\":\"a\",\"start_at\":\"2026-11-25T09:30:00\"}", "start_at",
          "must be a time with offset such as 2026-11-25T09:30:00+08:00" },
        { "{\"name\":\"a\",\"task\":{\"kind\":\"sql\",\"url\":\"u\"}}", "task.kind",
          "must be one of: http, script" },
        { "{\"name\":\"a\",\"task\":{}}", "task.url", "is required" },
        { "{\"name\":\"a\",\"task\":[]}", "task", "must be an object" },
        { "{\"name\":\"a\",\"task\":{\"url\":\"u\",\"timeout_s\":-1}}", "task.timeout_s",
          "must be between 1 and 3600" },
        { "{\"name\":\"a\",\"task\":{\"url\":\"u\",\"timeout_s\":4294967297}}", "task.timeout_s",
          "must be between 1 and 3600" },
        { "{\"name\":\"a\",\"task\":{\"url\":\"u\",\"headers\":[{\"name\":\"x\"},{\"name\":\"a\\r\\nb\"}]}}",
          "task.headers[1].name", "must be one line without control characters" },
        { "{\"name\":\"a\",\"task\":{\"url\":\"u\",\"headers\":[{\"name\":\"x\",\"v\":1}]}}",
          "task.headers[0].v", "no such member" },
        { "{\"name\":\"a\",\"task\":{\"url\":\"u\",\"headers\":[1,2,3,4]}}", "task.headers",
          "must have at most 3 entries" },
        { "{\"name\":\"a\",\"tags\":[\"a\",1]}", "tags[1]", "must be text" },
        { "{\"name\":\"a\",\"numbers\":[1.5]}", "numbers[0]", "must be a whole number" },
        { "{\"name\":\"a\",\"env\":{\"K\":1}}", "env.K", "must be text" },
        { "{\"name\":\"a\",\"env\":{\"K\":\"\\n\"}}", "env.K",
          "must be one line without control characters" },
        { "{\"name\":\"a\",\"params\":[1,2,3,4,5,6,7,8,9,10]}", "params",
          "must have at most 20 bytes of JSON" },
        { "{\"name\":\"a\",\"name\":\"b\"}", "name", "member is given twice" },
    };
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *arena = arena_new();
        struct job job = { 0 };
        if (json_read(str_of(rows[i].text), 10000, &job_table, arena, &job, &err) == 0)
            fail_msg("accepted: %s", rows[i].text);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.path, rows[i].path);
        assert_string_equal(error_english(&err), rows[i].message);
        assert_non_null(message_chinese(err.message));
        arena_free(&arena);
    }
}

static void test_long_names_make_short_paths(void **state)
{
    struct arena *arena = arena_new();
    struct job job = { 0 };
    struct error err;
    struct buf text;

    (void)state;
    buf_init(&text, 100000);
    buf_add_text(&text, "{\"");
    for (int i = 0; i < 10000; i++)
        buf_add_text(&text, "钟");
    buf_add_text(&text, "\":1}");
    assert_int_equal(json_read(buf_str(&text), 100000, &job_table, arena, &job, &err), -1);
    assert_int_equal(strlen(err.path), 48);
    assert_true(utf8_valid(str_of(err.path)));
    buf_done(&text);
    arena_free(&arena);
}

static void test_null_reads_as_absent(void **state)
{
    struct arena *arena = arena_new();
    struct job job = { .start_at = 5 };
    struct error err;

    (void)state;
    assert_int_equal(json_read(STR("{\"name\":\"a\",\"note\":null,\"start_at\":null,\"params\":null}"),
                               1000, &job_table, arena, &job, &err), 0);
    assert_false(job.note_has);
    assert_int_equal(job.start_at, 5);
    assert_string_equal(job.params, "null");
    arena_free(&arena);
}

static void test_writes(void **state)
{
    struct header headers[] = { { "h", "v" } };
    struct task task = { .kind = 1, .url = "u", .headers = headers, .header_count = 1 };
    const char *tags[] = { "x", "y" };
    struct job job = { .id = 3, .name = "n", .secret = "s", .task = &task, .tags = tags,
                       .tag_count = 2 };
    struct json_writer w;
    struct buf out;

    (void)state;
    buf_init(&out, 10000);
    json_begin(&w, &out);
    json_write(&w, &job_table, &job);
    assert_string_equal(buf_text(&out),
        "{\"id\":3,\"name\":\"n\",\"start_at\":null,\"enabled\":false,"
        "\"task\":{\"kind\":\"script\",\"url\":\"u\",\"timeout_s\":0,\"headers\":[{\"name\":\"h\","
        "\"value\":\"v\"}]},\"fallback\":{\"kind\":\"http\",\"url\":null,\"timeout_s\":0,"
        "\"headers\":[]},\"tags\":[\"x\",\"y\"]}");
    buf_done(&out);
}

/* What one service writes another reads back, with secrets, ids and nulls. */
static void test_between_services(void **state)
{
    struct job job = { .id = 3, .name = "n", .secret = "s", .note_has = true,
                       .fallback = { .url = "f", .timeout_s = 9 } };
    struct arena *arena = arena_new();
    struct job again = { 0 };
    struct json_writer w;
    struct error err;
    struct buf out;

    (void)state;
    buf_init(&out, 10000);
    json_begin(&w, &out);
    json_write_all(&w, &job_table, &job);
    assert_int_equal(json_read_all(buf_str(&out), 10000, &job_table, arena, &again, &err), 0);
    assert_int_equal(again.id, 3);
    assert_string_equal(again.secret, "s");
    assert_int_equal(again.fallback.timeout_s, 9);
    assert_int_equal(json_read_all(STR("{\"name\":\"a\",\"of_tomorrow\":1}"), 100, &job_table, arena,
                                   &again, &err), 0);
    buf_done(&out);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_everything),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_long_names_make_short_paths),
        cmocka_unit_test(test_null_reads_as_absent),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_between_services),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
