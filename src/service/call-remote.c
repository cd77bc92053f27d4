#include "service/service-private.h"

void call_answer_remote(struct call *call)
{
    (void)call;
}

void call_send_remote(struct frame *frame, const struct call_type *type, const char *instance,
                      const void *request, call_done *done, void *ctx)
{
    struct error err;
    (void)frame; (void)instance; (void)request;

    error_set(&err, ERR_UNAVAILABLE, "no instance of %s is known", type->service);
    if (done)
        done(ctx, NULL, false, &err);
}
