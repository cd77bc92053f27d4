#ifndef BELFRY_AUTH_LOGIN_THROTTLE_H
#define BELFRY_AUTH_LOGIN_THROTTLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Slows down guessing. Failures are counted per account, per address (IPv6 by /64) and over all;
 * past a free number each further one doubles the wait, up to a cap that is short for an account,
 * so that nobody can lock somebody else out for long, and long for an address. A minute without an
 * attempt forgives one failure. Nothing is permanent and nothing is stored. Loop only.
 */
struct login_throttle;

struct login_throttle *login_throttle_new(size_t entries_max);
void login_throttle_free(struct login_throttle **throttle);

/*
 * 0: go ahead; the attempt counts as failed until login_throttle_success, so that many at the same
 * time do not all see a free number. Else the milliseconds to wait; such an attempt is not counted.
 */
int64_t login_throttle_begin(struct login_throttle *throttle, const char *account,
                             const char *address, int64_t now_ms);
/* Clears the account; address and total only get their one attempt back: an attacker with an
 * account of his own must not win free tries with it. */
void login_throttle_success(struct login_throttle *throttle, const char *account,
                            const char *address);

#endif
