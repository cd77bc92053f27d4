#include "job-admin/admin.h"

#include "base/memory.h"

#include <stdlib.h>

/*
 * Reports of an executor: handed to the scheduler item by item, answered as a whole when each has
 * its verdict, so that an answer means durable. The call keeps its request, which the scheduler's
 * moves point into, until then.
 */

struct report_call {
    struct admin *admin;
    struct call *call;
    struct admin_report_verdict *verdicts;
    size_t count, open;
};

/* The handle of an item: its place in a call, both recoverable from the pointer. */
struct report_handle {
    struct report_call *owner;
    size_t index;
};

static int64_t time_corrected(int64_t time_ms, int64_t offset_ms)
{
    /* a second of latency is no reason to bend times */
    bool skewed = offset_ms > 1000 || offset_ms < -1000;

    return time_ms && skewed ? time_ms + offset_ms : time_ms;
}

static void report_fill(struct report *report, const struct admin_report_item *item,
                        int64_t offset_ms)
{
    *report = (struct report){
        .kind = (enum report_kind)item->kind,
        .run_id = item->run_id,
        .job_id = item->job_id,
        .attempt = item->attempt,
        .token = item->token,
        .started_at = time_corrected(item->started_at, offset_ms),
        .ended_at = time_corrected(item->ended_at, offset_ms),
        .outcome = (enum run_state)item->outcome,
        .cause = (enum cause)item->cause,
        .retry_after_ms = item->retry_after_ms,
        .no_retry = item->no_retry,
        .detail = item,
    };
}

static void report_finish(struct report_call *owner)
{
    struct admin_reported answer = { .verdicts = owner->verdicts, .verdict_count = owner->count };

    call_answer(owner->call, &answer);
}

void report_acked(struct admin *admin, uint64_t ack, enum ack_verdict verdict)
{
    struct report_handle *handle = (struct report_handle *)(uintptr_t)ack;

    (void)admin;
    if (!handle)
        return; /* a failure of our own making (dispatch.c) */
    struct report_call *owner = handle->owner;
    owner->verdicts[handle->index].verdict = (int32_t)verdict;
    if (--owner->open == 0)
        report_finish(owner);
}

static bool item_valid(const struct admin_report_item *item)
{
    bool outcome = item->outcome == RUN_SUCCEEDED || item->outcome == RUN_FAILED ||
                   item->outcome == RUN_TIMED_OUT || item->outcome == RUN_CANCELLED;

    if (item->job_id <= 0 || item->run_id <= 0)
        return false;
    return item->kind == REPORT_START ||
           (item->kind == REPORT_RESULT && outcome && cause_name((enum cause)item->cause));
}

void reports_take(struct call *call)
{
    struct admin *admin = call_state(call);
    const struct admin_report *request = call_request(call);
    struct arena *arena = call_arena(call);
    struct report_call *owner = ARENA_NEW(arena, struct report_call);
    struct report_handle *handles =
        ARENA_ARRAY(arena, struct report_handle, request->item_count + 1);
    struct report *reports = ARENA_ARRAY(arena, struct report, request->item_count + 1);
    struct scheduler_event event = { .kind = EVENT_REPORT };
    int64_t offset_ms = admin_now_ms(admin) - request->clock_ms;

    owner->call = call;
    owner->count = request->item_count;
    owner->verdicts = ARENA_ARRAY(arena, struct admin_report_verdict, request->item_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < request->item_count; i++) {
        owner->verdicts[i].verdict = ACK_STALE; /* what makes no sense is of no use to anybody */
        if (!item_valid(&request->items[i]))
            continue;
        handles[i] = (struct report_handle){ owner, i };
        report_fill(&reports[count], &request->items[i], offset_ms);
        reports[count++].ack = (uint64_t)(uintptr_t)&handles[i];
    }
    owner->open = count;
    if (count == 0) {
        report_finish(owner);
        return;
    }
    event.report.executor = request->executor;
    event.report.incarnation = request->incarnation;
    event.report.reports = reports;
    event.report.count = count;
    engine_step(admin, &event);
}
