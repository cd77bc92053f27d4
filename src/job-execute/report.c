#include "job-execute/report.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "job-execute/attempt.h"
#include "job-execute/spool.h"
#include "service/service.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { PARK_FIRST_MS = 100, PARK_MAX_MS = 1000, TIMER_MAX_MS = 250 };

struct reporter {
    struct node *node;
    struct peers *peers;
    struct spool **spool; /* opened after this, when what is in it is read */
    struct list fresh, parked, unacked;
    size_t unacked_count;
    struct event *flush, *timer;
    struct list calls;
    void (*result_acked)(void *ctx, struct attempt *attempt);
    void *ctx;
};

struct report_call {
    struct list link;
    struct reporter *reporter;
    struct peer *peer;
    struct list reports;
    struct admin_report request;
};

static void report_free(struct execute_report *report)
{
    list_remove(&report->link);
    list_remove(&report->unacked);
    free(report->item.message);
    free(report->item.output);
    free(report->item.address);
    free(report->incarnation);
    free(report);
}

static struct execute_report *report_new(const struct admin_report_item *item,
                                         struct attempt *attempt, struct peer *peer)
{
    struct execute_report *report = memory_alloc(sizeof *report);

    report->item = *item;
    report->item.message = memory_strdup(item->message);
    report->item.output = memory_strdup(item->output);
    report->item.address = memory_strdup(item->address);
    report->attempt = attempt;
    report->peer = peer;
    report->made_mono_ms = clock_mono_ms();
    list_init(&report->link);
    list_init(&report->unacked);
    return report;
}

static const char *report_incarnation(const struct reporter *reporter,
                                      const struct execute_report *report)
{
    return report->incarnation ? report->incarnation : reporter->node->incarnation;
}

/* --- acknowledged, or to be sent again -------------------------------------------------------- */

static void report_done(struct reporter *reporter, struct execute_report *report)
{
    struct attempt *attempt = report->attempt;

    if (report->item.kind == REPORT_START) {
        if (attempt)
            attempt->start = NULL;
        report_free(report);
        return;
    }
    if (report->spooled)
        spool_acked(*reporter->spool, report_incarnation(reporter, report), report->item.run_id,
                    report->item.attempt, report->item.token);
    reporter->unacked_count--;
    report_free(report);
    if (attempt) {
        attempt->result = NULL;
        if (attempt->start) { /* still under way: of no more use */
            attempt->start->unwanted = true;
            attempt->start->attempt = NULL;
            attempt->start = NULL;
        }
        reporter->result_acked(reporter->ctx, attempt);
    }
}

static void report_to_peer(struct execute_report *report, struct peer *peer)
{
    report->peer = peer;
    list_remove(&report->link);
    list_add_tail(&peer->reports, &report->link);
}

/* Not this job-admin's: to the next one, and when all have said so, after a while again. */
static void report_refused(struct reporter *reporter, struct execute_report *report,
                           int64_t mono_ms)
{
    unsigned rounds;
    int64_t wait = PARK_FIRST_MS;

    report->peer = peers_next(reporter->peers, report->peer, PEER_REPORTS, mono_ms);
    report->refusals++;
    if (report->refusals % reporter->peers->count) {
        report_to_peer(report, report->peer);
        return;
    }
    rounds = report->refusals / (unsigned)reporter->peers->count;
    while (--rounds && wait < PARK_MAX_MS)
        wait *= 2;
    report->due_mono_ms = mono_ms + (wait < PARK_MAX_MS ? wait : PARK_MAX_MS);
    list_remove(&report->link);
    list_add_tail(&reporter->parked, &report->link);
}

static void report_failed(struct reporter *reporter, struct execute_report *report, int64_t mono_ms)
{
    report_to_peer(report, peers_next(reporter->peers, report->peer, PEER_REPORTS, mono_ms));
}

/* --- one call --------------------------------------------------------------------------------- */

static void call_free(struct report_call *call)
{
    list_remove(&call->link);
    free(call->request.items);
    free(call);
}

static void call_settle(struct report_call *call, const struct admin_reported *answer)
{
    struct reporter *reporter = call->reporter;
    int64_t mono_ms = clock_mono_ms();
    size_t i = 0;

    LIST_EACH_SAFE(&call->reports, link) {
        struct execute_report *report = CONTAINER_OF(link, struct execute_report, link);
        int32_t verdict = answer ? answer->verdicts[i++].verdict : -1;

        report->in_call = false;
        if (report->unwanted || verdict == ACK_TAKEN || verdict == ACK_STALE)
            report_done(reporter, report);
        else if (verdict == ACK_NOT_OURS)
            report_refused(reporter, report, mono_ms);
        else
            report_failed(reporter, report, mono_ms);
    }
}

