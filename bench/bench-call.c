/*
 * What a call between services costs, in CPU time of both sides together (one thread plays both, so
 * a busy machine changes little): in one process; to another process over loopback, signed; and, as
 * the baseline of the same run, a bare HTTP request and answer by the same client and server.
 */
#include "service/service-private.h"

#include "base/clock.h"
#include "base/memory.h"

#include <event2/event.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOCAL_CALLS = 200000, REMOTE_CALLS = 20000, SIGNATURES = 20000, IN_FLIGHT = 64 };

struct number {
    int64_t value;
};
static const struct json_member number_members[] = {
    { .name = "value", .type = JSON_INT, .offset = offsetof(struct number, value) },
    { 0 },
};
static const struct json_table number_table = { "Number", sizeof(struct number), number_members };
static const struct call_type type = {
    .service = "job-admin", .name = "double", .request = &number_table, .answer = &number_table
};

static void on_double(struct call *call)
{
    const struct number *number = call_request(call);

    call_answer(call, &(struct number){ number->value * 2 });
}

static const struct call_handler calls[] = { { .type = &type, .handle = on_double }, { 0 } };
static const struct service job_admin = { .name = "job-admin", .calls = calls };
static const struct service gateway = { .name = "gateway" };
static const struct service *const all[] = { &job_admin, &gateway };

static struct frame *server, *client;

static void find(struct node *node, const char *name,
                 void (*done)(void *ctx, const unsigned char *public_key, const struct error *err),
                 void *ctx)
{
    (void)node;
    (void)name;
    done(ctx, node_public_key(&client->node), NULL);
}

static void enrol(struct node *node, void (*done)(void *ctx, const struct error *err), void *ctx)
{
    (void)node;
    (void)done;
    (void)ctx;
}

static const struct node_hooks hooks = { .enrol = enrol, .find = find };

static void fail(const struct error *err)
{
    fprintf(stderr, "bench-call: %s\n", error_english(err));
    exit(1);
}

static struct frame *frame_make(const char *name, const struct service *const *run,
                                const char *registry)
{
    struct service_setup *setup = memory_alloc(sizeof *setup);
    struct arena *arena = arena_new();
    char dir[] = "/tmp/belfry-bench-XXXXXX";
    struct config *config;
    struct frame *frame;
    struct error err;
    int exit_code;

    if (!mkdtemp(dir))
        exit(1);
    const char *environment[] = { arena_printf(arena, "BELFRY_DATA=%s", dir),
                                  arena_printf(arena, "BELFRY_NODE_NAME=%s", name),
                                  "BELFRY_INTERNAL_LISTEN=127.0.0.1:0",
                                  "BELFRY_CLUSTER_JOIN_KEY=0123456789abcdef0123456789abcdef",
                                  arena_printf(arena, "BELFRY_REGISTRY_JOB_ADMIN=%s", registry),
                                  NULL };
    if (config_read(NULL, STR(""), environment, &config, &err) < 0)
        fail(&err);
    *setup = (struct service_setup){ run, 1, all, 2, config, NULL, &hooks };
    if (frame_new(setup, &frame, &exit_code, &err) < 0 || internal_open(frame, &err) < 0)
        fail(&err);
    frame->running[0].started = true;
    arena_free(&arena);
    return frame;
}

static void frame_end(struct frame *frame)
{
    char path[300];

    for (const char *const *name = (const char *const[]){ "lock", "node.key", "", NULL }; *name;
         name++) {
        snprintf(path, sizeof path, "%s/%s", frame->node.data_dir, *name);
        if (remove(path) < 0)
            fprintf(stderr, "bench-call: %s stays behind\n", path);
    }
}

/* --- measuring ---------------------------------------------------------------------------------
 */

static double cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int under_way, ended;
static const struct number question = { 21 };

static void on_done(void *ctx, const void *answer, bool sent, const struct error *err)
{
    (void)ctx;
    (void)sent;
    if (err)
        fail(err);
    if (((const struct number *)answer)->value != 42)
        exit(1);
    under_way--;
    ended++;
}

