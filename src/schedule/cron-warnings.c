#include "schedule/cron-private.h"

#include "base/clock.h"

#include <assert.h>

/* Advice for the preview: what is valid and yet often not meant. */

struct advice {
    struct cron_warning *warnings;
    size_t count;
};

static struct error *add(struct advice *advice, const char *name)
{
    assert(advice->count < CRON_WARNINGS_MAX); /* no expression earns more than five */
    advice->warnings[advice->count] = (struct cron_warning){ .name = name };
    return &advice->warnings[advice->count++].text;
}

static bool month_ever_has_day(const struct cron *cron, int month)
{
    for (int first = 0; first < 7; first++)
        if (cron_month_days(cron, first, month_length(1972, month)))
            return true;
    return false;
}

static bool month_always_has_day(const struct cron *cron, int month)
{
    for (int first = 0; first < 7; first++)
        if (!cron_month_days(cron, first, month_length(1970, month)))
            return false;
    return true;
}

static void day_advice(struct advice *advice, const struct cron *cron)
{
    int never = 0, sometimes = 0, months = __builtin_popcount(cron->months);

    for (int month = 1; month <= 12; month++) {
        if (!(cron->months >> month & 1))
            continue;
        never += !month_ever_has_day(cron, month);
        sometimes += month_ever_has_day(cron, month) && !month_always_has_day(cron, month);
    }
    if (never)
        error_set(add(advice, "short_months"), ERR_NONE,
                  "%d of %d months have no such day and are skipped", never, months);
    else if (sometimes)
        error_set(add(advice, "some_months"), ERR_NONE,
                  "in some months or years there is no such day; they are skipped");
}

static void next_advice(struct advice *advice, const struct cron *cron, const struct zone *zone,
                        enum dst_rule dst, int64_t after_ms)
{
    struct cron_fire fire;
    char text[TIME_TEXT_SIZE];

    if (cron_never_fires(cron, zone, dst)) {
        error_set(add(advice, "never"), ERR_NONE, "never fires: there is no such day");
        return;
    }
    if (cron->year_types & 0x7F || !cron_next_detail(cron, zone, dst, after_ms, &fire)) {
        day_advice(advice, cron);
        return;
    }
    time_format(fire.time_ms, fire.offset_s, text);
    error_set(add(advice, "leap_day"), ERR_NONE, "fires in leap years only; next on %.*s", 10,
              text);
}

static void both_days_advice(struct advice *advice, const struct cron *cron)
{
    if (!cron_has_both_days(cron))
        return;
    if (cron->flags & CRON_EITHER_DAY)
        error_set(add(advice, "either_day"), ERR_NONE,
                  "both day fields are set: fires on days that match either of them");
    else if (cron->flags & CRON_STAR_RULE)
        error_set(add(advice, "star_rule"), ERR_NONE,
                  "both day fields are set and one begins with *: fires only on days that match "
                  "both, as cronie does; other programs take either");
    else
        error_set(add(advice, "both_days"), ERR_NONE,
                  "both day fields are set: fires only on days that match both");
}

static void second_advice(struct advice *advice, const struct cron *cron)
{
    int seconds = __builtin_popcountll(cron->seconds);

    if (seconds < 60)
        return;
    if (cron->minutes == MINUTES_ALL)
        error_set(add(advice, "every_second"), ERR_NONE, "runs every second");
    else
        error_set(add(advice, "star_second"), ERR_NONE,
                  "runs 60 times in each of its minutes; write 0 as the second for once");
}

/* A step from the beginning of the field on that does not fit into it, 0: none. */
static int uneven_step(uint64_t mask, int low, int size)
{
    uint64_t rest = mask & (mask - 1);
    int step, last = low;

    if (!rest || __builtin_ctzll(mask) != low)
        return 0;
    step = __builtin_ctzll(rest) - low;
    for (int value = low; value < low + size; last = value, value += step)
        if (!(mask >> value & 1))
            return 0;
    if (step == 1 || __builtin_popcountll(mask) != (last - low) / step + 1 || size % step == 0)
        return 0;
    return step;
}

static void step_advice(struct advice *advice, const struct cron *cron)
{
    int step;

    if (cron->flags & CRON_BIG_STEP)
        error_set(add(advice, "big_step"), ERR_NONE,
                  "a step is longer than its field: only the first value fires");
    if ((step = uneven_step(cron->minutes, 0, 60)))
        error_set(add(advice, "uneven_step"), ERR_NONE,
                  "every %d minutes begins anew with each hour: the last interval is shorter",
                  step);
    else if ((step = uneven_step(cron->hours, 0, 24)))
        error_set(add(advice, "uneven_step"), ERR_NONE,
                  "every %d hours begins anew with each day: the last interval is shorter", step);
    else if ((step = uneven_step(cron->days, 1, 31)) && !cron_has_both_days(cron))
        error_set(add(advice, "uneven_step"), ERR_NONE,
                  "every %d days begins anew with each month: the last interval is shorter", step);
}

size_t cron_warnings(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                     int64_t after_ms, struct cron_warning warnings[CRON_WARNINGS_MAX])
{
    struct advice advice = { warnings, 0 };

    next_advice(&advice, cron, zone, dst, after_ms);
    both_days_advice(&advice, cron);
    second_advice(&advice, cron);
    step_advice(&advice, cron);
    return advice.count;
}
