#include "schedule/cron-private.h"

#include "base/clock.h"

/*
 * Named local times, with no zone in sight: a set of days times a set of times of day. A month's
 * days are one 32-bit mask, so nothing here walks over days, hours or minutes; years without any
 * day are told by their kind (leap or not, weekday of 1 January).
 */

static uint32_t days_up_to(int length)
{
    return (uint32_t)((UINT64_C(2) << length) - 2);
}

/* 0 Sunday. */
static int weekday_of(int first, int day)
{
    return (first + day - 1) % 7;
}

/* The weekday (Monday to Friday) nearest to a day without leaving its month. */
static int near_day(int first, int length, int day)
{
    int weekday = weekday_of(first, day);

    if (weekday == 6)
        return day == 1 ? 3 : day - 1;
    if (weekday == 0)
        return day == length ? day - 2 : day + 1;
    return day;
}

static uint32_t day_rules(const struct cron *cron, int first, int length)
{
    uint32_t mask = 0;

    for (uint32_t bits = cron->near_days & days_up_to(length); bits; bits &= bits - 1)
        mask |= 1u << near_day(first, length, __builtin_ctz(bits));
    for (uint32_t bits = cron->last_days; bits; bits &= bits - 1)
        if (__builtin_ctz(bits) < length)
            mask |= 1u << (length - __builtin_ctz(bits));
    for (uint32_t bits = cron->near_last_days; bits; bits &= bits - 1)
        if (__builtin_ctz(bits) < length)
            mask |= 1u << near_day(first, length, length - __builtin_ctz(bits));
    return mask;
}

/* bit n: day n falls on one of these weekdays */
static uint32_t weekday_pattern(unsigned weekdays, int first)
{
    uint64_t week = (weekdays >> first | weekdays << (7 - first)) & WEEKDAYS_ALL;

    return (uint32_t)((week * UINT64_C(0x10204081)) << 1);
}

static uint32_t weekday_rules(const struct cron *cron, int first, int length)
{
    uint32_t mask = 0;

    for (uint64_t bits = cron->nth; bits; bits &= bits - 1) {
        int rule = __builtin_ctzll(bits), last = rule >= 35;
        int weekday = last ? rule - 35 : rule / 5;
        int day = 1 + (weekday - first + 7) % 7;

        day += last ? (length - day) / 7 * 7 : rule % 5 * 7;
        if (day <= length)
            mask |= 1u << day;
    }
    return mask;
}

uint32_t cron_month_days(const struct cron *cron, int first, int length)
{
    uint32_t days = cron->days, weekdays = UINT32_MAX;

    if (cron->near_days | cron->last_days | cron->near_last_days)
        days |= day_rules(cron, first, length);
    if (cron->weekdays != WEEKDAYS_ALL)
        weekdays = weekday_pattern(cron->weekdays, first);
    if (cron->nth)
        weekdays |= weekday_rules(cron, first, length);
    days = cron->flags & CRON_EITHER_DAY ? days | weekdays : days & weekdays;
    return days & days_up_to(length);
}

/* A month under search; first is the day number (since 1970) of its 1st. */
struct month {
    int year, month, length;
    int64_t first;
};

static int weekday_of_days(int64_t days)
{
    return (int)((uint32_t)(days + 4) % 7); /* 1970-01-01 was a Thursday */
}

static uint32_t month_days(const struct cron *cron, const struct month *m)
{
    return cron_month_days(cron, weekday_of_days(m->first), m->length);
}

static int64_t year_first_day(int year)
{
    int64_t n = year - YEAR_MIN;

    return n * 365 + (n + 1) / 4 - (year > 2100);
}

/* first: weekday of 1 January */
static bool year_has_day(const struct cron *cron, int year, int first)
{
    int type = (year_is_leap(year) ? 7 : 0) + first;

    return cron->year_types >> type & 1 && cron_has_year(cron, year);
}

static int year_first_weekday(int year)
{
    return weekday_of_days(year_first_day(year));
}

/* The next year that has a day, YEAR_MAX + 1 for none. A year moves its weekdays on by 1, or 2. */
static int year_forward(const struct cron *cron, int year)
{
    int first = year_first_weekday(++year);

    while (year <= YEAR_MAX && !year_has_day(cron, year, first)) {
        first += 1 + year_is_leap(year++);
        first -= first >= 7 ? 7 : 0;
    }
    return year;
}

