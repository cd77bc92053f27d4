#include "auth/calls.h"

#include "auth/auth.h"
#include "auth/grant.h"
#include "auth/key.h"
#include "auth/node.h"
#include "auth/session.h"
#include "auth/setup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Last uses are written at most once a minute: they are for people. */
enum { TOUCH_MS = 60000 };

static atomic_uint_fast64_t generation;

void auth_changed(void)
{
    atomic_fetch_add(&generation, 1);
}

uint64_t auth_generation(void)
{
    return atomic_load(&generation);
}

/* --- writing last uses, with nobody waiting ----------------------------------------------------- */

struct touch {
    bool key;
    int64_t id, now_ms;
    char address[64];
};

static int touch_run(struct db_tx *tx, void *ctx, struct error *err)
{
    struct touch *touch = ctx;

    if (touch->key)
        return store_key_touch(tx, touch->id, touch->now_ms, touch->address, err);
    return store_session_touch(tx, touch->id, touch->now_ms, err);
}

static void touch_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    (void)outcome;
    (void)err;
    free(ctx);
}

static void touch_start(struct auth *auth, bool key, int64_t id, int64_t now_ms,
                        const char *address)
{
    struct touch *touch = memory_alloc(sizeof *touch);

    *touch = (struct touch){ .key = key, .id = id, .now_ms = now_ms };
    snprintf(touch->address, sizeof touch->address, "%s", address);
    db_submit(auth->node->db, DB_POOL_API, touch_run, touch, touch_done);
}

/* --- check ---------------------------------------------------------------------------------------- */

struct check {
    struct call *call;
    struct auth *auth;
    struct arena *arena;
    int64_t now_ms;
    int32_t kind;
    char key_id[TOKEN_KEY_ID_SIZE + 1];
    char hash[TOKEN_HASH_SIZE + 1];
    const char *address;

    bool found;
    struct session session;
    struct api_key key;
    struct user user;
};

static int check_run(struct db_tx *tx, void *ctx, struct error *err)
{
    struct check *check = ctx;
    int found;

    check->found = false;
    if (check->kind == AUTH_SESSION) {
        found = store_session_find(tx, check->arena, check->hash, &check->session, &check->user,
                                   err);
    } else {
        found = store_key_find(tx, check->arena, check->key_id, &check->key, err);
        if (found > 0)
            found = store_user_load(tx, check->arena, check->key.user_id, &check->user, err);
    }
    check->found = found > 0;
    return found < 0 ? -1 : 0;
}

static void check_refuse(struct check *check, const char *reason)
{
    struct error err;

    check->auth->counts[COUNT_REFUSED]++;
    LOG_INFO("credentials refused", "kind", check->kind == AUTH_KEY ? "key" : "session", "key",
             check->kind == AUTH_KEY && check->key_id[0] ? check->key_id : NULL, "address",
             check->address, "reason", reason);
    error_set(&err, ERR_UNAUTHENTICATED, "sign in first: this session or key is not valid");
    call_fail(check->call, &err);
}

static void check_session(struct check *check)
{
    struct auth *auth = check->auth;
    const struct session *session = &check->session;
    char csrf[TOKEN_SECRET_SIZE + 1];

    if (!session_valid(session, &check->user, auth->session_idle_ms, check->now_ms)) {
        check_refuse(check, "expired");
        return;
    }
    if (check->now_ms - session->used_at >= TOUCH_MS)
        touch_start(auth, false, session->id, check->now_ms, check->address);
    auth->counts[COUNT_CHECKED]++;
    token_csrf(session->token_hash, csrf);
    struct auth_identity identity = {
        .principal = { .kind = PRINCIPAL_USER, .id = check->user.id, .user_id = check->user.id,
                       .name = check->user.name, .grants = check->user.grants,
                       .grant_count = check->user.grant_count, .browser = true,
                       .session_id = session->id },
        .csrf = arena_strdup(check->arena, csrf),
        .expires_ms = session->expires_at,
    };
    call_answer(check->call, &identity);
}

static void check_key(struct check *check)
{
    const struct api_key *key = &check->key;
    const char *refusal = key_refusal(key, &check->user, check->hash, check->address,
                                      check->now_ms);
    struct auth_identity identity = {
        .principal = { .kind = PRINCIPAL_KEY, .id = key->id, .user_id = key->user_id,
                       .name = key->name },
        .expires_ms = key->expires_at,
    };

    if (refusal) {
        check_refuse(check, refusal);
        return;
    }
    if (check->now_ms - key->used_at >= TOUCH_MS)
        touch_start(check->auth, true, key->id, check->now_ms, check->address);
    check->auth->counts[COUNT_CHECKED]++;
    identity.principal.grant_count =
        grants_intersect(key->grants, key->grant_count, check->user.grants,
                         check->user.grant_count, check->arena, &identity.principal.grants);
    call_answer(check->call, &identity);
}

static void check_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct check *check = ctx;
    struct error mine;

    if (outcome != DB_OK)
        call_fail(check->call, outcome_error(outcome, err, &mine));
    else if (!check->found)
        check_refuse(check, "unknown");
    else if (check->kind == AUTH_SESSION)
        check_session(check);
    else
        check_key(check);
}

static void check_handle(struct call *call)
{
    const struct auth_check_request *request = call_request(call);
    struct check *check = ARENA_NEW(call_arena(call), struct check);
    struct str token = str_of(request->token);

    check->call = call;
    check->auth = call_state(call);
    check->arena = call_arena(call);
    check->now_ms = clock_wall_ms();
    check->kind = request->kind;
    check->address = request->address ? request->address : "";
    if (!token.bytes || (check->kind == AUTH_SESSION ? !token_session_valid(token)
                                                     : !token_key_parse(token, check->key_id))) {
        check_refuse(check, "malformed");
        return;
    }
    token_hash(request->token, check->hash);
    db_submit_read(check->auth->node->db, DB_POOL_API, check_run, check, check_done);
}

/* --- setup ---------------------------------------------------------------------------------------- */

struct setup_question {
    struct call *call;
    struct auth *auth;
    bool complete;
};

static int setup_run(struct db_tx *tx, void *ctx, struct error *err)
{
    struct setup_question *question = ctx;

    return store_setup_complete(tx, call_arena(question->call), &question->complete, err);
}

static void setup_answer(struct call *call, bool complete)
{
    struct auth_setup_answer answer = { .complete = complete };

    call_answer(call, &answer);
}

/* Another node of auth may have been the one: the store knows. */
static void setup_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct setup_question *question = ctx;
    struct error mine;

    if (outcome != DB_OK) {
        call_fail(question->call, outcome_error(outcome, err, &mine));
        return;
    }
    if (question->complete)
        setup_finish(question->auth);
    setup_answer(question->call, question->complete);
}

static void setup_handle(struct call *call)
{
    struct auth *auth = call_state(call);
    struct setup_question *question;

    if (auth->setup_complete) {
        setup_answer(call, true);
        return;
    }
    question = ARENA_NEW(call_arena(call), struct setup_question);
    question->call = call;
    question->auth = auth;
    db_submit_read(auth->node->db, DB_POOL_API, setup_run, question, setup_done);
}

const struct call_handler auth_calls[] = {
    { .type = &auth_check_call, .handle = check_handle },
    { .type = &auth_setup_call, .handle = setup_handle },
    { .type = &auth_enrol_call, .handle = node_enrol_handle,
      .why_public = "a node that is not known yet enrols by it; the body proves the join key" },
    { .type = &auth_node_call, .handle = node_find_handle },
    { 0 },
};
