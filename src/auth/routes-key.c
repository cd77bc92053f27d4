#include "auth/routes-private.h"

#include "auth/grant.h"
#include "auth/group-names.h"
#include "auth/key.h"
#include "base/address.h"

#include <inttypes.h>
#include <sodium.h>

/* --- schemas ---------------------------------------------------------------------------------- */

enum { KEY_NAME_MAX = 64, OVERLAP_MAX_S = 30 * 86400, OVERLAP_DEFAULT_S = 3600 };

struct key_view {
    int64_t id;
    char *name, *owner, *prefix, *secret;
    struct role_grant *grants;
    size_t grant_count;
    char **addresses;
    size_t address_count;
    int64_t created_at, expires_at, revoked_at, used_at;
    char *used_address;
    int64_t old_until;
};
#define VIEW(kind_, member, text) \
    { .name = #member, .type = (kind_), .offset = offsetof(struct key_view, member), .about = (text) }
static const struct json_member key_members[] = {
    VIEW(JSON_INT, id, "Id of the key."),
    VIEW(JSON_TEXT, name, "What it is for."),
    VIEW(JSON_TEXT, owner, "User whose rights bound it."),
    VIEW(JSON_TEXT, prefix, "First part of the key, to recognise it by."),
    { .name = "key", .type = JSON_TEXT, .offset = offsetof(struct key_view, secret),
      .flags = JSON_OMIT_EMPTY, .about = "The key itself: only in the answer that made it." },
    ROLE_GRANTS_MEMBER(key_view, 0),
    { .name = "addresses", .type = JSON_ARRAY, .offset = offsetof(struct key_view, addresses),
      .count_offset = offsetof(struct key_view, address_count), .element = JSON_TEXT,
      .about = "Where it may be used from; empty: everywhere." },
    VIEW(JSON_TIME, created_at, "When it was made."),
    VIEW(JSON_TIME, expires_at, "End, or null."),
    VIEW(JSON_TIME, revoked_at, "When it was revoked, or null."),
    VIEW(JSON_TIME, used_at, "Last use, to the minute, or null."),
    VIEW(JSON_TEXT, used_address, "Where from."),
    { .name = "previous_until", .type = JSON_TIME, .offset = offsetof(struct key_view, old_until),
      .about = "How long the secret before the last rotation is still good, or null." },
    { 0 },
};
const struct json_table key_table = { "Key", sizeof(struct key_view), key_members };

struct key_create_input {
    char *name;
    struct role_grant *grants;
    size_t grant_count;
    bool has_grants;
    int64_t expires_at;
    char **addresses;
    size_t address_count;
};
static const struct json_member key_create_members[] = {
    { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct key_create_input, name),
      .flags = JSON_REQUIRED | JSON_NOT_BLANK | JSON_ONE_LINE, .max = KEY_NAME_MAX,
      .about = "What it is for." },
    { .name = "grants", .type = JSON_ARRAY, .offset = offsetof(struct key_create_input, grants),
      .count_offset = offsetof(struct key_create_input, grant_count), .flags = JSON_HAS,
      .max = GRANTS_MAX, .has_offset = offsetof(struct key_create_input, has_grants),
      .sub = &role_grant_table, .about = "Its rights, at most yours; absent: the same as yours." },
    { .name = "expires_at", .type = JSON_TIME,
      .offset = offsetof(struct key_create_input, expires_at), .flags = JSON_NULL_OK,
      .about = "End; absent: never, or that of the key which makes it." },
    { .name = "addresses", .type = JSON_ARRAY,
      .offset = offsetof(struct key_create_input, addresses),
      .count_offset = offsetof(struct key_create_input, address_count), .max = KEY_ADDRESSES_MAX,
      .element = JSON_TEXT, .about = "Addresses and CIDRs it may be used from; absent: everywhere." },
    { 0 },
};
const struct json_table key_create_table = { "KeyCreate", sizeof(struct key_create_input),
                                             key_create_members };

struct key_rotate_input {
    int64_t overlap_s;
};
static const struct json_member key_rotate_members[] = {
    { .name = "overlap_seconds", .type = JSON_INT,
      .offset = offsetof(struct key_rotate_input, overlap_s), .min = 0, .max = OVERLAP_MAX_S,
      .about = "How long the old secret stays good; default one hour." },
    { 0 },
};
const struct json_table key_rotate_table = { "KeyRotate", sizeof(struct key_rotate_input),
                                             key_rotate_members };

const char *const key_list_query[] = { "all", "limit", "cursor", NULL };

/* --- what the handlers share ------------------------------------------------------------------ */

