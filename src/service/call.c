#include "service/service-private.h"

#include "base/memory.h"
#include "registry/registry.h"

#include <assert.h>
#include <string.h>

/*
 * A call inside the process:
 *
 *   call_send ── posted ──► handler … call_answer ── posted ──► done
 *
 * Both hops go over the loop, so neither side is ever entered from inside the other.
 */

/* --- the side that is called ----------------------------------------------------------------- */

const void *call_request(const struct call *call)
{
    return call->request;
}

void *call_state(const struct call *call)
{
    return call->state;
}

struct arena *call_arena(struct call *call)
{
    return call->arena;
}

const char *call_from(const struct call *call)
{
    return call->from;
}

const struct call_handler *call_handler_find(const struct service *service, const char *name)
{
    for (const struct call_handler *handler = service->calls; handler && handler->type; handler++)
        if (strcmp(handler->type->name, name) == 0)
            return handler;
    return NULL;
}

void call_free(struct call *call)
{
    struct arena *arena = call->arena;

    list_remove(&call->link);
    arena_free(&arena); /* call lives in it */
}

static void call_finish(void *ctx)
{
    struct call *call = ctx;

    if (call->done)
        call->done(call->ctx, call->failed ? NULL : call->answer, true,
                   call->failed ? &call->err : NULL);
    call_free(call);
}

static void call_end(struct call *call)
{
    assert(!call->answered); /* exactly one answer */
    call->answered = true;
    if (call->exchange)
        call_answer_remote(call);
    else if (!call->frame->calls_abandoned)
        node_post(&call->frame->node, call_finish, call);
}

void call_answer(struct call *call, const void *answer)
{
    call->answer = arena_copy(call->arena, answer, call->type->answer->size);
    call_end(call);
}

void call_fail(struct call *call, const struct error *err)
{
    call->failed = true;
    call->err = *err;
    call_end(call);
}

/* --- local ----------------------------------------------------------------------------------- */

static void call_handle(void *ctx)
{
    struct call *call = ctx;

    call->handler->handle(call);
}

static void call_send_local(struct frame *frame, const struct running *running,
                            const struct call_type *type, const void *request, call_done *done,
                            void *ctx)
{
    struct arena *arena = arena_new();
    struct call *call = ARENA_NEW(arena, struct call);

    *call = (struct call){
        .frame = frame,
        .type = type,
        .handler = call_handler_find(running->service, type->name),
        .state = running->state,
        .arena = arena,
        .request = request,
        .from = frame->node.name,
        .done = done,
        .ctx = ctx,
    };
    assert(call->handler); /* a call type that its service does not answer */
    list_init(&call->link);
    list_add_tail(&frame->calls, &call->link);
    node_post(&frame->node, call_handle, call);
}

void calls_abandon(struct frame *frame)
{
    struct error err;

    error_set(&err, ERR_UNAVAILABLE, "this process is stopping");
    frame->calls_abandoned = true;
    LIST_EACH(&frame->calls, node) {
        struct call *call = CONTAINER_OF(node, struct call, link);
        call_done *done = call->done;
        call->done = NULL; /* NULL for those from other processes, too */
        if (done)
            done(call->ctx, NULL, true, &err);
    }
}

void calls_free(struct frame *frame)
{
    LIST_EACH_SAFE(&frame->calls, node)
        call_free(CONTAINER_OF(node, struct call, link));
}

/* --- the side that calls --------------------------------------------------------------------- */

static bool is_here(const struct frame *frame, const char *instance)
{
    return !instance || strcmp(instance, "local") == 0 || strcmp(instance, frame->node.url) == 0;
}

void call_send(struct node *node, const struct call_type *type, const char *instance,
               const void *request, call_done *done, void *ctx)
{
    struct frame *frame = frame_of(node);
    struct running *running = frame_running(frame, type->service);

    bool here = running && is_here(frame, instance);

    if (here && running->started)
        call_send_local(frame, running, type, request, done, ctx);
    else /* one that is here but has not started yet is not known as an instance either */
        call_send_remote(frame, type, here ? "local" : instance, request, done, ctx);
}

size_t call_instances(struct node *node, const char *service, struct arena *arena,
                      const char *const **ret_instances)
{
    struct frame *frame = frame_of(node);
    const char *const *urls;
    size_t count = registry_find(node->registry, service, arena, &urls), used = 0;
    const char **all = ARENA_ARRAY(arena, const char *, count + 1);

    if (frame_running(frame, service))
        all[used++] = "local";
    /* where everything runs here and nothing was configured, the defaults point at nobody */
    if (registry_is_meant(frame, service))
        for (size_t i = 0; i < count; i++)
            if (strcmp(urls[i], node->url) != 0)
                all[used++] = urls[i];
    *ret_instances = all;
    return used;
}
