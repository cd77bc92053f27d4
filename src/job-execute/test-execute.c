#include "job-execute/test-node.h"

#include "base/clock.h"
#include "job-execute/test-http-peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Taking, queueing, refusing; reporting until somebody takes it. */

static struct test_node node;
static char hang[128], fine[128];

static int start_with(void **state, const char *settings)
{
    *state = &node;
    test_node_start(&node, settings, NULL);
    return 0;
}

static int start(void **state)
{
    return start_with(state, NULL);
}

static int start_small(void **state)
{
    return start_with(state, "[execute]\nslots = 2\nqueue = 3\n");
}

static int stop(void **state)
{
    (void)state;
    test_node_stop(&node);
    return 0;
}

static enum dispatch_verdict dispatch(int64_t run_id, int32_t attempt, int32_t token,
                                      const char *task)
{
    struct execute_run run = test_run(run_id, "http", task);

    run.attempt = attempt;
    run.token = token;
    return test_dispatch(&node, &run);
}

/* --- taking ----------------------------------------------------------------------------------- */

static void test_execute_seen_once(void **state)
{
    (void)state;
    assert_int_equal(dispatch(1, 1, 1, fine), DISPATCH_TAKEN);
    assert_int_equal(dispatch(1, 1, 1, fine), DISPATCH_SEEN);
    test_await_results(&node, 1, 5000);
    assert_int_equal(dispatch(1, 1, 1, fine), DISPATCH_SEEN); /* after its end, too */
    assert_true(test_ask(&node, 1, 1, 1));
    test_turn(&node, 20);
    assert_int_equal(node.result_count, 1);
    assert_int_equal(node.results[0].count, 1);
}

static void test_execute_asked_before_it_came(void **state)
{
    (void)state;
    assert_false(test_ask(&node, 1, 1, 1));
    assert_int_equal(dispatch(1, 1, 1, fine), DISPATCH_REFUSED);
    assert_false(test_ask(&node, 1, 1, 1));
    assert_int_equal(dispatch(1, 1, 2, fine), DISPATCH_TAKEN); /* another token is another matter */
    test_await_results(&node, 1, 5000);
}

static void test_execute_bounds(void **state)
{
    (void)state;
    assert_int_equal(execute_slots_free(node.execute), 5);
    for (int64_t i = 1; i <= 5; i++)
        assert_int_equal(dispatch(i, 1, 1, hang), DISPATCH_TAKEN);
    assert_int_equal(execute_slots_free(node.execute), 0);
    assert_int_equal(dispatch(6, 1, 1, hang), DISPATCH_REFUSED);
    test_turn(&node, 20);
    assert_int_equal(node.execute->running[TASK_SLOT_LIGHT], 2);
    assert_int_equal(node.execute->queued[TASK_SLOT_LIGHT], 3);
    assert_true(test_stop(&node, 4, 1, 1));  /* from the queue */
    test_await_results(&node, 1, 5000);
    assert_int_equal(test_result(&node, 4)->outcome, RUN_CANCELLED);
    assert_int_equal(test_result(&node, 4)->started_at, 0);
    assert_int_equal(dispatch(6, 1, 1, hang), DISPATCH_REFUSED); /* it was told so */
    assert_int_equal(dispatch(6, 1, 2, hang), DISPATCH_TAKEN);
}

static bool beats_with_room(struct test_node *test)
{
    return test->beat_free > 0;
}

static bool beats_without_room(struct test_node *test)
{
    return test->beats > 0 && test->beat_free == 0;
}

/* Not a second later but at once. */
static void test_execute_says_when_room_is_back(void **state)
{
    int64_t begun;

    (void)state;
    for (int64_t i = 1; i <= 5; i++)
        dispatch(i, 1, 1, hang);
    dispatch(6, 1, 1, hang);
    heartbeat_now(node.execute);
    test_await(&node, beats_without_room, 5000);
    begun = clock_mono_ms();
    test_stop(&node, 5, 1, 1);
    test_await(&node, beats_with_room, 5000);
    assert_in_range(clock_mono_ms() - begun, 0, 300);
    assert_int_equal(node.beat_running, 5);
}

