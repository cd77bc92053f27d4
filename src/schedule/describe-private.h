#ifndef BELFRY_SCHEDULE_DESCRIBE_PRIVATE_H
#define BELFRY_SCHEDULE_DESCRIBE_PRIVATE_H

#include "schedule/cron-private.h"

/*
 * A sentence is put together from phrases, whose order differs between the languages:
 *   times   "09:00 and 18:30", or how often: "every 5 minutes"
 *   hours   of what is said by how often: "14:00-14:55 and 18:00-18:55"
 *   days    "the third Friday", months, years
 */
struct words {
    const struct cron *cron;
    struct buf *out;
    bool zh;
};

#define DAYS_ALL 0xFFFFFFFEu

void say(const struct words *w, const char *english, const char *chinese);
/* Before item i of count: nothing, comma or "and". */
void say_join(const struct words *w, int i, int count);

struct span {
    int first, last;
};
enum { SPANS_MAX = 64 };
/* Runs of three and more as one span, all else one by one. */
int spans_of(uint64_t mask, struct span spans[SPANS_MAX]);
/* "5, 10-15 and 20" */
void say_numbers(const struct words *w, uint64_t mask);

/* Values first, first + step … last, and none between. */
struct progression {
    int first, last, step, count;
};
bool progression_of(uint64_t mask, struct progression *ret);
bool progression_regular(const struct progression *p, int size); /* from 0 without a hitch */

/* true: a plain list of times of day; false: how often. */
bool say_times(const struct words *w);
/* Empty where all hours count or the times say it. */
void say_hours(const struct words *w);

enum days_kind { DAYS_EVERY, DAYS_WEEKDAYS, DAYS_OF_MONTH };
enum days_kind days_kind(const struct cron *cron);
void say_days(const struct words *w);

#endif
