#include "auth/routes-private.h"

#include "auth/client.h"
#include "auth/session-view.h"
#include "auth/session.h"

#include <inttypes.h>

/* --- schemas ---------------------------------------------------------------------------------- */

static const char *const kind_names[] = { "session", "key", NULL };

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

const char *request_header_text(const struct request *request, const char *name)
{
    struct str value = http_header_find(request->http->headers, request->http->header_count, name);

    return value.bytes ? arena_strndup(request->arena, value.bytes, value.size) : NULL;
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
        .kind = by_key ? SESSION_KEY : SESSION_BROWSER,
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
    const char *name = request_header_text(work->request, AUTH_COOKIE_HEADER);

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
