#include "schedule/schedule.h"

#include "base/map.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/*
 * Random expressions, zones and instants against a scanner that shares no code with the engine. It
 * goes the other way round: it writes the expression from values that it has chosen itself, walks
 * over the wall clock day by day, and asks glibc (localtime_r with TZ) which instants show a time.
 * BELFRY_CRON_CASES and BELFRY_CRON_SEED change how many and which.
 */

/* ---- random ---- */

static uint64_t random_state;

static unsigned pick(unsigned below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((random_state >> 33) % below);
}

static bool chance(unsigned percent)
{
    return pick(100) < percent;
}

/* ---- zones as glibc tells them ---- */

struct change {
    int64_t at;
    int before, after;
};

struct clock_zone {
    const char *name;
    struct zone *zone;
    struct change changes[600];
    int count, first;
    int offsets[64]; /* all that occur */
    int offset_count;
};

static const char *const zone_names[] = {
    "UTC",
    "America/New_York",
    "Europe/London",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Africa/Cairo",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Pacific/Kwajalein",
    "Antarctica/Casey",
    "Africa/Monrovia",
    "Europe/Dublin",
    "Antarctica/Vostok",
    "America/Nuuk",
    "America/Havana",
    "America/Asuncion",
    "Asia/Tehran",
    "Asia/Gaza",
    "America/Caracas",
    "America/Santiago",
    "Europe/Lisbon",
    "Asia/Pyongyang",
};
enum { ZONES = sizeof zone_names / sizeof *zone_names };
static struct clock_zone zones[ZONES];

static int glibc_offset(int64_t time)
{
    time_t t = (time_t)time;
    struct tm tm;

    assert_non_null(localtime_r(&t, &tm));
    return (int)tm.tm_gmtoff;
}

static void offset_note(struct clock_zone *z, int offset)
{
    for (int i = 0; i < z->offset_count; i++)
        if (z->offsets[i] == offset)
            return;
    assert_true(z->offset_count < 64);
    z->offsets[z->offset_count++] = offset;
}

static int64_t change_find(int64_t low, int64_t high)
{
    int before = glibc_offset(low);

    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (glibc_offset(middle) == before)
            low = middle;
        else
            high = middle;
    }
    return high;
}

static void clock_zone_init(struct clock_zone *z, const char *name)
{
    const int64_t begin = -86400 * 3, end = INT64_C(7258118400) + 86400 * 3, step = 86400;
    int before, after;

    z->name = name;
    setenv("TZ", name, 1);
    tzset();
    z->first = before = glibc_offset(begin);
    offset_note(z, z->first);
    for (int64_t t = begin; t < end; t += step, before = after) {
        after = glibc_offset(t + step);
        if (before == after)
            continue;
        assert_true(z->count < 600);
        z->changes[z->count++] = (struct change){ change_find(t, t + step), before, after };
        offset_note(z, after);
    }
    assert_int_equal(zone_load(name, &z->zone, NULL), 0);
}

