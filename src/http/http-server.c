#include "http/http-server-private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* --- time-outs ------------------------------------------------------------------------------ */

static void timer_arm(struct http_server *server, int64_t at_ms, int64_t now_ms)
{
    int64_t left = at_ms > now_ms ? at_ms - now_ms : 0;
    struct timeval delay = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };

    server->timer_at = at_ms;
    event_add(&server->timer_event, &delay);
}

void http_wait(struct http_connection *connection, enum http_timeout kind)
{
    struct http_server *server = connection->server;

    list_remove(&connection->wait);
    connection->wait_kind = kind;
    if (kind == HTTP_WAIT_NONE)
        return;
    int64_t now_ms = clock_mono_ms();
    connection->deadline_ms = now_ms + server->wait_ms[kind];
    list_add_tail(&server->waits[kind], &connection->wait);
    if (connection->deadline_ms < server->timer_at)
        timer_arm(server, connection->deadline_ms, now_ms);
}

static struct http_connection *wait_first(struct http_server *server, enum http_timeout kind)
{
    struct list *head = &server->waits[kind];

    return list_empty(head) ? NULL : CONTAINER_OF(head->next, struct http_connection, wait);
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
    struct http_server *server = ctx;
    int64_t now_ms = clock_mono_ms(), next_ms = INT64_MAX;
    struct http_connection *first;

    (void)fd;
    (void)events;
    server->timer_at = INT64_MAX;
    for (int kind = 0; kind < HTTP_WAIT_COUNT; kind++) {
        while ((first = wait_first(server, kind)) && first->deadline_ms <= now_ms)
            http_connection_expired(first);
        if (first && first->deadline_ms < next_ms)
            next_ms = first->deadline_ms;
    }
    if (next_ms < server->timer_at)
        timer_arm(server, next_ms, now_ms);
}

/* "Wed, 25 Nov 2026 01:30:00 GMT"; made once a second. */
const char *http_server_date(struct http_server *server)
{
    static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    if (now == server->date_s || !gmtime_r(&now, &tm))
        return server->date;
    server->date_s = now;
    snprintf(server->date, sizeof server->date, "%s, %02d %s %04d %02d:%02d:%02d GMT",
             days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
             tm.tm_min, tm.tm_sec);
    return server->date;
}

/* --- how many -------------------------------------------------------------------------------- */

static struct address site_of(const struct sockaddr *peer)
{
    struct address address = { { [10] = 0xff, [11] = 0xff } };

    if (peer->sa_family == AF_INET)
        memcpy(address.bytes + 12, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    else
        memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
    return address_site(&address);
}

static const char *site_key(const struct address *site, char key[33])
{
    for (size_t i = 0; i < 16; i++)
        snprintf(key + 2 * i, 3, "%02x", site->bytes[i]);
    return key;
}

/* Adds change to the connections of a site; returns what it was. */
static uintptr_t site_count(struct http_server *server, const struct address *site, int change)
{
    char key[33];
    uintptr_t count = (uintptr_t)map_get_text(&server->addresses, site_key(site, key));
    uintptr_t after = count + (uintptr_t)change;

    if (change && after)
        map_put_text(&server->addresses, key, (void *)after);
    else if (change)
        map_remove_text(&server->addresses, key);
    return count;
}

static void drained_check(struct http_server *server)
{
    void (*drained)(void *) = server->drained;

    if (!server->draining || !drained || server->counters.connections)
        return;
    server->drained = NULL;
    event_del(&server->drain_event);
    drained(server->drained_ctx);
}

void http_server_connection_closed(struct http_connection *connection)
{
    struct http_server *server = connection->server;

    list_remove(&connection->all);
    list_remove(&connection->wait);
    site_count(server, &connection->site, -1);
    server->counters.connections--;
    if (server->draining) /* not from below a handler: the owner may free the server in done */
        event_active(&server->drain_event, 0, 0);
}

/* --- accepting ------------------------------------------------------------------------------- */

/*
 * No descriptor is free: the spare one lets us take the connection and close it, for it would
 * otherwise stay in the queue and wake the loop for ever. false: none was waiting (the kernel asks
 * for a descriptor before it looks).
 */
static bool accept_and_drop(struct http_server *server)
{
    int64_t now_ms = clock_mono_ms();

    close(server->reserve_fd);
    int fd = accept(server->listen_fd, NULL, NULL);
    if (fd >= 0)
        close(fd);
    server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && now_ms >= server->drop_warn_ms) {
        server->drop_warn_ms = now_ms + 1000; /* a line a second says it as well as thousands */
        LOG_WARN("no free file descriptor: connections are dropped", "listen",
                 server->settings.listen);
    }
    return fd >= 0;
}

static void refuse_connection(struct http_server *server, int fd)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                                 "Retry-After: 1\r\nConnection: close\r\n\r\n";

    if (!server->tls) {
        ssize_t sent = send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)sent; /* a courtesy */
    }
    close(fd);
}

