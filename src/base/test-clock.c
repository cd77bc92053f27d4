#include "base/clock.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_time_parse_rows(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } rows[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00.250Z", 250 },
        { "1970-01-01T00:00:00.123456789Z", 123 },
        { "2026-11-25T09:30:00+08:00", INT64_C(1795570200000) },
        { "2026-11-25T01:30:00Z", INT64_C(1795570200000) },
        { "2026-11-24T18:00:00-07:30", INT64_C(1795570200000) },
        { "2024-02-29T00:00:00Z", INT64_C(1709164800000) },
        { "2026-02-29T00:00:00Z", -1 },
        { "2026-02-30T00:00:00Z", -1 },
        { "2026-00-10T00:00:00Z", -1 },
        { "2026-13-10T00:00:00Z", -1 },
        { "2026-11-25T24:00:00Z", -1 },
        { "2026-11-25T09:60:00Z", -1 },
        { "2026-11-25T09:30:60Z", -1 },
        { "2026-11-25T09:30:00", -1 },       /* which zone? */
        { "2026-11-25", -1 },
        { "2026-11-25T09:30Z", -1 },
        { "2026-11-25T09:30:00.Z", -1 },
        { "2026-11-25T09:30:00.1234567890Z", -1 },
        { "2026-11-25T09:30:00+0800", -1 },
        { "2026-11-25T09:30:00+24:00", -1 },
        { " 2026-11-25T09:30:00Z", -1 },
        { "2026-11-25T09:30:00Z ", -1 },
        { "２026-11-25T09:30:00Z", -1 },
        { "1969-12-31T23:59:59Z", -1 },
        { "2200-01-01T00:00:00Z", -1 },
        { "", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t time_ms = -1;
        bool good = time_parse(str_of(rows[i].text), &time_ms);

        if (good != (rows[i].want >= 0) || time_ms != rows[i].want)
            fail_msg("%s: %d, %lld", rows[i].text, good, (long long)time_ms);
    }
}

static void test_time_format_rows(void **state)
{
    char text[TIME_TEXT_SIZE];

    (void)state;
    assert_string_equal(time_format_utc(0, text), "1970-01-01T00:00:00Z");
    assert_string_equal(time_format_utc(250, text), "1970-01-01T00:00:00.250Z");
    assert_string_equal(time_format_utc(7, text), "1970-01-01T00:00:00.007Z");
    assert_string_equal(time_format_utc(-1, text), "1969-12-31T23:59:59.999Z");
    assert_string_equal(time_format(INT64_C(1795570200000), 8 * 3600, text),
                        "2026-11-25T09:30:00+08:00");
    assert_string_equal(time_format(INT64_C(1795570200000), -(7 * 3600 + 1800), text),
                        "2026-11-24T18:00:00-07:30");
}

static void test_time_there_and_back(void **state)
{
    char text[TIME_TEXT_SIZE];
    int64_t back;

    (void)state;
    for (int64_t time_ms = 0; time_ms < INT64_C(7258118400000); time_ms += INT64_C(7777777777)) {
        int offset_s = (int)(time_ms / 7777777777 % 28 - 14) * 1800;

        assert_true(time_parse(str_of(time_format(time_ms, offset_s, text)), &back) ||
                    time_ms < 86400000);
        if (time_ms >= 86400000)
            assert_int_equal(back, time_ms);
    }
}

/* Day by day over 400 years, the period of the calendar. */
static void test_civil_days_one_by_one(void **state)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t days = days_from_civil(1900, 1, 1), year;
    int month, day;

    (void)state;
    assert_int_equal(days_from_civil(1970, 1, 1), 0);
    for (int y = 1900; y < 2300; y++) {
        bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        for (int m = 1; m <= 12; m++) {
            int length = lengths[m - 1] + (m == 2 && leap);
            for (int d = 1; d <= length; d++, days++) {
                assert_int_equal(days_from_civil(y, m, d), days);
                civil_from_days(days, &year, &month, &day);
                assert_true(year == y && month == m && day == d);
            }
        }
    }
}

static void test_clock_goes_forward(void **state)
{
    int64_t wall = clock_wall_ms(), mono = clock_mono_ms();

    (void)state;
    assert_true(wall > INT64_C(1700000000000));
    assert_true(clock_mono_ms() >= mono);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_parse_rows),
        cmocka_unit_test(test_time_format_rows),
        cmocka_unit_test(test_time_there_and_back),
        cmocka_unit_test(test_civil_days_one_by_one),
        cmocka_unit_test(test_clock_goes_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
