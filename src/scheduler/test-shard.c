#include "scheduler/test-support.h"

/* Leases: what is ours, what is dropped, and what a read tells. */

static const struct scheduler_settings leased = { .leases = true };

static void lease(struct desk *desk, uint64_t owned, int64_t epoch, int64_t lasts_ms)
{
    struct scheduler_event event = { .kind = EVENT_LEASES };

    event.lease.owned = owned;
    for (int i = 0; i < SHARD_COUNT; i++)
        event.lease.epochs[i] = epoch;
    event.lease.valid_until_mono_ms = desk->mono_ms + lasts_ms;
    desk_step(desk, event);
}

/* Shard 7 is ours with epoch 3 and holds a READY run. */
static void own_shard(struct desk *desk)
{
    struct scheduler_run row = desk_row(desk, 1, RUN_READY);

    desk->job.next_fire_at = SCHEDULE_NEVER;
    desk_tick(desk);
    assert_non_null(desk_find(desk, ACTION_LEASE));
    assert_null(desk_find(desk, ACTION_LOAD));
    lease(desk, UINT64_C(1) << 7, 3, 10000);
    const struct action *load = desk_find(desk, ACTION_LOAD);
    assert_int_equal(load->load.shards, UINT64_C(1) << 7);
    desk_rows(desk, load->reference, &row, 1);
}

static void test_changes_carry_the_epoch(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, &leased);
    own_shard(&desk);
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    assert_int_equal(desk_move(&desk)->epoch, 3);
    desk_done(&desk);
}

static void test_nothing_is_done_when_the_lease_runs_out(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, &leased);
    own_shard(&desk);
    desk_pass(&desk, 9000); /* a tenth of the lease is margin */
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    assert_null(desk_find(&desk, ACTION_MOVE));
    lease(&desk, UINT64_C(1) << 7, 3, 10000); /* same epoch: nobody was there in between */
    assert_int_equal(desk_move(&desk)->run_id, 1);
    desk_done(&desk);
}

static void test_lost_shard_is_forgotten(void **state)
{
    struct desk desk;
    int32_t ahead;
    (void)state;

    desk_init(&desk, &leased);
    own_shard(&desk);
    lease(&desk, 0, 0, 10000);
    assert_false(scheduler_run_known(desk.scheduler, 1, &ahead));
    desk_report(&desk,
                (struct report){ .kind = REPORT_RESULT, .run_id = 1, .attempt = 1, .token = 1 });
    assert_int_equal(desk_find(&desk, ACTION_ACK)->ack.verdict, ACK_NOT_OURS);
    desk_done(&desk);
}

/* Lost and won again between two answers: another may have been there. */
static void test_other_epoch_is_read_again(void **state)
{
    struct desk desk;
    int32_t ahead;
    (void)state;

    desk_init(&desk, &leased);
    own_shard(&desk);
    lease(&desk, UINT64_C(1) << 7, 4, 10000);
    assert_false(scheduler_run_known(desk.scheduler, 1, &ahead));
    assert_int_equal(desk_find(&desk, ACTION_LOAD)->load.shards, UINT64_C(1) << 7);
    desk_done(&desk);
}

static void test_refused_change_reads_the_row_and_the_leases(void **state)
{
    struct desk desk;
    int32_t ahead;
    (void)state;

    desk_init(&desk, &leased);
    own_shard(&desk);
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    desk_moved(&desk, false);
    assert_non_null(desk_find(&desk, ACTION_LEASE));
    const struct action *load = desk_find(&desk, ACTION_LOAD);
    assert_int_equal(load->load.ids[0], 1);
    desk_rows(&desk, load->reference, NULL, 0); /* the row is gone */
    assert_false(scheduler_run_known(desk.scheduler, 1, &ahead));
    desk_done(&desk);
}

/* Hints older than what we have change nothing. */
static void test_older_row_is_ignored(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_running(&desk);
    struct scheduler_run row = desk_row(&desk, 1, RUN_READY);
    desk_rows(&desk, 0, &row, 1);
    assert_null(desk_find(&desk, ACTION_MOVE));
    struct scheduler_counters counters;
    scheduler_counters(desk.scheduler, &counters);
    assert_int_equal(counters.active, 1);
    desk_done(&desk);
}