static int offset_of(const struct clock_zone *z, int64_t time)
{
    int low = 0, high = z->count;

    while (low < high) {
        int middle = (low + high) / 2;
        if (z->changes[middle].at <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? z->changes[low - 1].after : z->first;
}

/* ---- expressions with the values they stand for ---- */

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, YEAR, KINDS };

struct spec {
    enum cron_dialect dialect;
    char text[CRON_TEXT_MAX + 1];
    bool value[KINDS][64]; /* weekday: 0 Sunday; year: see years */
    bool years[230];
    bool last[31], near[32], near_last[31], nth[7][6], last_weekday[7];
    bool either; /* unix: one of the day fields is enough */
};

static const int low_of[KINDS] = { 0, 0, 0, 1, 1, 0, 1970 };
static const int high_of[KINDS] = { 59, 59, 23, 31, 12, 6, 2199 };
static const char *const month_texts[] = { "JAN", "Feb", "mar", "APR", "MAY", "JUN",
                                           "Jul", "AUG", "SEP", "OCT", "NOV", "DEC" };
static const char *const weekday_texts[] = { "SUN", "mon", "TUE", "Wed", "THU", "FRI", "SAT" };

static void append(struct spec *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct spec *s, const char *format, ...)
{
    size_t used = strlen(s->text);
    va_list ap;

    va_start(ap, format);
    vsnprintf(s->text + used, sizeof s->text - used, format, ap);
    va_end(ap);
}

/* A weekday (0 Sunday) as the dialect writes it. */
static int weekday_number(const struct spec *s, int weekday)
{
    if (s->dialect == CRON_QUARTZ)
        return weekday + 1;
    return weekday == 0 && chance(50) ? 7 : weekday;
}

static void value_write(struct spec *s, int kind, int v)
{
    if (kind == MONTH && chance(30))
        append(s, "%s", month_texts[v - 1]);
    else if (kind == WEEKDAY && chance(40))
        append(s, "%s", weekday_texts[v]);
    else
        append(s, chance(10) ? "%02d" : "%d", kind == WEEKDAY ? weekday_number(s, v) : v);
}

static void take(struct spec *s, int kind, int v)
{
    if (kind == YEAR)
        s->years[v - 1970] = true;
    else
        s->value[kind][v] = true;
}

static int between(int low, int high)
{
    return low + (int)pick((unsigned)(high - low + 1));
}

/* Hours near midnight are where clocks change. */
static int value_pick(int kind)
{
    if (kind == HOUR && chance(70))
        return between(0, 4);
    if (kind == YEAR)
        return chance(70) ? between(2020, 2040) : between(1970, 2199);
    return between(low_of[kind], high_of[kind]);
}

static int step_pick(int kind)
{
    int most = kind == YEAR ? 40 : high_of[kind] == 6 ? 7 : high_of[kind];

    return between(1, chance(80) && most > 15 ? 15 : most);
}

/* a-b in ascending order; weekdays stay within Monday to Saturday, where all dialects agree. */
static void range_write(struct spec *s, int kind)
{
    int low = kind == WEEKDAY ? 1 : low_of[kind], a = between(low, high_of[kind]);
    int b = between(a, high_of[kind]), step = 1;
    bool shifted = kind == WEEKDAY && s->dialect == CRON_QUARTZ;

    append(s, "%d-%d", a + shifted, b + shifted);
    if (chance(40))
        append(s, "/%d", step = step_pick(kind));
    for (int v = a; v <= b; v += step)
        take(s, kind, v);
}

/* Quartz only: runs over the end of the field. */
static void wrapped_write(struct spec *s, int kind)
{
    int size = high_of[kind] - low_of[kind] + 1, length = between(1, size - 1);
    int a = between(low_of[kind], high_of[kind]), step = chance(30) ? step_pick(kind) : 1;
    int b = low_of[kind] + (a - low_of[kind] + length) % size, shifted = kind == WEEKDAY;

    append(s, "%d-%d", a + shifted, b + shifted);
    if (step > 1)
        append(s, "/%d", step);
    for (int i = 0; i <= length; i += step)
        take(s, kind, low_of[kind] + (a - low_of[kind] + i) % size);
}

/* The last value of a field under a step, and the first of '*', in days from Sunday. */
static void star_step_write(struct spec *s, int kind)
{
    int step = step_pick(kind);
    bool monday = kind == WEEKDAY && s->dialect == CRON_SPRING;

    append(s, "*/%d", step);
    for (int v = monday ? 1 : low_of[kind]; v <= (monday ? 7 : high_of[kind]); v += step)
        take(s, kind, kind == WEEKDAY ? v % 7 : v);
}

static void open_step_write(struct spec *s, int kind)
{
    int a = value_pick(kind), step = step_pick(kind), high = high_of[kind];

    if (kind == WEEKDAY && s->dialect == CRON_SPRING) {
        a = between(1, 6); /* 1 is Monday, the last is 7 */
        high = 7;
    }
    append(s, "%d/%d", a + (kind == WEEKDAY && s->dialect == CRON_QUARTZ), step);
    for (int v = a; v <= high; v += step)
        take(s, kind, kind == WEEKDAY ? v % 7 : v);
}

static void part_write(struct spec *s, int kind)
{
    unsigned way = pick(100);

    if (way < 50) {
        int v = value_pick(kind);
        value_write(s, kind, v);
        take(s, kind, v);
    } else if (way < 75) {
        range_write(s, kind);
    } else if (way < 85 && s->dialect == CRON_QUARTZ && kind != YEAR) {
        wrapped_write(s, kind);
    } else if (way < 92 && s->dialect != CRON_UNIX) {
        open_step_write(s, kind);
    } else {
        star_step_write(s, kind);
    }
}

static void star_write(struct spec *s, int kind)
{
    append(s, "*");
    for (int v = low_of[kind]; v <= high_of[kind]; v++)
        take(s, kind, v);
}

static void day_rule_write(struct spec *s)
{
    int n = between(1, 31), k = between(1, s->dialect == CRON_SPRING ? 12 : 30);

    switch (pick(s->dialect == CRON_SPRING ? 4 : 5)) {
    case 0:
        append(s, "L");
        s->last[0] = true;
        break;
    case 1:
        append(s, "L-%d", k);
        s->last[k] = true;
        break;
    case 2:
        append(s, "LW");
        s->near_last[0] = true;
        break;
    case 3:
        append(s, "%dW", n);
        s->near[n] = true;
        break;
    default:
        append(s, "L-%dW", k);
        s->near_last[k] = true;
        break;
    }
}

static void weekday_rule_write(struct spec *s)
{
    int weekday = between(0, 6), k = between(1, 5);

    value_write(s, WEEKDAY, weekday);
    if (chance(40)) {
        append(s, "L");
        s->last_weekday[weekday] = true;
    } else {
        append(s, "#%d", k);
        s->nth[weekday][k] = true;
    }
}

static void field_write(struct spec *s, int kind, unsigned star_percent)
{
    bool rules = kind == DAY || kind == WEEKDAY;
    unsigned parts = chance(70) ? 1 : 2 + pick(3);

    if (chance(star_percent)) {
        star_write(s, kind);
        return;
    }
    if (kind == WEEKDAY && s->dialect == CRON_QUARTZ && chance(30)) {
        weekday_rule_write(s);
        return;
    }
    for (unsigned i = 0; i < parts; i++) {
        append(s, i ? "," : "");
        if (rules && chance(35) && (kind == DAY || s->dialect != CRON_QUARTZ))
            kind == DAY ? day_rule_write(s) : weekday_rule_write(s);
        else
            part_write(s, kind);
    }
}

static void question_write(struct spec *s, int kind)
{
    append(s, "?");
    for (int v = low_of[kind]; v <= high_of[kind]; v++)
        take(s, kind, v);
}

static void days_write(struct spec *s)
{
    bool day = chance(50);
    char *day_text, *weekday_text;

    day_text = s->text + strlen(s->text);
    if (s->dialect == CRON_QUARTZ && !day)
        question_write(s, DAY);
    else
        field_write(s, DAY, day ? 30 : 80);
    append(s, " ");
    field_write(s, MONTH, 70);
    append(s, " ");
    weekday_text = s->text + strlen(s->text);
    if (s->dialect == CRON_QUARTZ && day)
        question_write(s, WEEKDAY);
    else
        field_write(s, WEEKDAY, day ? 60 : 30);
    s->either = s->dialect == CRON_UNIX && *day_text != '*' && *weekday_text != '*';
}

static void spec_write(struct spec *s)
{
    *s = (struct spec){ .dialect = (enum cron_dialect)between(CRON_UNIX, CRON_SPRING) };
    if (s->dialect == CRON_UNIX) {
        s->value[SECOND][0] = true;
    } else {
        field_write(s, SECOND, 1);
        append(s, " ");
    }
    field_write(s, MINUTE, 5);
    append(s, " ");
    field_write(s, HOUR, 25);
    append(s, " ");
    days_write(s);
    for (int i = 0; i < 230; i++)
        s->years[i] = true;
    if (s->dialect == CRON_QUARTZ && chance(20)) {
        memset(s->years, 0, sizeof s->years);
        append(s, " ");
        field_write(s, YEAR, 20);
    }
}

/* ---- the scanner ---- */

struct date {
    int year, month, day, weekday, length;
};

static int length_of(int year, int month)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return lengths[month - 1] + (month == 2 && year % 4 == 0 && year % 100 != 0) +
           (month == 2 && year % 400 == 0);
}

