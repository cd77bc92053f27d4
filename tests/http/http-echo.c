/*
 * The server of src/http alone, for tests: answers every request with its method, path and body.
 * Prints its port on a line of its own and runs until its standard input ends.
 */
#include "base/error.h"
#include "http/http-server.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void handle(void *ctx, struct http_exchange *exchange, const struct http_request *request)
{
    struct buf text;

    (void)ctx;
    buf_init(&text, 4 << 20);
    buf_printf(&text, "%s %.*s ", http_method_name(request->method), (int)request->path.size,
               request->path.bytes);
    buf_add(&text, request->body.bytes, request->body.size);
    http_answer(exchange, 200, "text/plain", buf_str(&text));
    buf_done(&text);
}

static void on_input(evutil_socket_t fd, short events, void *ctx)
{
    char bytes[64];

    (void)events;
    if (read(fd, bytes, sizeof bytes) <= 0)
        event_base_loopbreak(ctx);
}

int main(void)
{
    struct event_base *base = event_base_new();
    struct http_server_settings settings = { .listen = "127.0.0.1:0", .handle = handle };
    struct event *input = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, base);
    struct http_server *server = NULL;
    struct error err;

    signal(SIGPIPE, SIG_IGN);
    if (http_server_new(base, &settings, &server, &err) < 0) {
        fprintf(stderr, "%s\n", error_english(&err));
        return 1;
    }
    event_add(input, NULL);
    printf("%u\n", http_server_port(server));
    fflush(stdout);
    event_base_dispatch(base);
    http_server_free(&server);
    event_free(input);
    event_base_free(base);
    return 0;
}
