#include "schedule/schedule.h"

static const char *const kind_names[] = {
    [SCHEDULE_MANUAL] = "manual", [SCHEDULE_CRON] = "cron", [SCHEDULE_EVERY] = "every",
    [SCHEDULE_DELAY] = "delay",   [SCHEDULE_AT] = "at",
};
static const char *const dialect_names[] = {
    [CRON_AUTO] = "auto",
    [CRON_UNIX] = "unix",
    [CRON_QUARTZ] = "quartz",
    [CRON_SPRING] = "spring",
};
static const char *const dst_names[] = {
    [DST_ONCE] = "once",
    [DST_SKIP] = "skip",
    [DST_BOTH] = "both",
};
static const char *const mark_names[] = {
    [FIRE_PLAIN] = "",
    [FIRE_SHIFTED] = "shifted",
    [FIRE_FIRST_PASS] = "first_pass",
    [FIRE_SECOND_PASS] = "second_pass",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const char *schedule_kind_name(enum schedule_kind kind)
{
    return kind_names[kind];
}

const char *cron_dialect_name(enum cron_dialect dialect)
{
    return dialect_names[dialect];
}

const char *dst_rule_name(enum dst_rule rule)
{
    return dst_names[rule];
}

const char *fire_mark_name(enum fire_mark mark)
{
    return mark_names[mark];
}

static int name_find(const char *const *names, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_is(name, names[i]))
            return (int)i;
    return -1;
}

bool schedule_kind_parse(struct str name, enum schedule_kind *ret_kind)
{
    int i = name_find(kind_names, COUNT(kind_names), name);

    if (i >= 0)
        *ret_kind = (enum schedule_kind)i;
    return i >= 0;
}

bool cron_dialect_parse(struct str name, enum cron_dialect *ret_dialect)
{
    int i = name_find(dialect_names, COUNT(dialect_names), name);

    if (i >= 0)
        *ret_dialect = (enum cron_dialect)i;
    return i >= 0;
}

bool dst_rule_parse(struct str name, enum dst_rule *ret_rule)
{
    int i = name_find(dst_names, COUNT(dst_names), name);

    if (i >= 0)
        *ret_rule = (enum dst_rule)i;
    return i >= 0;
}

/* ---- every: start + k * every, k >= 0 ---- */

/* start is any 64-bit number; the difference of two times may not fit, so it is unsigned. */
static int64_t every_next(const struct schedule *s, int64_t after_ms)
{
    uint64_t since, step = (uint64_t)s->every_ms;
    int64_t next;

    if (after_ms < s->start_ms)
        return s->start_ms;
    since = (uint64_t)after_ms - (uint64_t)s->start_ms;
    if (__builtin_add_overflow(after_ms, (int64_t)(step - since % step), &next))
        return SCHEDULE_NEVER;
    return next;
}

static int64_t every_previous(const struct schedule *s, int64_t before_ms)
{
    uint64_t since;

    if (before_ms <= s->start_ms)
        return SCHEDULE_NONE;
    since = (uint64_t)before_ms - (uint64_t)s->start_ms - 1;
    return (int64_t)((uint64_t)before_ms - 1 - since % (uint64_t)s->every_ms);
}

/* Fires <= time. */
static uint64_t every_count_to(const struct schedule *s, int64_t time_ms)
{
    if (time_ms < s->start_ms)
        return 0;
    return ((uint64_t)time_ms - (uint64_t)s->start_ms) / (uint64_t)s->every_ms + 1;
}

/* ---- at ---- */

