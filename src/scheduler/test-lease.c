#include "scheduler/test-support.h"

#include "scheduler/lease.h"

/* Who owns which shard: rounds of lease_plan over the same rows. */

enum { LEASE_MS = 10000 };

static struct lease_row rows[SHARD_COUNT];
static bool changed[SHARD_COUNT];

static int rows_init(void **state)
{
    (void)state;
    memset(rows, 0, sizeof rows);
    return 0;
}

static uint64_t round_of(const char *owner, int32_t count, int32_t rank, int64_t now_ms)
{
    struct lease_peers peers = { .count = count, .rank = rank };

    return lease_plan(rows, owner, owner, &peers, now_ms, LEASE_MS, changed);
}

static int count_bits(uint64_t set)
{
    int count = 0;

    for (; set; set &= set - 1)
        count++;
    return count;
}

static void test_alone_owns_all(void **state)
{
    (void)state;

    assert_true(round_of("a", 1, 0, T0) == UINT64_MAX);
    assert_int_equal(rows[5].epoch, 1);
    assert_int_equal(rows[5].expires_at, T0 + LEASE_MS);
}

static void test_renewal_keeps_the_epoch(void **state)
{
    (void)state;

    round_of("a", 1, 0, T0);
    assert_true(round_of("a", 1, 0, T0 + 2000) == UINT64_MAX);
    assert_int_equal(rows[5].epoch, 1);
    assert_int_equal(rows[5].expires_at, T0 + 2000 + LEASE_MS);
}

static void test_live_rows_of_others_are_left_alone(void **state)
{
    (void)state;

    round_of("a", 1, 0, T0);
    assert_true(round_of("b", 2, 1, T0 + LEASE_MS - 1) == 0);
}

static void test_expired_rows_are_taken_with_a_new_epoch(void **state)
{
    (void)state;

    round_of("a", 1, 0, T0);
    assert_true(round_of("b", 1, 0, T0 + LEASE_MS) == UINT64_MAX);
    assert_int_equal(rows[5].epoch, 2);
    assert_true(round_of("a", 1, 0, T0 + LEASE_MS + 1) == 0);
}

/* The same name after a restart is somebody else. */
static void test_another_incarnation_waits_like_others(void **state)
{
    struct lease_peers peers = { .count = 1 };
    (void)state;

    round_of("a", 1, 0, T0);
    assert_true(lease_plan(rows, "a", "again", &peers, T0 + 1, LEASE_MS, changed) == 0);
}

/* What is given back stays unused and untaken until the end that its owner knows. */
static void test_giving_back_is_not_renewing(void **state)
{
    (void)state;

    round_of("a", 1, 0, T0);
    uint64_t kept = round_of("a", 2, 0, T0 + 1000);
    assert_int_equal(count_bits(kept), SHARD_COUNT - 2);
    assert_int_equal(count_bits(round_of("b", 2, 1, T0 + 1001)), 0);
    assert_int_equal(round_of("a", 2, 0, T0 + 2000) & ~kept, 0); /* two more, not the same again */
    assert_int_equal(count_bits(round_of("b", 2, 1, T0 + LEASE_MS)), 2);
}

static void test_two_share_evenly_in_the_end(void **state)
{
    uint64_t a = 0, b = 0;
    (void)state;

    a = round_of("a", 1, 0, T0);
    for (int64_t now = T0 + 1000; now < T0 + 60000; now += 1000) {
        a = round_of("a", 2, 0, now);
        b = round_of("b", 2, 1, now + 500);
        assert_true((a & b) == 0);
    }
    assert_int_equal(count_bits(a), 32);
    assert_int_equal(count_bits(b), 32);
}

/* The third is counted but never comes: its share is not left lying. */
static void test_nobodys_rows_are_taken_after_a_whole_lease(void **state)
{
    uint64_t a = 0;
    (void)state;

    for (int64_t now = T0; now < T0 + 5 * LEASE_MS; now += 1000)
        a |= round_of("a", 3, 0, now);
    assert_true(a == UINT64_MAX);
}

static void test_share_is_taken_up_again_when_the_other_is_gone(void **state)
{
    uint64_t a = 0;
    (void)state;

    round_of("a", 1, 0, T0);
    for (int64_t now = T0 + 1000; now < T0 + 30000; now += 1000)
        a = round_of("a", 2, 0, now);
    assert_true(count_bits(a) < SHARD_COUNT);
    for (int64_t now = T0 + 30000; now < T0 + 60000; now += 1000)
        a = round_of("a", 1, 0, now);
    assert_true(a == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_alone_owns_all, rows_init),
        cmocka_unit_test_setup(test_renewal_keeps_the_epoch, rows_init),
        cmocka_unit_test_setup(test_live_rows_of_others_are_left_alone, rows_init),
        cmocka_unit_test_setup(test_expired_rows_are_taken_with_a_new_epoch, rows_init),
        cmocka_unit_test_setup(test_another_incarnation_waits_like_others, rows_init),
        cmocka_unit_test_setup(test_giving_back_is_not_renewing, rows_init),
        cmocka_unit_test_setup(test_two_share_evenly_in_the_end, rows_init),
        cmocka_unit_test_setup(test_nobodys_rows_are_taken_after_a_whole_lease, rows_init),
        cmocka_unit_test_setup(test_share_is_taken_up_again_when_the_other_is_gone, rows_init),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