static void reports_answered(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct report_call *call = ctx;
    const struct admin_reported *reported = answer;
    struct reporter *reporter = call->reporter;

    (void)sent;
    call->peer->report_calls--;
    if (reported && reported->verdict_count != call->request.item_count)
        reported = NULL;
    if (reported)
        peer_answered(call->peer, PEER_REPORTS);
    else if (peer_failed(call->peer, PEER_REPORTS, clock_mono_ms()))
        LOG_WARN("reports not taken, trying again", "admin", call->peer->instance, "reports",
                 log_int((int64_t)call->request.item_count), "error",
                 err ? error_english(err) : "answer does not fit");
    call_settle(call, reported);
    call_free(call);
    event_active(reporter->flush, 0, 0);
}

static size_t report_size(const struct execute_report *report)
{
    const struct admin_report_item *item = &report->item;

    return 256 + (item->message ? strlen(item->message) : 0) +
           (item->output ? strlen(item->output) : 0);
}

/* A call holds reports of one incarnation: whose is the first. */
static bool call_fits(const struct report_call *call, const struct execute_report *report,
                      size_t bytes)
{
    const char *mine = call->request.incarnation;
    const char *other =
        report->incarnation ? report->incarnation : call->reporter->node->incarnation;

    return call->request.item_count < REPORT_BATCH &&
           bytes + report_size(report) <= REPORT_BATCH_BYTES && !strcmp(mine, other);
}

static void call_fill(struct report_call *call, struct peer *peer)
{
    size_t bytes = 0;
    size_t i = 0;

    LIST_EACH_SAFE(&peer->reports, link) {
        struct execute_report *report = CONTAINER_OF(link, struct execute_report, link);

        if (call->request.item_count && !call_fits(call, report, bytes))
            break;
        if (!call->request.item_count)
            call->request.incarnation =
                (char *)(intptr_t)report_incarnation(call->reporter, report);
        bytes += report_size(report);
        list_remove(link);
        list_add_tail(&call->reports, link);
        report->in_call = true;
        call->request.item_count++;
    }
    call->request.items = memory_alloc(call->request.item_count * sizeof *call->request.items);
    LIST_EACH(&call->reports, node)
        call->request.items[i++] = CONTAINER_OF(node, struct execute_report, link)->item;
}

static void call_start(struct reporter *reporter, struct peer *peer)
{
    struct report_call *call = memory_alloc(sizeof *call);

    call->reporter = reporter;
    call->peer = peer;
    list_init(&call->reports);
    list_add_tail(&reporter->calls, &call->link);
    call->request.executor = (char *)(intptr_t)reporter->node->name;
    call->request.clock_ms = clock_wall_ms();
    call_fill(call, peer);
    peer->report_calls++;
    call_send(reporter->node, &admin_report_call, peer_instance(peer), &call->request,
              reports_answered, call);
}

/* --- what is due ------------------------------------------------------------------------------ */

/* Lists are in the order of their due times, near enough: all wait about as long. */
static void list_due(struct list *list, int64_t mono_ms)
{
    LIST_EACH_SAFE(list, link) {
        struct execute_report *report = CONTAINER_OF(link, struct execute_report, link);

        if (report->due_mono_ms > mono_ms)
            return;
        report_to_peer(report, report->peer);
    }
}

static void spool_due(struct reporter *reporter, int64_t made_before_ms)
{
    LIST_EACH(&reporter->unacked, link) {
        struct execute_report *report = CONTAINER_OF(link, struct execute_report, unacked);

        if (report->made_mono_ms > made_before_ms)
            return;
        if (!report->spooled)
            report->spooled =
                spool_result(*reporter->spool, report_incarnation(reporter, report), &report->item);
    }
}

/* A job-admin that is away hands what waits for it to one that is not. */
static void peer_relieve(struct reporter *reporter, struct peer *peer, int64_t mono_ms)
{
    struct peer *next = peers_next(reporter->peers, peer, PEER_REPORTS, mono_ms);

    if (next == peer || peer_rests(next, PEER_REPORTS, mono_ms))
        return;
    LIST_EACH_SAFE(&peer->reports, link)
        report_to_peer(CONTAINER_OF(link, struct execute_report, link), next);
}

static void peer_flush(struct reporter *reporter, struct peer *peer, int64_t mono_ms)
{
    if (peer_rests(peer, PEER_REPORTS, mono_ms)) {
        peer_relieve(reporter, peer, mono_ms);
        return;
    }
    while (!list_empty(&peer->reports) && peer->report_calls < REPORT_CALLS)
        call_start(reporter, peer);
}

