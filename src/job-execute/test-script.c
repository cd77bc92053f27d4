#include "job-execute/test-node.h"

#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct test_node node;

static int start(void **state)
{
    *state = &node;
    test_node_start(&node, "[execute]\nstop_grace = 300ms\n", NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_node_stop(&node);
    return 0;
}

static void test_script_true(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = test_run_one(&node, "script", "{\"interpreter\":\"sh\",\"script\":\"true\"}", 5000);
    assert_int_equal(item->outcome, RUN_SUCCEEDED);
    assert_int_equal(item->cause, CAUSE_OK);
    assert_int_equal(item->exit_code, 0);
    assert_true(item->memory_peak > 0);
    assert_int_equal(node.chunks, 0);
}

static void test_script_output_and_log(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = test_run_one(&node, "script",
                        "{\"interpreter\":\"python3\",\"args\":[\"${fire_date-1d:yyyyMMdd}\"],"
                        "\"script\":\"import sys\\nprint('hello')\\nprint('oops', file=sys.stderr)\\n"
                        "print('{\\\"day\\\": \\\"' + sys.argv[1] + '\\\"}')\\n\"}", 10000);
    assert_int_equal(item->outcome, RUN_SUCCEEDED);
    assert_string_equal(item->output, "{\"day\":\"20251124\"}");
    assert_non_null(strstr(buf_text(&node.log), " o hello\n"));
    assert_non_null(strstr(buf_text(&node.log), " e oops\n"));
    assert_int_equal(node.last_chunks, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_script_true, start, stop),
        cmocka_unit_test_setup_teardown(test_script_output_and_log, start, stop),
    };

    test_launcher_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
