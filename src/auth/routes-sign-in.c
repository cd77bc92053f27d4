#include "auth/routes-private.h"

#include "auth/client.h"
#include "auth/login-throttle.h"
#include "auth/password.h"
#include "auth/session-view.h"
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

/* The cookie that the gateway allows on this connection; without one there can be no session. */
static int cookie_name_find(struct sign_in *s)
{
    struct error err;

    s->cookie_name = request_header_text(s->work.request, AUTH_COOKIE_HEADER);
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
        .kind = SESSION_BROWSER,
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
