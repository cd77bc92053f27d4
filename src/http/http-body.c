#include "http/http-parser.h"

#include <stdlib.h>

enum { EXTENSION_MAX = 256, TRAILER_MAX = 8 * 1024, CHUNK_DIGITS_MAX = 16 };

void http_body_init(struct http_body *body, const struct http_head *head, uint64_t max)
{
    *body = (struct http_body){ .max = max, .trailer_max = TRAILER_MAX };
    buf_init(&body->trailer_line, TRAILER_MAX);
    if (head->chunked) {
        body->state = BODY_CHUNK_SIZE;
        return;
    }
    body->left = head->content_length > 0 ? (uint64_t)head->content_length : 0;
    body->state = body->left ? BODY_LENGTH : BODY_DONE;
}

void http_body_done(struct http_body *body)
{
    buf_done(&body->trailer_line);
}

/* 1 to 16 hex digits; what comes behind them is left to the caller. */
static int chunk_size_feed(struct http_body *body, char c, struct http_refusal *refusal)
{
    int digit = http_hex_digit(c);

    if (digit >= 0) {
        if (body->digits++ == CHUNK_DIGITS_MAX)
            return http_refuse(refusal, 400, "chunk size too long");
        body->left = body->left << 4 | (uint64_t)digit;
        return 0;
    }
    if (!body->digits || (c != ';' && c != '\r'))
        return http_refuse(refusal, 400, "bad chunk size");
    body->extension_size = 0;
    body->state = c == ';' ? BODY_CHUNK_EXTENSION : BODY_CHUNK_SIZE_LF;
    return 0;
}

static int chunk_extension_feed(struct http_body *body, char c, struct http_refusal *refusal)
{
    if (c == '\r') {
        body->state = BODY_CHUNK_SIZE_LF;
        return 0;
    }
    if (((unsigned char)c < ' ' && c != '\t') || c == 0x7f)
        return http_refuse(refusal, 400, "control character in a chunk extension");
    if (++body->extension_size > EXTENSION_MAX)
        return http_refuse(refusal, 400, "chunk extension too long");
    return 0;
}

static int chunk_begin(struct http_body *body, char c, struct http_refusal *refusal)
{
    if (c != '\n')
        return http_refuse(refusal, 400, "bare CR behind a chunk size");
    if (!body->left) {
        body->state = BODY_TRAILER;
        return 0;
    }
    if (body->left > body->max - body->total)
        return http_refuse(refusal, 413, "body too long");
    body->state = BODY_CHUNK_DATA;
    return 0;
}

static int chunk_end(struct http_body *body, char c, struct http_refusal *refusal)
{
    bool cr = body->state == BODY_CHUNK_CR;

    if (c != (cr ? '\r' : '\n'))
        return http_refuse(refusal, 400, "no CRLF behind chunk data");
    body->state = cr ? BODY_CHUNK_LF : BODY_CHUNK_SIZE;
    body->digits = 0;
    return 0;
}

/* Trailers are checked and dropped; what would change framing or rights is refused. */
static int trailer_check(struct str line, struct http_refusal *refusal)
{
    static const char *const forbidden[] = {
        "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type",
        "Cookie", "Expect", "Host", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
    };
    struct http_header header;

    if (http_header_parse(line, &header, refusal) < 0)
        return -1;
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (str_equal_nocase(header.name, str_of(forbidden[i])))
            return http_refuse(refusal, 400, "forbidden trailer");
    return 0;
}

static int trailer_feed(struct http_body *body, char c, struct http_refusal *refusal)
{
    if (++body->trailer_size > body->trailer_max)
        return http_refuse(refusal, 431, "trailers too long");
    if (c == '\n')
        return http_refuse(refusal, 400, "bare LF in a trailer");
    if (c == '\r')
        body->state = BODY_TRAILER_LF;
    else
        buf_add_char(&body->trailer_line, c);
    return 0;
}

static int trailer_line_end(struct http_body *body, char c, struct http_refusal *refusal)
{
    if (c != '\n')
        return http_refuse(refusal, 400, "bare CR in a trailer");
    if (!body->trailer_line.size) {
        body->state = BODY_DONE;
        return 0;
    }
    if (trailer_check(buf_str(&body->trailer_line), refusal) < 0)
        return -1;
    buf_clear(&body->trailer_line);
    body->state = BODY_TRAILER;
    return 0;
}

static int frame_feed(struct http_body *body, char c, struct http_refusal *refusal)
{
    switch (body->state) {
    case BODY_CHUNK_SIZE: return chunk_size_feed(body, c, refusal);
    case BODY_CHUNK_EXTENSION: return chunk_extension_feed(body, c, refusal);
    case BODY_CHUNK_SIZE_LF: return chunk_begin(body, c, refusal);
    case BODY_CHUNK_CR:
    case BODY_CHUNK_LF: return chunk_end(body, c, refusal);
    case BODY_TRAILER: return trailer_feed(body, c, refusal);
    case BODY_TRAILER_LF: return trailer_line_end(body, c, refusal);
    case BODY_LENGTH:
    case BODY_CHUNK_DATA:
    case BODY_DONE: break;
    }
    abort(); /* data is not fed byte by byte */
}

static struct str data_take(struct http_body *body, struct str bytes)
{
    struct str data = { bytes.bytes, bytes.size < body->left ? bytes.size : (size_t)body->left };

    body->left -= data.size;
    body->total += data.size;
    if (!body->left)
        body->state = body->state == BODY_LENGTH ? BODY_DONE : BODY_CHUNK_CR;
    return data;
}

int http_body_feed(struct http_body *body, struct str bytes, size_t *ret_used,
                   struct str *ret_data, struct http_refusal *refusal)
{
    size_t used = 0;

    *ret_data = (struct str){ 0 };
    while (used < bytes.size && body->state != BODY_DONE) {
        if (body->state == BODY_LENGTH || body->state == BODY_CHUNK_DATA) {
            *ret_data = data_take(body, (struct str){ bytes.bytes + used, bytes.size - used });
            used += ret_data->size;
            break;
        }
        if (frame_feed(body, bytes.bytes[used], refusal) < 0)
            return -1;
        used++;
    }
    *ret_used = used;
    return 0;
}
