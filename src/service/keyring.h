#ifndef BELFRY_SERVICE_KEYRING_H
#define BELFRY_SERVICE_KEYRING_H

#include "service/identity.h"
#include "service/service.h"

/*
 * The public keys of other nodes, as auth told them. An unknown name is asked for once, however
 * many requests wait for it, and not again for KEYRING_RETRY_MS after a no; all questions together
 * are limited, since the names come from requests that nobody has verified yet. A known key is
 * asked for again after KEYRING_FRESH_MS, so a revoked node is out within a minute or so.
 */
struct keyring;

enum { KEYRING_RETRY_MS = 2000, KEYRING_FRESH_MS = 60000, KEYRING_MAX = 1024, KEYRING_ASKED_MAX = 32 };

struct keyring *keyring_new(struct node *node, const struct node_hooks *hooks);
void keyring_free(struct keyring **keyring);

/* The key, or NULL. Asks again in the background when it is old. */
const unsigned char *keyring_find(struct keyring *keyring, const char *name, int64_t mono_ms);
/*
 * Asks auth for the key, unless that was done just now; done is called exactly once, later: after
 * it keyring_find says what is known. Returns false, and does not call done, when it is not worth or
 * not allowed to ask.
 */
bool keyring_ask(struct keyring *keyring, const char *name, int64_t mono_ms, void (*done)(void *ctx),
               void *ctx);
/* The one who waits has gone. */
void keyring_forget(struct keyring *keyring, void *ctx);

#endif
