#ifndef BELFRY_SERVICE_PERMISSION_H
#define BELFRY_SERVICE_PERMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Who asks, and what they may do. Every route names one permission; start-up fails when one has
 * none. Roles are granted over a job group, or over all of them (group 0).
 */
enum permission {
    PERM_NONE,          /* a route left at this stops the start */
    PERM_PUBLIC,        /* no sign-in; the route's why_public says why */
    PERM_SIGNED_IN,     /* anybody signed in: about themselves */
    PERM_VIEW,          /* viewer and up: read jobs, runs, logs of a group */
    PERM_OPERATE,       /* operator and up: run, stop, pause, enable, disable */
    PERM_DEVELOP,       /* developer and up: create, change, delete jobs and calendars */
    PERM_ADMINISTER,    /* administrator of all groups: users, roles, keys of others, groups, nodes */
};

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_DEVELOPER, ROLE_ADMINISTRATOR };
extern const char *const role_names[]; /* "none", "viewer", …, NULL: index is the role */

struct grant {
    int32_t group_id; /* 0: all groups */
    int32_t role;     /* enum role */
};

enum principal_kind { PRINCIPAL_USER, PRINCIPAL_KEY, PRINCIPAL_SERVICE };

struct principal {
    int32_t kind;     /* enum principal_kind */
    int32_t id;       /* user or key id; 0 for a service */
    char *name;       /* user name, key name or node name */
    struct grant *grants;
    size_t grant_count;
    bool browser;     /* came with a session cookie: CSRF rules apply */
    int32_t user_id;    /* the user, or the owner of the key; 0 for a service */
    int32_t session_id; /* of a browser, else 0 */
};

bool role_may(enum role role, enum permission permission);
/* group_id 0 asks for the right over all groups. */
bool principal_may(const struct principal *principal, enum permission permission, int32_t group_id);
/* Somewhere at all: what the gateway checks before a handler checks the group. */
bool principal_may_somewhere(const struct principal *principal, enum permission permission);

#endif
