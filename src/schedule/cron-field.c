#include "schedule/cron-parse.h"

/*
 *   field  = part *( "," part )        | "?" (day fields of quartz and spring)
 *   part   = ( "*" | value [ "-" value ] ) [ "/" step ]     | "/" step (quartz)
 *          | hash | day rule | weekday rule
 *   value  = 1*4DIGIT | name
 *
 * No half-reading: what is left over behind a part is an error.
 */

static const char *const terms[] = {
    [FIELD_SECOND] = ERROR_TERM("second"), [FIELD_MINUTE] = ERROR_TERM("minute"),
    [FIELD_HOUR] = ERROR_TERM("hour"),     [FIELD_DAY] = ERROR_TERM("day-of-month"),
    [FIELD_MONTH] = ERROR_TERM("month"),   [FIELD_WEEKDAY] = ERROR_TERM("day-of-week"),
    [FIELD_YEAR] = ERROR_TERM("year"),
};

static const char month_names[] = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
static const char weekday_names[] = "SUNMONTUEWEDTHUFRISAT";

const char *cron_field_term(enum cron_field field)
{
    return terms[field];
}

struct cron_limits cron_limits(const struct cron_parser *parser)
{
    static const struct cron_limits limits[] = {
        [FIELD_SECOND] = { 0, 59, 60, 59 },
        [FIELD_MINUTE] = { 0, 59, 60, 59 },
        [FIELD_HOUR] = { 0, 23, 24, 23 },
        [FIELD_DAY] = { 1, 31, 31, 31 },
        [FIELD_MONTH] = { 1, 12, 12, 12 },
        [FIELD_WEEKDAY] = { 0, 7, 7, 7 },
        [FIELD_YEAR] = { YEAR_MIN, YEAR_MAX, 0, 0 },
    };
    struct cron_limits result = limits[parser->field];

    if (parser->field == FIELD_WEEKDAY && parser->dialect == CRON_QUARTZ)
        result.min = 1;
    return result;
}

struct cron_limits cron_star_limits(const struct cron_parser *parser)
{
    struct cron_limits limits = cron_limits(parser);

    if (parser->field == FIELD_WEEKDAY && parser->dialect == CRON_UNIX)
        limits.max = 6; /* 7 is Sunday once more */
    if (parser->field == FIELD_WEEKDAY && parser->dialect == CRON_SPRING)
        limits.min = 1; /* Monday */
    return limits;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

struct str cron_token(const char *begin, const char *end)
{
    size_t size = (size_t)(end - begin);

