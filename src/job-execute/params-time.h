#ifndef BELFRY_JOB_EXECUTE_PARAMS_TIME_H
#define BELFRY_JOB_EXECUTE_PARAMS_TIME_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Shifts and formats of ${fire_time} and ${fire_date}. */
struct zone;

enum { SHIFTS_MAX = 4, SHIFT_NUMBER_MAX = 100000 };

struct time_shift {
    int64_t number;
    char unit;           /* s m h d w M */
};

/* Cuts "+2h-1d" off the front of text. false: bad syntax there. */
bool time_shifts_parse(struct str *text, struct time_shift shifts[SHIFTS_MAX], size_t *ret_count);
/* s, m, h move the instant; d, w, M the date on the wall, and the 31st becomes the month's last day
 * where there is none; a time that the day does not have moves on by the gap. false: before 1970
 * or after 2199. */
bool time_shift(const struct zone *zone, int64_t time_ms, const struct time_shift *shifts,
                size_t count, int64_t *ret_time_ms);
/* false: a letter that means nothing, or a quote without end. Writes nothing where out is NULL. */
bool time_format_pattern(struct buf *out, struct str pattern, const struct zone *zone,
                         int64_t time_ms);

#endif
