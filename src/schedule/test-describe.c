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
    const char *expression, *english, *chinese;
};

static const struct row rows[] = {
    { CRON_UNIX, "0 12 * * *", "Every day at 12:00", "每天 12:00" },
    { CRON_QUARTZ, "0 15 10 ? * 6#3", "10:15 on the third Friday of the month",
      "每月第三个星期五 10:15" },
    { CRON_QUARTZ, "0 15 10 ? * 6L", "10:15 on the last Friday of the month",
      "每月最后一个星期五 10:15" },
    { CRON_QUARTZ, "0 0 0 L * ?", "00:00 on the last day of the month", "每月最后一天 00:00" },
    { CRON_QUARTZ, "0 0 0 L-2 * ?", "00:00 on 2 days before the last day of the month",
      "每月倒数第 3 天 00:00" },
    { CRON_QUARTZ, "0 0 0 15W * ?", "00:00 on the weekday nearest to the 15th of the month",
      "每月 15 号最近的工作日 00:00" },
    { CRON_QUARTZ, "0 0 0 LW * ?", "00:00 on the last weekday of the month",
      "每月最后一个工作日 00:00" },
    { CRON_QUARTZ, "0 0 9 ? * MON-FRI", "Monday to Friday at 09:00", "工作日 09:00" },
    { CRON_UNIX, "0 9 * * 1", "Every Monday at 09:00", "每个星期一 09:00" },
    { CRON_UNIX, "0 0 * * 0,6", "Every Saturday and Sunday at 00:00", "每个星期六、星期日 00:00" },
    { CRON_UNIX, "*/5 14,18 * * *", "Every 5 minutes, 14:00-14:55 and 18:00-18:55",
      "每天 14:00-14:55 和 18:00-18:55 每 5 分钟" },
    { CRON_UNIX, "*/10 9-17 * * 1-5", "Every 10 minutes, 09:00-17:50, Monday to Friday",
      "工作日 09:00-17:50 每 10 分钟" },
    { CRON_QUARTZ, "0 0 22-4 * * ?", "Every hour from 22:00 to 04:00 the next day",
      "每天 22:00 至次日 04:00 每小时" },
    { CRON_UNIX, "5 9-17 * * 1-5", "Every hour from 09:05 to 17:05, Monday to Friday",
      "工作日 09:05 至 17:05 每小时" },
    { CRON_UNIX, "0 0 1,15 * 1", "00:00 on the 1st and 15th of the month, and every Monday (either)",
      "每月 1 号、15 号，以及每个星期一（任一满足） 00:00" },
    { CRON_SPRING, "0 0 9 15-21 * MON", "09:00 on the 15th to 21st of the month, if also Monday",
      "每月 15-21 号且为星期一 09:00" },
    { CRON_UNIX, "* * * * *", "Every minute", "每分钟" },
    { CRON_UNIX, "20 * * * *", "Every hour at minute 20", "每小时的第 20 分" },
    { CRON_UNIX, "15,45 * * * *", "At minute 15 and 45 of the hour", "每小时的第 15、45 分" },
    { CRON_UNIX, "0 */2 * * *", "Every 2 hours", "每 2 小时" },
    { CRON_UNIX, "*/7 * * * *", "Every 7 minutes from minute 0 to 56 of the hour",
      "每 7 分钟（每小时的第 0 至 56 分）" },
    { CRON_QUARTZ, "* * * * * ?", "Every second", "每秒" },
    { CRON_QUARTZ, "0/30 * * * * ?", "Every 30 seconds", "每 30 秒" },
    { CRON_QUARTZ, "30 * * * * ?", "Every minute at second 30", "每分钟的第 30 秒" },
    { CRON_QUARTZ, "* 0,30 * * * ?", "Every second of the minutes 0 and 30", "每秒，仅第 0、30 分" },
    { CRON_QUARTZ, "5,10 15 6 ? * sun", "Every Sunday at 06:15:05 and 06:15:10",
      "每个星期日 06:15:05、06:15:10" },
    { CRON_QUARTZ, "0 15 6 29 2 ?", "06:15 on the 29th of February", "2 月的 29 号 06:15" },
    { CRON_QUARTZ, "0 15 6 30 2 ?", "06:15 on the 30th of February (there is no such day)",
      "2 月的 30 号 06:15（没有这样的日子）" },
    { CRON_QUARTZ, "0 0 12 1 1,4,7,10 ?", "12:00 on the 1st of January, April, July and October",
      "1 月、4 月、7 月、10 月的 1 号 12:00" },
    { CRON_QUARTZ, "0 0 8 ? 1-3 MON 2026", "Every Monday in January to March in 2026 at 08:00",
      "2026 年 1-3 月每个星期一 08:00" },
    { CRON_QUARTZ, "0 0 8 1 1 ? 2027/2", "08:00 on the 1st of January every 2 years from 2027 to 2199",
      "每 2 年（2027-2199） 1 月的 1 号 08:00" },
    { CRON_UNIX, "@weekly", "Every Sunday at 00:00", "每个星期日 00:00" },
};

