#include "http/http-server-private.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_readable(evutil_socket_t fd, short events, void *ctx);
static void on_writable(evutil_socket_t fd, short events, void *ctx);
static void settle(struct http_connection *connection);

/* --- life ----------------------------------------------------------------------------------- */

struct http_connection *http_connection_new(struct http_server *server, int fd, const char *peer,
                                            struct address site)
{
    struct http_connection *connection = memory_alloc(sizeof *connection);

    connection->server = server;
    connection->fd = fd;
    connection->site = site;
    connection->fresh = true;
    connection->wait_kind = HTTP_WAIT_NONE;
    snprintf(connection->peer, sizeof connection->peer, "%s", peer);
    list_init(&connection->all);
    list_init(&connection->wait);
    buf_init(&connection->in, SIZE_MAX / 4); /* bounded by what is read ahead */
    buf_init(&connection->out, SIZE_MAX / 4); /* bounded by the answer */
    event_assign(&connection->read_event, server->base, fd, EV_READ | EV_PERSIST, on_readable,
                 connection);
    event_assign(&connection->write_event, server->base, fd, EV_WRITE | EV_PERSIST, on_writable,
                 connection);
    if (server->tls) {
        connection->tls = SSL_new(server->tls);
        SSL_set_fd(connection->tls, fd);
        SSL_set_accept_state(connection->tls);
    }
    settle(connection);
    return connection;
}

static void connection_free(struct http_connection *connection)
{
    buf_done(&connection->in);
    buf_done(&connection->out);
    free(connection);
}

/* Takes the exchange from the connection, which may not be in the handler's hands yet. */
static void exchange_drop(struct http_connection *connection)
{
    struct http_exchange *exchange = TAKE(connection->exchange);

    if (!exchange)
        return;
    exchange->connection = NULL;
    if (connection->state == CONNECTION_EXCHANGE)
        http_exchange_gone(exchange);
    else
        http_exchange_free(exchange);
}

void http_connection_close(struct http_connection *connection)
{
    if (connection->closed)
        return;
    connection->closed = true;
    event_del(&connection->read_event);
    event_del(&connection->write_event);
    SSL_free(connection->tls);
    close(connection->fd);
    http_server_connection_closed(connection);
    exchange_drop(connection);
    if (!connection->feeding)
        connection_free(connection);
}

bool http_connection_is_idle(const struct http_connection *connection)
{
    return connection->state == CONNECTION_HEAD && !connection->out.size && !connection->feeding;
}

static void linger_begin(struct http_connection *connection)
{
    http_transport_shut(connection);
    connection->state = CONNECTION_LINGER;
    buf_done(&connection->in);
}

static enum http_timeout wait_choose(const struct http_connection *connection)
{
    if (connection->out.size)
        return HTTP_WAIT_WRITE;
    switch (connection->state) {
    case CONNECTION_HEAD:
        return connection->in.size || connection->fresh ? HTTP_WAIT_HEAD : HTTP_WAIT_IDLE;
    case CONNECTION_BODY: return HTTP_WAIT_BODY;
    case CONNECTION_LINGER: return HTTP_WAIT_LINGER;
    case CONNECTION_EXCHANGE:
    case CONNECTION_FLUSH: break;
    }
    return HTTP_WAIT_NONE;
}

/* A peer that sends ahead is read only so far; its end is noticed while an exchange runs. */
static bool wants_read(const struct http_connection *connection)
{
    if (connection->eof || connection->state == CONNECTION_FLUSH)
        return false;
    if (connection->state == CONNECTION_EXCHANGE || connection->out.size)
        return connection->in.size < HTTP_PIPELINE_MAX;
    return true;
}

static void event_switch(struct event *event, bool *is_on, bool on)
{
    if (*is_on == on)
        return;
    *is_on = on;
    if (on)
        event_add(event, NULL);
    else
        event_del(event);
}

