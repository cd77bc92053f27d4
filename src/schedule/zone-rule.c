#include "schedule/zone-private.h"

#include "base/clock.h"

/*
 * The footer of a TZif file, which holds for all time after its last transition (RFC 8536 3.3):
 *
 *   std offset [ dst [ offset ] "," date [ "/" time ] "," date [ "/" time ] ]
 *
 * name: letters, or anything in <>; offset: [+-]hh[:mm[:ss]], west positive;
 * date: Mm.w.d, Jn (1-365, no leap day) or n (0-365); time: -167 … 167 hours, 02:00 by default.
 */

struct rule_date {
    char kind; /* 'M', 'J', 'n' */
    int month, week, day;
    int32_t time;
};

struct rule {
    int32_t standard, daylight; /* seconds east */
    bool has_daylight;
    struct rule_date start, end;
};

static bool char_read(struct str *rest, char c)
{
    if (!rest->size || rest->bytes[0] != c)
        return false;
    rest->bytes++;
    rest->size--;
    return true;
}

static bool number_read(struct str *rest, int max, int *ret_number)
{
    int number = 0;
    bool any = false;

    while (rest->size && rest->bytes[0] >= '0' && rest->bytes[0] <= '9') {
        number = number * 10 + (rest->bytes[0] - '0');
        if (number > max)
            return false;
        rest->bytes++;
        rest->size--;
        any = true;
    }
    *ret_number = number;
    return any;
}

static bool name_read(struct str *rest)
{
    size_t size = 0;

    if (char_read(rest, '<')) {
        while (rest->size && rest->bytes[0] != '>') {
            rest->bytes++;
            rest->size--;
        }
        return char_read(rest, '>');
    }
    for (; rest->size && ((rest->bytes[0] | 0x20) >= 'a' && (rest->bytes[0] | 0x20) <= 'z');
         size++) {
        rest->bytes++;
        rest->size--;
    }
    return size >= 3;
}

static bool duration_read(struct str *rest, int hours_max, int32_t *ret_seconds)
{
    bool negative = char_read(rest, '-');
    int hours, minutes = 0, seconds = 0;

    if (!negative)
        char_read(rest, '+');
    if (!number_read(rest, hours_max, &hours))
        return false;
    if (char_read(rest, ':') && !number_read(rest, 59, &minutes))
        return false;
    if (char_read(rest, ':') && !number_read(rest, 59, &seconds))
        return false;
    *ret_seconds = (negative ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool date_read(struct str *rest, struct rule_date *ret)
{
    *ret = (struct rule_date){ .kind = 'n', .time = 7200 };
    if (char_read(rest, 'M')) {
        ret->kind = 'M';
        if (!number_read(rest, 12, &ret->month) || !char_read(rest, '.') ||
            !number_read(rest, 5, &ret->week) || !char_read(rest, '.') ||
            !number_read(rest, 6, &ret->day) || ret->month < 1 || ret->week < 1)
            return false;
    } else {
        if (char_read(rest, 'J'))
            ret->kind = 'J';
        if (!number_read(rest, 365, &ret->day) || (ret->kind == 'J' && ret->day < 1))
            return false;
    }
    return !char_read(rest, '/') || duration_read(rest, 167, &ret->time);
}

static bool rule_read(struct str text, struct rule *ret)
{
    int32_t west;

    *ret = (struct rule){ 0 };
    if (!name_read(&text) || !duration_read(&text, 24, &west))
        return false;
    ret->standard = -west;
    if (!text.size)
        return true;
    ret->has_daylight = true;
    ret->daylight = ret->standard + 3600;
    if (!name_read(&text))
        return false;
    if (text.size && text.bytes[0] != ',') {
        if (!duration_read(&text, 24, &west))
            return false;
        ret->daylight = -west;
    }
    return char_read(&text, ',') && date_read(&text, &ret->start) && char_read(&text, ',') &&
           date_read(&text, &ret->end) && !text.size;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970 of the date in a year. */
static int64_t date_day(const struct rule_date *date, int64_t year)
{
    int64_t first, next;

    if (date->kind == 'n')
        return days_from_civil(year, 1, 1) + date->day;
    if (date->kind == 'J')
        return days_from_civil(year, 1, 1) + date->day - 1 + (date->day >= 60 && is_leap(year));
    first = days_from_civil(year, date->month, 1);
    next = date->month == 12 ? days_from_civil(year + 1, 1, 1)
                             : days_from_civil(year, date->month + 1, 1);
    /* 1970-01-01 was a Thursday */
    int64_t day = first + ((date->day - (first + 4) % 7) % 7 + 7) % 7 + (date->week - 1) * 7;
    return day >= next ? day - 7 : day;
}

static void year_add(struct zone_builder *builder, const struct rule *rule, int64_t year,
                     int64_t last)
{
    int64_t start = date_day(&rule->start, year) * 86400 + rule->start.time - rule->standard;
    int64_t end = date_day(&rule->end, year) * 86400 + rule->end.time - rule->daylight;

    /* Daylight time all year is written with each end at the next start: start comes last. */
    if (end > last)
        zone_builder_add(builder, end, rule->standard);
    if (start > last)
        zone_builder_add(builder, start, rule->daylight);
}

bool zone_rule_add(struct zone_builder *builder, struct str text, int64_t last)
{
    struct rule rule;
    int64_t year;
    int month, day;

    if (!rule_read(text, &rule))
        return false;
    if (last < ZONE_BEGIN)
        last = ZONE_BEGIN;
    if (!rule.has_daylight) {
        zone_builder_add(builder, last, rule.standard);
        return true;
    }
    civil_from_days(last / 86400, &year, &month, &day);
    for (year--; year <= 2200; year++)
        year_add(builder, &rule, year, last);
    return true;
}
