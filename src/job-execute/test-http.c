#include "job-execute/test-node.h"

#include "base/clock.h"
#include "http/egress.h"
#include "job-execute/task-http.h"
#include "job-execute/test-http-peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct test_node node;
static int port;

static int start(void **state)
{
    *state = &node;
    test_node_start(&node, NULL, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_node_stop(&node);
    return 0;
}

/* PATH of the peer, and further members of the definition. */
static struct execute_run http_run(int64_t run_id, const char *path, const char *members)
{
    static char task[4096];

    snprintf(task, sizeof task, "{\"url\":\"http://127.0.0.1:%d%s\"%s%s}", port, path,
             *members ? "," : "", members);
    return test_run(run_id, "http", task);
}

static const struct admin_report_item *http_one(const char *path, const char *members,
                                                int64_t timeout_ms)
{
    struct execute_run run = http_run((int64_t)node.result_count + 1, path, members);

    run.timeout_ms = timeout_ms;
    assert_int_equal(test_dispatch(&node, &run), DISPATCH_TAKEN);
    test_await_results(&node, node.result_count + 1, 20000);
    return test_result(&node, run.run_id);
}

static void assert_ended(const struct admin_report_item *item, enum run_state outcome,
                         enum cause cause)
{
    if (item->outcome != (int)outcome || item->cause != (int)cause)
        fail_msg("ended %s, %s (%s), not %s, %s", run_state_name((enum run_state)item->outcome),
                 cause_name((enum cause)item->cause), item->message ? item->message : "",
                 run_state_name(outcome), cause_name(cause));
}

static int64_t memory_high_water(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    long long kib = 0;

    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lld", &kib) == 1)
            break;
    fclose(file);
    return kib * 1024;
}

static void test_http_request(void **state)
{
    static const char *const lines[] = {
        "POST /ok/20251125?who=a%26b%20%2F HTTP/1.1\r\n", "Idempotency-Key: belfry-1\r\n",
        "X-Belfry-Job: team/nightly\r\n", "X-Belfry-Fire-Time: 2025-11-25T09:30:00+08:00\r\n",
        "X-Belfry-Attempt: 1\r\n", "X-Who: a&b /\r\n", "Content-Type: application/json\r\n",
        "\r\n\r\n{\"who\":\"a&b /\",\"n\":1}",
    };
    struct json_pair pairs[] = { { (char *)(intptr_t)"WHO", (char *)(intptr_t)"a&b /" } };
    struct execute_run run = http_run(
        1, "/ok/${fire_date:yyyyMMdd}?who=${WHO}",
        "\"method\":\"POST\",\"headers\":[{\"name\":\"X-Who\",\"value\":\"${WHO}\"}],"
        "\"body\":\"{\\\"who\\\":\\\"${WHO}\\\",\\\"n\\\":${attempt}}\"");
    char text[8192];

    (void)state;
    run.parameters = pairs;
    run.parameter_count = 1;
    test_dispatch(&node, &run);
    test_await_results(&node, 1, 5000);
    assert_ended(test_result(&node, 1), RUN_SUCCEEDED, CAUSE_OK);
    assert_int_equal(test_result(&node, 1)->http_status, 200);
    assert_non_null(strstr(test_result(&node, 1)->address, "127.0.0.1"));
    peer_last(text, sizeof text);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(text, lines[i]))
            fail_msg("no \"%s\" in:\n%s", lines[i], text);
    assert_non_null(strstr(buf_text(&node.log), " o HTTP 200 from 127.0.0.1"));
    assert_non_null(strstr(buf_text(&node.log), " o fine\n"));
}

static void test_http_start_travels_with_result(void **state)
{
    (void)state;
    http_one("/ok", "", 0);
    assert_int_equal(node.starts, 0);
    assert_true(test_result(&node, 1)->started_at > 0);
}

