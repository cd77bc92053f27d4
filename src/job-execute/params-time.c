#include "job-execute/params-time.h"

#include "base/clock.h"
#include "schedule/zone.h"

#include <string.h>

enum { DAY_MS = 86400000 };
static const int64_t time_end = INT64_C(7258118400000); /* 2200-01-01 */

bool time_shifts_parse(struct str *text, struct time_shift shifts[SHIFTS_MAX], size_t *ret_count)
{
    size_t count = 0;

    while (text->size && (text->bytes[0] == '+' || text->bytes[0] == '-')) {
        struct str digits = { text->bytes + 1, 0 };
        int sign = text->bytes[0] == '+' ? 1 : -1;
        struct time_shift *shift = &shifts[count];

        while (digits.size < text->size - 1 && digits.bytes[digits.size] >= '0' &&
               digits.bytes[digits.size] <= '9')
            digits.size++;
        if (count == SHIFTS_MAX || digits.size + 1 == text->size ||
            !number_parse(digits, 0, SHIFT_NUMBER_MAX, &shift->number) ||
            !memchr("smhdwM", digits.bytes[digits.size], 6))
            return false;
        shift->unit = digits.bytes[digits.size];
        shift->number *= sign;
        text->bytes += digits.size + 2;
        text->size -= digits.size + 2;
        count++;
    }
    *ret_count = count;
    return true;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int month_days(int64_t year, int month)
{
    return (int)(days_from_civil(month == 12 ? year + 1 : year, month % 12 + 1, 1) -
                 days_from_civil(year, month, 1));
}

static int64_t days_add_months(int64_t days, int64_t months)
{
    int64_t year;
    int month, day;

    civil_from_days(days, &year, &month, &day);
    months += year * 12 + month - 1;
    year = floor_divide(months, 12);
    month = (int)(months - year * 12) + 1;
    if (day > month_days(year, month))
        day = month_days(year, month);
    return days_from_civil(year, month, day);
}

/* The instant of a time on the wall; in a gap with the offset before it. */
static int64_t from_wall(const struct zone *zone, int64_t wall_ms, int offset_s)
{
    int64_t first = wall_ms - (int64_t)offset_s * 1000;
    int other_s = zone_offset_at(zone, first);
    int64_t second = wall_ms - (int64_t)other_s * 1000;

    if (other_s == offset_s)
        return first;
    if (zone_offset_at(zone, second) == other_s)
        return second;
    return first > second ? first : second;
}

static int64_t shift_date(const struct zone *zone, int64_t time_ms, const struct time_shift *shift)
{
    int offset_s = zone_offset_at(zone, time_ms);
    int64_t wall_ms = time_ms + (int64_t)offset_s * 1000;
    int64_t days = floor_divide(wall_ms, DAY_MS);
    int64_t rest = wall_ms - days * DAY_MS;

    if (shift->unit == 'M')
        days = days_add_months(days, shift->number);
    else
        days += shift->number * (shift->unit == 'w' ? 7 : 1);
    return from_wall(zone, days * DAY_MS + rest, offset_s);
}

bool time_shift(const struct zone *zone, int64_t time_ms, const struct time_shift *shifts,
                size_t count, int64_t *ret_time_ms)
{
    for (size_t i = 0; i < count; i++) {
        switch (shifts[i].unit) {
        case 's':
            time_ms += shifts[i].number * 1000;
            break;
        case 'm':
            time_ms += shifts[i].number * 60000;
            break;
        case 'h':
            time_ms += shifts[i].number * 3600000;
            break;
        default:
            time_ms = shift_date(zone, time_ms, &shifts[i]);
            break;
        }
        if (time_ms < 0 || time_ms >= time_end)
            return false;
    }
    *ret_time_ms = time_ms;
    return true;
}

/* --- formats ---------------------------------------------------------------------------------- */

struct wall {
    int64_t year;
    int month, day, hour, minute, second, millisecond;
};

static struct wall wall_of(const struct zone *zone, int64_t time_ms)
{
    int64_t wall_ms = time_ms + (int64_t)zone_offset_at(zone, time_ms) * 1000;
    int64_t days = floor_divide(wall_ms, DAY_MS);
    int rest = (int)(wall_ms - days * DAY_MS);
    struct wall wall;

    civil_from_days(days, &wall.year, &wall.month, &wall.day);
    wall.hour = rest / 3600000;
    wall.minute = rest / 60000 % 60;
    wall.second = rest / 1000 % 60;
    wall.millisecond = rest % 1000;
    return wall;
}

/* A run of one letter; false where it means nothing. */
static bool add_field(struct buf *out, char letter, size_t count, const struct wall *wall)
{
    int64_t number;
    int width = (int)count;

    switch (letter) {
    case 'y':
        number = count == 2 ? wall->year % 100 : wall->year;
        if (count != 2 && count != 4)
            return false;
        break;
    case 'M':
        number = wall->month;
        break;
    case 'd':
        number = wall->day;
        break;
    case 'H':
        number = wall->hour;
        break;
    case 'm':
        number = wall->minute;
        break;
    case 's':
        number = wall->second;
        break;
    case 'S':
        number = wall->millisecond;
        if (count != 3)
            return false;
        break;
    default:
        return false;
    }
    if (count > 2 && letter != 'y' && letter != 'S')
        return false;
    if (out)
        buf_printf(out, "%0*d", width, (int)number);
    return true;
}

/* 'text', with '' for a quote; pattern begins behind the opening one. */
static bool add_quoted(struct buf *out, struct str *pattern)
{
    while (pattern->size) {
        char c = pattern->bytes[0];
        bool doubled = c == '\'' && pattern->size > 1 && pattern->bytes[1] == '\'';

        pattern->bytes += doubled ? 2 : 1;
        pattern->size -= doubled ? 2 : 1;
        if (c == '\'' && !doubled)
            return true;
        if (out)
            buf_add_char(out, c);
    }
    return false;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool time_format_pattern(struct buf *out, struct str pattern, const struct zone *zone,
                         int64_t time_ms)
{
    struct wall wall = wall_of(zone, time_ms);

    while (pattern.size) {
        char c = pattern.bytes[0];
        size_t count = 1;

        if (is_letter(c)) {
            while (count < pattern.size && pattern.bytes[count] == c)
                count++;
            if (!add_field(out, c, count, &wall))
                return false;
        } else if (out && c != '\'')
            buf_add_char(out, c);
        pattern.bytes += count;
        pattern.size -= count;
        if (c == '\'' && !add_quoted(out, &pattern))
            return false;
    }
    return true;
}
