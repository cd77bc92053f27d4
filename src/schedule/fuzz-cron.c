#include "schedule/schedule.h"

#include "base/memory.h"

#include <stdlib.h>

/*
 * The first byte chooses the dialect ('0' auto … '3' spring), the second the seed, the rest is the
 * expression. What compiles must answer without contradiction, and read the same once normalized.
 */

static void check(bool condition)
{
    if (!condition)
        abort();
}

static const struct zone *zone_named(const char *name)
{
    struct zone *zone = NULL;

    return zone_load(name, &zone, NULL) == 0 ? zone : zone_utc(); /* kept to the end */
}

static void instant_check(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                          int64_t time)
{
    int64_t next = cron_next(cron, zone, dst, time), previous;

    check(next > time);
    previous = cron_previous(cron, zone, dst, next == SCHEDULE_NEVER ? INT64_MAX : next);
    check(previous <= time);
    if (next != SCHEDULE_NEVER) {
        check(cron_matches(cron, zone, dst, next));
        check(cron_previous(cron, zone, dst, next + 1) == next);
        check(cron_count(cron, zone, dst, time, next) == 1);
    }
    if (previous != SCHEDULE_NONE)
        check(cron_next(cron, zone, dst, previous) == next || previous == time);
}

static void fires_check(const struct cron *cron)
{
    /* before a gap, before an overlap, before a day that never was, in a leap year, at the ends */
    static const int64_t times[] = { 1772950000000, 1793505000000, 1325150000000,
                                     951700000000,  4107542399000, 0,
                                     7258118399000 };
    static const struct zone *zones[3];

    if (!zones[0]) {
        zones[0] = zone_named("America/New_York");
        zones[1] = zone_named("Australia/Lord_Howe");
        zones[2] = zone_named("Pacific/Apia");
    }
    for (int z = 0; z < 3; z++)
        for (int dst = DST_ONCE; dst <= DST_BOTH; dst++)
            for (size_t i = 0; i < sizeof times / sizeof *times; i++)
                instant_check(cron, zones[z], (enum dst_rule)dst, times[i]);
}

static void words_check(const struct cron *cron)
{
    struct cron_warning warnings[CRON_WARNINGS_MAX];

    for (int language = 0; language < 2; language++) {
        CLEANUP(buf_done) struct buf text;
        buf_init(&text, 1 << 20);
        cron_describe(cron, (enum language)language, &text);
        check(text.size > 0 && !text.overflow && utf8_valid(buf_str(&text)));
    }
    check(cron_warnings(cron, zone_utc(), DST_ONCE, 0, warnings) <= CRON_WARNINGS_MAX);
}

static bool same_sets(struct cron a, struct cron b)
{
    return a.seconds == b.seconds && a.minutes == b.minutes && a.hours == b.hours &&
           a.days == b.days && a.nth == b.nth && a.months == b.months && a.weekdays == b.weekdays &&
           a.last_days == b.last_days && a.near_days == b.near_days && a.flags == b.flags &&
           a.near_last_days == b.near_last_days && a.year_types == b.year_types &&
           memcmp(a.years, b.years, sizeof a.years) == 0;
}

static void text_check(struct str text, enum cron_dialect dialect, uint64_t seed,
                       const struct cron *cron)
{
    CLEANUP(buf_done) struct buf normal, resolved;
    struct cron again;

    buf_init(&normal, 1 << 16);
    buf_init(&resolved, 1 << 16);
    check(cron_normalize(text, dialect, &dialect, &normal, NULL) == 0 && !normal.overflow);
    check(dialect == (enum cron_dialect)cron->dialect);
    check(cron_parse(buf_str(&normal), dialect, seed, &again, NULL) == 0);
    check(same_sets(*cron, again));
    check(cron_resolve(text, dialect == CRON_QUARTZ ? CRON_AUTO : dialect, seed, &resolved, NULL) ==
              0 ||
          dialect == CRON_QUARTZ);
}

static void error_check(const struct error *err)
{
    char text[4096];

    check(err->code == ERR_INVALID && err->field >= 0 && err->field <= CRON_TEXT_MAX &&
          err->position >= 1);
    check(utf8_valid(str_of(error_text(err, LANGUAGE_EN, text, sizeof text))));
    check(utf8_valid(str_of(error_text(err, LANGUAGE_ZH, text, sizeof text))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct cron cron;

    if (size < 2 || size > 2 + CRON_TEXT_MAX + 8)
        return 0;
    enum cron_dialect dialect = (enum cron_dialect)(data[0] & 3);
    struct str text = { (const char *)data + 2, size - 2 };
    if (cron_parse(text, dialect, data[1], &cron, &err) < 0) {
        error_check(&err);
        return 0;
    }
    fires_check(&cron);
    words_check(&cron);
    text_check(text, dialect, data[1], &cron);
    return 0;
}
