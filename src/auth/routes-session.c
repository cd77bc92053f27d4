#include "auth/routes-private.h"

#include "auth/client.h"
#include "auth/group-names.h"
#include "auth/login-throttle.h"
#include "auth/password.h"
#include "auth/session.h"
#include "auth/user.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <sodium.h>

enum { USER_AGENT_MAX = 200 };

/* --- schemas ---------------------------------------------------------------------------------- */

struct sign_in_input {
    char *name, *password;
};
static const struct json_member sign_in_members[] = {
    { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct sign_in_input, name),
      .flags = JSON_REQUIRED, .max = USER_NAME_MAX, .about = "User name." },
    { .name = "password", .type = JSON_TEXT, .offset = offsetof(struct sign_in_input, password),
      .flags = JSON_REQUIRED | JSON_IN_ONLY, .max = PASSWORD_SIZE_MAX, .about = "Password." },
    { 0 },
};
const struct json_table sign_in_table = { "SignIn", sizeof(struct sign_in_input), sign_in_members };

enum { KIND_SESSION, KIND_KEY };
static const char *const kind_names[] = { "session", "key", NULL };

struct session_view {
    int32_t kind;
    int64_t user_id;
    char *user, *display_name, *key;
    struct role_grant *grants;
    size_t grant_count;
    char *csrf;
    int64_t expires_at;
};
#define VIEW(kind_, member, text) \
    { .name = #member, .type = (kind_), .offset = offsetof(struct session_view, member), \
      .about = (text) }
static const struct json_member session_members[] = {
    { .name = "kind", .type = JSON_ENUM, .offset = offsetof(struct session_view, kind),
      .names = kind_names, .about = "session (a browser's, by cookie) or key." },
    VIEW(JSON_INT, user_id, "Id of the user, or of the key's owner."),
    VIEW(JSON_TEXT, user, "Name of the user, or of the key's owner."),
    VIEW(JSON_TEXT, display_name, "Name for people, or null."),
    VIEW(JSON_TEXT, key, "Name of the key, or null."),
    ROLE_GRANTS_MEMBER(session_view, 0),
    VIEW(JSON_TEXT, csrf, "What changing requests of this session must send as X-Belfry-CSRF."),
    VIEW(JSON_TIME, expires_at, "End at the latest, or null."),
    { 0 },
};
const struct json_table session_table = { "Session", sizeof(struct session_view), session_members };

struct session_row {
    int64_t id;
    bool current;
    char *address, *user_agent;
    int64_t created_at, used_at, expires_at;
};
#define ROW(kind_, member, text) \
    { .name = #member, .type = (kind_), .offset = offsetof(struct session_row, member), \
      .about = (text) }
static const struct json_member session_row_members[] = {
    ROW(JSON_INT, id, "Id, for ending it."),
    ROW(JSON_BOOL, current, "The one that asks."),
    ROW(JSON_TEXT, address, "Where it was signed in from."),
    ROW(JSON_TEXT, user_agent, "Browser, as it calls itself."),
    ROW(JSON_TIME, created_at, "Sign-in."),
    ROW(JSON_TIME, used_at, "Last use, to the minute."),
    ROW(JSON_TIME, expires_at, "End at the latest."),
    { 0 },
};
const struct json_table session_row_table = { "SessionRow", sizeof(struct session_row),
                                              session_row_members };

struct password_change_input {
    char *current, *password;
};
static const struct json_member password_change_members[] = {
    { .name = "current", .type = JSON_TEXT,
      .offset = offsetof(struct password_change_input, current),
      .flags = JSON_REQUIRED | JSON_IN_ONLY, .max = PASSWORD_SIZE_MAX, .about = "Password so far." },
    { .name = "password", .type = JSON_TEXT,
      .offset = offsetof(struct password_change_input, password),
      .flags = JSON_REQUIRED | JSON_IN_ONLY, .max = PASSWORD_SIZE_MAX,
      .about = "New one, at least 12 characters." },
    { 0 },
};
const struct json_table password_change_table = { "PasswordChange",
                                                  sizeof(struct password_change_input),
                                                  password_change_members };

