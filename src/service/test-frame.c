#include "service/service-private.h"

#include "base/clock.h"
#include "base/memory.h"
#include "registry/registry.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Two nodes in one process, each with a loop of its own that the test turns by hand: "server" runs
 * the service job-admin behind a real internal listener, "client" runs none and calls it.
 */

/* --- a service ------------------------------------------------------------------------------- */

struct ask {
    char *text;
    int64_t number;
};
struct told {
    char *text;
    int64_t number;
};
/* clang-format off */
static const struct json_table ask_table = {
    "Ask", sizeof(struct ask),
    (const struct json_member[]){
        { .name = "text", .type = JSON_TEXT, .offset = offsetof(struct ask, text) },
        { .name = "number", .type = JSON_INT, .offset = offsetof(struct ask, number) },
        { 0 },
    },
};
static const struct json_table told_table = {
    "Told", sizeof(struct told),
    (const struct json_member[]){
        { .name = "text", .type = JSON_TEXT, .offset = offsetof(struct told, text) },
        { .name = "number", .type = JSON_INT, .offset = offsetof(struct told, number) },
        { 0 },
    },
};

static const struct call_type echo_type = { .service = "job-admin", .name = "echo",
                                            .request = &ask_table, .answer = &told_table };
static const struct call_type fail_type = { .service = "job-admin", .name = "fail",
                                            .request = &ask_table, .answer = &told_table };
static const struct call_type keep_type = { .service = "job-admin", .name = "keep",
                                            .request = &ask_table, .answer = &told_table };
static const struct call_type open_type = { .service = "job-admin", .name = "open",
                                            .request = &ask_table, .answer = &told_table,
                                            .size_max = 1000 };
/* clang-format on */

static bool in_call_send;
static struct call *kept;
static int handled;

static void on_echo(struct call *call)
{
    const struct ask *ask = call_request(call);
    struct told told = { arena_printf(call_arena(call), "%s from %s", ask->text, call_from(call)),
                         ask->number + 1 }; /* on the stack: copied */

    assert_false(in_call_send);
    assert_string_equal(call_state(call), "state");
    handled++;
    call_answer(call, &told);
    told.number = -1;
}

static void on_fail(struct call *call)
{
    struct error err;

    error_set_at(&err, ERR_CONFLICT, "jobs[1].name", "must be a whole number from %lld to %lld",
                 3LL, 5LL);
    error_set_position(&err, 2, 7);
    call_fail(call, &err);
}

static void on_keep(struct call *call)
{
    kept = call;
}

static const struct call_handler calls[] = {
    { .type = &echo_type, .handle = on_echo },
    { .type = &fail_type, .handle = on_fail },
    { .type = &keep_type, .handle = on_keep },
    { .type = &open_type, .handle = on_echo, .why_public = "the test says so" },
    { 0 },
};

static char seen[512];

static void on_job(struct request *request)
{
    const struct principal *p = request->principal;

    snprintf(seen, sizeof seen, "%s %s %s %s id=%s kind=%d role=%d body=%.*s", request->params[0],
             p ? p->name : "-", request->client_address, (const char *)request->state, request->id,
             p ? p->kind : -1, p && p->grant_count ? p->grants[0].role : -1,
             (int)request->http->body.size, request->http->body.bytes);
    request_header(request, "ETag", "\"7\"");
    http_answer(request->exchange, 200, "text/x-test", STR("done"));
}

static struct http_exchange *streaming;

static void on_log(struct request *request)
{
    streaming = request->exchange;
    http_stream_begin(request->exchange, 200, "text/event-stream");
    http_stream_event(request->exchange, "1", NULL, STR("one"));
}

static const struct route routes[] = {
    { .method = HTTP_POST,
      .pattern = "/api/v1/runs/{id}/log",
      .permission = PERM_VIEW,
      .handle = on_log,
      .stream = true },
    { .method = HTTP_POST,
      .pattern = "/api/v1/jobs/{id}/run",
      .permission = PERM_OPERATE,
      .handle = on_job },
    { 0 },
};

static const struct service job_admin = { .name = "job-admin", .routes = routes, .calls = calls };
static const struct service gateway = { .name = "gateway" };
static const struct service *const all[] = { &job_admin, &gateway };

/* --- nodes ----------------------------------------------------------------------------------- */

struct test_node {
    char dir[40];
    struct config *config;
    struct service_setup setup;
    struct frame *frame;
};
static struct test_node server, client;
static bool client_is_known;
static int finds;