static void date_step(struct date *d)
{
    d->weekday = (d->weekday + 1) % 7;
    if (++d->day <= d->length)
        return;
    d->day = 1;
    if (++d->month > 12) {
        d->month = 1;
        d->year++;
    }
    d->length = length_of(d->year, d->month);
}

/* glibc knows which date a day number is. */
static struct date date_of(int64_t days)
{
    time_t t = (time_t)days * 86400;
    struct tm tm;

    assert_non_null(gmtime_r(&t, &tm));
    return (struct date){ tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_wday,
                          length_of(tm.tm_year + 1900, tm.tm_mon + 1) };
}

/* Is d the working day nearest to the day of its month? */
static bool is_nearest(const struct date *d, int day)
{
    int best = 0;

    if (day < 1 || day > d->length)
        return false;
    for (int i = 1; i <= d->length; i++) {
        int weekday = (d->weekday + i - d->day + 70) % 7;
        if (weekday != 0 && weekday != 6 && (!best || abs(i - day) < abs(best - day)))
            best = i;
    }
    return best == d->day;
}

static bool day_matches(const struct spec *s, const struct date *d)
{
    bool match = s->value[DAY][d->day] || s->last[d->length - d->day];

    for (int n = 1; n <= 31; n++)
        match = match || (s->near[n] && is_nearest(d, n));
    for (int n = 0; n <= 30; n++)
        match = match || (s->near_last[n] && is_nearest(d, d->length - n));
    return match;
}

