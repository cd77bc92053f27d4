#ifndef BELFRY_SERVICE_AUDIT_H
#define BELFRY_SERVICE_AUDIT_H

#include "db/db.h"
#include "service/permission.h"

/*
 * One audit entry for each change, written in the transaction of the change itself; a BLAKE2b hash
 * chain per service (each entry's hash covers the one before). Never holds a secret.
 */
struct audit_entry {
    const char *service;          /* "job-admin" */
    const struct principal *actor; /* NULL: the system itself */
    const char *address;          /* of the caller, or NULL */
    const char *action;           /* "job.create" */
    const char *object;           /* "job/17" */
    int32_t group_id;             /* 0: none */
    const char *detail;           /* JSON object of what changed, or NULL */
};
int audit_write(struct db_tx *tx, const struct audit_entry *entry, struct error *err);
/* Walks the chain: 1 whole, 0 broken (ret_broken: sequence of the first bad entry), -1 failed. */
int audit_verify(struct db_tx *tx, const char *service, int64_t *ret_entries, int64_t *ret_broken,
                 struct error *err);

extern const struct db_migration service_migrations[]; /* audit, audit_head, id_sequence */
extern const size_t service_migration_count;

#endif
