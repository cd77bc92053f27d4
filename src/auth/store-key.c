#include "auth/store-private.h"

/* --- API keys --------------------------------------------------------------------------------- */

#define KEY_COLUMNS                                                                         \
    "k.id, k.user_id, u.name, k.key_id, k.secret_hash, k.old_hash, k.old_until, k.name, "   \
    "k.addresses, k.created_at, k.expires_at, k.revoked_at, k.used_at, k.used_address "     \
    "FROM api_key k JOIN user_account u ON u.id = k.user_id "

static void key_read(const struct db_result *row, struct api_key *key)
{
    *key = (struct api_key){
        .id = (int32_t)db_int(row, 0),
        .user_id = (int32_t)db_int(row, 1),
        .user_name = store_text(row, 2),
        .key_id = store_text(row, 3),
        .secret_hash = store_text(row, 4),
        .old_hash = store_text(row, 5),
        .old_until = db_int(row, 6),
        .name = store_text(row, 7),
        .addresses = store_text(row, 8),
        .created_at = db_int(row, 9),
        .expires_at = db_int(row, 10),
        .revoked_at = db_int(row, 11),
        .used_at = db_int(row, 12),
        .used_address = store_text(row, 13),
    };
}

/* Of keys in the order of their ids. */
static int key_grants_load(struct db_tx *tx, struct arena *arena, struct api_key *keys,
                           size_t count, struct error *err)
{
    struct db_result *rows;
    struct grant_rows grants;

    if (count == 0)
        return 0;
    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT api_key_id, group_id, role FROM api_key_role WHERE api_key_id >= ? "
                 "AND api_key_id <= ? ORDER BY api_key_id, group_id", DB_I(keys[0].id),
                 DB_I(keys[count - 1].id)) < 0)
        return -1;
    grant_rows_read(rows, arena, &grants);
    for (size_t i = 0; i < count; i++)
        keys[i].grants = grant_rows_of(&grants, keys[i].id, &keys[i].grant_count);
    return 0;
}

static int key_one(struct db_tx *tx, struct arena *arena, struct db_result *rows,
                   struct api_key *ret, struct error *err)
{
    if (!db_next(rows))
        return 0;
    key_read(rows, ret);
    return key_grants_load(tx, arena, ret, 1, err) < 0 ? -1 : 1;
}

int store_key_find(struct db_tx *tx, struct arena *arena, const char *key_id, struct api_key *ret,
                   struct error *err)
{
    struct db_result *rows;

    if (DB_QUERY(tx, arena, &rows, err, "SELECT " KEY_COLUMNS "WHERE k.key_id = ?",
                 DB_T(key_id)) < 0)
        return -1;
    return key_one(tx, arena, rows, ret, err);
}

int store_key_load(struct db_tx *tx, struct arena *arena, int64_t id, struct api_key *ret,
                   struct error *err)
{
    struct db_result *rows;

    if (DB_QUERY(tx, arena, &rows, err, "SELECT " KEY_COLUMNS "WHERE k.id = ?", DB_I(id)) < 0)
        return -1;
    return key_one(tx, arena, rows, ret, err);
}

static int key_list_query(struct db_tx *tx, struct arena *arena, int64_t user_id, int64_t after_id,
                          int64_t limit, struct db_result **ret_rows, struct error *err)
{
    if (user_id == 0)
        return DB_QUERY(tx, arena, ret_rows, err,
                        "SELECT " KEY_COLUMNS "WHERE k.id > ? ORDER BY k.id LIMIT ?",
                        DB_I(after_id), DB_I(limit));
    return DB_QUERY(tx, arena, ret_rows, err,
                    "SELECT " KEY_COLUMNS "WHERE k.user_id = ? AND k.id > ? ORDER BY k.id LIMIT ?",
                    DB_I(user_id), DB_I(after_id), DB_I(limit));
}

int store_key_list(struct db_tx *tx, struct arena *arena, int64_t user_id, int64_t after_id,
                   int64_t limit, struct api_key **ret_keys, size_t *ret_count, struct error *err)
{
    struct db_result *rows;
    struct api_key *keys;
    size_t count = 0;

    if (key_list_query(tx, arena, user_id, after_id, limit, &rows, err) < 0)
        return -1;
    keys = ARENA_ARRAY(arena, struct api_key, db_row_count(rows) + 1);
    while (db_next(rows))
        key_read(rows, &keys[count++]);
    *ret_keys = keys;
    *ret_count = count;
    return key_grants_load(tx, arena, keys, count, err);
}

int store_key_count(struct db_tx *tx, struct arena *arena, int64_t user_id, int64_t *ret_count,
                    struct error *err)
{
    struct db_result *rows;

    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT COUNT(*) FROM api_key WHERE user_id = ? AND revoked_at IS NULL",
                 DB_I(user_id)) < 0)
        return -1;
    *ret_count = db_next(rows) ? db_int(rows, 0) : 0;
    return 0;
}

