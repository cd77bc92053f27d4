#include "job-admin/admin.h"

#include "base/log.h"

/* Day partitions of runs and what belongs to them: made a week ahead, on servers. */

enum { DAYS_AHEAD = 7 };

static int main_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    int64_t today = time_day(admin_now_ms(ctx));
    static const char *const tables[] = { "run", "attempt", "run_note" };

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (db_partitions_ensure(tx, tables[i], today - 1, today + DAYS_AHEAD, err))
            return -1;
    return 0;
}

static int log_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    int64_t today = time_day(admin_now_ms(ctx));

    return db_partitions_ensure(tx, "run_log", today - 1, today + DAYS_AHEAD, err);
}

static void partitions_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    (void)ctx;
    /* rows without a partition of their own go to the catch-all: nothing is lost */
    if (outcome != DB_OK)
        LOG_WARN("day partitions could not be made, tried again in an hour", "error",
                 err ? error_english(err) : NULL);
}

/* Before anything is written: a row on its way to the catch-all while its partition is made would
 * be refused. */
int partitions_make(struct admin *admin, struct error *err)
{
    if (db_run(admin->node->db, DB_POOL_API, main_fn, admin, err) != DB_OK ||
        db_run(admin->node->db, DB_POOL_LOG, log_fn, admin, err) != DB_OK)
        return -1;
    return 0;
}

void partitions_keep(struct admin *admin)
{
    db_submit(admin->node->db, DB_POOL_API, main_fn, admin, partitions_done);
    db_submit(admin->node->db, DB_POOL_LOG, log_fn, admin, partitions_done);
}