    return (struct str){ begin, size < 32 ? size : 32 };
}

int cron_position(const struct cron_parser *parser, const char *at)
{
    return (int)(at - parser->text.bytes) + 1; /* all is ASCII once fields are parsed */
}

static const char *part_end(const struct cron_parser *parser)
{
    return parser->part.bytes + parser->part.size;
}

bool cron_value_at(const char *p, const char *end)
{
    return p < end && (is_digit(*p) || is_letter(*p));
}

int cron_junk_error(struct cron_parser *parser, const char *p)
{
    struct str rest = cron_token(p, part_end(parser));
    struct str before = cron_token(parser->part.bytes, p);

    if (rest.size && rest.bytes[0] == '~')
        return FIELD_ERROR(parser, p, "\"~\" is not supported; write H to spread jobs over time");
    if (rest.size && rest.bytes[0] == '?')
        return FIELD_ERROR(parser, p, "\"?\" stands alone or not at all");
    if (!rest.size)
        return FIELD_ERROR(parser, p, "something is missing after \"%.*s\"", TOKEN(before));
    if (!before.size)
        return FIELD_ERROR(parser, p, "\"%.*s\" is not understood here", TOKEN(rest));
    return FIELD_ERROR(parser, p, "\"%.*s\" is not understood after \"%.*s\"", TOKEN(rest),
                       TOKEN(before));
}

/* 4 digits hold every number that any field takes, and cannot overflow. */
int cron_number_read(struct cron_parser *parser, const char **p, int *ret_number)
{
    const char *begin = *p, *end = part_end(parser);
    int number = 0;

    while (*p < end && is_digit(**p)) {
        if (*p - begin < 4)
            number = number * 10 + (**p - '0');
        ++*p;
    }
    if (*p == begin)
        return cron_junk_error(parser, begin);
    if (*p - begin > 4)
        return FIELD_ERROR(parser, begin, "\"%.*s\" has too many digits",
                           TOKEN(cron_token(begin, *p)));
    *ret_number = number;
    return 0;
}

static int name_index(struct str token, const char *names)
{
    for (int i = 0; token.size == 3 && names[3 * i]; i++)
        if (str_equal_nocase(token, (struct str){ names + 3 * i, 3 }))
            return i;
    return -1;
}

static int name_number(const struct cron_parser *parser, struct str token)
{
    int index;

    if (parser->field == FIELD_MONTH) {
        index = name_index(token, month_names);
        return index < 0 ? -1 : index + 1;
    }
    index = name_index(token, weekday_names);
    if (index < 0 || parser->dialect == CRON_UNIX)
        return index;
    if (parser->dialect == CRON_QUARTZ)
        return index + 1;
    return index == 0 ? 7 : index; /* spring counts from Monday */
}

/* A name is followed by L only as in FRIL: three letters, then the L is for the caller. */
static const char *name_end(const struct cron_parser *parser, const char *p, const char *end)
{
    const char *begin = p;

    while (p < end && is_letter(*p))
        p++;
    if (parser->field == FIELD_WEEKDAY && p - begin == 4 && (p[-1] == 'L' || p[-1] == 'l'))
        p--;
    return p;
}

static int name_read(struct cron_parser *parser, const char **p, struct cron_value *ret_value)
{
    const char *begin = *p;
    struct str token;

    *p = name_end(parser, begin, part_end(parser));
    token = cron_token(begin, *p);
    if (parser->field != FIELD_MONTH && parser->field != FIELD_WEEKDAY)
        return FIELD_ERROR(parser, begin, "\"%.*s\" is not understood here", TOKEN(token));
    *ret_value = (struct cron_value){ token, name_number(parser, token), true };
    if (ret_value->number >= 0)
        return 0;
    if (parser->field == FIELD_MONTH)
        return FIELD_ERROR(parser, begin, "unknown month \"%.*s\"; write JAN, FEB … DEC or 1-12",
                           TOKEN(token));
    return FIELD_ERROR(parser, begin, "unknown weekday \"%.*s\"; write SUN, MON … SAT",
                       TOKEN(token));
}

static int range_error(struct cron_parser *parser, const struct cron_value *value)
{
    struct cron_limits limits = cron_limits(parser);
    const char *at = value->token.bytes;

    if (parser->field == FIELD_HOUR && value->number == 24)
        return FIELD_ERROR(parser, at, "\"24\" is out of 0-23; midnight is 0");
    if (parser->field == FIELD_WEEKDAY && parser->dialect == CRON_QUARTZ)
        return FIELD_ERROR(parser, at, "\"%.*s\" is out of 1-7 (1 is Sunday, 7 is Saturday)",
                           TOKEN(value->token));
    return FIELD_ERROR(parser, at, "\"%.*s\" is out of %d-%d", TOKEN(value->token), limits.min,
                       limits.max);
}

int cron_value_read(struct cron_parser *parser, const char **p, struct cron_value *ret_value)
{
    struct cron_limits limits = cron_limits(parser);
    const char *begin = *p;

    if (!cron_value_at(*p, part_end(parser)))
        return cron_junk_error(parser, *p);
    if (is_letter(*begin))
        return name_read(parser, p, ret_value);
    ret_value->is_name = false;
    if (cron_number_read(parser, p, &ret_value->number) < 0)
        return -1;
    ret_value->token = cron_token(begin, *p);
    if (ret_value->number < limits.min || ret_value->number > limits.max)
        return range_error(parser, ret_value);
    return 0;
}

int cron_weekday(const struct cron_parser *parser, int value)
{
    return parser->dialect == CRON_QUARTZ ? value - 1 : value % 7;
}

void cron_add(struct cron_parser *parser, int value)
{
    struct cron *cron = parser->cron;

    switch (parser->field) {
    case FIELD_SECOND:
        cron->seconds |= UINT64_C(1) << value;
        break;
    case FIELD_MINUTE:
        cron->minutes |= UINT64_C(1) << value;
        break;
    case FIELD_HOUR:
        cron->hours |= 1u << value;
        break;
    case FIELD_DAY:
        cron->days |= 1u << value;
        break;
    case FIELD_MONTH:
        cron->months |= (uint16_t)(1u << value);
        break;
    case FIELD_WEEKDAY:
        cron->weekdays |= (uint8_t)(1u << cron_weekday(parser, value));
        break;
    case FIELD_YEAR:
        cron->years[(value - YEAR_MIN) / 64] |= UINT64_C(1) << ((value - YEAR_MIN) % 64);
        break;
    }
}

/* What stands before the step. */
struct range {
    int first, last;
    bool open; /* '*' or a single value: a step makes it run to the end of the field */
    bool star;
    bool has_name;
};

static struct range star_range(const struct cron_parser *parser)
{
    struct cron_limits limits = cron_star_limits(parser);