void secret_wipe(char *text)
{
    sodium_memzero(text, strlen(text));
}

char *request_hash_taken(struct request *request, const char *hash)
{
    struct error err;

    if (hash)
        return arena_strdup(request->arena, hash);
    error_set(&err, ERR_UNAVAILABLE, "there is no memory to hash a password now");
    request_fail(request, &err);
    return NULL;
}

/* --- a new session ---------------------------------------------------------------------------- */

/* Signing in and changing one's password: both end with a fresh session and its cookie. */
struct sign_in {
    struct work work;
    char *name;                 /* as typed, for throttle and log */
    char *secret, *replacement; /* passwords in clear; wiped once handed to the pool */
    const char *cookie_name;
    struct user user;           /* id 0: there is none */
    const char *hash;           /* a new password hash, or NULL */
    bool changes_password;
    bool by_key;                /* then there is no new session either */
    char token[TOKEN_SECRET_SIZE + 1];
    struct session session;
    struct principal actor;
};

static const char *header_text(const struct request *request, const char *name)
{
    struct str value = http_header_find(request->http->headers, request->http->header_count, name);

    return value.bytes ? arena_strndup(request->arena, value.bytes, value.size) : NULL;
}

/* The cookie that the gateway allows on this connection; without one there can be no session. */
static int cookie_name_find(struct sign_in *s)
{
    struct error err;

    s->cookie_name = header_text(s->work.request, AUTH_COOKIE_HEADER);
    if (s->cookie_name)
        return 0;
    error_set(&err, ERR_FORBIDDEN,
              "signing in with a password needs TLS, or a browser on this machine at a loopback "
              "address");
    request_fail(s->work.request, &err);
    return -1;
}

static char *user_agent_find(const struct request *request)
{
    struct str value = http_header_find(request->http->headers, request->http->header_count,
                                        "User-Agent");

    if (!value.bytes || !utf8_valid(value))
        return NULL;
    if (value.size > USER_AGENT_MAX) {
        value.size = USER_AGENT_MAX;
        while (value.size > 0 && (value.bytes[value.size] & 0xC0) == 0x80)
            value.size--;
    }
    return arena_strndup(request->arena, value.bytes, value.size);
}

static int session_insert(struct db_tx *tx, struct sign_in *s, struct error *err)
{
    struct work *work = &s->work;
    char hash[TOKEN_HASH_SIZE + 1];

    token_session_make(s->token);
    token_hash(s->token, hash);
    s->session = (struct session){
        .user_id = s->user.id,
        .token_hash = arena_strdup(work->arena, hash),
        .epoch = s->user.epoch,
        .created_at = work->now_ms,
        .used_at = work->now_ms,
        .expires_at = work->now_ms + work->auth->session_lifetime_ms,
        .address = work->request->client_address,
        .user_agent = user_agent_find(work->request),
    };
    if (store_session_expire(tx, work->now_ms, work->now_ms - work->auth->session_idle_ms, err) < 0 ||
        store_session_trim(tx, work->arena, s->user.id, err) < 0)
        return -1;
    return store_session_insert(tx, &s->session, err);
}

static int new_session_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct sign_in *s = (struct sign_in *)work;
    const char *object = arena_printf(work->arena, "user/%s", s->user.name);

    if (s->changes_password) {
        struct user user;
        int found = store_user_load(tx, work->arena, s->user.id, &user, err);
        if (found < 0)
            return -1;
        if (found == 0 || strcmp(user.password, s->user.password) != 0)
            return error_set(err, ERR_CONFLICT, "the password was changed meanwhile");
        if (store_user_password(tx, s->user.id, s->hash, work->now_ms, err) < 0)
            return -1;
        s->user.epoch = user.epoch + 1;
    } else if (s->hash &&
               store_user_rehash(tx, s->user.id, s->user.password, s->hash, err) < 0) {
        return -1;
    }
    if (!s->by_key && (session_insert(tx, s, err) < 0 ||
                       store_user_signed_in(tx, s->user.id, work->now_ms, err) < 0))
        return -1;
    return work_audit(tx, work, s->changes_password ? "user.password" : "session.create", object,
                      err, NULL);
}

