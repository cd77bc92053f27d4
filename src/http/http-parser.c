#include "http/http-parser.h"

#include <stdlib.h>

int http_refuse(struct http_refusal *refusal, int status, const char *reason)
{
    *refusal = (struct http_refusal){ status, reason };
    return -1;
}

/* --- where the head ends -------------------------------------------------------------------- */

/* line is without its CRLF; 0 or -1. */
static int line_check(struct str line, struct http_refusal *refusal)
{
    if (memchr(line.bytes, '\r', line.size))
        return http_refuse(refusal, 400, "bare CR in the head");
    if (memchr(line.bytes, '\0', line.size))
        return http_refuse(refusal, 400, "NUL in the head");
    return 0;
}

/* What has no end yet is refused as soon as it cannot end within the limits. */
static int rest_check(const struct http_head_scan *scan, struct str bytes,
                      const struct http_head_limits *limits, struct http_refusal *refusal)
{
    if (!scan->line_count && bytes.size > limits->line_max + 1)
        return http_refuse(refusal, 414, "request line too long");
    if (bytes.size > limits->head_max)
        return http_refuse(refusal, 431, "head too long");
    return 0;
}

ptrdiff_t http_head_scan(struct http_head_scan *scan, struct str bytes,
                         const struct http_head_limits *limits, struct http_refusal *refusal)
{
    const char *lf;

    if (bytes.size && !http_token_char(bytes.bytes[0]))
        return http_refuse(refusal, 400, "no method at the start"); /* a TLS handshake, say */
    while (scan->line < bytes.size &&
           (lf = memchr(bytes.bytes + scan->line, '\n', bytes.size - scan->line))) {
        size_t end = (size_t)(lf - bytes.bytes), size = end - scan->line;
        struct str line = { bytes.bytes + scan->line, size ? size - 1 : 0 };
        if (!scan->line_count && size > limits->line_max + 1)
            return http_refuse(refusal, 414, "request line too long");
        if (end + 1 > limits->head_max)
            return http_refuse(refusal, 431, "head too long");
        if (!size || line.bytes[size - 1] != '\r')
            return http_refuse(refusal, 400, "bare LF in the head");
        if (line_check(line, refusal) < 0)
            return -1;
        scan->line = end + 1;
        if (!line.size)
            return (ptrdiff_t)scan->line;
        if (scan->line_count++ > limits->header_count_max)
            return http_refuse(refusal, 431, "too many headers");
    }
    return rest_check(scan, bytes, limits, refusal);
}

/* --- request line --------------------------------------------------------------------------- */

int http_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* pchar of RFC 3986 and '/'; '%' is looked at by the caller. */
static bool is_path_char(char c)
{
    return is_alnum(c) || (c && strchr("-._~!$&'()*+,;=:@/%", c));
}

/* Browsers send more in queries than RFC 3986 has; none of it can be read in two ways. */
static bool query_valid(struct str query)
{
    for (size_t i = 0; i < query.size; i++) {
        char c = query.bytes[i];
        if (c <= ' ' || c == 0x7f || c == '#' || c == '"' || c == '<' || c == '>')
            return false; /* char is signed here: bytes from 0x80 on are <= ' ' */
    }
    return true;
}

static bool segments_valid(struct str path)
{
    struct str rest = { path.bytes + 1, path.size - 1 }, segment;

    while (str_split(&rest, '/', &segment)) {
        if (!segment.size && rest.bytes)
            return false; /* "//": one path would have many spellings */
        if (str_is(segment, ".") || str_is(segment, ".."))
            return false;
    }
    return true;
}

bool http_path_normalise(struct str raw, struct arena *arena, struct str *ret_path)
{
    char *out = arena_alloc(arena, raw.size + 1);
    size_t used = 0;

    if (!raw.size || raw.bytes[0] != '/')
        return false;
    for (size_t i = 0; i < raw.size; i++) {
        char c = raw.bytes[i];
        if (!is_path_char(c))
            return false;
        if (c == '%') {
            int high = i + 2 < raw.size ? http_hex_digit(raw.bytes[i + 1]) : -1;
            int low = high < 0 ? -1 : http_hex_digit(raw.bytes[i + 2]);
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
            if (c == '/' || c == '\\' || (unsigned char)c < ' ' || c == 0x7f)
                return false;
        }
        out[used++] = c;
    }
    struct str path = { out, used };
    if (!utf8_valid(path) || !segments_valid(path))
        return false;
    *ret_path = path;
    return true;
}

