#ifndef BELFRY_BELFRY_CRON_REQUEST_H
#define BELFRY_BELFRY_CRON_REQUEST_H

#include "base/arena.h"
#include "base/clock.h"
#include "json/json.h"
#include "schedule/schedule.h"

enum { CRON_COUNT_DEFAULT = 5, CRON_COUNT_MAX = 1000 };

/* What `belfry cron` is asked, and what is made of it. */
struct cron_request {
    const char *expression;
    enum cron_dialect dialect;
    enum dst_rule dst;
    uint64_t seed;
    int64_t from_ms;
    int64_t count;
    struct cron cron; /* of expression; its dialect is never CRON_AUTO */
    const struct zone *zone;
};

/* The instant in RFC 3339 with the zone's offset. */
char *cron_time_format(const struct zone *zone, int64_t time_ms, char text[TIME_TEXT_SIZE]);

/* {"error","field","pos"} members of the object that is open. */
void cron_error_write(struct json_writer *w, const struct error *err, enum language language);

/* Answers one request a line of standard input with one line on standard output; the exit code. */
int cron_lines_answer(enum language language);

#endif
