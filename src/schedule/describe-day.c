#include "schedule/describe-private.h"

static const char *const month_words[] = {
    "",     "January", "February",  "March",   "April",    "May",      "June",
    "July", "August",  "September", "October", "November", "December",
};
static const char *const weekday_words[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                             "Thursday", "Friday", "Saturday" };
static const char *const weekday_words_zh[] = { "星期日", "星期一", "星期二", "星期三",
                                                "星期四", "星期五", "星期六" };
static const char *const nth_words[] = { "first", "second", "third", "fourth", "fifth" };
static const char *const nth_words_zh[] = { "第一个", "第二个", "第三个", "第四个", "第五个" };

static bool month_days_all(const struct cron *cron)
{
    return cron->days == DAYS_ALL;
}

static bool weekdays_all(const struct cron *cron)
{
    return cron->weekdays == WEEKDAYS_ALL;
}

enum days_kind days_kind(const struct cron *cron)
{
    bool either = cron->flags & CRON_EITHER_DAY;

    if (either ? month_days_all(cron) || weekdays_all(cron)
               : month_days_all(cron) && weekdays_all(cron))
        return DAYS_EVERY;
    if (!either && month_days_all(cron) && !cron->nth)
        return DAYS_WEEKDAYS;
    return DAYS_OF_MONTH;
}

static const char *ordinal_end(int n)
{
    if (n % 10 == 1 && n != 11)
        return "st";
    if (n % 10 == 2 && n != 12)
        return "nd";
    return n % 10 == 3 && n != 13 ? "rd" : "th";
}

static void say_ordinal(const struct words *w, int n)
{
    buf_printf(w->out, w->zh ? "%d" : "%d%s", n, ordinal_end(n));
}

/* "the 1st, 2nd and 10th to 15th" */
static void say_plain_days(const struct words *w)
{
    struct span spans[SPANS_MAX];
    struct progression p;
    int count = spans_of(w->cron->days, spans);

    if (progression_of(w->cron->days, &p) && p.step > 1 && p.count > 4) {
        buf_printf(w->out, w->zh ? "每 %d 天（" : "one day in %d from the ", p.step);
        say_ordinal(w, p.first);
        say(w, " to the ", "-");
        say_ordinal(w, p.last);
        say(w, "", " 号）");
        return;
    }
    say(w, "the ", "");
    for (int i = 0; i < count; i++) {
        say_join(w, i, count);
        say_ordinal(w, spans[i].first);
        if (spans[i].last > spans[i].first) {
            say(w, " to ", "-");
            say_ordinal(w, spans[i].last);
        }
        say(w, "", " 号");
    }
}

static void say_last_day(const struct words *w, int before)
{
    if (before == 0)
        say(w, "the last day", "最后一天");
    else if (w->zh)
        buf_printf(w->out, "倒数第 %d 天", before + 1);
    else
        buf_printf(w->out, "%d day%s before the last day", before, before == 1 ? "" : "s");
}

static void say_near_day(const struct words *w, int day)
{
    if (w->zh) {
        buf_printf(w->out, "%d 号最近的工作日", day);
        return;
    }
    say(w, "the weekday nearest to the ", "");
    say_ordinal(w, day);
}

static void say_near_last_day(const struct words *w, int before)
{
    if (before == 0)
        say(w, "the last weekday", "最后一个工作日");
    else if (w->zh)
        buf_printf(w->out, "倒数第 %d 天最近的工作日", before + 1);
    else
        buf_printf(w->out, "the weekday nearest to %d day%s before the last day", before,
                   before == 1 ? "" : "s");
}

static void say_each(const struct words *w, uint32_t mask, int *i, int count,
                     void (*one)(const struct words *w, int value))
{
    for (; mask; mask &= mask - 1) {
        say_join(w, (*i)++, count);
        one(w, __builtin_ctz(mask));
    }
}

/* The first item is a number, which stands apart from Chinese characters. */
static bool begins_with_number(const struct cron *cron)
{
    struct progression p;

    if (!cron->days)
        return cron->near_days != 0;
    return !(progression_of(cron->days, &p) && p.step > 1 && p.count > 4);
}

static void say_month_days(const struct words *w)
{
    const struct cron *cron = w->cron;
    int i = 0;
    int count = (cron->days ? 1 : 0) + __builtin_popcount(cron->last_days) +
                __builtin_popcount(cron->near_days) + __builtin_popcount(cron->near_last_days);

    if (begins_with_number(cron))
        say(w, "", " ");
    if (cron->days) {
        say_plain_days(w);
        i++;
    }
    say_each(w, cron->near_days, &i, count, say_near_day);
    say_each(w, cron->last_days, &i, count, say_last_day);
    say_each(w, cron->near_last_days, &i, count, say_near_last_day);
}

static void say_weekday(const struct words *w, int weekday)
{
    say(w, weekday_words[weekday], weekday_words_zh[weekday]);
}

static void say_nth(const struct words *w, int rule)
{
    bool last = rule >= 35;

    say(w, "the ", "");
    say(w, last ? "last" : nth_words[rule % 5], last ? "最后一个" : nth_words_zh[rule % 5]);
    say(w, " ", "");
    say_weekday(w, last ? rule - 35 : rule / 5);
}

/* The week begins on Monday: bit 0 Monday … bit 6 Sunday. */
static unsigned from_monday(unsigned weekdays)
{
    return weekdays >> 1 | (weekdays & 1) << 6;
}