int store_key_insert(struct db_tx *tx, struct api_key *key, struct error *err)
{
    if (DB_EXEC(tx,
                "INSERT INTO api_key (key_id, secret_hash, user_id, name, addresses, created_at, "
                "expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)", 1, err, DB_T(key->key_id),
                DB_T(key->secret_hash), DB_I(key->user_id), DB_T(key->name), DB_T(key->addresses),
                DB_I(key->created_at), store_time(key->expires_at)) < 0)
        return -1;
    key->id = (int32_t)db_last_id(tx);
    return store_grants_insert(
        tx, "INSERT INTO api_key_role (api_key_id, group_id, role) VALUES (?, ?, ?)", key->id,
        key->grants, key->grant_count, err);
}

int store_key_rotate(struct db_tx *tx, const struct api_key *key, struct error *err)
{
    return DB_EXEC(tx,
                   "UPDATE api_key SET old_hash = ?, old_until = ?, secret_hash = ? "
                   "WHERE id = ? AND secret_hash = ? AND revoked_at IS NULL", 1, err,
                   DB_T(key->old_hash), store_time(key->old_until), DB_T(key->secret_hash),
                   DB_I(key->id), DB_T(key->old_hash));
}

int store_key_revoke(struct db_tx *tx, int64_t id, int64_t now_ms, struct error *err)
{
    return DB_EXEC(tx, "UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", 1,
                   err, DB_I(now_ms), DB_I(id));
}

int store_key_touch(struct db_tx *tx, int64_t id, int64_t now_ms, const char *address,
                    struct error *err)
{
    return DB_EXEC(tx,
                   "UPDATE api_key SET used_at = ?, used_address = ? "
                   "WHERE id = ? AND (used_at IS NULL OR used_at < ?)", DB_ANY_ROWS, err,
                   DB_I(now_ms), DB_T(address), DB_I(id), DB_I(now_ms));
}

/* --- nodes ------------------------------------------------------------------------------------ */

#define NODE_COLUMNS "name, public_key, services, enrolled_at, revoked_at"

static void node_read(const struct db_result *row, struct enrolled_node *node)
{
    *node = (struct enrolled_node){
        .name = store_text(row, 0),
        .public_key = store_text(row, 1),
        .services = store_text(row, 2),
        .enrolled_at = db_int(row, 3),
        .revoked_at = db_int(row, 4),
    };
}

int store_node_find(struct db_tx *tx, struct arena *arena, const char *name,
                    struct enrolled_node *ret, struct error *err)
{
    struct db_result *rows;

    if (DB_QUERY(tx, arena, &rows, err, "SELECT " NODE_COLUMNS " FROM node WHERE name = ?",
                 DB_T(name)) < 0)
        return -1;
    if (!db_next(rows))
        return 0;
    node_read(rows, ret);
    return 1;
}

/* Two statements, since no form of "insert or else update" is the same on three databases. */
int store_node_put(struct db_tx *tx, const struct enrolled_node *node, struct error *err)
{
    struct db_value row[] = { DB_T(node->name), DB_T(node->public_key), DB_T(node->services),
                              DB_I(node->enrolled_at) };

    if (db_insert_new(tx, "node", "name, public_key, services, enrolled_at", row, 4, 1, NULL,
                      err) < 0)
        return -1;
    return DB_EXEC(tx,
                   "UPDATE node SET public_key = ?, services = ?, enrolled_at = ? WHERE name = ?", 1,
                   err, DB_T(node->public_key), DB_T(node->services), DB_I(node->enrolled_at),
                   DB_T(node->name));
}

int store_node_list(struct db_tx *tx, struct arena *arena, struct enrolled_node **ret_nodes,
                    size_t *ret_count, struct error *err)
{
    struct db_result *rows;
    struct enrolled_node *nodes;
    size_t count = 0;

    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT " NODE_COLUMNS " FROM node WHERE enrolled_at > ? ORDER BY name LIMIT 1000",
                 DB_I(0)) < 0)
        return -1;
    nodes = ARENA_ARRAY(arena, struct enrolled_node, db_row_count(rows) + 1);
    while (db_next(rows))
        node_read(rows, &nodes[count++]);
    *ret_nodes = nodes;
    *ret_count = count;
    return 0;
}

int store_node_revoke(struct db_tx *tx, const char *name, int64_t now_ms, int64_t *ret_found,
                      struct error *err)
{
    struct db_value values[] = { DB_I(now_ms), DB_T(name) };

    return db_exec(tx, "UPDATE node SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL",
                   values, 2, DB_ANY_ROWS, ret_found, err);
}

int store_node_delete(struct db_tx *tx, const char *name, int64_t *ret_found, struct error *err)
{
    struct db_value values[] = { DB_T(name) };

    return db_exec(tx, "DELETE FROM node WHERE name = ?", values, 1, DB_ANY_ROWS, ret_found, err);
}