static bool ipv6_chars(struct str text)
{
    for (size_t i = 0; i < text.size; i++)
        if (http_hex_digit(text.bytes[i]) < 0 && text.bytes[i] != ':' && text.bytes[i] != '.')
            return false;
    return text.size >= 2;
}

/* ":8680" */
static bool port_valid(struct str text)
{
    struct str digits = { text.bytes + 1, text.size - 1 };
    int64_t port;

    return text.bytes[0] == ':' && digits.size <= 5 && number_parse(digits, 0, 65535, &port);
}

bool http_host_valid(struct str host)
{
    struct str name = host;
    const char *close = host.size ? memchr(host.bytes, ']', host.size) : NULL;

    if (!host.size || host.size > 255 + 6)
        return false;
    if (host.bytes[0] == '[') {
        if (!close || !ipv6_chars((struct str){ host.bytes + 1, (size_t)(close - host.bytes) - 1 }))
            return false;
        name.size = (size_t)(close - host.bytes) + 1;
    } else {
        const char *colon = memchr(host.bytes, ':', host.size);
        name.size = colon ? (size_t)(colon - host.bytes) : host.size;
        for (size_t i = 0; i < name.size; i++)
            if (!is_alnum(name.bytes[i]) && !strchr("-._~", name.bytes[i]))
                return false;
    }
    struct str rest = { host.bytes + name.size, host.size - name.size };
    return name.size && (!rest.size || port_valid(rest));
}

struct target {
    struct str authority; /* of the absolute form only */
    struct str path, query;
};

/* The asterisk form (OPTIONS *) is no path and so refused, like in nginx: nobody needs it here. */
static int target_split(struct str target, struct target *ret, struct http_refusal *refusal)
{
    struct str schemes[] = { STR("http://"), STR("https://") };

    *ret = (struct target){ 0 };
    for (size_t i = 0; i < 2; i++) {
        struct str start = { target.bytes, schemes[i].size };
        if (target.size < start.size || !str_equal_nocase(start, schemes[i]))
            continue;
        target = (struct str){ target.bytes + start.size, target.size - start.size };
        size_t size = 0;
        while (size < target.size && target.bytes[size] != '/' && target.bytes[size] != '?')
            size++;
        ret->authority = (struct str){ target.bytes, size };
        target = (struct str){ target.bytes + size, target.size - size };
        if (!target.size || target.bytes[0] == '?')
            return http_refuse(refusal, 400, "target without a path");
        break;
    }
    const char *question = target.size ? memchr(target.bytes, '?', target.size) : NULL;
    ret->path = target;
    if (question) {
        ret->path.size = (size_t)(question - target.bytes);
        ret->query = (struct str){ question + 1, target.size - ret->path.size - 1 };
    }
    return query_valid(ret->query) ? 0 : http_refuse(refusal, 400, "bad character in the query");
}

static int method_check(struct str text, struct http_head *head, struct http_refusal *refusal)
{
    if (http_method_parse(text, &head->method))
        return 0;
    if (!http_header_name_valid(text) || str_is(text, "CONNECT") || str_is(text, "TRACE"))
        return http_refuse(refusal, 400, "bad method");
    return http_refuse(refusal, 501, "unknown method");
}

static int version_check(struct str text, struct http_head *head, struct http_refusal *refusal)
{
    head->keep_alive = head->is_http_1_1 = str_is(text, "HTTP/1.1");
    if (head->is_http_1_1 || str_is(text, "HTTP/1.0"))
        return 0;
    if (text.size == 8 && str_starts_with(text, STR("HTTP/")) && text.bytes[6] == '.' &&
        text.bytes[5] >= '0' && text.bytes[5] <= '9' && text.bytes[7] >= '0' && text.bytes[7] <= '9')
        return http_refuse(refusal, 505, "version is not HTTP/1.1 or HTTP/1.0");
    return http_refuse(refusal, 400, "bad version");
}

/* "GET /path?query HTTP/1.1": exactly two single spaces. */
static int request_line_parse(struct str line, struct arena *arena, struct http_head *head,
                              struct target *target, struct http_refusal *refusal)
{
    struct str method, raw;