/* A run whose job row is not known waits for it, and asks. */
static void test_run_of_an_unknown_job_asks_for_its_row(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_start(&desk, NULL, 0);
    desk_heartbeat(&desk, "e1", desk_incarnation, 4, NULL, 0);
    struct scheduler_run row = desk_row(&desk, 1, RUN_READY);
    row.job_id = 71; /* not the desk's job */
    desk_rows(&desk, 0, &row, 1);
    assert_null(desk_find(&desk, ACTION_MOVE));
    assert_int_equal(desk_find(&desk, ACTION_JOBS)->jobs.ids[0], 71);
    desk.job.id = 71;
    desk.job.next_fire_at = SCHEDULE_NEVER;
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_JOB, .job = { &desk.job } });
    assert_int_equal(desk_move(&desk)->to, RUN_DISPATCHED);
    desk_done(&desk);
}

/* An edit may have taken armed runs away: their rows tell. */
static void test_edit_reads_planned_runs_again(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_start(&desk, NULL, 0);
    desk_due(&desk, true);
    desk_planned(&desk, STORE_OK);
    desk.job.schedule_version++;
    desk.job.version++;
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_JOB, .job = { &desk.job } });
    assert_int_equal(desk_find(&desk, ACTION_LOAD)->load.ids[0], 1);
    desk_done(&desk);
}

/* A run that its executor lost is judged by its job's promise, so not before that is known. */
static void test_loss_waits_for_the_job_row(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, NULL);
    desk_start(&desk, NULL, 0);
    struct scheduler_run row = desk_row(&desk, 1, RUN_RUNNING);
    row.job_id = 71;
    desk_rows(&desk, 0, &row, 1);
    desk_heartbeat(&desk, "e1", "ffffffffffffffffffffffffffffffff", 4, NULL, 0);
    assert_null(desk_find(&desk, ACTION_MOVE));
    desk.job.id = 71;
    desk.job.next_fire_at = SCHEDULE_NEVER;
    desk_step(&desk, (struct scheduler_event){ .kind = EVENT_JOB, .job = { &desk.job } });
    desk_heartbeat(&desk, "e1", "ffffffffffffffffffffffffffffffff", 4, NULL, 0);
    assert_int_equal(desk_move(&desk)->to, RUN_RETRY_WAIT);
    desk_done(&desk);
}

/* A timer that is set to the past burns the processor. */
static void test_timer_is_not_set_for_what_has_to_wait(void **state)
{
    struct desk desk;
    (void)state;

    desk_init(&desk, &leased);
    desk_tick(&desk);
    lease(&desk, 0, 0, 10000); /* no shard: nothing to scan */
    assert_in_range(desk_find(&desk, ACTION_TIMER)->timer.mono_ms, desk.mono_ms + 1, INT64_MAX);
    desk_done(&desk);
}

/* The sweep brings to light what no hint told. */
static void test_sweep_reads_every_shard_in_turn(void **state)
{
    struct desk desk;
    uint64_t swept = 0;
    (void)state;

    desk_init(&desk, NULL);
    desk.job.next_fire_at = SCHEDULE_NEVER;
    desk_start(&desk, NULL, 0);
    desk.mono_ms += 60000;
    for (int i = 0; i < SHARD_COUNT; i++) {
        desk_pass(&desk, 1000);
        const struct action *load = desk_find(&desk, ACTION_LOAD);
        swept |= load->load.shards;
        desk_rows(&desk, load->reference, NULL, 0);
    }
    assert_true(swept == UINT64_MAX);
    desk_done(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_carry_the_epoch),
        cmocka_unit_test(test_nothing_is_done_when_the_lease_runs_out),
        cmocka_unit_test(test_lost_shard_is_forgotten),
        cmocka_unit_test(test_other_epoch_is_read_again),
        cmocka_unit_test(test_refused_change_reads_the_row_and_the_leases),
        cmocka_unit_test(test_older_row_is_ignored),
        cmocka_unit_test(test_run_of_an_unknown_job_asks_for_its_row),
        cmocka_unit_test(test_edit_reads_planned_runs_again),
        cmocka_unit_test(test_loss_waits_for_the_job_row),
        cmocka_unit_test(test_timer_is_not_set_for_what_has_to_wait),
        cmocka_unit_test(test_sweep_reads_every_shard_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
