#include "base/clock.h"

#include <stdio.h>

/* Howard Hinnant's days_from_civil: years begin in March, eras have 146,097 days. */
int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + doe - 719468;
}

void civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;

    *ret_day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *ret_month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *ret_year = yoe + era * 400 + (*ret_month <= 2);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static size_t time_print(int64_t local_ms, char *text)
{
    int64_t seconds = floor_div(local_ms, 1000), ms = local_ms - seconds * 1000;
    int64_t days = floor_div(seconds, 86400), second = seconds - days * 86400, year;
    int month, day;

    civil_from_days(days, &year, &month, &day);
    int n = snprintf(text, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", (int)(year % 10000),
                     month, day, (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
    if (ms)
        n += snprintf(text + n, TIME_TEXT_SIZE - (size_t)n, ".%03d", (int)ms);
    return (size_t)n;
}

char *time_format(int64_t time_ms, int offset_s, char text[TIME_TEXT_SIZE])
{
    size_t n = time_print(time_ms + (int64_t)offset_s * 1000, text);
    int minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;

    snprintf(text + n, TIME_TEXT_SIZE - n, "%c%02d:%02d", offset_s < 0 ? '-' : '+',
             minutes / 60 % 100, minutes % 60);
    return text;
}

char *time_format_utc(int64_t time_ms, char text[TIME_TEXT_SIZE])
{
    size_t n = time_print(time_ms, text);

    snprintf(text + n, TIME_TEXT_SIZE - n, "Z");
    return text;
}

/* Exactly `digits` digits at *p, then the character after, which must be one of ends. */
static bool part_parse(struct str *rest, size_t digits, int64_t min, int64_t max, int64_t *ret)
{
    if (rest->size < digits || !number_parse((struct str){ rest->bytes, digits }, min, max, ret))
        return false;
    rest->bytes += digits;
    rest->size -= digits;
    return true;
}

static bool char_parse(struct str *rest, const char *allowed, char *ret)
{
    if (!rest->size || !strchr(allowed, rest->bytes[0]) || !rest->bytes[0])
        return false;
    *ret = rest->bytes[0];
    rest->bytes++;
    rest->size--;
    return true;
}

static bool fraction_parse(struct str *rest, int64_t *ret_ms)
{
    size_t digits = 0;
    char c;

    *ret_ms = 0;
    if (!rest->size || rest->bytes[0] != '.')
        return true;
    for (char_parse(rest, ".", &c); char_parse(rest, "0123456789", &c); digits++)
        if (digits < 3)
            *ret_ms += (c - '0') * (digits == 0 ? 100 : digits == 1 ? 10 : 1);
    return digits >= 1 && digits <= 9;
}

static bool offset_parse(struct str *rest, int64_t *ret_minutes)
{
    int64_t hours, minutes;
    char sign, c;

    if (!char_parse(rest, "Zz+-", &sign))
        return false;
    *ret_minutes = 0;
    if (sign == 'Z' || sign == 'z')
        return true;
    if (!part_parse(rest, 2, 0, 23, &hours) || !char_parse(rest, ":", &c) ||
        !part_parse(rest, 2, 0, 59, &minutes))
        return false;
    *ret_minutes = (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

static int month_days(int64_t year, int64_t month)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (month == 2)
        return leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

bool time_parse(struct str text, int64_t *ret_time_ms)
{
    int64_t year, month, day, hour, minute, second, ms, offset;
    char c;

    if (!part_parse(&text, 4, 1970, 2199, &year) || !char_parse(&text, "-", &c) ||
        !part_parse(&text, 2, 1, 12, &month) || !char_parse(&text, "-", &c) ||
        !part_parse(&text, 2, 1, month_days(year, month), &day) ||
        !char_parse(&text, "Tt ", &c) || !part_parse(&text, 2, 0, 23, &hour) ||
        !char_parse(&text, ":", &c) || !part_parse(&text, 2, 0, 59, &minute) ||
        !char_parse(&text, ":", &c) || !part_parse(&text, 2, 0, 59, &second) ||
        !fraction_parse(&text, &ms) || !offset_parse(&text, &offset) || text.size)
        return false;
    *ret_time_ms = ((days_from_civil(year, (int)month, (int)day) * 24 + hour) * 60 + minute - offset)
                       * 60000 + second * 1000 + ms;
    return true;
}
