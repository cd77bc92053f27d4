#ifndef BELFRY_AUTH_GRANT_H
#define BELFRY_AUTH_GRANT_H

#include "base/arena.h"
#include "service/permission.h"

/* Arithmetic of role grants. A grant over group 0 counts for every group. */

/* The role over one group, or over all of them (group 0): the highest that applies. */
enum role grants_role(const struct grant *grants, size_t count, int32_t group_id);

/* Whether each of inner's grants is covered by outer's: what a key may be given. */
bool grants_within(const struct grant *inner, size_t inner_count, const struct grant *outer,
                   size_t outer_count);

/*
 * The rights of a key: what it was given, cut down to what its owner still has. Grants that come
 * to nothing are left out. In arena.
 */
size_t grants_intersect(const struct grant *key, size_t key_count, const struct grant *owner,
                        size_t owner_count, struct arena *arena, struct grant **ret_grants);

#endif
