#include "service/service-private.h"

void service_forward(struct node *node, const struct service *service, struct request *request)
{
    struct running *running = frame_running(frame_of(node), service->name);
    struct error err;

    if (running && running->started) {
        request->state = running->state;
        request->route->handle(request);
        return;
    }
    error_set(&err, ERR_UNAVAILABLE, "no instance of %s is known", service->name);
    request_fail(request, &err);
}
