#ifndef BELFRY_JOB_EXECUTE_PATTERN_H
#define BELFRY_JOB_EXECUTE_PATTERN_H

#include "base/error.h"
#include "base/str.h"

/*
 * Regular expressions in definitions: PCRE2 with UTF, and with limits, so that a pattern of evil
 * intent costs a bounded time.
 */
/* Errors: ERR_INVALID with the position of the mistake. */
int pattern_check(const char *pattern, struct error *err);
/* 1 found, 0 not, -1 ERR_INVALID: bad pattern; ERR_TOO_LARGE: the limits were reached. */
int pattern_match(const char *pattern, struct str text, struct error *err);

#endif