struct find {
    void (*done)(void *ctx, const unsigned char *public_key, const struct error *err);
    void *ctx;
    bool known;
};

static void find_answer(void *ctx)
{
    struct find *find = ctx;

    find->done(find->ctx, find->known ? node_public_key(&client.frame->node) : NULL, NULL);
    free(find);
}

/* What auth would say. */
static void hook_find(struct node *node, const char *name,
                      void (*done)(void *ctx, const unsigned char *public_key,
                                   const struct error *err),
                      void *ctx)
{
    struct find *find = memory_alloc(sizeof *find);

    finds++;
    *find = (struct find){ done, ctx, client_is_known && strcmp(name, "client") == 0 };
    node_post(node, find_answer, find);
}

static void hook_enrol(struct node *node, void (*done)(void *ctx, const struct error *err),
                       void *ctx)
{
    (void)node;
    (void)done;
    (void)ctx;
}

static const struct node_hooks hooks = { .enrol = hook_enrol, .find = hook_find };

static void node_make(struct test_node *n, const char *name, const struct service *const *run,
                      const char *registry)
{
    struct arena *arena = arena_new();
    struct error err;
    int exit_code;

    snprintf(n->dir, sizeof n->dir, "/tmp/belfry-frame-XXXXXX");
    assert_non_null(mkdtemp(n->dir));
    const char *environment[] = {
        arena_printf(arena, "BELFRY_DATA=%s", n->dir),
        arena_printf(arena, "BELFRY_NODE_NAME=%s", name),
        "BELFRY_INTERNAL_LISTEN=127.0.0.1:0",
        "BELFRY_CLUSTER_JOIN_KEY=0123456789abcdef0123456789abcdef",
        arena_printf(arena, "BELFRY_REGISTRY_JOB_ADMIN=%s", registry),
        NULL,
    };
    assert_int_equal(config_read(NULL, STR(""), environment, &n->config, &err), 0);
    n->setup = (struct service_setup){ run, 1, all, 2, n->config, NULL, &hooks };
    if (frame_new(&n->setup, &n->frame, &exit_code, &err) < 0 || internal_open(n->frame, &err) < 0)
        fail_msg("%s", error_english(&err));
    n->frame->running[0].started = true;
    n->frame->ready = true;
    n->frame->running[0].state = (void *)(uintptr_t) "state";
    arena_free(&arena);
}

static void node_end(struct test_node *n)
{
    char command[80];

    if (!n->frame)
        return;
    http_server_free(&n->frame->internal);
    remote_calls_abandon(n->frame);
    calls_abandon(n->frame);
    posts_done(n->frame);
    calls_free(n->frame);
    frame_free(&n->frame);
    config_free(&n->config);
    snprintf(command, sizeof command, "rm -rf %s", n->dir);
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    (void)state;
    client_is_known = true;
    handled = finds = 0;
    node_make(&server, "server", &all[0], "http://127.0.0.1:1");
    node_make(&client, "client", &all[1], server.frame->node.url);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    node_end(&client);
    node_end(&server);
    return 0;
}

/* Turns both loops until *flag; server may have ended. */
static void pump(const bool *flag)
{
    for (int64_t until = clock_mono_ms() + 20000; !*flag && clock_mono_ms() < until;) {
        event_base_loop(client.frame->node.base, EVLOOP_NONBLOCK);
        if (server.frame)
            event_base_loop(server.frame->node.base, EVLOOP_NONBLOCK);
    }
    assert_true(*flag);
}

/* --- calls ----------------------------------------------------------------------------------- */

struct outcome {
    bool done, sent, failed;
    char text[300];
    int64_t number;
    struct error err;
};

static void on_done(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct outcome *outcome = ctx;
    const struct told *told = answer;

    assert_false(outcome->done); /* once */
    assert_false(in_call_send);
    outcome->done = true;
    outcome->sent = sent;
    outcome->failed = err != NULL;
    if (err)
        outcome->err = *err;
    if (told) {
        snprintf(outcome->text, sizeof outcome->text, "%s", told->text);
        outcome->number = told->number;
    }
}

static char question[] = "what";
static const struct ask ask = { question, 41 };