static void test_describe(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(buf_done) struct buf text;
        struct cron cron;
        buf_init(&text, 65536);
        assert_int_equal(cron_parse(str_of(rows[i].expression), rows[i].dialect, 0, &cron, NULL), 0);
        cron_describe(&cron, LANGUAGE_EN, &text);
        assert_string_equal(buf_text(&text), rows[i].english);
        buf_clear(&text);
        cron_describe(&cron, LANGUAGE_ZH, &text);
        assert_string_equal(buf_text(&text), rows[i].chinese);
    }
}

struct warning_row {
    enum cron_dialect dialect;
    const char *expression;
    const char *names[3];
    const char *text; /* of the first */
};

static const struct warning_row warning_rows[] = {
    { CRON_UNIX, "0 9 * * 1-5", { NULL }, NULL },
    { CRON_UNIX, "*/15 */6 * * *", { NULL }, NULL },
    { CRON_UNIX, "0 0 L * *", { NULL }, NULL },
    { CRON_UNIX, "0 0 30 2 *", { "never" }, "never fires: there is no such day" },
    { CRON_UNIX, "0 0 29 2 *", { "leap_day" }, "fires in leap years only; next on 2028-02-29" },
    { CRON_UNIX, "0 0 31 * *", { "short_months" },
      "5 of 12 months have no such day and are skipped" },
    { CRON_UNIX, "0 0 30 * *", { "short_months" },
      "1 of 12 months have no such day and are skipped" },
    { CRON_UNIX, "0 0 29 * *", { "some_months" },
      "in some months or years there is no such day; they are skipped" },
    { CRON_QUARTZ, "0 0 0 ? * MON#5", { "some_months" },
      "in some months or years there is no such day; they are skipped" },
    { CRON_QUARTZ, "* * * * * ?", { "every_second" }, "runs every second" },
    { CRON_QUARTZ, "* 0/5 * * * ?", { "star_second" },
      "runs 60 times in each of its minutes; write 0 as the second for once" },
    { CRON_UNIX, "0 0 1 * MON", { "either_day" },
      "both day fields are set: fires on days that match either of them" },
    { CRON_UNIX, "0 0 */2 * MON", { "star_rule" }, NULL },
    { CRON_SPRING, "0 0 0 1-7 * MON", { "both_days" },
      "both day fields are set: fires only on days that match both" },
    { CRON_SPRING, "0 0/90 * * * *", { "big_step" },
      "a step is longer than its field: only the first value fires" },
    { CRON_UNIX, "*/7 * * * *", { "uneven_step" },
      "every 7 minutes begins anew with each hour: the last interval is shorter" },
    { CRON_UNIX, "0 */5 * * *", { "uneven_step" },
      "every 5 hours begins anew with each day: the last interval is shorter" },
    { CRON_UNIX, "0 0 */2 * *", { "uneven_step" },
      "every 2 days begins anew with each month: the last interval is shorter" },
};

static void test_warnings(void **state)
{
    int64_t now;

    (void)state;
    assert_true(time_parse(STR("2026-11-25T00:00:00Z"), &now));
    for (size_t i = 0; i < sizeof warning_rows / sizeof *warning_rows; i++) {
        const struct warning_row *row = &warning_rows[i];
        struct cron_warning warnings[CRON_WARNINGS_MAX];
        struct cron cron;
        size_t expected = 0, count;
        assert_int_equal(cron_parse(str_of(row->expression), row->dialect, 0, &cron, NULL), 0);
        count = cron_warnings(&cron, zone_utc(), DST_ONCE, now, warnings);
        while (expected < 3 && row->names[expected])
            expected++;
        if (count != expected)
            fail_msg("%s: %zu warnings, the first %s", row->expression, count,
                     count ? warnings[0].name : "-");
        for (size_t n = 0; n < count; n++) {
            assert_string_equal(warnings[n].name, row->names[n]);
            assert_non_null(message_chinese(warnings[n].text.message));
        }
        if (row->text)
            assert_string_equal(error_english(&warnings[0].text), row->text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_warnings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
