#ifndef BELFRY_GATEWAY_RATE_LIMIT_H
#define BELFRY_GATEWAY_RATE_LIMIT_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Token buckets in fixed memory: each key has its place among four neighbours; when all four are
 * taken, the fullest bucket, whose owner has used least, makes room. So a flood of keys cannot
 * empty anybody's limit but that of keys that are not being limited. Loop only.
 */
struct rate_limit;

/* per_second 0: no limit (NULL is returned, and every take succeeds). buckets is rounded up to a
 * power of two. */
struct rate_limit *rate_limit_new(int64_t per_second, int64_t burst, size_t buckets);
void rate_limit_free(struct rate_limit **limit);
/* Takes one token: 0, or the milliseconds until there is one. */
int64_t rate_limit_take(struct rate_limit *limit, struct str key, int64_t now_ms);

#endif
