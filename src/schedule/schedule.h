#ifndef BELFRY_SCHEDULE_SCHEDULE_H
#define BELFRY_SCHEDULE_SCHEDULE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "schedule/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * From text to due times: cron expressions in three dialects, fixed rate, fixed delay, instants.
 *
 * A schedule is a set of instants and nothing else: next(t) is its least member greater than t, so
 * it does not matter from where one asks. Nothing here reads a clock, a file or the environment
 * (zones come from schedule/zone.h) and nothing is written after it is made: any thread may ask.
 * Times are milliseconds since 1970 UTC; fires of cron stand on whole seconds, in the years 1970 to
 * 2199 of the zone's own calendar.
 */

#define SCHEDULE_NEVER INT64_MAX /* no fire after: what *_next answers */
#define SCHEDULE_NONE INT64_MIN  /* no fire before: what *_previous answers */

enum schedule_kind { SCHEDULE_MANUAL, SCHEDULE_CRON, SCHEDULE_EVERY, SCHEDULE_DELAY, SCHEDULE_AT };

enum cron_dialect {
    CRON_AUTO,   /* 5 fields or @name: unix; 6 or 7: quartz, where its reading is the only one */
    CRON_UNIX,   /* minute hour day-of-month month day-of-week, as cronie reads them, strictly */
    CRON_QUARTZ, /* second … day-of-week [year], as Quartz and XXL-JOB, strictly */
    CRON_SPRING, /* second … day-of-week, as Spring's @Scheduled */
};

/*
 * What becomes of a wall-clock time that a clock change removes (gap) or repeats (overlap).
 *
 * DST_ONCE  An expression whose hour field lets all 24 hours through follows elapsed time: nothing
 *           is added for a gap, and it fires in both passes of an overlap. Any other names
 *           wall-clock times, and each fires exactly once: one in a gap at the end of the gap
 *           (all of them and a regular fire at that instant are one fire), one in an overlap in the
 *           first pass. Gaps of 3 hours and more (a move across the date line) drop their times.
 * DST_SKIP  Times in a gap are dropped; in an overlap only the first pass counts, whatever the
 *           hour field says.
 * DST_BOTH  Fires whenever the zone's clock shows the time: never in a gap, twice in an overlap.
 */
enum dst_rule { DST_ONCE, DST_SKIP, DST_BOTH };

/* Names as in the API and on the command line: "cron", "quartz", "once"; parse: false if unknown.
 */
const char *schedule_kind_name(enum schedule_kind kind);
const char *cron_dialect_name(enum cron_dialect dialect);
const char *dst_rule_name(enum dst_rule rule);
bool schedule_kind_parse(struct str name, enum schedule_kind *ret_kind);
bool cron_dialect_parse(struct str name, enum cron_dialect *ret_dialect);
bool dst_rule_parse(struct str name, enum dst_rule *ret_rule);

/* ---- cron ---- */

#define CRON_TEXT_MAX 256 /* bytes of an expression */

/* A compiled expression. No pointers, so it may be copied; the fields are for schedule/ alone. */
struct cron {
    uint64_t seconds, minutes; /* bit n: n */
    uint64_t years[4];         /* bit n: 1970 + n */
    uint64_t nth;              /* bit 5 * weekday + k - 1: the k-th weekday; 35 + weekday: last */
    uint32_t hours;
    uint32_t days;           /* bit n: day n */
    uint32_t last_days;      /* bit n: n days before the last (L-n) */
    uint32_t near_days;      /* bit n: the weekday nearest to day n (nW) */
    uint32_t near_last_days; /* bit n: the weekday nearest to L-n (LW, L-nW) */
    uint16_t months;         /* bit n: month n */
    uint16_t year_types;     /* bit 7 * leap + weekday of 1 January: such a year has a day */
    uint8_t weekdays;        /* bit 0: Sunday */
    uint8_t dialect;         /* enum cron_dialect, never CRON_AUTO */
    uint8_t flags;           /* CRON_… of schedule/cron-private.h */
};

/*
 * Compiles an expression of at most CRON_TEXT_MAX bytes. seed is what H is hashed from: the job's
 * id. An expression without any day (30 February) compiles; ask cron_never_fires.
 * Errors: ERR_INVALID with field (from 1, 0: the whole) and position (code points from 1) set and a
 * text that says what is allowed.
 */
int cron_parse(struct str text, enum cron_dialect dialect, uint64_t seed, struct cron *ret_cron,
               struct error *err);

/*
 * The text to store beside a dialect that is no longer CRON_AUTO: the expression with one space
 * between fields, and with '?' where CRON_AUTO took a '*' that strict Quartz refuses. H stays.
 * Appends to out. Errors as cron_parse.
 */
