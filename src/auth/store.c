#include "auth/store-private.h"

#include <assert.h>

/* --- grants of anything ----------------------------------------------------------------------- */

void grant_rows_read(struct db_result *rows, struct arena *arena, struct grant_rows *ret)
{
    size_t count = db_row_count(rows);

    ret->ids = ARENA_ARRAY(arena, int64_t, count + 1);
    ret->grants = ARENA_ARRAY(arena, struct grant, count + 1);
    for (ret->count = 0; db_next(rows); ret->count++) {
        ret->ids[ret->count] = db_int(rows, 0);
        ret->grants[ret->count] = (struct grant){ .group_id = (int32_t)db_int(rows, 1),
                                                  .role = (int32_t)db_int(rows, 2) };
    }
}

struct grant *grant_rows_of(const struct grant_rows *rows, int64_t id, size_t *ret_count)
{
    size_t low = 0, high = rows->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    for (high = low; high < rows->count && rows->ids[high] == id; high++)
        ;
    *ret_count = high - low;
    return rows->grants + low;
}

int store_grants_insert(struct db_tx *tx, const char *sql, int64_t id, const struct grant *grants,
                        size_t count, struct error *err)
{
    struct db_value values[GRANTS_MAX * 3];

    assert(count <= GRANTS_MAX);
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        values[i * 3] = DB_I(id);
        values[i * 3 + 1] = DB_I(grants[i].group_id);
        values[i * 3 + 2] = DB_I(grants[i].role);
    }
    return db_exec_many(tx, sql, values, 3, count, NULL, err);
}

/* --- first start, administrators --------------------------------------------------------------- */

int store_setup_complete(struct db_tx *tx, struct arena *arena, bool *ret_complete,
                         struct error *err)
{
    struct db_result *rows;

    if (DB_QUERY(tx, arena, &rows, err, "SELECT id FROM setup WHERE id = ?", DB_I(1)) < 0)
        return -1;
    *ret_complete = db_next(rows);
    return 0;
}

int store_setup_insert(struct db_tx *tx, int64_t now_ms, struct error *err)
{
    return DB_EXEC(tx, "INSERT INTO setup (id, completed_at, changes) VALUES (1, ?, 0)", 1, err,
                   DB_I(now_ms));
}

int store_administrators_lock(struct db_tx *tx, struct error *err)
{
    return DB_EXEC(tx, "UPDATE setup SET changes = changes + 1 WHERE id = ?", 1, err, DB_I(1));
}

int store_administrators_count(struct db_tx *tx, struct arena *arena, int64_t *ret_count,
                               struct error *err)
{
    struct db_result *rows;

    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT COUNT(*) FROM user_account u JOIN user_role r ON r.user_id = u.id "
                 "WHERE u.disabled = 0 AND r.group_id = 0 AND r.role = ?",
                 DB_I(ROLE_ADMINISTRATOR)) < 0)
        return -1;
    *ret_count = db_next(rows) ? db_int(rows, 0) : 0;
    return 0;
}

/* --- users ------------------------------------------------------------------------------------ */

#define USER_COLUMNS \
    "id, name, display_name, password, epoch, disabled, created_at, updated_at, signed_in_at"

static void user_read(const struct db_result *row, struct user *user)
{
    *user = (struct user){
        .id = (int32_t)db_int(row, 0),
        .name = store_text(row, 1),
        .display_name = store_text(row, 2),
        .password = store_text(row, 3),
        .epoch = db_int(row, 4),
        .disabled = db_int(row, 5) != 0,
        .created_at = db_int(row, 6),
        .updated_at = db_int(row, 7),
        .signed_in_at = db_int(row, 8),
    };
}

/* Of users in the order of their ids. */
static int user_grants_load(struct db_tx *tx, struct arena *arena, struct user *users, size_t count,
                            struct error *err)
{
    struct db_result *rows;
    struct grant_rows grants;

    if (count == 0)
        return 0;
    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT user_id, group_id, role FROM user_role WHERE user_id >= ? "
                 "AND user_id <= ? ORDER BY user_id, group_id", DB_I(users[0].id),
                 DB_I(users[count - 1].id)) < 0)
        return -1;
    grant_rows_read(rows, arena, &grants);
    for (size_t i = 0; i < count; i++)
        users[i].grants = grant_rows_of(&grants, users[i].id, &users[i].grant_count);
    return 0;
}

static int user_one(struct db_tx *tx, struct arena *arena, struct db_result *rows,
                    struct user *ret, struct error *err)
{
    if (!db_next(rows))
        return 0;
    user_read(rows, ret);
    return user_grants_load(tx, arena, ret, 1, err) < 0 ? -1 : 1;
}

