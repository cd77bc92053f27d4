#include "job-execute/run-log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct sink {
    struct run_log log;
    struct buf text;
    int chunks, last;
    size_t largest;
    bool full;
};

static bool take(void *ctx, struct run_log *log, bool last)
{
    struct sink *sink = ctx;

    if (sink->full)
        return false;
    assert_int_equal(log->sequence, sink->chunks);
    assert_true(log->chunk.size <= LOG_CHUNK_MAX);
    if (log->chunk.size > sink->largest)
        sink->largest = log->chunk.size;
    buf_add(&sink->text, log->chunk.bytes, log->chunk.size);
    sink->chunks++;
    sink->last += last;
    return true;
}

static void sink_init(struct sink *sink, int64_t size_max)
{
    memset(sink, 0, sizeof *sink);
    run_log_init(&sink->log, size_max);
    buf_init(&sink->text, 64 << 20);
    sink->log.emit = take;
    sink->log.ctx = sink;
}

static void sink_done(struct sink *sink)
{
    run_log_done(&sink->log);
    buf_done(&sink->text);
}

static void finish(struct sink *sink)
{
    run_log_end(&sink->log);
    run_log_flush(&sink->log, true);
}

static void add(struct sink *sink, char stream, const char *text, int64_t at)
{
    run_log_add(&sink->log, stream, text, strlen(text), at);
}

static void test_run_log_lines(void **state)
{
    struct sink sink;

    (void)state;
    sink_init(&sink, 1 << 20);
    add(&sink, 'o', "one\ntw", 1000);
    add(&sink, 'e', "bad\r\n", 1001);
    add(&sink, 'o', "o\n\nlast", 1002);
    finish(&sink);
    assert_string_equal(buf_text(&sink.text),
                        "1000 o one\n1001 e bad\n1000 o two\n1002 o \n1002 o last\n");
    assert_int_equal(sink.chunks, 1);
    assert_int_equal(sink.last, 1);
    assert_int_equal(sink.log.lines, 5);
    assert_int_equal(sink.log.bytes, sink.text.size);
    sink_done(&sink);
}

static void test_run_log_nothing(void **state)
{
    struct sink sink;

    (void)state;
    sink_init(&sink, 1 << 20);
    finish(&sink);
    assert_int_equal(sink.chunks, 0);
    sink_done(&sink);
}