static void peer_print(const struct sockaddr *peer, char text[64])
{
    const void *bytes = peer->sa_family == AF_INET
        ? (const void *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr
        : (const void *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;

    if (!inet_ntop(peer->sa_family, bytes, text, 64))
        snprintf(text, 64, "?");
    if (strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.'))
        memmove(text, text + 7, strlen(text + 7) + 1);
}

static void connection_take(struct http_server *server, int fd, const struct sockaddr *peer)
{
    const struct http_limits *limits = &server->settings.limits;
    struct address site = site_of(peer);
    char text[64];
    int on = 1;

    server->counters.connections_total++;
    if (server->counters.connections >= limits->connections_max ||
        site_count(server, &site, 0) >= limits->connections_per_address_max) {
        refuse_connection(server, fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on); /* peers that vanish while waiting */
    peer_print(peer, text);
    server->counters.connections++;
    site_count(server, &site, 1);
    struct http_connection *connection = http_connection_new(server, fd, text, site);
    list_add_tail(&server->connections, &connection->all);
}

static void on_accept(evutil_socket_t listen_fd, short events, void *ctx)
{
    enum { ACCEPTS_MAX = 64 }; /* then others have their turn */
    struct http_server *server = ctx;
    struct sockaddr_storage peer;

    (void)events;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        socklen_t size = sizeof peer;
        int fd = accept4(listen_fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            connection_take(server, fd, (struct sockaddr *)&peer);
        } else if (errno == EMFILE || errno == ENFILE) {
            if (!accept_and_drop(server))
                return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return; /* EAGAIN, or out of kernel memory: the loop will be back */
        }
    }
}

/* --- starting -------------------------------------------------------------------------------- */

static void limit_default_size(size_t *value, size_t normal)
{
    *value = *value ? *value : normal;
}

static void limit_default(unsigned *value, unsigned normal)
{
    *value = *value ? *value : normal;
}

static void limits_fill(struct http_server *server)
{
    struct http_limits *limits = &server->settings.limits;

    limit_default_size(&limits->line_max, 8 * 1024);
    limit_default_size(&limits->head_max, 32 * 1024);
    limit_default_size(&limits->body_max, 1024 * 1024);
    limit_default_size(&limits->bodies_max, 128 * 1024 * 1024);
    limit_default(&limits->header_count_max, 100);
    limit_default(&limits->connections_max, 4096);
    limit_default(&limits->connections_per_address_max, 1024);
    server->wait_ms[HTTP_WAIT_HEAD] = limits->head_timeout_ms ? limits->head_timeout_ms : 10000;
    server->wait_ms[HTTP_WAIT_BODY] = limits->body_timeout_ms ? limits->body_timeout_ms : 30000;
    server->wait_ms[HTTP_WAIT_IDLE] = limits->idle_timeout_ms ? limits->idle_timeout_ms : 60000;
    server->wait_ms[HTTP_WAIT_WRITE] = limits->write_timeout_ms ? limits->write_timeout_ms : 30000;
    server->wait_ms[HTTP_WAIT_LINGER] = HTTP_LINGER_MS;
    server->head_limits = (struct http_head_limits){
        .line_max = limits->line_max < limits->head_max ? limits->line_max : limits->head_max,
        .head_max = limits->head_max,
        .header_count_max = limits->header_count_max,
    };
}

static int listen_failed(const char *listen, struct error *err)
{
    if (errno == EADDRINUSE)
        return error_set(err, ERR_CONFLICT, "port is in use: %s", listen);
    if (errno == EACCES)
        return error_set(err, ERR_FORBIDDEN, "no permission to listen on %s", listen);
    if (errno == EADDRNOTAVAIL)
        return error_set(err, ERR_INVALID, "not an address of this machine: %s", listen);
    return error_set(err, ERR_IO, "cannot listen on %s: %s", listen, strerror(errno));
}

static int socket_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -1;
    return bind(fd, address, size) < 0 || listen(fd, 4096) < 0 ? -1 : 0;
}

static unsigned socket_port(int fd)
{
    struct sockaddr_storage own;
    socklen_t size = sizeof own;

    if (getsockname(fd, (struct sockaddr *)&own, &size) < 0)
        return 0;
    return ntohs(own.ss_family == AF_INET ? ((struct sockaddr_in *)&own)->sin_port
                                          : ((struct sockaddr_in6 *)&own)->sin6_port);
}

/* "127.0.0.1:8680", "[::1]:0" into address; its size, or 0. */
static socklen_t listen_parse(struct str listen, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    const char *colon = listen.size ? memrchr(listen.bytes, ':', listen.size) : NULL;
    size_t size = colon ? (size_t)(colon - listen.bytes) : 0;
    char host[64];
    int64_t port;

    if (!size || size >= sizeof host ||
        !number_parse((struct str){ colon + 1, listen.size - size - 1 }, 0, 65535, &port))
        return 0;
    *address = (struct sockaddr_storage){ 0 };
    bool brackets = listen.bytes[0] == '[' && listen.bytes[size - 1] == ']';
    size_t text_size = brackets ? size - 2 : size;
    memcpy(host, listen.bytes + brackets, text_size);
    host[text_size] = '\0';
    if (!brackets && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return sizeof *v4;
    }
    if (!brackets || inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
        return 0;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return sizeof *v6;
}

static int server_listen(struct http_server *server, struct error *err)
{
    const char *listen = server->settings.listen;
    struct sockaddr_storage address;
    socklen_t size = listen_parse(str_of(listen), &address);

    if (!size)
        return error_set(err, ERR_INVALID, "not an address and port: %s", listen);
    server->listen_fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listen_fd < 0 ||
        socket_bind(server->listen_fd, (struct sockaddr *)&address, size) < 0)
        return listen_failed(listen, err);
    server->port = socket_port(server->listen_fd);
    return 0;
}

static void on_drain_timer(evutil_socket_t fd, short events, void *ctx);

static void events_init(struct http_server *server)
{
    event_assign(&server->timer_event, server->base, -1, 0, on_timer, server);
    event_assign(&server->drain_event, server->base, -1, 0, on_drain_timer, server);
    event_assign(&server->listen_event, server->base, server->listen_fd, EV_READ | EV_PERSIST,
                 on_accept, server);
}

int http_server_new(struct event_base *base, const struct http_server_settings *settings,
                    struct http_server **ret_server, struct error *err)
{
    struct http_server *server = memory_alloc(sizeof *server);

    *server = (struct http_server){ .base = base, .settings = *settings, .listen_fd = -1,
                                    .reserve_fd = -1, .timer_at = INT64_MAX };
    server->settings.listen = memory_strdup(settings->listen);
    limits_fill(server);
    list_init(&server->connections);
    list_init(&server->spares);
    list_init(&server->orphans);
    for (int i = 0; i < HTTP_WAIT_COUNT; i++)
        list_init(&server->waits[i]);
    map_init(&server->addresses);
    buf_init(&server->head_buf, 64 * 1024);
    server->scratch = memory_alloc(HTTP_SCRATCH_SIZE);
    events_init(server);
    if ((settings->tls_certificate &&
         http_tls_context_new(settings->tls_certificate, settings->tls_key, &server->tls, err) < 0) ||
        server_listen(server, err) < 0) {
        http_server_free(&server);
        return -1;
    }
    server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    events_init(server);
    event_add(&server->listen_event, NULL);
    *ret_server = server;
    return 0;
}

unsigned http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_counters(const struct http_server *server, struct http_server_counters *ret)
{
    *ret = server->counters;
}

/* --- ending ---------------------------------------------------------------------------------- */

static void listener_close(struct http_server *server)
{
    event_del(&server->listen_event);
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    server->listen_fd = -1;
}

/* Nobody is told about an idle connection, so nothing else changes below our feet. */
static void connections_close_idle(struct http_server *server)
{
    LIST_EACH_SAFE(&server->connections, node) {
        struct http_connection *connection = CONTAINER_OF(node, struct http_connection, all);
        if (http_connection_is_idle(connection))
            http_connection_close(connection);
    }
}

static void connections_close(struct http_server *server)
{
    while (!list_empty(&server->connections))
        http_connection_close(
            CONTAINER_OF(server->connections.next, struct http_connection, all));
}

/* Runs when the last connection closes (no events), and at the deadline. */
static void on_drain_timer(evutil_socket_t fd, short events, void *ctx)
{
    struct http_server *server = ctx;

    (void)fd;
    if (events & EV_TIMEOUT)
        connections_close(server);
    drained_check(server);
}

void http_server_drain(struct http_server *server, int timeout_ms, void (*done)(void *), void *ctx)
{
    struct timeval delay = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };

    server->draining = true;
    server->drained = done;
    server->drained_ctx = ctx;
    listener_close(server);
    event_add(&server->drain_event, &delay);
    connections_close_idle(server);
    if (!server->counters.connections)
        event_active(&server->drain_event, 0, 0);
}

/* Those still to be answered outlive the server. */
static void exchanges_let_go(struct http_server *server)
{
    LIST_EACH_SAFE(&server->orphans, orphan) {
        struct http_exchange *exchange = CONTAINER_OF(orphan, struct http_exchange, node);
        list_remove(orphan);
        exchange->server = NULL;
        exchange->on_end = NULL; /* who listened goes with the server */
    }
    LIST_EACH_SAFE(&server->spares, spare) {
        struct http_exchange *exchange = CONTAINER_OF(spare, struct http_exchange, node);
        list_remove(spare);
        exchange->server = NULL;
        http_exchange_free(exchange);
    }
}

void http_server_free(struct http_server **server_place)
{
    struct http_server *server = TAKE(*server_place);

    if (!server)
        return;
    server->drained = NULL;
    listener_close(server);
    connections_close(server);
    assert(!server->counters.connections);
    exchanges_let_go(server);
    event_del(&server->timer_event);
    event_del(&server->drain_event);
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    SSL_CTX_free(server->tls);
    map_done(&server->addresses);
    buf_done(&server->head_buf);
    free(server->scratch);
    char *listen = (char *)(uintptr_t)server->settings.listen;
    free(listen);
    free(server);
}
