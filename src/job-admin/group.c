#include "job-admin/api.h"
#include "job-admin/admin.h"

#include "service/audit.h"

/* Job groups: the only unit of tenancy. */

struct group {
    int32_t id;
    char *name, *description;
    int64_t created_at;
    int64_t job_count;
};

static const struct json_member group_members[] = {
    { .name = "id", .type = JSON_INT32, .offset = offsetof(struct group, id),
      .flags = JSON_OUT_ONLY },
    { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct group, name),
      .flags = JSON_REQUIRED | JSON_NOT_BLANK | JSON_ONE_LINE, .max = 64,
      .about = "unique, without /" },
    { .name = "description", .type = JSON_TEXT, .offset = offsetof(struct group, description),
      .flags = JSON_NULL_OK, .max = 2000 },
    { .name = "created_at", .type = JSON_TIME, .offset = offsetof(struct group, created_at),
      .flags = JSON_OUT_ONLY },
    { .name = "job_count", .type = JSON_INT, .offset = offsetof(struct group, job_count),
      .flags = JSON_OUT_ONLY },
    { 0 },
};
const struct json_table group_table = { "Group", sizeof(struct group), group_members };

struct group_op {
    struct admin *admin;
    struct request *request;   /* or call */
    struct call *call;
    struct arena *arena;
    struct group group;
    int64_t after, limit;
    struct group *groups;
    size_t count;
    bool missing;
};

static struct group_op *group_op_new(struct request *request)
{
    struct group_op *op = ARENA_NEW(request->arena, struct group_op);

    op->admin = request->state;
    op->request = request;
    op->arena = request->arena;
    return op;
}

/* --- list ------------------------------------------------------------------------------------------------ */

static int groups_read(struct db_tx *tx, void *ctx, struct error *err)
{
    struct group_op *op = ctx;
    struct db_value values[VISIBLE_VALUES + 2];
    struct db_result *result;

    if (op->request) {
        visible_values(op->request, values);
    } else { /* another service asks for all */
        for (size_t i = 0; i < VISIBLE_VALUES; i++)
            values[i] = DB_I(i == 0 ? 1 : -1);
    }
    values[VISIBLE_VALUES] = DB_I(op->after);
    values[VISIBLE_VALUES + 1] = DB_I(op->limit + 1);
    if (db_query(tx, op->arena,
                 "SELECT id, name, description, created_at, "
                 "(SELECT COUNT(*) FROM job WHERE job.group_id = job_group.id) FROM job_group "
                 "WHERE (? = 1 OR id IN (" SQL_64 ")) AND id > ? ORDER BY id LIMIT ?",
                 values, VISIBLE_VALUES + 2, &result, err))
        return -1;
    op->groups = ARENA_ARRAY(op->arena, struct group, db_row_count(result) + 1);
    for (op->count = 0; db_next(result); op->count++)
        op->groups[op->count] = (struct group){
            .id = (int32_t)db_int(result, 0),
            .name = (char *)(intptr_t)db_text(result, 1),
            .description = (char *)(intptr_t)db_text(result, 2),
            .created_at = db_int(result, 3),
            .job_count = db_int(result, 4),
        };
    return 0;
}

static void list_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct group_op *op = ctx;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
        return;
    }
    size_t limit = (size_t)op->limit;
    list_page_answer(op->request, &group_table, op->groups, sizeof *op->groups, op->count, limit,
                op->count > limit ? cursor_make(op->arena, op->groups[limit - 1].id, 0) : NULL);
}

void api_group_list(struct request *request)
{
    struct group_op *op = group_op_new(request);
    const char *cursor = NULL;
    int64_t unused;
    struct error err;

    if (request_query_int(request, "limit", 1, 500, 100, &op->limit) ||
        request_query_text(request, "cursor", &cursor))
        return;
    if (cursor && cursor_read(cursor, &op->after, &unused, &err)) {
        request_fail(request, &err);
        return;
    }
    db_submit_read(op->admin->node->db, DB_POOL_API, groups_read, op, list_done);
}

/* --- create and delete -------------------------------------------------------------------------------- */

static int group_audit(struct db_tx *tx, const struct group_op *op, const char *action,
                       struct error *err)
{
    struct audit_entry entry = {
        .service = "job-admin",
        .actor = op->request->principal,
        .address = op->request->client_address,
        .action = action,
        .object = arena_printf(op->arena, "group/%s", op->group.name),
        .group_id = op->group.id,
    };

    return audit_write(tx, &entry, err);
}

static int group_create_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct group_op *op = ctx;
    struct group *group = &op->group;
    int32_t existing;
    int64_t id;

    int found = store_group_by_name(tx, op->arena, group->name, &existing, err);
    if (found != 0)
        return found < 0 ? -1
                         : error_set_at(err, ERR_CONFLICT, "name", "group %s exists", group->name);
    /* group 1 came with the schema */
    if (ids_take(tx, "group", 0, &id, err))
        return -1;
    group->id = (int32_t)id + 1;
    group->created_at = db_now_ms(tx);
    if (DB_EXEC(tx, "INSERT INTO job_group (id, name, description, created_at) VALUES (?, ?, ?, ?)",
                1, err, DB_I(group->id), DB_T(group->name), DB_T(group->description),
                DB_I(group->created_at)))
        return -1;
    return group_audit(tx, op, "group.create", err);
}

