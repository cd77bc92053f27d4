#include "scheduler/test-support.h"

/* The life of a run from its plan to its end, where nothing goes wrong. */

static void plan_first_fire(struct desk *desk)
{
    desk_start(desk, NULL, 0);
    desk_due(desk, true);
    desk_planned(desk, STORE_OK);
    desk_heartbeat(desk, "e1", desk_incarnation, 4, NULL, 0);
}

static void test_plan_inserts_run_and_advances(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_start(&desk, NULL, 0);
    desk_due(&desk, true);
    const struct action *plan = desk_find(&desk, ACTION_PLAN);
    assert_non_null(plan);
    const struct plan_item *item = plan->plan.items;
    assert_int_equal(item->job_id, 7);
    assert_int_equal(item->next_fire_at, T0 + 1000);
    assert_int_equal(item->new_next_fire_at, T0 + 61000);
    assert_int_equal(item->run_count, 1);
    assert_int_equal(item->runs[0].fire_at, T0 + 1000);
    assert_int_equal(item->runs[0].state, RUN_PLANNED);
    assert_int_equal(item->runs[0].cause, CAUSE_SCHEDULE);
    assert_int_equal(item->gap_count, 0);
    desk_done(&desk);
}

static void test_run_goes_from_fire_to_end(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    plan_first_fire(&desk);
    assert_null(desk_find(&desk, ACTION_MOVE)); /* never early */
    desk_pass(&desk, 999);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_pass(&desk, 1);
    const struct move *move = desk_move(&desk);
    assert_int_equal(move->from, RUN_PLANNED);
    assert_int_equal(move->to, RUN_DISPATCHED);
    assert_true(move->via_ready);
    assert_int_equal(move->new_attempt, 1);
    assert_int_equal(move->new_token, 1);
    assert_int_equal(move->job_version, 1);
    assert_string_equal(move->executor, "e1");
    assert_null(desk_find(&desk, ACTION_DISPATCH)); /* durable before sending */
    desk_moved(&desk, true);
    const struct action *sent = desk_find(&desk, ACTION_DISPATCH);
    assert_non_null(sent);
    assert_string_equal(sent->dispatch.incarnation, desk_incarnation);
    assert_int_equal(sent->dispatch.runs[0].token, 1);
    desk_dispatched(&desk, true, desk_incarnation, DISPATCH_TAKEN);
    desk_report(&desk, (struct report){ .kind = REPORT_RESULT,
                                        .ack = 42,
                                        .run_id = 1,
                                        .attempt = 1,
                                        .token = 1,
                                        .outcome = RUN_SUCCEEDED,
                                        .cause = CAUSE_OK });
    move = desk_move(&desk);
    assert_int_equal(move->to, RUN_SUCCEEDED);
    assert_true(move->via_running);
    assert_null(desk_find(&desk, ACTION_ACK)); /* acknowledged when durable */
    desk_moved(&desk, true);
    const struct action *ack = desk_find(&desk, ACTION_ACK);
    assert_int_equal(ack->ack.ack, 42);
    assert_int_equal(ack->ack.verdict, ACK_TAKEN);
    struct scheduler_counters counters;
    scheduler_counters(desk.scheduler, &counters);
    assert_int_equal(counters.ended, 1);
    assert_int_equal(counters.active, 0);
    desk_done(&desk);
}

/* libevent's timers may ring early; the driver's is then gone, so it must be told again. */
static void test_tick_before_its_time_does_not_lose_the_timer(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    plan_first_fire(&desk);
    desk_pass(&desk, 999);
    const struct action *timer = desk_find(&desk, ACTION_TIMER);
    assert_non_null(timer);
    assert_int_equal(timer->timer.mono_ms, desk.mono_ms + 1);
    desk_pass(&desk, 0); /* the same moment: nothing is due yet */
    timer = desk_find(&desk, ACTION_TIMER);
    assert_non_null(timer);
    assert_int_equal(timer->timer.mono_ms, desk.mono_ms + 1);
    desk_done(&desk);
}