int store_user_find(struct db_tx *tx, struct arena *arena, const char *name, struct user *ret,
                    struct error *err)
{
    struct db_result *rows;

    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT " USER_COLUMNS " FROM user_account WHERE name = ?", DB_T(name)) < 0)
        return -1;
    return user_one(tx, arena, rows, ret, err);
}

int store_user_load(struct db_tx *tx, struct arena *arena, int64_t id, struct user *ret,
                    struct error *err)
{
    struct db_result *rows;

    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT " USER_COLUMNS " FROM user_account WHERE id = ?", DB_I(id)) < 0)
        return -1;
    return user_one(tx, arena, rows, ret, err);
}

int store_user_list(struct db_tx *tx, struct arena *arena, int64_t after_id, int64_t limit,
                    struct user **ret_users, size_t *ret_count, struct error *err)
{
    struct db_result *rows;
    struct user *users;
    size_t count = 0;

    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT " USER_COLUMNS " FROM user_account WHERE id > ? ORDER BY id LIMIT ?",
                 DB_I(after_id), DB_I(limit)) < 0)
        return -1;
    users = ARENA_ARRAY(arena, struct user, db_row_count(rows) + 1);
    while (db_next(rows))
        user_read(rows, &users[count++]);
    *ret_users = users;
    *ret_count = count;
    return user_grants_load(tx, arena, users, count, err);
}

int store_user_insert(struct db_tx *tx, struct user *user, struct error *err)
{
    if (DB_EXEC(tx,
                "INSERT INTO user_account (name, display_name, password, epoch, disabled, "
                "created_at, updated_at) VALUES (?, ?, ?, 1, 0, ?, ?)", 1, err, DB_T(user->name),
                DB_T(user->display_name), DB_T(user->password), DB_I(user->created_at),
                DB_I(user->created_at)) < 0)
        return -1;
    user->id = (int32_t)db_last_id(tx);
    return store_user_roles(tx, user->id, user->grants, user->grant_count, err);
}

int store_user_update(struct db_tx *tx, const struct user *user, struct error *err)
{
    return DB_EXEC(tx,
                   "UPDATE user_account SET display_name = ?, disabled = ?, epoch = ?, "
                   "updated_at = ? WHERE id = ?", 1, err, DB_T(user->display_name),
                   DB_I(user->disabled), DB_I(user->epoch), DB_I(user->updated_at),
                   DB_I(user->id));
}

int store_user_password(struct db_tx *tx, int64_t id, const char *password, int64_t now_ms,
                        struct error *err)
{
    if (DB_EXEC(tx,
                "UPDATE user_account SET password = ?, epoch = epoch + 1, updated_at = ? "
                "WHERE id = ?", 1, err, DB_T(password), DB_I(now_ms), DB_I(id)) < 0)
        return -1;
    return store_session_delete(tx, id, 0, NULL, err);
}

int store_user_rehash(struct db_tx *tx, int64_t id, const char *old, const char *password,
                      struct error *err)
{
    return DB_EXEC(tx, "UPDATE user_account SET password = ? WHERE id = ? AND password = ?",
                   DB_ANY_ROWS, err, DB_T(password), DB_I(id), DB_T(old));
}

int store_user_signed_in(struct db_tx *tx, int64_t id, int64_t now_ms, struct error *err)
{
    return DB_EXEC(tx, "UPDATE user_account SET signed_in_at = ? WHERE id = ?", 1, err,
                   DB_I(now_ms), DB_I(id));
}

int store_user_roles(struct db_tx *tx, int64_t id, const struct grant *grants, size_t count,
                     struct error *err)
{
    if (DB_EXEC(tx, "DELETE FROM user_role WHERE user_id = ?", DB_ANY_ROWS, err, DB_I(id)) < 0)
        return -1;
    return store_grants_insert(
        tx, "INSERT INTO user_role (user_id, group_id, role) VALUES (?, ?, ?)", id, grants, count,
        err);
}

int store_user_delete(struct db_tx *tx, int64_t id, struct error *err)
{
    if (store_session_delete(tx, id, 0, NULL, err) < 0 ||
        DB_EXEC(tx, "DELETE FROM user_role WHERE user_id = ?", DB_ANY_ROWS, err, DB_I(id)) < 0 ||
        DB_EXEC(tx,
                "DELETE FROM api_key_role WHERE api_key_id IN "
                "(SELECT id FROM api_key WHERE user_id = ?)", DB_ANY_ROWS, err, DB_I(id)) < 0 ||
        DB_EXEC(tx, "DELETE FROM api_key WHERE user_id = ?", DB_ANY_ROWS, err, DB_I(id)) < 0)
        return -1;
    return DB_EXEC(tx, "DELETE FROM user_account WHERE id = ?", 1, err, DB_I(id));
}

