#include "job-execute/seen.h"

#include "base/memory.h"
#include "base/random.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 1024 };

/* Lowest bit: refused. The rest: hash, never 0 as a whole, since 0 is an empty slot. */
static uint64_t entry_of(const struct seen *seen, int64_t run_id, int32_t attempt, int32_t token)
{
    struct {
        int64_t run_id;
        int32_t attempt, token;
    } text = { run_id, attempt, token };
    uint64_t hash;

    _Static_assert(sizeof hash == crypto_shorthash_BYTES, "size of the hash");
    _Static_assert(sizeof seen->key == crypto_shorthash_KEYBYTES, "size of the key");
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)&text, sizeof text, seen->key);
    return (hash | 2) & ~(uint64_t)1;
}

static void table_init(struct seen_table *table)
{
    table->count = 0;
    table->capacity = CAPACITY_FIRST;
    table->slots = memory_alloc(table->capacity * sizeof *table->slots);
}

/* The slot of the entry, or the empty one where it would stand. */
static uint64_t *table_slot(const struct seen_table *table, uint64_t entry)
{
    size_t mask = table->capacity - 1;
    size_t i = (size_t)(entry >> 2) & mask;

    while (table->slots[i] && (table->slots[i] & ~(uint64_t)1) != entry)
        i = (i + 1) & mask;
    return &table->slots[i];
}

static void table_grow(struct seen_table *table)
{
    struct seen_table larger = { NULL, table->count, table->capacity * 2 };

    larger.slots = memory_alloc(larger.capacity * sizeof *larger.slots);
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i])
            *table_slot(&larger, table->slots[i] & ~(uint64_t)1) = table->slots[i];
    free(table->slots);
    *table = larger;
}

void seen_init(struct seen *seen, int64_t mono_ms)
{
    table_init(&seen->now);
    table_init(&seen->before);
    seen->turned_ms = mono_ms;
    random_bytes(seen->key, sizeof seen->key);
}

void seen_done(struct seen *seen)
{
    free(seen->now.slots);
    free(seen->before.slots);
    memset(seen, 0, sizeof *seen);
}

enum seen_state seen_find(const struct seen *seen, int64_t run_id, int32_t attempt, int32_t token)
{
    uint64_t entry = entry_of(seen, run_id, attempt, token);
    uint64_t found = *table_slot(&seen->now, entry);

    if (!found)
        found = *table_slot(&seen->before, entry);
    if (!found)
        return SEEN_NOT;
    return found & 1 ? SEEN_REFUSED : SEEN_TAKEN;
}

void seen_add(struct seen *seen, int64_t run_id, int32_t attempt, int32_t token, bool refused,
              int64_t mono_ms)
{
    uint64_t entry = entry_of(seen, run_id, attempt, token);
    uint64_t *slot;

    seen_turn(seen, mono_ms);
    if (seen->now.count * 4 >= seen->now.capacity * 3)
        table_grow(&seen->now);
    slot = table_slot(&seen->now, entry);
    if (!*slot)
        seen->now.count++;
    *slot = entry | (refused ? 1 : 0);
}

void seen_turn(struct seen *seen, int64_t mono_ms)
{
    if (mono_ms - seen->turned_ms < SEEN_KEEP_MS)
        return;
    free(seen->before.slots);
    seen->before = seen->now;
    table_init(&seen->now);
    seen->turned_ms = mono_ms;
}
