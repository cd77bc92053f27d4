#include "http/http-server-private.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- life ----------------------------------------------------------------------------------- */

struct http_exchange *http_exchange_new(struct http_server *server)
{
    struct http_exchange *exchange;

    if (list_empty(&server->spares)) {
        exchange = memory_alloc(sizeof *exchange);
        exchange->arena = arena_new();
        list_init(&exchange->node);
    } else {
        exchange = CONTAINER_OF(server->spares.next, struct http_exchange, node);
        list_remove(&exchange->node);
        server->spare_count--;
    }
    exchange->server = server;
    server->counters.exchanges++;
    return exchange;
}

/* Back to the state of a new one, but for its memory. */
static void exchange_clean(struct http_exchange *exchange)
{
    struct arena *arena = exchange->arena;

    list_remove(&exchange->node);
    http_body_done(&exchange->frame);
    buf_done(&exchange->body);
    buf_done(&exchange->headers);
    arena_reset(arena);
    *exchange = (struct http_exchange){ .arena = arena };
    list_init(&exchange->node);
}

void http_exchange_free(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    size_t body_size = exchange->body.size;

    if (exchange->on_end)
        exchange->on_end(exchange->on_end_ctx, exchange->status, exchange->answered_size);
    exchange_clean(exchange);
    if (server) {
        server->bodies_size -= body_size;
        server->counters.exchanges--;
        if (server->spare_count < HTTP_SPARES_MAX) {
            list_add_tail(&server->spares, &exchange->node);
            server->spare_count++;
            return;
        }
    }
    arena_free(&exchange->arena);
    free(exchange);
}

void http_exchange_gone(struct http_exchange *exchange)
{
    exchange->connection = NULL;
    if (!exchange->on_gone) {
        list_add_tail(&exchange->server->orphans, &exchange->node);
        return;
    }
    exchange->on_gone(exchange->on_gone_ctx);
    http_exchange_free(exchange);
}

struct arena *http_exchange_arena(struct http_exchange *exchange)
{
    return exchange->arena;
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
    return &exchange->request;
}

void http_exchange_on_gone(struct http_exchange *exchange, void (*on_gone)(void *ctx), void *ctx)
{
    exchange->on_gone = on_gone;
    exchange->on_gone_ctx = ctx;
}

void http_exchange_on_end(struct http_exchange *exchange,
                          void (*on_end)(void *ctx, int status, uint64_t body_size), void *ctx)
{
    exchange->on_end = on_end;
    exchange->on_end_ctx = ctx;
}

/* The answer is complete. */
static void exchange_end(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;
    bool keep_alive = exchange->keep_alive;

    http_exchange_free(exchange);
    if (connection)
        http_connection_answered(connection, keep_alive);
}

/* --- head ----------------------------------------------------------------------------------- */

void http_answer_header(struct http_exchange *exchange, const char *name, const char *value)
{
    assert(http_header_name_valid(str_of(name)) && http_header_value_valid(str_of(value)));
    if (!exchange->headers.max)
        buf_init(&exchange->headers, 32 * 1024);
    buf_add_text(&exchange->headers, name);
    buf_add(&exchange->headers, ": ", 2);
    buf_add_text(&exchange->headers, value);
    buf_add(&exchange->headers, "\r\n", 2);
    assert(!exchange->headers.overflow);
}

static void line_add(struct buf *out, const char *name, const char *value)
{
    buf_add_text(out, name);
    buf_add_text(out, value);
    buf_add(out, "\r\n", 2);
}