static struct outcome call_from_node(struct test_node *from, const struct call_type *type,
                                     const char *instance)
{
    struct outcome outcome = { 0 };

    in_call_send = true;
    call_send(&from->frame->node, type, instance, &ask, on_done, &outcome);
    in_call_send = false;
    assert_false(outcome.done);
    pump(&outcome.done);
    return outcome;
}

static void assert_echoed(struct outcome outcome, const char *text)
{
    if (outcome.failed)
        fail_msg("%s", error_english(&outcome.err));
    assert_true(outcome.sent);
    assert_string_equal(outcome.text, text);
    assert_int_equal(outcome.number, 42);
}

static void assert_failed(struct outcome outcome)
{
    char text[300];

    assert_true(outcome.failed && outcome.sent);
    assert_int_equal(outcome.err.code, ERR_CONFLICT);
    assert_string_equal(outcome.err.path, "jobs[1].name");
    assert_int_equal(outcome.err.field, 2);
    assert_int_equal(outcome.err.position, 7);
    assert_string_equal(error_text(&outcome.err, LANGUAGE_ZH, text, sizeof text),
                        "必须是 3 到 5 的整数");
}

static void test_local_call(void **state)
{
    (void)state;
    assert_echoed(call_from_node(&server, &echo_type, NULL), "what from server");
    assert_echoed(call_from_node(&server, &echo_type, "local"), "what from server");
    assert_echoed(call_from_node(&server, &echo_type, server.frame->node.url), "what from server");
    assert_failed(call_from_node(&server, &fail_type, NULL));
}

static void test_remote_call(void **state)
{
    (void)state;
    assert_echoed(call_from_node(&client, &echo_type, NULL), "what from client");
    assert_echoed(call_from_node(&client, &echo_type, server.frame->node.url), "what from client");
    assert_failed(call_from_node(&client, &fail_type, NULL));
    assert_int_equal(finds, 1); /* the key was asked for once */
}

static void test_call_of_an_unknown_node(void **state)
{
    (void)state;
    client_is_known = false;
    struct outcome outcome = call_from_node(&client, &echo_type, NULL);
    assert_true(outcome.failed && !outcome.sent);
    assert_int_equal(outcome.err.code, ERR_UNAUTHENTICATED);
    assert_int_equal(handled, 0);
    int before = finds;
    outcome = call_from_node(&client, &echo_type, NULL);
    assert_true(outcome.failed && !outcome.sent);
    assert_int_equal(finds, before); /* not asked for again at once */
    /* but what is open to everybody is */
    outcome = call_from_node(&client, &open_type, NULL);
    assert_echoed(outcome, "what from ");
}

static void test_call_goes_to_another_instance(void **state)
{
    (void)state;
    struct error err;
    char text[200];

    /* nobody listens on port 1; in either order */
    registry_free(&client.frame->node.registry);
    config_free(&client.config);
    snprintf(text, sizeof text, "[registry]\njob-admin = http://127.0.0.1:1, %s\n",
             server.frame->node.url);
    assert_int_equal(config_read("x", str_of(text), NULL, &client.config, &err), 0);
    assert_int_equal(registry_new(client.config, &client.frame->node.registry, &err), 0);
    client.frame->node.config = client.setup.config = client.config;
    for (int i = 0; i < 4; i++)
        assert_echoed(call_from_node(&client, &echo_type, NULL), "what from client");
    struct outcome outcome = call_from_node(&client, &echo_type, "http://127.0.0.1:1");
    assert_true(outcome.failed && !outcome.sent); /* an instance that was named is meant */
    assert_int_equal(outcome.err.code, ERR_UNAVAILABLE);
}

static void test_call_without_instance(void **state)
{
    (void)state;
    static const struct call_type type = {
        .service = "job-execute", .name = "x", .request = &ask_table, .answer = &told_table
    };
    struct outcome outcome = call_from_node(&client, &echo_type, "local");

    assert_true(outcome.failed && !outcome.sent);
    registry_free(&client.frame->node.registry);
    struct config *config;
    struct error err;
    assert_int_equal(config_read("x", STR("[registry]\njob-execute =\n"), NULL, &config, &err), 0);
    assert_int_equal(registry_new(config, &client.frame->node.registry, &err), 0);
    outcome = call_from_node(&client, &type, NULL);
    assert_true(outcome.failed && !outcome.sent);
    assert_string_equal(error_english(&outcome.err), "no instance of job-execute is known");
    config_free(&config);
}