/* How many instants are <= time. */
static size_t at_count_to(const struct schedule *s, int64_t time_ms)
{
    size_t low = 0, high = s->at_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->at_ms[middle] <= time_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t at_next(const struct schedule *s, int64_t after_ms)
{
    size_t i = at_count_to(s, after_ms);

    return i < s->at_count ? s->at_ms[i] : SCHEDULE_NEVER;
}

static int64_t at_previous(const struct schedule *s, int64_t before_ms)
{
    size_t i = before_ms == INT64_MIN ? 0 : at_count_to(s, before_ms - 1);

    return i > 0 ? s->at_ms[i - 1] : SCHEDULE_NONE;
}

/* ---- any kind, within its window ---- */

static int64_t kind_next(const struct schedule *s, int64_t after_ms)
{
    switch (s->kind) {
    case SCHEDULE_CRON:
        return cron_next(s->cron, s->zone, s->dst, after_ms);
    case SCHEDULE_EVERY:
        return every_next(s, after_ms);
    case SCHEDULE_AT:
        return at_next(s, after_ms);
    case SCHEDULE_MANUAL:
    case SCHEDULE_DELAY:
        break;
    }
    return SCHEDULE_NEVER;
}

static int64_t kind_previous(const struct schedule *s, int64_t before_ms)
{
    switch (s->kind) {
    case SCHEDULE_CRON:
        return cron_previous(s->cron, s->zone, s->dst, before_ms);
    case SCHEDULE_EVERY:
        return every_previous(s, before_ms);
    case SCHEDULE_AT:
        return at_previous(s, before_ms);
    case SCHEDULE_MANUAL:
    case SCHEDULE_DELAY:
        break;
    }
    return SCHEDULE_NONE;
}

/* Fires in (from, to]. */
static uint64_t kind_count(const struct schedule *s, int64_t from_ms, int64_t to_ms)
{
    switch (s->kind) {
    case SCHEDULE_CRON:
        return (uint64_t)cron_count(s->cron, s->zone, s->dst, from_ms, to_ms);
    case SCHEDULE_EVERY:
        return every_count_to(s, to_ms) - every_count_to(s, from_ms);
    case SCHEDULE_AT:
        return at_count_to(s, to_ms) - at_count_to(s, from_ms);
    case SCHEDULE_MANUAL:
    case SCHEDULE_DELAY:
        break;
    }
    return 0;
}

int64_t schedule_next(const struct schedule *s, int64_t after_ms)
{
    int64_t next;

    if (s->not_before_ms != INT64_MIN && after_ms < s->not_before_ms)
        after_ms = s->not_before_ms - 1;
    next = kind_next(s, after_ms);
    return next > s->not_after_ms ? SCHEDULE_NEVER : next;
}

int64_t schedule_next_delay(const struct schedule *s, int64_t last_end_ms)
{
    int64_t next;

    if (__builtin_add_overflow(last_end_ms, s->delay_ms, &next))
        return SCHEDULE_NEVER;
    if (next < s->not_before_ms)
        next = s->not_before_ms;
    return next > s->not_after_ms ? SCHEDULE_NEVER : next;
}

int64_t schedule_previous(const struct schedule *s, int64_t before_ms)
{
    int64_t previous;

    if (s->not_after_ms != INT64_MAX && before_ms > s->not_after_ms)
        before_ms = s->not_after_ms + 1;
    previous = kind_previous(s, before_ms);
    return previous < s->not_before_ms ? SCHEDULE_NONE : previous;
}

int64_t schedule_count(const struct schedule *s, int64_t from_ms, int64_t to_ms, int64_t max)
{
    uint64_t count;

    if (s->not_before_ms != INT64_MIN && from_ms < s->not_before_ms)
        from_ms = s->not_before_ms - 1;
    if (to_ms > s->not_after_ms)
        to_ms = s->not_after_ms;
    if (from_ms >= to_ms || max <= 0)
        return 0;
    count = kind_count(s, from_ms, to_ms);
    return count < (uint64_t)max ? (int64_t)count : max;
}

/* ---- check ---- */

static int interval_check(int64_t interval_ms, const char *path, struct error *err)
{
    if (interval_ms >= SCHEDULE_EVERY_MIN_MS && interval_ms <= SCHEDULE_EVERY_MAX_MS)
        return 0;
    return error_set_at(err, ERR_INVALID, path,
                        "%lld ms: an interval is at least 100 ms and at most 366 days",
                        (long long)interval_ms);
}

static int at_check(const struct schedule *s, struct error *err)
{
    if (s->at_count == 0)
        return error_set_at(err, ERR_INVALID, "at", "at least one instant is needed");
    if (s->at_count > SCHEDULE_AT_MAX)
        return error_set_at(err, ERR_INVALID, "at", "more than %d instants", SCHEDULE_AT_MAX);
    for (size_t i = 1; i < s->at_count; i++)
        if (s->at_ms[i] <= s->at_ms[i - 1])
            return error_set_at(err, ERR_INVALID, "at", "instants must ascend, no two equal");
    return 0;
}

static int kind_check(const struct schedule *s, struct error *err)
{
    switch (s->kind) {
    case SCHEDULE_EVERY:
        return interval_check(s->every_ms, "every_ms", err);
    case SCHEDULE_DELAY:
        return interval_check(s->delay_ms, "delay_ms", err);
    case SCHEDULE_AT:
        return at_check(s, err);
    case SCHEDULE_CRON:
        if (cron_never_fires(s->cron, s->zone, s->dst))
            return error_set_at(err, ERR_INVALID, "cron", "the expression never fires");
        return 0;
    case SCHEDULE_MANUAL:
        break;
    }
    return 0;
}

int schedule_check(const struct schedule *s, struct error *err)
{
    bool endless = s->kind == SCHEDULE_MANUAL || s->kind == SCHEDULE_DELAY;

    if (s->not_after_ms < s->not_before_ms)
        return error_set_at(err, ERR_INVALID, "not_after", "the window ends before it begins");
    if (kind_check(s, err) < 0)
        return -1;
    if (!endless && schedule_next(s, INT64_MIN) == SCHEDULE_NEVER)
        return error_set_at(err, ERR_INVALID, "not_after", "never fires within its window");
    return 0;
}
