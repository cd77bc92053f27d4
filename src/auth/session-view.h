#ifndef BELFRY_AUTH_SESSION_VIEW_H
#define BELFRY_AUTH_SESSION_VIEW_H

#include "auth/group-names.h"

/* Who is signed in, as answers say it. */
enum session_kind { SESSION_BROWSER, SESSION_KEY };

struct session_view {
    int32_t kind; /* enum session_kind */
    int64_t user_id;
    char *user, *display_name, *key;
    struct role_grant *grants;
    size_t grant_count;
    char *csrf;
    int64_t expires_at;
};

/* Value of a header of the request, in its arena; NULL: there is none. */
const char *request_header_text(const struct request *request, const char *name);

#endif
