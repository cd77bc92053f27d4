#include "service/service-private.h"

#include "base/clock.h"
#include "registry/registry.h"

#include <assert.h>
#include <string.h>

struct http_call *remote_start(struct frame *frame, const struct remote_request *request,
                               void (*on_data)(void *ctx, int status, struct str bytes),
                               http_call_done *done, void *ctx)
{
    struct arena *arena = arena_new();
    const struct claims claims = {
        .audience = arena_strdup(arena, request->service),
        .method = arena_strdup(arena, request->method),
        .target = arena_strdup(arena, request->target),
        .request_id = arena_strdup(arena, request->request_id),
        .client_address = arena_strdup(arena, request->client_address),
        .principal = (struct principal *)(uintptr_t)request->principal,
    };
    char *identity = identity_sign(frame->identity, &claims, request->body, clock_wall_ms(), arena);
    struct http_header headers[REMOTE_HEADERS_MAX];
    size_t count = 0;

    assert(request->header_count < REMOTE_HEADERS_MAX);
    headers[count++] = (struct http_header){ STR(IDENTITY_HEADER), str_of(identity) };
    for (size_t i = 0; i < request->header_count; i++)
        headers[count++] = request->headers[i];
    const struct http_call_request http = {
        .method = request->method,
        .url = arena_printf(arena, "%s%s", request->instance, request->target),
        .headers = headers,
        .header_count = count,
        .body = request->body,
        .connect_timeout_ms = REMOTE_CONNECT_MS,
        .total_timeout_ms = request->timeout_ms,
        .response_max = request->answer_max,
    };
    struct http_call *call = on_data ? http_call_stream(frame->node.http, &http, on_data, done, ctx)
                                     : http_call_start(frame->node.http, &http, done, ctx);
    arena_free(&arena);
    return call;
}

const char *remote_choose(struct frame *frame, const char *service, const char *except,
                          struct arena *arena)
{
    const char *const *urls;
    const char **others;
    size_t count, used = 0;

    if (!registry_is_meant(frame, service))
        return NULL;
    count = registry_find(frame->node.registry, service, arena, &urls);
    others = ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        if (strcmp(urls[i], frame->node.url) != 0)
            others[used++] = urls[i];
    return picker_choose(frame->picker, service, others, used, except, clock_mono_ms());
}

bool remote_not_handled(struct frame *frame, const char *instance,
                        const struct http_call_result *result)
{
    int64_t now = clock_mono_ms();

    if (result->failure != HTTP_FAILURE_NONE) {
        picker_failed(frame->picker, instance, !result->sent, now);
        return !result->sent;
    }
    bool refused =
        http_header_find(result->headers, result->header_count, NOT_HANDLED_HEADER).bytes != NULL;
    if (refused)
        picker_failed(frame->picker, instance, false, now);
    else
        picker_worked(frame->picker, instance);
    if (refused && result->status == 401 && frame->enrolment)
        enrolment_again(frame->enrolment);
    return refused;
}