struct key_work {
    struct work work;
    int64_t id;
    struct api_key key;
    struct key_create_input input;
    int64_t overlap_s;
    char token[TOKEN_KEY_SIZE + 1]; /* a new secret, or "" */
};

static void addresses_split(const struct work *work, const char *list, struct key_view *view)
{
    struct str rest = str_of(list), part;

    view->addresses = ARENA_ARRAY(work->arena, char *, KEY_ADDRESSES_MAX);
    while (list && view->address_count < KEY_ADDRESSES_MAX && str_split(&rest, ',', &part)) {
        part = str_trim(part);
        view->addresses[view->address_count++] = arena_strndup(work->arena, part.bytes, part.size);
    }
}

static struct key_view *view_make(const struct work *work, const struct api_key *key)
{
    struct key_view *view = ARENA_NEW(work->arena, struct key_view);

    *view = (struct key_view){
        .id = key->id,
        .name = key->name,
        .owner = key->user_name,
        .prefix = arena_printf(work->arena, "bf_%s", key->key_id),
        .grants = role_grants_make(work, key->grants, key->grant_count),
        .grant_count = key->grant_count,
        .created_at = key->created_at,
        .expires_at = key->expires_at,
        .revoked_at = key->revoked_at,
        .used_at = key->used_at,
        .used_address = key->used_address,
        .old_until = key->old_until > work->now_ms ? key->old_until : 0,
    };
    addresses_split(work, key->addresses, view);
    return view;
}

static void key_answer(struct key_work *w, int status)
{
    struct key_view *view = view_make(&w->work, &w->key);

    if (w->token[0])
        view->secret = w->token;
    request_answer(w->work.request, status, &key_table, view);
    sodium_memzero(w->token, sizeof w->token);
}

static bool is_administrator(const struct request *request)
{
    return principal_may(request->principal, PERM_ADMINISTER, 0);
}

/* The key that the path names: one's own, or anybody's for an administrator. */
static int key_get(struct db_tx *tx, struct key_work *w, struct error *err)
{
    const struct request *request = w->work.request;
    int found = store_key_load(tx, w->work.arena, w->id, &w->key, err);

    if (found < 0)
        return -1;
    if (found == 0 ||
        (w->key.user_id != request->principal->user_id && !is_administrator(request)))
        return error_set(err, ERR_NOT_FOUND, "there is no key with id %" PRId64, w->id);
    return 0;
}

/* With a key one gets at another only when that one can do no more: a small key must neither take
 * over a bigger one by rotating it nor put it out of use. */
static int key_reach(const struct key_work *w, struct error *err)
{
    const struct principal *principal = w->work.request->principal;

    if (principal->kind != PRINCIPAL_KEY || principal->id == w->key.id ||
        grants_within(w->key.grants, w->key.grant_count, principal->grants,
                      principal->grant_count))
        return 0;
    return error_set(err, ERR_FORBIDDEN, "that key has rights that yours has not");
}

static const char *key_object(const struct key_work *w)
{
    return arena_printf(w->work.arena, "key/%d", w->key.id);
}

static struct key_work *key_work_new(struct request *request)
{
    struct key_work *w = WORK_NEW(request, struct key_work);

    return request_param_id(request, 0, INT32_MAX, &w->id) < 0 ? NULL : w;
}

/* --- GET /api/v1/keys --------------------------------------------------------------------------- */

struct key_listing {
    struct work work;
    bool all;
    int64_t limit, after;
    struct api_key *keys;
    size_t count;
};

static int list_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct key_listing *l = (struct key_listing *)work;
    int64_t user_id = l->all ? 0 : work->request->principal->user_id;

    return store_key_list(tx, work->arena, user_id, l->after, l->limit + 1, &l->keys, &l->count,
                          err);
}

static void list_answer(struct work *work)
{
    struct key_listing *l = (struct key_listing *)work;
    size_t count = l->count > (size_t)l->limit ? (size_t)l->limit : l->count;
    const void **items = ARENA_ARRAY(work->arena, const void *, count + 1);
    const char *next = NULL;

    for (size_t i = 0; i < count; i++)
        items[i] = view_make(work, &l->keys[i]);
    if (count < l->count)
        next = cursor_make(work->arena, l->keys[count - 1].id, 0);
    request_answer_list(work->request, &key_table, items, count, next);
}

void key_list(struct request *request)
{
    struct key_listing *l = WORK_NEW(request, struct key_listing);
    const char *cursor;
    int64_t unused;
    struct error err;

    if (request_query_bool(request, "all", false, &l->all) < 0 ||
        request_query_int(request, "limit", 1, 200, 50, &l->limit) < 0 ||
        request_query_text(request, "cursor", &cursor) < 0 ||
        (l->all && request_require(request, PERM_ADMINISTER, 0) < 0))
        return;
    if (cursor && cursor_read(cursor, &l->after, &unused, &err) < 0) {
        request_fail(request, &err);
        return;
    }
    l->work.run = list_run;
    l->work.answer = list_answer;
    work_group_names(&l->work, work_read);
}