static bool weekday_matches(const struct spec *s, const struct date *d)
{
    return s->value[WEEKDAY][d->weekday] || s->nth[d->weekday][(d->day + 6) / 7] ||
           (s->last_weekday[d->weekday] && d->day + 7 > d->length);
}

static bool date_matches(const struct spec *s, const struct date *d)
{
    if (d->year < 1970 || d->year > 2199 || !s->years[d->year - 1970] || !s->value[MONTH][d->month])
        return false;
    if (s->either)
        return day_matches(s, d) || weekday_matches(s, d);
    return day_matches(s, d) && weekday_matches(s, d);
}

static bool all_hours(const struct spec *s)
{
    for (int h = 0; h < 24; h++)
        if (!s->value[HOUR][h])
            return false;
    return true;
}

struct fires {
    int64_t *at;
    size_t count, room;
};

static void fire_add(struct fires *f, int64_t at)
{
    if (f->count == f->room) {
        f->room = f->room ? 2 * f->room : 1024;
        f->at = realloc(f->at, f->room * sizeof *f->at);
        assert_non_null(f->at);
    }
    f->at[f->count++] = at;
}

static int64_t gap_end(const struct clock_zone *z, int64_t local, int64_t *ret_size)
{
    for (int i = 0; i < z->count; i++) {
        const struct change *c = &z->changes[i];
        if (local >= c->at + c->before && local < c->at + c->after) {
            *ret_size = c->after - c->before;
            return c->at;
        }
    }
    fail_msg("%s: local time %lld is nowhere", z->name, (long long)local);
    return 0;
}

/* All that becomes of one named wall-clock time. */
static void local_add(struct fires *f, const struct clock_zone *z, int64_t local, enum dst_rule dst,
                      bool elapsed)
{
    bool twice = dst == DST_BOTH || (dst == DST_ONCE && elapsed);
    int64_t first = INT64_MAX, size;

    for (int i = 0; i < z->offset_count; i++) {
        int64_t at = local - z->offsets[i];
        if (offset_of(z, at) != z->offsets[i])
            continue;
        if (twice)
            fire_add(f, at);
        first = at < first ? at : first;
    }
    if (!twice && first != INT64_MAX)
        fire_add(f, first);
    if (first == INT64_MAX && dst == DST_ONCE && !elapsed) {
        int64_t at = gap_end(z, local, &size);
        if (size < 3 * 3600)
            fire_add(f, at);
    }
}

static void day_add(struct fires *f, const struct spec *s, const struct clock_zone *z, int64_t day,
                    enum dst_rule dst)
{
    bool elapsed = all_hours(s);

