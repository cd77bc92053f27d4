#include "schedule/describe-private.h"

enum { LIST_MAX = 6 }; /* times of day that are named one by one */

bool progression_of(uint64_t mask, struct progression *ret)
{
    int first, step, count = __builtin_popcountll(mask);
    uint64_t rest = mask & (mask - 1);

    if (!rest)
        return false;
    first = __builtin_ctzll(mask);
    step = __builtin_ctzll(rest) - first;
    *ret = (struct progression){ first, 63 - __builtin_clzll(mask), step, 0 };
    for (int value = first; value <= ret->last; value += step)
        if (!(mask >> value & 1))
            return false;
    ret->count = count;
    return (ret->last - first) / step + 1 == count;
}

/* From 0 and over the end of the field without a hitch. */
bool progression_regular(const struct progression *p, int size)
{
    return p->first == 0 && size % p->step == 0 && p->last == size - p->step;
}

static bool is_single(uint64_t mask)
{
    return (mask & (mask - 1)) == 0;
}

static int64_t times_count(const struct cron *cron)
{
    return (int64_t)__builtin_popcount(cron->hours) * __builtin_popcountll(cron->minutes) *
           __builtin_popcountll(cron->seconds);
}

static void say_time(const struct words *w, int hour, int minute, int second)
{
    buf_printf(w->out, "%02d:%02d", hour, minute);
    if (second)
        buf_printf(w->out, ":%02d", second);
}

static void say_list(const struct words *w)
{
    const struct cron *cron = w->cron;
    int i = 0, count = (int)times_count(cron);

    for (uint32_t h = cron->hours; h; h &= h - 1)
        for (uint64_t m = cron->minutes; m; m &= m - 1)
            for (uint64_t s = cron->seconds; s; s &= s - 1) {
                say_join(w, i++, count);
                say_time(w, __builtin_ctz(h), __builtin_ctzll(m), __builtin_ctzll(s));
            }
}

/* English and Chinese of each phrase; steps and ranges are formats of one and two numbers. */
struct unit {
    const char *every[2], *step[2], *range[2], *at[2], *at_end[2];
};

