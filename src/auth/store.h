#ifndef BELFRY_AUTH_STORE_H
#define BELFRY_AUTH_STORE_H

#include "base/arena.h"
#include "db/db.h"
#include "service/permission.h"

/*
 * All SQL of the auth service; called inside transactions. What is found lives in arena. A look-up
 * returns 1 found, 0 none, -1 failed. Times are ms UTC, 0: not set. A change that must touch one
 * row and does not is DB_CONFLICT (db.h).
 */
struct user {
    int32_t id;
    char *name, *display_name;
    char *password;             /* Argon2id text */
    int64_t epoch;
    bool disabled;
    int64_t created_at, updated_at, signed_in_at;
    struct grant *grants;
    size_t grant_count;
};

struct session {
    int32_t id, user_id;
    char *token_hash;
    int64_t epoch, created_at, used_at, expires_at;
    char *address, *user_agent;
};

struct api_key {
    int32_t id, user_id;
    char *user_name;            /* of the owner; read only */
    char *key_id, *secret_hash, *old_hash;
    int64_t old_until;
    char *name, *addresses;     /* addresses: CIDR list or NULL for everywhere */
    int64_t created_at, expires_at, revoked_at, used_at;
    char *used_address;
    struct grant *grants;
    size_t grant_count;
};

struct enrolled_node {
    char *name, *public_key, *services;
    int64_t enrolled_at, revoked_at;
};

enum { GRANTS_MAX = 200, SESSIONS_PER_USER_MAX = 50, KEYS_PER_USER_MAX = 200 };

/* --- first start, administrators ---- */
int store_setup_complete(struct db_tx *tx, struct arena *arena, bool *ret_complete,
                         struct error *err);
/* DB_CONFLICT when somebody else was first. */
int store_setup_insert(struct db_tx *tx, int64_t now_ms, struct error *err);
/* Until the end of the transaction nobody else takes an administrator away. */
int store_administrators_lock(struct db_tx *tx, struct error *err);
/* Users who are not disabled and have the role over all groups. */
int store_administrators_count(struct db_tx *tx, struct arena *arena, int64_t *ret_count,
                               struct error *err);

/* --- users ---- */
int store_user_find(struct db_tx *tx, struct arena *arena, const char *name, struct user *ret,
                    struct error *err);
int store_user_load(struct db_tx *tx, struct arena *arena, int64_t id, struct user *ret,
                    struct error *err);
/* By id, those after after_id; grants included. */
int store_user_list(struct db_tx *tx, struct arena *arena, int64_t after_id, int64_t limit,
                    struct user **ret_users, size_t *ret_count, struct error *err);
int store_user_insert(struct db_tx *tx, struct user *user, struct error *err); /* sets id */
int store_user_update(struct db_tx *tx, const struct user *user, struct error *err);
/* New password, next epoch: the one way in which credentials change. */
int store_user_password(struct db_tx *tx, int64_t id, const char *password, int64_t now_ms,
                        struct error *err);
/* Same password under today's parameters; nothing when it was changed meanwhile. */
int store_user_rehash(struct db_tx *tx, int64_t id, const char *old, const char *password,
                      struct error *err);
int store_user_signed_in(struct db_tx *tx, int64_t id, int64_t now_ms, struct error *err);
int store_user_roles(struct db_tx *tx, int64_t id, const struct grant *grants, size_t count,
                     struct error *err);
/* With sessions, keys and roles. */
int store_user_delete(struct db_tx *tx, int64_t id, struct error *err);

/* --- sessions ---- */
int store_session_insert(struct db_tx *tx, struct session *session, struct error *err);
/* With the user it belongs to, grants included. */
int store_session_find(struct db_tx *tx, struct arena *arena, const char *token_hash,
                       struct session *ret, struct user *ret_user, struct error *err);
int store_session_list(struct db_tx *tx, struct arena *arena, int64_t user_id,
                       struct session **ret_sessions, size_t *ret_count, struct error *err);
/* Of this user only; ret_found: whether it was there. id 0: all of the user's. */
int store_session_delete(struct db_tx *tx, int64_t user_id, int64_t id, int64_t *ret_deleted,
                         struct error *err);
int store_session_touch(struct db_tx *tx, int64_t id, int64_t now_ms, struct error *err);
/* Those past their end or unused since used_before; and of one user all but the newest. */
int store_session_expire(struct db_tx *tx, int64_t now_ms, int64_t used_before,
                         struct error *err);
int store_session_trim(struct db_tx *tx, struct arena *arena, int64_t user_id, struct error *err);

/* --- API keys ---- */
int store_key_find(struct db_tx *tx, struct arena *arena, const char *key_id, struct api_key *ret,
                   struct error *err);
int store_key_load(struct db_tx *tx, struct arena *arena, int64_t id, struct api_key *ret,
                   struct error *err);
/* user_id 0: of all users. */
int store_key_list(struct db_tx *tx, struct arena *arena, int64_t user_id, int64_t after_id,
                   int64_t limit, struct api_key **ret_keys, size_t *ret_count,
                   struct error *err);
int store_key_count(struct db_tx *tx, struct arena *arena, int64_t user_id, int64_t *ret_count,
                    struct error *err);
int store_key_insert(struct db_tx *tx, struct api_key *key, struct error *err); /* sets id */
int store_key_rotate(struct db_tx *tx, const struct api_key *key, struct error *err);
int store_key_revoke(struct db_tx *tx, int64_t id, int64_t now_ms, struct error *err);
int store_key_touch(struct db_tx *tx, int64_t id, int64_t now_ms, const char *address,
                    struct error *err);

/* --- nodes ---- */
int store_node_find(struct db_tx *tx, struct arena *arena, const char *name,
                    struct enrolled_node *ret, struct error *err);
int store_node_put(struct db_tx *tx, const struct enrolled_node *node, struct error *err);
int store_node_list(struct db_tx *tx, struct arena *arena, struct enrolled_node **ret_nodes,
                    size_t *ret_count, struct error *err);
int store_node_revoke(struct db_tx *tx, const char *name, int64_t now_ms, int64_t *ret_found,
                      struct error *err);
int store_node_delete(struct db_tx *tx, const char *name, int64_t *ret_found, struct error *err);

/* --- audit ---- */
struct audit_filter {
    const char *service, *actor, *action, *object; /* NULL: any */
    int64_t from, until;                           /* [from, until) */
    int64_t limit;
};
struct audit_row {
    int64_t sequence, at;
    char *service;
    int32_t actor_kind;
    char *actor, *address, *action, *object, *detail;
    int64_t group_id;
};
/* Newest first; entries of one millisecond in an order that stays. */
int store_audit_search(struct db_tx *tx, struct arena *arena, const struct audit_filter *filter,
                       struct audit_row **ret_rows, size_t *ret_count, struct error *err);
/* Services that have a chain. */
int store_audit_services(struct db_tx *tx, struct arena *arena, const char *const **ret_names,
                         size_t *ret_count, struct error *err);

#endif