/* Brings events and time-outs in line with the state; may free the connection. */
static void settle(struct http_connection *connection)
{
    if (connection->feeding)
        return;
    if (connection->closed) {
        connection_free(connection);
        return;
    }
    bool flushed = !connection->out.size;
    if (connection->state == CONNECTION_FLUSH && flushed && connection->unread && !connection->eof)
        linger_begin(connection);
    bool over = connection->broken ||
                (connection->eof && (connection->state == CONNECTION_HEAD ||
                                     connection->state == CONNECTION_BODY) && flushed) ||
                (connection->state == CONNECTION_FLUSH && flushed);
    if (over) {
        http_connection_close(connection);
        return;
    }
    enum http_timeout kind = wait_choose(connection);
    if (kind != connection->wait_kind)
        http_wait(connection, kind);
    event_switch(&connection->read_event, &connection->read_on, wants_read(connection));
    event_switch(&connection->write_event, &connection->write_on,
                 !flushed || connection->tls_wants_write);
}

/* --- requests ------------------------------------------------------------------------------- */

static void exchange_attach(struct http_connection *connection, struct http_exchange *exchange,
                            const struct http_head *head)
{
    struct http_request *request = &exchange->request;

    connection->exchange = exchange;
    exchange->connection = connection;
    exchange->keep_alive = head->keep_alive;
    exchange->is_http_1_1 = head->is_http_1_1;
    request->method = head->method;
    request->path = head->path;
    request->raw_target = head->raw_target;
    request->query = head->query;
    request->host = head->host;
    request->headers = head->headers;
    request->header_count = head->header_count;
    request->tls = connection->tls != NULL;
    request->arena = exchange->arena;
    memcpy(request->peer, connection->peer, sizeof request->peer);
}

/* The server's own answer. What it does not read of the request it cannot skip either. */
static void refuse(struct http_connection *connection, const struct http_refusal *refusal,
                   bool unread)
{
    struct http_exchange *exchange = connection->exchange;

    if (!exchange) {
        exchange = connection->exchange = http_exchange_new(connection->server);
        exchange->connection = connection;
    }
    connection->unread = unread;
    exchange->keep_alive = exchange->keep_alive && !unread;
    connection->state = CONNECTION_EXCHANGE;
    http_answer_problem(exchange, refusal);
}

static void refuse_bad(struct http_connection *connection, const struct http_refusal *refusal)
{
    connection->server->counters.bad_requests++;
    refuse(connection, refusal, true);
}

static bool body_is_unusual(enum http_method method)
{
    return method != HTTP_POST && method != HTTP_PUT && method != HTTP_PATCH;
}

/* What the route says to the head: 0 or a refusal's status. */
static int admit(struct http_connection *connection, const struct http_head *head,
                 uint64_t *ret_body_max, struct http_refusal *refusal)
{
    const struct http_server_settings *settings = &connection->server->settings;
    size_t body_max = body_is_unusual(head->method) ? 0 : settings->limits.body_max;
    int status = 0;

    if (settings->admit)
        status = settings->admit(settings->ctx, &connection->exchange->request, &body_max);
    bool too_long = head->chunked ? body_max == 0
                                  : head->content_length > 0 &&
                                        (uint64_t)head->content_length > body_max;
    *ret_body_max = body_max;
    if (status)
        *refusal = (struct http_refusal){ status, "refused" };
    else if (too_long && !body_max && body_is_unusual(head->method))
        *refusal = (struct http_refusal){ 400, "body not allowed with this method" };
    else if (too_long)
        *refusal = (struct http_refusal){ 413, "body too long" };
    return refusal->status;
}

static void exchange_handle(struct http_connection *connection)
{
    struct http_exchange *exchange = connection->exchange;
    struct http_server *server = connection->server;

    http_body_done(&exchange->frame);
    exchange->request.body = buf_str(&exchange->body);
    connection->state = CONNECTION_EXCHANGE;
    http_wait(connection, HTTP_WAIT_NONE);
    server->counters.requests++;
    server->settings.handle(server->settings.ctx, exchange, &exchange->request);
}

static void continue_send(struct http_connection *connection)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec part = { text, sizeof text - 1 };

    http_connection_write(connection, &part, 1);
}

