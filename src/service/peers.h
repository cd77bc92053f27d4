#ifndef BELFRY_SERVICE_PEERS_H
#define BELFRY_SERVICE_PEERS_H

#include "service/identity.h"
#include "service/service.h"

/*
 * The public keys of other nodes, as auth told them. An unknown name is asked for once, however
 * many requests wait for it, and not again for PEERS_RETRY_MS after a no; all questions together
 * are limited, since the names come from requests that nobody has verified yet. A known key is
 * asked for again after PEERS_FRESH_MS, so a revoked node is out within a minute or so.
 */
struct peers;

enum { PEERS_RETRY_MS = 2000, PEERS_FRESH_MS = 60000, PEERS_MAX = 1024, PEERS_ASKED_MAX = 32 };

struct peers *peers_new(struct node *node, const struct node_hooks *hooks);
void peers_free(struct peers **peers);

/* The key, or NULL. Asks again in the background when it is old. */
const unsigned char *peers_find(struct peers *peers, const char *name, int64_t mono_ms);
/*
 * Asks auth for the key, unless that was done just now; done is called exactly once, later: after
 * it peers_find says what is known. Returns false, and does not call done, when it is not worth or
 * not allowed to ask.
 */
bool peers_ask(struct peers *peers, const char *name, int64_t mono_ms, void (*done)(void *ctx),
               void *ctx);
/* The one who waits has gone. */
void peers_forget(struct peers *peers, void *ctx);

#endif
