#include "auth/routes-private.h"

#include "auth/group-names.h"
#include "auth/password.h"
#include "auth/user.h"

#include <inttypes.h>

/* --- schemas ---------------------------------------------------------------------------------- */

struct user_view {
    int64_t id;
    char *name, *display_name;
    bool disabled;
    struct role_grant *grants;
    size_t grant_count;
    int64_t created_at, updated_at, signed_in_at;
};

#define VIEW(kind, member, text) \
    { .name = #member, .type = (kind), .offset = offsetof(struct user_view, member), .about = (text) }
static const struct json_member user_members[] = {
    VIEW(JSON_INT, id, "Id of the user."),
    VIEW(JSON_TEXT, name, "Name to sign in with."),
    VIEW(JSON_TEXT, display_name, "Name for people, or null."),
    VIEW(JSON_BOOL, disabled, "Cannot sign in; keys do not work."),
    ROLE_GRANTS_MEMBER(user_view, 0),
    VIEW(JSON_TIME, created_at, "When it was made."),
    VIEW(JSON_TIME, updated_at, "Last change."),
    VIEW(JSON_TIME, signed_in_at, "Last sign-in, or null."),
    { 0 },
};
const struct json_table user_table = { "User", sizeof(struct user_view), user_members };

struct user_create_input {
    char *name, *display_name, *password;
    struct role_grant *grants;
    size_t grant_count;
};
static const struct json_member user_create_members[] = {
    { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct user_create_input, name),
      .flags = JSON_REQUIRED, .max = USER_NAME_MAX, .about = "Name to sign in with." },
    { .name = "display_name", .type = JSON_TEXT,
      .offset = offsetof(struct user_create_input, display_name),
      .flags = JSON_NULL_OK | JSON_ONE_LINE, .max = 100, .about = "Name for people." },
    { .name = "password", .type = JSON_TEXT, .offset = offsetof(struct user_create_input, password),
      .flags = JSON_REQUIRED | JSON_IN_ONLY, .max = PASSWORD_SIZE_MAX,
      .about = "At least 12 characters." },
    ROLE_GRANTS_MEMBER(user_create_input, 0),
    { 0 },
};
const struct json_table user_create_table = { "UserCreate", sizeof(struct user_create_input),
                                              user_create_members };

struct user_change_input {
    char *display_name;
    bool has_display_name, disabled, has_disabled;
};
static const struct json_member user_change_members[] = {
    { .name = "display_name", .type = JSON_TEXT,
      .offset = offsetof(struct user_change_input, display_name),
      .flags = JSON_NULL_OK | JSON_ONE_LINE | JSON_HAS, .max = 100,
      .has_offset = offsetof(struct user_change_input, has_display_name),
      .about = "Name for people." },
    { .name = "disabled", .type = JSON_BOOL, .offset = offsetof(struct user_change_input, disabled),
      .flags = JSON_HAS, .has_offset = offsetof(struct user_change_input, has_disabled),
      .about = "Ends all sessions; keys stop working." },
    { 0 },
};
const struct json_table user_change_table = { "UserChange", sizeof(struct user_change_input),
                                              user_change_members };

struct user_grant_input {
    struct role_grant *grants;
    size_t grant_count;
};
static const struct json_member user_grant_members[] = {
    ROLE_GRANTS_MEMBER(user_grant_input, JSON_REQUIRED),
    { 0 },
};
const struct json_table user_grant_table = { "UserGrants", sizeof(struct user_grant_input),
                                             user_grant_members };

struct user_reset_input {
    char *password;
};
static const struct json_member user_reset_members[] = {
    { .name = "password", .type = JSON_TEXT, .offset = offsetof(struct user_reset_input, password),
      .flags = JSON_REQUIRED | JSON_IN_ONLY, .max = PASSWORD_SIZE_MAX,
      .about = "At least 12 characters." },
    { 0 },
};
const struct json_table user_reset_table = { "UserReset", sizeof(struct user_reset_input),
                                             user_reset_members };

const char *const user_list_query[] = { "name", "limit", "cursor", NULL };

