#include "job-execute/run-log.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PREFIX_MAX = 24, /* time, stream, two spaces */
    MARKER_MAX = 64,
    TAIL_RESERVE = 24 * 1024, /* of a quota, for the last lines */
    OWN_RESERVE = 4 * 1024,   /* beyond it, for lines of our own */
    ESCAPE_GROWTH = 4,        /* one byte of input is at most so many of output */
};

void run_log_init(struct run_log *log, int64_t size_max)
{
    memset(log, 0, sizeof *log);
    log->size_max = size_max;
    buf_init(&log->out.line, LOG_JSON_MAX);
    buf_init(&log->err.line, LOG_LINE_MAX);
    buf_init(&log->chunk, LOG_CHUNK_MAX);
    buf_init(&log->tail, LOG_TAIL_HALF);
    buf_init(&log->tail_before, LOG_TAIL_HALF);
}

void run_log_done(struct run_log *log)
{
    buf_done(&log->out.line);
    buf_done(&log->err.line);
    buf_done(&log->chunk);
    buf_done(&log->tail);
    buf_done(&log->tail_before);
    free(log->json);
    log->json = NULL;
}

/* --- text of a line --------------------------------------------------------------------------- */

/* Length of the well-formed sequence at text (RFC 3629), 0 where there is none. */
static size_t utf8_length(const unsigned char *text, size_t size)
{
    size_t length = text[0] < 0x80   ? 1
                    : text[0] < 0xc2 ? 0
                    : text[0] < 0xe0 ? 2
                    : text[0] < 0xf0 ? 3
                    : text[0] < 0xf5 ? 4
                                     : 0;

    if (!length || length > size || !utf8_valid((struct str){ (const char *)text, length }))
        return 0;
    return length;
}

static bool is_plain(unsigned char c)
{
    return (c >= 0x20 && c < 0x7f) || c == '\t';
}

/* Adds one character in the form that is safe to print; returns the bytes it took. */
static size_t add_character(struct buf *out, const unsigned char *text, size_t size)
{
    size_t length = utf8_length(text, size);

    if (!length) {
        buf_add(out, "\xef\xbf\xbd", 3);
        return 1;
    }
    if (length == 1)
        buf_printf(out, "\\x%02x", text[0]);
    else if (length == 2 && text[0] == 0xc2 && text[1] < 0xa0) /* C1 controls */
        buf_printf(out, "\\x%02x", text[1]);
    else
        buf_add(out, text, length);
    return length;
}

static void add_text(struct buf *out, struct str line)
{
    const unsigned char *text = (const unsigned char *)line.bytes;
    size_t i = 0;

    while (i < line.size) {
        size_t plain = i;

        while (plain < line.size && is_plain(text[plain]))
            plain++;
        buf_add(out, text + i, plain - i);
        i = plain;
        if (i < line.size)
            i += add_character(out, text + i, line.size - i);
    }
}

/* --- chunks ----------------------------------------------------------------------------------- */

static void chunk_emit(struct run_log *log, bool last)
{
    size_t size = log->chunk.size;

    if (log->emit(log->ctx, log, last)) {
        log->sequence++;
        log->lines += log->chunk_lines;
    } else {
        log->dropped += (int64_t)size;
        log->bytes -= (int64_t)size;
    }
    buf_clear(&log->chunk);
    log->chunk_lines = 0;
    log->chunk_first_at = log->chunk_last_at = 0;
}

static void chunk_add_line(struct run_log *log, struct str line, int64_t at)
{
    if (log->chunk.size + line.size > LOG_CHUNK_MAX)
        chunk_emit(log, false);
    buf_add(&log->chunk, line.bytes, line.size);
    log->bytes += (int64_t)line.size;
    log->chunk_lines++;
    log->chunk_last_at = at;
    if (!log->chunk_first_at)
        log->chunk_first_at = at;
}

/* The text of a line in a chunk. */
static void line_render(struct buf *text, char stream, struct str line, int64_t cut, int64_t at)
{

    if (line.size > LOG_LINE_MAX) {
        cut += (int64_t)(line.size - LOG_LINE_MAX);
        line.size = LOG_LINE_MAX;
    }
    buf_init(text, PREFIX_MAX + LOG_LINE_MAX * ESCAPE_GROWTH + MARKER_MAX);
    buf_add_number(text, at);
    buf_printf(text, " %c ", stream);
    add_text(text, line);
    if (text->size > LOG_LINE_MAX - MARKER_MAX || cut) {
        size_t size =
            text->size < LOG_LINE_MAX - MARKER_MAX ? text->size : LOG_LINE_MAX - MARKER_MAX;

        while (((unsigned char)text->bytes[size] & 0xc0) == 0x80)
            size--;
        cut += (int64_t)(text->size - size);
        text->size = size;
        if (cut)
            buf_printf(text, " [%lld bytes more]", (long long)cut);
    }
    buf_add_char(text, '\n');
}

/* --- the tail --------------------------------------------------------------------------------- */

/* One line in the tail: this, then so many bytes as they came. */
struct tail_line {
    int64_t at;
    uint16_t size;
    char stream;
};

static int64_t quota(const struct run_log *log)
{
    return log->size_max > 4 * TAIL_RESERVE ? log->size_max - TAIL_RESERVE : log->size_max;
}