static void test_run_log_escapes(void **state)
{
    static const struct {
        const char *text, *wanted;
        size_t size;
    } rows[] = {
        { "tab\there\n", "5 o tab\there\n", 0 },
        { "\x1b[31mred\x1b[0m\n", "5 o \\x1b[31mred\\x1b[0m\n", 0 },
        { "a\0b\n", "5 o a\\x00b\n", 4 },
        { "50%\r100%\n", "5 o 50%\\x0d100%\n", 0 },
        { "\xe4\xb8\xad\xe6\x96\x87\n", "5 o \xe4\xb8\xad\xe6\x96\x87\n", 0 },
        { "\xe4\xb8|\xff|\xc0\x80\n", "5 o \xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\n", 0 },
        { "\xc2\x9b" "1m\n", "5 o \\x9b1m\n", 0 },
        { "\xed\xa0\x80\n", "5 o \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sink sink;

        sink_init(&sink, 1 << 20);
        run_log_add(&sink.log, 'o', rows[i].text, rows[i].size ? rows[i].size : strlen(rows[i].text), 5);
        finish(&sink);
        assert_string_equal(buf_text(&sink.text), rows[i].wanted);
        sink_done(&sink);
    }
}

/* 100 MB without a line's end: one line with a marker, and no memory to speak of. */
static void test_run_log_long_line(void **state)
{
    static char block[100000];
    struct sink sink;

    (void)state;
    memset(block, 'x', sizeof block);
    sink_init(&sink, 1 << 20);
    for (int i = 0; i < 1000; i++)
        run_log_add(&sink.log, 'e', block, sizeof block, 5);
    add(&sink, 'e', "\nnext\n", 6);
    finish(&sink);
    assert_true(sink.text.size <= LOG_LINE_MAX + 32);
    assert_non_null(strstr(buf_text(&sink.text), "bytes more]\n6 e next\n"));
    sink_done(&sink);
}

static void test_run_log_cuts_whole_characters(void **state)
{
    struct sink sink;
    struct buf line;

    (void)state;
    buf_init(&line, 1 << 20);
    for (int i = 0; i < 20000; i++)
        buf_add(&line, "\xe4\xb8\xad", 3);
    buf_add_char(&line, '\n');
    sink_init(&sink, 1 << 20);
    run_log_add(&sink.log, 'o', line.bytes, line.size, 5);
    finish(&sink);
    assert_true(utf8_valid(buf_str(&sink.text)));
    assert_null(strstr(buf_text(&sink.text), "\xef\xbf\xbd"));
    buf_done(&line);
    sink_done(&sink);
}

static void test_run_log_quota(void **state)
{
    struct sink sink;

    (void)state;
    sink_init(&sink, 1000);
    for (int i = 0; i < 1000; i++)
        add(&sink, 'o', "0123456789\n", 5);
    finish(&sink);
    assert_true(sink.log.bytes <= 1000);
    assert_int_equal(sink.log.bytes, sink.text.size);
    assert_true(sink.log.dropped > 9000);
    assert_int_equal(sink.last, 1);
    sink_done(&sink);
}

/* The end of a log over its quota is kept, and how much is missing in between is said. */
static void test_run_log_tail(void **state)
{
    struct sink sink;
    char text[64];

    (void)state;
    sink_init(&sink, 200000);
    for (int i = 0; i < 100000; i++) {
        snprintf(text, sizeof text, "line %d\n", i);
        add(&sink, i % 2 ? 'e' : 'o', text, 5);
    }
    finish(&sink);
    assert_true(sink.log.bytes <= 200000);
    assert_int_equal(sink.log.bytes, sink.text.size);
    assert_non_null(strstr(buf_text(&sink.text), "5 o line 0\n"));
    assert_non_null(strstr(buf_text(&sink.text), " bytes are left out here]\n"));
    assert_non_null(strstr(buf_text(&sink.text), "5 o line 99998\n5 e line 99999\n"));
    assert_true(sink.log.dropped > 500000);
    assert_int_equal(sink.last, 1);
    sink_done(&sink);
}

static void test_run_log_last_error(void **state)
{
    struct sink sink;
    struct buf said;

    (void)state;
    sink_init(&sink, 1 << 20);
    buf_init(&said, 2000);
    add(&sink, 'e', "first\n  ValueError: \x1b[1mno\n\n", 5);
    add(&sink, 'o', "after\n", 5);
    run_log_last_error(&sink.log, &said);
    assert_string_equal(buf_text(&said), "ValueError: \\x1b[1mno");
    buf_done(&said);
    sink_done(&sink);
}

static void test_run_log_chunks(void **state)
{
    struct sink sink;

    (void)state;
    sink_init(&sink, 10 << 20);
    for (int i = 0; i < 20000; i++)
        add(&sink, 'o', "a line of some length, as they are\n", 5);
    finish(&sink);
    assert_true(sink.chunks > 10);
    assert_int_equal(sink.log.lines, 20000);
    sink_done(&sink);
}

static void test_run_log_no_room_at_the_node(void **state)
{
    struct sink sink;

    (void)state;
    sink_init(&sink, 1 << 20);
    add(&sink, 'o', "lost\n", 5);
    sink.full = true;
    run_log_flush(&sink.log, false);
    sink.full = false;
    add(&sink, 'o', "kept\n", 5);
    finish(&sink);
    assert_string_equal(buf_text(&sink.text), "5 o kept\n");
    assert_int_equal(sink.log.dropped, 9);
    assert_int_equal(sink.chunks, 1);   /* no hole in the sequence */
    sink_done(&sink);
}

static void test_run_log_keeps_json(void **state)
{
    struct sink sink;

    (void)state;
    sink_init(&sink, 10);                 /* the quota of the log has no say in that */
    sink.log.keep_json = true;
    add(&sink, 'o', "{\"a\": 1}\nthen text\n", 5);
    add(&sink, 'o', "  {\"a\": 2}  \r\nand more\n", 5);
    add(&sink, 'e', "{\"a\": 3}\n", 5);
    finish(&sink);
    assert_string_equal(sink.log.json, "{\"a\": 2}");
    sink_done(&sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_log_lines),
        cmocka_unit_test(test_run_log_nothing),
        cmocka_unit_test(test_run_log_escapes),
        cmocka_unit_test(test_run_log_long_line),
        cmocka_unit_test(test_run_log_cuts_whole_characters),
        cmocka_unit_test(test_run_log_quota),
        cmocka_unit_test(test_run_log_tail),
        cmocka_unit_test(test_run_log_last_error),
        cmocka_unit_test(test_run_log_chunks),
        cmocka_unit_test(test_run_log_no_room_at_the_node),
        cmocka_unit_test(test_run_log_keeps_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