static void session_answer(struct sign_in *s, int status)
{
    struct work *work = &s->work;
    char csrf[TOKEN_SECRET_SIZE + 1];
    struct session_view view = {
        .kind = KIND_SESSION,
        .user_id = s->user.id,
        .user = s->user.name,
        .display_name = s->user.display_name,
        .grants = role_grants_make(work, s->user.grants, s->user.grant_count),
        .grant_count = s->user.grant_count,
        .csrf = csrf,
        .expires_at = s->session.expires_at,
    };

    token_csrf(s->session.token_hash, csrf);
    request_header(work->request, "Set-Cookie",
                   session_cookie(work->arena, s->cookie_name, s->token,
                                  work->auth->session_lifetime_ms));
    request_answer(work->request, status, &session_table, &view);
    sodium_memzero(s->token, sizeof s->token);
}

static void new_session_named(struct work *work)
{
    struct sign_in *s = (struct sign_in *)work;

    session_answer(s, s->changes_password ? 200 : 201);
}

static void new_session_stored(struct work *work)
{
    struct sign_in *s = (struct sign_in *)work;

    login_throttle_success(work->auth->throttle, s->name, work->request->client_address);
    if (s->by_key) {
        request_answer_empty(work->request, 204);
        return;
    }
    work->auth->counts[COUNT_SIGNED_IN]++;
    LOG_INFO("signed in", "user", s->user.name, "address", work->request->client_address,
             "session", log_int(s->session.id));
    work_group_names(work, new_session_named);
}

/* --- POST /api/v1/session: sign in -------------------------------------------------------------- */

void request_throttled(struct request *request, int64_t wait_ms)
{
    struct auth *auth = request->state;
    struct error err;
    int64_t seconds = (wait_ms + 999) / 1000;

    auth->counts[COUNT_THROTTLED]++;
    request_header(request, "Retry-After", arena_printf(request->arena, "%" PRId64, seconds));
    error_set(&err, ERR_THROTTLED, "too many attempts: wait %lld s", (long long)seconds);
    request_fail(request, &err);
}

/* Who does not exist, is disabled or typed a wrong password gets one answer, after one time. */
static void refused(struct sign_in *s, const char *reason)
{
    struct error err;

    s->work.auth->counts[COUNT_WRONG_PASSWORD]++;
    LOG_WARN("sign-in refused", "user", s->name, "address", s->work.request->client_address,
             "reason", reason);
    error_set(&err, ERR_UNAUTHENTICATED, "wrong name or password");
    request_fail(s->work.request, &err);
}

static void new_session_start(struct sign_in *s)
{
    if (!s->by_key) /* else the key is who did it */
        s->work.actor = &s->actor;
    s->actor = (struct principal){ .kind = PRINCIPAL_USER, .id = s->user.id, .user_id = s->user.id,
                                   .name = s->user.name };
    s->work.run = new_session_run;
    s->work.answer = new_session_stored;
    work_write(&s->work);
}

static void sign_in_verified(void *ctx, bool match, const char *hash)
{
    struct sign_in *s = ctx;

    if (!match || s->user.disabled) {
        refused(s, s->user.id == 0 ? "no such user" : !match ? "wrong password" : "disabled");
        return;
    }
    s->hash = arena_strdup(s->work.arena, hash);
    new_session_start(s);
}

static int sign_in_find(struct db_tx *tx, struct work *work, struct error *err)
{
    struct sign_in *s = (struct sign_in *)work;

    s->user = (struct user){ 0 };
    return store_user_find(tx, work->arena, s->name, &s->user, err) < 0 ? -1 : 0;
}

static void sign_in_found(struct work *work)
{
    struct sign_in *s = (struct sign_in *)work;
    struct error err;
    int result = password_verify(work->auth->passwords, s->user.id ? s->user.password : NULL,
                                 s->secret, sign_in_verified, s, &err);

    secret_wipe(s->secret);
    if (result == 0)
        return;
    request_header(work->request, "Retry-After", "2");
    request_fail(work->request, &err);
}

