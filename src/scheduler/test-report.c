#include "scheduler/test-support.h"

/* Results, retries, stops, and reports that come late or twice. */

static struct report result_of(enum run_state outcome)
{
    return (struct report){ .kind = REPORT_RESULT,
                            .ack = 5,
                            .run_id = 1,
                            .attempt = 1,
                            .token = 1,
                            .outcome = outcome,
                            .cause = CAUSE_EXIT_CODE };
}

static void test_failure_is_retried_with_backoff(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.retry_max = 1;
    desk.job.retry_first_ms = 1000;
    desk.job.retry_cap_ms = 60000;
    desk_running(&desk);
    desk_report(&desk, result_of(RUN_FAILED));
    const struct move *move = desk_move(&desk);
    assert_int_equal(move->to, RUN_RETRY_WAIT);
    assert_int_equal(move->cause, CAUSE_EXIT_CODE);
    assert_int_equal(move->failed_count, 1);
    assert_in_range(move->due_at, desk.now_ms + 800, desk.now_ms + 1200);
    desk_moved(&desk, true);
    assert_int_equal(desk_find(&desk, ACTION_ACK)->ack.verdict, ACK_TAKEN);
    desk_pass(&desk, 1200);
    move = desk_move(&desk);
    assert_int_equal(move->from, RUN_RETRY_WAIT);
    assert_int_equal(move->to, RUN_DISPATCHED);
    assert_int_equal(move->new_attempt, 2);
    assert_int_equal(move->new_token, 2);
    desk_done(&desk);
}

static void test_last_failure_is_an_incident(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_report(&desk, result_of(RUN_FAILED));
    assert_int_equal(desk_move(&desk)->to, RUN_FAILED);
    assert_null(desk_find(&desk, ACTION_INCIDENT));
    desk_moved(&desk, true);
    assert_int_equal(desk_find(&desk, ACTION_INCIDENT)->incident.state, RUN_FAILED);
    desk_done(&desk);
}

static void test_timeout_is_retried_only_where_asked_for(void **state)
{
    struct desk desk;
    (void)state;

    for (int i = 0; i < 2; i++) {
        desk_init(&desk, NULL);
        desk.job.retry_max = 3;
        desk.job.retry_timeouts = i;
        desk_running(&desk);
        desk_report(&desk, result_of(RUN_TIMED_OUT));
        assert_int_equal(desk_move(&desk)->to, i ? RUN_RETRY_WAIT : RUN_TIMED_OUT);
        desk_done(&desk);
    }
}

static void test_task_may_refuse_a_retry(void **state)
{
    struct desk desk;
    struct report report = result_of(RUN_FAILED);
    (void)state;

    desk_init(&desk, NULL);
    desk.job.retry_max = 3;
    desk_running(&desk);
    report.no_retry = true;
    desk_report(&desk, report);
    assert_int_equal(desk_move(&desk)->to, RUN_FAILED);
    desk_done(&desk);
}

static void test_far_end_may_ask_for_a_later_retry_up_to_the_cap(void **state)
{
    struct desk desk;
    struct report report = result_of(RUN_FAILED);
    (void)state;

    desk_init(&desk, NULL);
    desk.job.retry_max = 3;
    desk.job.retry_first_ms = 100;
    desk.job.retry_cap_ms = 30000;
    desk_running(&desk);
    report.retry_after_ms = 86400000;
    desk_report(&desk, report);
    assert_int_equal(desk_move(&desk)->due_at, desk.now_ms + 30000);
    desk_done(&desk);
}

/* At most once: an attempt that failed may have had its effect. */
static void test_at_most_once_is_not_retried(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.promise = PROMISE_AT_MOST_ONCE;
    desk.job.retry_max = 3;
    desk_running(&desk);
    desk_report(&desk, result_of(RUN_FAILED));
    assert_int_equal(desk_move(&desk)->to, RUN_FAILED);
    desk_done(&desk);
}

