#ifndef BELFRY_HTTP_HTTP_PARSER_H
#define BELFRY_HTTP_HTTP_PARSER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "http/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Framing of HTTP/1.1 requests (RFC 9112): pure, incremental, and strict. What two programs could
 * read in two ways is refused here. The verdict on a stream of bytes does not depend on how they
 * were cut into pieces.
 *
 *   head_scan ──(size of the head)──► head_parse ──► body_feed … until done
 *
 * A refusal is a status (400, 413, 414, 431, 501, 505) and a reason for the log; the connection
 * has to be closed after it, for nobody knows where the next request would begin.
 */
struct http_refusal {
    int status;
    const char *reason; /* static */
};

/* --- head ----------------------------------------------------------------------------------- */

struct http_head_limits { /* line_max ≤ head_max */
    size_t line_max, head_max;
    unsigned header_count_max;
};

struct http_head_scan {
    size_t line; /* start of the line that is not complete yet */
    unsigned line_count;
};

/*
 * Looks for the end of a head that begins at bytes; scan is zeroed before its first piece and kept
 * while bytes grows. Returns the head's size with the empty line, 0 when more is needed, -1 with
 * *refusal. Checks ends of lines and the limits.
 */
ptrdiff_t http_head_scan(struct http_head_scan *scan, struct str bytes,
                         const struct http_head_limits *limits, struct http_refusal *refusal);

struct http_head {
    enum http_method method;
    struct str raw_target, path, query, host; /* path: decoded; host: without port, as sent */
    struct http_header *headers;              /* hop-by-hop ones removed */
    size_t header_count;
    int64_t content_length; /* -1: none */
    bool chunked, keep_alive, expects_continue, is_http_1_1;
};

/* text is what head_scan found; the result points into it and into arena. 0 or -1. */
int http_head_parse(struct str text, struct arena *arena, struct http_head *ret,
                    struct http_refusal *refusal);

/*
 * "/a/b%20c" decoded once. Refused: what does not begin with '/', "//", "." and ".." segments,
 * encoded '/', '\' and controls, bad escapes, bad UTF-8, characters that RFC 3986 has not in paths.
 */
bool http_path_normalise(struct str raw, struct arena *arena, struct str *ret_path);
/* Host header: name, IPv4 or [IPv6], and a port or none. */
bool http_host_valid(struct str host);

/* --- body ----------------------------------------------------------------------------------- */

enum http_body_state {
    BODY_LENGTH,                            /* left bytes of a body with Content-Length */
    BODY_CHUNK_SIZE, BODY_CHUNK_EXTENSION, BODY_CHUNK_SIZE_LF, /* "1a;x=y\r\n" */
    BODY_CHUNK_DATA, BODY_CHUNK_CR, BODY_CHUNK_LF,
    BODY_TRAILER, BODY_TRAILER_LF,
    BODY_DONE,
};

struct http_body {
    enum http_body_state state;
    uint64_t left, total, max;
    unsigned digits, extension_size;
    size_t trailer_size, trailer_max;
    struct buf trailer_line;
};

void http_body_init(struct http_body *body, const struct http_head *head, uint64_t max);
void http_body_done(struct http_body *body);
/*
 * Takes bytes in; *ret_used counts those of the body's frame, and *ret_data is the next part of the
 * body, a slice of bytes (maybe empty). Call again while used > 0. 0, or -1 with *refusal.
 * The body is whole when state is BODY_DONE.
 */
int http_body_feed(struct http_body *body, struct str bytes, size_t *ret_used,
                   struct str *ret_data, struct http_refusal *refusal);

/* --- shared by the two parts ---------------------------------------------------------------- */

int http_refuse(struct http_refusal *refusal, int status, const char *reason); /* -1 */
int http_hex_digit(char c);                                                   /* -1: is none */
/* One line "name: value" without its CRLF. */
int http_header_parse(struct str line, struct http_header *ret, struct http_refusal *refusal);

#endif
