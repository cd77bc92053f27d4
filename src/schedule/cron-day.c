#include "schedule/cron-parse.h"

/*
 *   day rule     = "L" [ "-" number ] [ "W" ] | number "W"
 *   weekday rule = "L" (quartz: Saturday) | value "L" | value "#" number
 */

static const char *part_end(const struct cron_parser *parser)
{
    return parser->part.bytes + parser->part.size;
}

/* The letter in upper case; spring takes no other in the day-of-month field. */
static bool letter_at(const struct cron_parser *parser, const char *p, char letter)
{
    if (p >= part_end(parser))
        return false;
    if (parser->dialect == CRON_SPRING && parser->field == FIELD_DAY)
        return *p == letter;
    return (*p & ~0x20) == letter;
}

static int offset_read(struct cron_parser *parser, const char **p, int *ret_offset)
{
    const char *at = ++*p;
    int least = parser->dialect == CRON_SPRING ? 1 : 0;

    if (cron_number_read(parser, p, ret_offset) < 0)
        return -1;
    if (*ret_offset < least || *ret_offset > 30)
        return FIELD_ERROR(parser, at, "\"%.*s\" days before the last: only %d-30 can be",
                           TOKEN(cron_token(at, *p)), least);
    return 0;
}

/* p stands behind the L. */
static int last_day_parse(struct cron_parser *parser, const char *p)
{
    int offset = 0;
    bool has_offset = p < part_end(parser) && *p == '-';
    bool near;

    if (has_offset && offset_read(parser, &p, &offset) < 0)
        return -1;
    near = letter_at(parser, p, 'W');
    if (near && has_offset && parser->dialect == CRON_SPRING)
        return FIELD_ERROR(parser, p, "Spring knows LW but no L-%dW", offset);
    p += near;
    if (p != part_end(parser))
        return cron_junk_error(parser, p);
    if (near)
        parser->cron->near_last_days |= 1u << offset;
    else
        parser->cron->last_days |= 1u << offset;
    return 1;
}

static int near_day_parse(struct cron_parser *parser, const char *w)
{
    const char *begin = parser->part.bytes, *p = begin;
    int day;

    if (w + 1 != part_end(parser))
        return cron_junk_error(parser, w + 1);
    if (cron_number_read(parser, &p, &day) < 0)
        return -1;
    if (day < 1 || day > 31)
        return FIELD_ERROR(parser, begin,
                           "\"%.*s\" is out of 1-31 (15W is the weekday nearest to the 15th)",
                           TOKEN(cron_token(begin, w + 1)));
    parser->cron->near_days |= 1u << day;
    return 1;
}

int cron_day_part_parse(struct cron_parser *parser)
{
    const char *p = parser->part.bytes;

    if (letter_at(parser, p, 'L'))
        return last_day_parse(parser, p + 1);
    while (p < part_end(parser) && *p >= '0' && *p <= '9')
        p++;
    if (p > parser->part.bytes && letter_at(parser, p, 'W'))
        return near_day_parse(parser, p);
    return 0;
}

static int list_check(struct cron_parser *parser)
{
    struct str field = parser->fields[parser->number - 1];

    if (parser->dialect != CRON_QUARTZ || !memchr(field.bytes, ',', field.size))
        return 0;
    return FIELD_ERROR(parser, parser->part.bytes,
                       "\"%.*s\" cannot stand in a list: Quartz would ignore the rest of it",
                       TOKEN(cron_token(parser->part.bytes, part_end(parser))));
}

static int bare_last_parse(struct cron_parser *parser)
{
    if (parser->dialect != CRON_QUARTZ)
        return FIELD_ERROR(parser, parser->part.bytes,
                           "L needs its weekday, as in FRIL: the last Friday of the month");
    if (list_check(parser) < 0)
        return -1;
    cron_add(parser, 7);
    return 1;
}

static int last_weekday_parse(struct cron_parser *parser, const struct cron_value *value,
                              const char *p)
{
    if (p != part_end(parser))
        return cron_junk_error(parser, p);
    parser->cron->nth |= UINT64_C(1) << (35 + cron_weekday(parser, value->number));
    return 1;
}

static int nth_weekday_parse(struct cron_parser *parser, const struct cron_value *value,
                             const char *p)
{
    const char *at = p;
    int k;

    if (cron_number_read(parser, &p, &k) < 0)
        return -1;
    if (p != part_end(parser))
        return cron_junk_error(parser, p);
    if (k < 1 || k > 5)
        return FIELD_ERROR(parser, at, "\"%.*s\": a month has weekdays #1 to #5",
                           TOKEN(cron_token(at, p)));
    parser->cron->nth |= UINT64_C(1) << (5 * cron_weekday(parser, value->number) + k - 1);
    return 1;
}

int cron_weekday_part_parse(struct cron_parser *parser)
{
    struct str part = parser->part;
    const char *p = part.bytes;
    bool nth = memchr(p, '#', part.size) != NULL;
    struct cron_value value;

    if (part.size == 1 && letter_at(parser, p, 'L'))
        return bare_last_parse(parser);
    if (!cron_value_at(p, part_end(parser)) ||
        !(nth || letter_at(parser, part_end(parser) - 1, 'L')))
        return 0;
    if (cron_value_read(parser, &p, &value) < 0)
        return -1;
    if (nth ? *p != '#' : !letter_at(parser, p, 'L'))
        return cron_junk_error(parser, p);
    if (list_check(parser) < 0)
        return -1;
    return nth ? nth_weekday_parse(parser, &value, p + 1)
               : last_weekday_parse(parser, &value, p + 1);
}
