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

static void row_take(struct lease_row *row, const char *owner, const char *incarnation,
                     int64_t expires_at)
{
    strncpy(row->owner, owner, sizeof row->owner - 1);
    strncpy(row->incarnation, incarnation, sizeof row->incarnation - 1);
    row->epoch++;
    row->expires_at = expires_at;
}

/* Ours until now, lapsed ones too where nobody took them; the last ones over the share go back. */
static int renew(struct lease_row rows[SHARD_COUNT], const char *owner, const char *incarnation,
                 int share, int64_t now_ms, int64_t lease_ms, bool changed[SHARD_COUNT],
                 uint64_t *owned)
{
    int count = 0, given_back = 0, over = -share;

    for (int i = 0; i < SHARD_COUNT; i++)
        over += row_is(&rows[i], owner, incarnation) && rows[i].expires_at > now_ms;
    for (int i = SHARD_COUNT - 1; i >= 0; i--) {
        struct lease_row *row = &rows[i];
        if (!row_is(row, owner, incarnation))
            continue;
        bool live = row->expires_at > now_ms;
        if (live && given_back < over && given_back < GIVE_BACK_MAX) {
            row->expires_at = now_ms;
            given_back++;
            changed[i] = true;
            continue;
        }
        if (!live)
            continue; /* free for all, us too */
        row->expires_at = now_ms + lease_ms;
        changed[i] = true;
        *owned |= UINT64_C(1) << i;
        count++;
    }
    return count;
}

/* From our place in the ring on, so that peers that start together do not meet. */
static int take_free(struct lease_row rows[SHARD_COUNT], const char *owner,
                     const char *incarnation, int first, int room, int64_t free_since_ms,
                     int64_t expires_at, bool changed[SHARD_COUNT], uint64_t *owned)
{
    int taken = 0;

    for (int n = 0; n < SHARD_COUNT && taken < room; n++) {
        int i = (first + n) % SHARD_COUNT;
        struct lease_row *row = &rows[i];
        if (*owned >> i & 1 || changed[i] || !row_free(row, free_since_ms))
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