/* Into the server's buffer, which is good until the next answer. size < 0: not known. */
static struct buf *head_make(struct http_exchange *exchange, int status, const char *type,
                             int64_t size)
{
    struct http_server *server = exchange->server;
    struct buf *out = &server->head_buf;

    buf_clear(out);
    buf_add_text(out, "HTTP/1.1 ");
    buf_add_number(out, status);
    buf_add_char(out, ' ');
    line_add(out, http_status_text(status), "");
    line_add(out, "Date: ", http_server_date(server));
    if (type)
        line_add(out, "Content-Type: ", type);
    if (size >= 0) {
        buf_add_text(out, "Content-Length: ");
        buf_add_number(out, size);
        buf_add(out, "\r\n", 2);
    }
    if (exchange->chunked)
        line_add(out, "Transfer-Encoding: chunked", "");
    if (!exchange->keep_alive)
        line_add(out, "Connection: close", "");
    buf_add_text(out, "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
    buf_add(out, buf_text(&exchange->headers), exchange->headers.size);
    buf_add(out, "\r\n", 2);
    return out;
}

static bool may_keep_alive(const struct http_exchange *exchange)
{
    const struct http_connection *connection = exchange->connection;

    return exchange->keep_alive && !exchange->server->draining &&
           !(connection->eof && !connection->in.size);
}

/* --- whole answers -------------------------------------------------------------------------- */

void http_answer(struct http_exchange *exchange, int status, const char *type, struct str body)
{
    bool bodiless = status == 204 || status == 304;
    bool send_body = !bodiless && exchange->request.method != HTTP_HEAD;

    assert(!exchange->streaming && status >= 200 && status <= 599);
    assert(!type || http_header_value_valid(str_of(type)));
    if (!exchange->connection) {
        exchange_end(exchange);
        return;
    }
    exchange->status = status;
    exchange->answered_size = send_body ? body.size : 0;
    exchange->keep_alive = may_keep_alive(exchange);
    struct buf *head = head_make(exchange, status, type, bodiless ? -1 : (int64_t)body.size);
    struct iovec parts[] = { { head->bytes, head->size },
                             { (char *)(uintptr_t)body.bytes, body.size } };
    /* The state changes last: writing may find that the peer is gone, and that is no news to an
     * exchange that is answered. */
    exchange->on_gone = NULL;
    http_connection_write(exchange->connection, parts, send_body && body.size ? 2 : 1);
    exchange_end(exchange);
}

static const char *problem_code(int status)
{
    switch (status) {
    case 401: return "unauthenticated";
    case 403: return "forbidden";
    case 404: return "not_found";
    case 405: return "method_not_allowed";
    case 408: return "timeout";
    case 413:
    case 414:
    case 431: return "too_large";
    case 415: return "unsupported_media_type";
    case 429: return "throttled";
    case 503: return "unavailable";
    default: return "invalid";
    }
}

void http_answer_problem(struct http_exchange *exchange, const struct http_refusal *refusal)
{
    char text[256];
    int size = snprintf(text, sizeof text,
                        "{\"title\":\"%s\",\"status\":%d,\"code\":\"%s\",\"detail\":\"%s\"}",
                        http_status_text(refusal->status), refusal->status,
                        problem_code(refusal->status), refusal->reason);

    http_answer(exchange, refusal->status, "application/problem+json",
                (struct str){ text, (size_t)size });
}

/* --- streams -------------------------------------------------------------------------------- */

void http_stream_begin(struct http_exchange *exchange, int status, const char *type)
{
    assert(!exchange->streaming);
    exchange->streaming = true;
    if (!exchange->connection)
        return;
    exchange->status = status;
    exchange->chunked = exchange->is_http_1_1;
    exchange->keep_alive = exchange->chunked && may_keep_alive(exchange);
    struct buf *head = head_make(exchange, status, type, -1);
    struct iovec part = { head->bytes, head->size };
    http_connection_write(exchange->connection, &part, 1);
}

size_t http_stream_queued(const struct http_exchange *exchange)
{
    return exchange->connection ? exchange->connection->out.size : 0;
}

void http_stream_on_drained(struct http_exchange *exchange, void (*on_drained)(void *), void *ctx)
{
    exchange->on_drained = on_drained;
    exchange->on_drained_ctx = ctx;
}

bool http_stream_write(struct http_exchange *exchange, struct str bytes)
{
    size_t queued = http_stream_queued(exchange);
    char size_line[24];

    assert(exchange->streaming);
    if (queued && queued + bytes.size > HTTP_STREAM_QUEUED_MAX)
        return false;
    if (!exchange->connection || !bytes.size || exchange->request.method == HTTP_HEAD)
        return true;
    exchange->answered_size += bytes.size;
    int size = snprintf(size_line, sizeof size_line, "%zx\r\n", bytes.size);
    struct iovec parts[] = { { size_line, (size_t)size },
                             { (char *)(uintptr_t)bytes.bytes, bytes.size },
                             { (char *)(uintptr_t)"\r\n", 2 } };
    if (exchange->chunked)
        http_connection_write(exchange->connection, parts, 3);
    else
        http_connection_write(exchange->connection, parts + 1, 1);
    return true;
}

void http_stream_end(struct http_exchange *exchange)
{
    struct iovec part = { (char *)(uintptr_t)"0\r\n\r\n", 5 };

    assert(exchange->streaming);
    exchange->on_gone = NULL;
    if (exchange->connection && exchange->chunked && exchange->request.method != HTTP_HEAD)
        http_connection_write(exchange->connection, &part, 1);
    exchange_end(exchange);
}

/* One "data: " line per line of data; CR, LF and CRLF all end a line there. */
static void data_lines_add(struct buf *out, struct str data)
{
    size_t begin = 0;

    for (size_t i = 0; i <= data.size; i++) {
        bool at_end = i == data.size;
        if (!at_end && data.bytes[i] != '\n' && data.bytes[i] != '\r')
            continue;
        buf_add_text(out, "data: ");
        buf_add(out, data.bytes + begin, i - begin);
        buf_add_char(out, '\n');
        if (!at_end && data.bytes[i] == '\r' && i + 1 < data.size && data.bytes[i + 1] == '\n')
            i++;
        begin = i + 1;
    }
}

bool http_stream_event(struct http_exchange *exchange, const char *id, const char *event,
                       struct str data)
{
    struct buf text;

    assert(!id || !strpbrk(id, "\r\n"));
    assert(!event || !strpbrk(event, "\r\n"));
    buf_init(&text, SIZE_MAX / 4);
    if (id)
        buf_printf(&text, "id: %s\n", id);
    if (event)
        buf_printf(&text, "event: %s\n", event);
    data_lines_add(&text, data);
    buf_add_char(&text, '\n');
    bool taken = http_stream_write(exchange, buf_str(&text));
    buf_done(&text);
    return taken;
}