int cron_normalize(struct str text, enum cron_dialect dialect, enum cron_dialect *ret_dialect,
                   struct buf *out, struct error *err);

/* Appends the expression with every H replaced by what this seed makes of it. Errors as cron_parse.
 */
int cron_resolve(struct str text, enum cron_dialect dialect, uint64_t seed, struct buf *out,
                 struct error *err);

/* Least fire strictly after after_ms, SCHEDULE_NEVER when there is none up to 2199. */
int64_t cron_next(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                  int64_t after_ms);
/* Greatest fire strictly before before_ms, SCHEDULE_NONE when there is none since 1970. */
int64_t cron_previous(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                      int64_t before_ms);
/* Fires in (from_ms, to_ms]. Costs one step per month, not per fire. */
int64_t cron_count(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                   int64_t from_ms, int64_t to_ms);
bool cron_matches(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                  int64_t time_ms);
/* No fire between 1970 and 2199 in this zone: such a job is refused. */
bool cron_never_fires(const struct cron *cron, const struct zone *zone, enum dst_rule dst);

enum fire_mark {
    FIRE_PLAIN,
    FIRE_SHIFTED,     /* stands at the end of a gap for times inside it */
    FIRE_FIRST_PASS,  /* the clock will show this time once more */
    FIRE_SECOND_PASS, /* the clock has shown this time before */
};

struct cron_fire {
    int64_t time_ms;
    int64_t named_local_s; /* FIRE_SHIFTED: first time named in the gap, seconds of local time */
    int offset_s;          /* zone's offset at time_ms */
    enum fire_mark mark;
};

/* cron_next with what a preview shows; false when there is none. */
bool cron_next_detail(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                      int64_t after_ms, struct cron_fire *ret_fire);
const char *fire_mark_name(enum fire_mark mark); /* "", "shifted", "first_pass", "second_pass" */

/* Appends a sentence without full stop, made from the compiled sets, so that it cannot disagree. */
void cron_describe(const struct cron *cron, enum language language, struct buf *out);

/* Advice about an expression that is valid; text is made with error_text. */
struct cron_warning {
    const char *name; /* stable: "never", "leap_day", "short_months", "every_second" … */
    struct error text;
};
#define CRON_WARNINGS_MAX 8
/* Fills at most CRON_WARNINGS_MAX and returns how many; after_ms is now, for "next 2028-02-29". */
size_t cron_warnings(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                     int64_t after_ms, struct cron_warning warnings[CRON_WARNINGS_MAX]);

/* ---- schedules ---- */

/*
 * What a job holds. Pointers belong to whoever filled it in; members that the kind does not use are
 * ignored, so { .kind = SCHEDULE_MANUAL, .not_after_ms = SCHEDULE_NEVER } never fires.
 */
struct schedule {
    enum schedule_kind kind;
    enum dst_rule dst;
    const struct cron *cron;
    const struct zone *zone;
    int64_t every_ms, start_ms; /* EVERY: fires at start + k * every, k >= 0 */
    int64_t delay_ms;           /* DELAY: after the end of the run before */
    const int64_t *at_ms;       /* AT: ascending, no two equal */
    size_t at_count;
    int64_t not_before_ms; /* first and last instant at which a fire may stand; */
    int64_t not_after_ms;  /* INT64_MIN and SCHEDULE_NEVER: no limit */
};

enum { SCHEDULE_AT_MAX = 1000 };
#define SCHEDULE_EVERY_MIN_MS 100
#define SCHEDULE_EVERY_MAX_MS (366 * INT64_C(86400000))

/*
 * Refuses what cannot work: an interval out of bounds, no instants or unordered ones, a window that
 * ends before it begins, a schedule that never fires. Says nothing about the past: a fire that lies
 * before now is the caller's concern. Errors: ERR_INVALID with path "every_ms", "cron", "at" ….
 */
int schedule_check(const struct schedule *schedule, struct error *err);

/*
 * Least fire > after_ms, SCHEDULE_NEVER when there is none. MANUAL never fires; DELAY does not know
 * the last end and answers SCHEDULE_NEVER: use schedule_next_delay.
 */
int64_t schedule_next(const struct schedule *schedule, int64_t after_ms);
/* The fire that follows a run's end (for the first one: the moment the job was made or enabled). */
int64_t schedule_next_delay(const struct schedule *schedule, int64_t last_end_ms);
/* Greatest fire < before_ms, SCHEDULE_NONE when there is none (always for MANUAL and DELAY). */
int64_t schedule_previous(const struct schedule *schedule, int64_t before_ms);
/* Fires in (from_ms, to_ms], at most max. */
int64_t schedule_count(const struct schedule *schedule, int64_t from_ms, int64_t to_ms,
                       int64_t max);

#endif