static void test_execute_newer_token_ends_the_older(void **state)
{
    (void)state;
    dispatch(1, 1, 1, hang);
    test_turn(&node, 20);
    assert_int_equal(dispatch(1, 2, 2, fine), DISPATCH_TAKEN);
    test_await_results(&node, 2, 5000);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(node.results[i].item.outcome,
                         node.results[i].item.token == 1 ? RUN_CANCELLED : RUN_SUCCEEDED);
}

static void test_execute_unknown_type(void **state)
{
    struct execute_run run = test_run(1, "teleport", "{}");

    (void)state;
    assert_int_equal(test_dispatch(&node, &run), DISPATCH_BAD);
    test_await_results(&node, 1, 5000);
    assert_int_equal(test_result(&node, 1)->cause, CAUSE_TASK);
    assert_true(test_result(&node, 1)->no_retry);
}

/* --- reporting -------------------------------------------------------------------------------- */

static bool nothing_unacknowledged(struct test_node *test)
{
    return reporter_unacked(test->execute->reporter) == 0;
}

static int only_third(struct test_node *test, const char *instance,
                      const struct admin_report_item *item)
{
    (void)test;
    (void)item;
    return strcmp(instance, "http://c:1") ? ACK_NOT_OURS : ACK_TAKEN;
}

static void test_execute_asks_around(void **state)
{
    (void)state;
    node.admins[0] = "http://a:1";
    node.admins[1] = "http://b:1";
    node.admins[2] = "http://c:1";
    peers_refresh(&node.execute->peers);
    node.verdict = only_third;
    dispatch(1, 1, 1, fine);
    test_await_results(&node, 1, 5000);
    assert_string_equal(node.results[0].instance, "http://c:1");
    test_await(&node, nothing_unacknowledged, 5000);
}

static int first_is_dead(struct test_node *test, const char *instance,
                         const struct admin_report_item *item)
{
    (void)test;
    (void)item;
    return strcmp(instance, "http://a:1") ? ACK_TAKEN : -1;
}

static void test_execute_goes_to_another(void **state)
{
    (void)state;
    node.admins[0] = "http://a:1";
    node.admins[1] = "http://b:1";
    peers_refresh(&node.execute->peers);
    node.verdict = first_is_dead;
    dispatch(1, 1, 1, fine);
    test_await_results(&node, 1, 5000);
    assert_string_equal(node.results[0].instance, "http://b:1");
}

static int refusals;

static int not_ours_at_first(struct test_node *test, const char *instance,
                             const struct admin_report_item *item)
{
    (void)test;
    (void)instance;
    (void)item;
    return refusals-- > 0 ? ACK_NOT_OURS : ACK_STALE;
}

/* One that has just been started owns no shard yet. */
static void test_execute_waits_for_an_owner(void **state)
{
    (void)state;
    refusals = 3;
    node.verdict = not_ours_at_first;
    dispatch(1, 1, 1, fine);
    test_await_results(&node, 1, 5000);
    test_await(&node, nothing_unacknowledged, 5000);
    assert_int_equal(node.execute->attempts, 0);
}

static bool has_ended(struct test_node *test)
{
    return test->execute->counters.ended == 1;
}

static bool has_spooled(struct test_node *test)
{
    return spool_size(test->execute->spool) > 0;
}

static bool spool_empty(struct test_node *test)
{
    return spool_size(test->execute->spool) == 0;
}

static bool has_log(struct test_node *test)
{
    return strstr(buf_text(&test->log), "HTTP 200") != NULL;
}

/* While job-admin is away the result waits in memory and in the spool; it is told once. */
static void test_execute_outlasts_job_admin(void **state)
{
    (void)state;
    node.away = true;
    dispatch(1, 1, 1, fine);
    test_await(&node, has_ended, 5000);
    test_await(&node, has_spooled, 5000);
    assert_int_equal(node.execute->attempts, 1);
    node.away = false;
    test_await_results(&node, 1, 5000);
    test_await(&node, spool_empty, 5000);
    assert_int_equal(node.results[0].count, 1);
    test_await(&node, has_log, 5000); /* its log, too */
}

