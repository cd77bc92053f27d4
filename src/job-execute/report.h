#ifndef BELFRY_JOB_EXECUTE_REPORT_H
#define BELFRY_JOB_EXECUTE_REPORT_H

#include "base/list.h"
#include "job-admin/client.h"
#include "job-execute/peer.h"

/*
 * Starts and results on their way to job-admin, in batches: to the one that sent the attempt first,
 * then to the others in turn, until one says that it is taken or of no more use.
 *
 *   start ──► fresh (10 ms: a short run's start travels with its result) ──┐
 *   result ────────────────────────────────────────────────────────────────┴► peer->reports
 *      peer->reports ──► call ──► TAKEN, STALE: report_done
 *                          ├────► NOT_OURS: next peer; all have said so: parked for a while
 *                          └────► failed: next peer
 *
 * A result that is not acknowledged REPORT_SPOOL_MS after it was made is written to the spool too.
 */
struct attempt;
struct reporter;
struct spool;

enum { REPORT_FRESH_MS = 10, REPORT_SPOOL_MS = 1000, REPORT_BATCH = 1000,
       REPORT_BATCH_BYTES = 4 * 1024 * 1024, REPORT_CALLS = 2 };

struct execute_report {
    struct list link;              /* fresh, parked, a peer's, or a call's */
    struct list unacked;           /* results, oldest first */
    struct admin_report_item item; /* texts are the report's own */
    char *incarnation;             /* NULL: of this process; else replayed from the spool */
    struct attempt *attempt;       /* NULL: replayed */
    struct peer *peer;             /* to be told next */
    int64_t made_mono_ms, due_mono_ms;
    unsigned refusals;             /* NOT_OURS so far */
    bool in_call, spooled, unwanted; /* unwanted: its result has been acknowledged already */
};

struct reporter *reporter_new(struct node *node, struct peers *peers, struct spool **spool,
                              void (*result_acked)(void *ctx, struct attempt *attempt), void *ctx);
void reporter_free(struct reporter **reporter);

/* item's texts are copied. The report belongs to the reporter; result_acked tells when a result is
 * settled, and from then on the attempt is not touched. */
struct execute_report *report_start(struct reporter *reporter, struct attempt *attempt,
                            struct peer *peer, const struct admin_report_item *item);
struct execute_report *report_result(struct reporter *reporter, struct attempt *attempt,
                             struct execute_report *start, struct peer *peer,
                             const struct admin_report_item *item);
void report_replay(struct reporter *reporter, const char *incarnation,
                   const struct admin_report_item *item);
/* Results not acknowledged yet, replayed ones too. */
size_t reporter_unacked(const struct reporter *reporter);
/* Puts all of them into the spool now. */
void reporter_spool_all(struct reporter *reporter);

#endif
