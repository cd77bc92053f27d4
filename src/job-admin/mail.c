#include "job-admin/admin.h"

/*
 * Mail to the owner of a shard: what an API call at any job-admin has changed. Rows are hints that
 * cannot get lost: what they tell stands in the tables already. Read every half second and at once
 * after a change made here; a row is deleted by the owner when the scheduler has been told.
 */

enum { MAIL_MAX = 500 };

struct mail {
    int64_t id, ref;
    int32_t shard;
    enum mail_kind kind;
};

struct mail_op {
    struct admin *admin;
    struct arena *arena;
    struct mail mails[MAIL_MAX];
    size_t count;
};

static int mail_read(struct db_tx *tx, void *ctx, struct error *err)
{
    struct mail_op *op = ctx;
    struct db_result *result;

    op->count = 0;
    /* only of shards that are ours by the lease table: others' mail is theirs */
    if (DB_QUERY(tx, op->arena, &result, err,
                 "SELECT admin_mail.id, admin_mail.ref, admin_mail.shard, admin_mail.kind "
                 "FROM admin_mail JOIN shard_lease ON shard_lease.shard = admin_mail.shard "
                 "WHERE shard_lease.incarnation = ? ORDER BY admin_mail.id LIMIT ?",
                 DB_T(op->admin->node->incarnation), DB_I(MAIL_MAX)))
        return -1;
    while (db_next(result))
        op->mails[op->count++] = (struct mail){ .id = db_int(result, 0), .ref = db_int(result, 1),
                                                .shard = (int32_t)db_int(result, 2),
                                                .kind = (enum mail_kind)db_int(result, 3) };
    return 0;
}

static int mail_delete(struct db_tx *tx, void *ctx, struct error *err)
{
    struct mail_op *op = ctx;

    for (size_t i = 0; i < op->count; i++)
        if (DB_EXEC(tx, "DELETE FROM admin_mail WHERE id = ?", DB_ANY_ROWS, err,
                    DB_I(op->mails[i].id)))
            return -1;
    return 0;
}

static void mail_free(struct mail_op *op)
{
    struct arena *arena = op->arena;

    arena_free(&arena);
}

static void mail_deleted(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct mail_op *op = ctx;
    struct admin *admin = op->admin;

    (void)err;
    bool again = admin->mail_again || (outcome == DB_OK && op->count == MAIL_MAX);
    mail_free(op);
    admin->mail_reading = admin->mail_again = false;
    if (again)
        engine_mail_poll(admin);
}

static void mail_tell(struct admin *admin, const struct mail *mail)
{
    switch (mail->kind) {
    case MAIL_JOB: engine_job_changed(admin, mail->ref); break;
    case MAIL_RUN: engine_run_added(admin, mail->ref); break;
    case MAIL_STOP:
        /* the row says by whom and why: reading it tells the scheduler all of it */
        engine_run_added(admin, mail->ref);
        break;
    }
}

static void mail_have(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct mail_op *op = ctx;

    if (outcome != DB_OK || op->count == 0) {
        op->count = 0;
        mail_deleted(op, outcome, err);
        return;
    }
    for (size_t i = 0; i < op->count; i++)
        mail_tell(op->admin, &op->mails[i]);
    db_submit(op->admin->node->db, DB_POOL_SCHEDULE, mail_delete, op, mail_deleted);
}

void engine_mail_poll(struct admin *admin)
{
    if (admin->mail_reading) {
        admin->mail_again = true;
        return;
    }
    struct arena *arena = arena_new();
    struct mail_op *op = ARENA_NEW(arena, struct mail_op);
    op->admin = admin;
    op->arena = arena;
    admin->mail_reading = true;
    db_submit_read(admin->node->db, DB_POOL_SCHEDULE, mail_read, op, mail_have);
}