/* --- sessions --------------------------------------------------------------------------------- */

#define SESSION_COLUMNS \
    "id, user_id, token_hash, epoch, created_at, used_at, expires_at, address, user_agent"

static void session_read(const struct db_result *row, struct session *session)
{
    *session = (struct session){
        .id = (int32_t)db_int(row, 0),
        .user_id = (int32_t)db_int(row, 1),
        .token_hash = store_text(row, 2),
        .epoch = db_int(row, 3),
        .created_at = db_int(row, 4),
        .used_at = db_int(row, 5),
        .expires_at = db_int(row, 6),
        .address = store_text(row, 7),
        .user_agent = store_text(row, 8),
    };
}

int store_session_insert(struct db_tx *tx, struct session *session, struct error *err)
{
    if (DB_EXEC(tx,
                "INSERT INTO session (token_hash, user_id, epoch, created_at, used_at, expires_at, "
                "address, user_agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", 1, err,
                DB_T(session->token_hash), DB_I(session->user_id), DB_I(session->epoch),
                DB_I(session->created_at), DB_I(session->used_at), DB_I(session->expires_at),
                DB_T(session->address), DB_T(session->user_agent)) < 0)
        return -1;
    session->id = (int32_t)db_last_id(tx);
    return 0;
}

int store_session_find(struct db_tx *tx, struct arena *arena, const char *token_hash,
                       struct session *ret, struct user *ret_user, struct error *err)
{
    struct db_result *rows;

    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT " SESSION_COLUMNS " FROM session WHERE token_hash = ?",
                 DB_T(token_hash)) < 0)
        return -1;
    if (!db_next(rows))
        return 0;
    session_read(rows, ret);
    return store_user_load(tx, arena, ret->user_id, ret_user, err);
}

int store_session_list(struct db_tx *tx, struct arena *arena, int64_t user_id,
                       struct session **ret_sessions, size_t *ret_count, struct error *err)
{
    struct db_result *rows;
    struct session *sessions;
    size_t count = 0;

    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT " SESSION_COLUMNS " FROM session WHERE user_id = ? ORDER BY id DESC "
                 "LIMIT ?", DB_I(user_id), DB_I(SESSIONS_PER_USER_MAX)) < 0)
        return -1;
    sessions = ARENA_ARRAY(arena, struct session, db_row_count(rows) + 1);
    while (db_next(rows))
        session_read(rows, &sessions[count++]);
    *ret_sessions = sessions;
    *ret_count = count;
    return 0;
}

int store_session_delete(struct db_tx *tx, int64_t user_id, int64_t id, int64_t *ret_deleted,
                         struct error *err)
{
    struct db_value values[] = { DB_I(user_id), DB_I(id) };

    if (id == 0)
        return db_exec(tx, "DELETE FROM session WHERE user_id = ?", values, 1, DB_ANY_ROWS,
                       ret_deleted, err);
    return db_exec(tx, "DELETE FROM session WHERE user_id = ? AND id = ?", values, 2, DB_ANY_ROWS,
                   ret_deleted, err);
}

int store_session_touch(struct db_tx *tx, int64_t id, int64_t now_ms, struct error *err)
{
    return DB_EXEC(tx, "UPDATE session SET used_at = ? WHERE id = ? AND used_at < ?", DB_ANY_ROWS,
                   err, DB_I(now_ms), DB_I(id), DB_I(now_ms));
}

int store_session_expire(struct db_tx *tx, int64_t now_ms, int64_t used_before, struct error *err)
{
    return DB_EXEC(tx, "DELETE FROM session WHERE expires_at <= ? OR used_at <= ?", DB_ANY_ROWS,
                   err, DB_I(now_ms), DB_I(used_before));
}

int store_session_trim(struct db_tx *tx, struct arena *arena, int64_t user_id, struct error *err)
{
    struct session *sessions;
    size_t count;

    if (store_session_list(tx, arena, user_id, &sessions, &count, err) < 0)
        return -1;
    if (count < SESSIONS_PER_USER_MAX)
        return 0;
    /* The list ends with the oldest that may stay, now that one more comes. */
    return DB_EXEC(tx, "DELETE FROM session WHERE user_id = ? AND id <= ?", DB_ANY_ROWS, err,
                   DB_I(user_id), DB_I(sessions[count - 1].id));
}
