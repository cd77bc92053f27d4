#include "service/service-private.h"

#include "base/log.h"
#include "http/egress.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Prometheus text format 0.0.4 on a port of its own. Names begin with belfry_. */
enum { METRICS_MAX = 8 * 1024 * 1024, PORT_OFFSET = 100 };

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* --- process --------------------------------------------------------------------------------- */

static int64_t resident_bytes(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    struct str rest, part;
    int64_t pages = 0;

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    rest = (struct str){ text, (size_t)n };
    for (int i = 0; i < 2; i++)
        if (!str_split(&rest, ' ', &part))
            return 0;
    return number_parse(part, 0, INT64_MAX / 65536, &pages) ? pages * sysconf(_SC_PAGESIZE) : 0;
}

static int64_t entries_of(const char *path)
{
    DIR *dir = opendir(path);
    int64_t count = 0;

    if (!dir)
        return 0;
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void process_write(const struct frame *frame, struct buf *out)
{
    head(out, "belfry_info", "gauge", "Always 1; the node and this start of it.");
    buf_printf(out, "belfry_info{node=\"%s\",incarnation=\"%s\"} 1\n", frame->node.name,
               frame->node.incarnation);
    head(out, "belfry_start_time_seconds", "gauge", "When the process started, Unix time.");
    buf_printf(out, "belfry_start_time_seconds %.3f\n", (double)frame->node.started_ms / 1000);
    head(out, "belfry_process_resident_bytes", "gauge", "Memory of the process in RAM.");
    buf_printf(out, "belfry_process_resident_bytes %lld\n", (long long)resident_bytes());
    head(out, "belfry_process_open_fds", "gauge", "Open file descriptors.");
    buf_printf(out, "belfry_process_open_fds %lld\n",
               (long long)entries_of("/proc/self/fd") - 1); /* but the one that counts */
    head(out, "belfry_process_threads", "gauge", "Threads.");
    buf_printf(out, "belfry_process_threads %lld\n", (long long)entries_of("/proc/self/task"));
    head(out, "belfry_draining", "gauge", "1 while the process is stopping.");
    buf_printf(out, "belfry_draining %d\n", frame->node.draining);
}

/* --- store ----------------------------------------------------------------------------------- */

struct db_row {
    const char *name, *type, *help;
    size_t offset; /* of a uint64_t in struct db_statistics */
};

static const struct db_row db_rows[] = {
    { "belfry_store_committed_total", "counter", "Transactions committed.",
      offsetof(struct db_statistics, committed) },
    { "belfry_store_failed_total", "counter", "Transactions rolled back by an error.",
      offsetof(struct db_statistics, failed) },
    { "belfry_store_conflicts_total", "counter", "Transactions that lost a compare-and-swap.",
      offsetof(struct db_statistics, conflicts) },
    { "belfry_store_not_applied_total", "counter", "Transactions the store did not take.",
      offsetof(struct db_statistics, not_applied) },
    { "belfry_store_unknown_total", "counter", "Commits whose answer was lost.",
      offsetof(struct db_statistics, unknown) },
    { "belfry_store_retries_total", "counter",
      "Transactions run again after a deadlock or a lost "
      "connection.",
      offsetof(struct db_statistics, retries) },
    { "belfry_store_groups_total", "counter", "Commits; several transactions may share one.",
      offsetof(struct db_statistics, groups) },
    { "belfry_store_waiting", "gauge", "Transactions waiting for a worker.",
      offsetof(struct db_statistics, waiting) },
    { "belfry_store_connected", "gauge", "Sessions that stand.",
      offsetof(struct db_statistics, connected) },
    { "belfry_store_commit_microseconds_total", "counter", "Time spent in commits.",
      offsetof(struct db_statistics, commit_us_total) },
    { "belfry_store_commit_microseconds_max", "gauge", "Longest commit so far.",
      offsetof(struct db_statistics, commit_us_max) },
};

static uint64_t counter(const struct db_statistics *statistics, size_t offset)
{
    uint64_t value;

    memcpy(&value, (const char *)statistics + offset, sizeof value);
    return value;
}

static void store_write(const struct frame *frame, struct buf *out)
{
    static const char *const pools[DB_POOL_COUNT] = { "schedule", "api", "log" };
    struct db_statistics statistics[DB_POOL_COUNT];

    if (!frame->node.db)
        return;
    for (int pool = 0; pool < DB_POOL_COUNT; pool++)
        db_statistics(frame->node.db, (enum db_pool)pool, &statistics[pool]);
    for (size_t i = 0; i < sizeof db_rows / sizeof *db_rows; i++) {
        head(out, db_rows[i].name, db_rows[i].type, db_rows[i].help);
        for (int pool = 0; pool < DB_POOL_COUNT; pool++)
            buf_printf(out, "%s{pool=\"%s\"} %llu\n", db_rows[i].name, pools[pool],
                       (unsigned long long)counter(&statistics[pool], db_rows[i].offset));
    }
    head(out, "belfry_store_clock_offset_milliseconds", "gauge",
         "Clock of the database minus ours.");
    buf_printf(out, "belfry_store_clock_offset_milliseconds %lld\n",
               (long long)db_clock_offset_ms(frame->node.db));
}

/* --- HTTP ------------------------------------------------------------------------------------ */

void metrics_http_write(const char *listener, const struct http_server *server, struct buf *out)
{
    struct http_server_counters c;

    http_server_counters(server, &c);
    buf_printf(
        out,
        "belfry_http_requests_total{listener=\"%s\"} %llu\n"
        "belfry_http_bad_requests_total{listener=\"%s\"} %llu\n"
        "belfry_http_connections_total{listener=\"%s\"} %llu\n"
        "belfry_http_received_bytes_total{listener=\"%s\"} %llu\n"
        "belfry_http_sent_bytes_total{listener=\"%s\"} %llu\n"
        "belfry_http_connections{listener=\"%s\"} %u\n"
        "belfry_http_exchanges{listener=\"%s\"} %u\n",
        listener, (unsigned long long)c.requests, listener, (unsigned long long)c.bad_requests,
        listener, (unsigned long long)c.connections_total, listener, (unsigned long long)c.bytes_in,
        listener, (unsigned long long)c.bytes_out, listener, c.connections, listener, c.exchanges);
}

/* --- all ------------------------------------------------------------------------------------- */

static void metrics_write(struct frame *frame, struct buf *out)
{
    process_write(frame, out);
    store_write(frame, out);
    if (frame->internal)
        metrics_http_write("internal", frame->internal, out);
    metrics_http_write("metrics", frame->metrics, out);
    for (size_t i = 0; i < frame->running_count; i++) {
        const struct running *running = &frame->running[i];
        if (running->started && running->service->metrics)
            running->service->metrics(running->state, out);
    }
}

static void on_request(void *ctx, struct http_exchange *exchange, const struct http_request *http)
{
    struct frame *frame = ctx;
    struct buf out;

    if (node_health_answer(&frame->node, exchange))
        return;
    if (!str_is(http->path, "/metrics") || http->method != HTTP_GET) {
        http_answer(exchange, 404, "text/plain; charset=utf-8", STR("GET /metrics\n"));
        return;
    }
    buf_init(&out, METRICS_MAX);
    metrics_write(frame, &out);
    http_answer(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&out));
    buf_done(&out);
}

/* 8681, or beside the internal listener, so that processes of one machine do not collide. */
static void listen_default(const struct frame *frame, char *text, size_t size)
{
    unsigned port = 8681;

    if (frame->internal && frame->setup->run_count < frame->setup->all_count) {
        port = http_server_port(frame->internal) + PORT_OFFSET;
        if (port > 65535)
            port = 0;
    }
    snprintf(text, size, "127.0.0.1:%u", port);
}

int metrics_open(struct frame *frame, struct error *err)
{
    const char *listen = config_text(frame->node.config, "metrics.listen");
    char fallback[32];
    struct http_server_settings settings = {
        .limits = { .connections_max = 64, .body_max = 1 },
        .handle = on_request,
        .ctx = frame,
    };

    if (listen && strcmp(listen, "off") == 0)
        return 0;
    listen_default(frame, fallback, sizeof fallback);
    settings.listen = listen ? listen : fallback;
    if (http_server_new(frame->node.base, &settings, &frame->metrics, err) < 0)
        return -1;
    egress_own_port(frame->node.egress, (uint16_t)http_server_port(frame->metrics));
    if (!listen_is_loopback(settings.listen))
        LOG_WARN("/metrics answers anybody who reaches it", "listen", settings.listen);
    return 0;
}
