#include "service/audit.h"

#include "base/memory.h"

#include <sodium.h>
#include <string.h>

enum { HASH_SIZE = 32 };

/* One row as it is hashed and stored. */
struct row {
    int64_t sequence, at, actor_kind, actor_id, group_id;
    const char *service, *actor_name, *address, *action, *object, *detail;
};

static void hash_number(crypto_generichash_state *state, int64_t number)
{
    unsigned char bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> (56 - 8 * i));
    crypto_generichash_update(state, bytes, sizeof bytes);
}

/* The length goes first, so no two rows have the same bytes; -1 tells NULL from "". */
static void hash_text(crypto_generichash_state *state, const char *text)
{
    size_t size = text ? strlen(text) : 0;

    hash_number(state, text ? (int64_t)size : -1);
    if (size)
        crypto_generichash_update(state, (const unsigned char *)text, size);
}

static void row_hash(const struct row *row, const unsigned char before[HASH_SIZE],
                     unsigned char ret_hash[HASH_SIZE])
{
    const int64_t numbers[] = { row->sequence, row->at, row->actor_kind, row->actor_id,
                                row->group_id };
    const char *texts[] = { row->service, row->actor_name, row->address,
                            row->action,  row->object,     row->detail };
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, HASH_SIZE);
    crypto_generichash_update(&state, before, HASH_SIZE);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        hash_number(&state, numbers[i]);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        hash_text(&state, texts[i]);
    crypto_generichash_final(&state, ret_hash, HASH_SIZE);
}

static bool blob_copy(const struct db_result *result, int column, unsigned char hash[HASH_SIZE])
{
    size_t size = 0;
    const void *bytes = db_blob(result, column, &size);

    if (!bytes || size != HASH_SIZE)
        return false;
    memcpy(hash, bytes, HASH_SIZE);
    return true;
}

/* The chain's end, locked by the update itself until the transaction ends. */
static int head_advance(struct db_tx *tx, const char *service, int64_t *ret_sequence,
                        unsigned char ret_hash[HASH_SIZE], struct error *err)
{
    static const char update[] = "UPDATE audit_head SET sequence = sequence + 1 WHERE service = ?";
    static const unsigned char zero[HASH_SIZE];
    const struct db_value key[] = { DB_T(service) };
    struct db_result *result;
    int64_t rows = 0;
    int rc = -1;

    if (db_exec(tx, update, key, 1, DB_ANY_ROWS, &rows, err) < 0)
        return -1;
    if (rows == 0) {
        const struct db_value row[] = { DB_T(service), DB_I(0), DB_B(zero, sizeof zero) };
        if (db_insert_new(tx, "audit_head", "service, sequence, hash", row, 3, 1, NULL, err) < 0 ||
            db_exec(tx, update, key, 1, 1, NULL, err) < 0)
            return -1;
    }
    struct arena *arena = arena_new();
    if (DB_QUERY(tx, arena, &result, err, "SELECT sequence, hash FROM audit_head WHERE service = ?",
                 DB_T(service)) == 0) {
        if (db_next(result) && blob_copy(result, 1, ret_hash)) {
            *ret_sequence = db_int(result, 0);
            rc = 0;
        } else {
            error_set(err, ERR_INTERNAL, "the audit chain of %s has no end", service);
        }
    }
    arena_free(&arena);
    return rc;
}

int audit_write(struct db_tx *tx, const struct audit_entry *entry, struct error *err)
{
    const struct principal *actor = entry->actor;
    unsigned char before[HASH_SIZE], hash[HASH_SIZE];
    struct row row = {
        .at = db_now_ms(tx),
        .actor_kind = actor ? actor->kind : PRINCIPAL_SERVICE,
        .actor_id = actor ? actor->id : 0,
        .actor_name = actor ? actor->name : NULL,
        .service = entry->service,
        .address = entry->address,
        .action = entry->action,
        .object = entry->object,
        .group_id = entry->group_id,
        .detail = entry->detail,
    };

    if (head_advance(tx, entry->service, &row.sequence, before, err) < 0)
        return -1;
    row_hash(&row, before, hash);
    if (DB_EXEC(tx,
                "INSERT INTO audit_entry (service, sequence, at, actor_kind, actor_id, actor_name, "
                "address, action, object, group_id, detail, hash) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                1, err, DB_T(row.service), DB_I(row.sequence), DB_I(row.at), DB_I(row.actor_kind),
                DB_I(row.actor_id), DB_T(row.actor_name), DB_T(row.address), DB_T(row.action),
                DB_T(row.object), DB_I(row.group_id), DB_T(row.detail),
                DB_B(hash, sizeof hash)) < 0)
        return -1;
    return DB_EXEC(tx, "UPDATE audit_head SET hash = ? WHERE service = ?", 1, err,
                   DB_B(hash, sizeof hash), DB_T(entry->service));
}