static void test_call_too_large(void **state)
{
    (void)state;
    char text[2000];
    const struct ask large = { text, 1 };
    struct outcome outcome = { 0 };

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    call_send(&client.frame->node, &open_type, NULL, &large, on_done, &outcome);
    pump(&outcome.done);
    assert_true(outcome.failed && !outcome.sent);
    assert_int_equal(outcome.err.code, ERR_TOO_LARGE);
}

static void test_answer_after_the_caller_has_gone(void **state)
{
    (void)state;
    struct outcome outcome = { 0 };

    kept = NULL;
    call_send(&client.frame->node, &keep_type, NULL, &ask, on_done, &outcome);
    for (int64_t until = clock_mono_ms() + 20000; !kept && clock_mono_ms() < until;) {
        event_base_loop(client.frame->node.base, EVLOOP_NONBLOCK);
        event_base_loop(server.frame->node.base, EVLOOP_NONBLOCK);
    }
    assert_non_null(kept);
    remote_calls_abandon(client.frame); /* hangs up */
    assert_true(outcome.done && outcome.failed && outcome.sent);
    call_answer(kept, &(struct told){ 0 }); /* to nobody */
    assert_echoed(call_from_node(&client, &echo_type, NULL), "what from client");
}

static void test_local_calls_are_abandoned_once(void **state)
{
    (void)state;
    struct outcome waiting = { 0 }, posted = { 0 };

    kept = NULL;
    call_send(&server.frame->node, &keep_type, NULL, &ask, on_done, &waiting);
    event_base_loop(server.frame->node.base, EVLOOP_NONBLOCK);
    assert_non_null(kept);
    call_send(&server.frame->node, &echo_type, NULL, &ask, on_done, &posted);
    calls_abandon(server.frame);
    assert_true(waiting.done && waiting.failed && posted.done && posted.failed);
    call_answer(kept, &(struct told){ 0 }); /* ignored */
}

/* --- requests passed on ---------------------------------------------------------------------- */

static const struct principal *forward_as;

static void forward_handle(void *ctx, struct http_exchange *exchange,
                           const struct http_request *http)
{
    struct request *request = request_new(exchange);
    const struct service *service;
    const char *allow;
    (void)ctx;

    assert_int_equal(route_find(all, 2, http->method, http->path, http->arena, &service,
                                &request->route, request->params, &allow),
                     1);
    snprintf(request->id, sizeof request->id, "request-0001");
    snprintf(request->client_address, sizeof request->client_address, "192.0.2.9");
    request->principal = forward_as;
    service_forward(&client.frame->node, service, request);
}

struct fetched {
    bool done, piece;
    int status;
    char etag[20], type[40], body[500], pieces[500];
};

static void on_piece(void *ctx, int status, struct str bytes)
{
    struct fetched *f = ctx;

    f->piece = true;
    f->status = status;
    strncat(f->pieces, bytes.bytes, bytes.size);
}

static void text_copy(char *to, size_t size, struct str text)
{
    snprintf(to, size, "%.*s", (int)text.size, text.bytes ? text.bytes : "");
}

static void on_fetched(void *ctx, const struct http_call_result *result)
{
    struct fetched *f = ctx;

    f->done = true;
    f->status = result->status;
    text_copy(f->etag, sizeof f->etag,
              http_header_find(result->headers, result->header_count, "ETag"));
    text_copy(f->type, sizeof f->type,
              http_header_find(result->headers, result->header_count, "Content-Type"));
    text_copy(f->body, sizeof f->body, result->body);
}

static struct fetched fetch(const char *url_start, const char *path,
                            const struct http_header *header)
{
    struct fetched fetched = { 0 };
    char url[300];

    snprintf(url, sizeof url, "%s%s", url_start, path);
    const struct http_call_request request = {
        .method = "POST",
        .url = url,
        .body = STR("{}"),
        .response_max = 10000,
        .headers = header,
        .header_count = header ? 1 : 0,
    };
    http_call_start(client.frame->node.http, &request, on_fetched, &fetched);
    pump(&fetched.done);
    return fetched;
}

