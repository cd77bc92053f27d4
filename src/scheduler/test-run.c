#include "scheduler/test-support.h"

/* The words of a run's life, and the edges between its states. */

static void test_names_go_both_ways(void **state)
{
    enum run_state found;
    (void)state;

    for (int i = 0; i < RUN_STATE_LIMIT; i++) {
        const char *name = run_state_name((enum run_state)i);
        if (!name)
            continue;
        assert_true(run_state_parse(name, &found));
        assert_int_equal(found, i);
    }
    assert_false(run_state_parse("DONE", &found));
    assert_null(run_state_name((enum run_state)99));
    assert_string_equal(cause_name(CAUSE_MISFIRE_MERGED), "misfire_merged");
    assert_null(cause_name(CAUSE_NONE));
}

static void test_terminal_is_final(void **state)
{
    (void)state;

    for (int from = RUN_SUCCEEDED; from < RUN_STATE_LIMIT; from++)
        for (int to = 0; to < RUN_STATE_LIMIT; to++)
            assert_false(run_edge_legal((enum run_state)from, (enum run_state)to));
}

static void test_edges_of_the_design(void **state)
{
    static const struct {
        enum run_state from, to;
        bool legal;
    } rows[] = {
        { RUN_PLANNED, RUN_READY, true },        { RUN_PLANNED, RUN_DISPATCHED, false },
        { RUN_WAITING, RUN_READY, true },        { RUN_WAITING, RUN_PLANNED, false },
        { RUN_READY, RUN_SHED, true },           { RUN_READY, RUN_RUNNING, false },
        { RUN_DISPATCHED, RUN_READY, true },     { RUN_DISPATCHED, RUN_UNKNOWN, true },
        { RUN_RUNNING, RUN_READY, false },       { RUN_RUNNING, RUN_RETRY_WAIT, true },
        { RUN_RETRY_WAIT, RUN_READY, true },     { RUN_RETRY_WAIT, RUN_FAILED, false },
        { RUN_RETRY_WAIT, RUN_CANCELLED, true }, { RUN_READY, RUN_SKIPPED, false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(run_edge_legal(rows[i].from, rows[i].to), rows[i].legal);
}

/* Along every edge but those that start another token, the rank grows. */
static void test_rank_grows_with_each_edge(void **state)
{
    (void)state;

    for (int from = RUN_PLANNED; from < RUN_STATE_LIMIT; from++)
        for (int to = RUN_PLANNED; to < RUN_STATE_LIMIT; to++) {
            bool new_token = to == RUN_READY && (from == RUN_DISPATCHED || from == RUN_RETRY_WAIT);
            if (run_edge_legal((enum run_state)from, (enum run_state)to) && !new_token)
                assert_true(run_state_rank((enum run_state)to) >
                            run_state_rank((enum run_state)from));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_go_both_ways),
        cmocka_unit_test(test_terminal_is_final),
        cmocka_unit_test(test_edges_of_the_design),
        cmocka_unit_test(test_rank_grows_with_each_edge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
