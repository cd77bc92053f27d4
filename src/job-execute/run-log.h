#ifndef BELFRY_JOB_EXECUTE_RUN_LOG_H
#define BELFRY_JOB_EXECUTE_RUN_LOG_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The log of one attempt: bytes of its streams become lines with time and stream, lines become
 * chunks. What comes out is valid UTF-8 without controls: NUL, ESC, CR and the like are written as
 * \x1b, bad bytes become U+FFFD. A line has at most LOG_LINE_MAX bytes, then a marker. Beyond the
 * quota of the attempt everything is dropped and counted. Memory: one line a stream and the chunk
 * that is being filled; nothing at all before the first byte.
 */
struct run_log;
struct log_chunk;

enum {
    LOG_LINE_MAX = 16 * 1024,
    LOG_CHUNK_MAX = 64 * 1024,
    LOG_JSON_MAX = 64 * 1024,  /* a last line that is a JSON object */
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
    bool full;                 /* over its quota: nothing more is taken */
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
/* A line of our own. */
void run_log_line(struct run_log *log, char stream, const char *text, int64_t now_ms);
/* The streams are at their end: what is left of their last lines counts. */
void run_log_end(struct run_log *log);
/* Emits the chunk; last: nothing follows, and that is said where there was anything. */
void run_log_flush(struct run_log *log, bool last);

#endif