static void tail_add(struct run_log *log, char stream, struct str line, int64_t at)
{
    struct tail_line head = { at, 0, stream };

    if (quota(log) == log->size_max)
        return; /* too small to keep two ends of it */
    if (line.size > LOG_TAIL_LINE_MAX)
        line.size = LOG_TAIL_LINE_MAX;
    head.size = (uint16_t)line.size;
    if (log->tail.size + sizeof head + line.size > LOG_TAIL_HALF) {
        struct buf swap = log->tail_before;

        log->tail_before = log->tail;
        log->tail = swap;
        buf_clear(&log->tail);
    }
    buf_add(&log->tail, &head, sizeof head);
    buf_add(&log->tail, line.bytes, line.size);
}

static void tail_write(struct run_log *log, const struct buf *tail)
{
    for (size_t at = 0; at < tail->size;) {
        struct tail_line head;
        struct buf text;

        memcpy(&head, tail->bytes + at, sizeof head);
        at += sizeof head;
        line_render(&text, head.stream, (struct str){ tail->bytes + at, head.size }, 0, head.at);
        at += head.size;
        if (log->bytes + (int64_t)text.size <= log->size_max) {
            chunk_add_line(log, buf_str(&text), head.at);
            log->dropped -= head.size + 1;
        }
        buf_done(&text);
    }
}

static void tail_end(struct run_log *log)
{
    char text[64];
    int64_t kept = (int64_t)(log->tail.size + log->tail_before.size);

    if (!kept || log->dropped <= kept) /* nothing is left out, but for what is cut of lines */
        kept = 0;
    snprintf(text, sizeof text, "[%lld bytes are left out here]", (long long)(log->dropped - kept));
    if (log->tail.size)
        run_log_line(log, 'e', text, log->chunk_last_at);
    tail_write(log, &log->tail_before);
    tail_write(log, &log->tail);
    buf_clear(&log->tail);
    buf_clear(&log->tail_before);
}

static void line_write(struct run_log *log, char stream, struct str line, int64_t cut, int64_t at)
{
    struct buf text;

    line_render(&text, stream, line, cut, at);
    if (log->bytes + (int64_t)text.size > quota(log)) {
        log->full = true;
        log->dropped += (int64_t)text.size;
        tail_add(log, stream, line, at);
    } else
        chunk_add_line(log, buf_str(&text), at);
    buf_done(&text);
}

/* --- lines ------------------------------------------------------------------------------------ */

static void keep_json(struct run_log *log, struct str line)
{
    line = str_trim(line);
    if (line.size < 2 || line.bytes[0] != '{' || line.bytes[line.size - 1] != '}')
        return;
    free(log->json);
    log->json = memory_strndup(line.bytes, line.size);
}

static void keep_error(struct run_log *log, struct str line)
{
    line = str_trim(line);
    if (!line.size)
        return;
    if (line.size > LOG_LAST_ERROR_MAX)
        line.size = LOG_LAST_ERROR_MAX;
    memcpy(log->last_error, line.bytes, line.size);
    log->last_error[line.size] = '\0';
}

void run_log_last_error(const struct run_log *log, struct buf *out)
{
    add_text(out, str_of(log->last_error));
}

static void line_end(struct run_log *log, struct log_stream *stream, char name)
{
    struct str line = buf_str(&stream->line);

    if (line.size && line.bytes[line.size - 1] == '\r' && !stream->skipping)
        line.size--;
    if (name == 'o' && log->keep_json && !stream->skipping)
        keep_json(log, line);
    if (name == 'e')
        keep_error(log, line);
    if (log->full) {
        log->dropped += (int64_t)line.size + stream->skipped + 1;
        tail_add(log, name, line, stream->first_at);
    } else
        line_write(log, name, line, stream->skipped, stream->first_at);
    buf_clear(&stream->line);
    stream->skipping = false;
    stream->skipped = 0;
}

static void line_add(struct log_stream *stream, struct str part, int64_t now_ms)
{
    size_t room = stream->line.max - stream->line.size;

    if (!stream->line.size && !stream->skipping)
        stream->first_at = now_ms;
    if (part.size > room) {
        stream->skipping = true;
        stream->skipped += (int64_t)(part.size - room);
        part.size = room;
    }
    buf_add(&stream->line, part.bytes, part.size);
}

void run_log_add(struct run_log *log, char name, const char *bytes, size_t size, int64_t now_ms)
{
    struct log_stream *stream = name == 'o' ? &log->out : &log->err;

    while (size) {
        const char *end = memchr(bytes, '\n', size);
        size_t length = end ? (size_t)(end - bytes) : size;

        line_add(stream, (struct str){ bytes, length }, now_ms);
        if (end) {
            line_end(log, stream, name);
            length++;
        }
        bytes += length;
        size -= length;
    }
}

void run_log_line(struct run_log *log, char stream, const char *line, int64_t now_ms)
{
    struct buf text;

    line_render(&text, stream, str_of(line), 0, now_ms);
    if (log->size_max > 0 && log->bytes + (int64_t)text.size <= log->size_max + OWN_RESERVE)
        chunk_add_line(log, buf_str(&text), now_ms);
    else
        log->dropped += (int64_t)text.size;
    buf_done(&text);
}

void run_log_end(struct run_log *log)
{
    if (log->out.line.size || log->out.skipping)
        line_end(log, &log->out, 'o');
    if (log->err.line.size || log->err.skipping)
        line_end(log, &log->err, 'e');
    tail_end(log);
}

void run_log_flush(struct run_log *log, bool last)
{
    if (log->chunk.size || (last && (log->sequence || log->dropped)))
        chunk_emit(log, last);
}