    for (int hour = 0; hour < 24; hour++)
        for (int minute = 0; s->value[HOUR][hour] && minute < 60; minute++)
            for (int second = 0; s->value[MINUTE][minute] && second < 60; second++)
                if (s->value[SECOND][second])
                    local_add(f, z, day * 86400 + hour * 3600 + minute * 60 + second, dst, elapsed);
}

static int int64_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void fires_sort(struct fires *f)
{
    size_t count = 0;

    if (!f->count)
        return;
    qsort(f->at, f->count, sizeof *f->at, int64_compare);
    for (size_t i = 0; i < f->count; i++)
        if (!count || f->at[count - 1] != f->at[i])
            f->at[count++] = f->at[i];
    f->count = count;
}

/* Fires from two days before time on, until there are enough; returns where certainty ends. */
static int64_t scan(struct fires *f, const struct spec *s, const struct clock_zone *z, int64_t time,
                    enum dst_rule dst)
{
    int64_t day = time / 86400 - 2, last = day + (chance(10) ? 3000 : 400);
    struct date d = date_of(day);

    f->count = 0;
    for (int64_t begin = day; day <= last && (f->count < 60 || day < begin + 5); day++) {
        if (date_matches(s, &d))
            day_add(f, s, z, day, dst);
        date_step(&d);
    }
    fires_sort(f);
    return (day - 2) * 86400;
}

/* ---- the comparison ---- */

struct question {
    const struct spec *spec;
    const struct clock_zone *zone;
    const struct cron *cron;
    enum dst_rule dst;
};

static void expect(const struct question *q, const char *what, int64_t asked, int64_t got,
                   int64_t expected)
{
    if (got != expected)
        fail_msg("%s %s \"%s\" %s %s: asked %lld got %lld expected %lld", what,
                 cron_dialect_name(q->spec->dialect), q->spec->text, q->zone->name,
                 dst_rule_name(q->dst), (long long)asked, (long long)got, (long long)expected);
}

static int64_t ask_next(const struct question *q, int64_t after_ms)
{
    return cron_next(q->cron, q->zone->zone, q->dst, after_ms);
}

static int64_t ask_previous(const struct question *q, int64_t before_ms)
{
    return cron_previous(q->cron, q->zone->zone, q->dst, before_ms);
}

/* next is the same from everywhere between two fires, previous too. */
static void pair_check(const struct question *q, int64_t a, int64_t b)
{
    int64_t inside =
        a * 1000 + (int64_t)pick(1000) + (int64_t)pick((unsigned)((b - a) % INT32_MAX)) * 1000;

    expect(q, "next", a * 1000, ask_next(q, a * 1000), b * 1000);
    expect(q, "next", b * 1000 - 1, ask_next(q, b * 1000 - 1), b * 1000);
    expect(q, "next", inside, ask_next(q, inside), b * 1000);
    expect(q, "previous", b * 1000, ask_previous(q, b * 1000), a * 1000);
    expect(q, "previous", a * 1000 + 1, ask_previous(q, a * 1000 + 1), a * 1000);
    expect(q, "previous", inside + 1, ask_previous(q, inside + 1), a * 1000);
}

static size_t window_check(const struct question *q, const struct fires *f, int64_t begin,
                           int64_t end)
{
    size_t first = 0, last = f->count;
    int64_t got;

    while (first < last && f->at[first] <= begin)
        first++;
    while (last > first && f->at[last - 1] > end)
        last--;
    got = ask_next(q, begin * 1000);
    if (first < last)
        expect(q, "first", begin * 1000, got, f->at[first] * 1000);
    else if (got <= end * 1000)
        expect(q, "none", begin * 1000, got, SCHEDULE_NEVER);
    for (size_t i = first; i + 1 < last; i++)
        pair_check(q, f->at[i], f->at[i + 1]);
    got = cron_count(q->cron, q->zone->zone, q->dst, begin * 1000, end * 1000);
    expect(q, "count", begin * 1000, got, (int64_t)(last - first));
    return last - first;
}

static int64_t instant_pick(const struct clock_zone *z)
{
    const int64_t end = INT64_C(7258118400);

    if (z->count && chance(65)) {
        int64_t at = z->changes[pick((unsigned)z->count)].at;
        return at - 86400 + (int64_t)pick(100000);
    }
    if (chance(3))
        return chance(50) ? (int64_t)pick(200000) : end - 400000 + (int64_t)pick(300000);
    return (int64_t)pick(230 * 365) * 86400 + (int64_t)pick(86400);
}

