#ifndef BELFRY_SCHEDULE_CRON_PRIVATE_H
#define BELFRY_SCHEDULE_CRON_PRIVATE_H

#include "schedule/schedule.h"

enum { YEAR_MIN = 1970, YEAR_MAX = 2199, DAY_SECONDS = 86400 };

/* struct cron flags */
enum {
    CRON_EITHER_DAY = 1, /* unix: day of month OR day of week; else both must allow the day */
    CRON_DAY_STAR = 2,   /* day-of-month was '*' or '?' */
    CRON_WEEKDAY_STAR = 4,
    CRON_YEAR_STAR = 8,
    CRON_STAR_RULE = 16, /* unix: both day fields set, but AND because one begins with '*' */
    CRON_BIG_STEP = 32,  /* a step longer than its field (spring lets it pass) */
};

#define HOURS_ALL 0xFFFFFFu
#define MINUTES_ALL ((UINT64_C(1) << 60) - 1)
#define MONTHS_ALL 0x1FFEu
#define WEEKDAYS_ALL 0x7Fu

/* Seconds of local time since 1970-01-01 00:00 of that clock; the search ends before this. */
#define LOCAL_END (INT64_C(84006) * DAY_SECONDS) /* 2200-01-01 */

/* Named local times, whatever the zone: the least >= from and the greatest <= to. */
int64_t cron_local_next(const struct cron *cron, int64_t from);              /* SCHEDULE_NEVER */
int64_t cron_local_previous(const struct cron *cron, int64_t to);            /* SCHEDULE_NONE */
int64_t cron_local_count(const struct cron *cron, int64_t from, int64_t to); /* from <= x < to */

/* The days of a month (bit n: day n); first: weekday of its 1st, Sunday 0; length in days. */
uint32_t cron_month_days(const struct cron *cron, int first, int length);

static inline bool year_is_leap(int year) /* 1901 … 2199 */
{
    return year % 4 == 0 && year != 2100;
}

static inline int month_length(int year, int month)
{
    return month == 2 ? 28 + year_is_leap(year) : 30 + ((month + (month >> 3)) & 1);
}

static inline bool cron_has_year(const struct cron *cron, int year)
{
    unsigned n = (unsigned)(year - YEAR_MIN);

    return n <= YEAR_MAX - YEAR_MIN && cron->years[n / 64] >> (n % 64) & 1;
}

/* Both day fields narrow the choice. */
static inline bool cron_has_both_days(const struct cron *cron)
{
    return !(cron->flags & (CRON_DAY_STAR | CRON_WEEKDAY_STAR));
}

#endif
