#include "auth/service.h"

#include "auth/auth.h"
#include "auth/login-throttle.h"
#include "auth/password.h"
#include "auth/setup.h"
#include "base/memory.h"

#include <sodium.h>
#include <stdlib.h>

enum { THROTTLE_ENTRIES = 20000, PASSWORDS_WAITING = 64 };

static void auth_free(void *state)
{
    struct auth *auth = state;

    if (!auth)
        return;
    password_pool_free(&auth->passwords);
    login_throttle_free(&auth->throttle);
    sodium_memzero(auth->setup_code, sizeof auth->setup_code);
    free(auth);
}

static int auth_start(struct node *node, void **ret_state, struct error *err)
{
    struct auth *auth = memory_alloc(sizeof *auth);
    unsigned threads = (unsigned)config_int(node->config, "auth.password_threads");

    auth->node = node;
    auth->session_idle_ms = config_int(node->config, "auth.session_idle");
    auth->session_lifetime_ms = config_int(node->config, "auth.session_lifetime");
    auth->throttle = login_throttle_new(THROTTLE_ENTRIES);
    if (sodium_init() < 0) {
        error_set(err, ERR_INTERNAL, "libsodium cannot be used on this machine");
        goto fail;
    }
    if (password_pool_new(node->base, threads, PASSWORDS_WAITING, &auth->passwords, err) < 0 ||
        setup_begin(auth, err) < 0)
        goto fail;
    *ret_state = auth;
    return 0;
fail:
    auth_free(auth);
    return -1;
}

static void auth_metrics(void *state, struct buf *out)
{
    static const struct {
        const char *name, *label;
    } rows[COUNT_MAX] = {
        [COUNT_SIGNED_IN] = { "belfry_auth_sign_ins_total", "ok" },
        [COUNT_WRONG_PASSWORD] = { "belfry_auth_sign_ins_total", "refused" },
        [COUNT_THROTTLED] = { "belfry_auth_sign_ins_total", "throttled" },
        [COUNT_CHECKED] = { "belfry_auth_checks_total", "ok" },
        [COUNT_REFUSED] = { "belfry_auth_checks_total", "refused" },
    };
    const struct auth *auth = state;

    for (size_t i = 0; i < COUNT_MAX; i++) {
        if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
            buf_printf(out, "# TYPE %s counter\n", rows[i].name);
        buf_printf(out, "%s{result=\"%s\"} %llu\n", rows[i].name, rows[i].label,
                   (unsigned long long)auth->counts[i]);
    }
    buf_printf(out, "# TYPE belfry_auth_setup_complete gauge\nbelfry_auth_setup_complete %d\n",
               auth->setup_complete);
}

const struct service auth_service = {
    .name = "auth",
    .routes = auth_routes,
    .calls = auth_calls,
    .migrations = auth_migrations,
    .migration_count = 3,
    .needs_db = true,
    .start = auth_start,
    .metrics = auth_metrics,
    .free = auth_free,
};
