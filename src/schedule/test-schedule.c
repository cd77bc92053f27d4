#include "schedule/schedule.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NO_WINDOW .not_before_ms = INT64_MIN, .not_after_ms = SCHEDULE_NEVER

static void test_every(void **state)
{
    const struct schedule s = {
        .kind = SCHEDULE_EVERY, .every_ms = 1000, .start_ms = 500, NO_WINDOW
    };

    (void)state;
    assert_int_equal(schedule_next(&s, INT64_MIN), 500);
    assert_int_equal(schedule_next(&s, 499), 500);
    assert_int_equal(schedule_next(&s, 500), 1500);
    assert_int_equal(schedule_next(&s, 1499), 1500);
    assert_int_equal(schedule_next(&s, INT64_MAX - 5), SCHEDULE_NEVER);
    assert_int_equal(schedule_previous(&s, 500), SCHEDULE_NONE);
    assert_int_equal(schedule_previous(&s, 501), 500);
    assert_int_equal(schedule_previous(&s, 1500), 500);
    assert_int_equal(schedule_previous(&s, 1501), 1500);
    assert_int_equal(schedule_count(&s, 500, 3500, 100), 3);
    assert_int_equal(schedule_count(&s, 499, 3500, 100), 4);
    assert_int_equal(schedule_count(&s, INT64_MIN, 3499, 100), 3);
    assert_int_equal(schedule_count(&s, INT64_MIN, INT64_MAX, 7), 7);
}

static void test_every_from_the_ends_of_time(void **state)
{
    struct schedule s = { .kind = SCHEDULE_EVERY, .every_ms = 1000, NO_WINDOW };

    (void)state;
    s.start_ms = INT64_MIN + 10;
    assert_int_equal(schedule_next(&s, INT64_MAX), SCHEDULE_NEVER);
    assert_true(schedule_next(&s, 0) > 0 && schedule_next(&s, 0) <= 1000);
    assert_int_equal(schedule_previous(&s, INT64_MIN), SCHEDULE_NONE);
    s.start_ms = INT64_MAX - 10;
    assert_int_equal(schedule_next(&s, INT64_MIN), INT64_MAX - 10);
    assert_int_equal(schedule_next(&s, INT64_MAX - 10), SCHEDULE_NEVER);
}

static void test_delay(void **state)
{
    struct schedule s = { .kind = SCHEDULE_DELAY, .delay_ms = 5000, NO_WINDOW };

    (void)state;
    assert_int_equal(schedule_next(&s, 0), SCHEDULE_NEVER);
    assert_int_equal(schedule_previous(&s, 1000000), SCHEDULE_NONE);
    assert_int_equal(schedule_count(&s, 0, 1000000, 10), 0);
    assert_int_equal(schedule_next_delay(&s, 1000), 6000);
    assert_int_equal(schedule_next_delay(&s, INT64_MAX - 1), SCHEDULE_NEVER);
    s.not_before_ms = 9000;
    assert_int_equal(schedule_next_delay(&s, 1000), 9000);
    s.not_after_ms = 9999;
    assert_int_equal(schedule_next_delay(&s, 4999), 9999);
    assert_int_equal(schedule_next_delay(&s, 5000), SCHEDULE_NEVER);
}

static void test_at(void **state)
{
    static const int64_t at[] = { -5, 10, 20, 30 };
    struct schedule s = { .kind = SCHEDULE_AT, .at_ms = at, .at_count = 4, NO_WINDOW };

    (void)state;
    assert_int_equal(schedule_next(&s, INT64_MIN), -5);
    assert_int_equal(schedule_next(&s, 9), 10);
    assert_int_equal(schedule_next(&s, 10), 20);
    assert_int_equal(schedule_next(&s, 30), SCHEDULE_NEVER);
    assert_int_equal(schedule_previous(&s, INT64_MIN), SCHEDULE_NONE);
    assert_int_equal(schedule_previous(&s, 10), -5);
    assert_int_equal(schedule_previous(&s, INT64_MAX), 30);
    assert_int_equal(schedule_count(&s, -5, 30, 100), 3);
    s.not_before_ms = 10;
    s.not_after_ms = 20;
    assert_int_equal(schedule_next(&s, INT64_MIN), 10);
    assert_int_equal(schedule_next(&s, 20), SCHEDULE_NEVER);
    assert_int_equal(schedule_previous(&s, INT64_MAX), 20);
    assert_int_equal(schedule_previous(&s, 10), SCHEDULE_NONE);
    assert_int_equal(schedule_count(&s, INT64_MIN, INT64_MAX, 100), 2);
}