    if (!str_split(&line, ' ', &method) || !str_split(&line, ' ', &raw) || !line.bytes)
        return http_refuse(refusal, 400, "bad request line");
    if (method_check(method, head, refusal) < 0 || version_check(line, head, refusal) < 0)
        return -1;
    head->raw_target = raw;
    if (target_split(raw, target, refusal) < 0)
        return -1;
    head->query = target->query;
    if (!http_path_normalise(target->path, arena, &head->path))
        return http_refuse(refusal, 400, "bad path");
    return 0;
}

/* --- headers -------------------------------------------------------------------------------- */

/* RFC 9112 lets tabs stand around a value, too; nobody sends them, and nginx takes none for Host. */
static struct str blanks_trim(struct str value)
{
    while (value.size && value.bytes[0] == ' ')
        value = (struct str){ value.bytes + 1, value.size - 1 };
    while (value.size && value.bytes[value.size - 1] == ' ')
        value.size--;
    return value;
}

int http_header_parse(struct str line, struct http_header *ret, struct http_refusal *refusal)
{
    const char *colon = memchr(line.bytes, ':', line.size);

    if (line.bytes[0] == ' ' || line.bytes[0] == '\t')
        return http_refuse(refusal, 400, "folded header line");
    if (!colon)
        return http_refuse(refusal, 400, "header line without a colon");
    struct str name = { line.bytes, (size_t)(colon - line.bytes) };
    struct str value = { colon + 1, line.size - name.size - 1 };
    if (!http_header_name_valid(name))
        return http_refuse(refusal, 400, "bad header name");
    if (!http_header_value_valid(value))
        return http_refuse(refusal, 400, "control character in a header");
    value = blanks_trim(value);
    if (value.size && (value.bytes[0] == '\t' || value.bytes[value.size - 1] == '\t'))
        return http_refuse(refusal, 400, "tab around a header value");
    *ret = (struct http_header){ name, value };
    return 0;
}

static bool name_is(const struct http_header *header, struct str name)
{
    return str_equal_nocase(header->name, name);
}

/* What the framing hangs on. */
struct framing {
    unsigned host_count, length_count, encoding_count;
    struct str connection;
};

static int content_length_parse(struct str value, struct http_head *head,
                                struct http_refusal *refusal)
{
    if (value.size > 18 || !number_parse(value, 0, INT64_MAX, &head->content_length))
        return http_refuse(refusal, 400, "bad Content-Length");
    return 0;
}

static int expect_parse(struct str value, struct http_head *head, struct http_refusal *refusal)
{
    if (!str_equal_nocase(value, STR("100-continue")))
        return http_refuse(refusal, 400, "unknown expectation");
    head->expects_continue = true;
    return 0;
}

/* Is token one of the list "a, b ,c"? Compared without case. */
static bool list_has(struct str list, struct str token)
{
    struct str part;

    while (str_split(&list, ',', &part))
        if (str_equal_nocase(str_trim(part), token))
            return true;
    return false;
}

static int header_apply(const struct http_header *header, struct http_head *head,
                        struct framing *framing, struct http_refusal *refusal)
{
    switch (header->name.size) { /* most headers are none of these: do not compare them all */
    case 4:
        if (name_is(header, STR("Host"))) {
            framing->host_count++;
            head->host = header->value;
        }
        return 0;
    case 6:
        return name_is(header, STR("Expect")) ? expect_parse(header->value, head, refusal) : 0;
    case 7:
        if (name_is(header, STR("Upgrade")) && list_has(header->value, STR("h2c")))
            return http_refuse(refusal, 400, "upgrade to h2c");
        return 0;
    case 14:
        if (!name_is(header, STR("Content-Length")))
            return 0;
        framing->length_count++;
        return content_length_parse(header->value, head, refusal);
    case 17:
        if (!name_is(header, STR("Transfer-Encoding")))
            return 0;
        framing->encoding_count++;
        head->chunked = str_equal_nocase(header->value, STR("chunked"));
        return head->chunked ? 0 : http_refuse(refusal, 400, "unknown Transfer-Encoding");
    default: return 0;
    }
}

