#include "scheduler/lease.h"

#include <string.h>

enum { GIVE_BACK_MAX = 2 };

static bool row_is(const struct lease_row *row, const char *owner, const char *incarnation)
{
    return strcmp(row->owner, owner) == 0 && strcmp(row->incarnation, incarnation) == 0;
}

static bool row_free(const struct lease_row *row, int64_t now_ms)
{
    return row->owner[0] == '\0' || row->expires_at <= now_ms;
}

static int fair_share(const struct lease_peers *peers)
{
    int count = peers->count > 1 ? peers->count : 1;

    return (SHARD_COUNT + count - 1) / count;
}

/* Cut where it does not fit; what stood behind it goes. */
static void name_copy(char *target, size_t size, const char *name)
{
    size_t length = strlen(name);

    if (length > size - 1)
        length = size - 1;
    memset(target, 0, size);
    memcpy(target, name, length);
}

static void row_take(struct lease_row *row, const char *owner, const char *incarnation,
                     int64_t expires_at)
{
    name_copy(row->owner, sizeof row->owner, owner);
    name_copy(row->incarnation, sizeof row->incarnation, incarnation);
    row->epoch++;
    row->expires_at = expires_at;
}

/* Rows that our last round renewed all end at the same moment. */
static int64_t renewed_until(const struct lease_row rows[SHARD_COUNT], const char *owner,
                             const char *incarnation)
{
    int64_t until = 0;

    for (int i = 0; i < SHARD_COUNT; i++)
        if (row_is(&rows[i], owner, incarnation) && rows[i].expires_at > until)
            until = rows[i].expires_at;
    return until;
}

/*
 * Ours go on. What is over the share is given back by not renewing it: we may use it until the end
 * that we know, and nobody takes it before, whether or not we hear of this round.
 */
static int renew(struct lease_row rows[SHARD_COUNT], const char *owner, const char *incarnation,
                 int share, int64_t now_ms, int64_t lease_ms, bool changed[SHARD_COUNT],
                 uint64_t *owned)
{
    int64_t until = renewed_until(rows, owner, incarnation);
    int count = 0, given_back = 0;

    if (until <= now_ms)
        return 0; /* lapsed: free for all, us too */
    for (int i = 0; i < SHARD_COUNT; i++)
        count += row_is(&rows[i], owner, incarnation) && rows[i].expires_at == until;
    for (int i = SHARD_COUNT - 1; i >= 0; i--) {
        struct lease_row *row = &rows[i];
        if (!row_is(row, owner, incarnation) || row->expires_at != until)
            continue; /* given back in an earlier round */
        if (count > share && given_back < GIVE_BACK_MAX) {
            given_back++;
            count--;
            continue;
        }
        row->expires_at = now_ms + lease_ms;
        changed[i] = true;
        *owned |= UINT64_C(1) << i;
    }
    return count;
}

/* From our place in the ring on, so that peers that start together do not meet. */
static int take_free(struct lease_row rows[SHARD_COUNT], const char *owner, const char *incarnation,
                     int first, int room, int64_t free_since_ms, int64_t expires_at,
                     bool changed[SHARD_COUNT], uint64_t *owned)
{
    int taken = 0;

    for (int n = 0; n < SHARD_COUNT && taken < room; n++) {
        int i = (first + n) % SHARD_COUNT;
        struct lease_row *row = &rows[i];
        if (*owned >> i & 1 || !row_free(row, free_since_ms))
            continue;
        row_take(row, owner, incarnation, expires_at);
        changed[i] = true;
        *owned |= UINT64_C(1) << i;
        taken++;
    }
    return taken;
}

uint64_t lease_plan(struct lease_row rows[SHARD_COUNT], const char *owner, const char *incarnation,
                    const struct lease_peers *peers, int64_t now_ms, int64_t lease_ms,
                    bool changed[SHARD_COUNT])
{
    int share = fair_share(peers);
    int first = peers->rank > 0 ? peers->rank % SHARD_COUNT * share % SHARD_COUNT : 0;
    uint64_t owned = 0;

    memset(changed, 0, SHARD_COUNT * sizeof *changed);
    int count = renew(rows, owner, incarnation, share, now_ms, lease_ms, changed, &owned);
    if (count < share)
        take_free(rows, owner, incarnation, first, share - count, now_ms, now_ms + lease_ms,
                  changed, &owned);
    /* nobody wanted them for a whole lease: the count of peers is wrong */
    take_free(rows, owner, incarnation, first, SHARD_COUNT, now_ms - lease_ms, now_ms + lease_ms,
              changed, &owned);
    return owned;
}
