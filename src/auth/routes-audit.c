#include "auth/routes-private.h"

enum { LIMIT_MAX = 200, SKIP_MAX = 100000 };

/* --- schemas ---------------------------------------------------------------------------------- */

static const char *const kind_names[] = { "user", "key", "system", NULL };

#define ROW(kind_, member, text) \
    { .name = #member, .type = (kind_), .offset = offsetof(struct audit_row, member), \
      .about = (text) }
static const struct json_member audit_entry_members[] = {
    ROW(JSON_TEXT, service, "Service whose chain it stands in."),
    ROW(JSON_INT, sequence, "Place in that chain, from 1."),
    ROW(JSON_TIME, at, "When."),
    { .name = "actor_kind", .type = JSON_ENUM, .offset = offsetof(struct audit_row, actor_kind),
      .names = kind_names, .about = "user, key or system." },
    ROW(JSON_TEXT, actor, "Name of the user or key."),
    ROW(JSON_TEXT, address, "Where the request came from."),
    ROW(JSON_TEXT, action, "What was done, such as user.grant."),
    ROW(JSON_TEXT, object, "To what, such as user/chen."),
    { .name = "detail", .type = JSON_ANY, .offset = offsetof(struct audit_row, detail),
      .about = "What changed; never a secret." },
    { 0 },
};
const struct json_table audit_entry_table = { "AuditEntry", sizeof(struct audit_row),
                                              audit_entry_members };

struct chain_view {
    char *service;
    int64_t entries, broken_at;
    bool whole;
};
static const struct json_member chain_members[] = {
    { .name = "service", .type = JSON_TEXT, .offset = offsetof(struct chain_view, service),
      .about = "Service whose chain it is." },
    { .name = "entries", .type = JSON_INT, .offset = offsetof(struct chain_view, entries),
      .about = "Entries read." },
    { .name = "whole", .type = JSON_BOOL, .offset = offsetof(struct chain_view, whole),
      .about = "Every entry fits the one before, and the last is the one last written." },
    { .name = "broken_at", .type = JSON_INT, .offset = offsetof(struct chain_view, broken_at),
      .flags = JSON_OMIT_EMPTY, .about = "Sequence of the first entry that does not fit." },
    { 0 },
};
static const struct json_table chain_table = { "AuditChain", sizeof(struct chain_view),
                                               chain_members };

struct check_view {
    struct chain_view *chains;
    size_t chain_count;
    bool whole;
};
static const struct json_member audit_check_members[] = {
    { .name = "whole", .type = JSON_BOOL, .offset = offsetof(struct check_view, whole),
      .about = "All chains are." },
    { .name = "chains", .type = JSON_ARRAY, .offset = offsetof(struct check_view, chains),
      .count_offset = offsetof(struct check_view, chain_count), .sub = &chain_table,
      .about = "One for each service that has written." },
    { 0 },
};
const struct json_table audit_check_table = { "AuditCheck", sizeof(struct check_view),
                                              audit_check_members };

const char *const audit_search_query[] = { "service", "actor", "action", "object", "from", "until",
                                           "limit", "cursor", NULL };

/* --- GET /api/v1/audit ---------------------------------------------------------------------------- */

struct audit_work {
    struct work work;
    struct audit_filter filter;
    int64_t limit, skip; /* skip: entries of the cursor's millisecond that were shown already */
    struct audit_row *rows;
    size_t count;
    struct check_view view;
};

static int search_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct audit_work *w = (struct audit_work *)work;

    return store_audit_search(tx, work->arena, &w->filter, &w->rows, &w->count, err);
}

/* The cursor of the entry after: its time and how many of that time stand before it. */
static const char *cursor_after(const struct audit_work *w, size_t last)
{
    int64_t at = w->rows[last].at, shown = 0;

    for (size_t i = 0; i <= last; i++)
        shown += w->rows[i].at == at;
    return cursor_make(w->work.arena, at, shown);
}

static void search_answer(struct work *work)
{
    struct audit_work *w = (struct audit_work *)work;
    size_t skip = w->count < (size_t)w->skip ? w->count : (size_t)w->skip;
    size_t left = w->count - skip;
    size_t count = left > (size_t)w->limit ? (size_t)w->limit : left;
    const void **items = ARENA_ARRAY(work->arena, const void *, count + 1);

    for (size_t i = 0; i < count; i++)
        items[i] = &w->rows[skip + i];
    request_answer_list(work->request, &audit_entry_table, items, count,
                        count < left ? cursor_after(w, skip + count - 1) : NULL);
}

static int cursor_apply(struct audit_work *w, const char *cursor, struct error *err)
{
    int64_t at;

    if (!cursor)
        return 0;
    if (cursor_read(cursor, &at, &w->skip, err) < 0)
        return -1;
    if (w->skip < 0 || w->skip > SKIP_MAX || at < 0 || at == INT64_MAX)
        return error_set_at(err, ERR_INVALID, "query.cursor",
                            "not a cursor of this list: take next_cursor of the answer before");
    if (at + 1 < w->filter.until)
        w->filter.until = at + 1;
    return 0;
}

void audit_search(struct request *request)
{
    struct audit_work *w = WORK_NEW(request, struct audit_work);
    struct audit_filter *f = &w->filter;
    const char *cursor;
    struct error err;

    if (request_query_text(request, "service", &f->service) < 0 ||
        request_query_text(request, "actor", &f->actor) < 0 ||
        request_query_text(request, "action", &f->action) < 0 ||
        request_query_text(request, "object", &f->object) < 0 ||
        request_query_time(request, "from", 0, &f->from) < 0 ||
        request_query_time(request, "until", INT64_MAX, &f->until) < 0 ||
        request_query_int(request, "limit", 1, LIMIT_MAX, 50, &w->limit) < 0 ||
        request_query_text(request, "cursor", &cursor) < 0)
        return;
    if (cursor_apply(w, cursor, &err) < 0) {
        request_fail(request, &err);
        return;
    }
    f->limit = w->limit + w->skip + 1;
    w->work.run = search_run;
    w->work.answer = search_answer;
    work_read(&w->work);
}

/* --- GET /api/v1/audit/verify ---------------------------------------------------------------------- */

static int chain_check(struct db_tx *tx, struct chain_view *chain, struct error *err)
{
    int result = audit_verify(tx, chain->service, &chain->entries, &chain->broken_at, err);

    chain->whole = result == 1;
    return result < 0 ? -1 : 0;
}

static int check_run(struct db_tx *tx, struct work *work, struct error *err)
{
    struct audit_work *w = (struct audit_work *)work;
    const char *const *names;
    size_t count;

    if (store_audit_services(tx, work->arena, &names, &count, err) < 0)
        return -1;
    w->view = (struct check_view){ .whole = true,
                                   .chains = ARENA_ARRAY(work->arena, struct chain_view, count + 1),
                                   .chain_count = count };
    for (size_t i = 0; i < count; i++) {
        struct chain_view *chain = &w->view.chains[i];
        chain->service = arena_strdup(work->arena, names[i]);
        if (chain_check(tx, chain, err) < 0)
            return -1;
        w->view.whole &= chain->whole;
    }
    return 0;
}

static void check_answer(struct work *work)
{
    struct audit_work *w = (struct audit_work *)work;

    request_answer(work->request, 200, &audit_check_table, &w->view);
}

void audit_check(struct request *request)
{
    struct audit_work *w = WORK_NEW(request, struct audit_work);

    w->work.run = check_run;
    w->work.answer = check_answer;
    work_read(&w->work);
}