/* --- what the handlers share ------------------------------------------------------------------ */

static const struct user_view *view_make(const struct work *work, const struct user *user)
{
    struct user_view *view = ARENA_NEW(work->arena, struct user_view);

    *view = (struct user_view){
        .id = user->id,
        .name = user->name,
        .display_name = user->display_name,
        .disabled = user->disabled,
        .grants = role_grants_make(work, user->grants, user->grant_count),
        .grant_count = user->grant_count,
        .created_at = user->created_at,
        .updated_at = user->updated_at,
        .signed_in_at = user->signed_in_at,
    };
    return view;
}

static const char *user_object(const struct work *work, const struct user *user)
{
    return arena_printf(work->arena, "user/%s", user->name);
}

/* A work on the user that the path names. */
struct user_work {
    struct work work;
    int64_t id;
    struct user user;
    struct user_change_input change;
    struct grant *grants;
    size_t grant_count;
    struct user_grant_input grant_input;
    const char *password; /* hash */
    char *secret;
};

static struct user_work *user_work_new(struct request *request)
{
    struct user_work *w = WORK_NEW(request, struct user_work);

    return request_param_id(request, 0, INT32_MAX, &w->id) < 0 ? NULL : w;
}

static int user_get(struct db_tx *tx, struct user_work *w, struct error *err)
{
    int found = store_user_load(tx, w->work.arena, w->id, &w->user, err);

    if (found == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no user with id %" PRId64, w->id);
    return found < 0 ? -1 : 0;
}

static void user_answer(struct work *work)
{
    struct user_work *w = (struct user_work *)work;

    request_answer(work->request, 200, &user_table, view_make(work, &w->user));
}

static void empty_answer(struct work *work)
{
    request_answer_empty(work->request, 204);
}

/* --- GET /api/v1/users ------------------------------------------------------------------------ */

struct user_listing {
    struct work work;
    const char *name;
    int64_t limit, after;
    struct user *users;
    size_t count;
};

static int list_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct user_listing *l = (struct user_listing *)work;

    if (!l->name)
        return store_user_list(tx, work->arena, l->after, l->limit + 1, &l->users, &l->count, err);
    l->users = ARENA_NEW(work->arena, struct user);
    int found = store_user_find(tx, work->arena, l->name, l->users, err);
    l->count = found > 0;
    return found < 0 ? -1 : 0;
}

static void list_answer(struct work *work)
{
    struct user_listing *l = (struct user_listing *)work;
    size_t count = l->count > (size_t)l->limit ? (size_t)l->limit : l->count;
    const void **items = ARENA_ARRAY(work->arena, const void *, count + 1);
    const char *next = NULL;

    for (size_t i = 0; i < count; i++)
        items[i] = view_make(work, &l->users[i]);
    if (count < l->count)
        next = cursor_make(work->arena, l->users[count - 1].id, 0);
    request_answer_list(work->request, &user_table, items, count, next);
}

void user_list(struct request *request)
{
    struct user_listing *l = WORK_NEW(request, struct user_listing);
    const char *cursor;
    int64_t unused;
    struct error err;

    if (request_query_text(request, "name", &l->name) < 0 ||
        request_query_int(request, "limit", 1, 200, 50, &l->limit) < 0 ||
        request_query_text(request, "cursor", &cursor) < 0)
        return;
    if (cursor && cursor_read(cursor, &l->after, &unused, &err) < 0) {
        request_fail(request, &err);
        return;
    }
    l->work.run = list_run;
    l->work.answer = list_answer;
    work_group_names(&l->work, work_read);
}

/* --- POST /api/v1/users ----------------------------------------------------------------------- */

struct user_creation {
    struct work work;
    struct user_create_input input;
    struct user user;
};

static int create_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct user_creation *c = (struct user_creation *)work;
    struct user other;
    int found = store_user_find(tx, work->arena, c->user.name, &other, err);

    if (found > 0)
        return error_set_at(err, ERR_CONFLICT, "name", "there is a user \"%s\" already",
                            c->user.name);
    if (found < 0 || store_user_insert(tx, &c->user, err) < 0)
        return -1;
    return work_audit(tx, work, "user.create", user_object(work, &c->user), err, "grants",
                      role_grants_text(work, c->user.grants, c->user.grant_count), NULL);
}

