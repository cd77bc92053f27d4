#include "scheduler/test-support.h"

/* Executors that refuse, fall silent, come back as another incarnation, or answer nothing. */

static const char other_incarnation[] = "ffffffffffffffffffffffffffffffff";
static const struct running_run first_run = { .run_id = 1, .attempt = 1, .token = 1 };

/* Run 1 is DISPATCHED and the request has gone out. */
static void dispatch_one(struct desk *desk)
{
    struct scheduler_run row = desk_row(desk, 1, RUN_READY);

    desk->job.next_fire_at = SCHEDULE_NEVER;
    desk_start(desk, &row, 1);
    desk_heartbeat(desk, "e1", desk_incarnation, 4, NULL, 0);
    desk_moved(desk, true);
}

static void test_refused_goes_back_with_a_new_token(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    dispatch_one(&desk);
    desk_dispatched(&desk, true, desk_incarnation, DISPATCH_REFUSED);
    const struct move *move = desk_move(&desk);
    assert_int_equal(move->from, RUN_DISPATCHED);
    assert_int_equal(move->to, RUN_READY);
    assert_int_equal(move->new_attempt, 1);
    assert_int_equal(move->new_token, 2);
    desk_moved(&desk, true);
    assert_null(desk_find(&desk, ACTION_MOVE)); /* it has no room: the next heartbeat tells */
    desk_pass(&desk, 300);
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    assert_int_equal(desk_move(&desk)->to, RUN_DISPATCHED);
    assert_int_equal(desk_move(&desk)->token, 2);
    desk_done(&desk);
}

static void test_certainly_not_sent_goes_back(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    dispatch_one(&desk);
    desk_dispatched(&desk, false, NULL, DISPATCH_TAKEN);
    assert_int_equal(desk_move(&desk)->to, RUN_READY);
    assert_null(desk_find(&desk, ACTION_ASK));
    desk_done(&desk);
}

static void answer_question(struct desk *desk, const char *incarnation, bool seen)
{
    const struct action *ask = desk_find(desk, ACTION_ASK);
    assert_non_null(ask);
    struct seen_answer answer = { .run_id = 1, .attempt = 1, .token = 1, .seen = seen };
    desk_step(desk, (struct scheduler_event){ .kind = EVENT_SEEN,
                                              .reference = ask->reference,
                                              .seen = { .executor = "e1",
                                                        .incarnation = incarnation,
                                                        .sent = true,
                                                        .answers = &answer,
                                                        .count = 1 } });
}

static void test_unanswered_is_asked_for(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    dispatch_one(&desk);
    desk_dispatched(&desk, true, NULL, DISPATCH_TAKEN);
    answer_question(&desk, desk_incarnation, false);
    assert_int_equal(desk_move(&desk)->to, RUN_READY);
    desk_done(&desk);
}

/* Seen: it stays; its row is read, it may be over without our knowing. */
static void test_seen_stays(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    dispatch_one(&desk);
    desk_dispatched(&desk, true, NULL, DISPATCH_TAKEN);
    answer_question(&desk, desk_incarnation, true);
    assert_null(desk_find(&desk, ACTION_MOVE));
    assert_int_equal(desk_find(&desk, ACTION_LOAD)->load.ids[0], 1);
    desk_done(&desk);
}

/* "Not seen" of another incarnation proves nothing. */
static void test_answer_of_another_incarnation_does_not_count(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    dispatch_one(&desk);
    desk_dispatched(&desk, true, NULL, DISPATCH_TAKEN);
    answer_question(&desk, other_incarnation, false);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_pass(&desk, 1000);
    assert_non_null(desk_find(&desk, ACTION_ASK)); /* again */
    desk_done(&desk);
}

static void test_silent_executor_loses_its_runs(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_pass(&desk, 9999);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_pass(&desk, 1);
    const struct move *move = desk_move(&desk);
    assert_int_equal(move->to, RUN_RETRY_WAIT);
    assert_int_equal(move->cause, CAUSE_LOST);
    assert_int_equal(move->lost_count, 1);
    assert_in_range(move->due_at, desk.now_ms + 800, desk.now_ms + 1200);
    desk_done(&desk);
}

static void test_lost_too_often_fails(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.lost_max = 0;
    desk_running(&desk);
    desk_pass(&desk, 10000);
    assert_int_equal(desk_move(&desk)->to, RUN_FAILED);
    assert_int_equal(desk_move(&desk)->cause, CAUSE_LOST);
    desk_moved(&desk, true);
    assert_int_equal(desk_find(&desk, ACTION_INCIDENT)->incident.run_id, 1);
    desk_done(&desk);
}

static void test_at_most_once_becomes_unknown(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.promise = PROMISE_AT_MOST_ONCE;
    desk_running(&desk);
    desk_pass(&desk, 10000);
    assert_int_equal(desk_move(&desk)->to, RUN_UNKNOWN);
    desk_done(&desk);
}

static void test_another_incarnation_loses_the_runs_at_once(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_heartbeat(&desk, "e1", other_incarnation, 4, NULL, 0);
    assert_int_equal(desk_move(&desk)->to, RUN_RETRY_WAIT);
    desk_done(&desk);
}

/* Its spool has the result: it will be reported, nothing is lost. */
static void test_result_that_outlived_its_process_is_awaited(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_heartbeat(&desk, "e1", other_incarnation, 4, &first_run, 1);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_report(&desk, (struct report){ .kind = REPORT_RESULT,
                                        .run_id = 1,
                                        .attempt = 1,
                                        .token = 1,
                                        .outcome = RUN_SUCCEEDED });
    assert_int_equal(desk_move(&desk)->to, RUN_SUCCEEDED);
    desk_done(&desk);
}