static void test_start_then_result(void **state)
{
    struct desk desk;
    struct report report = {
        .kind = REPORT_START, .ack = 1, .run_id = 1, .attempt = 1, .token = 1
    };
    (void)state;

    desk_init(&desk, NULL);
    plan_first_fire(&desk);
    desk_pass(&desk, 1000);
    desk_moved(&desk, true);
    desk_dispatched(&desk, true, desk_incarnation, DISPATCH_TAKEN);
    desk_report(&desk, report);
    assert_int_equal(desk_move(&desk)->to, RUN_RUNNING);
    desk_moved(&desk, true);
    assert_int_equal(desk_find(&desk, ACTION_ACK)->ack.verdict, ACK_TAKEN);
    report.kind = REPORT_RESULT;
    report.outcome = RUN_SUCCEEDED;
    desk_report(&desk, report);
    assert_false(desk_move(&desk)->via_running);
    desk_moved(&desk, true);
    report.ack = 3; /* once more: of no use, but only the row may say so */
    desk_report(&desk, report);
    assert_null(desk_find(&desk, ACTION_ACK));
    desk_rows(&desk, desk_find(&desk, ACTION_LOAD)->reference, NULL, 0);
    assert_int_equal(desk_find(&desk, ACTION_ACK)->ack.verdict, ACK_STALE);
    desk_done(&desk);
}

static void test_without_room_it_becomes_ready(void **state)
{
    struct desk desk;
    int32_t ahead;
    (void)state;

    desk_init(&desk, NULL);
    desk_start(&desk, NULL, 0);
    desk_due(&desk, true);
    desk_planned(&desk, STORE_OK);
    desk_pass(&desk, 1000);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_pass(&desk, 200);
    assert_int_equal(desk_move(&desk)->to, RUN_READY);
    desk_moved(&desk, true);
    assert_true(scheduler_run_known(desk.scheduler, 1, &ahead));
    assert_int_equal(ahead, 0);
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    const struct move *move = desk_move(&desk);
    assert_int_equal(move->from, RUN_READY);
    assert_int_equal(move->to, RUN_DISPATCHED);
    assert_false(move->via_ready);
    desk_done(&desk);
}

static void test_priority_goes_first(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.overlap = OVERLAP_PARALLEL;
    desk.job.overlap_limit = 10;
    desk.job.next_fire_at = SCHEDULE_NEVER;
    struct scheduler_run rows[] = { desk_row(&desk, 1, RUN_READY), desk_row(&desk, 2, RUN_READY) };
    rows[1].priority = 5;
    desk_start(&desk, rows, 2);
    desk_heartbeat(&desk, "e1", desk_incarnation, 1, NULL, 0);
    assert_int_equal(desk_move(&desk)->run_id, 2);
    desk_done(&desk);
}

static void test_drain_takes_reports_but_starts_nothing(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_DRAIN });
    desk_rows(&desk, 0, (struct scheduler_run[]){ desk_row(&desk, 2, RUN_READY) }, 1);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk_report(&desk, (struct report){ .kind = REPORT_RESULT,
                                        .run_id = 1,
                                        .attempt = 1,
                                        .token = 1,
                                        .outcome = RUN_SUCCEEDED });
    assert_int_equal(desk_move(&desk)->to, RUN_SUCCEEDED);
    desk_done(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_inserts_run_and_advances),
        cmocka_unit_test(test_run_goes_from_fire_to_end),
        cmocka_unit_test(test_tick_before_its_time_does_not_lose_the_timer),
        cmocka_unit_test(test_start_then_result),
        cmocka_unit_test(test_without_room_it_becomes_ready),
        cmocka_unit_test(test_priority_goes_first),
        cmocka_unit_test(test_drain_takes_reports_but_starts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
