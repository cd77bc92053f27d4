#include "job-execute/test-node.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "job-execute/launcher.h"

#include <event2/event.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct test_node *current;      /* call_send finds it by node */
static struct launcher *launcher;

/* --- calls to job-admin ----------------------------------------------------------------------- */

struct call {
    const void *request;
    void *state;
    struct arena *arena;
    const void *answer;
    struct error err;
    bool answered, failed;
};

struct sent {
    struct list link;
    struct event *event;
    const struct call_type *type;
    const void *request;
    char instance[64];
    call_done *done;
    void *ctx;
};

static const struct admin_reported *take_reports(struct test_node *test, const char *instance,
                                                 const struct admin_report *report,
                                                 struct arena *arena);

static void take_log(struct test_node *test, const struct admin_log *log)
{
    for (size_t i = 0; i < log->chunk_count; i++) {
        const struct admin_log_chunk *chunk = &log->chunks[i];

        buf_add_text(&test->log, chunk->text);
        test->chunks++;
        test->last_chunks += chunk->last;
        test->log_dropped = chunk->dropped;
    }
}

static void take_beat(struct test_node *test, const struct admin_heartbeat *beat)
{
    test->beats++;
    test->beat_free = beat->slots_free;
    test->beat_running = beat->running_count;
    test->beat_draining = beat->draining;
}

static struct list sents;             /* on their way */

static void sent_free(struct sent *sent)
{
    list_remove(&sent->link);
    event_free(sent->event);
    free(sent);
}

static void deliver(evutil_socket_t fd, short what, void *ctx)
{
    struct sent *sent = ctx;
    struct test_node *test = current;
    struct arena *arena = arena_new();
    const void *answer = NULL;
    struct admin_logged logged = { 1 };
    struct admin_heartbeat_answer beat = { 0 };
    struct error err = { 0 };

    (void)fd;
    (void)what;
    if (!test->away && sent->type == &admin_report_call)
        answer = take_reports(test, sent->instance, sent->request, arena);
    else if (!test->away && sent->type == &admin_log_call && !test->no_logs) {
        take_log(test, sent->request);
        answer = &logged;
    } else if (!test->away && sent->type == &admin_heartbeat_call) {
        take_beat(test, sent->request);
        answer = &beat;
    }
    if (!answer)
        error_set(&err, ERR_UNAVAILABLE, "out of reach");
    sent->done(sent->ctx, answer, false, answer ? NULL : &err);
    arena_free(&arena);
    sent_free(sent);
}

void call_send(struct node *node, const struct call_type *type, const char *instance,
               const void *request, call_done *done, void *ctx)
{
    struct sent *sent = memory_alloc(sizeof *sent);

    sent->type = type;
    sent->request = request;
    sent->done = done;
    sent->ctx = ctx;
    snprintf(sent->instance, sizeof sent->instance, "%s", instance ? instance : "local");
    list_add_tail(&sents, &sent->link);
    sent->event = event_new(node->base, -1, 0, deliver, sent);
    event_add(sent->event, &(struct timeval){ 0, 1000 });
}

size_t call_instances(struct node *node, const char *service, struct arena *arena,
                      const char *const **ret_instances)
{
    size_t count = 0;

    (void)node;
    (void)service;
    (void)arena;
    while (current->admins[count])
        count++;
    *ret_instances = current->admins;
    return count;
}

const void *call_request(const struct call *call)
{
    return call->request;
}

void *call_state(const struct call *call)
{
    return call->state;
}

struct arena *call_arena(struct call *call)
{
    return call->arena;
}

void call_answer(struct call *call, const void *answer)
{
    assert_false(call->answered);
    call->answered = true;
    call->answer = answer;
}

void call_fail(struct call *call, const struct error *err)
{
    assert_false(call->answered);
    call->answered = call->failed = true;
    call->err = *err;
}

/* --- what job-admin hears --------------------------------------------------------------------- */

static struct test_result *find_result(struct test_node *test, const struct admin_report_item *item)
{
    for (size_t i = 0; i < test->result_count; i++) {
        const struct admin_report_item *known = &test->results[i].item;

        if (known->run_id == item->run_id && known->attempt == item->attempt &&
            known->token == item->token)
            return &test->results[i];
    }
    return NULL;
}