void user_answer_new(struct work *work, const struct user *user)
{
    request_header(work->request, "Location",
                   arena_printf(work->arena, "/api/v1/users/%d", user->id));
    request_answer(work->request, 201, &user_table, view_make(work, user));
}

static void create_answer(struct work *work)
{
    user_answer_new(work, &((struct user_creation *)work)->user);
}

static void create_hashed(void *ctx, bool match, const char *hash)
{
    struct user_creation *c = ctx;

    (void)match;
    c->user.password = request_hash_taken(c->work.request, hash);
    if (c->user.password)
        work_write(&c->work);
}

static void create_named(struct work *work)
{
    struct user_creation *c = (struct user_creation *)work;
    struct error err;
    int result = role_grants_read(work, c->input.grants, c->input.grant_count, &c->user.grants, &err);

    c->user.grant_count = c->input.grant_count;
    if (result == 0)
        result = password_hash(work->auth->passwords, c->input.password, create_hashed, c, &err);
    secret_wipe(c->input.password);
    if (result < 0)
        request_fail(work->request, &err);
}

void user_create(struct request *request)
{
    struct user_creation *c = WORK_NEW(request, struct user_creation);
    struct error err;

    if (request_read(request, &user_create_table, &c->input) < 0)
        return;
    if (user_name_check(c->input.name, &err) < 0 ||
        password_check(c->input.password, c->input.name, &err) < 0) {
        request_fail(request, &err);
        return;
    }
    c->user = (struct user){ .name = c->input.name, .display_name = c->input.display_name,
                             .created_at = c->work.now_ms, .updated_at = c->work.now_ms };
    c->work.run = create_run;
    c->work.answer = create_answer;
    work_group_names(&c->work, create_named);
}

/* --- GET /api/v1/users/{id} ------------------------------------------------------------------- */

static int show_run(struct db_tx *tx, struct work *work, struct error *err)
{
    return user_get(tx, (struct user_work *)work, err);
}

void user_show(struct request *request)
{
    struct user_work *w = user_work_new(request);

    if (!w)
        return;
    w->work.run = show_run;
    w->work.answer = user_answer;
    work_group_names(&w->work, work_read);
}

/* --- PATCH /api/v1/users/{id} ------------------------------------------------------------------ */

static int change_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct user_work *w = (struct user_work *)work;
    bool disables;

    if (store_administrators_lock(tx, err) < 0 || user_get(tx, w, err) < 0)
        return -1;
    disables = w->change.has_disabled && w->change.disabled && !w->user.disabled;
    if (w->change.has_display_name)
        w->user.display_name = w->change.display_name;
    if (w->change.has_disabled)
        w->user.disabled = w->change.disabled;
    w->user.epoch += disables;
    w->user.updated_at = work->now_ms;
    if (store_user_update(tx, &w->user, err) < 0 ||
        (disables && store_session_delete(tx, w->id, 0, NULL, err) < 0) ||
        user_administrator_left(tx, work->arena, err) < 0)
        return -1;
    return work_audit(tx, work, "user.change", user_object(work, &w->user), err, "display_name",
                      w->change.has_display_name ? w->user.display_name : NULL, "disabled",
                      !w->change.has_disabled ? NULL : w->user.disabled ? "true" : "false", NULL);
}

void user_change(struct request *request)
{
    struct user_work *w = user_work_new(request);

    if (!w || request_read(request, &user_change_table, &w->change) < 0)
        return;
    w->work.run = change_run;
    w->work.answer = user_answer;
    w->work.changes_rights = true;
    work_group_names(&w->work, work_write);
}

/* --- DELETE /api/v1/users/{id} ----------------------------------------------------------------- */

static int delete_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct user_work *w = (struct user_work *)work;

    if (store_administrators_lock(tx, err) < 0 || user_get(tx, w, err) < 0 ||
        store_user_delete(tx, w->id, err) < 0 || user_administrator_left(tx, work->arena, err) < 0)
        return -1;
    return work_audit(tx, work, "user.delete", user_object(work, &w->user), err, NULL);
}

