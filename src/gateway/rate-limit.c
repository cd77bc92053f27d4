#include "gateway/rate-limit.h"

#include "base/memory.h"
#include "base/random.h"

#include <sodium.h>
#include <stdlib.h>

enum { NEIGHBOURS = 4 };

struct bucket {
    uint64_t hash;     /* keyed, so that nobody can choose his neighbours; 0: unused */
    int64_t tokens;    /* in thousandths */
    int64_t filled_ms; /* when tokens was right */
};

struct rate_limit {
    int64_t per_second, burst;
    size_t mask;
    unsigned char key[crypto_shorthash_KEYBYTES];
    struct bucket *buckets;
};

struct rate_limit *rate_limit_new(int64_t per_second, int64_t burst, size_t buckets)
{
    struct rate_limit *limit;
    size_t count = NEIGHBOURS;

    if (per_second <= 0)
        return NULL;
    while (count < buckets)
        count *= 2;
    limit = memory_alloc(sizeof *limit);
    limit->per_second = per_second;
    limit->burst = burst > 0 ? burst : 1;
    limit->mask = count - 1;
    limit->buckets = memory_alloc(count * sizeof *limit->buckets);
    random_bytes(limit->key, sizeof limit->key);
    return limit;
}

void rate_limit_free(struct rate_limit **limit)
{
    if (!*limit)
        return;
    free((*limit)->buckets);
    free(*limit);
    *limit = NULL;
}

static uint64_t key_hash(const struct rate_limit *limit, struct str key)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t hash;

    crypto_shorthash(out, (const unsigned char *)key.bytes, key.size, limit->key);
    memcpy(&hash, out, sizeof hash);
    return hash ? hash : 1;
}

static int64_t tokens_now(const struct rate_limit *limit, const struct bucket *bucket,
                          int64_t now_ms)
{
    int64_t full = limit->burst * 1000;
    int64_t passed = now_ms > bucket->filled_ms ? now_ms - bucket->filled_ms : 0;

    /* per_second tokens a second are per_second thousandths a millisecond. */
    if (passed > full / limit->per_second)
        return full;
    int64_t tokens = bucket->tokens + passed * limit->per_second;
    return tokens < full ? tokens : full;
}

static struct bucket *bucket_find(struct rate_limit *limit, uint64_t hash, int64_t now_ms)
{
    size_t first = (hash >> 16) & limit->mask & ~(size_t)(NEIGHBOURS - 1);
    struct bucket *victim = NULL;
    int64_t most = -1;

    for (size_t i = 0; i < NEIGHBOURS; i++) {
        struct bucket *bucket = &limit->buckets[first + i];
        int64_t tokens;
        if (bucket->hash == hash)
            return bucket;
        tokens = bucket->hash ? tokens_now(limit, bucket, now_ms) : INT64_MAX;
        if (tokens > most) {
            most = tokens;
            victim = bucket;
        }
    }
    *victim = (struct bucket){ .hash = hash, .tokens = limit->burst * 1000, .filled_ms = now_ms };
    return victim;
}

int64_t rate_limit_take(struct rate_limit *limit, struct str key, int64_t now_ms)
{
    struct bucket *bucket;

    if (!limit)
        return 0;
    bucket = bucket_find(limit, key_hash(limit, key), now_ms);
    bucket->tokens = tokens_now(limit, bucket, now_ms);
    bucket->filled_ms = now_ms;
    if (bucket->tokens < 1000)
        return (1000 - bucket->tokens + limit->per_second - 1) / limit->per_second;
    bucket->tokens -= 1000;
    return 0;
}