void session_sign_in(struct request *request)
{
    struct sign_in *s = WORK_NEW(request, struct sign_in);
    struct sign_in_input input = { 0 };
    int64_t wait;

    if (request_read(request, &sign_in_table, &input) < 0 || cookie_name_find(s) < 0)
        return;
    s->name = input.name;
    s->secret = input.password;
    wait = login_throttle_begin(s->work.auth->throttle, s->name, request->client_address,
                                clock_mono_ms());
    if (wait > 0) {
        request_throttled(request, wait);
        return;
    }
    s->work.run = sign_in_find;
    s->work.answer = sign_in_found;
    work_read(&s->work);
}

/* --- PUT /api/v1/password ------------------------------------------------------------------------
 *
 * With a key it works as well, since the present password is asked for: who has both could sign in
 * anyhow. The answer is then 204 and no session begins.
 */

static void change_verified(void *ctx, bool match, const char *hash)
{
    struct sign_in *s = ctx;
    struct error err;

    if (match) {
        s->hash = request_hash_taken(s->work.request, hash);
        if (s->hash)
            new_session_start(s);
        return;
    }
    error_set_at(&err, ERR_INVALID, "current", "is not the present password");
    request_fail(s->work.request, &err);
}

static int change_find(struct db_tx *tx, struct work *work, struct error *err)
{
    struct sign_in *s = (struct sign_in *)work;
    int found = store_user_load(tx, work->arena, work->request->principal->user_id, &s->user, err);

    if (found == 0)
        return error_set(err, ERR_UNAUTHENTICATED, "sign in first");
    return found < 0 ? -1 : 0;
}

static void change_found(struct work *work)
{
    struct sign_in *s = (struct sign_in *)work;
    struct error err;
    int result = password_check(s->replacement, s->user.name, &err);
    int64_t wait = 0;

    s->name = s->user.name;
    work->changes_rights = true;
    if (result == 0)
        wait = login_throttle_begin(work->auth->throttle, s->name, work->request->client_address,
                                    clock_mono_ms());
    if (result == 0 && wait == 0)
        result = password_replace(work->auth->passwords, s->user.password, s->secret,
                                  s->replacement, change_verified, s, &err);
    secret_wipe(s->secret);
    secret_wipe(s->replacement);
    if (wait > 0)
        request_throttled(work->request, wait);
    else if (result < 0)
        request_fail(work->request, &err);
}

void session_password(struct request *request)
{
    struct sign_in *s = WORK_NEW(request, struct sign_in);
    struct password_change_input input = { 0 };

    if (request_read(request, &password_change_table, &input) < 0)
        return;
    if (cookie_name_find(s) < 0)
        return;
    s->secret = input.current;
    s->replacement = input.password;
    s->changes_password = true;
    s->by_key = request->principal->kind == PRINCIPAL_KEY;
    s->work.run = change_find;
    s->work.answer = change_found;
    work_read(&s->work);
}

/* --- GET /api/v1/session ------------------------------------------------------------------------- */

struct session_work {
    struct work work;
    struct user user;
    struct session *sessions;
    size_t count;
    int64_t id, deleted;
};

static const struct session *session_current(const struct session_work *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->sessions[i].id == w->work.request->principal->session_id)
            return &w->sessions[i];
    return NULL;
}

static int show_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct session_work *w = (struct session_work *)work;
    int32_t user_id = work->request->principal->user_id;
    int found = store_user_load(tx, work->arena, user_id, &w->user, err);

    if (found == 0)
        return error_set(err, ERR_UNAUTHENTICATED, "sign in first");
    return found < 0 ? -1
                     : store_session_list(tx, work->arena, user_id, &w->sessions, &w->count, err);
}