static void test_backoff_doubles_to_its_cap(void **state)
{
    static const struct {
        int64_t first, cap;
        int32_t n;
        int64_t middle;
    } rows[] = {
        { 1000, 60000, 0, 1000 }, { 1000, 60000, 3, 8000 }, { 1000, 60000, 30, 60000 },
        { 0, 0, 0, 1000 },        { 5000, 100, 9, 5000 },   { INT64_MAX, INT64_MAX, 99, 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int32_t attempt = 1; attempt < 20; attempt++) {
            int64_t wait = backoff_ms(rows[i].first, rows[i].cap, rows[i].n, 77, attempt);
            assert_true(wait > 0 || rows[i].middle == 0);
            if (rows[i].middle)
                assert_in_range(wait, rows[i].middle * 80 / 100, rows[i].middle * 120 / 100);
        }
}

static void test_old_token_is_stale(void **state)
{
    struct desk desk;
    struct report report = result_of(RUN_SUCCEEDED);
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    report.token = 0;
    desk_report(&desk, report);
    assert_null(desk_find(&desk, ACTION_MOVE));
    assert_int_equal(desk_find(&desk, ACTION_ACK)->ack.verdict, ACK_STALE);
    desk_done(&desk);
}

/* The same report while the first one is on its way: kept by the executor, not taken twice. */
static void test_repeated_report_waits_for_the_first(void **state)
{
    struct desk desk;
    struct report report = result_of(RUN_SUCCEEDED);
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_report(&desk, report);
    struct action move = *desk_find(&desk, ACTION_MOVE);
    report.ack = 6;
    desk_report(&desk, report);
    assert_int_equal(desk_find(&desk, ACTION_ACK)->ack.ack, 6);
    assert_int_equal(desk_find(&desk, ACTION_ACK)->ack.verdict, ACK_NOT_OURS);
    struct move_answer answer = { .run_id = 1, .applied = true };
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_MOVED,
                                               .reference = move.reference,
                                               .moved = { .moves = &answer, .count = 1 } });
    assert_int_equal(desk_find(&desk, ACTION_ACK)->ack.ack, 5);
    assert_int_equal(desk_find(&desk, ACTION_ACK)->ack.verdict, ACK_TAKEN);
    desk_done(&desk);
}

/* The store does not tell whether the end was written: the row does, and then the report is judged
 * again. */
static void test_unknown_end_is_read_and_asked_for_again(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_report(&desk, result_of(RUN_SUCCEEDED));
    desk_store_fails(&desk, ACTION_MOVE, EVENT_MOVED, STORE_UNKNOWN);
    assert_null(desk_find(&desk, ACTION_ACK));
    desk_pass(&desk, 50);
    uint64_t load = desk_find(&desk, ACTION_LOAD)->reference;
    struct scheduler_run row = desk_row(&desk, 1, RUN_RUNNING);
    desk_rows(&desk, load, &row, 1);
    assert_int_equal(desk_move(&desk)->to, RUN_SUCCEEDED);
    desk_moved(&desk, true);
    assert_int_equal(desk_find(&desk, ACTION_ACK)->ack.verdict, ACK_TAKEN);
    desk_done(&desk);
}

static void test_stop_before_the_start_is_immediate(void **state)
{
    static const enum run_state states[] = { RUN_WAITING, RUN_READY, RUN_RETRY_WAIT };
    (void)state;

    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        struct desk desk;
        desk_init(&desk, NULL);
        desk.job.next_fire_at = SCHEDULE_NEVER;
        desk.job.overlap = OVERLAP_QUEUE;
        struct scheduler_run rows[] = { desk_row(&desk, 1, RUN_RUNNING),
                                        desk_row(&desk, 2, states[i]) };
        rows[1].due_at = T0 + 60000;
        desk_start(&desk, rows, 2);
        desk_stop(&desk, 2);
        assert_int_equal(desk_move(&desk)->to, RUN_CANCELLED);
        assert_int_equal(desk_move(&desk)->cause, CAUSE_STOPPED);
        desk_done(&desk);
    }
}