static void earliest(int64_t *ret_ms, const struct list *list)
{
    if (!list_empty(list)) {
        int64_t due = CONTAINER_OF(list->next, struct execute_report, link)->due_mono_ms;

        if (due < *ret_ms)
            *ret_ms = due;
    }
}

/* The timer runs only while something waits. */
static void reporter_timer(struct reporter *reporter, int64_t mono_ms)
{
    int64_t due = INT64_MAX;
    struct timeval wait;

    earliest(&due, &reporter->fresh);
    earliest(&due, &reporter->parked);
    if (due == INT64_MAX && list_empty(&reporter->unacked))
        return;
    due -= mono_ms;
    due = due < 1 ? 1 : due > TIMER_MAX_MS ? TIMER_MAX_MS : due;
    wait.tv_sec = 0;
    wait.tv_usec = due * 1000;
    event_add(reporter->timer, &wait);
}

static void reporter_flush(evutil_socket_t fd, short what, void *ctx)
{
    struct reporter *reporter = ctx;
    int64_t mono_ms = clock_mono_ms();

    (void)fd;
    (void)what;
    list_due(&reporter->fresh, mono_ms);
    list_due(&reporter->parked, mono_ms);
    spool_due(reporter, mono_ms - REPORT_SPOOL_MS);
    LIST_EACH(&reporter->peers->all, link)
        peer_flush(reporter, CONTAINER_OF(link, struct peer, link), mono_ms);
    reporter_timer(reporter, mono_ms);
}

/* --- the public part -------------------------------------------------------------------------- */

struct reporter *reporter_new(struct node *node, struct peers *peers, struct spool **spool,
                              void (*result_acked)(void *ctx, struct attempt *attempt), void *ctx)
{
    struct reporter *reporter = memory_alloc(sizeof *reporter);

    reporter->node = node;
    reporter->peers = peers;
    reporter->spool = spool;
    reporter->result_acked = result_acked;
    reporter->ctx = ctx;
    list_init(&reporter->fresh);
    list_init(&reporter->parked);
    list_init(&reporter->unacked);
    list_init(&reporter->calls);
    reporter->flush = event_new(node->base, -1, 0, reporter_flush, reporter);
    reporter->timer = event_new(node->base, -1, 0, reporter_flush, reporter);
    return reporter;
}

static void reports_free(struct list *list)
{
    LIST_EACH_SAFE(list, link)
        report_free(CONTAINER_OF(link, struct execute_report, link));
}

void reporter_free(struct reporter **pointer)
{
    struct reporter *reporter = *pointer;

    if (!reporter)
        return;
    LIST_EACH_SAFE(&reporter->calls, link) {
        struct report_call *call = CONTAINER_OF(link, struct report_call, link);

        reports_free(&call->reports);
        call_free(call);
    }
    reports_free(&reporter->fresh);
    reports_free(&reporter->parked);
    LIST_EACH(&reporter->peers->all, peer)
        reports_free(&CONTAINER_OF(peer, struct peer, link)->reports);
    event_free(reporter->flush);
    event_free(reporter->timer);
    free(reporter);
    *pointer = NULL;
}

struct execute_report *report_start(struct reporter *reporter, struct attempt *attempt,
                                    struct peer *peer, const struct admin_report_item *item)
{
    struct execute_report *report = report_new(item, attempt, peer);

    report->due_mono_ms = report->made_mono_ms + REPORT_FRESH_MS;
    list_add_tail(&reporter->fresh, &report->link);
    reporter_timer(reporter, report->made_mono_ms);
    return report;
}

struct execute_report *report_result(struct reporter *reporter, struct attempt *attempt,
                                     struct execute_report *start, struct peer *peer,
                                     const struct admin_report_item *item)
{
    struct execute_report *report = report_new(item, attempt, peer);

    if (start && !start->in_call) /* the result says when it started, too */
        report_done(reporter, start);
    list_add_tail(&reporter->unacked, &report->unacked);
    reporter->unacked_count++;
    report_to_peer(report, peer);
    event_active(reporter->flush, 0, 0);
    return report;
}

void report_replay(struct reporter *reporter, const char *incarnation,
                   const struct admin_report_item *item)
{
    struct execute_report *report =
        report_result(reporter, NULL, NULL, peers_find(reporter->peers, NULL), item);

    report->incarnation = memory_strdup(incarnation);
    report->spooled = true;
}

size_t reporter_unacked(const struct reporter *reporter)
{
    return reporter->unacked_count;
}

void reporter_spool_all(struct reporter *reporter)
{
    spool_due(reporter, INT64_MAX);
}
