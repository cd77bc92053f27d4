#include "scheduler/test-support.h"

/* From next_fire_at to runs, gaps and the next next_fire_at. The job fires at T0 + 1 s and then
 * every minute. */

enum { MINUTE = 60000 };

/* What is planned when the scheduler sees the job late_ms after its next fire. */
static const struct plan_item *plan_late(struct desk *desk, int64_t late_ms)
{
    desk->now_ms = desk->job.next_fire_at + late_ms;
    desk_start(desk, NULL, 0);
    desk_due(desk, true);
    const struct action *plan = desk_find(desk, ACTION_PLAN);
    assert_non_null(plan);
    return plan->plan.items;
}

static void delay_job(struct desk *desk, int64_t delay_ms)
{
    desk->schedule = (struct schedule){ .kind = SCHEDULE_DELAY,
                                        .delay_ms = delay_ms,
                                        .not_before_ms = INT64_MIN,
                                        .not_after_ms = SCHEDULE_NEVER };
}

static void test_a_little_late_is_not_a_misfire(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    const struct plan_item *item = plan_late(&desk, 5000);
    assert_int_equal(item->run_count, 1);
    assert_int_equal(item->runs[0].cause, CAUSE_SCHEDULE);
    desk_done(&desk);
}

static void test_once_runs_the_newest_missed(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    const struct plan_item *item = plan_late(&desk, 10 * MINUTE + 10000);
    assert_int_equal(item->run_count, 1);
    assert_int_equal(item->runs[0].fire_at, T0 + 1000 + 10 * MINUTE);
    assert_int_equal(item->runs[0].cause, CAUSE_MISFIRE);
    assert_int_equal(item->gap_count, 1);
    assert_int_equal(item->gaps[0].from_ms, T0 + 1000);
    assert_int_equal(item->gaps[0].to_ms, T0 + 1000 + 9 * MINUTE);
    assert_int_equal(item->gaps[0].count, 10);
    assert_int_equal(item->gaps[0].cause, CAUSE_MISFIRE_MERGED);
    assert_int_equal(item->new_next_fire_at, T0 + 1000 + 11 * MINUTE);
    desk_done(&desk);
}

static void test_once_with_a_single_miss_has_no_gap(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    const struct plan_item *item = plan_late(&desk, 5001);
    assert_int_equal(item->runs[0].cause, CAUSE_MISFIRE);
    assert_int_equal(item->gap_count, 0);
    desk_done(&desk);
}

static void test_all_runs_the_newest_up_to_its_limit(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.misfire = MISFIRE_ALL;
    desk.job.misfire_limit = 3;
    const struct plan_item *item = plan_late(&desk, 10 * MINUTE + 10000);
    assert_int_equal(item->run_count, 3);
    assert_int_equal(item->runs[0].fire_at, T0 + 1000 + 8 * MINUTE);
    assert_int_equal(item->runs[2].fire_at, T0 + 1000 + 10 * MINUTE);
    assert_int_equal(item->gaps[0].count, 8);
    assert_int_equal(item->gaps[0].to_ms, T0 + 1000 + 7 * MINUTE);
    assert_int_equal(item->gaps[0].cause, CAUSE_MISFIRE_LIMIT);
    desk_done(&desk);
}

/* What does not fit into one item comes with the next, and nothing between them is dropped. */
static void test_all_goes_on_in_the_next_item(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, &(struct scheduler_settings){ .fires_per_plan = 2 });
    desk.job.misfire = MISFIRE_ALL;
    desk.job.misfire_limit = 3;
    const struct plan_item *item = plan_late(&desk, 2 * MINUTE + 10000);
    assert_int_equal(item->run_count, 2);
    assert_int_equal(item->gap_count, 0);
    assert_int_equal(item->new_next_fire_at, T0 + 1000 + 2 * MINUTE);
    desk_planned(&desk, STORE_OK);
    item = desk_find(&desk, ACTION_PLAN)->plan.items;
    assert_int_equal(item->run_count, 1);
    assert_int_equal(item->runs[0].fire_at, T0 + 1000 + 2 * MINUTE);
    assert_int_equal(item->gap_count, 0);
    desk_done(&desk);
}

static void test_skip_of_one_is_a_row(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.misfire = MISFIRE_SKIP;
    const struct plan_item *item = plan_late(&desk, 6000);
    assert_int_equal(item->run_count, 1);
    assert_int_equal(item->runs[0].state, RUN_SKIPPED);
    assert_int_equal(item->runs[0].cause, CAUSE_MISFIRE_SKIPPED);
    desk_done(&desk);
}

