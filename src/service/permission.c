#include "service/permission.h"

const char *const role_names[] = { "none", "viewer", "operator", "developer", "administrator", 0 };

bool role_may(enum role role, enum permission permission)
{
    switch (permission) {
    case PERM_NONE:
        return false;
    case PERM_PUBLIC:
    case PERM_SIGNED_IN:
        return true;
    case PERM_VIEW:
        return role >= ROLE_VIEWER;
    case PERM_OPERATE:
        return role >= ROLE_OPERATOR;
    case PERM_DEVELOP:
        return role >= ROLE_DEVELOPER;
    case PERM_ADMINISTER:
        return role >= ROLE_ADMINISTRATOR;
    }
    return false;
}

/* Administering is a right over all groups: an administrator of one group is a developer there. */
static bool grant_reaches(const struct grant *grant, enum permission permission, int32_t group_id)
{
    return grant->group_id == 0 || (grant->group_id == group_id && permission != PERM_ADMINISTER);
}

bool principal_may(const struct principal *principal, enum permission permission, int32_t group_id)
{
    if (permission == PERM_PUBLIC)
        return true;
    if (!principal || permission == PERM_NONE)
        return false;
    if (permission == PERM_SIGNED_IN)
        return principal->kind != PRINCIPAL_SERVICE;
    for (size_t i = 0; i < principal->grant_count; i++) {
        const struct grant *grant = &principal->grants[i];
        if (grant_reaches(grant, permission, group_id) &&
            role_may((enum role)grant->role, permission))
            return true;
    }
    return false;
}

bool principal_may_somewhere(const struct principal *principal, enum permission permission)
{
    if (principal_may(principal, permission, 0))
        return true;
    if (!principal || permission == PERM_NONE || permission == PERM_ADMINISTER)
        return false;
    for (size_t i = 0; i < principal->grant_count; i++)
        if (role_may((enum role)principal->grants[i].role, permission))
            return true;
    return false;
}