    return (struct range){ limits.min, limits.max, true, true, false };
}

/* Backward ranges: quartz wraps round, unix and spring know Sunday at both ends of the week. */
static int range_order(struct cron_parser *parser, struct range *range, const char *at)
{
    bool weekday = parser->field == FIELD_WEEKDAY;

    if (weekday && parser->dialect == CRON_SPRING && range->first == 7)
        range->first = 0;
    if (weekday && parser->dialect == CRON_UNIX && range->last == 0 && range->first > 0)
        range->last = 7;
    if (range->last >= range->first)
        return 0;
    if (parser->dialect == CRON_QUARTZ && parser->field != FIELD_YEAR) {
        range->last += cron_limits(parser).span;
        return 0;
    }
    if (parser->field == FIELD_YEAR)
        return FIELD_ERROR(parser, at, "the range %d-%d runs backwards", range->first, range->last);
    return FIELD_ERROR(parser, at, "the range runs backwards; write %d-%d,%d-%d", range->first,
                       cron_star_limits(parser).max, cron_star_limits(parser).min, range->last);
}

static int range_read(struct cron_parser *parser, const char **p, struct range *ret_range)
{
    const char *begin = *p, *end = part_end(parser);
    struct cron_value first, last;

    if (*p < end && **p == '*') {
        ++*p;
        *ret_range = star_range(parser);
        return 0;
    }
    if (parser->dialect == CRON_QUARTZ && *p < end && **p == '/') {
        *ret_range = star_range(parser);
        return 0;
    }
    if (cron_value_read(parser, p, &first) < 0)
        return -1;
    *ret_range = (struct range){ first.number, first.number, true, false, first.is_name };
    if (*p == end || **p != '-')
        return 0;
    ++*p;
    if (cron_value_read(parser, p, &last) < 0)
        return -1;
    if (parser->dialect == CRON_QUARTZ && first.is_name != last.is_name)
        return FIELD_ERROR(parser, begin, "a range of a name and a number; write both alike");
    *ret_range = (struct range){ first.number, last.number, false, false, first.is_name };
    return range_order(parser, ret_range, begin);
}

static int step_check(struct cron_parser *parser, const struct range *range, int step,
                      struct str token)
{
    struct cron_limits limits = cron_limits(parser);

