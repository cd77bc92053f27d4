#include "auth/session.h"

#include "base/str.h"

#include <inttypes.h>

bool session_valid(const struct session *session, const struct user *user, int64_t idle_ms,
                   int64_t now_ms)
{
    return now_ms < session->expires_at && now_ms - session->used_at < idle_ms &&
           session->epoch == user->epoch && !user->disabled;
}

const char *session_cookie(struct arena *arena, const char *name, const char *token,
                           int64_t lifetime_ms)
{
    const char *secure = str_starts_with(str_of(name), STR("__Host-")) ? "; Secure" : "";

    return arena_printf(arena, "%s=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%" PRId64 "%s", name,
                        token ? token : "", token ? lifetime_ms / 1000 : 0, secure);
}
