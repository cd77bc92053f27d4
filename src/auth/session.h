#ifndef BELFRY_AUTH_SESSION_H
#define BELFRY_AUTH_SESSION_H

#include "auth/store.h"

/* When a session counts, and the cookie it travels in. Pure. */

/* Not past its end, not idle too long, made under the user's present epoch, user not disabled. */
bool session_valid(const struct session *session, const struct user *user, int64_t idle_ms,
                   int64_t now_ms);

/*
 * Set-Cookie for a token. name is what the gateway says is fitting: "__Host-belfry" (TLS, thus
 * Secure) or "belfry" (plain HTTP on loopback). token NULL takes the cookie away.
 */
const char *session_cookie(struct arena *arena, const char *name, const char *token,
                           int64_t lifetime_ms);

#endif