    if (step == 0)
        return FIELD_ERROR(parser, token.bytes, "a step of 0 never moves on");
    if (!range->open || limits.step_max == 0 || step <= limits.step_max)
        return 0;
    if (parser->dialect == CRON_SPRING) { /* Spring takes any step: only the first value fires */
        parser->cron->flags |= CRON_BIG_STEP;
        return 0;
    }
    return FIELD_ERROR(parser, token.bytes,
                       "the step \"%.*s\" is more than %d, so it would never be taken; for longer "
                       "intervals set the next field or a schedule of kind every",
                       TOKEN(token), limits.step_max);
}

static int step_read(struct cron_parser *parser, const char **p, struct range *range, int *ret_step)
{
    const char *at = ++*p;

    if (parser->dialect == CRON_UNIX && range->open && !range->star)
        return FIELD_ERROR(parser, parser->part.bytes,
                           "\"%.*s\" needs a range in unix cron: write %d-%d/… instead",
                           TOKEN(cron_token(parser->part.bytes, part_end(parser))), range->first,
                           star_range(parser).last);
    if (parser->dialect == CRON_QUARTZ && range->has_name)
        return FIELD_ERROR(parser, at - 1, "Quartz ignores a step after names; write numbers");
    if (cron_number_read(parser, p, ret_step) < 0 ||
        step_check(parser, range, *ret_step, cron_token(at, *p)) < 0)
        return -1;
    if (range->open)
        range->last = star_range(parser).last;
    return 0;
}

static void range_add(struct cron_parser *parser, const struct range *range, int step)
{
    struct cron_limits limits = cron_limits(parser);

    for (int value = range->first; value <= range->last; value += step)
        cron_add(parser, value > limits.max ? value - limits.span : value);
}

static int plain_part_parse(struct cron_parser *parser)
{
    const char *p = parser->part.bytes;
    struct range range;
    int step = 1;

    if (range_read(parser, &p, &range) < 0)
        return -1;
    if (p < part_end(parser) && *p == '/' && step_read(parser, &p, &range, &step) < 0)
        return -1;
    if (p != part_end(parser))
        return cron_junk_error(parser, p);
    range_add(parser, &range, step);
    return 0;
}

static int special_part_parse(struct cron_parser *parser)
{
    if (parser->field == FIELD_DAY)
        return cron_day_part_parse(parser);
    if (parser->field == FIELD_WEEKDAY)
        return cron_weekday_part_parse(parser);
    return 0;
}

static int part_parse(struct cron_parser *parser)
{
    int taken;

    if (!parser->part.size)
        return FIELD_ERROR(parser, parser->part.bytes, "an empty item between commas");
    if (parser->part.bytes[0] == 'H')
        return cron_hash_parse(parser);
    taken = special_part_parse(parser);
    if (taken == 0 && plain_part_parse(parser) < 0)
        return -1;
    if (taken < 0)
        return -1;
    if (parser->out)
        buf_add(parser->out, parser->part.bytes, parser->part.size);
    return 0;
}

/* '?' alone is '*' of a day field; which of the two may have it is for cron-parse.c. */
static int question_parse(struct cron_parser *parser)
{
    const char *at = parser->part.bytes;

    if (parser->dialect == CRON_UNIX)
        return FIELD_ERROR(parser, at, "\"?\" is not known to unix cron; write * instead");
    if (parser->field != FIELD_DAY && parser->field != FIELD_WEEKDAY)
        return FIELD_ERROR(parser, at, "\"?\" is for the day fields; write * instead");
    parser->part = STR("*");
    if (plain_part_parse(parser) < 0)
        return -1;
    if (parser->out)
        buf_add_char(parser->out, '?');
    return 0;
}

int cron_field_parse(struct cron_parser *parser)
{
    struct str rest = parser->fields[parser->number - 1];
    bool first = true;

    if (str_is(rest, "?")) {
        parser->part = rest;
        return question_parse(parser);
    }
    for (; str_split(&rest, ',', &parser->part); first = false) {
        if (!first && parser->out)
            buf_add_char(parser->out, ',');
        if (part_parse(parser) < 0)
            return -1;
    }
    return 0;
}
