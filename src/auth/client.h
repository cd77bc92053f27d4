#ifndef BELFRY_AUTH_CLIENT_H
#define BELFRY_AUTH_CLIENT_H

#include "service/call.h"
#include "service/permission.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * How other services ask the auth service. Everything runs on the loop; each done is called
 * exactly once, later, never inside the call that names it. Arguments are copied. Errors of all:
 * ERR_UNAVAILABLE when auth (or its store) is out of reach.
 */
struct node;

enum auth_kind { AUTH_SESSION, AUTH_KEY };

/* Who stands behind a session token or an API key, with the rights of this moment. */
struct auth_identity {
    struct principal principal;
    char *csrf;             /* of a session: what X-Belfry-CSRF must say; NULL for a key */
    int64_t expires_ms;     /* wall clock; 0: never */
};

/*
 * Checks a session token (AUTH_SESSION) or an API key (AUTH_KEY) coming from a numeric address.
 * ERR_UNAUTHENTICATED: unknown, expired, revoked, of a disabled user, or from an address that the
 * key's list does not name; the reason goes to the log only. The answer may be kept 5 s at most
 * and only while auth_generation() stays the same.
 */
typedef void auth_check_done(void *ctx, const struct auth_identity *identity,
                             const struct error *err);
void auth_check(struct node *node, enum auth_kind kind, const char *token, const char *address,
                auth_check_done *done, void *ctx);

/* Counts the changes of users, sessions and keys made in this process: what was cached under
 * another number is void. (Changes made in another process are seen after those 5 s.) */
uint64_t auth_generation(void);

/* Whether an administrator exists; once true it stays true. */
typedef void auth_setup_done(void *ctx, bool complete, const struct error *err);
void auth_setup_complete(struct node *node, auth_setup_done *done, void *ctx);

/* --- nodes -----------------------------------------------------------------------------------
 *
 * A node proves itself by its Ed25519 key. Enrolment puts the key into table node; it is
 * authenticated by HMAC with cluster.join_key in both directions, so that neither a stranger can
 * enrol nor a stranger's answer be taken for auth's. In auth's own process no join key is needed.
 */
enum { NODE_KEY_SIZE = 32 };

struct auth_node {
    const char *name;
    uint8_t public_key[NODE_KEY_SIZE];
};

/* node is NULL with err: ERR_NOT_FOUND unknown or revoked; ERR_FORBIDDEN the answer's proof does
 * not fit the join key. */
typedef void auth_node_done(void *ctx, const struct auth_node *node, const struct error *err);

/* Enrols this process under node->name; done gets auth's own node, whose requests are to be
 * trusted from now on. services: "gateway, job-admin". ERR_FORBIDDEN: wrong join key;
 * ERR_INVALID: none is set. Enrolling again is harmless. */
void auth_node_enrol(struct node *node, const uint8_t public_key[NODE_KEY_SIZE],
                     const char *services, auth_node_done *done, void *ctx);
/* The key of a node that sent a signed request. */
void auth_node_find(struct node *node, const char *name, auth_node_done *done, void *ctx);

/* The call types: auth answers "node-enrol" without a signed identity, since its body carries the
 * HMAC; every other one only to a node that is enrolled. */
extern const struct call_type auth_call_check, auth_call_setup, auth_call_node_enrol,
    auth_call_node_find;

#endif
