#ifndef BELFRY_SERVICE_PICKER_H
#define BELFRY_SERVICE_PICKER_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which instance gets the next request: in turn, leaving out those that failed just now. One that
 * cannot be reached is out at once, one that fails otherwise after three in a row, for 10 s; then
 * one request may try it. When all are out, all are in again: the registry and our memory of
 * failures are hints, and a wrong hint must not stop the work.
 */
struct picker;

enum { PICKER_OUT_MS = 10000, PICKER_FAILURES_MAX = 3 };

struct picker *picker_new(void);
void picker_free(struct picker **picker);
/* One of urls, not except (unless it is the only one; NULL: none); NULL when count is 0. */
const char *picker_choose(struct picker *picker, const char *service, const char *const *urls,
                          size_t count, const char *except, int64_t mono_ms);
void picker_worked(struct picker *picker, const char *url);
void picker_failed(struct picker *picker, const char *url, bool unreachable, int64_t mono_ms);

#endif
