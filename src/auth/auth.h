#ifndef BELFRY_AUTH_AUTH_H
#define BELFRY_AUTH_AUTH_H

#include "auth/token.h"
#include "service/audit.h"
#include "service/service.h"

/* What the files of the auth service share. */
struct admin_group_found;

enum auth_count {
    COUNT_SIGNED_IN, COUNT_WRONG_PASSWORD, COUNT_THROTTLED, COUNT_CHECKED, COUNT_REFUSED, COUNT_MAX
};

struct auth {
    struct node *node;
    struct password_pool *passwords;
    struct login_throttle *throttle;
    int64_t session_idle_ms, session_lifetime_ms;
    bool setup_complete;                    /* once true it stays true */
    char setup_code[TOKEN_SETUP_SIZE + 1];  /* "" when complete */
    uint64_t counts[COUNT_MAX];             /* for /metrics */
};

extern const struct db_migration auth_migrations[];
extern const size_t auth_migration_count;
extern const struct route auth_routes[];
extern const struct call_handler auth_calls[];

/* Voids what gateways of this process cached (auth_generation): after every change of rights. */
void auth_changed(void);

/*
 * One request's piece of work in the store. Put first into a struct of the handler's own, in the
 * request's arena; run reads and writes that struct on a worker thread, where it may run again from
 * the start; answer goes on from there on the loop. Where the work fails the request is answered
 * for it.
 */
struct work {
    struct auth *auth;
    struct request *request;
    struct arena *arena;
    int64_t now_ms;                /* when the request came; all its times are this one */
    const struct principal *actor; /* for the audit; the request's unless a handler knows better */
    int (*run)(struct db_tx *tx, struct work *work, struct error *err);
    void (*answer)(struct work *work);
    bool changes_rights;           /* auth_changed once it is stored */
    struct admin_group_found *groups; /* group-names.h */
    size_t group_count;
    const struct error *groups_error; /* why there are none */
};

/* A zeroed struct whose first member is the work of this request. */
#define WORK_NEW(request, type) ((type *)work_init((request), sizeof(type)))
void *work_init(struct request *request, size_t size);
void work_read(struct work *work);
void work_write(struct work *work);

/* The error of an outcome that is not DB_OK, for calls: err where it says something, else mine. */
const struct error *outcome_error(enum db_outcome outcome, const struct error *err,
                                  struct error *mine);

/* An audit entry of this request. details: pairs of name and text, ended by NULL; a NULL text
 * leaves the pair out. */
int work_audit(struct db_tx *tx, struct work *work, const char *action, const char *object,
               struct error *err, ...) __attribute__((sentinel));

#endif