static void test_skip_of_many_is_a_gap(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.misfire = MISFIRE_SKIP;
    const struct plan_item *item = plan_late(&desk, MINUTE + 6000);
    assert_int_equal(item->run_count, 0);
    assert_int_equal(item->gaps[0].count, 2);
    assert_int_equal(item->gaps[0].cause, CAUSE_MISFIRE_SKIPPED);
    desk_done(&desk);
}

/* Ten years of a job that fires ten times a second: counted, not walked. */
static void test_a_long_outage_costs_no_more(void **state)
{
    struct desk desk;
    int64_t years = INT64_C(10) * 365 * 86400000;
    (void)state;

    desk_init(&desk, NULL);
    desk.schedule.every_ms = 100;
    const struct plan_item *item = plan_late(&desk, years);
    assert_int_equal(item->runs[0].cause, CAUSE_MISFIRE);
    assert_int_equal(item->gaps[0].count + 1 + 51, years / 100 + 1); /* 51 are not yet too late */
    desk_done(&desk);
}

static void test_pause_jumps_what_lies_in_it(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.paused_at = T0;
    desk.job.paused_until = T0 + 10 * MINUTE;
    const struct plan_item *item = plan_late(&desk, 0);
    assert_int_equal(item->run_count, 0);
    assert_int_equal(item->gap_count, 0); /* it is not over, and may change */
    assert_false(item->clear_pause);
    assert_int_equal(item->new_next_fire_at, T0 + 1000 + 10 * MINUTE);
    desk_done(&desk);
}

static void test_first_plan_after_a_pause_writes_its_gap(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.paused_at = T0;
    desk.job.paused_until = T0 + 10 * MINUTE;
    desk.job.next_fire_at = T0 + 1000 + 10 * MINUTE;
    const struct plan_item *item = plan_late(&desk, 0);
    assert_true(item->clear_pause);
    assert_int_equal(item->gaps[0].cause, CAUSE_PAUSED);
    assert_int_equal(item->gaps[0].count, 10);
    assert_int_equal(item->gaps[0].from_ms, T0 + 1000);
    assert_int_equal(item->gaps[0].to_ms, T0 + 1000 + 9 * MINUTE);
    assert_int_equal(item->run_count, 1);
    desk_done(&desk);
}

/* Fires that were due before the pause began are not its business. */
static void test_fires_before_a_pause_are_planned(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.paused_at = T0 + 2000;
    desk.job.paused_until = T0 + 10 * MINUTE;
    const struct plan_item *item = plan_late(&desk, 3000);
    assert_int_equal(item->run_count, 1);
    assert_int_equal(item->runs[0].fire_at, T0 + 1000);
    assert_int_equal(item->new_next_fire_at, T0 + 1000 + 10 * MINUTE);
    desk_done(&desk);
}

static void test_delay_job_is_parked_until_its_run_ends(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    delay_job(&desk, 30000);
    const struct plan_item *item = plan_late(&desk, 0);
    assert_int_equal(item->new_next_fire_at, SCHEDULE_NEVER);
    desk_planned(&desk, STORE_OK);
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    desk_moved(&desk, true);
    desk_dispatched(&desk, true, desk_incarnation, DISPATCH_TAKEN);
    desk.now_ms += 2000;
    desk_report(&desk, (struct report){ .kind = REPORT_RESULT,
                                        .run_id = 1,
                                        .attempt = 1,
                                        .token = 1,
                                        .ended_at = desk.now_ms - 500,
                                        .outcome = RUN_FAILED,
                                        .cause = CAUSE_EXIT_CODE });
    assert_int_equal(desk_move(&desk)->set_next_fire_at, desk.now_ms - 500 + 30000);
    assert_int_equal(desk_move(&desk)->schedule_version, 1);
    desk_done(&desk);
}

/* Cancelled ahead of its time, it leaves a row at that time: the next fire must be another. */
static void test_delay_fires_only_grow(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    delay_job(&desk, 100);
    plan_late(&desk, -3000);
    desk_planned(&desk, STORE_OK);
    desk_stop(&desk, 1);
    assert_int_equal(desk_move(&desk)->to, RUN_CANCELLED);
    assert_int_equal(desk_move(&desk)->set_next_fire_at, T0 + 1000 + 1);
    desk_done(&desk);
}

/* Its run was ended by another node, which left the next fire to us. */
static void test_stranded_delay_job_is_set_going(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    delay_job(&desk, 30000);
    desk_running(&desk);
    struct scheduler_run row = desk_row(&desk, 1, RUN_SUCCEEDED);
    row.attempt = row.token = 1;
    desk_rows(&desk, 0, &row, 1);
    const struct action *plan = desk_find(&desk, ACTION_PLAN);
    assert_non_null(plan);
    assert_int_equal(plan->plan.items[0].next_fire_at, SCHEDULE_NEVER);
    assert_int_equal(plan->plan.items[0].new_next_fire_at, desk.now_ms + 30000);
    assert_int_equal(plan->plan.items[0].run_count, 0);
    desk_planned(&desk, STORE_CONFLICT); /* the other one has set it after all */
    assert_null(desk_find(&desk, ACTION_PLAN));
    desk_done(&desk);
}

