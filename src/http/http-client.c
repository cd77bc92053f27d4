#include "http/http-client-private.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- what ended ------------------------------------------------------------------------------ */

static void finished_collect(struct http_client *client)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(client->multi, &left))) {
        struct http_call *call = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        http_call_hop_done(call, code); /* message is invalid from here on */
    }
}

static void multi_act(struct http_client *client, curl_socket_t fd, int what)
{
    int running;

    curl_multi_socket_action(client->multi, fd, what, &running);
    finished_collect(client);
}

/* --- curl's sockets and timer on the loop ---------------------------------------------------- */

static void on_socket(evutil_socket_t fd, short events, void *ctx)
{
    multi_act(ctx, fd, (events & EV_READ ? CURL_CSELECT_IN : 0) |
                           (events & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

/* curl asks for other events on a socket; the libevent event is kept as its private pointer. */
static int on_socket_change(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct http_client *client = ctx;
    struct event *event = socket_ctx;
    short events = (short)((what & CURL_POLL_IN ? EV_READ : 0) |
                           (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (event)
            event_free(event);
        curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    if (event) {
        event_del(event);
        event_assign(event, client->base, fd, events, on_socket, client);
    } else {
        event = event_new(client->base, fd, events, on_socket, client);
        curl_multi_assign(client->multi, fd, event);
    }
    event_add(event, NULL);
    return 0;
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
    (void)fd;
    (void)events;
    multi_act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_change(CURLM *multi, long timeout_ms, void *ctx)
{
    struct http_client *client = ctx;
    struct timeval delay = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };

    (void)multi;
    if (timeout_ms < 0)
        event_del(&client->timer_event);
    else
        event_add(&client->timer_event, &delay);
    return 0;
}

/* --- calls that begin ------------------------------------------------------------------------ */

/* By the timer, not at once: sockets have their turn between two batches. */
static void start_soon(struct http_client *client)
{
    struct timeval now = { 0 };

    event_add(&client->start_event, &now);
}

static void on_start(evutil_socket_t fd, short events, void *ctx)
{
    enum { BATCH = 64 }; /* thousands of calls that start at once must not hold up the loop */
    struct http_client *client = ctx;

    (void)fd;
    (void)events;
    for (int i = 0; i < BATCH && !list_empty(&client->starting); i++) {
        struct http_call *call = CONTAINER_OF(client->starting.next, struct http_call, starting);
        list_remove(&call->starting);
        http_call_begin(call);
    }
    if (!list_empty(&client->starting))
        start_soon(client);
}

void http_client_add_starting(struct http_call *call)
{
    bool is_first = list_empty(&call->client->starting);

    list_add_tail(&call->client->starting, &call->starting);
    if (is_first)
        start_soon(call->client);
}

/* --- easy handles, used again: making one costs more than a small call ------------------------ */

CURL *http_client_easy_take(struct http_client *client)
{
    if (client->spare_count)
        return client->spares[--client->spare_count];
    return curl_easy_init();
}

void http_client_easy_give(struct http_client *client, CURL *easy)
{
    if (client->spare_count == HTTP_EASY_SPARES_MAX) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    client->spares[client->spare_count++] = easy;
}

/* --- life ------------------------------------------------------------------------------------ */

static int multi_init(struct http_client *client)
{
    const struct http_client_settings *settings = &client->settings;
    long most = settings->connections_max ? settings->connections_max : 20000;
    long idle = settings->connections_idle_max ? settings->connections_idle_max : 1000;
    static bool curl_ready;

    if (!curl_ready && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -1;
    curl_ready = true;
    client->multi = curl_multi_init();
    if (!client->multi)
        return -1;
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket_change);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, most);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      (long)settings->connections_per_host_max);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, idle);
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return 0;
}

int http_client_new(struct event_base *base, const struct http_client_settings *settings,
                    struct http_client **ret_client, struct error *err)
{
    struct http_client *client = memory_alloc(sizeof *client);

    client->base = base;
    client->settings = *settings;
    list_init(&client->calls);
    list_init(&client->starting);
    event_assign(&client->timer_event, base, -1, 0, on_timer, client);
    event_assign(&client->start_event, base, -1, 0, on_start, client);
    snprintf(client->user_agent, sizeof client->user_agent, "%s",
             settings->user_agent ? settings->user_agent : "belfry/" BELFRY_VERSION);
    client->settings.ca_file = memory_strdup(settings->ca_file);
    client->settings.user_agent = client->settings.name_servers = NULL; /* not copied */
    int failed = 0;
    if (settings->ca_file && access(settings->ca_file, R_OK) != 0)
        failed = error_set(err, ERR_IO, "cannot read %s", settings->ca_file);
    else if (multi_init(client) < 0)
        failed = error_set(err, ERR_INTERNAL, "cannot set up libcurl");
    else
        failed = http_resolver_new(base, settings->name_servers, &client->resolver, err);
    if (failed) {
        http_client_free(&client);
        return -1;
    }
    *ret_client = client;
    return 0;
}

void http_client_free(struct http_client **client_place)
{
    struct http_client *client = TAKE(*client_place);

    if (!client)
        return;
    while (!list_empty(&client->calls))
        http_call_free(CONTAINER_OF(client->calls.next, struct http_call, all));
    while (client->spare_count)
        curl_easy_cleanup(client->spares[--client->spare_count]);
    if (client->multi)
        curl_multi_cleanup(client->multi);
    http_resolver_free(&client->resolver);
    event_del(&client->timer_event);
    event_del(&client->start_event);
    char *ca_file = (char *)(uintptr_t)client->settings.ca_file;
    free(ca_file);
    free(client);
}