static void turn(void)
{
    event_base_loop(client->node.base, EVLOOP_NONBLOCK);
    if (server != client)
        event_base_loop(server->node.base, EVLOOP_NONBLOCK);
}

static double calls_measure(struct frame *from, int count)
{
    double begin = cpu_us();

    for (ended = 0; ended < count; event_base_loop(from->node.base, EVLOOP_NONBLOCK), turn())
        for (; under_way < IN_FLIGHT; under_way++)
            call_send(&from->node, &type, NULL, &question, on_done, NULL);
    while (under_way > 0) {
        event_base_loop(from->node.base, EVLOOP_NONBLOCK);
        turn();
    }
    return (cpu_us() - begin) / ended;
}

static void on_bare(void *ctx, struct http_exchange *exchange, const struct http_request *http)
{
    (void)ctx;
    (void)http;
    http_answer(exchange, 200, "application/json", STR("{\"value\":42}"));
}

static void on_bare_done(void *ctx, const struct http_call_result *result)
{
    (void)ctx;
    if (result->status != 200)
        exit(1);
    under_way--;
    ended++;
}

static double bare_measure(int count)
{
    struct http_server_settings settings = { .listen = "127.0.0.1:0", .handle = on_bare };
    struct http_server *listener;
    struct error err;
    char url[80];

    if (http_server_new(server->node.base, &settings, &listener, &err) < 0)
        fail(&err);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/internal/v1/job-admin/double",
             http_server_port(listener));
    const struct http_call_request request = {
        .method = "POST", .url = url, .body = STR("{\"value\":21}"), .response_max = 1000
    };
    double begin = cpu_us();
    for (ended = 0; ended < count; turn())
        for (; under_way < IN_FLIGHT; under_way++)
            http_call_start(client->node.http, &request, on_bare_done, NULL);
    while (under_way > 0)
        turn();
    double each = (cpu_us() - begin) / ended;
    http_server_free(&listener);
    return each;
}

static void signatures_measure(double *ret_sign, double *ret_verify)
{
    char audience[] = "job-admin", method[] = "POST", target[] = "/internal/v1/job-admin/double";
    const struct claims claims = { .audience = audience, .method = method, .target = target };
    const unsigned char *key = node_public_key(&client->node);
    struct arena *arena = arena_new();
    char *header = NULL;
    struct claims *back;
    struct error err;

    double begin = cpu_us();
    for (int i = 0; i < SIGNATURES; i++) {
        arena_reset(arena);
        header = identity_sign(client->identity, &claims, STR("{\"value\":21}"), 1, arena);
    }
    *ret_sign = (cpu_us() - begin) / SIGNATURES;
    char *kept = memory_strdup(header);
    begin = cpu_us();
    for (int i = 0; i < SIGNATURES; i++) {
        arena_reset(arena);
        if (identity_read(str_of(kept), arena, &back, &err) < 0 ||
            !identity_signed_by(str_of(kept), key) ||
            identity_check(back, audience, method, str_of(target), STR("{\"value\":21}"), 1, &err) <
                0)
            fail(&err);
    }
    *ret_verify = (cpu_us() - begin) / SIGNATURES;
    free(kept);
    arena_free(&arena);
}

int main(void)
{
    double sign, verify;

    if (sodium_init() < 0)
        return 1;
    server = frame_make("server", &all[0], "http://127.0.0.1:1");
    client = frame_make("client", &all[1], server->node.url);
    double local = calls_measure(server, LOCAL_CALLS);
    double bare = bare_measure(REMOTE_CALLS);
    double remote = calls_measure(client, REMOTE_CALLS);
    signatures_measure(&sign, &verify);
    printf("call in one process          %8.2f us\n", local);
    printf("bare HTTP over loopback      %8.2f us\n", bare);
    printf("call over loopback, signed   %8.2f us   %.2f x bare, %.0f x in one process\n", remote,
           remote / bare, remote / local);
    printf("  of these: sign             %8.2f us\n", sign);
    printf("            verify           %8.2f us\n", verify);
    frame_end(client);
    frame_end(server);
    return 0;
}
