#ifndef BELFRY_AUTH_PASSWORD_H
#define BELFRY_AUTH_PASSWORD_H

#include "base/error.h"

#include <stdbool.h>

/*
 * Passwords: Argon2id (libsodium's INTERACTIVE: 64 MiB, 2 passes), parameters in the stored text.
 * Hashing takes tens of milliseconds and 64 MiB, so it is done by a few threads of its own, never
 * on the loop; what waits is bounded.
 */
struct event_base;
struct password_pool;

enum { PASSWORD_LENGTH_MIN = 12, PASSWORD_SIZE_MAX = 1024 };

/* At least 12 characters, none of the usual ones, no run or repetition, the user's name not in it.
 * No rules of composition. ERR_INVALID, path "password". */
int password_check(const char *password, const char *user_name, struct error *err);

int password_pool_new(struct event_base *base, unsigned threads, unsigned waiting_max,
                      struct password_pool **ret_pool, struct error *err);
/* Waits for hashes that run; those that wait are dropped, and no done is called any more. */
void password_pool_free(struct password_pool **pool);

/* hash: a fresh one, valid during done only; NULL where none was asked for or needed, or where
 * there was no memory to make it. */
typedef void password_done(void *ctx, bool match, const char *hash);

/*
 * On the loop; password is copied, done runs later on the loop. ERR_THROTTLED when too many wait
 * (done is not called then).
 * Verify: stored NULL stands for an unknown user, takes the same time and never matches. hash is
 * set on a match whose stored parameters are not today's.
 */
int password_verify(struct password_pool *pool, const char *stored, const char *password,
                    password_done *done, void *ctx, struct error *err);
int password_hash(struct password_pool *pool, const char *password, password_done *done, void *ctx,
                  struct error *err);
/* Verify, and on a match hash replacement: changing one's own password. */
int password_replace(struct password_pool *pool, const char *stored, const char *password,
                     const char *replacement, password_done *done, void *ctx, struct error *err);

#endif