/* --- verifying ------------------------------------------------------------------------------- */

enum { VERIFY_BATCH = 1000 };

static void row_read(const struct db_result *result, struct row *row)
{
    row->sequence = db_int(result, 0);
    row->at = db_int(result, 1);
    row->actor_kind = db_int(result, 2);
    row->actor_id = db_int(result, 3);
    row->actor_name = db_text(result, 4);
    row->address = db_text(result, 5);
    row->action = db_text(result, 6);
    row->object = db_text(result, 7);
    row->group_id = db_int(result, 8);
    row->detail = db_text(result, 9);
}

/* 1 more may follow, 0 the chain is broken at *ret_broken, 2 no more rows, -1 failed. */
static int verify_batch(struct db_tx *tx, const char *service, int64_t *sequence,
                        unsigned char hash[HASH_SIZE], int64_t *ret_broken, struct error *err)
{
    struct arena *arena = arena_new();
    struct db_result *result;
    int64_t count = 0;

    if (DB_QUERY(tx, arena, &result, err,
                 "SELECT sequence, at, actor_kind, actor_id, actor_name, address, action, object, "
                 "group_id, detail, hash FROM audit_entry WHERE service = ? AND sequence > ? "
                 "ORDER BY sequence LIMIT 1000",
                 DB_T(service), DB_I(*sequence)) < 0) {
        arena_free(&arena);
        return -1;
    }
    int rc = 1;
    for (; rc == 1 && db_next(result); count++) {
        struct row row = { .service = service };
        unsigned char want[HASH_SIZE], stored[HASH_SIZE] = { 0 };
        row_read(result, &row);
        row_hash(&row, hash, want);
        if (row.sequence != *sequence + 1 || !blob_copy(result, 10, stored) ||
            memcmp(want, stored, HASH_SIZE) != 0) {
            *ret_broken = *sequence + 1;
            rc = 0;
            break;
        }
        memcpy(hash, want, HASH_SIZE);
        *sequence = row.sequence;
    }
    arena_free(&arena);
    return rc == 1 && count < VERIFY_BATCH ? 2 : rc;
}

/* The end that the head names must be the end that is there: else the newest were cut off. */
static int verify_head(struct db_tx *tx, const char *service, int64_t sequence,
                       const unsigned char hash[HASH_SIZE], int64_t *ret_broken, struct error *err)
{
    struct arena *arena = arena_new();
    struct db_result *result;
    unsigned char head[HASH_SIZE] = { 0 };
    int rc = -1;

    if (DB_QUERY(tx, arena, &result, err, "SELECT sequence, hash FROM audit_head WHERE service = ?",
                 DB_T(service)) == 0) {
        bool whole = db_next(result)
                         ? db_int(result, 0) == sequence && blob_copy(result, 1, head) &&
                               memcmp(head, hash, HASH_SIZE) == 0
                         : sequence == 0;
        if (!whole)
            *ret_broken = sequence + 1;
        rc = whole;
    }
    arena_free(&arena);
    return rc;
}

int audit_verify(struct db_tx *tx, const char *service, int64_t *ret_entries, int64_t *ret_broken,
                 struct error *err)
{
    unsigned char hash[HASH_SIZE] = { 0 };
    int64_t sequence = 0;
    int rc;

    do
        rc = verify_batch(tx, service, &sequence, hash, ret_broken, err);
    while (rc == 1);
    *ret_entries = sequence;
    return rc == 2 ? verify_head(tx, service, sequence, hash, ret_broken, err) : rc;
}
