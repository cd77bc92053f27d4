#ifndef BELFRY_JOB_EXECUTE_RUN_LOG_H
#define BELFRY_JOB_EXECUTE_RUN_LOG_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The log of one attempt: bytes of its streams become lines with time and stream, lines become
 * chunks. What comes out is valid UTF-8 without controls: NUL, ESC, CR and the like are written as
 * \x1b, bad bytes become U+FFFD. A line has at most LOG_LINE_MAX bytes, then a marker. Beyond the
 * quota of the attempt lines are dropped and counted, but for the last few KiB, which mostly say
 * what went wrong: they come behind a line that says how much is left out. Memory: one line a
 * stream, the chunk that is being filled, and those last lines; nothing before the first byte.
 */
struct run_log;
struct log_chunk;

enum {
    LOG_LINE_MAX = 16 * 1024,
    LOG_CHUNK_MAX = 64 * 1024,
    LOG_JSON_MAX = 64 * 1024,  /* a last line that is a JSON object */
    LOG_TAIL_HALF = 8 * 1024,  /* of the last lines of a log over its quota: one or two of these */
    LOG_TAIL_LINE_MAX = 512,
    LOG_LAST_ERROR_MAX = 200,
};

struct log_stream {
    struct buf line;           /* bytes of the line that is not complete */
    int64_t first_at;          /* of its first byte */
    bool skipping;             /* the line was too long: pass over the rest */
    int64_t skipped;           /* bytes of it */
};

struct run_log {
    struct log_stream out, err;
    struct buf chunk;
    int64_t chunk_first_at, chunk_last_at, chunk_lines;
    int64_t lines;             /* in chunks before this one */
    int32_t sequence;
    int64_t size_max;          /* quota */
    int64_t bytes, dropped;
    bool full;                 /* over its quota: lines go to the tail */
    struct buf tail, tail_before;
    char last_error[LOG_LAST_ERROR_MAX + 1]; /* beginning of the last line of stderr */
    char *json;                /* last line of stdout in { } (only with keep_json) */
    bool keep_json;
    /* Takes the chunk (or drops it, then false): its text is handed over with buf_take. last:
     * nothing follows. */
    bool (*emit)(void *ctx, struct run_log *log, bool last);
    void *ctx;
};

void run_log_init(struct run_log *log, int64_t size_max);
void run_log_done(struct run_log *log);
/* stream: 'o' or 'e'. */
void run_log_add(struct run_log *log, char stream, const char *bytes, size_t size, int64_t now_ms);
/* The last line of stderr that is not blank, fit to be printed; "" where there was none. */
void run_log_last_error(const struct run_log *log, struct buf *out);
/* A line of our own: behind those of the streams, also when the log is over its quota. */
void run_log_line(struct run_log *log, char stream, const char *text, int64_t now_ms);
/* The streams are at their end: what is left of their last lines counts. */
void run_log_end(struct run_log *log);
/* Emits the chunk; last: nothing follows, and that is said where there was anything. */
void run_log_flush(struct run_log *log, bool last);

#endif
