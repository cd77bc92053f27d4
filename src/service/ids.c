#include "service/ids.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

/*
 * Two blocks of the sequence: the one in use and its reserve. While the reserve is empty it is
 * fetched, one fetch at a time. The sequence goes round after 2^38; by then its day is long over.
 */
enum { SEQUENCE_BITS = ID_DAY_SHIFT };
#define SEQUENCE_MASK ((INT64_C(1) << SEQUENCE_BITS) - 1)

struct block {
    int64_t next, end;
};

/* A fetch belongs to the store until it is done, so it outlives an ids that is freed meanwhile. */
struct fetch {
    struct ids *ids; /* NULL: freed */
    const char *kind;
    int64_t size, first;
};

struct ids {
    struct db *db;
    const char *kind;
    int64_t block_size;
    struct block now, reserve;
    struct fetch *fetch;
    void (*on_ready)(void *ctx);
    void *on_ready_ctx;
};

static void fetch_start(struct ids *ids);

/* Adds count to the sequence and gives its value before; makes the row where it is the first. */
static int sequence_add(struct db_tx *tx, const char *kind, int64_t count, int64_t *ret_first,
                        struct error *err)
{
    static const char update[] =
        "UPDATE id_sequence SET next_value = next_value + ? WHERE kind = ?";
    const struct db_value values[] = { DB_I(count), DB_T(kind) };
    struct db_result *result;
    int64_t rows = 0;
    int rc = -1;

    if (db_exec(tx, update, values, 2, DB_ANY_ROWS, &rows, err) < 0)
        return -1;
    if (rows == 0) {
        const struct db_value row[] = { DB_T(kind), DB_I(1) };
        if (db_insert_new(tx, "id_sequence", "kind, next_value", row, 2, 1, NULL, err) < 0 ||
            db_exec(tx, update, values, 2, 1, NULL, err) < 0)
            return -1;
    }
    struct arena *arena = arena_new();
    if (DB_QUERY(tx, arena, &result, err, "SELECT next_value FROM id_sequence WHERE kind = ?",
                 DB_T(kind)) == 0) {
        if (db_next(result)) {
            *ret_first = db_int(result, 0) - count;
            rc = 0;
        } else {
            error_set(err, ERR_INTERNAL, "the sequence %s is not in id_sequence", kind);
        }
    }
    arena_free(&arena);
    return rc;
}

static int64_t id_make(int64_t time_ms, int64_t sequence)
{
    return time_day(time_ms) << ID_DAY_SHIFT | (sequence & SEQUENCE_MASK);
}

static int fetch_run(struct db_tx *tx, void *ctx, struct error *err)
{
    struct fetch *fetch = ctx;

    return sequence_add(tx, fetch->kind, fetch->size, &fetch->first, err);
}

/* An unknown outcome may leave a hole; it is never a block given twice, since we drop it. */
static void fetch_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct fetch *fetch = ctx;
    struct ids *ids = fetch->ids;
    struct block block = { fetch->first, fetch->first + fetch->size };

    free(fetch);
    if (!ids)
        return;
    ids->fetch = NULL;
    if (outcome != DB_OK) {
        /* tried again by the next ids_next: the store itself waits while it is away */
        LOG_WARN("no new block of ids; trying again", "kind", ids->kind, "why",
                 err ? error_english(err) : "outcome unknown");
        return;
    }
    bool was_empty = ids->now.next == ids->now.end;
    *(was_empty ? &ids->now : &ids->reserve) = block;
    if (was_empty)
        fetch_start(ids);
    if (was_empty && ids->on_ready)
        ids->on_ready(ids->on_ready_ctx);
}

static void fetch_start(struct ids *ids)
{
    if (ids->fetch || ids->reserve.next != ids->reserve.end)
        return;
    struct fetch *fetch = memory_alloc(sizeof *fetch);
    *fetch = (struct fetch){ .ids = ids, .kind = ids->kind, .size = ids->block_size };
    ids->fetch = fetch;
    db_submit(ids->db, DB_POOL_SCHEDULE, fetch_run, fetch, fetch_done);
}

struct ids *ids_new(struct db *db, const char *kind, int64_t block_size)
{
    struct ids *ids = memory_alloc(sizeof *ids);

    *ids = (struct ids){ .db = db, .kind = kind, .block_size = block_size };
    fetch_start(ids);
    return ids;
}

void ids_free(struct ids **ids)
{
    if (!*ids)
        return;
    if ((*ids)->fetch)
        (*ids)->fetch->ids = NULL;
    free(*ids);
    *ids = NULL;
}

int64_t ids_next(struct ids *ids, int64_t time_ms)
{
    if (ids->now.next == ids->now.end) {
        ids->now = ids->reserve;
        ids->reserve = (struct block){ 0 };
        fetch_start(ids);
        if (ids->now.next == ids->now.end)
            return 0;
    }
    return id_make(time_ms, ids->now.next++);
}

bool ids_available(const struct ids *ids, int64_t count)
{
    return ids->now.end - ids->now.next + ids->reserve.end - ids->reserve.next >= count;
}

void ids_on_ready(struct ids *ids, void (*on_ready)(void *), void *ctx)
{
    ids->on_ready = on_ready;
    ids->on_ready_ctx = ctx;
}

int ids_take(struct db_tx *tx, const char *kind, int64_t time_ms, int64_t *ret_id,
             struct error *err)
{
    int64_t sequence;

    if (sequence_add(tx, kind, 1, &sequence, err) < 0)
        return -1;
    *ret_id = id_make(time_ms, sequence);
    return 0;
}
