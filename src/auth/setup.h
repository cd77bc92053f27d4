#ifndef BELFRY_AUTH_SETUP_H
#define BELFRY_AUTH_SETUP_H

#include "auth/auth.h"

/*
 * The first start: there is no default password. While no administrator exists, each start of a
 * process makes a new one-time code, prints it and leaves it in DATA/setup-code (0600); whoever
 * can read either of the two may make the first administrator.
 */
#define SETUP_ACCOUNT "(setup)" /* no user can be called so; for the throttle */

/* Looks whether one exists; if not makes and shows the code. Blocking: at start only. */
int setup_begin(struct auth *auth, struct error *err);
/* An administrator exists now: code and file are gone. */
void setup_finish(struct auth *auth);

#endif
