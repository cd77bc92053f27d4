#include "service/service-private.h"

#include "base/memory.h"

#include <stdlib.h>

struct post {
    struct list link;
    void (*fn)(void *ctx);
    void *ctx;
};

static void post_free_all(struct list *posts)
{
    LIST_EACH_SAFE(posts, node)
        free(CONTAINER_OF(node, struct post, link));
    list_init(posts);
}

/* Only what was posted before: what runs may post again, and sockets want their turn. */
void posts_run(struct frame *frame)
{
    struct list now;

    list_init(&now);
    LIST_EACH_SAFE(&frame->posts, node) {
        list_remove(node);
        list_add_tail(&now, node);
    }
    while (!list_empty(&now)) {
        struct post *post = CONTAINER_OF(now.next, struct post, link);
        list_remove(&post->link);
        post->fn(post->ctx);
        free(post);
    }
}

static void on_post(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    posts_run(ctx);
}

void posts_init(struct frame *frame)
{
    list_init(&frame->posts);
    frame->post_event = event_new(frame->node.base, -1, 0, on_post, frame);
}

void posts_done(struct frame *frame)
{
    if (!frame->post_event)
        return;
    post_free_all(&frame->posts);
    event_free(frame->post_event);
    frame->post_event = NULL;
}

void node_post(struct node *node, void (*fn)(void *ctx), void *ctx)
{
    struct frame *frame = frame_of(node);
    struct post *post = memory_alloc(sizeof *post);

    post->fn = fn;
    post->ctx = ctx;
    list_add_tail(&frame->posts, &post->link);
    event_active(frame->post_event, EV_TIMEOUT, 0);
}