/* After a restart what was spooled is told under the name of the start that it is of. */
static void test_execute_replays(void **state)
{
    char incarnation[33], data_dir[64];

    (void)state;
    node.away = true;
    dispatch(1, 1, 1, fine);
    test_await(&node, has_ended, 5000);
    memcpy(incarnation, node.node.incarnation, sizeof incarnation);
    memcpy(data_dir, node.data_dir, sizeof data_dir);
    test_node_stop_keep(&node);
    test_node_start(&node, NULL, data_dir);
    test_await_results(&node, 1, 5000);
    assert_string_equal(node.results[0].incarnation, incarnation);
    assert_int_equal(node.results[0].item.outcome, RUN_SUCCEEDED);
    test_await(&node, spool_empty, 5000);
}

static bool has_drained;

static void drained(void *ctx)
{
    (void)ctx;
    has_drained = true;
}

static bool is_drained(struct test_node *test)
{
    (void)test;
    return has_drained;
}

static void test_execute_drains(void **state)
{
    (void)state;
    has_drained = false;
    dispatch(1, 1, 1, fine);
    node.away = true;
    execute_drain(node.execute, drained, NULL);
    assert_int_equal(dispatch(2, 1, 1, fine), DISPATCH_REFUSED);
    test_await(&node, is_drained, 5000);
    assert_int_equal(node.execute->counters.ended, 1);
    assert_true(spool_size(node.execute->spool) > 0); /* not taken: goes on after a restart */
}

/* A flood of logs that nobody takes delays no result, and its memory is bounded. */
static void test_execute_log_flood(void **state)
{
    (void)state;
    node.no_logs = true;
    for (int64_t i = 1; i <= 40; i++) {
        struct execute_run run = test_run(i, "script", "{\"interpreter\":\"sh\",\"script\":"
                                                       "\"yes flood | head -c 400000\"}");
        test_dispatch(&node, &run);
    }
    test_await_results(&node, 40, 60000);
    assert_true(log_sender_backlog(node.execute->log_sender) <= 2 << 20);
    for (int64_t i = 1; i <= 40; i++)
        assert_int_equal(test_result(&node, i)->outcome, RUN_SUCCEEDED);
}

static int start_small_backlog(void **state)
{
    return start_with(state, "[execute]\nlog_backlog = 1m\nscript_nice = 0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_execute_seen_once, start, stop),
        cmocka_unit_test_setup_teardown(test_execute_asked_before_it_came, start, stop),
        cmocka_unit_test_setup_teardown(test_execute_bounds, start_small, stop),
        cmocka_unit_test_setup_teardown(test_execute_says_when_room_is_back, start_small, stop),
        cmocka_unit_test_setup_teardown(test_execute_newer_token_ends_the_older, start, stop),
        cmocka_unit_test_setup_teardown(test_execute_unknown_type, start, stop),
        cmocka_unit_test_setup_teardown(test_execute_asks_around, start, stop),
        cmocka_unit_test_setup_teardown(test_execute_goes_to_another, start, stop),
        cmocka_unit_test_setup_teardown(test_execute_waits_for_an_owner, start, stop),
        cmocka_unit_test_setup_teardown(test_execute_outlasts_job_admin, start, stop),
        cmocka_unit_test_setup_teardown(test_execute_replays, start, stop),
        cmocka_unit_test_setup_teardown(test_execute_drains, start, stop),
        cmocka_unit_test_setup_teardown(test_execute_log_flood, start_small_backlog, stop),
    };
    int port, failed;

    test_launcher_start();
    port = peer_start();
    snprintf(hang, sizeof hang, "{\"url\":\"http://127.0.0.1:%d/hang\"}", port);
    snprintf(fine, sizeof fine, "{\"url\":\"http://127.0.0.1:%d/ok\"}", port);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    peer_stop();
    return failed;
}