static int framing_check(struct http_head *head, const struct target *target,
                         const struct framing *framing, struct http_refusal *refusal)
{
    if (framing->length_count && framing->encoding_count)
        return http_refuse(refusal, 400, "Content-Length and Transfer-Encoding");
    if (framing->length_count > 1 || framing->encoding_count > 1)
        return http_refuse(refusal, 400, "framing header given twice");
    if (head->chunked && !head->is_http_1_1)
        return http_refuse(refusal, 400, "Transfer-Encoding in HTTP/1.0");
    if (framing->host_count != 1)
        return http_refuse(refusal, 400, framing->host_count ? "Host given twice" : "no Host");
    if (!http_host_valid(head->host))
        return http_refuse(refusal, 400, "bad Host");
    if (target->authority.bytes && !str_equal_nocase(target->authority, head->host))
        return http_refuse(refusal, 400, "Host is not that of the target");
    return 0;
}

/* Host and Content-Length stay, whatever Connection lists. */
static bool is_hop_by_hop(const struct http_header *header, struct str connection)
{
    static const char *const names[] = { "Connection", "Keep-Alive", "TE",            "Trailer",
                                         "Transfer-Encoding", "Upgrade", "HTTP2-Settings" };
    struct str start = { header->name.bytes, 6 };

    if (name_is(header, STR("Host")) || name_is(header, STR("Content-Length")))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name_is(header, str_of(names[i])))
            return true;
    if (header->name.size > 6 && str_equal_nocase(start, STR("Proxy-")))
        return true;
    return connection.size && list_has(connection, header->name);
}

static void hop_by_hop_remove(struct http_head *head, struct str connection)
{
    size_t kept = 0;

    for (size_t i = 0; i < head->header_count; i++)
        if (!is_hop_by_hop(&head->headers[i], connection))
            head->headers[kept++] = head->headers[i];
    head->header_count = kept;
}

/* The line at the front of rest, which has one, without its CRLF. */
static struct str line_take(struct str *rest)
{
    const char *lf = memchr(rest->bytes, '\n', rest->size);
    struct str line = { rest->bytes, (size_t)(lf - rest->bytes) - 1 };

    rest->size -= line.size + 2;
    rest->bytes += line.size + 2;
    return line;
}

static size_t lines_count(struct str text)
{
    size_t count = 0;

    for (const char *lf; text.size && (lf = memchr(text.bytes, '\n', text.size)); count++) {
        text.size -= (size_t)(lf - text.bytes) + 1;
        text.bytes = lf + 1;
    }
    return count;
}

/* Several Connection lines are one list. */
static void connection_add(struct framing *framing, struct str value, struct arena *arena)
{
    struct str *list = &framing->connection;

    if (!list->size) {
        *list = value;
        return;
    }
    char *joined = arena_printf(arena, "%.*s,%.*s", (int)list->size, list->bytes, (int)value.size,
                                value.bytes);
    *list = str_of(joined);
}

static int headers_parse(struct str rest, struct arena *arena, struct http_head *head,
                         struct framing *framing, struct http_refusal *refusal)
{
    head->headers = ARENA_ARRAY(arena, struct http_header, lines_count(rest));
    for (struct str line = line_take(&rest); line.size; line = line_take(&rest)) {
        struct http_header *header = &head->headers[head->header_count++];
        if (http_header_parse(line, header, refusal) < 0 ||
            header_apply(header, head, framing, refusal) < 0)
            return -1;
        if (name_is(header, STR("Connection")))
            connection_add(framing, header->value, arena);
    }
    return 0;
}

int http_head_parse(struct str text, struct arena *arena, struct http_head *ret,
                    struct http_refusal *refusal)
{
    struct http_head head = { .content_length = -1 };
    struct framing framing = { 0 };
    struct target target;

    if (request_line_parse(line_take(&text), arena, &head, &target, refusal) < 0)
        return -1;
    if (headers_parse(text, arena, &head, &framing, refusal) < 0 ||
        framing_check(&head, &target, &framing, refusal) < 0)
        return -1;
    if (list_has(framing.connection, STR("close")))
        head.keep_alive = false;
    head.expects_continue = head.expects_continue && head.is_http_1_1;
    hop_by_hop_remove(&head, framing.connection);
    *ret = head;
    return 0;
}
