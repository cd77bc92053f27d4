#ifndef BELFRY_BASE_CLOCK_H
#define BELFRY_BASE_CLOCK_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Time is int64_t milliseconds since 1970 UTC; monotonic time is for leases and deadlines only. */
int64_t clock_wall_ms(void);
int64_t clock_mono_ms(void);

enum { TIME_TEXT_SIZE = 40 };
/* RFC 3339: "2026-11-25T09:30:00+08:00", ".250" added where ms are not 0; offset in seconds. */
char *time_format(int64_t time_ms, int offset_s, char text[TIME_TEXT_SIZE]);
/* UTC with "Z". */
char *time_format_utc(int64_t time_ms, char text[TIME_TEXT_SIZE]);
/* RFC 3339 with offset or Z, years 1970-2199, up to 9 digits of fraction (cut to ms). */
bool time_parse(struct str text, int64_t *ret_time_ms);

/* Proleptic Gregorian calendar: days since 1970-01-01 of a date and back. */
int64_t days_from_civil(int64_t year, int month, int day);
void civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);

#endif
