#include "auth/grant.h"

static int32_t role_min(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

enum role grants_role(const struct grant *grants, size_t count, int32_t group_id)
{
    int32_t role = ROLE_NONE;

    for (size_t i = 0; i < count; i++)
        if ((grants[i].group_id == 0 || grants[i].group_id == group_id) && grants[i].role > role)
            role = grants[i].role;
    return (enum role)role;
}

bool grants_within(const struct grant *inner, size_t inner_count, const struct grant *outer,
                   size_t outer_count)
{
    for (size_t i = 0; i < inner_count; i++)
        if (inner[i].role > (int32_t)grants_role(outer, outer_count, inner[i].group_id))
            return false;
    return true;
}

static void grant_add(struct grant *grants, size_t *count, int32_t group_id, int32_t role)
{
    if (role == ROLE_NONE)
        return;
    for (size_t i = 0; i < *count; i++)
        if (grants[i].group_id == group_id) {
            if (role > grants[i].role)
                grants[i].role = role;
            return;
        }
    grants[(*count)++] = (struct grant){ .group_id = group_id, .role = role };
}

/* Leaves out what the role over all groups gives anyway. */
static size_t grants_shorten(struct grant *grants, size_t count)
{
    int32_t all = (int32_t)grants_role(grants, count, 0);
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (grants[i].group_id == 0 || grants[i].role > all)
            grants[kept++] = grants[i];
    return kept;
}

size_t grants_intersect(const struct grant *key, size_t key_count, const struct grant *owner,
                        size_t owner_count, struct arena *arena, struct grant **ret_grants)
{
    struct grant *grants = ARENA_ARRAY(arena, struct grant, key_count + owner_count + 1);
    size_t count = 0;

    /* Groups that one of the two names, each at the lower of the two roles there. "All" of a key
     * whose owner has single groups comes out as those groups. */
    for (size_t i = 0; i < key_count; i++)
        grant_add(grants, &count, key[i].group_id,
                  role_min(key[i].role,
                           (int32_t)grants_role(owner, owner_count, key[i].group_id)));
    for (size_t i = 0; i < owner_count; i++)
        grant_add(grants, &count, owner[i].group_id,
                  role_min(owner[i].role, (int32_t)grants_role(key, key_count, owner[i].group_id)));
    *ret_grants = grants;
    return grants_shorten(grants, count);
}