static void test_stop_of_a_running_one_is_repeated_until_its_result(void **state)
{
    struct desk desk;
    struct report report = result_of(RUN_FAILED);
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_stop(&desk, 1);
    assert_null(desk_find(&desk, ACTION_MOVE));
    assert_int_equal(desk_find(&desk, ACTION_KILL)->kill.run.run_id, 1);
    desk_pass(&desk, 1000);
    assert_non_null(desk_find(&desk, ACTION_KILL));
    report.cause = CAUSE_SIGNAL;
    desk_report(&desk, report);
    assert_int_equal(desk_move(&desk)->to, RUN_CANCELLED);
    assert_int_equal(desk_move(&desk)->cause, CAUSE_STOPPED);
    desk_done(&desk);
}

static void test_success_that_raced_the_stop_stays(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_stop(&desk, 1);
    desk_report(&desk, result_of(RUN_SUCCEEDED));
    assert_int_equal(desk_move(&desk)->to, RUN_SUCCEEDED);
    desk_done(&desk);
}

/* Stopped while the change to DISPATCHED is under way: it is never sent. */
static void test_stop_during_a_change_is_remembered(void **state)
{
    struct desk desk;
    struct scheduler_run row;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.next_fire_at = SCHEDULE_NEVER;
    row = desk_row(&desk, 1, RUN_READY);
    desk_start(&desk, &row, 1);
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    struct action move = *desk_find(&desk, ACTION_MOVE);
    desk_stop(&desk, 1);
    struct move_answer answer = { .run_id = 1, .applied = true };
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_MOVED,
                                               .reference = move.reference,
                                               .moved = { .moves = &answer, .count = 1 } });
    assert_null(desk_find(&desk, ACTION_DISPATCH));
    assert_int_equal(desk_move(&desk)->to, RUN_CANCELLED);
    desk_done(&desk);
}

static void test_lost_while_stopping_is_cancelled(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_stop(&desk, 1);
    desk_pass(&desk, 10000);
    assert_int_equal(desk_move(&desk)->to, RUN_CANCELLED);
    desk_done(&desk);
}

static void test_report_waits_for_a_shard_that_is_loading(void **state)
{
    struct desk desk;
    struct scheduler_run row;
    (void)state;

    desk_init(&desk, NULL);
    desk_tick(&desk);
    uint64_t load = desk_find(&desk, ACTION_LOAD)->reference;
    desk_report(&desk, result_of(RUN_SUCCEEDED));
    assert_null(desk_find(&desk, ACTION_ACK));
    row = desk_row(&desk, 1, RUN_RUNNING);
    desk_rows(&desk, load, &row, 1);
    assert_int_equal(desk_move(&desk)->to, RUN_SUCCEEDED);
    desk_done(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failure_is_retried_with_backoff),
        cmocka_unit_test(test_last_failure_is_an_incident),
        cmocka_unit_test(test_timeout_is_retried_only_where_asked_for),
        cmocka_unit_test(test_task_may_refuse_a_retry),
        cmocka_unit_test(test_far_end_may_ask_for_a_later_retry_up_to_the_cap),
        cmocka_unit_test(test_at_most_once_is_not_retried),
        cmocka_unit_test(test_backoff_doubles_to_its_cap),
        cmocka_unit_test(test_old_token_is_stale),
        cmocka_unit_test(test_repeated_report_waits_for_the_first),
        cmocka_unit_test(test_unknown_end_is_read_and_asked_for_again),
        cmocka_unit_test(test_stop_before_the_start_is_immediate),
        cmocka_unit_test(test_stop_of_a_running_one_is_repeated_until_its_result),
        cmocka_unit_test(test_success_that_raced_the_stop_stays),
        cmocka_unit_test(test_stop_during_a_change_is_remembered),
        cmocka_unit_test(test_lost_while_stopping_is_cancelled),
        cmocka_unit_test(test_report_waits_for_a_shard_that_is_loading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
