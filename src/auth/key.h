#ifndef BELFRY_AUTH_KEY_H
#define BELFRY_AUTH_KEY_H

#include "auth/store.h"

/* When an API key counts. Pure. */

enum { KEY_ADDRESSES_MAX = 20 };

/* NULL: the key may be used; else why not, for the log. hash is that of the whole text sent. */
const char *key_refusal(const struct api_key *key, const struct user *owner, const char *hash,
                        const char *address, int64_t now_ms);
/* The next secret: what was current stays good until old_until. */
void key_rotated(struct api_key *key, char *new_hash, int64_t old_until);

#endif
