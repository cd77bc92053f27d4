#include "http/http-parser.h"

#include <stdlib.h>

/*
 * Requests, one behind the other on a connection. The verdict on a stream must not depend on how
 * the network cuts it: the whole input at once, byte by byte, and in pieces of a size that the
 * input chooses have to give the same requests, bodies and refusal.
 */
enum { BODY_MAX = 2000 };

static const struct http_head_limits limits = { .line_max = 300, .head_max = 1500,
                                                .header_count_max = 12 };

static void check(bool condition)
{
    if (!condition)
        abort();
}

/* What must hold for any request that was let through. */
static void head_check(const struct http_head *head)
{
    check(head->path.size && head->path.bytes[0] == '/' && utf8_valid(head->path));
    check(!memchr(head->path.bytes, '\0', head->path.size));
    check(!memchr(head->path.bytes, '\\', head->path.size));
    check(!memmem(head->path.bytes, head->path.size, "//", 2));
    check(!memmem(head->path.bytes, head->path.size, "/../", 4));
    check(http_host_valid(head->host));
    check(!head->chunked || head->content_length < 0);
    for (size_t i = 0; i < head->header_count; i++) {
        check(http_header_name_valid(head->headers[i].name));
        check(http_header_value_valid(head->headers[i].value));
        check(!str_equal_nocase(head->headers[i].name, STR("Transfer-Encoding")));
    }
}

static void head_note(struct buf *log, const struct http_head *head)
{
    buf_printf(log, "%s %.*s ?%.*s @%.*s %d%d%d %lld\n", http_method_name(head->method),
               (int)head->path.size, head->path.bytes, (int)head->query.size,
               head->query.bytes ? head->query.bytes : "", (int)head->host.size, head->host.bytes,
               head->chunked, head->keep_alive, head->expects_continue,
               (long long)head->content_length);
    for (size_t i = 0; i < head->header_count; i++) {
        buf_add(log, head->headers[i].name.bytes, head->headers[i].name.size);
        buf_add_char(log, '=');
        buf_add(log, head->headers[i].value.bytes, head->headers[i].value.size);
        buf_add_char(log, '\n');
    }
}

/* A connection: bytes that have come and are not used up, and where in a request it is. */
struct stream {
    struct str bytes; /* all of the input */
    size_t come, used;
    struct http_head_scan scan;
    struct http_head head;
    struct http_body body;
    bool in_body;
    struct http_refusal refusal;
    struct arena *arena;
    struct buf *log;
};

static struct str pending(const struct stream *s)
{
    return (struct str){ s->bytes.bytes + s->used, s->come - s->used };
}

/* true where something was used. */
static bool head_step(struct stream *s)
{
    ptrdiff_t size = http_head_scan(&s->scan, pending(s), &limits, &s->refusal);

    if (size <= 0)
        return false;
    struct str text = { arena_copy(s->arena, s->bytes.bytes + s->used, (size_t)size), (size_t)size };
    if (http_head_parse(text, s->arena, &s->head, &s->refusal) < 0)
        return false;
    head_check(&s->head);
    head_note(s->log, &s->head);
    s->scan = (struct http_head_scan){ 0 };
    s->used += (size_t)size;
    if (s->head.content_length > BODY_MAX) {
        s->refusal = (struct http_refusal){ 413, "body" };
        return false;
    }
    http_body_init(&s->body, &s->head, BODY_MAX);
    s->in_body = true;
    return true;
}

static bool body_step(struct stream *s)
{
    struct str data;
    size_t used = 0;

    if (s->body.state == BODY_DONE) {
        http_body_done(&s->body);
        s->in_body = false;
        buf_add_text(s->log, "\nend\n");
        return true;
    }
    if (http_body_feed(&s->body, pending(s), &used, &data, &s->refusal) < 0)
        return false;
    check(s->body.total <= BODY_MAX);
    buf_add(s->log, data.bytes, data.size);
    s->used += used;
    return used > 0;
}

static void run(struct str bytes, size_t piece, struct buf *log)
{
    struct stream s = { .bytes = bytes, .arena = arena_new(), .log = log };

    while (!s.refusal.status && s.come < bytes.size) {
        s.come = bytes.size - s.come < piece ? bytes.size : s.come + piece;
        while (!s.refusal.status && (s.in_body ? body_step(&s) : head_step(&s)))
            continue;
    }
    if (s.in_body)
        http_body_done(&s.body);
    buf_printf(log, "refusal %d %s", s.refusal.status,
               s.refusal.reason ? s.refusal.reason : "none");
    arena_free(&s.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = { (const char *)data + 1, size - 1 };
    struct buf whole, parts;

    if (!size || size > 1 << 16)
        return 0;
    buf_init(&whole, 1 << 24);
    buf_init(&parts, 1 << 24);
    run(bytes, bytes.size ? bytes.size : 1, &whole);
    run(bytes, 1, &parts);
    check(str_equal(buf_str(&whole), buf_str(&parts)));
    buf_clear(&parts);
    run(bytes, data[0] ? data[0] : 1, &parts);
    check(str_equal(buf_str(&whole), buf_str(&parts)));
    buf_done(&whole);
    buf_done(&parts);
    return 0;
}