static void exchange_begin(struct http_connection *connection, const struct http_head *head)
{
    struct http_exchange *exchange = connection->exchange;
    bool has_body = head->chunked || head->content_length > 0;
    struct http_refusal refusal = { 0 };
    uint64_t body_max;

    if (admit(connection, head, &body_max, &refusal)) {
        refuse(connection, &refusal, has_body);
        return;
    }
    http_body_init(&exchange->frame, head, body_max);
    if (exchange->frame.state == BODY_DONE) {
        exchange_handle(connection);
        return;
    }
    connection->state = CONNECTION_BODY;
    buf_init(&exchange->body, (size_t)body_max);
    if (head->expects_continue)
        continue_send(connection);
}

/* Returns the bytes used: the head, or 0 while it is not complete or was refused. */
static size_t head_feed(struct http_connection *connection, struct str bytes)
{
    struct http_refusal refusal = { 0 };
    struct http_head head;

    if (!bytes.size)
        return 0;
    ptrdiff_t size = http_head_scan(&connection->scan, bytes, &connection->server->head_limits,
                                    &refusal);
    if (size < 0)
        refuse_bad(connection, &refusal);
    if (size <= 0)
        return 0;
    struct http_exchange *exchange = http_exchange_new(connection->server);
    struct str text = { arena_copy(exchange->arena, bytes.bytes, (size_t)size), (size_t)size };
    connection->scan = (struct http_head_scan){ 0 };
    connection->fresh = false;
    if (http_head_parse(text, exchange->arena, &head, &refusal) < 0) {
        http_exchange_free(exchange);
        refuse_bad(connection, &refusal);
        return 0;
    }
    exchange_attach(connection, exchange, &head);
    exchange_begin(connection, &head);
    return (size_t)size;
}

static size_t body_feed(struct http_connection *connection, struct str bytes)
{
    static const struct http_refusal full = { 503, "too many bodies at once" };
    struct http_exchange *exchange = connection->exchange;
    struct http_server *server = connection->server;
    struct http_refusal refusal;
    struct str data;
    size_t used = 0;

    if (http_body_feed(&exchange->frame, bytes, &used, &data, &refusal) < 0) {
        refuse_bad(connection, &refusal);
        return 0;
    }
    if (data.size > server->settings.limits.bodies_max - server->bodies_size) {
        refuse(connection, &full, true);
        return 0;
    }
    server->bodies_size += data.size;
    buf_add(&exchange->body, data.bytes, data.size);
    if (exchange->frame.state == BODY_DONE)
        exchange_handle(connection);
    return used;
}

/* Works on bytes while the state asks for input; returns how many were used. */
static size_t feed(struct http_connection *connection, struct str bytes)
{
    size_t total = 0, used;

    do {
        struct str rest = { bytes.bytes + total, bytes.size - total };
        used = 0;
        if (connection->closed || connection->broken)
            break;
        if (connection->state == CONNECTION_HEAD && !connection->out.size)
            used = head_feed(connection, rest);
        else if (connection->state == CONNECTION_BODY)
            used = body_feed(connection, rest);
        total += used;
    } while (used);
    return total;
}

/* New bytes (maybe none) behind those kept from before. */
static void input(struct http_connection *connection, struct str bytes)
{
    if (!connection->in.size) {
        size_t used = feed(connection, bytes);
        buf_add(&connection->in, bytes.bytes + used, bytes.size - used);
        return;
    }
    buf_add(&connection->in, bytes.bytes, bytes.size);
    buf_consume(&connection->in, feed(connection, buf_str(&connection->in)));
    if (!connection->in.size)
        buf_done(&connection->in); /* idle connections hold no memory */
}

/* --- events --------------------------------------------------------------------------------- */

/* One piece from the peer. false: nothing more to read now. */
static bool read_piece(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    ssize_t n = http_transport_read(connection, server->scratch, HTTP_SCRATCH_SIZE);

    if (n == TRANSPORT_AGAIN)
        return false;
    if (n <= 0) {
        connection->eof = true;
        connection->broken = n < 0;
        if (connection->exchange && connection->exchange->streaming)
            connection->broken = true; /* who ends a stream's connection wants no more of it */
        return false;
    }
    server->counters.bytes_in += (uint64_t)n;
    if (connection->state == CONNECTION_LINGER) {
        connection->lingered += (size_t)n;
        connection->eof = connection->lingered > HTTP_LINGER_MAX;
        return false;
    }
    input(connection, (struct str){ server->scratch, (size_t)n });
    return connection->tls && SSL_has_pending(connection->tls);
}