static void test_late_heartbeat_of_an_older_start_is_ignored(void **state)
{
    struct desk desk;
    struct executor_load load = { .name = "e1", .slots_free = 4, .slots_total = 4 };
    (void)state;

    desk_init(&desk, NULL);
    desk.job.next_fire_at = SCHEDULE_NEVER;
    struct scheduler_run row = desk_row(&desk, 1, RUN_READY);
    desk_start(&desk, &row, 1);
    load.incarnation = desk_incarnation;
    load.started_at = T0 + 5;
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_HEARTBEAT, .heartbeat = { &load } });
    assert_string_equal(desk_move(&desk)->incarnation, desk_incarnation);
    desk_moved(&desk, true);
    load.incarnation = other_incarnation;
    load.started_at = T0 + 4;
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_HEARTBEAT, .heartbeat = { &load } });
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_done(&desk);
}

/* After a start the executors get settle_ms to be heard before their runs count as lost. */
static void test_unheard_executor_gets_time(void **state)
{
    struct desk desk;
    struct scheduler_run row;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.next_fire_at = SCHEDULE_NEVER;
    row = desk_row(&desk, 1, RUN_RUNNING);
    desk_start(&desk, &row, 1);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_pass(&desk, 9999);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_pass(&desk, 1);
    assert_int_equal(desk_move(&desk)->to, RUN_RETRY_WAIT);
    desk_done(&desk);
}

static void test_run_that_heartbeats_do_not_list_is_asked_for(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_pass(&desk, 1000);
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    assert_null(desk_find(&desk, ACTION_ASK)); /* it may have been built before */
    desk_pass(&desk, 3000);
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    assert_int_equal(desk_find(&desk, ACTION_ASK)->ask.runs[0].run_id, 1);
    desk_done(&desk);
}

static void test_slots_count_what_the_heartbeat_has_not_seen(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.overlap = OVERLAP_PARALLEL;
    desk.job.overlap_limit = 9;
    dispatch_one(&desk); /* in flight to e1 */
    struct scheduler_run row = desk_row(&desk, 2, RUN_READY);
    desk_heartbeat(&desk, "e1", desk_incarnation, 1, NULL, 0); /* one place, and it is run 1's */
    desk_rows(&desk, 0, &row, 1);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_heartbeat(&desk, "e1", desk_incarnation, 1, &first_run, 1);
    assert_int_equal(desk_move(&desk)->run_id, 2);
    desk_done(&desk);
}

static void test_draining_executor_gets_nothing(void **state)
{
    struct desk desk;
    struct executor_load load = { .name = "e1",
                                  .incarnation = desk_incarnation,
                                  .slots_free = 4,
                                  .slots_total = 4,
                                  .draining = true };
    struct scheduler_run row;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.next_fire_at = SCHEDULE_NEVER;
    row = desk_row(&desk, 1, RUN_READY);
    desk_start(&desk, &row, 1);
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_HEARTBEAT, .heartbeat = { &load } });
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_done(&desk);
}

static void test_pinned_run_waits_for_its_executor(void **state)
{
    struct desk desk;
    struct scheduler_run row;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.next_fire_at = SCHEDULE_NEVER;
    desk.job.route = ROUTE_PINNED;
    memcpy(desk.job.route_executor, "e2", 3);
    row = desk_row(&desk, 1, RUN_READY);
    desk_start(&desk, &row, 1);
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_heartbeat(&desk, "e2", other_incarnation, 4, NULL, 0);
    assert_string_equal(desk_move(&desk)->executor, "e2");
    desk_done(&desk);
}

static void test_ready_too_long_is_shed(void **state)
{
    struct desk desk;
    struct scheduler_run row;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.next_fire_at = SCHEDULE_NEVER;
    desk.job.start_deadline_ms = 5000;
    row = desk_row(&desk, 1, RUN_READY);
    row.due_at = desk.now_ms;
    desk_start(&desk, &row, 1);
    desk_pass(&desk, 4999);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_pass(&desk, 1);
    assert_int_equal(desk_move(&desk)->to, RUN_SHED);
    assert_int_equal(desk_move(&desk)->cause, CAUSE_NO_EXECUTOR);
    desk_done(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_goes_back_with_a_new_token),
        cmocka_unit_test(test_certainly_not_sent_goes_back),
        cmocka_unit_test(test_unanswered_is_asked_for),
        cmocka_unit_test(test_seen_stays),
        cmocka_unit_test(test_answer_of_another_incarnation_does_not_count),
        cmocka_unit_test(test_silent_executor_loses_its_runs),
        cmocka_unit_test(test_lost_too_often_fails),
        cmocka_unit_test(test_at_most_once_becomes_unknown),
        cmocka_unit_test(test_another_incarnation_loses_the_runs_at_once),
        cmocka_unit_test(test_result_that_outlived_its_process_is_awaited),
        cmocka_unit_test(test_late_heartbeat_of_an_older_start_is_ignored),
        cmocka_unit_test(test_unheard_executor_gets_time),
        cmocka_unit_test(test_run_that_heartbeats_do_not_list_is_asked_for),
        cmocka_unit_test(test_slots_count_what_the_heartbeat_has_not_seen),
        cmocka_unit_test(test_draining_executor_gets_nothing),
        cmocka_unit_test(test_pinned_run_waits_for_its_executor),
        cmocka_unit_test(test_ready_too_long_is_shed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