static void test_row_without_schedule_is_counted_and_left(void **state)
{
    struct desk desk;
    struct scheduler_counters counters;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.schedule = NULL;
    desk_start(&desk, NULL, 0);
    desk_due(&desk, true);
    assert_null(desk_find(&desk, ACTION_PLAN));
    desk.job.misfire = (enum misfire_policy)77;
    desk_pass(&desk, 1000);
    desk_due(&desk, true);
    scheduler_counters(desk.scheduler, &counters);
    assert_int_equal(counters.bad_rows, 1);
    desk_done(&desk);
}

/* Rows that can never be planned come first in every scan: it must look past them. */
static void test_scan_looks_past_rows_it_cannot_plan(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.schedule = NULL;
    desk_start(&desk, NULL, 0);
    uint32_t limit = desk_find(&desk, ACTION_SCAN)->scan.limit;
    desk_due(&desk, true);
    desk_pass(&desk, 1000);
    assert_int_equal(desk_find(&desk, ACTION_SCAN)->scan.limit, limit + 1);
    desk_done(&desk);
}

static void test_conflict_reads_again(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    plan_late(&desk, 0);
    desk_planned(&desk, STORE_CONFLICT);
    assert_null(desk_find(&desk, ACTION_PLAN));
    assert_non_null(desk_find(&desk, ACTION_SCAN));
    desk_done(&desk);
}

/* An unknown commit: the runs may be there, so the shard is read, and the job by a scan. */
static void test_unknown_plan_reads_the_shard(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    plan_late(&desk, 0);
    desk_planned(&desk, STORE_UNKNOWN);
    assert_null(desk_find(&desk, ACTION_LOAD)); /* the store just failed: wait a moment */
    desk_pass(&desk, 50);
    assert_int_equal(desk_find(&desk, ACTION_LOAD)->load.shards, UINT64_C(1) << 7);
    assert_non_null(desk_find(&desk, ACTION_SCAN));
    desk_done(&desk);
}

/* A scan that was asked for before a plan shows the row as it was before it. */
static void test_old_scan_does_not_plan_again(void **state)
{
    struct desk desk;
    struct scheduler_job *row;
    (void)state;

    desk_init(&desk, NULL);
    plan_late(&desk, 0);
    struct action plan = *desk_find(&desk, ACTION_PLAN);
    struct scheduler_job old = desk.job;
    row = &old;
    desk_pass(&desk, 1000);
    uint64_t scan = desk_find(&desk, ACTION_SCAN)->reference;
    int64_t id = 1;
    struct plan_answer one = { .run_ids = &id };
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_PLANNED,
                                               .reference = plan.reference,
                                               .planned = { .items = &one, .count = 1 } });
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_DUE,
                                               .reference = scan,
                                               .due = { .jobs = &row, .count = 1 } });
    assert_null(desk_find(&desk, ACTION_PLAN));
    desk_done(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_little_late_is_not_a_misfire),
        cmocka_unit_test(test_once_runs_the_newest_missed),
        cmocka_unit_test(test_once_with_a_single_miss_has_no_gap),
        cmocka_unit_test(test_all_runs_the_newest_up_to_its_limit),
        cmocka_unit_test(test_all_goes_on_in_the_next_item),
        cmocka_unit_test(test_skip_of_one_is_a_row),
        cmocka_unit_test(test_skip_of_many_is_a_gap),
        cmocka_unit_test(test_a_long_outage_costs_no_more),
        cmocka_unit_test(test_pause_jumps_what_lies_in_it),
        cmocka_unit_test(test_first_plan_after_a_pause_writes_its_gap),
        cmocka_unit_test(test_fires_before_a_pause_are_planned),
        cmocka_unit_test(test_delay_job_is_parked_until_its_run_ends),
        cmocka_unit_test(test_delay_fires_only_grow),
        cmocka_unit_test(test_stranded_delay_job_is_set_going),
        cmocka_unit_test(test_row_without_schedule_is_counted_and_left),
        cmocka_unit_test(test_scan_looks_past_rows_it_cannot_plan),
        cmocka_unit_test(test_conflict_reads_again),
        cmocka_unit_test(test_unknown_plan_reads_the_shard),
        cmocka_unit_test(test_old_scan_does_not_plan_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