static void keep_result(struct test_node *test, const char *instance, const char *incarnation,
                        const struct admin_report_item *item)
{
    struct test_result *result = find_result(test, item);

    if (result) {
        result->count++;
        return;
    }
    if (test->result_count == test->result_capacity) {
        test->result_capacity = test->result_capacity ? test->result_capacity * 2 : 64;
        test->results = memory_resize(test->results, test->result_capacity * sizeof *test->results);
    }
    result = &test->results[test->result_count++];
    *result = (struct test_result){ .item = *item, .count = 1 };
    result->item.message = arena_strdup(test->arena, item->message);
    result->item.output = arena_strdup(test->arena, item->output);
    result->item.address = arena_strdup(test->arena, item->address);
    snprintf(result->incarnation, sizeof result->incarnation, "%s", incarnation);
    snprintf(result->instance, sizeof result->instance, "%s", instance);
}

static const struct admin_reported *take_reports(struct test_node *test, const char *instance,
                                                 const struct admin_report *report,
                                                 struct arena *arena)
{
    struct admin_reported *reported = ARENA_NEW(arena, struct admin_reported);

    test->report_calls++;
    reported->verdict_count = report->item_count;
    reported->verdicts = ARENA_ARRAY(arena, struct admin_report_verdict, report->item_count + 1);
    for (size_t i = 0; i < report->item_count; i++) {
        const struct admin_report_item *item = &report->items[i];
        int verdict = test->verdict ? test->verdict(test, instance, item) : ACK_TAKEN;

        if (verdict < 0)
            return NULL;
        reported->verdicts[i].verdict = verdict;
        test->starts += item->kind == REPORT_START;
        if (item->kind == REPORT_RESULT && verdict != ACK_NOT_OURS)
            keep_result(test, instance, report->incarnation, item);
    }
    return reported;
}

/* --- the node --------------------------------------------------------------------------------- */

void test_launcher_start(void)
{
    struct error err = { 0 };

    if (launcher_start(&launcher, &err) < 0)
        fail_msg("%s", error_english(&err));
}

static void node_start(struct test_node *test, const char *settings, const char *data_dir,
                       struct egress *egress)
{
    struct error err = { 0 };

    memset(test, 0, sizeof *test);
    list_init(&sents);
    current = test;
    test->arena = arena_new();
    test->base = event_base_new();
    test->admins[0] = "local";
    buf_init(&test->log, 64 << 20);
    if (config_read("test", str_of(settings ? settings : ""), NULL, &test->config, &err) < 0)
        fail_msg("%s", error_english(&err));
    if (data_dir)
        snprintf(test->data_dir, sizeof test->data_dir, "%s", data_dir);
    else {
        snprintf(test->data_dir, sizeof test->data_dir, "/tmp/belfry-test-XXXXXX");
        assert_non_null(mkdtemp(test->data_dir));
    }
    test->node = (struct node){
        .base = test->base, .config = test->config, .launcher = launcher, .name = "test",
        .url = "local", .data_dir = test->data_dir, .egress = egress,
    };
    random_hex(test->node.incarnation);
    if (execute_new(&test->node, &test->execute, &err) < 0)
        fail_msg("%s", error_english(&err));
}

void test_node_start(struct test_node *test, const char *settings, const char *data_dir)
{
    node_start(test, settings, data_dir, NULL);
}

