#include "auth/calls.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* --- what travels ----------------------------------------------------------------------------- */

#define MEMBER(type_, kind_, member) \
    { .name = #member, .type = (kind_), .offset = offsetof(struct type_, member) }

static const struct json_member grant_members[] = {
    MEMBER(grant, JSON_INT32, group_id),
    MEMBER(grant, JSON_INT32, role),
    { 0 },
};
static const struct json_table grant_table = { "Grant", sizeof(struct grant), grant_members };

static const struct json_member principal_members[] = {
    MEMBER(principal, JSON_INT32, kind),
    MEMBER(principal, JSON_INT32, id),
    MEMBER(principal, JSON_TEXT, name),
    { .name = "grants", .type = JSON_ARRAY, .offset = offsetof(struct principal, grants),
      .count_offset = offsetof(struct principal, grant_count), .sub = &grant_table },
    MEMBER(principal, JSON_BOOL, browser),
    MEMBER(principal, JSON_INT32, user_id),
    MEMBER(principal, JSON_INT32, session_id),
    { 0 },
};
static const struct json_table principal_table = { "Principal", sizeof(struct principal),
                                                   principal_members };

static const struct json_member identity_members[] = {
    { .name = "principal", .type = JSON_STRUCT, .offset = offsetof(struct auth_identity, principal),
      .sub = &principal_table },
    MEMBER(auth_identity, JSON_TEXT, csrf),
    MEMBER(auth_identity, JSON_INT, expires_ms),
    { 0 },
};
static const struct json_table identity_table = { "Identity", sizeof(struct auth_identity),
                                                  identity_members };

static const struct json_member check_members[] = {
    MEMBER(auth_check_request, JSON_INT32, kind),
    MEMBER(auth_check_request, JSON_TEXT, token),
    MEMBER(auth_check_request, JSON_TEXT, address),
    { 0 },
};
static const struct json_table check_table = { "Check", sizeof(struct auth_check_request),
                                               check_members };
const struct call_type auth_check_call = {
    .service = "auth", .name = "check", .timeout_ms = 5000,
    .request = &check_table, .answer = &identity_table,
};

static const struct json_member setup_members[] = {
    MEMBER(auth_setup_request, JSON_BOOL, unused),
    { 0 },
};
static const struct json_table setup_table = { "SetupQuestion", sizeof(struct auth_setup_request),
                                               setup_members };
static const struct json_member setup_answer_members[] = {
    MEMBER(auth_setup_answer, JSON_BOOL, complete),
    { 0 },
};
static const struct json_table setup_answer_table = { "SetupAnswer",
                                                      sizeof(struct auth_setup_answer),
                                                      setup_answer_members };
const struct call_type auth_setup_call = {
    .service = "auth", .name = "setup", .timeout_ms = 5000,
    .request = &setup_table, .answer = &setup_answer_table,
};

static const struct json_member enrol_members[] = {
    MEMBER(auth_enrol_request, JSON_TEXT, name),
    MEMBER(auth_enrol_request, JSON_TEXT, public_key),
    MEMBER(auth_enrol_request, JSON_TEXT, services),
    MEMBER(auth_enrol_request, JSON_TEXT, nonce),
    MEMBER(auth_enrol_request, JSON_INT, at_ms),
    MEMBER(auth_enrol_request, JSON_TEXT, proof),
    { 0 },
};
static const struct json_table enrol_table = { "Enrol", sizeof(struct auth_enrol_request),
                                               enrol_members };
static const struct json_member enrol_answer_members[] = {
    MEMBER(auth_enrol_answer, JSON_TEXT, proof),
    { 0 },
};
static const struct json_table enrol_answer_table = { "Enrolled", sizeof(struct auth_enrol_answer),
                                                      enrol_answer_members };
const struct call_type auth_enrol_call = {
    .service = "auth", .name = "node-enrol", .timeout_ms = 5000, .size_max = 16 * 1024,
    .request = &enrol_table, .answer = &enrol_answer_table,
};

static const struct json_member node_members[] = {
    MEMBER(auth_node_request, JSON_TEXT, name),
    MEMBER(auth_node_request, JSON_TEXT, nonce),
    { 0 },
};
static const struct json_table node_table = { "NodeFind", sizeof(struct auth_node_request),
                                              node_members };
static const struct json_member node_answer_members[] = {
    MEMBER(auth_node_answer, JSON_TEXT, public_key),
    MEMBER(auth_node_answer, JSON_TEXT, proof),
    { 0 },
};
static const struct json_table node_answer_table = { "NodeFound", sizeof(struct auth_node_answer),
                                                     node_answer_members };
const struct call_type auth_node_call = {
    .service = "auth", .name = "node-find", .timeout_ms = 5000,
    .request = &node_table, .answer = &node_answer_table,
};

/* --- credentials -------------------------------------------------------------------------------- */

struct check {
    struct auth_check_request request;
    auth_check_done *done;
    void *ctx;
};

static void on_checked(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct check *check = ctx;

    (void)sent;
    check->done(check->ctx, answer, err);
    sodium_memzero(check->request.token, strlen(check->request.token));
    free(check->request.token);
    free(check->request.address);
    free(check);
}

void auth_check(struct node *node, enum auth_kind kind, const char *token, const char *address,
                auth_check_done *done, void *ctx)
{
    struct check *check = memory_alloc(sizeof *check);

    check->request.kind = (int32_t)kind;
    check->request.token = memory_strdup(token);
    check->request.address = memory_strdup(address);
    check->done = done;
    check->ctx = ctx;
    call_send(node, &auth_check_call, NULL, &check->request, on_checked, check);
}

/* --- first start -------------------------------------------------------------------------------- */

struct setup {
    struct auth_setup_request request;
    auth_setup_done *done;
    void *ctx;
};

static void on_setup(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct setup *setup = ctx;
    const struct auth_setup_answer *state = answer;

    (void)sent;
    setup->done(setup->ctx, state && state->complete, err);
    free(setup);
}

void auth_setup_complete(struct node *node, auth_setup_done *done, void *ctx)
{
    struct setup *setup = memory_alloc(sizeof *setup);

    setup->done = done;
    setup->ctx = ctx;
    call_send(node, &auth_setup_call, NULL, &setup->request, on_setup, setup);
}

/* --- nodes ---------------------------------------------------------------------------------------- */

static bool auth_is_here(const struct node *node)
{
    return service_local_state(node, "auth") != NULL;
}

struct enrol {
    struct node *node;
    struct auth_enrol_request request;
    char nonce[NONCE_SIZE + 1], public_key[2 * NODE_KEY_SIZE + 1], proof[PROOF_SIZE + 1];
    char *services;
    void (*done)(void *ctx, const struct error *err);
    void *ctx;
    struct error err; /* found before anything was sent */
};

static void enrol_end(struct enrol *enrol, const struct error *err)
{
    enrol->done(enrol->ctx, err);
    free(enrol->services);
    free(enrol);
}

static void on_enrolled(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct enrol *enrol = ctx;
    const struct auth_enrol_answer *enrolled = answer;
    char proof[PROOF_SIZE + 1];
    const char *join_key;
    struct error mine;

    (void)sent;
    if (!err && !auth_is_here(enrol->node)) {
        if (join_key_get(enrol->node->config, &join_key, &mine) < 0) {
            err = &mine;
        } else {
            join_proof(join_key, proof, "enrolled", enrol->node->name, enrol->nonce, NULL);
            if (!join_proof_equal(proof, enrolled->proof)) {
                error_set(&mine, ERR_FORBIDDEN,
                          "who answered for auth does not have our cluster.join_key");
                err = &mine;
            }
        }
    }
    enrol_end(enrol, err);
}

static void on_enrol_refused(void *ctx)
{
    struct enrol *enrol = ctx;

    enrol_end(enrol, &enrol->err);
}

static char *services_here(const struct node *node)
{
    struct buf names;

    buf_init(&names, 1024);
    for (size_t i = 0; i < node->service_count; i++)
        if (service_local_state(node, node->services[i]->name))
            buf_printf(&names, "%s%s", names.size ? ", " : "", node->services[i]->name);
    buf_add_text(&names, "");
    char *text = memory_strdup(buf_text(&names));
    buf_done(&names);
    return text;
}

static int enrol_prove(struct enrol *enrol)
{
    const char *join_key;
    char at[24];

    if (auth_is_here(enrol->node))
        return 0; /* a call inside the process needs no proof */
    if (join_key_get(enrol->node->config, &join_key, &enrol->err) < 0)
        return -1;
    snprintf(at, sizeof at, "%" PRId64, enrol->request.at_ms);
    join_proof(join_key, enrol->proof, "enrol", enrol->request.name, enrol->public_key,
               enrol->services, enrol->nonce, at, NULL);
    return 0;
}

void auth_node_enrol(struct node *node, void (*done)(void *ctx, const struct error *err), void *ctx)
{
    struct enrol *enrol = memory_alloc(sizeof *enrol);

    enrol->node = node;
    enrol->done = done;
    enrol->ctx = ctx;
    enrol->services = services_here(node);
    random_hex(enrol->nonce);
    sodium_bin2hex(enrol->public_key, sizeof enrol->public_key, node_public_key(node),
                   NODE_KEY_SIZE);
    enrol->request = (struct auth_enrol_request){
        .name = (char *)(uintptr_t)node->name,
        .public_key = enrol->public_key,
        .services = enrol->services,
        .nonce = enrol->nonce,
        .at_ms = clock_wall_ms(),
        .proof = enrol->proof,
    };
    if (enrol_prove(enrol) < 0)
        node_post(node, on_enrol_refused, enrol);
    else
        call_send(node, &auth_enrol_call, NULL, &enrol->request, on_enrolled, enrol);
}

struct find {
    struct node *node;
    struct auth_node_request request;
    char nonce[NONCE_SIZE + 1];
    void (*done)(void *ctx, const unsigned char *public_key, const struct error *err);
    void *ctx;
};

/* The answer decides whom this process believes: it must prove the join key as well. */
static int found_check(const struct find *find, const struct auth_node_answer *found,
                       struct error *err)
{
    char proof[PROOF_SIZE + 1];
    const char *join_key;

    if (auth_is_here(find->node))
        return 0;
    if (join_key_get(find->node->config, &join_key, err) < 0)
        return -1;
    join_proof(join_key, proof, "node", find->request.name, find->nonce,
               found->public_key ? found->public_key : "", NULL);
    if (join_proof_equal(proof, found->proof))
        return 0;
    return error_set(err, ERR_FORBIDDEN,
                     "who answered for auth does not have our cluster.join_key");
}

static void on_found(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct find *find = ctx;
    const struct auth_node_answer *found = answer;
    unsigned char key[NODE_KEY_SIZE];
    size_t size = 0;
    struct error mine;

    (void)sent;
    if (!err && found_check(find, found, &mine) < 0)
        err = &mine;
    if (!err && found->public_key)
        sodium_hex2bin(key, sizeof key, found->public_key, strlen(found->public_key), NULL, &size,
                       NULL);
    find->done(find->ctx, size == sizeof key ? key : NULL, err);
    free(find->request.name);
    free(find);
}

void auth_node_find(struct node *node, const char *name,
                    void (*done)(void *ctx, const unsigned char *public_key,
                                 const struct error *err),
                    void *ctx)
{
    struct find *find = memory_alloc(sizeof *find);

    find->node = node;
    find->done = done;
    find->ctx = ctx;
    find->request.name = memory_strdup(name);
    find->request.nonce = find->nonce;
    random_hex(find->nonce);
    call_send(node, &auth_node_call, NULL, &find->request, on_found, find);
}
