#include "auth/routes-private.h"

#include "auth/group-names.h"
#include "auth/login-throttle.h"
#include "auth/password.h"
#include "auth/setup.h"
#include "auth/user.h"
#include "base/clock.h"

#include <inttypes.h>

struct setup_input {
    char *code, *name, *password;
};
static const struct json_member setup_members[] = {
    { .name = "code", .type = JSON_TEXT, .offset = offsetof(struct setup_input, code),
      .flags = JSON_REQUIRED | JSON_IN_ONLY, .max = 64,
      .about = "The one-time code that the first start printed." },
    { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct setup_input, name),
      .flags = JSON_REQUIRED, .max = USER_NAME_MAX, .about = "Name of the first administrator." },
    { .name = "password", .type = JSON_TEXT, .offset = offsetof(struct setup_input, password),
      .flags = JSON_REQUIRED | JSON_IN_ONLY, .max = PASSWORD_SIZE_MAX,
      .about = "At least 12 characters." },
    { 0 },
};
const struct json_table setup_table = { "Setup", sizeof(struct setup_input), setup_members };

struct setup_state_view {
    bool complete;
};
static const struct json_member setup_state_members[] = {
    { .name = "complete", .type = JSON_BOOL, .offset = offsetof(struct setup_state_view, complete),
      .about = "Whether an administrator exists." },
    { 0 },
};
const struct json_table setup_state_table = { "SetupState", sizeof(struct setup_state_view),
                                              setup_state_members };

struct setup_work {
    struct work work;
    struct setup_input input;
    struct user user;
    struct principal actor;
    bool complete;
};

/* --- GET /api/v1/setup --------------------------------------------------------------------------- */

static int state_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct setup_work *w = (struct setup_work *)work;

    return store_setup_complete(tx, work->arena, &w->complete, err);
}

static void state_answer(struct work *work)
{
    struct setup_work *w = (struct setup_work *)work;
    struct setup_state_view view = { .complete = w->complete };

    request_answer(work->request, 200, &setup_state_table, &view);
}

void setup_state(struct request *request)
{
    struct setup_work *w = WORK_NEW(request, struct setup_work);

    w->work.run = state_run;
    w->work.answer = state_answer;
    work_read(&w->work);
}

/* --- POST /api/v1/setup --------------------------------------------------------------------------- */

static struct grant everything[] = { { .group_id = 0, .role = ROLE_ADMINISTRATOR } };

static int complete_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct setup_work *w = (struct setup_work *)work;
    bool complete;

    if (store_setup_complete(tx, work->arena, &complete, err) < 0)
        return -1;
    if (complete)
        return error_set(err, ERR_CONFLICT, "an administrator exists already");
    if (store_setup_insert(tx, work->now_ms, err) < 0 || store_user_insert(tx, &w->user, err) < 0)
        return -1;
    w->actor.id = w->actor.user_id = w->user.id;
    return work_audit(tx, work, "setup", arena_printf(work->arena, "user/%s", w->user.name), err,
                      NULL);
}

static void complete_answer(struct work *work)
{
    struct setup_work *w = (struct setup_work *)work;

    setup_finish(work->auth);
    login_throttle_success(work->auth->throttle, SETUP_ACCOUNT, work->request->client_address);
    user_answer_new(work, &w->user);
}

static void complete_hashed(void *ctx, bool match, const char *hash)
{
    struct setup_work *w = ctx;

    (void)match;
    w->user.password = request_hash_taken(w->work.request, hash);
    if (!w->user.password)
        return;
    w->work.run = complete_run;
    w->work.answer = complete_answer;
    w->work.changes_rights = true;
    work_write(&w->work);
}

static int input_check(struct setup_work *w, struct error *err)
{
    const struct auth *auth = w->work.auth;

    if (auth->setup_complete)
        return error_set(err, ERR_CONFLICT, "an administrator exists already");
    if (!token_setup_equal(auth->setup_code, w->input.code))
        return error_set_at(err, ERR_FORBIDDEN, "code",
                            "is not the code that the first start printed");
    if (user_name_check(w->input.name, err) < 0)
        return -1;
    return password_check(w->input.password, w->input.name, err);
}

void setup_complete(struct request *request)
{
    struct setup_work *w = WORK_NEW(request, struct setup_work);
    struct error err;
    int64_t wait;
    int result;

    if (request_read(request, &setup_table, &w->input) < 0)
        return;
    wait = login_throttle_begin(w->work.auth->throttle, SETUP_ACCOUNT, request->client_address,
                                clock_mono_ms());
    if (wait > 0) {
        request_throttled(request, wait);
        return;
    }
    w->user = (struct user){ .name = w->input.name, .grants = everything, .grant_count = 1,
                             .created_at = w->work.now_ms, .updated_at = w->work.now_ms };
    w->actor = (struct principal){ .kind = PRINCIPAL_USER, .name = w->input.name };
    w->work.actor = &w->actor;
    result = input_check(w, &err);
    if (result == 0)
        result = password_hash(w->work.auth->passwords, w->input.password, complete_hashed, w, &err);
    secret_wipe(w->input.code);
    secret_wipe(w->input.password);
    if (result < 0)
        request_fail(request, &err);
}