/* The same the other way; YEAR_MIN - 1 for none. */
static int year_backward(const struct cron *cron, int year)
{
    while (--year >= YEAR_MIN)
        if (year_has_day(cron, year, year_first_weekday(year)))
            break;
    return year;
}

static void month_set(struct month *m, int year, int month)
{
    m->year = year;
    m->month = month;
    m->length = month_length(year, month);
    m->first = days_from_civil(year, month, 1);
}

/* The next month, in a year that has a day; false past the last year. */
static bool month_forward(const struct cron *cron, struct month *m)
{
    uint32_t later = cron->months & ~((2u << m->month) - 1);
    int year = m->year;

    if (!later || !year_has_day(cron, year, year_first_weekday(year))) {
        year = year_forward(cron, year);
        later = cron->months;
    }
    if (year <= YEAR_MAX)
        month_set(m, year, __builtin_ctz(later));
    return year <= YEAR_MAX;
}

static bool month_backward(const struct cron *cron, struct month *m)
{
    uint32_t earlier = cron->months & ((1u << m->month) - 1);
    int year = m->year;

    if (!earlier || !year_has_day(cron, year, year_first_weekday(year))) {
        year = year_backward(cron, year);
        earlier = cron->months;
    }
    if (year >= YEAR_MIN)
        month_set(m, year, 31 - __builtin_clz(earlier));
    return year >= YEAR_MIN;
}

static void month_of(int64_t days, struct month *m, int *ret_day)
{
    int64_t year;

    civil_from_days(days, &year, &m->month, ret_day);
    m->year = (int)year;
    m->length = month_length(m->year, m->month);
    m->first = days - *ret_day + 1;
}

static uint32_t month_mask(const struct cron *cron, const struct month *m)
{
    if (!(cron->months >> m->month & 1) || !cron_has_year(cron, m->year))
        return 0;
    return month_days(cron, m);
}

/* ---- time of day ---- */

/* The lowest set bit >= n, -1 for none; n may be 64. */
static int bit_from(uint64_t bits, int n)
{
    bits = n > 63 ? 0 : bits >> n << n;
    return bits ? __builtin_ctzll(bits) : -1;
}

/* The highest set bit <= n, -1 for none; n may be -1. */
static int bit_to(uint64_t bits, int n)
{
    bits = n < 0 ? 0 : bits << (63 - n) >> (63 - n);
    return bits ? 63 - __builtin_clzll(bits) : -1;
}

static int time_first(const struct cron *cron)
{
    return __builtin_ctz(cron->hours) * 3600 + __builtin_ctzll(cron->minutes) * 60 +
           __builtin_ctzll(cron->seconds);
}

static int time_last(const struct cron *cron)
{
    return (31 - __builtin_clz(cron->hours)) * 3600 + bit_to(cron->minutes, 63) * 60 +
           bit_to(cron->seconds, 63);
}

/* The least time of day >= time, -1 for none. */
static int time_next(const struct cron *cron, int time)
{
    int hour = time / 3600, minute = time / 60 % 60, second = time % 60;

    if (cron->hours >> hour & 1) {
        int s = cron->minutes >> minute & 1 ? bit_from(cron->seconds, second) : -1;
        if (s >= 0)
            return hour * 3600 + minute * 60 + s;
        int m = bit_from(cron->minutes, minute + 1);
        if (m >= 0)
            return hour * 3600 + m * 60 + __builtin_ctzll(cron->seconds);
    }
    hour = bit_from(cron->hours, hour + 1);
    return hour < 0 ? -1 : time_first(cron) + (hour - __builtin_ctz(cron->hours)) * 3600;
}

/* The greatest time of day <= time, -1 for none. */
static int time_previous(const struct cron *cron, int time)
{
    int hour = time / 3600, minute = time / 60 % 60, second = time % 60;

    if (cron->hours >> hour & 1) {
        int s = cron->minutes >> minute & 1 ? bit_to(cron->seconds, second) : -1;
        if (s >= 0)
            return hour * 3600 + minute * 60 + s;
        int m = bit_to(cron->minutes, minute - 1);
        if (m >= 0)
            return hour * 3600 + m * 60 + bit_to(cron->seconds, 63);
    }
    hour = bit_to(cron->hours, hour - 1);
    return hour < 0 ? -1 : hour * 3600 + time_last(cron) % 3600;
}

