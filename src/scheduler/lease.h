#ifndef BELFRY_SCHEDULER_LEASE_H
#define BELFRY_SCHEDULER_LEASE_H

#include "scheduler/scheduler.h"

/*
 * Who owns which of the 64 shards. Pure: called inside the transaction that has read (and locked)
 * all rows, by the real store and by the model store alike. The clock is the database's.
 */
struct lease_row {
    int32_t shard;
    char owner[EXECUTOR_NAME_MAX]; /* node name; "" nobody */
    char incarnation[INCARNATION_SIZE];
    int64_t epoch; /* grows with each change of owner */
    int64_t expires_at;
};

/* Live job-admins, for balance: each admin writes a row of its own (shard -1-n …) by the driver;
 * here only their count and our rank by incarnation. */
struct lease_peers {
    int32_t count, rank;
};

/*
 * Renews our rows, takes expired or unowned ones up to our fair share (all of them when alone;
 * ceil(64 / count) otherwise, and also more when they have been expired for a whole lease), gives
 * back what is over the share by not renewing at most two a round, so that an owner that does not
 * hear of it is safe until the end it knows. Epoch + 1 when a row is taken, lapsed ones of our own
 * too. Changes rows in place and marks changed[shard]; returns our owned set.
 */
uint64_t lease_plan(struct lease_row rows[SHARD_COUNT], const char *owner, const char *incarnation,
                    const struct lease_peers *peers, int64_t now_ms, int64_t lease_ms,
                    bool changed[SHARD_COUNT]);

#endif