static void test_http_success_conditions(void **state)
{
    static const struct {
        const char *path, *members;
        enum run_state outcome;
        enum cause cause;
    } rows[] = {
        { "/missing", "", RUN_FAILED, CAUSE_HTTP_STATUS },
        { "/missing", "\"success\":{\"status\":[\"200-299\",\"404\"]}", RUN_SUCCEEDED, CAUSE_OK },
        { "/json", "\"success\":{\"json\":[{\"pointer\":\"/code\",\"op\":\"eq\",\"value\":0}]}",
          RUN_SUCCEEDED, CAUSE_OK },
        { "/json", "\"success\":{\"json\":[{\"pointer\":\"/code\",\"op\":\"ne\",\"value\":0}]}",
          RUN_FAILED, CAUSE_CHECK },
        { "/json", "\"success\":{\"json\":[{\"pointer\":\"/data/rows/1\",\"op\":\"ge\",\"value\":2.50}]}",
          RUN_SUCCEEDED, CAUSE_OK },
        { "/json", "\"success\":{\"json\":[{\"pointer\":\"/data/rows/1\",\"op\":\"gt\",\"value\":\"1\"}]}",
          RUN_FAILED, CAUSE_CHECK },
        { "/json", "\"success\":{\"json\":[{\"pointer\":\"/data/rows/9\",\"op\":\"exists\"}]}",
          RUN_FAILED, CAUSE_CHECK },
        { "/json", "\"success\":{\"json\":[{\"pointer\":\"/text\",\"op\":\"matches\",\"value\":\"^done .$\"}]}",
          RUN_SUCCEEDED, CAUSE_OK },
        { "/ok", "\"success\":{\"json\":[{\"pointer\":\"/text\",\"op\":\"exists\"}]}", RUN_FAILED,
          CAUSE_CHECK },
        { "/ok", "\"success\":{\"text\":{\"contains\":\"ine\"}}", RUN_SUCCEEDED, CAUSE_OK },
        { "/ok", "\"success\":{\"text\":{\"contains\":\"wine\"}}", RUN_FAILED, CAUSE_CHECK },
        { "/ok", "\"success\":{\"text\":{\"matches\":\"^f.*e$\"}}", RUN_SUCCEEDED, CAUSE_OK },
        { "/json", "\"output\":{\"pointer\":\"/none\"}", RUN_FAILED, CAUSE_CHECK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_ended(http_one(rows[i].path, rows[i].members, 0), rows[i].outcome, rows[i].cause);
}

static void test_http_output(void **state)
{
    (void)state;
    assert_string_equal(http_one("/json", "\"output\":{\"pointer\":\"/data/rows\"}", 0)->output,
                        "[1,2.5,\"three\"]");
    assert_string_equal(http_one("/ok", "\"output\":{\"body\":true}", 0)->output, "\"fine\"");
    assert_null(http_one("/ok", "", 0)->output);
}

static void test_http_retry_after(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = http_one("/busy-seconds", "", 0);
    assert_ended(item, RUN_FAILED, CAUSE_HTTP_STATUS);
    assert_int_equal(item->retry_after_ms, 7000);
    assert_int_equal(http_one("/busy-garbage", "", 0)->retry_after_ms, 0);
    assert_int_equal(http_one("/busy-seconds", "\"retry_after\":false", 0)->retry_after_ms, 0);
    assert_false(http_one("/missing", "", 0)->no_retry);
    assert_true(http_one("/bad", "", 0)->no_retry);
}

static void test_http_retry_after_texts(void **state)
{
    const int64_t now = INT64_C(784111777000); /* 06 Nov 1994 08:49:37 */

    (void)state;
    assert_int_equal(http_task_retry_after(STR("120"), now), 120000);
    assert_int_equal(http_task_retry_after(STR(" Sun, 06 Nov 1994 08:50:37 GMT"), now), 60000);
    assert_int_equal(http_task_retry_after(STR("Sun, 06 Nov 1994 08:48:37 GMT"), now), 0);
    assert_int_equal(http_task_retry_after(STR("999999999"), now), INT64_C(604800000));
    assert_int_equal(http_task_retry_after(STR("99999999999999999999"), now), 0);
    assert_int_equal(http_task_retry_after(STR("-5"), now), 0);
    assert_int_equal(http_task_retry_after(STR(""), now), 0);
    assert_int_equal(http_task_retry_after(STR("Sun, 06 Xov 1994 08:50:37 GMT"), now), 0);
}

/* Each of them has one outcome, in time, and none costs memory. */
static void test_http_evil_peers(void **state)
{
    static const struct {
        const char *path, *members;
        enum run_state outcome;
        enum cause cause;
    } rows[] = {
        { "/hang", "", RUN_TIMED_OUT, CAUSE_TIMEOUT },
        { "/hang", "\"timeout\":{\"first_byte_ms\":100}", RUN_TIMED_OUT, CAUSE_TIMEOUT },
        { "/trickle", "", RUN_TIMED_OUT, CAUSE_TIMEOUT },
        { "/redirect", "", RUN_FAILED, CAUSE_HTTP_STATUS },
        { "/redirect", "\"redirects\":5", RUN_FAILED, CAUSE_REDIRECT },
        { "/big", "", RUN_FAILED, CAUSE_TOO_LARGE },
        { "/bomb", "", RUN_FAILED, CAUSE_TOO_LARGE },
        { "/chunks", "", RUN_FAILED, CAUSE_TOO_LARGE },
        { "/short", "", RUN_FAILED, CAUSE_CONNECT },
        { "/garbage", "", RUN_FAILED, CAUSE_CONNECT },
    };
    int64_t before = memory_high_water();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t begun = clock_mono_ms();

        int64_t timeout_ms = rows[i].outcome == RUN_TIMED_OUT ? 400 : 15000;

        assert_ended(http_one(rows[i].path, rows[i].members, timeout_ms), rows[i].outcome,
                     rows[i].cause);
        if (rows[i].outcome == RUN_TIMED_OUT)
            assert_in_range(clock_mono_ms() - begun, 100, 3000);
    }
    assert_true(memory_high_water() - before < 24 << 20);
}

/* How it ends is libcurl's choice; that it ends, and with a bounded memory, is ours. */
static void test_http_endless_heads(void **state)
{
    int64_t before = memory_high_water();

    (void)state;
    assert_int_not_equal(http_one("/headers", "", 700)->outcome, RUN_SUCCEEDED);
    assert_int_not_equal(http_one("/continue", "", 700)->outcome, RUN_SUCCEEDED);
    assert_true(memory_high_water() - before < 24 << 20);
}

static void test_http_nobody_there(void **state)
{
    struct execute_run run = test_run(1, "http", "{\"url\":\"http://127.0.0.1:1/\"}");

    (void)state;
    test_dispatch(&node, &run);
    test_await_results(&node, 1, 5000);
    assert_ended(test_result(&node, 1), RUN_FAILED, CAUSE_CONNECT);
    assert_non_null(test_result(&node, 1)->message);
}

static bool has_started(struct test_node *test)
{
    return test->starts == 1;
}

static void test_http_stop(void **state)
{
    struct execute_run run = http_run(1, "/hang", "");
    int before = peer_count();

    (void)state;
    test_dispatch(&node, &run);
    while (peer_count() == before)
        test_turn(&node, 5);
    test_await(&node, has_started, 5000); /* a run that goes on says when it began */
    assert_true(test_stop(&node, 1, 1, 1));
    test_await_results(&node, 1, 5000);
    assert_ended(test_result(&node, 1), RUN_CANCELLED, CAUSE_STOPPED);
}

static void test_http_egress(void **state)
{
    struct egress *egress = NULL;
    struct error err = { 0 };
    struct execute_run run = http_run(1, "/ok", "");
    struct execute_run metadata = test_run(2, "http", "{\"url\":\"http://169.254.169.254/latest\"}");

    (void)state;
    test_node_stop(&node);
    assert_int_equal(egress_new(NULL, "127.0.0.0/8", &egress, &err), 0);
    test_node_start_egress(&node, egress);
    test_dispatch(&node, &run);
    test_dispatch(&node, &metadata);
    test_await_results(&node, 2, 5000);
    assert_ended(test_result(&node, 1), RUN_FAILED, CAUSE_EGRESS);
    assert_ended(test_result(&node, 2), RUN_FAILED, CAUSE_EGRESS);
    assert_true(test_result(&node, 1)->no_retry);
    test_node_stop(&node);
    egress_free(&egress);
    test_node_start(&node, NULL, NULL);
}

/* A value cannot break out of its place. */
static void test_http_bad_values(void **state)
{
    static const struct {
        const char *path, *members, *value;
    } rows[] = {
        { "/ok", "\"headers\":[{\"name\":\"X\",\"value\":\"${V}\"}]", "a\r\nX-Evil: 1" },
        { "/ok", "\"method\":\"POST\",\"body\":\"{\\\"n\\\":${V}}\"", "1, \"admin\": true" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_pair pair = { (char *)(intptr_t)"V", (char *)(intptr_t)rows[i].value };
        struct execute_run run = http_run((int64_t)i + 1, rows[i].path, rows[i].members);
        int before = peer_count();

        run.parameters = &pair;
        run.parameter_count = 1;
        test_dispatch(&node, &run);
        test_await_results(&node, i + 1, 5000);
        assert_ended(test_result(&node, (int64_t)i + 1), RUN_FAILED, CAUSE_TASK);
        assert_int_equal(peer_count(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_http_request, start, stop),
        cmocka_unit_test_setup_teardown(test_http_start_travels_with_result, start, stop),
        cmocka_unit_test_setup_teardown(test_http_success_conditions, start, stop),
        cmocka_unit_test_setup_teardown(test_http_output, start, stop),
        cmocka_unit_test_setup_teardown(test_http_retry_after, start, stop),
        cmocka_unit_test(test_http_retry_after_texts),
        cmocka_unit_test_setup_teardown(test_http_evil_peers, start, stop),
        cmocka_unit_test_setup_teardown(test_http_endless_heads, start, stop),
        cmocka_unit_test_setup_teardown(test_http_nobody_there, start, stop),
        cmocka_unit_test_setup_teardown(test_http_stop, start, stop),
        cmocka_unit_test_setup_teardown(test_http_egress, start, stop),
        cmocka_unit_test_setup_teardown(test_http_bad_values, start, stop),
    };
    int failed;

    port = peer_start();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    peer_stop();
    return failed;
}