/* How many times of day are < time. */
static int64_t times_before(const struct cron *cron, int time)
{
    int hour = time / 3600, minute = time / 60 % 60, second = time % 60;
    int seconds = __builtin_popcountll(cron->seconds);
    int minutes = __builtin_popcountll(cron->minutes);
    int64_t count =
        (int64_t)__builtin_popcount(cron->hours & ((1u << hour) - 1)) * minutes * seconds;

    if (!(cron->hours >> hour & 1))
        return count;
    count += (int64_t)__builtin_popcountll(cron->minutes & ((UINT64_C(1) << minute) - 1)) * seconds;
    if (cron->minutes >> minute & 1)
        count += __builtin_popcountll(cron->seconds & ((UINT64_C(1) << second) - 1));
    return count;
}

/* ---- days and times together ---- */

int64_t cron_local_next(const struct cron *cron, int64_t from)
{
    struct month m;
    uint32_t mask;
    int day;

    if (from >= LOCAL_END || !cron->year_types)
        return SCHEDULE_NEVER;
    from = from < 0 ? 0 : from;
    month_of(from / DAY_SECONDS, &m, &day);
    mask = month_mask(cron, &m) >> day << day;
    if (mask >> day & 1) {
        int time = time_next(cron, (int)(from % DAY_SECONDS));
        if (time >= 0)
            return from / DAY_SECONDS * DAY_SECONDS + time;
        mask &= mask - 1;
    }
    while (!mask) {
        if (!month_forward(cron, &m))
            return SCHEDULE_NEVER;
        mask = month_days(cron, &m);
    }
    return (m.first + __builtin_ctz(mask) - 1) * DAY_SECONDS + time_first(cron);
}

int64_t cron_local_previous(const struct cron *cron, int64_t to)
{
    struct month m;
    uint32_t mask;
    int day;

    if (to < 0 || !cron->year_types)
        return SCHEDULE_NONE;
    to = to >= LOCAL_END ? LOCAL_END - 1 : to;
    month_of(to / DAY_SECONDS, &m, &day);
    mask = month_mask(cron, &m) & days_up_to(day);
    if (mask >> day & 1) {
        int time = time_previous(cron, (int)(to % DAY_SECONDS));
        if (time >= 0)
            return to / DAY_SECONDS * DAY_SECONDS + time;
        mask &= ~(1u << day);
    }
    while (!mask) {
        if (!month_backward(cron, &m))
            return SCHEDULE_NONE;
        mask = month_days(cron, &m);
    }
    return (m.first + 30 - __builtin_clz(mask)) * DAY_SECONDS + time_last(cron);
}

static int64_t days_count(const struct cron *cron, uint32_t mask)
{
    int64_t per_day = (int64_t)__builtin_popcount(cron->hours) *
                      __builtin_popcountll(cron->minutes) * __builtin_popcountll(cron->seconds);

    return __builtin_popcount(mask) * per_day;
}

/* Named times of the month that lie before this one. */
static int64_t month_count_before(const struct cron *cron, const struct month *m, int day, int time)
{
    uint32_t mask = month_mask(cron, m);
    int64_t count = days_count(cron, mask & days_up_to(day - 1));

    return mask >> day & 1 ? count + times_before(cron, time) : count;
}

int64_t cron_local_count(const struct cron *cron, int64_t from, int64_t to)
{
    struct month m, end;
    int64_t count;
    int day, end_day;

    from = from < 0 ? 0 : from;
    to = to > LOCAL_END ? LOCAL_END : to;
    if (from >= to || !cron->year_types)
        return 0;
    month_of(from / DAY_SECONDS, &m, &day);
    month_of(to / DAY_SECONDS, &end, &end_day);
    count = month_count_before(cron, &end, end_day, (int)(to % DAY_SECONDS)) -
            month_count_before(cron, &m, day, (int)(from % DAY_SECONDS));
    while (m.first < end.first) {
        count += days_count(cron, month_mask(cron, &m));
        if (!month_forward(cron, &m))
            break;
    }
    return count;
}