void user_delete(struct request *request)
{
    struct user_work *w = user_work_new(request);

    if (!w)
        return;
    w->work.run = delete_run;
    w->work.answer = empty_answer;
    w->work.changes_rights = true;
    work_write(&w->work);
}

/* --- PUT /api/v1/users/{id}/grants ------------------------------------------------------------- */

static int grant_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct user_work *w = (struct user_work *)work;

    if (store_administrators_lock(tx, err) < 0 || user_get(tx, w, err) < 0)
        return -1;
    const char *before = role_grants_text(work, w->user.grants, w->user.grant_count);
    w->user.grants = w->grants;
    w->user.grant_count = w->grant_count;
    w->user.updated_at = work->now_ms;
    if (store_user_roles(tx, w->id, w->grants, w->grant_count, err) < 0 ||
        store_user_update(tx, &w->user, err) < 0 ||
        user_administrator_left(tx, work->arena, err) < 0)
        return -1;
    return work_audit(tx, work, "user.grant", user_object(work, &w->user), err, "before", before,
                      "after", role_grants_text(work, w->grants, w->grant_count), NULL);
}

static void grant_named(struct work *work)
{
    struct user_work *w = (struct user_work *)work;
    struct error err;

    w->grant_count = w->grant_input.grant_count;
    if (role_grants_read(work, w->grant_input.grants, w->grant_count, &w->grants, &err) < 0)
        request_fail(work->request, &err);
    else
        work_write(work);
}

void user_grant(struct request *request)
{
    struct user_work *w = user_work_new(request);

    if (!w || request_read(request, &user_grant_table, &w->grant_input) < 0)
        return;
    w->work.run = grant_run;
    w->work.answer = user_answer;
    w->work.changes_rights = true;
    work_group_names(&w->work, grant_named);
}

/* --- PUT /api/v1/users/{id}/password ------------------------------------------------------------ */

static int reset_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct user_work *w = (struct user_work *)work;

    if (user_get(tx, w, err) < 0 ||
        store_user_password(tx, w->id, w->password, work->now_ms, err) < 0)
        return -1;
    return work_audit(tx, work, "user.password-reset", user_object(work, &w->user), err, NULL);
}

static void reset_hashed(void *ctx, bool match, const char *hash)
{
    struct user_work *w = ctx;

    (void)match;
    w->password = request_hash_taken(w->work.request, hash);
    w->work.run = reset_run;
    if (w->password)
        work_write(&w->work);
}

/* The name is known now: the password must not contain it. */
static void reset_found(struct work *work)
{
    struct user_work *w = (struct user_work *)work;
    struct error err;
    int result = password_check(w->secret, w->user.name, &err);

    work->answer = empty_answer;
    work->changes_rights = true;
    if (result == 0)
        result = password_hash(work->auth->passwords, w->secret, reset_hashed, w, &err);
    secret_wipe(w->secret);
    if (result < 0)
        request_fail(work->request, &err);
}

void user_reset(struct request *request)
{
    struct user_work *w = user_work_new(request);
    struct user_reset_input input = { 0 };

    if (!w || request_read(request, &user_reset_table, &input) < 0)
        return;
    w->secret = input.password;
    w->work.run = show_run;
    w->work.answer = reset_found;
    work_read(&w->work);
}

/* --- DELETE /api/v1/users/{id}/sessions --------------------------------------------------------- */

static int sign_out_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct user_work *w = (struct user_work *)work;

    if (user_get(tx, w, err) < 0 || store_session_delete(tx, w->id, 0, NULL, err) < 0)
        return -1;
    return work_audit(tx, work, "user.sign-out", user_object(work, &w->user), err, NULL);
}

void user_sign_out(struct request *request)
{
    struct user_work *w = user_work_new(request);

    if (!w)
        return;
    w->work.run = sign_out_run;
    w->work.answer = empty_answer;
    w->work.changes_rights = true;
    work_write(&w->work);
}
