#ifndef BELFRY_AUTH_USER_H
#define BELFRY_AUTH_USER_H

#include "auth/store.h"

/* What a user may be called, and what must stay true of them all. */

enum { USER_NAME_MAX = 64 };

/* Small ASCII letters, digits, Chinese characters and . _ - @, not beginning with one of the last
 * four, 2 to 64 long: so that no two names look the same. ERR_INVALID, path "name". */
int user_name_check(const char *name, struct error *err);

/* After a change that may take an administrator away, in its transaction and under
 * store_administrators_lock: ERR_CONFLICT when none is left. */
int user_administrator_left(struct db_tx *tx, struct arena *arena, struct error *err);

#endif
