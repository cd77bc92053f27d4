#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* What was written on standard error since capture_begin. */
static char captured[64 * 1024];
static int saved, pipe_ends[2];

static void capture_begin(void)
{
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    assert_true(dup2(pipe_ends[1], STDERR_FILENO) >= 0);
}

static const char *capture_end(void)
{
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(pipe_ends[1]);
    ssize_t size = read(pipe_ends[0], captured, sizeof captured - 1);
    close(pipe_ends[0]);
    captured[size > 0 ? size : 0] = '\0';
    return captured;
}

/* The line behind its time. */
static const char *behind_time(const char *line)
{
    const char *space = strchr(line, ' ');

    assert_int_equal(strncmp(line, "time=2", 6), 0);
    assert_non_null(space);
    assert_int_equal(space[-1], 'Z');
    return space + 1;
}

static void test_log_line_is_pairs(void **state)
{
    (void)state;
    capture_begin();
    LOG_WARN("executor lost", "executor", "node-1", "silent_ms", log_int(-1500));
    assert_string_equal(behind_time(capture_end()),
                        "level=warn msg=\"executor lost\" executor=node-1 silent_ms=-1500\n");
}

static void test_log_names_the_service(void **state)
{
    (void)state;
    log_service_set("auth");
    capture_begin();
    LOG_INFO("ready");
    assert_string_equal(behind_time(capture_end()), "level=info service=auth msg=ready\n");
    log_service_set(NULL);
}

/* Text from outside must not make a second line, nor a second pair. */
static void test_log_escapes_values(void **state)
{
    (void)state;
    capture_begin();
    LOG_INFO("x", "a", "1\nlevel=error", "b", "q\"\\", "c", "", "d", "\x1b[31m", "e", "钟楼");
    assert_string_equal(behind_time(capture_end()),
                        "level=info msg=x a=\"1\\nlevel=error\" b=\"q\\\"\\\\\" c=\"\" "
                        "d=\"\\x1b[31m\" e=\"钟楼\"\n");
}

static void test_log_leaves_out_null(void **state)
{
    (void)state;
    capture_begin();
    LOG_INFO("x", "a", NULL, "b", "2");
    assert_string_equal(behind_time(capture_end()), "level=info msg=x b=2\n");
}

static void test_log_levels(void **state)
{
    enum log_level level;

    (void)state;
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_false(log_level_parse("ERROR", &level));
    assert_false(log_level_parse("", &level));
    log_level_set(LOG_LEVEL_ERROR);
    capture_begin();
    LOG_WARN("not this");
    LOG_DEBUG("nor this");
    LOG_ERROR("this");
    assert_string_equal(behind_time(capture_end()), "level=error msg=this\n");
    log_level_set(LOG_LEVEL_INFO);
}

static void test_log_line_is_bounded(void **state)
{
    static char longer[40000];

    (void)state;
    memset(longer, 'a', sizeof longer - 1);
    capture_begin();
    LOG_INFO("x", "first", "1", "value", longer);
    const char *line = capture_end();
    assert_true(strlen(line) <= 16 * 1024);
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_non_null(strstr(line, "first=1"));
}

static void test_log_int_many_in_one_call(void **state)
{
    (void)state;
    capture_begin();
    LOG_INFO("x", "a", log_int(1), "b", log_int(2), "c", log_int(INT64_MIN));
    assert_string_equal(behind_time(capture_end()),
                        "level=info msg=x a=1 b=2 c=-9223372036854775808\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_line_is_pairs),
        cmocka_unit_test(test_log_names_the_service),
        cmocka_unit_test(test_log_escapes_values),
        cmocka_unit_test(test_log_leaves_out_null),
        cmocka_unit_test(test_log_levels),
        cmocka_unit_test(test_log_line_is_bounded),
        cmocka_unit_test(test_log_int_many_in_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
