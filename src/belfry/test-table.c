#include "belfry/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const columns[] = { ">ID", "JOB", "CAUSE", NULL };

static char *written(struct arena *arena, const char *const (*rows)[3], size_t count,
                     size_t columns_max)
{
    struct table *table = table_new(arena, columns);
    struct buf out;
    char *text;

    for (size_t i = 0; i < count; i++)
        table_add(table, rows[i]);
    buf_init(&out, 65536);
    table_write(table, &out, columns_max);
    text = arena_strdup(arena, buf_text(&out));
    buf_done(&out);
    return text;
}

static void test_table_columns_are_as_wide_as_the_widest_cell(void **state)
{
    static const char *const rows[][3] = { { "7", "default/hello", "" },
                                           { "1234", "a/b", "timeout" },
                                           { NULL, NULL, NULL } };
    struct arena *arena = arena_new();

    (void)state;
    assert_string_equal(written(arena, rows, 3, 0), "  ID  JOB            CAUSE\n"
                                                    "   7  default/hello\n"
                                                    "1234  a/b            timeout\n"
                                                    "\n");
    arena_free(&arena);
}

static void test_table_counts_chinese_as_two_columns(void **state)
{
    static const char *const rows[][3] = { { "1", "基金/日终清算", "x" },
                                           { "2", "fund/settle", "y" } };
    struct arena *arena = arena_new();

    (void)state;
    assert_string_equal(written(arena, rows, 2, 0), "ID  JOB            CAUSE\n"
                                                    " 1  基金/日终清算  x\n"
                                                    " 2  fund/settle    y\n");
    arena_free(&arena);
}

static void test_table_cuts_the_last_column_at_the_edge(void **state)
{
    static const char *const rows[][3] = { { "1", "a", "0123456789abcdef" },
                                           { "2", "b", "钟楼钟楼钟楼钟楼" },
                                           { "3", "c", "0123456789" } };
    struct arena *arena = arena_new();

    (void)state;
    assert_string_equal(written(arena, rows, 3, 19), "ID  JOB  CAUSE\n"
                                                     " 1  a    012345678…\n"
                                                     " 2  b    钟楼钟楼…\n"
                                                     " 3  c    0123456789\n");
    arena_free(&arena);
}

/* A name must not be able to drive the terminal of who lists it. */
static void test_table_shows_no_control_characters(void **state)
{
    static const char *const rows[][3] = { { "1", "\x1b]0;x\x07",
                                             "a\nb\tc\xc2\x9b"
                                             "d\xff" } };
    struct arena *arena = arena_new();

    (void)state;
    assert_string_equal(written(arena, rows, 1, 0), "ID  JOB     CAUSE\n"
                                                    " 1  ?]0;x?  a b c?d?\n");
    arena_free(&arena);
}

static void test_text_width(void **state)
{
    (void)state;
    assert_int_equal(text_width(""), 0);
    assert_int_equal(text_width("belfry"), 6);
    assert_int_equal(text_width("钟楼"), 4);
    assert_int_equal(text_width("e\xcc\x81"), 1); /* a combining accent */
    assert_int_equal(text_width("🔔"), 2);
}

static void test_duration_for_people(void **state)
{
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {
        { 0, "0 ms" },
        { 999, "999 ms" },
        { 1000, "1.0 s" },
        { 1999, "1.9 s" },
        { 59999, "59.9 s" },
        { 60000, "1 min 0 s" },
        { 3599999, "59 min 59 s" },
        { 3600000, "1 h 0 min" },
        { 86400000, "1 d 0 h" },
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(duration_for_people(arena, rows[i].ms), rows[i].want);
    arena_free(&arena);
}

static void test_time_for_people_is_local(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    setenv("TZ", "Asia/Shanghai", 1);
    tzset();
    assert_string_equal(time_text_for_people(arena, "2026-11-25T01:30:00.250Z"),
                        "2026-11-25 09:30:00.250+08:00");
    assert_string_equal(time_text_for_people(arena, ""), "");
    assert_string_equal(time_for_people(arena, 0), "");
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_columns_are_as_wide_as_the_widest_cell),
        cmocka_unit_test(test_table_counts_chinese_as_two_columns),
        cmocka_unit_test(test_table_cuts_the_last_column_at_the_edge),
        cmocka_unit_test(test_table_shows_no_control_characters),
        cmocka_unit_test(test_text_width),
        cmocka_unit_test(test_duration_for_people),
        cmocka_unit_test(test_time_for_people_is_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
