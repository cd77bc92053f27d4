#include "schedule/cron-parse.h"

/*
 *   hash = "H" [ "(" value "-" value ")" ] [ "/" number ]
 *
 * One value (or one first value of a step) that hangs on the seed and the field alone, so that jobs
 * spread over time and a job keeps its place. Only 1-28 are taken as days, unless a range is given.
 */

static const char *part_end(const struct cron_parser *parser)
{
    return parser->part.bytes + parser->part.size;
}

/* SplitMix64's finish. Fires hang on it: never change it. */
static uint64_t hash_of(uint64_t seed, enum cron_field field)
{
    uint64_t x = seed + (uint64_t)(field + 1) * UINT64_C(0x9E3779B97F4A7C15);

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static int char_read(struct cron_parser *parser, const char **p, char c)
{
    if (*p == part_end(parser) || **p != c)
        return cron_junk_error(parser, *p);
    ++*p;
    return 0;
}

/* p stands at '('. */
static int limits_read(struct cron_parser *parser, const char **p, struct cron_limits *limits)
{
    struct cron_value first, last;

    ++*p;
    if (cron_value_read(parser, p, &first) < 0 || char_read(parser, p, '-') < 0 ||
        cron_value_read(parser, p, &last) < 0 || char_read(parser, p, ')') < 0)
        return -1;
    if (last.number < first.number)
        return FIELD_ERROR(parser, first.token.bytes, "the range of H runs backwards");
    limits->min = first.number;
    limits->max = last.number;
    return 0;
}

/* p stands at '/'. */
static int step_read(struct cron_parser *parser, const char **p, const struct cron_limits *limits,
                     int *ret_step)
{
    const char *at = ++*p;
    int size = limits->max - limits->min + 1;

    if (cron_number_read(parser, p, ret_step) < 0)
        return -1;
    if (*ret_step < 1 || *ret_step > size)
        return FIELD_ERROR(parser, at, "a step of H here is 1-%d", size);
    return 0;
}

static void hash_add(struct cron_parser *parser, const struct cron_limits *limits, int step)
{
    int size = limits->max - limits->min + 1;
    uint64_t hash = hash_of(parser->seed, parser->field);
    int first = limits->min + (int)(hash % (uint64_t)(step ? step : size));
    int last = step ? limits->max : first;

    for (int value = first; value <= last; value += step ? step : 1)
        cron_add(parser, value);
    if (!parser->out)
        return;
    if (!parser->expand_hash)
        buf_add(parser->out, parser->part.bytes, parser->part.size);
    else if (!step || first + step > last)
        buf_printf(parser->out, "%d", first);
    else
        buf_printf(parser->out, "%d-%d/%d", first, last, step);
}

int cron_hash_parse(struct cron_parser *parser)
{
    const char *p = parser->part.bytes + 1;
    struct cron_limits limits = cron_star_limits(parser);
    int step = 0;

    if (parser->field == FIELD_YEAR)
        return FIELD_ERROR(parser, parser->part.bytes, "H is not for the year");
    if (parser->field == FIELD_DAY)
        limits.max = 28;
    if (p < part_end(parser) && *p == '(' && limits_read(parser, &p, &limits) < 0)
        return -1;
    if (p < part_end(parser) && *p == '/' && step_read(parser, &p, &limits, &step) < 0)
        return -1;
    if (p != part_end(parser))
        return cron_junk_error(parser, p);
    hash_add(parser, &limits, step);
    return 0;
}