static const struct unit second_unit = {
    .every = { "every second", "每秒" },
    .step = { "every %d seconds", "每 %d 秒" },
    .range = { " from second %d to %d of the minute", "（每分钟的第 %d 至 %d 秒）" },
    .at = { "at second ", "第 " },
    .at_end = { " of the minute", " 秒" },
};
static const struct unit minute_unit = {
    .every = { "every minute", "每分钟" },
    .step = { "every %d minutes", "每 %d 分钟" },
    .range = { " from minute %d to %d of the hour", "（每小时的第 %d 至 %d 分）" },
    .at = { "at minute ", "每小时的第 " },
    .at_end = { " of the hour", " 分" },
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* formats of the tables above */
static void say_progression(const struct words *w, const struct unit *unit,
                            const struct progression *p)
{
    if (p->step == 1)
        say(w, unit->every[0], unit->every[1]);
    else
        buf_printf(w->out, unit->step[w->zh], p->step);
    if (!progression_regular(p, 60))
        buf_printf(w->out, unit->range[w->zh], p->first, p->last);
}
#pragma GCC diagnostic pop

/* Seconds or minutes of which there are several. */
static void say_field(const struct words *w, uint64_t mask, const struct unit *unit)
{
    struct progression p;

    if (progression_of(mask, &p) && (p.count > 3 || progression_regular(&p, 60))) {
        say_progression(w, unit, &p);
        return;
    }
    say(w, unit->at[0], unit->at[1]);
    say_numbers(w, mask);
    say(w, unit->at_end[0], unit->at_end[1]);
}

/* One run of hours, if need be over midnight; false when there are more, or all. */
static bool hours_run(const struct words *w, struct span *ret)
{
    uint32_t hours = w->cron->hours, starts, twice;

    if (hours == HOURS_ALL)
        return false;
    starts = hours & ~(hours << 1 | hours >> 23) & HOURS_ALL;
    if (!is_single(starts) || !starts)
        return false;
    twice = __builtin_ctz(starts);
    *ret = (struct span){ (int)twice, ((int)twice + __builtin_popcount(hours) - 1) % 24 };
    /* "the next day" is true of every day only */
    return ret->last > ret->first ||
           (ret->last < ret->first && days_kind(w->cron) == DAYS_EVERY &&
            w->cron->months == MONTHS_ALL && w->cron->flags & CRON_YEAR_STAR);
}

/* One minute of several hours. */
static void say_hourly(const struct words *w)
{
    int minute = __builtin_ctzll(w->cron->minutes);
    struct progression p;
    struct span run;

    if (w->cron->hours != HOURS_ALL && hours_run(w, &run)) {
        say(w, "every hour from ", "");
        say_time(w, run.first, minute, 0);
        say(w, " to ", run.last < run.first ? " 至次日 " : " 至 ");
        say_time(w, run.last, minute, 0);
        say(w, run.last < run.first ? " the next day" : "", " 每小时");
        return;
    }
    if (progression_of(w->cron->hours, &p) && p.step > 1)
        buf_printf(w->out, w->zh ? "每 %d 小时" : "every %d hours", p.step);
    else
        say(w, "every hour", "每小时");
    if (minute)
        buf_printf(w->out, w->zh ? "的第 %d 分" : " at minute %d", minute);
}

static void say_often(const struct words *w)
{
    const struct cron *cron = w->cron;

    if (!is_single(cron->seconds)) {
        say_field(w, cron->seconds, &second_unit);
        if (cron->minutes == MINUTES_ALL)
            return;
        say(w, " of ", "，仅");
        if (is_single(cron->minutes))
            say(w, "minute ", "第 ");
        else
            say(w, "the minutes ", "第 ");
        say_numbers(w, cron->minutes);
        say(w, "", " 分");
        return;
    }
    if (is_single(cron->minutes))
        say_hourly(w);
    else
        say_field(w, cron->minutes, &minute_unit);
    if (cron->seconds != 1)
        buf_printf(w->out, w->zh ? "的第 %d 秒" : " at second %d", __builtin_ctzll(cron->seconds));
}

/* Few times, or hours without a pattern. */
static bool is_list(const struct words *w)
{
    const struct cron *cron = w->cron;
    struct progression p;
    struct span run;

    if (times_count(cron) <= LIST_MAX)
        return true;
    if (!is_single(cron->minutes) || !is_single(cron->seconds) || cron->hours == HOURS_ALL)
        return false;
    return !hours_run(w, &run) && !(progression_of(cron->hours, &p) && progression_regular(&p, 24));
}

bool say_times(const struct words *w)
{
    if (is_list(w)) {
        say_list(w);
        return true;
    }
    say_often(w);
    return false;
}

/* 14:00-14:55: from the first to the last minute that fires. */
static void say_windows(const struct words *w, const struct span *spans, int count)
{
    int first = __builtin_ctzll(w->cron->minutes), last = 63 - __builtin_clzll(w->cron->minutes);

    for (int i = 0; i < count; i++) {
        if (i > 0)
            say(w, i == count - 1 ? " and " : ", ", i == count - 1 ? " 和 " : "、");
        say_time(w, spans[i].first, first, 0);
        buf_add_char(w->out, '-');
        say_time(w, spans[i].last, last, 0);
    }
}

/* Runs of hours, also those of two. */
static int hour_runs(uint32_t hours, struct span spans[SPANS_MAX])
{
    int count = 0;

    for (int h = 0; h < 24; h++) {
        if (!(hours >> h & 1))
            continue;
        if (count && spans[count - 1].last == h - 1)
            spans[count - 1].last = h;
        else
            spans[count++] = (struct span){ h, h };
    }
    return count;
}

void say_hours(const struct words *w)
{
    const struct cron *cron = w->cron;
    struct span spans[SPANS_MAX];
    struct progression p;
    int count;

    if (cron->hours == HOURS_ALL || is_list(w))
        return;
    if (is_single(cron->minutes) && is_single(cron->seconds))
        return; /* say_hourly has told */
    count = hour_runs(cron->hours, spans);
    bool even = cron->minutes == MINUTES_ALL ||
                (is_single(cron->seconds) && progression_of(cron->minutes, &p) &&
                 progression_regular(&p, 60));
    if (count <= 3 && even) {
        say_windows(w, spans, count);
        return;
    }
    say(w, is_single(cron->hours) ? "in hour " : "in the hours ", "");
    say_numbers(w, cron->hours);
    say(w, "", " 时");
}