static void test_request_is_passed_on(void **state)
{
    (void)state;
    struct grant grant = { 3, ROLE_OPERATOR };
    char name[] = "ann";
    const struct principal ann = {
        .kind = PRINCIPAL_USER, .id = 9, .name = name, .grants = &grant, .grant_count = 1
    };
    struct http_server_settings settings = { .listen = "127.0.0.1:0", .handle = forward_handle };
    struct http_server *front;
    struct error err;
    char url[64];

    assert_int_equal(http_server_new(client.frame->node.base, &settings, &front, &err), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", http_server_port(front));
    forward_as = &ann;
    struct fetched f = fetch(url, "/api/v1/jobs/a%20b/run?x=%C3%A4", NULL);
    assert_int_equal(f.status, 200);
    assert_string_equal(f.body, "done");
    assert_string_equal(f.etag, "\"7\"");
    assert_string_equal(f.type, "text/x-test");
    assert_string_equal(seen, "a b ann 192.0.2.9 state id=request-0001 kind=0 role=2 body={}");
    grant.role = ROLE_VIEWER; /* the service checks for itself, too */
    f = fetch(url, "/api/v1/jobs/1/run", NULL);
    assert_int_equal(f.status, 403);
    forward_as = NULL;
    f = fetch(url, "/api/v1/jobs/1/run", NULL);
    assert_int_equal(f.status, 401);
    /* the service has gone */
    forward_as = &ann;
    grant.role = ROLE_OPERATOR;
    node_end(&server);
    f = fetch(url, "/api/v1/jobs/1/run", NULL);
    assert_int_equal(f.status, 503);
    assert_non_null(strstr(f.body, "the service job-admin is out of reach"));
    http_server_free(&front);
}

/* The front passes on what comes while the far end is still writing. */
static void test_stream_is_passed_on(void **state)
{
    (void)state;
    struct grant grant = { 0, ROLE_VIEWER };
    char name[] = "ann";
    const struct principal ann = { .name = name, .grants = &grant, .grant_count = 1 };
    const struct http_header accept = { STR("Accept"), STR("text/event-stream") };
    struct http_server_settings settings = { .listen = "127.0.0.1:0", .handle = forward_handle };
    struct fetched fetched = { 0 };
    struct http_server *front;
    struct error err;
    char url[100];

    forward_as = &ann;
    streaming = NULL;
    assert_int_equal(http_server_new(client.frame->node.base, &settings, &front, &err), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/api/v1/runs/7/log", http_server_port(front));
    const struct http_call_request request = {
        .method = "POST", .url = url, .response_max = 10000, .headers = &accept, .header_count = 1
    };
    http_call_stream(client.frame->node.http, &request, on_piece, on_fetched, &fetched);
    pump(&fetched.piece);
    assert_string_equal(fetched.pieces, "id: 1\ndata: one\n\n");
    http_stream_event(streaming, "2", NULL, STR("two"));
    http_stream_end(streaming);
    pump(&fetched.done);
    assert_int_equal(fetched.status, 200);
    assert_string_equal(fetched.type, "text/event-stream");
    assert_string_equal(fetched.pieces, "id: 1\ndata: one\n\nid: 2\ndata: two\n\n");
    /* an answer that is no stream comes as it is */
    grant.group_id = 5;
    grant.role = ROLE_NONE;
    fetched = (struct fetched){ 0 };
    http_call_stream(client.frame->node.http, &request, on_piece, on_fetched, &fetched);
    pump(&fetched.done);
    assert_int_equal(fetched.status, 403);
    assert_string_equal(fetched.type, "application/problem+json");
    assert_non_null(strstr(fetched.pieces, "your role does not allow this"));
    http_server_free(&front);
}

static void test_unsigned_requests_are_refused(void **state)
{
    (void)state;
    const char *url = server.frame->node.url;
    const struct http_header bad = { STR(IDENTITY_HEADER), STR("e30.AAAA") };

    assert_int_equal(fetch(url, "/api/v1/jobs/1/run", NULL).status, 401);
    assert_int_equal(fetch(url, "/internal/v1/job-admin/echo", NULL).status, 401);
    assert_int_equal(fetch(url, "/internal/v1/job-admin/echo", &bad).status, 401);
    assert_int_equal(fetch(url, "/internal/v1/job-admin/nothing", NULL).status, 404);
    assert_int_equal(fetch(url, "/internal/v1/gateway/echo", NULL).status, 404);
    assert_int_equal(fetch(url, "/internal/v1/", NULL).status, 404);
    assert_int_equal(handled, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_local_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remote_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_of_an_unknown_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_goes_to_another_instance, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_without_instance, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_after_the_caller_has_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_local_calls_are_abandoned_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_request_is_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_is_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsigned_requests_are_refused, setup, teardown),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