/* --- POST /api/v1/keys -------------------------------------------------------------------------- */

/* The key that this request came with: 1 with ret_maker, 0 it came otherwise, -1 failed. */
static int maker_load(struct db_tx *tx, const struct key_work *w, struct api_key *ret_maker,
                      struct error *err)
{
    const struct principal *principal = w->work.request->principal;

    if (principal->kind != PRINCIPAL_KEY)
        return 0;
    int found = store_key_load(tx, w->work.arena, principal->id, ret_maker, err);
    return found == 0 ? error_set(err, ERR_UNAUTHENTICATED, "sign in first") : found;
}

/* A key made or renewed with a key must not outgrow it: no later end, no other addresses. */
static int maker_bounds(const struct api_key *maker, const struct api_key *key, struct error *err)
{
    if (maker->expires_at && (!key->expires_at || key->expires_at > maker->expires_at))
        return error_set_at(err, ERR_FORBIDDEN, "expires_at",
                            "a key made with a key cannot outlive it");
    if (maker->addresses && (!key->addresses || strcmp(maker->addresses, key->addresses) != 0))
        return error_set_at(err, ERR_FORBIDDEN, "addresses",
                            "a key made with a key needs the same address list");
    return 0;
}

/* What a new key does not say for itself it has from the key it is made with. */
static int maker_apply(struct db_tx *tx, struct key_work *w, struct error *err)
{
    struct api_key maker;
    int found = maker_load(tx, w, &maker, err);

    if (found <= 0)
        return found;
    if (!w->key.expires_at)
        w->key.expires_at = maker.expires_at;
    if (!w->key.addresses)
        w->key.addresses = maker.addresses;
    return maker_bounds(&maker, &w->key, err);
}

/* A key may renew itself. */
static int maker_check(struct db_tx *tx, const struct key_work *w, struct error *err)
{
    struct api_key maker;
    int found = maker_load(tx, w, &maker, err);

    if (found <= 0 || maker.id == w->key.id)
        return found < 0 ? -1 : 0;
    return maker_bounds(&maker, &w->key, err);
}

static int create_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct key_work *w = (struct key_work *)work;
    int64_t count;

    if (maker_apply(tx, w, err) < 0 ||
        store_key_count(tx, work->arena, w->key.user_id, &count, err) < 0)
        return -1;
    if (count >= KEYS_PER_USER_MAX)
        return error_set(err, ERR_CONFLICT, "you have %d keys already: revoke some first",
                         KEYS_PER_USER_MAX);
    if (store_key_insert(tx, &w->key, err) < 0)
        return -1;
    return work_audit(tx, work, "key.create", key_object(w), err, "name", w->key.name, "grants",
                      role_grants_text(work, w->key.grants, w->key.grant_count), NULL);
}

static int created_load(struct db_tx *tx, struct work *work, struct error *err)
{
    return key_get(tx, (struct key_work *)work, err);
}

static void created_answer(struct work *work)
{
    key_answer((struct key_work *)work, 201);
}

/* The answer shows the row as it is stored, with the owner's name. */
static void create_stored(struct work *work)
{
    struct key_work *w = (struct key_work *)work;

    w->id = w->key.id;
    work->run = created_load;
    work->answer = created_answer;
    work_read(work);
}

static int create_grants(struct key_work *w, struct error *err)
{
    const struct principal *principal = w->work.request->principal;

    w->key.grants = principal->grants;
    w->key.grant_count = principal->grant_count;
    if (!w->input.has_grants) {
        if (w->key.grant_count <= GRANTS_MAX)
            return 0;
        return error_set_at(err, ERR_INVALID, "grants", "name at most %d of your grants",
                            GRANTS_MAX);
    }
    w->key.grant_count = w->input.grant_count;
    if (role_grants_read(&w->work, w->input.grants, w->input.grant_count, &w->key.grants, err) < 0)
        return -1;
    if (!grants_within(w->key.grants, w->key.grant_count, principal->grants,
                       principal->grant_count))
        return error_set_at(err, ERR_FORBIDDEN, "grants", "a key cannot be given more than you have");
    return 0;
}

static void create_named(struct work *work)
{
    struct key_work *w = (struct key_work *)work;
    char hash[TOKEN_HASH_SIZE + 1], key_id[TOKEN_KEY_ID_SIZE + 1];
    struct error err;

    if (create_grants(w, &err) < 0) {
        request_fail(work->request, &err);
        return;
    }
    token_key_make(w->token);
    token_key_parse(str_of(w->token), key_id);
    token_hash(w->token, hash);
    w->key.key_id = arena_strdup(work->arena, key_id);
    w->key.secret_hash = arena_strdup(work->arena, hash);
    work_write(work);
}