static void test_manual(void **state)
{
    const struct schedule s = { .kind = SCHEDULE_MANUAL, NO_WINDOW };

    (void)state;
    assert_int_equal(schedule_check(&s, NULL), 0);
    assert_int_equal(schedule_next(&s, 0), SCHEDULE_NEVER);
    assert_int_equal(schedule_previous(&s, 0), SCHEDULE_NONE);
    assert_int_equal(schedule_count(&s, INT64_MIN, INT64_MAX, 10), 0);
}

static void test_cron_in_a_window(void **state)
{
    struct cron cron;
    struct schedule s = { .kind = SCHEDULE_CRON, .cron = &cron, .zone = zone_utc(), NO_WINDOW };
    const int64_t hour = 3600000;

    (void)state;
    assert_int_equal(cron_parse(STR("0 * * * *"), CRON_UNIX, 0, &cron, NULL), 0);
    s.not_before_ms = 10 * hour;
    s.not_after_ms = 12 * hour + 1;
    assert_int_equal(schedule_next(&s, 0), 10 * hour);
    assert_int_equal(schedule_next(&s, 10 * hour), 11 * hour);
    assert_int_equal(schedule_next(&s, 12 * hour), SCHEDULE_NEVER);
    assert_int_equal(schedule_previous(&s, INT64_MAX), 12 * hour);
    assert_int_equal(schedule_previous(&s, 10 * hour), SCHEDULE_NONE);
    assert_int_equal(schedule_count(&s, INT64_MIN, INT64_MAX, 100), 3);
    assert_int_equal(schedule_count(&s, INT64_MIN, INT64_MAX, 2), 2);
    assert_int_equal(schedule_count(&s, 10 * hour, 12 * hour, 100), 2);
}

static void refused(const struct schedule *s, const char *path)
{
    struct error err = { 0 };

    assert_int_equal(schedule_check(s, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.path, path);
    assert_non_null(message_chinese(err.message));
}

static void test_check(void **state)
{
    static const int64_t twice[] = { 5, 5 };
    struct cron never;
    struct schedule s = { .kind = SCHEDULE_EVERY, .every_ms = 100, NO_WINDOW };

    (void)state;
    assert_int_equal(schedule_check(&s, NULL), 0);
    s.every_ms = 99;
    refused(&s, "every_ms");
    s.every_ms = -1;
    refused(&s, "every_ms");
    s.every_ms = SCHEDULE_EVERY_MAX_MS + 1;
    refused(&s, "every_ms");
    s = (struct schedule){ .kind = SCHEDULE_DELAY, NO_WINDOW };
    refused(&s, "delay_ms");
    s = (struct schedule){ .kind = SCHEDULE_AT, NO_WINDOW };
    refused(&s, "at");
    s.at_ms = twice;
    s.at_count = 2;
    refused(&s, "at");
    s.at_count = 1;
    assert_int_equal(schedule_check(&s, NULL), 0);
    s.not_after_ms = 4;
    refused(&s, "not_after");
    s.not_before_ms = 5;
    refused(&s, "not_after");
    assert_int_equal(cron_parse(STR("0 0 30 2 *"), CRON_UNIX, 0, &never, NULL), 0);
    s = (struct schedule){ .kind = SCHEDULE_CRON, .cron = &never, .zone = zone_utc(), NO_WINDOW };
    refused(&s, "cron");
}

static void test_names(void **state)
{
    enum schedule_kind kind;
    enum cron_dialect dialect;
    enum dst_rule rule;

    (void)state;
    for (int i = SCHEDULE_MANUAL; i <= SCHEDULE_AT; i++) {
        assert_true(schedule_kind_parse(str_of(schedule_kind_name((enum schedule_kind)i)), &kind));
        assert_int_equal(kind, i);
    }
    for (int i = CRON_AUTO; i <= CRON_SPRING; i++) {
        assert_true(cron_dialect_parse(str_of(cron_dialect_name((enum cron_dialect)i)), &dialect));
        assert_int_equal(dialect, i);
    }
    for (int i = DST_ONCE; i <= DST_BOTH; i++) {
        assert_true(dst_rule_parse(str_of(dst_rule_name((enum dst_rule)i)), &rule));
        assert_int_equal(rule, i);
    }
    assert_false(cron_dialect_parse(STR("croner"), &dialect));
    assert_false(dst_rule_parse(STR(""), &rule));
    assert_false(schedule_kind_parse(STR("CRON"), &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every),  cmocka_unit_test(test_every_from_the_ends_of_time),
        cmocka_unit_test(test_delay),  cmocka_unit_test(test_at),
        cmocka_unit_test(test_manual), cmocka_unit_test(test_cron_in_a_window),
        cmocka_unit_test(test_check),  cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