static size_t case_check(struct fires *f)
{
    struct spec spec;
    struct cron cron;
    struct error err = { 0 };
    struct question q = { &spec, &zones[pick(ZONES)], &cron, (enum dst_rule)pick(3) };
    int64_t begin = instant_pick(q.zone), end;

    spec_write(&spec);
    if (chance(60))
        q.dst = DST_ONCE;
    if (cron_parse(str_of(spec.text), spec.dialect, 0, &cron, &err) < 0)
        fail_msg("%s \"%s\": %s", cron_dialect_name(spec.dialect), spec.text, error_english(&err));
    end = scan(f, &spec, q.zone, begin, q.dst);
    return end > begin ? window_check(&q, f, begin, end) : 0;
}

static void test_differential(void **state)
{
    const char *cases_text = getenv("BELFRY_CRON_CASES"), *seed_text = getenv("BELFRY_CRON_SEED");
    int64_t cases = 60000, seed = 20261125;
    struct fires f = { 0 };
    size_t fires = 0;

    (void)state;
    if (cases_text)
        assert_true(number_parse(str_of(cases_text), 1, 1000000000, &cases));
    if (seed_text)
        assert_true(number_parse(str_of(seed_text), 0, INT64_MAX, &seed));
    for (int i = 0; i < ZONES; i++)
        clock_zone_init(&zones[i], zone_names[i]);
    for (int64_t i = 0; i < cases; i++) {
        random_state = (uint64_t)(seed + i);
        pick(2);
        fires += case_check(&f);
    }
    print_message("%lld expressions, %zu fires compared\n", (long long)cases, fires);
    assert_true(cases < 1000 || fires > (size_t)cases * 5);
    free(f.at);
    for (int i = 0; i < ZONES; i++)
        zone_unref(&zones[i].zone);
}

/* ---- descriptions ---- */

/* The same fires, as far as one looks: a thousand from the beginning and some from elsewhere. */
static bool same_fires(const struct cron *a, const struct cron *b)
{
    int64_t time = INT64_MIN;

    for (int i = 0; i < 1000 && time != SCHEDULE_NEVER; i++) {
        int64_t next = cron_next(a, zone_utc(), DST_ONCE, time);
        if (next != cron_next(b, zone_utc(), DST_ONCE, time))
            return false;
        time = next;
    }
    for (int i = 0; i < 200; i++) {
        time = (int64_t)pick(230 * 365) * 86400000 + (int64_t)pick(86400000);
        if (cron_next(a, zone_utc(), DST_ONCE, time) != cron_next(b, zone_utc(), DST_ONCE, time))
            return false;
    }
    return true;
}

static void describe_check(struct map *seen, const struct cron *cron, enum language language,
                           const char *expression)
{
    struct cron *before;
    struct buf text;

    buf_init(&text, 65536);
    cron_describe(cron, language, &text);
    assert_true(text.size > 0 && !text.overflow);
    before = map_get_text(seen, buf_text(&text));
    if (before && !same_fires(before, cron))
        fail_msg("\"%s\" reads like another: %s", expression, buf_text(&text));
    if (!before)
        map_put_text(seen, buf_text(&text), memory_alloc(sizeof *cron));
    *(struct cron *)map_get_text(seen, buf_text(&text)) = *cron;
    buf_done(&text);
}

/* Two expressions that fire at different times never get the same sentence. */
static void test_descriptions_differ(void **state)
{
    struct map seen[2];
    void *value;

    (void)state;
    for (int language = 0; language < 2; language++) {
        map_init(&seen[language]);
        random_state = 20261125;
        for (int i = 0; i < 20000; i++) {
            struct spec spec;
            struct cron cron;
            spec_write(&spec);
            assert_int_equal(cron_parse(str_of(spec.text), spec.dialect, 0, &cron, NULL), 0);
            describe_check(&seen[language], &cron, (enum language)language, spec.text);
        }
        for (size_t i = 0; map_next(&seen[language], &i, &value);)
            free(value);
        map_done(&seen[language]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptions_differ),
        cmocka_unit_test(test_differential),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