static int addresses_join(struct key_work *w, struct error *err)
{
    char *list = NULL;
    char path[64];
    struct cidr cidr;

    for (size_t i = 0; i < w->input.address_count; i++) {
        char *part = w->input.addresses[i];
        snprintf(path, sizeof path, "addresses[%zu]", i);
        if (!cidr_parse(str_of(part), &cidr))
            return error_set_at(err, ERR_INVALID, path,
                                "must be an address or a CIDR range with its host bits 0");
        list = list ? arena_printf(w->work.arena, "%s,%s", list, part) : part;
    }
    w->key.addresses = list;
    return 0;
}

static int expiry_check(const struct key_work *w, struct error *err)
{
    if (w->input.expires_at && w->input.expires_at <= w->work.now_ms)
        return error_set_at(err, ERR_INVALID, "expires_at", "must be in the future");
    return 0;
}

void key_create(struct request *request)
{
    struct key_work *w = WORK_NEW(request, struct key_work);
    struct error err;

    if (request_read(request, &key_create_table, &w->input) < 0)
        return;
    if (expiry_check(w, &err) < 0 || addresses_join(w, &err) < 0) {
        request_fail(request, &err);
        return;
    }
    w->key.user_id = request->principal->user_id;
    w->key.name = w->input.name;
    w->key.created_at = w->work.now_ms;
    w->key.expires_at = w->input.expires_at;
    w->work.run = create_run;
    w->work.answer = create_stored;
    work_group_names(&w->work, create_named);
}

/* --- GET /api/v1/keys/{id} ---------------------------------------------------------------------- */

static void show_answer(struct work *work)
{
    key_answer((struct key_work *)work, 200);
}

void key_show(struct request *request)
{
    struct key_work *w = key_work_new(request);

    if (!w)
        return;
    w->work.run = created_load;
    w->work.answer = show_answer;
    work_group_names(&w->work, work_read);
}

/* --- DELETE /api/v1/keys/{id}: revoke ------------------------------------------------------------ */

static int revoke_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct key_work *w = (struct key_work *)work;

    if (key_get(tx, w, err) < 0 || key_reach(w, err) < 0)
        return -1;
    if (w->key.revoked_at)
        return 0; /* again is harmless */
    if (store_key_revoke(tx, w->id, work->now_ms, err) < 0)
        return -1;
    return work_audit(tx, work, "key.revoke", key_object(w), err, "name", w->key.name, NULL);
}

static void revoke_answer(struct work *work)
{
    request_answer_empty(work->request, 204);
}

void key_revoke(struct request *request)
{
    struct key_work *w = key_work_new(request);

    if (!w)
        return;
    w->work.run = revoke_run;
    w->work.answer = revoke_answer;
    w->work.changes_rights = true;
    work_write(&w->work);
}

/* --- POST /api/v1/keys/{id}/rotate ---------------------------------------------------------------- */

static int rotate_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct key_work *w = (struct key_work *)work;
    char hash[TOKEN_HASH_SIZE + 1];

    if (key_get(tx, w, err) < 0)
        return -1;
    if (w->key.user_id != work->request->principal->user_id)
        return error_set(err, ERR_FORBIDDEN, "only its owner rotates a key; revoke it instead");
    if (key_reach(w, err) < 0 || maker_check(tx, w, err) < 0)
        return -1;
    if (w->key.revoked_at || (w->key.expires_at && w->key.expires_at <= work->now_ms))
        return error_set(err, ERR_CONFLICT, "the key is revoked or expired: make a new one");
    token_key_remake(w->key.key_id, w->token);
    token_hash(w->token, hash);
    key_rotated(&w->key, arena_strdup(work->arena, hash), work->now_ms + w->overlap_s * 1000);
    if (store_key_rotate(tx, &w->key, err) < 0)
        return -1;
    return work_audit(tx, work, "key.rotate", key_object(w), err, "name", w->key.name, NULL);
}

void key_rotate(struct request *request)
{
    struct key_work *w = key_work_new(request);
    struct key_rotate_input input = { .overlap_s = OVERLAP_DEFAULT_S };

    if (!w || (request->http->body.size > 0 &&
               request_read(request, &key_rotate_table, &input) < 0))
        return;
    w->overlap_s = input.overlap_s;
    w->work.run = rotate_run;
    w->work.answer = show_answer;
    w->work.changes_rights = true;
    work_group_names(&w->work, work_write);
}
