#ifndef BELFRY_AUTH_CLIENT_H
#define BELFRY_AUTH_CLIENT_H

#include "service/service.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * How other services ask the auth service. Everything runs on the loop; each done is called
 * exactly once, later, never inside the call that names it. Arguments are copied. Errors of all:
 * ERR_UNAVAILABLE when auth (or its store) is out of reach.
 */
/* The gateway says in this header of a request which cookie the connection may have, so that auth,
 * which never sees the connection, can set it; absent: none. */
#define AUTH_COOKIE_HEADER "X-Belfry-Cookie"
#define AUTH_COOKIE_TLS "__Host-belfry"
#define AUTH_COOKIE_LOOPBACK "belfry"

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
 * The two functions have the shape of struct node_hooks.
 */

/* Enrols this process (node->name, node_public_key). ERR_FORBIDDEN: another join key, or revoked;
 * ERR_INVALID: none is set. Enrolling again is harmless. */
void auth_node_enrol(struct node *node, void (*done)(void *ctx, const struct error *err),
                     void *ctx);
/* The key of a node that sent a signed request: NULL without err where there is none, or it is
 * revoked; NULL with ERR_FORBIDDEN where the answer does not prove the join key. */
void auth_node_find(struct node *node, const char *name,
                    void (*done)(void *ctx, const unsigned char *public_key,
                                 const struct error *err),
                    void *ctx);

#endif