static void on_readable(evutil_socket_t fd, short events, void *ctx)
{
    struct http_connection *connection = ctx;

    (void)fd;
    (void)events;
    connection->feeding = true;
    if (connection->in.size) /* requests that came ahead */
        input(connection, (struct str){ "", 0 });
    while (!connection->closed && !connection->broken && wants_read(connection))
        if (!read_piece(connection))
            break;
    connection->feeding = false;
    if (connection->state == CONNECTION_LINGER && connection->eof)
        connection->broken = true;
    settle(connection);
}

/* The queue has gone out: who waited for that goes on. */
static void on_flushed(struct http_connection *connection)
{
    struct http_exchange *exchange = connection->exchange;

    if (connection->out.capacity > 4096)
        buf_done(&connection->out);
    if (connection->state == CONNECTION_HEAD && connection->in.size)
        event_active(&connection->read_event, EV_READ, 0);
    if (connection->state == CONNECTION_EXCHANGE && exchange && exchange->on_drained)
        exchange->on_drained(exchange->on_drained_ctx);
}

static void on_writable(evutil_socket_t fd, short events, void *ctx)
{
    struct http_connection *connection = ctx;
    struct iovec part = { connection->out.bytes, connection->out.size };

    if (connection->tls_wants_write && !connection->out.size) {
        on_readable(fd, events, ctx); /* the handshake goes on */
        return;
    }
    ssize_t n = connection->out.size ? http_transport_write(connection, &part, 1) : 0;
    connection->feeding = true;
    if (n == TRANSPORT_FAILED) {
        connection->broken = true;
    } else if (n > 0) {
        connection->server->counters.bytes_out += (uint64_t)n;
        buf_consume(&connection->out, (size_t)n);
        http_wait(connection, HTTP_WAIT_WRITE); /* the peer reads: a new deadline */
        if (!connection->out.size)
            on_flushed(connection);
    }
    connection->feeding = false;
    settle(connection);
}

void http_connection_expired(struct http_connection *connection)
{
    static const struct http_refusal late = { 408, "request took too long" };
    bool begun = connection->in.size || connection->state == CONNECTION_BODY;

    if (begun && (connection->wait_kind == HTTP_WAIT_HEAD ||
                  connection->wait_kind == HTTP_WAIT_BODY))
        refuse(connection, &late, true);
    else
        http_connection_close(connection);
}

/* --- output --------------------------------------------------------------------------------- */

static void queue(struct http_connection *connection, const struct iovec *parts, int part_count,
                  size_t skip)
{
    for (int i = 0; i < part_count; i++) {
        size_t passed = skip < parts[i].iov_len ? skip : parts[i].iov_len;
        buf_add(&connection->out, (const char *)parts[i].iov_base + passed,
                parts[i].iov_len - passed);
        skip -= passed;
    }
}

void http_connection_write(struct http_connection *connection, const struct iovec *parts,
                           int part_count)
{
    ssize_t n = 0;

    if (connection->closed || connection->broken)
        return;
    if (!connection->out.size)
        n = http_transport_write(connection, parts, part_count);
    if (n == TRANSPORT_FAILED) {
        connection->broken = true;
        event_active(&connection->read_event, EV_READ, 0);
        return;
    }
    n = n > 0 ? n : 0;
    connection->server->counters.bytes_out += (uint64_t)n;
    queue(connection, parts, part_count, (size_t)n);
    if (connection->out.size)
        settle(connection);
}

void http_connection_answered(struct http_connection *connection, bool keep_alive)
{
    connection->exchange = NULL;
    if (!keep_alive || connection->broken) {
        connection->state = CONNECTION_FLUSH;
        connection->unread = connection->unread || connection->in.size;
    } else {
        connection->state = CONNECTION_HEAD;
        if (!connection->feeding && connection->in.size)
            event_active(&connection->read_event, EV_READ, 0);
    }
    settle(connection);
}
