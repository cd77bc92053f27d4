#include "scheduler/test-support.h"

/* A run that comes due while others of its job are there. */

/* Run 1 is RUNNING, run 2 comes due. */
static void second_comes_due(struct desk *desk, enum overlap_policy policy)
{
    desk->job.overlap = policy;
    desk_running(desk);
    struct scheduler_run row = desk_row(desk, 2, RUN_PLANNED);
    desk_rows(desk, 0, &row, 1);
}

static void end_first(struct desk *desk)
{
    desk_report(desk, (struct report){ .kind = REPORT_RESULT,
                                       .run_id = 1,
                                       .attempt = 1,
                                       .token = 1,
                                       .outcome = RUN_SUCCEEDED });
    desk_moved(desk, true);
}

static void test_skip(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    second_comes_due(&desk, OVERLAP_SKIP);
    assert_int_equal(desk_move(&desk)->to, RUN_SKIPPED);
    assert_int_equal(desk_move(&desk)->cause, CAUSE_OVERLAP);
    desk_done(&desk);
}

static void test_queue_waits_for_its_turn(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.overlap_limit = 2;
    second_comes_due(&desk, OVERLAP_QUEUE);
    assert_int_equal(desk_move(&desk)->to, RUN_WAITING);
    desk_moved(&desk, true);
    end_first(&desk);
    const struct move *move = desk_move(&desk);
    assert_int_equal(move->run_id, 2);
    assert_int_equal(move->from, RUN_WAITING);
    assert_int_equal(move->to, RUN_DISPATCHED);
    assert_true(move->via_ready);
    desk_done(&desk);
}

static void test_queue_in_order_of_fire(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.overlap = OVERLAP_QUEUE;
    desk.job.overlap_limit = 5;
    desk.job.next_fire_at = SCHEDULE_NEVER;
    struct scheduler_run rows[] = { desk_row(&desk, 2, RUN_WAITING),
                                    desk_row(&desk, 3, RUN_WAITING) };
    rows[0].fire_at = T0 - 1000;
    rows[1].fire_at = T0 - 2000;
    desk_start(&desk, rows, 2);
    desk_heartbeat(&desk, "e1", desk_incarnation, 9, NULL, 0);
    assert_int_equal(desk_move(&desk)->run_id, 3);
    desk_done(&desk);
}

static void test_queue_full(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.overlap_limit = 1;
    second_comes_due(&desk, OVERLAP_QUEUE);
    desk_moved(&desk, true);
    struct scheduler_run row = desk_row(&desk, 3, RUN_PLANNED);
    desk_rows(&desk, 0, &row, 1);
    assert_int_equal(desk_move(&desk)->to, RUN_SKIPPED);
    assert_int_equal(desk_move(&desk)->cause, CAUSE_QUEUE_FULL);
    desk_done(&desk);
}

static void test_replace_stops_the_older(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    second_comes_due(&desk, OVERLAP_REPLACE);
    assert_int_equal(desk_move(&desk)->to, RUN_WAITING);
    desk_tick(&desk);
    const struct action *kill = desk_find(&desk, ACTION_KILL);
    assert_int_equal(kill->kill.run.run_id, 1);
    assert_int_equal(kill->kill.cause, CAUSE_REPLACED);
    desk_done(&desk);
}

static void test_replace_cancels_the_older_that_waits(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    second_comes_due(&desk, OVERLAP_REPLACE);
    desk_moved(&desk, true);
    struct scheduler_run row = desk_row(&desk, 3, RUN_PLANNED);
    desk_rows(&desk, 0, &row, 1);
    const struct action *action = desk_find(&desk, ACTION_MOVE);
    assert_int_equal(action->move.count, 2);
    assert_int_equal(action->move.moves[0].run_id, 2);
    assert_int_equal(action->move.moves[0].to, RUN_CANCELLED);
    assert_int_equal(action->move.moves[0].cause, CAUSE_REPLACED);
    assert_int_equal(action->move.moves[1].to, RUN_WAITING);
    desk_done(&desk);
}

/* Who takes a shard over knows from the rows alone that a WAITING run replaces an active one. */
static void test_replace_goes_on_after_take_over(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.overlap = OVERLAP_REPLACE;
    desk.job.next_fire_at = SCHEDULE_NEVER;
    struct scheduler_run rows[] = { desk_row(&desk, 1, RUN_RUNNING),
                                    desk_row(&desk, 2, RUN_WAITING) };
    desk_start(&desk, rows, 2);
    desk_tick(&desk);
    assert_int_equal(desk_find(&desk, ACTION_KILL)->kill.run.run_id, 1);
    desk_done(&desk);
}

static void test_parallel_up_to_its_limit(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.overlap_limit = 2;
    second_comes_due(&desk, OVERLAP_PARALLEL);
    assert_int_equal(desk_move(&desk)->to, RUN_DISPATCHED);
    desk_moved(&desk, true);
    struct scheduler_run row = desk_row(&desk, 3, RUN_PLANNED);
    desk_rows(&desk, 0, &row, 1);
    assert_int_equal(desk_move(&desk)->to, RUN_SKIPPED);
    desk_done(&desk);
}

/* Two that come due in the same step see each other. */
static void test_two_at_once(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.next_fire_at = SCHEDULE_NEVER;
    desk_start(&desk, NULL, 0);
    desk_heartbeat(&desk, "e1", desk_incarnation, 9, NULL, 0);
    struct scheduler_run rows[] = { desk_row(&desk, 1, RUN_PLANNED),
                                    desk_row(&desk, 2, RUN_PLANNED) };
    desk_rows(&desk, 0, rows, 2);
    const struct action *action = desk_find(&desk, ACTION_MOVE);
    assert_int_equal(action->move.count, 2);
    assert_int_equal(action->move.moves[0].to, RUN_SKIPPED);
    assert_int_equal(action->move.moves[0].run_id, 2);
    assert_int_equal(action->move.moves[1].to, RUN_DISPATCHED);
    desk_done(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_queue_waits_for_its_turn),
        cmocka_unit_test(test_queue_in_order_of_fire),
        cmocka_unit_test(test_queue_full),
        cmocka_unit_test(test_replace_stops_the_older),
        cmocka_unit_test(test_replace_cancels_the_older_that_waits),
        cmocka_unit_test(test_replace_goes_on_after_take_over),
        cmocka_unit_test(test_parallel_up_to_its_limit),
        cmocka_unit_test(test_two_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
