#include "service/service-private.h"

#include "base/address.h"

#include <stdio.h>

int node_ready(struct node *node, struct error *err)
{
    struct frame *frame = frame_of(node);

    if (node->draining)
        return error_set(err, ERR_UNAVAILABLE, "this process is stopping");
    if (node->db && db_ready(node->db, err) < 0)
        return -1;
    if (!frame->ready)
        return error_set(err, ERR_UNAVAILABLE, "this process is starting");
    if (frame->enrolment && !enrolment_done(frame->enrolment))
        return error_set(err, ERR_UNAVAILABLE, "auth has not accepted this node yet");
    for (size_t i = 0; i < frame->running_count; i++) {
        const struct running *running = &frame->running[i];
        if (running->service->ready && running->service->ready(running->state, err) < 0)
            return -1;
    }
    return 0;
}

static bool is_loopback(const char *peer)
{
    struct address address;

    return address_parse(str_of(peer), &address) && address_is_loopback(&address);
}

static void ready_answer(struct node *node, struct http_exchange *exchange)
{
    bool told = is_loopback(http_exchange_request(exchange)->peer);
    char text[1024], line[1100];
    struct error err;

    if (node_ready(node, &err) == 0) {
        http_answer(exchange, 200, "text/plain; charset=utf-8", STR("ready\n"));
        return;
    }
    int n = told ? snprintf(line, sizeof line, "not ready: %s\n",
                            error_text(&err, LANGUAGE_EN, text, sizeof text))
                 : snprintf(line, sizeof line, "not ready\n");
    http_answer(exchange, 503, "text/plain; charset=utf-8", (struct str){ line, (size_t)n });
}

bool node_health_answer(struct node *node, struct http_exchange *exchange)
{
    const struct http_request *http = http_exchange_request(exchange);

    if (http->method != HTTP_GET && http->method != HTTP_HEAD)
        return false;
    if (str_is(http->path, "/healthz")) {
        http_answer(exchange, 200, "text/plain; charset=utf-8", STR("alive\n"));
        return true;
    }
    if (!str_is(http->path, "/readyz"))
        return false;
    ready_answer(node, exchange);
    return true;
}