/* every: "every Monday" rather than "Monday". */
static void say_weekday_items(const struct words *w, bool every)
{
    const struct cron *cron = w->cron;
    struct span spans[SPANS_MAX];
    int plain = spans_of(from_monday(cron->weekdays), spans), i = 0;
    int count = plain + __builtin_popcountll(cron->nth);

    if (every && plain && (w->zh || spans[0].last == spans[0].first))
        say(w, "every ", "每个");
    for (; i < plain; i++) {
        say_join(w, i, count);
        say_weekday(w, (spans[i].first + 1) % 7);
        if (spans[i].last > spans[i].first) {
            say(w, " to ", "至");
            say_weekday(w, (spans[i].last + 1) % 7);
        }
    }
    for (uint64_t bits = cron->nth; bits; bits &= bits - 1) {
        say_join(w, i++, count);
        say_nth(w, __builtin_ctzll(bits));
    }
}

/* "Monday to Friday", 工作日 */
static void say_weekdays(const struct words *w)
{
    if (w->zh && w->cron->weekdays == 0x3E)
        say(w, "", "工作日");
    else
        say_weekday_items(w, true);
}

static void say_months(const struct words *w)
{
    struct span spans[SPANS_MAX];
    int count = spans_of(w->cron->months, spans);

    for (int i = 0; i < count; i++) {
        say_join(w, i, count);
        if (w->zh && spans[i].last > spans[i].first)
            buf_printf(w->out, "%d-%d 月", spans[i].first, spans[i].last);
        else if (w->zh)
            buf_printf(w->out, "%d 月", spans[i].first);
        else
            buf_add_text(w->out, month_words[spans[i].first]);
        if (!w->zh && spans[i].last > spans[i].first)
            buf_printf(w->out, " to %s", month_words[spans[i].last]);
    }
}

/* Years that follow each other at one distance, at least five; they do not fit one 64-bit mask. */
static bool years_progression(const struct cron *cron, struct progression *ret)
{
    *ret = (struct progression){ 0 };
    for (int year = YEAR_MIN; year <= YEAR_MAX; year++) {
        if (!cron_has_year(cron, year))
            continue;
        if (ret->count == 0)
            ret->first = year;
        else if (ret->count == 1)
            ret->step = year - ret->first;
        else if (year - ret->last != ret->step)
            return false;
        ret->last = year;
        ret->count++;
    }
    return ret->step > 1 && ret->count > 4;
}

static int year_runs(const struct cron *cron, struct span *runs, int max)
{
    int count = 0;

    for (int year = YEAR_MIN; year <= YEAR_MAX; year++) {
        if (!cron_has_year(cron, year))
            continue;
        if (count && runs[count - 1].last == year - 1)
            runs[count - 1].last = year;
        else if (count < max)
            runs[count++] = (struct span){ year, year };
    }
    return count;
}

static void say_years(const struct words *w)
{
    struct span runs[(YEAR_MAX - YEAR_MIN) / 2 + 2];
    int count = year_runs(w->cron, runs, (YEAR_MAX - YEAR_MIN) / 2 + 2);
    struct progression p;

    if (years_progression(w->cron, &p)) {
        buf_printf(w->out, w->zh ? "每 %d 年（%d-%d）" : "every %d years from %d to %d", p.step,
                   p.first, p.last);
        return;
    }
    say(w, "in ", "");
    for (int i = 0; i < count; i++) {
        say_join(w, i, count);
        buf_printf(w->out, "%d", runs[i].first);
        if (runs[i].last > runs[i].first)
            buf_printf(w->out, "-%d", runs[i].last);
    }
    say(w, "", " 年");
}

/* Both day fields. */
static void say_both(const struct words *w, const char *of)
{
    say_month_days(w);
    if (w->cron->flags & CRON_EITHER_DAY) {
        say(w, of, "");
        say(w, ", and ", "，以及");
        say_weekday_items(w, true);
        say(w, " (either)", "（任一满足）");
    } else {
        say(w, of, "");
        say(w, ", if also ", "且为");
        say_weekday_items(w, false);
    }
}

static void say_month_kind(const struct words *w, bool months)
{
    bool either = w->cron->flags & CRON_EITHER_DAY;
    const char *of = months ? "" : " of the month";

    say(w, "", months ? "的" : "每月");
    if (!w->cron->days || !month_days_all(w->cron)) {
        if (!weekdays_all(w->cron) || either) {
            say_both(w, of);
            return;
        }
        say_month_days(w);
    } else {
        say_weekday_items(w, true);
    }
    say(w, of, "");
}

void say_days(const struct words *w)
{
    enum days_kind kind = days_kind(w->cron);
    bool months = w->cron->months != MONTHS_ALL, years = !(w->cron->flags & CRON_YEAR_STAR);

    if (w->zh && years)
        say_years(w);
    if (w->zh && years && months)
        buf_add_char(w->out, ' ');
    if (w->zh && months)
        say_months(w);
    if (kind == DAYS_EVERY)
        say(w, "every day", "每天");
    else if (kind == DAYS_WEEKDAYS)
        say_weekdays(w);
    else
        say_month_kind(w, months);
    if (!w->zh && months) {
        buf_add_text(w->out, kind == DAYS_OF_MONTH && !w->cron->nth ? " of " : " in ");
        say_months(w);
    }
    if (!w->zh && years) {
        buf_add_char(w->out, ' ');
        say_years(w);
    }
}
