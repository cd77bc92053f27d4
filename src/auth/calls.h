#ifndef BELFRY_AUTH_CALLS_H
#define BELFRY_AUTH_CALLS_H

#include "auth/client.h"

/* What travels between client.c (in any process) and calls.c, node.c (in auth's). */

struct auth_check_request {
    int32_t kind; /* enum auth_kind */
    char *token, *address;
};
/* answer: struct auth_identity */
extern const struct call_type auth_check_call;

struct auth_setup_request {
    bool unused;
};
struct auth_setup_answer {
    bool complete;
};
extern const struct call_type auth_setup_call;

/*
 * Enrolment. proof is the HMAC of what stands before it, by the join key; the answer's is over
 * the same nonce, so that it is fresh. Keys, nonces and proofs are hex.
 */
struct auth_enrol_request {
    char *name, *public_key, *services, *nonce;
    int64_t at_ms;
    char *proof;
};
struct auth_enrol_answer {
    char *proof;
};
extern const struct call_type auth_enrol_call;

struct auth_node_request {
    char *name, *nonce;
};
struct auth_node_answer {
    char *public_key; /* NULL: there is none */
    char *proof;
};
extern const struct call_type auth_node_call;

/* --- proofs by the join key ---------------------------------------------------------------------- */

enum {
    PROOF_SIZE = 64,  /* hex of HMAC-SHA-512/256 */
    NONCE_SIZE = 32,
    JOIN_KEY_MIN = 32,
    ENROL_WINDOW_MS = 300000,
};

/* -1 with ERR_INVALID where cluster.join_key is not set or too short. */
int join_key_get(const struct config *config, const char **ret_key, struct error *err);
/* HMAC over purpose and the texts, each with its length; the list ends with NULL. */
void join_proof(const char *join_key, char proof[PROOF_SIZE + 1], const char *purpose, ...)
    __attribute__((sentinel));
bool join_proof_equal(const char *proof, const char *given);

#endif
