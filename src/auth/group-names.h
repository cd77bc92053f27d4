#ifndef BELFRY_AUTH_GROUP_NAMES_H
#define BELFRY_AUTH_GROUP_NAMES_H

#include "auth/auth.h"

/*
 * Grants as people write them: { "group": "billing", "role": "operator" }, "*" standing for all
 * groups. The names of groups are job-admin's.
 */
struct role_grant {
    char *group;
    int32_t role; /* enum role */
};
extern const struct json_table role_grant_table;
/* The member "grants" of a struct with struct role_grant *grants and size_t grant_count. */
#define ROLE_GRANTS_MEMBER(type_, flags_)                                                   \
    { .name = "grants", .type = JSON_ARRAY, .offset = offsetof(struct type_, grants),       \
      .count_offset = offsetof(struct type_, grant_count), .flags = (flags_),               \
      .max = 200, .sub = &role_grant_table,                                                 \
      .about = "Roles: viewer, operator, developer or administrator of a group, or of all (*)." }

/* Asks for the names and goes on with next. While job-admin is away people still sign in: groups
 * then show by number, and giving a role over one by its name is refused as unavailable. */
void work_group_names(struct work *work, void (*next)(struct work *work));

/* ERR_INVALID with the path of what names no group, stands there twice or is no role. */
int role_grants_read(const struct work *work, const struct role_grant *grants, size_t count,
                     struct grant **ret_grants, struct error *err);
/* The same back; a group that is gone, or whose name is not known now, shows as "#17". */
struct role_grant *role_grants_make(const struct work *work, const struct grant *grants,
                                    size_t count);
/* For the audit: "operator of billing, viewer of *". */
const char *role_grants_text(const struct work *work, const struct grant *grants, size_t count);

#endif
