#include "auth/store-private.h"

/* The frame writes audit entries (service/audit.h); reading them for people is auth's. */

#define ROW_COLUMNS \
    "service, sequence, at, actor_kind, actor_name, address, action, object, group_id, detail"

static void row_read(const struct db_result *row, struct audit_row *out)
{
    *out = (struct audit_row){
        .service = store_text(row, 0),
        .sequence = db_int(row, 1),
        .at = db_int(row, 2),
        .actor_kind = (int32_t)db_int(row, 3),
        .actor = store_text(row, 4),
        .address = store_text(row, 5),
        .action = store_text(row, 6),
        .object = store_text(row, 7),
        .group_id = db_int(row, 8),
        .detail = store_text(row, 9),
    };
}

/* A filter that is not set matches everything: the statement stays one literal. */
int store_audit_search(struct db_tx *tx, struct arena *arena, const struct audit_filter *f,
                       struct audit_row **ret_rows, size_t *ret_count, struct error *err)
{
    struct db_result *rows;
    struct audit_row *out;
    size_t count = 0;

    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT " ROW_COLUMNS " FROM audit_entry WHERE at >= ? AND at < ? "
                 "AND (? = '' OR service = ?) AND (? = '' OR actor_name = ?) "
                 "AND (? = '' OR action = ?) AND (? = '' OR object = ?) "
                 "ORDER BY at DESC, sequence DESC, service DESC LIMIT ?",
                 DB_I(f->from), DB_I(f->until), DB_T(f->service ? f->service : ""),
                 DB_T(f->service ? f->service : ""), DB_T(f->actor ? f->actor : ""),
                 DB_T(f->actor ? f->actor : ""), DB_T(f->action ? f->action : ""),
                 DB_T(f->action ? f->action : ""), DB_T(f->object ? f->object : ""),
                 DB_T(f->object ? f->object : ""), DB_I(f->limit)) < 0)
        return -1;
    out = ARENA_ARRAY(arena, struct audit_row, db_row_count(rows) + 1);
    while (db_next(rows))
        row_read(rows, &out[count++]);
    *ret_rows = out;
    *ret_count = count;
    return 0;
}

int store_audit_services(struct db_tx *tx, struct arena *arena, const char *const **ret_names,
                         size_t *ret_count, struct error *err)
{
    struct db_result *rows;
    const char **names;
    size_t count = 0;

    if (DB_QUERY(tx, arena, &rows, err,
                 "SELECT service FROM audit_head WHERE sequence > ? ORDER BY service",
                 DB_I(0)) < 0)
        return -1;
    names = ARENA_ARRAY(arena, const char *, db_row_count(rows) + 1);
    while (db_next(rows))
        names[count++] = db_text(rows, 0);
    *ret_names = names;
    *ret_count = count;
    return 0;
}