static void show_answer(struct work *work)
{
    struct session_work *w = (struct session_work *)work;
    const struct principal *principal = work->request->principal;
    const struct session *session = session_current(w);
    bool by_key = principal->kind == PRINCIPAL_KEY;
    char csrf[TOKEN_SECRET_SIZE + 1];
    struct session_view view = {
        .kind = by_key ? KIND_KEY : KIND_SESSION,
        .user_id = principal->user_id,
        .user = w->user.name,
        .display_name = w->user.display_name,
        .key = by_key ? principal->name : NULL,
        .grants = role_grants_make(work, principal->grants, principal->grant_count),
        .grant_count = principal->grant_count,
        .expires_at = session ? session->expires_at : 0,
    };

    if (session) {
        token_csrf(session->token_hash, csrf);
        view.csrf = csrf;
    }
    request_answer(work->request, 200, &session_table, &view);
}

void session_show(struct request *request)
{
    struct session_work *w = WORK_NEW(request, struct session_work);

    w->work.run = show_run;
    w->work.answer = show_answer;
    work_group_names(&w->work, work_read);
}

/* --- DELETE /api/v1/session: sign out -------------------------------------------------------------- */

static int delete_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct session_work *w = (struct session_work *)work;
    const struct principal *principal = work->request->principal;

    if (store_session_delete(tx, principal->user_id, w->id, &w->deleted, err) < 0)
        return -1;
    if (w->deleted == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no such session");
    return work_audit(tx, work, "session.delete",
                      arena_printf(work->arena, "session/%" PRId64, w->id), err, NULL);
}

static void sign_out_answer(struct work *work)
{
    const char *name = header_text(work->request, AUTH_COOKIE_HEADER);

    if (name)
        request_header(work->request, "Set-Cookie", session_cookie(work->arena, name, NULL, 0));
    request_answer_empty(work->request, 204);
}

void session_sign_out(struct request *request)
{
    struct session_work *w = WORK_NEW(request, struct session_work);
    struct error err;

    w->id = request->principal->session_id;
    if (w->id == 0) {
        error_set(&err, ERR_CONFLICT, "this request came with a key: revoke the key instead");
        request_fail(request, &err);
        return;
    }
    w->work.run = delete_run;
    w->work.answer = sign_out_answer;
    w->work.changes_rights = true;
    work_write(&w->work);
}

/* --- GET /api/v1/sessions, DELETE /api/v1/sessions/{id} ---------------------------------------------- */

static void list_answer(struct work *work)
{
    struct session_work *w = (struct session_work *)work;
    struct session_row *rows = ARENA_ARRAY(work->arena, struct session_row, w->count + 1);
    const void **items = ARENA_ARRAY(work->arena, const void *, w->count + 1);
    size_t count = 0;

    for (size_t i = 0; i < w->count; i++) {
        const struct session *session = &w->sessions[i];
        if (!session_valid(session, &w->user, work->auth->session_idle_ms, work->now_ms))
            continue;
        rows[count] = (struct session_row){
            .id = session->id,
            .current = session->id == work->request->principal->session_id,
            .address = session->address,
            .user_agent = session->user_agent,
            .created_at = session->created_at,
            .used_at = session->used_at,
            .expires_at = session->expires_at,
        };
        items[count] = &rows[count];
        count++;
    }
    request_answer_list(work->request, &session_row_table, items, count, NULL);
}

void session_list(struct request *request)
{
    struct session_work *w = WORK_NEW(request, struct session_work);

    w->work.run = show_run;
    w->work.answer = list_answer;
    work_read(&w->work);
}

static void empty_answer(struct work *work)
{
    request_answer_empty(work->request, 204);
}

void session_revoke(struct request *request)
{
    struct session_work *w = WORK_NEW(request, struct session_work);
    struct error err;

    if (request_param_id(request, 0, INT32_MAX, &w->id) < 0)
        return;
    if (request->principal->kind != PRINCIPAL_USER) {
        error_set(&err, ERR_FORBIDDEN, "sessions are ended by their user, not with a key");
        request_fail(request, &err);
        return;
    }
    w->work.run = delete_run;
    w->work.answer = empty_answer;
    w->work.changes_rights = true;
    work_write(&w->work);
}
