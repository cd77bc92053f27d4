#include "job-admin/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define HOUR INT64_C(3600000)
#define TASK "\"task\": {\"http\": {\"url\": \"http://127.0.0.1/\"}}"

struct fixture {
    struct arena *arena;
    struct zone_set *zones;
};

static int fixture_new(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){ .arena = arena_new(), .zones = zone_set_new(NULL) };
    *state = &fixture;
    return 0;
}

static int fixture_free(void **state)
{
    struct fixture *fixture = *state;

    arena_free(&fixture->arena);
    zone_set_free(&fixture->zones);
    return 0;
}

static int job_of(struct fixture *fixture, const char *json, struct job *ret_job, struct error *err)
{
    job_defaults(ret_job);
    if (json_read(str_of(json), 65536, &job_table, fixture->arena, ret_job, err))
        return -1;
    return job_check(ret_job, fixture->zones, "Asia/Shanghai", NOW, fixture->arena, err);
}

static struct job *good_job(struct fixture *fixture, const char *json)
{
    struct job *job = ARENA_NEW(fixture->arena, struct job);
    struct error err;

    if (job_of(fixture, json, job, &err))
        fail_msg("%s: %s", err.path, error_english(&err));
    return job;
}

static void test_defaults(void **state)
{
    struct job *job = good_job(*state, "{\"name\": \"a\", \"schedule\": {\"manual\": {}}, " TASK "}");

    assert_string_equal(job->group, "default");
    assert_true(job->enabled);
    assert_int_equal(job->misfire.policy, MISFIRE_ONCE);
    assert_int_equal(job->misfire.threshold_ms, 5000);
    assert_int_equal(job->overlap.policy, OVERLAP_SKIP);
    assert_int_equal(job->promise, PROMISE_AT_LEAST_ONCE);
    assert_int_equal(job->retry.max, 0);
    assert_int_equal(job->retry.lost_max, 5);
}

static void test_cron_is_stored_as_resolved(void **state)
{
    struct job *job = good_job(
        *state, "{\"name\": \"a\", \"schedule\": {\"cron\": {\"expression\": \"0  9 * * 1-5\"}}, " TASK
                "}");

    assert_int_equal(job->schedule.cron->dialect, CRON_UNIX);
    assert_string_equal(job->schedule.cron->expression, "0 9 * * 1-5");
    assert_string_equal(job->schedule.cron->zone, "Asia/Shanghai");
}

static void test_definition_comes_back(void **state)
{
    struct fixture *fixture = *state;
    struct job again = { 0 };
    struct error err;
    struct job *job = good_job(
        fixture, "{\"name\": \"日终\", \"tags\": [\"a\", \"b\"], \"parameters\": {\"x\": \"1\"}, "
                 "\"schedule\": {\"every\": {\"interval_ms\": 1000}, \"until\": "
                 "\"2030-01-01T00:00:00Z\"}, \"enabled\": false, " TASK "}");

    job->id = 5;
    job->version = 3;
    char *definition = job_definition(job, fixture->arena);
    assert_null(strstr(definition, "\"version\":3")); /* of the row, not of the definition */
    assert_int_equal(job_definition_read(&again, definition, fixture->arena, &err), 0);
    assert_string_equal(definition, job_definition(&again, fixture->arena));
    assert_int_equal(again.schedule.every->start, NOW);
    assert_false(again.enabled);
}

static void test_what_changes_the_fires(void **state)
{
    struct fixture *fixture = *state;
    struct job *a = good_job(fixture, "{\"name\": \"a\", \"schedule\": {\"cron\": {\"expression\": "
                                      "\"0 9 * * *\"}}, " TASK "}");
    struct job *same = good_job(fixture, "{\"name\": \"b\", \"priority\": 3, \"schedule\": {\"cron\": "
                                         "{\"expression\": \"0 9 * * *\", \"dialect\": \"unix\"}}, " TASK
                                         "}");
    struct job *zone = good_job(fixture, "{\"name\": \"a\", \"schedule\": {\"cron\": {\"expression\": "
                                         "\"0 9 * * *\", \"zone\": \"UTC\"}}, " TASK "}");

    assert_false(job_schedule_differs(a, same, fixture->arena));
    assert_true(job_schedule_differs(a, zone, fixture->arena));
}

static void test_h_depends_on_the_id_alone(void **state)
{
    struct fixture *fixture = *state;
    struct job *job = good_job(fixture, "{\"name\": \"a\", \"schedule\": {\"cron\": {\"expression\": "
                                        "\"H H * * *\", \"zone\": \"UTC\"}}, " TASK "}");
    int64_t next[3];
    struct error err;

    for (int i = 0; i < 3; i++) {
        struct job_entry *entry;
        job->id = i == 2 ? 1 : i + 1;
        assert_int_equal(job_entry_new(job, fixture->zones, &entry, &err), 0);
        next[i] = job_entry_next(entry, NOW);
        job_entry_free(&entry);
    }
    assert_int_not_equal(next[0], next[1]);
    assert_int_equal(next[0], next[2]);
}

static void test_delay_counts_from_what_it_is_given(void **state)
{
    struct fixture *fixture = *state;
    struct job *job = good_job(fixture, "{\"name\": \"a\", \"schedule\": {\"delay\": {\"delay_ms\": "
                                        "3600000}}, " TASK "}");
    struct job_entry *entry;
    struct error err;

    assert_int_equal(job_entry_new(job, fixture->zones, &entry, &err), 0);
    assert_int_equal(job_entry_next(entry, NOW), NOW + HOUR);
    job_entry_free(&entry);
}

#define PAST \
    "\"name\": \"a\", \"schedule\": {\"at\": {\"times\": [\"2001-01-01T00:00:00Z\"]}}, " TASK "}"

static void test_a_disabled_job_may_never_fire(void **state)
{
    struct fixture *fixture = *state;
    struct job job = { 0 };
    struct error err;

    assert_int_equal(job_of(fixture, "{" PAST, &job, &err), -1);
    assert_string_equal(err.path, "schedule");
    good_job(fixture, "{\"enabled\": false, " PAST);
}

static void test_errors_speak_chinese(void **state)
{
    struct fixture *fixture = *state;
    struct job job = { 0 };
    struct error err;
    char text[200];

    assert_int_equal(job_of(fixture, "{\"name\": \"a/b\", \"schedule\": {\"manual\": {}}, " TASK "}",
                            &job, &err), -1);
    assert_string_equal(err.path, "name");
    assert_string_equal(error_text(&err, LANGUAGE_ZH, text, sizeof text), "名称不能包含 \"/\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_cron_is_stored_as_resolved),
        cmocka_unit_test(test_definition_comes_back),
        cmocka_unit_test(test_what_changes_the_fires),
        cmocka_unit_test(test_h_depends_on_the_id_alone),
        cmocka_unit_test(test_delay_counts_from_what_it_is_given),
        cmocka_unit_test(test_a_disabled_job_may_never_fire),
        cmocka_unit_test(test_errors_speak_chinese),
    };

    return cmocka_run_group_tests_name("job", tests, fixture_new, fixture_free);
}
