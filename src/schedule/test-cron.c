#include "schedule/schedule.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
    enum cron_dialect dialect;
    enum dst_rule dst;
    const char *expression, *zone, *from;
    const char *fires[6]; /* "never": no more */
};

/* What other engines lose or double; the numbers are issues of theirs. */
static const struct row traps[] = {
    /* Quartz 2.5.0 (#1298, #1322, #1363): L in short months, W on a weekend */
    { CRON_QUARTZ, DST_ONCE, "0 0 23 L * ?", "UTC", "2026-12-01T00:00:00Z",
      { "2026-12-31T23:00:00+00:00", "2027-01-31T23:00:00+00:00", "2027-02-28T23:00:00+00:00",
        "2027-03-31T23:00:00+00:00", "2027-04-30T23:00:00+00:00", "2027-05-31T23:00:00+00:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 15 23 L 9 ?", "UTC", "2026-01-01T00:00:00Z",
      { "2026-09-30T23:15:00+00:00", "2027-09-30T23:15:00+00:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 6 15W * ?", "UTC", "2026-08-01T00:00:00Z",
      { "2026-08-14T06:00:00+00:00", "2026-09-15T06:00:00+00:00", "2026-10-15T06:00:00+00:00",
        "2026-11-16T06:00:00+00:00" } },
    /* Quartz 2.5.2: keeps the time of day when it jumps to a W day; loses the rest of a moved day */
    { CRON_QUARTZ, DST_ONCE, "0 0 * LW * ?", "UTC", "2026-07-15T04:19:00Z",
      { "2026-07-31T00:00:00+00:00", "2026-07-31T01:00:00+00:00", "2026-07-31T02:00:00+00:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 8,12,18 15W * ?", "Asia/Shanghai", "2026-11-01T00:00:00Z",
      { "2026-11-16T08:00:00+08:00", "2026-11-16T12:00:00+08:00", "2026-11-16T18:00:00+08:00",
        "2026-12-15T08:00:00+08:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 9 1W,15W * ?", "UTC", "2026-08-01T00:00:00Z",
      { "2026-08-03T09:00:00+00:00", "2026-08-14T09:00:00+00:00", "2026-09-01T09:00:00+00:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 9 15W,L * ?", "UTC", "2026-08-01T00:00:00Z",
      { "2026-08-14T09:00:00+00:00", "2026-08-31T09:00:00+00:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 9 L-1W,L-1 * ?", "UTC", "2026-05-01T00:00:00Z",
      { "2026-05-29T09:00:00+00:00", "2026-05-30T09:00:00+00:00", "2026-06-29T09:00:00+00:00" } },
    /* Quartz 2.3: 31W clamps to the last day, 30W in February fires on the 29th */
    { CRON_QUARTZ, DST_ONCE, "0 0 9 31W * ?", "UTC", "2026-05-01T00:00:00Z",
      { "2026-05-29T09:00:00+00:00", "2026-07-31T09:00:00+00:00", "2026-08-31T09:00:00+00:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 9 30W 2 ?", "UTC", "2026-01-01T00:00:00Z", { "never" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 9 1W * ?", "UTC", "2026-07-15T00:00:00Z",
      { "2026-08-03T09:00:00+00:00" } },
    /* Spring: L-30 repeats one instant, 29W and 31W lose the end of the month */
    { CRON_SPRING, DST_ONCE, "0 0 9 L-30 * *", "UTC", "2026-04-01T00:00:00Z",
      { "2026-05-01T09:00:00+00:00", "2026-07-01T09:00:00+00:00", "2026-08-01T09:00:00+00:00" } },
    { CRON_SPRING, DST_ONCE, "0 0 9 31W 5 *", "UTC", "2026-01-01T00:00:00Z",
      { "2026-05-29T09:00:00+00:00", "2027-05-31T09:00:00+00:00" } },
    { CRON_SPRING, DST_ONCE, "0 0 0-3 L * *", "UTC", "2026-01-30T12:00:00Z",
      { "2026-01-31T00:00:00+00:00", "2026-01-31T01:00:00+00:00" } },
    /* leap days: 2096 to 2104, and with a weekday 28 to 40 years */
    { CRON_UNIX, DST_ONCE, "0 0 29 2 *", "UTC", "2092-03-01T00:00:00Z",
      { "2096-02-29T00:00:00+00:00", "2104-02-29T00:00:00+00:00" } },
    { CRON_SPRING, DST_ONCE, "0 0 0 29 2 MON", "UTC", "2026-01-01T00:00:00Z",
      { "2044-02-29T00:00:00+00:00", "2072-02-29T00:00:00+00:00", "2112-02-29T00:00:00+00:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 0 ? 2 2#5", "UTC", "2026-01-01T00:00:00Z",
      { "2044-02-29T00:00:00+00:00", "2072-02-29T00:00:00+00:00", "2112-02-29T00:00:00+00:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 0 30 2 ?", "UTC", "2026-01-01T00:00:00Z", { "never" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 0 31 2,4,6,9,11 ?", "UTC", "1970-01-01T00:00:00Z", { "never" } },
    /* the bounds */
    { CRON_QUARTZ, DST_ONCE, "59 59 23 31 12 ? 2199", "UTC", "2026-01-01T00:00:00Z",
      { "2199-12-31T23:59:59+00:00", "never" } },
    { CRON_QUARTZ, DST_ONCE, "0 0 0 1 1 ? 1970/100", "UTC", "1970-01-01T00:00:00Z",
      { "2070-01-01T00:00:00+00:00", "2170-01-01T00:00:00+00:00", "never" } },
    /* cronie's star is the first character */
    { CRON_UNIX, DST_ONCE, "0 0 */2 * MON", "UTC", "2026-01-01T00:00:00Z",
      { "2026-01-05T00:00:00+00:00", "2026-01-19T00:00:00+00:00", "2026-02-09T00:00:00+00:00" } },
    { CRON_UNIX, DST_ONCE, "0 0 *,5 * MON", "UTC", "2026-01-01T00:00:00Z",
      { "2026-01-05T00:00:00+00:00", "2026-01-12T00:00:00+00:00" } },
    { CRON_UNIX, DST_ONCE, "0 0 1 * 0-6", "UTC", "2026-01-01T00:00:00Z",
      { "2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00" } },
    { CRON_UNIX, DST_ONCE, "0 0 13 * FRI", "UTC", "2026-02-10T00:00:00Z",
      { "2026-02-13T00:00:00+00:00", "2026-02-20T00:00:00+00:00" } },
    { CRON_SPRING, DST_ONCE, "0 0 0 13 * FRI", "UTC", "2026-02-01T00:00:00Z",
      { "2026-02-13T00:00:00+00:00", "2026-03-13T00:00:00+00:00", "2026-11-13T00:00:00+00:00" } },
    /* the XXL-JOB cron builder's "every 5 minutes" */
    { CRON_QUARTZ, DST_ONCE, "* 0/5 * * * ?", "UTC", "2026-01-01T00:00:58Z",
      { "2026-01-01T00:00:59+00:00", "2026-01-01T00:05:00+00:00", "2026-01-01T00:05:01+00:00" } },
    /* from lies within a second */
    { CRON_QUARTZ, DST_ONCE, "* * * * * ?", "UTC", "2026-01-01T00:00:00.999Z",
      { "2026-01-01T00:00:01+00:00" } },
};

#define NEW_YORK "America/New_York"

static const struct row clock_changes[] = {
    /* gap 02:00-03:00 */
    { CRON_QUARTZ, DST_ONCE, "0 30 2 * * ?", NEW_YORK, "2026-03-07T12:00:00Z",
      { "2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00" } },
    { CRON_QUARTZ, DST_SKIP, "0 30 2 * * ?", NEW_YORK, "2026-03-07T12:00:00Z",
      { "2026-03-09T02:30:00-04:00" } },
    { CRON_QUARTZ, DST_BOTH, "0 30 2 * * ?", NEW_YORK, "2026-03-07T12:00:00Z",
      { "2026-03-09T02:30:00-04:00" } },
    { CRON_UNIX, DST_ONCE, "0,10,20 2,3 * * *", NEW_YORK, "2026-03-08T06:00:00Z",
      { "2026-03-08T03:00:00-04:00", "2026-03-08T03:10:00-04:00", "2026-03-08T03:20:00-04:00",
        "2026-03-09T02:00:00-04:00" } },
    { CRON_UNIX, DST_ONCE, "*/20 * * * *", NEW_YORK, "2026-03-08T06:30:00Z",
      { "2026-03-08T01:40:00-05:00", "2026-03-08T03:00:00-04:00" } },
    /* overlap 01:00-02:00 */
    { CRON_QUARTZ, DST_ONCE, "0 30 1 * * ?", NEW_YORK, "2026-10-31T12:00:00Z",
      { "2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00" } },
    { CRON_QUARTZ, DST_BOTH, "0 30 1 * * ?", NEW_YORK, "2026-10-31T12:00:00Z",
      { "2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-05:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 30 1,13 * * ?", NEW_YORK, "2026-11-01T05:00:00Z",
      { "2026-11-01T01:30:00-04:00", "2026-11-01T13:30:00-05:00" } },
    { CRON_UNIX, DST_ONCE, "*/30 1 * * *", NEW_YORK, "2026-11-01T04:59:00Z",
      { "2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-02T01:00:00-05:00" } },
    { CRON_UNIX, DST_ONCE, "*/30 * * * *", NEW_YORK, "2026-11-01T04:59:00Z",
      { "2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-05:00",
        "2026-11-01T01:30:00-05:00", "2026-11-01T02:00:00-05:00" } },
    { CRON_UNIX, DST_SKIP, "*/30 * * * *", NEW_YORK, "2026-11-01T04:59:00Z",
      { "2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T02:00:00-05:00" } },
    /* asked within the first and the second pass */
    { CRON_QUARTZ, DST_ONCE, "0 30 1 * * ?", NEW_YORK, "2026-11-01T05:40:00Z",
      { "2026-11-02T01:30:00-05:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 30 1 * * ?", NEW_YORK, "2026-11-01T06:10:00Z",
      { "2026-11-02T01:30:00-05:00" } },
    { CRON_QUARTZ, DST_BOTH, "0 30 1 * * ?", NEW_YORK, "2026-11-01T05:40:00Z",
      { "2026-11-01T01:30:00-05:00" } },
    /* half an hour; the end of the gap itself is no gap */
    { CRON_SPRING, DST_ONCE, "0 15,30,45 2 * * *", "Australia/Lord_Howe", "2026-10-03T10:00:00Z",
      { "2026-10-04T02:30:00+11:00", "2026-10-04T02:45:00+11:00", "2026-10-05T02:15:00+11:00" } },
    { CRON_SPRING, DST_ONCE, "0 0 0 * * *", "Australia/Lord_Howe", "2026-10-03T10:00:00Z",
      { "2026-10-04T00:00:00+10:30", "2026-10-05T00:00:00+11:00" } },
    { CRON_UNIX, DST_ONCE, "50 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z",
      { "2026-04-05T01:50:00+11:00", "2026-04-06T01:50:00+10:30" } },
    { CRON_UNIX, DST_ONCE, "45 3 * * *", "Pacific/Chatham", "2026-09-26T00:00:00Z",
      { "2026-09-27T03:45:00+13:45", "2026-09-28T03:45:00+13:45" } },
    { CRON_UNIX, DST_ONCE, "0 3 * * *", "Pacific/Chatham", "2026-09-26T00:00:00Z",
      { "2026-09-27T03:45:00+13:45", "2026-09-28T03:00:00+13:45" } },
    /* two hours */
    { CRON_UNIX, DST_ONCE, "30 1,2 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z",
      { "2026-03-29T03:00:00+02:00", "2026-03-30T01:30:00+02:00" } },
    /* three hours: dropped */
    { CRON_UNIX, DST_ONCE, "30 3 * * *", "Antarctica/Casey", "2009-10-17T12:00:00Z",
      { "2009-10-19T03:30:00+11:00" } },
    /* Ramadan: summer time pauses */
    { CRON_UNIX, DST_ONCE, "30 2 * * *", "Africa/Casablanca", "2025-02-22T12:00:00Z",
      { "2025-02-23T02:30:00+01:00", "2025-02-24T02:30:00+00:00" } },
    { CRON_UNIX, DST_ONCE, "30 2 * * *", "Africa/Casablanca", "2025-04-05T12:00:00Z",
      { "2025-04-06T03:00:00+01:00", "2025-04-07T02:30:00+01:00" } },
    /* gap at midnight: the day exists */
    { CRON_UNIX, DST_ONCE, "0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z",
      { "2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00" } },
    { CRON_UNIX, DST_ONCE, "0 12 4 11 *", "America/Sao_Paulo", "2018-11-01T12:00:00Z",
      { "2018-11-04T12:00:00-02:00" } },
    { CRON_UNIX, DST_ONCE, "30 0 4 11 *", "America/Sao_Paulo", "2018-11-01T12:00:00Z",
      { "2018-11-04T01:00:00-02:00" } },
    /* a day that never was */
    { CRON_UNIX, DST_ONCE, "0 0 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z",
      { "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00" } },
    { CRON_UNIX, DST_ONCE, "0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00Z",
      { "2012-12-30T12:00:00+14:00" } },
    { CRON_UNIX, DST_ONCE, "30 2 * * *", "Asia/Shanghai", "1986-05-03T12:00:00Z",
      { "1986-05-04T03:00:00+09:00", "1986-05-05T02:30:00+09:00" } },
    /* past the table, by the rule in the footer */
    { CRON_QUARTZ, DST_ONCE, "0 30 2 * * ?", NEW_YORK, "2060-03-13T12:00:00Z",
      { "2060-03-14T03:00:00-04:00" } },
    { CRON_QUARTZ, DST_ONCE, "0 30 2 ? * SUN#1", "Australia/Lord_Howe", "2150-09-30T12:00:00Z",
      { "2150-10-04T02:30:00+11:00" } },
};

static void row_check(const struct row *row)
{
    CLEANUP(zone_unref) struct zone *zone = NULL;
    struct error err = { 0 };
    struct cron cron;
    int64_t time, from;
    char text[TIME_TEXT_SIZE];

    if (cron_parse(str_of(row->expression), row->dialect, 0, &cron, &err) < 0)
        fail_msg("%s: %s", row->expression, error_english(&err));
    assert_true(time_parse(str_of(row->from), &from));
    assert_int_equal(zone_load(row->zone, &zone, &err), 0);
    time = from;
    for (size_t i = 0; i < 6 && row->fires[i]; i++) {
        int64_t before = time;
        time = cron_next(&cron, zone, row->dst, time);
        if (time == SCHEDULE_NEVER)
            snprintf(text, sizeof text, "never");
        else
            time_format(time, zone_offset_at(zone, time), text);
        if (strcmp(text, row->fires[i]) != 0)
            fail_msg("%s %s from %s: fire %zu is %s, not %s", row->expression, row->zone, row->from,
                     i, text, row->fires[i]);
        if (time == SCHEDULE_NEVER)
            break;
        assert_true(time > before && cron_matches(&cron, zone, row->dst, time));
        if (i > 0)
            assert_int_equal(cron_previous(&cron, zone, row->dst, time), before);
        assert_int_equal(cron_count(&cron, zone, row->dst, from, time), (int64_t)i + 1);
    }
}

static void test_traps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof traps / sizeof *traps; i++)
        row_check(&traps[i]);
}

static void test_clock_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof clock_changes / sizeof *clock_changes; i++)
        row_check(&clock_changes[i]);
}

static struct cron parsed(const char *expression, enum cron_dialect dialect)
{
    struct error err = { 0 };
    struct cron cron;

    if (cron_parse(str_of(expression), dialect, 0, &cron, &err) < 0)
        fail_msg("%s: %s", expression, error_english(&err));
    return cron;
}

static void test_never(void **state)
{
    CLEANUP(zone_unref) struct zone *zone = NULL;
    struct cron leap = parsed("0 0 30 2 *", CRON_UNIX);
    struct cron gap = parsed("0 30 2 8 3 ? 2026", CRON_QUARTZ);

    (void)state;
    assert_int_equal(zone_load(NEW_YORK, &zone, NULL), 0);
    assert_true(cron_never_fires(&leap, zone_utc(), DST_ONCE));
    assert_int_equal(cron_previous(&leap, zone_utc(), DST_ONCE, INT64_MAX), SCHEDULE_NONE);
    assert_int_equal(cron_count(&leap, zone_utc(), DST_ONCE, INT64_MIN, INT64_MAX), 0);
    /* its only time lies in a gap */
    assert_false(cron_never_fires(&gap, zone, DST_ONCE));
    assert_true(cron_never_fires(&gap, zone, DST_SKIP));
    assert_false(cron_never_fires(&gap, zone_utc(), DST_SKIP));
}

static void test_extreme_instants(void **state)
{
    CLEANUP(zone_unref) struct zone *zone = NULL;
    struct cron daily = parsed("0 0 * * *", CRON_UNIX);
    int64_t first, last;

    (void)state;
    assert_int_equal(zone_load(NEW_YORK, &zone, NULL), 0);
    assert_true(time_parse(STR("1970-01-01T05:00:00Z"), &first)); /* midnight in New York */
    assert_true(time_parse(STR("2199-12-31T05:00:00Z"), &last));
    assert_int_equal(cron_next(&daily, zone, DST_ONCE, INT64_MIN), first);
    assert_int_equal(cron_next(&daily, zone, DST_ONCE, last), SCHEDULE_NEVER);
    assert_int_equal(cron_next(&daily, zone, DST_ONCE, INT64_MAX), SCHEDULE_NEVER);
    assert_int_equal(cron_previous(&daily, zone, DST_ONCE, INT64_MAX), last);
    assert_int_equal(cron_previous(&daily, zone, DST_ONCE, first), SCHEDULE_NONE);
    assert_int_equal(cron_previous(&daily, zone, DST_ONCE, INT64_MIN), SCHEDULE_NONE);
    assert_int_equal(cron_count(&daily, zone, DST_ONCE, INT64_MIN, INT64_MAX), 84006);
    assert_int_equal(cron_count(&daily, zone, DST_ONCE, last, first), 0);
    assert_false(cron_matches(&daily, zone, DST_ONCE, INT64_MIN));
}

static void detail_check(const char *expression, enum dst_rule dst, const char *from,
                         enum fire_mark mark, const char *named)
{
    CLEANUP(zone_unref) struct zone *zone = NULL;
    struct cron cron = parsed(expression, CRON_UNIX);
    struct cron_fire fire;
    char text[TIME_TEXT_SIZE];
    int64_t from_ms;

    assert_int_equal(zone_load(NEW_YORK, &zone, NULL), 0);
    assert_true(time_parse(str_of(from), &from_ms));
    assert_true(cron_next_detail(&cron, zone, dst, from_ms, &fire));
    assert_int_equal(fire.time_ms, cron_next(&cron, zone, dst, from_ms));
    assert_int_equal(fire.offset_s, zone_offset_at(zone, fire.time_ms));
    assert_int_equal(fire.mark, mark);
    if (named)
        assert_string_equal(time_format_utc(fire.named_local_s * 1000, text), named);
}

static void test_detail(void **state)
{
    (void)state;
    detail_check("20,40 2 * * *", DST_ONCE, "2026-03-08T06:00:00Z", FIRE_SHIFTED,
                 "2026-03-08T02:20:00Z");
    detail_check("20 3 * * *", DST_ONCE, "2026-03-08T06:00:00Z", FIRE_PLAIN, NULL);
    detail_check("0 3 * * *", DST_ONCE, "2026-03-08T06:00:00Z", FIRE_PLAIN, NULL);
    detail_check("30 1 * * *", DST_ONCE, "2026-11-01T00:00:00Z", FIRE_FIRST_PASS, NULL);
    detail_check("30 1 * * *", DST_BOTH, "2026-11-01T05:30:00Z", FIRE_SECOND_PASS, NULL);
    detail_check("30 2 * * *", DST_ONCE, "2026-11-01T05:30:00Z", FIRE_PLAIN, NULL);
    detail_check("59 0 * * *", DST_ONCE, "2026-11-01T00:30:00Z", FIRE_PLAIN, NULL);
}

/* A month of every second must not be counted one by one: this would take minutes. */
static void test_count_is_cheap(void **state)
{
    struct cron cron = parsed("* * * * * ?", CRON_QUARTZ);

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(cron_count(&cron, zone_utc(), DST_ONCE, 0, INT64_C(100) * 86400000),
                         100 * 86400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_clock_changes),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_extreme_instants),
        cmocka_unit_test(test_detail),
        cmocka_unit_test(test_count_is_cheap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
