#include "auth/auth.h"

#include "base/clock.h"

#include <stdarg.h>

enum { DETAIL_SIZE_MAX = 64 * 1024 };

void *work_init(struct request *request, size_t size)
{
    struct work *work = arena_alloc(request->arena, size);

    work->auth = request->state;
    work->request = request;
    work->arena = request->arena;
    work->now_ms = clock_wall_ms();
    work->actor = request->principal;
    return work;
}

static int work_run(struct db_tx *tx, void *ctx, struct error *err)
{
    struct work *work = ctx;

    return work->run(tx, work, err);
}

static void work_done(void *ctx, enum db_outcome outcome, const struct error *err)
{
    struct work *work = ctx;

    /* An unknown outcome may have changed rights as well. */
    if (work->changes_rights && (outcome == DB_OK || outcome == DB_UNKNOWN))
        auth_changed();
    if (outcome == DB_OK)
        work->answer(work);
    else
        request_fail_outcome(work->request, (int)outcome, err);
}

void work_read(struct work *work)
{
    db_submit_read(work->auth->node->db, DB_POOL_API, work_run, work, work_done);
}

void work_write(struct work *work)
{
    db_submit(work->auth->node->db, DB_POOL_API, work_run, work, work_done);
}

const struct error *outcome_error(enum db_outcome outcome, const struct error *err,
                                  struct error *mine)
{
    if (err && err->code != ERR_NONE)
        return err;
    if (outcome == DB_CONFLICT)
        error_set(mine, ERR_CONFLICT, "changed by somebody else at the same time");
    else
        error_set(mine, ERR_UNAVAILABLE, "the store is out of reach");
    return mine;
}

static const char *detail_make(struct arena *arena, va_list *pairs)
{
    struct json_writer w;
    struct buf detail;
    const char *name, *text;

    buf_init(&detail, DETAIL_SIZE_MAX);
    json_begin(&w, &detail);
    json_object(&w);
    while ((name = va_arg(*pairs, const char *))) {
        text = va_arg(*pairs, const char *);
        if (!text)
            continue;
        json_name(&w, name);
        json_text(&w, text);
    }
    json_object_end(&w);
    text = arena_strdup(arena, detail.overflow ? "{}" : buf_text(&detail));
    buf_done(&detail);
    return text;
}

int work_audit(struct db_tx *tx, struct work *work, const char *action, const char *object,
               struct error *err, ...)
{
    va_list pairs;
    struct audit_entry entry = {
        .service = "auth",
        .actor = work->actor,
        .address = work->request->client_address,
        .action = action,
        .object = object,
    };

    va_start(pairs, err);
    entry.detail = detail_make(work->arena, &pairs);
    va_end(pairs);
    return audit_write(tx, &entry, err);
}
