#include "auth/routes-private.h"

static const struct json_member node_members[] = {
    { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct enrolled_node, name),
      .about = "Name of the process in the cluster." },
    { .name = "services", .type = JSON_TEXT, .offset = offsetof(struct enrolled_node, services),
      .about = "What it runs." },
    { .name = "public_key", .type = JSON_TEXT, .offset = offsetof(struct enrolled_node, public_key),
      .about = "Ed25519 key that its requests are signed with." },
    { .name = "enrolled_at", .type = JSON_TIME,
      .offset = offsetof(struct enrolled_node, enrolled_at), .about = "Last enrolment." },
    { .name = "revoked_at", .type = JSON_TIME, .offset = offsetof(struct enrolled_node, revoked_at),
      .about = "Since when its requests are refused, or null." },
    { 0 },
};
const struct json_table node_table = { "Node", sizeof(struct enrolled_node), node_members };

struct node_work {
    struct work work;
    const char *name;
    bool forget;
    struct enrolled_node *nodes;
    size_t count;
};

static int list_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct node_work *w = (struct node_work *)work;

    return store_node_list(tx, work->arena, &w->nodes, &w->count, err);
}

static void list_answer(struct work *work)
{
    struct node_work *w = (struct node_work *)work;
    const void **items = ARENA_ARRAY(work->arena, const void *, w->count + 1);

    for (size_t i = 0; i < w->count; i++)
        items[i] = &w->nodes[i];
    request_answer_list(work->request, &node_table, items, w->count, NULL);
}

void node_list(struct request *request)
{
    struct node_work *w = WORK_NEW(request, struct node_work);

    w->work.run = list_run;
    w->work.answer = list_answer;
    work_read(&w->work);
}

static bool is_gateway(const struct enrolled_node *node)
{
    return !node->revoked_at && node->services && strstr(node->services, "gateway");
}

/* Without a gateway nobody could take it back. */
static int gateway_left(struct db_tx *tx, struct node_work *w, struct error *err)
{
    size_t left = 0;
    bool named = false;

    if (store_node_list(tx, w->work.arena, &w->nodes, &w->count, err) < 0)
        return -1;
    for (size_t i = 0; i < w->count; i++) {
        bool same = strcmp(w->nodes[i].name, w->name) == 0;
        left += is_gateway(&w->nodes[i]) && !same;
        named |= is_gateway(&w->nodes[i]) && same;
    }
    if (!named || left > 0)
        return 0;
    return error_set(err, ERR_CONFLICT, "that is the last gateway: nobody could come in any more");
}

static int change_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct node_work *w = (struct node_work *)work;

    if (gateway_left(tx, w, err) < 0)
        return -1;
    const char *object = arena_printf(work->arena, "node/%s", w->name);
    int64_t found = 0;
    int result = w->forget ? store_node_delete(tx, w->name, &found, err)
                           : store_node_revoke(tx, w->name, work->now_ms, &found, err);

    if (result < 0)
        return -1;
    if (found == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no such node");
    return work_audit(tx, work, w->forget ? "node.forget" : "node.revoke", object, err, NULL);
}

static void change_answer(struct work *work)
{
    request_answer_empty(work->request, 204);
}

static void change_start(struct request *request, bool forget)
{
    struct node_work *w = WORK_NEW(request, struct node_work);
    struct error err;

    w->name = request->params[0];
    if (!forget && strcmp(w->name, w->work.auth->node->name) == 0) {
        error_set(&err, ERR_CONFLICT, "that is the node of auth itself");
        request_fail(request, &err);
        return;
    }
    w->forget = forget;
    w->work.run = change_run;
    w->work.answer = change_answer;
    work_write(&w->work);
}

void node_revoke(struct request *request)
{
    change_start(request, false);
}

void node_forget(struct request *request)
{
    change_start(request, true);
}
