#ifndef BELFRY_SERVICE_IDENTITY_H
#define BELFRY_SERVICE_IDENTITY_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "service/permission.h"

/*
 * Who sends a request between processes. Every node has an Ed25519 key, made at its first start and
 * kept in its data folder (node.key, 0600). Each request carries
 *
 *   X-Belfry-Identity: base64url(claims as JSON) "." base64url(signature over the part before ".")
 *
 * and the claims name the sending node, the service that is meant, on whose behalf, method and
 * target of the request, the BLAKE2b-256 of its body, and a life of at most 60 s. So a captured
 * header is good for nothing but the very same request to the same service, once more, for a
 * minute. That replay is harmless by what the requests are: reports, dispatches and heartbeats name
 * (run, attempt, token) and change nothing a second time; what people ask for is guarded by
 * If-Match, unique names or a client's id, and "run now" is the one that may then happen twice.
 * Between machines put TLS under it (internal.tls_certificate): signing does not hide.
 */
struct identity;

enum { IDENTITY_KEY_SIZE = 32, IDENTITY_LIFE_MS = 60000, IDENTITY_SKEW_MS = 30000 };
#define IDENTITY_HEADER "X-Belfry-Identity"

struct claims {
    char *issuer;                /* node name */
    char *audience;              /* service name */
    char *method, *target;       /* "POST", "/api/v1/jobs?x=y" as in the request line */
    char *body_hash;             /* set by identity_sign */
    int64_t issued_ms, expires_ms; /* set by identity_sign */
    char *request_id;
    char *client_address;        /* of whom it is done for; NULL: the node itself asks */
    struct principal *principal; /* NULL: nobody is signed in, or the node itself asks */
};

/* Loads or makes the key. Errors: ERR_IO, ERR_INVALID when others may read the file. */
int identity_new(const char *data_dir, const char *node_name, struct identity **ret_identity,
                 struct error *err);
void identity_free(struct identity **identity);
const unsigned char *identity_public_key(const struct identity *identity);

/* Value of the header; in arena. claims: audience to principal, without body_hash and times. */
char *identity_sign(const struct identity *identity, const struct claims *claims, struct str body,
                    int64_t now_ms, struct arena *arena);

/* Reads the claims without believing them: to know whose key is needed. ERR_UNAUTHENTICATED. */
int identity_read(struct str header, struct arena *arena, struct claims **ret_claims,
                  struct error *err);
/* Whether header is signed by this key. */
bool identity_signed_by(struct str header, const unsigned char public_key[IDENTITY_KEY_SIZE]);
/* Whether the claims fit the request they came with. ERR_UNAUTHENTICATED says what does not. */
int identity_check(const struct claims *claims, const char *audience, const char *method,
                   struct str target, struct str body, int64_t now_ms, struct error *err);

#endif
