#include "schedule/schedule.h"

#include <stdlib.h>

/* Any bytes as a TZif file: refused, or a zone in which schedules do not contradict themselves. */

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void fires_check(const struct zone *zone, const struct cron *cron, enum dst_rule dst)
{
    int64_t time = INT64_MIN;

    for (int i = 0; i < 40; i++) {
        int64_t next = cron_next(cron, zone, dst, time), previous;
        check(next > time);
        if (next == SCHEDULE_NEVER)
            break;
        previous = cron_previous(cron, zone, dst, next);
        check(previous < next && cron_previous(cron, zone, dst, next + 1) == next);
        check(i == 0 || previous == time);
        time = next;
        if (i % 4 == 3) /* leap on, so that all the years are seen */
            time = cron_previous(cron, zone, dst, time + INT64_C(25) * 365 * 86400000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const expressions[] = { "30 0-3 * * *", "*/20 * * * *", "0 12 1 * *" };
    struct zone *zone = NULL;
    struct cron cron;

    if (zone_parse("Fuzz", data, size, &zone, NULL) < 0)
        return 0;
    check(zone_same_rules(zone, zone));
    for (int i = 0; i < 3; i++) {
        check(cron_parse(str_of(expressions[i]), CRON_UNIX, 0, &cron, NULL) == 0);
        for (int dst = DST_ONCE; dst <= DST_BOTH; dst++)
            fires_check(zone, &cron, (enum dst_rule)dst);
    }
    zone_unref(&zone);
    return 0;
}
