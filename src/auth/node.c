#include "auth/node.h"

#include "auth/auth.h"
#include "auth/calls.h"
#include "auth/store.h"
#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

enum { NODE_NAME_MAX = 128, SERVICES_TEXT_MAX = 512 };

/* Only the frame's own name pointer stands for a call inside the process: a claim from outside is
 * never the same address. */
static bool call_is_local(const struct call *call, const struct auth *auth)
{
    return call_from(call) == auth->node->name;
}

static void proof_answer(struct call *call, char *proof)
{
    struct auth_enrol_answer answer = { .proof = arena_strdup(call_arena(call), proof) };

    call_answer(call, &answer);
}

/* --- node-enrol ------------------------------------------------------------------------------------ */

struct enrolment {
    struct call *call;
    struct auth *auth;
    struct enrolled_node node;
    char proof[PROOF_SIZE + 1]; /* of the answer; "" inside the process */
};

static int enrol_run(struct db_tx *tx, void *ctx, struct error *err)
{
    struct enrolment *e = ctx;
    struct arena *arena = call_arena(e->call);
    struct enrolled_node before = { 0 };
    int found = store_node_find(tx, arena, e->node.name, &before, err);
    bool same = found > 0 && strcmp(before.public_key, e->node.public_key) == 0;

    if (found < 0)
        return -1;
    if (found > 0 && before.revoked_at)
        return error_set(err, ERR_FORBIDDEN, "node %s was revoked: an administrator must forget it "
                                             "before it can join again", e->node.name);
    if (store_node_put(tx, &e->node, err) < 0)
        return -1;
    if (same)
        return 0; /* a restart: nothing to remember */
    struct audit_entry entry = {
        .service = "auth",
        .action = found > 0 ? "node.new-key" : "node.enrol",
        .object = arena_printf(arena, "node/%s", e->node.name),
    };
    return audit_write(tx, &entry, err);
}

static void enrol_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct enrolment *e = ctx;

    if (outcome == DB_OK) {
        LOG_INFO("node enrolled", "node", e->node.name, "services", e->node.services);
        proof_answer(e->call, e->proof);
        return;
    }
    struct error mine;
    err = outcome_error(outcome, err, &mine);
    LOG_WARN("node not enrolled", "node", e->node.name, "why", error_english(err));
    call_fail(e->call, err);
}

static bool hex_is(const char *text, size_t size)
{
    return text && strlen(text) == size && strspn(text, "0123456789abcdef") == size;
}

static bool name_is_plain(const char *name)
{
    size_t size = name ? strlen(name) : 0;

    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] <= ' ' || (unsigned char)name[i] >= 0x7f)
            return false;
    return size > 0 && size <= NODE_NAME_MAX;
}

static int enrol_prove(struct enrolment *e, const struct auth_enrol_request *request,
                       struct error *err)
{
    int64_t skew = clock_wall_ms() - request->at_ms;
    char at[24], proof[PROOF_SIZE + 1];
    const char *join_key;

    if (call_is_local(e->call, e->auth))
        return 0;
    if (join_key_get(e->auth->node->config, &join_key, err) < 0)
        return -1;
    snprintf(at, sizeof at, "%" PRId64, request->at_ms);
    join_proof(join_key, proof, "enrol", request->name, request->public_key, request->services,
               request->nonce, at, NULL);
    if (!join_proof_equal(proof, request->proof))
        return error_set(err, ERR_FORBIDDEN, "cluster.join_key is not the same as auth's");
    if (skew < -ENROL_WINDOW_MS || skew > ENROL_WINDOW_MS)
        return error_set(err, ERR_FORBIDDEN, "the clocks of the two nodes differ by %lld s",
                         (long long)(skew / 1000));
    join_proof(join_key, e->proof, "enrolled", request->name, request->nonce, NULL);
    return 0;
}

static int enrol_check(struct enrolment *e, const struct auth_enrol_request *request,
                       struct error *err)
{
    if (!name_is_plain(request->name) || !hex_is(request->public_key, 2 * NODE_KEY_SIZE) ||
        !hex_is(request->nonce, NONCE_SIZE) || !request->services ||
        strlen(request->services) > SERVICES_TEXT_MAX)
        return error_set(err, ERR_INVALID, "malformed enrolment");
    return enrol_prove(e, request, err);
}

void node_enrol_handle(struct call *call)
{
    const struct auth_enrol_request *request = call_request(call);
    struct enrolment *e = ARENA_NEW(call_arena(call), struct enrolment);
    struct error err;

    e->call = call;
    e->auth = call_state(call);
    if (enrol_check(e, request, &err) < 0) {
        LOG_WARN("node refused", "node", name_is_plain(request->name) ? request->name : NULL,
                 "why", error_english(&err));
        call_fail(call, &err);
        return;
    }
    e->node = (struct enrolled_node){
        .name = request->name,
        .public_key = request->public_key,
        .services = request->services,
        .enrolled_at = clock_wall_ms(),
    };
    db_submit(e->auth->node->db, DB_POOL_API, enrol_run, e, enrol_done);
}

/* --- node-find --------------------------------------------------------------------------------------- */

struct finding {
    struct call *call;
    struct auth *auth;
    const struct auth_node_request *request;
    struct enrolled_node node;
    bool found;
};

static int find_run(struct db_tx *tx, void *ctx, struct error *err)
{
    struct finding *f = ctx;
    int found = store_node_find(tx, call_arena(f->call), f->request->name, &f->node, err);

    f->found = found > 0 && !f->node.revoked_at;
    return found < 0 ? -1 : 0;
}

static void find_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct finding *f = ctx;
    struct auth_node_answer answer = { .public_key = f->found ? f->node.public_key : NULL };
    char proof[PROOF_SIZE + 1] = "";
    const char *join_key;
    struct error mine;

    if (outcome != DB_OK) {
        call_fail(f->call, outcome_error(outcome, err, &mine));
        return;
    }
    if (!call_is_local(f->call, f->auth)) {
        if (join_key_get(f->auth->node->config, &join_key, &mine) < 0) {
            call_fail(f->call, &mine);
            return;
        }
        join_proof(join_key, proof, "node", f->request->name, f->request->nonce,
                   f->found ? f->node.public_key : "", NULL);
    }
    answer.proof = arena_strdup(call_arena(f->call), proof);
    call_answer(f->call, &answer);
}

void node_find_handle(struct call *call)
{
    struct finding *f = ARENA_NEW(call_arena(call), struct finding);
    struct error err;

    f->call = call;
    f->auth = call_state(call);
    f->request = call_request(call);
    if (!name_is_plain(f->request->name) || !hex_is(f->request->nonce, NONCE_SIZE)) {
        error_set(&err, ERR_INVALID, "malformed question");
        call_fail(call, &err);
        return;
    }
    db_submit_read(f->auth->node->db, DB_POOL_API, find_run, f, find_done);
}
