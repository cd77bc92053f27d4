#include "json/json.h"

#include "base/clock.h"
#include "json/json-private.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void json_begin(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){ .out = out };
}

/* The comma before a value or name, where one is due. */
static void separate(struct json_writer *w)
{
    if (!w->depth)
        return;
    uint32_t bit = UINT32_C(1) << (w->depth - 1);
    if (w->needs_comma & bit)
        buf_add_char(w->out, ',');
    w->needs_comma |= bit;
}

static void open_level(struct json_writer *w, char bracket)
{
    separate(w);
    assert(w->depth < JSON_DEPTH_MAX);
    w->depth++;
    w->needs_comma &= ~(UINT32_C(1) << (w->depth - 1));
    buf_add_char(w->out, bracket);
}

static void close_level(struct json_writer *w, char bracket)
{
    assert(w->depth > 0);
    w->depth--;
    buf_add_char(w->out, bracket);
}

void json_object(struct json_writer *w)
{
    open_level(w, '{');
}

void json_object_end(struct json_writer *w)
{
    close_level(w, '}');
}

void json_array(struct json_writer *w)
{
    open_level(w, '[');
}

void json_array_end(struct json_writer *w)
{
    close_level(w, ']');
}

/* Size of the run at the start of text that needs no escape and is plain ASCII. */
static size_t plain_run(struct str text)
{
    size_t i = 0;

    while (i < text.size) {
        unsigned char c = (unsigned char)text.bytes[i];
        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
            break;
        i++;
    }
    return i;
}

static void escape_add(struct buf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
    };
    char text[6] = { '\\', (char)c };
    size_t size = 2;

    if (c < ' ' && letters[c]) {
        text[1] = letters[c];
    } else if (c < ' ' || c == 0x7f) {
        memcpy(text, "\\u00", 4);
        text[4] = digits[c >> 4];
        text[5] = digits[c & 15];
        size = 6;
    }
    buf_add(out, text, size);
}

/* Writes what stands at the start of text, which is not plain; returns its size. */
static size_t special_add(struct buf *out, struct str text)
{
    unsigned char c = (unsigned char)text.bytes[0];

    if (c < 0x80) {
        escape_add(out, c);
        return 1;
    }
    size_t size = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (size <= text.size && utf8_valid((struct str){ text.bytes, size })) {
        buf_add(out, text.bytes, size);
        return size;
    }
    buf_add_text(out, "\xEF\xBF\xBD"); /* U+FFFD: a broken byte must not break the document */
    return 1;
}

void json_quote(struct buf *out, struct str text)
{
    buf_add_char(out, '"');
    while (text.size) {
        size_t size = plain_run(text);
        if (size)
            buf_add(out, text.bytes, size);
        else
            size = special_add(out, text);
        text.bytes += size;
        text.size -= size;
    }
    buf_add_char(out, '"');
}

void json_name(struct json_writer *w, const char *name)
{
    assert(w->depth > 0);
    separate(w);
    json_quote(w->out, str_of(name));
    buf_add_char(w->out, ':');
    w->needs_comma &= ~(UINT32_C(1) << (w->depth - 1));
}

void json_str(struct json_writer *w, struct str text)
{
    if (!text.bytes) {
        json_null(w);
        return;
    }
    separate(w);
    json_quote(w->out, text);
}

void json_text(struct json_writer *w, const char *text)
{
    json_str(w, str_of(text));
}

void json_int(struct json_writer *w, int64_t number)
{
    separate(w);
    buf_add_number(w->out, number);
}

/* The shortest text that reads back as the same number; what JSON cannot say becomes null. */
void json_double(struct json_writer *w, double number)
{
    char text[40];

    if (!isfinite(number)) {
        json_null(w);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        double again = strtod(text, NULL);
        if (again >= number && again <= number)
            break;
    }
    separate(w);
    buf_add_text(w->out, text);
}

void json_bool(struct json_writer *w, bool value)
{
    separate(w);
    buf_add_text(w->out, value ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    separate(w);
    buf_add_text(w->out, "null");
}

void json_raw(struct json_writer *w, const char *json)
{
    separate(w);
    buf_add_text(w->out, json && *json ? json : "null");
}

void json_time(struct json_writer *w, int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];

    if (!time_ms) {
        json_null(w);
        return;
    }
    json_text(w, time_format_utc(time_ms, text));
}