void test_node_start_egress(struct test_node *test, struct egress *egress)
{
    node_start(test, NULL, NULL, egress);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
    (void)status;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void test_node_stop_keep(struct test_node *test)
{
    execute_free(&test->execute);
    LIST_EACH_SAFE(&sents, link) /* nobody waits for them any more */
        sent_free(CONTAINER_OF(link, struct sent, link));
    event_base_free(test->base);
    config_free(&test->config);
    arena_free(&test->arena);
    buf_done(&test->log);
    free(test->results);
    test->results = NULL;
}

void test_node_stop(struct test_node *test)
{
    test_node_stop_keep(test);
    nftw(test->data_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- driving it ------------------------------------------------------------------------------- */

struct execute_run test_run(int64_t run_id, const char *type, const char *task)
{
    return (struct execute_run){
        .run_id = run_id, .attempt = 1, .token = 1, .job_id = 7, .job_version = 1,
        .job = (char *)(intptr_t)"team/nightly", .fire_at = INT64_C(1764034200000),
        .zone = (char *)(intptr_t)"Asia/Shanghai", .task_type = (char *)(intptr_t)type,
        .task = (char *)(intptr_t)task, .log_max = 1 << 20,
    };
}

static const void *call_now(struct test_node *test, void (*handle)(struct call *call),
                            const void *request, struct arena *arena)
{
    struct call call = { .request = request, .state = test->execute, .arena = arena };

    handle(&call);
    assert_true(call.answered);
    return call.failed ? NULL : call.answer;
}

enum dispatch_verdict test_dispatch(struct test_node *test, const struct execute_run *run)
{
    struct execute_dispatch dispatch = {
        .incarnation = test->node.incarnation, .admin = (char *)(intptr_t)"admin",
        .admin_url = (char *)(intptr_t)test->admins[0],
        .runs = (struct execute_run *)(intptr_t)run, .run_count = 1,
    };
    struct arena *arena = arena_new();
    const struct execute_dispatched *answer =
        call_now(test, execute_handle_dispatch, &dispatch, arena);
    enum dispatch_verdict verdict;

    assert_non_null(answer);
    assert_int_equal(answer->verdict_count, 1);
    verdict = (enum dispatch_verdict)answer->verdicts[0].verdict;
    arena_free(&arena);
    return verdict;
}

bool test_ask(struct test_node *test, int64_t run_id, int32_t attempt, int32_t token)
{
    struct execute_ask_run run = { run_id, attempt, token, false };
    struct execute_ask ask = { test->node.incarnation, &run, 1 };
    struct arena *arena = arena_new();
    const struct execute_asked *answer = call_now(test, execute_handle_ask, &ask, arena);
    bool seen;

    assert_non_null(answer);
    seen = answer->runs[0].seen;
    arena_free(&arena);
    return seen;
}

bool test_stop(struct test_node *test, int64_t run_id, int32_t attempt, int32_t token)
{
    struct execute_stop stop = { run_id, attempt, token, CAUSE_STOPPED };
    struct arena *arena = arena_new();
    const struct execute_stopped *answer = call_now(test, execute_handle_stop, &stop, arena);
    bool known = answer->known;

    arena_free(&arena);
    return known;
}

void test_turn(struct test_node *test, int ms)
{
    struct timeval wait = { ms / 1000, ms % 1000 * 1000 };

    event_base_loopexit(test->base, &wait);
    event_base_dispatch(test->base);
}

void test_await(struct test_node *test, bool (*holds)(struct test_node *test), int timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    while (!holds(test)) {
        if (clock_mono_ms() > until)
            fail_msg("condition does not hold after %d ms", timeout_ms);
        test_turn(test, 2);
    }
}

void test_await_results(struct test_node *test, size_t count, int timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    while (test->result_count < count) {
        if (clock_mono_ms() > until)
            fail_msg("%zu of %zu results after %d ms", test->result_count, count, timeout_ms);
        test_turn(test, 2);
    }
}

const struct admin_report_item *test_result(struct test_node *test, int64_t run_id)
{
    for (size_t i = 0; i < test->result_count; i++)
        if (test->results[i].item.run_id == run_id)
            return &test->results[i].item;
    fail_msg("no result of run %lld", (long long)run_id);
    return NULL;
}

const struct admin_report_item *test_run_one(struct test_node *test, const char *type,
                                             const char *task, int timeout_ms)
{
    struct execute_run run = test_run((int64_t)test->result_count + 1, type, task);

    assert_int_equal(test_dispatch(test, &run), DISPATCH_TAKEN);
    test_await_results(test, test->result_count + 1, timeout_ms);
    return test_result(test, run.run_id);
}