static void group_created(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct group_op *op = ctx;

    if (outcome != DB_OK)
        request_fail_outcome(op->request, (int)outcome, err);
    else
        request_answer(op->request, 201, &group_table, &op->group);
}

void api_group_create(struct request *request)
{
    struct group_op *op = group_op_new(request);
    struct error err;

    if (request_require(request, PERM_ADMINISTER, 0) ||
        request_read(request, &group_table, &op->group))
        return;
    if (strchr(op->group.name, '/') || strcmp(op->group.name, "*") == 0) {
        error_set_at(&err, ERR_INVALID, "name", "a group's name must not contain \"/\" or be \"*\"");
        request_fail(request, &err);
        return;
    }
    db_submit(op->admin->node->db, DB_POOL_API, group_create_fn, op, group_created);
}

static int group_delete_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct group_op *op = ctx;
    struct db_result *result;

    int found = store_group_by_name(tx, op->arena, op->group.name, &op->group.id, err);
    op->missing = found == 0;
    if (found != 1)
        return found;
    if (op->group.id == 1)
        return error_set(err, ERR_CONFLICT, "the group default cannot be deleted");
    if (DB_QUERY(tx, op->arena, &result, err, "SELECT COUNT(*) FROM job WHERE group_id = ?",
                 DB_I(op->group.id)))
        return -1;
    if (db_next(result) && db_int(result, 0) > 0)
        return error_set(err, ERR_CONFLICT, "group %s has %lld jobs; delete or move them first",
                         op->group.name, (long long)db_int(result, 0));
    if (DB_EXEC(tx, "DELETE FROM job_group WHERE id = ?", 1, err, DB_I(op->group.id)))
        return -1;
    return group_audit(tx, op, "group.delete", err);
}

static void group_deleted(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct group_op *op = ctx;
    struct error missing;

    if (outcome != DB_OK) {
        request_fail_outcome(op->request, (int)outcome, err);
    } else if (op->missing) {
        error_set(&missing, ERR_NOT_FOUND, "no group %s", op->group.name);
        request_fail(op->request, &missing);
    } else {
        request_answer_empty(op->request, 204);
    }
}

void api_group_delete(struct request *request)
{
    struct group_op *op = group_op_new(request);

    if (request_require(request, PERM_ADMINISTER, 0))
        return;
    op->group.name = (char *)(intptr_t)request->params[0];
    db_submit(op->admin->node->db, DB_POOL_API, group_delete_fn, op, group_deleted);
}

/* --- for other services ----------------------------------------------------------------------------------- */

static struct group_op *call_op_new(struct call *call)
{
    struct group_op *op = ARENA_NEW(call_arena(call), struct group_op);

    op->admin = call_state(call);
    op->call = call;
    op->arena = call_arena(call);
    return op;
}

static int find_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct group_op *op = ctx;
    const struct admin_group_find *find = call_request(op->call);
    struct db_result *result;

    op->group = (struct group){ 0 };
    if (find->name ? DB_QUERY(tx, op->arena, &result, err,
                              "SELECT id, name FROM job_group WHERE name = ?", DB_T(find->name))
                   : DB_QUERY(tx, op->arena, &result, err,
                              "SELECT id, name FROM job_group WHERE id = ?", DB_I(find->id)))
        return -1;
    if (db_next(result)) {
        op->group.id = (int32_t)db_int(result, 0);
        op->group.name = (char *)(intptr_t)db_text(result, 1);
    }
    return 0;
}

static void find_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct group_op *op = ctx;
    struct error unavailable;

    if (outcome != DB_OK) {
        error_set(&unavailable, ERR_UNAVAILABLE, "the store cannot be read");
        call_fail(op->call, err ? err : &unavailable);
        return;
    }
    struct admin_group_found answer = { .id = op->group.id, .name = op->group.name };
    call_answer(op->call, &answer);
}

void group_find_call(struct call *call)
{
    struct group_op *op = call_op_new(call);

    db_submit_read(op->admin->node->db, DB_POOL_API, find_fn, op, find_done);
}

static void groups_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct group_op *op = ctx;
    struct admin_groups answer = { .group_count = op->count };
    struct error unavailable;

    if (outcome != DB_OK) {
        error_set(&unavailable, ERR_UNAVAILABLE, "the store cannot be read");
        call_fail(op->call, err ? err : &unavailable);
        return;
    }
    answer.groups = ARENA_ARRAY(op->arena, struct admin_group_found, op->count + 1);
    for (size_t i = 0; i < op->count; i++)
        answer.groups[i] = (struct admin_group_found){ .id = op->groups[i].id,
                                                       .name = op->groups[i].name };
    call_answer(op->call, &answer);
}

void groups_call(struct call *call)
{
    struct group_op *op = call_op_new(call);

    op->limit = 100000;
    db_submit_read(op->admin->node->db, DB_POOL_API, groups_read, op, groups_done);
}
