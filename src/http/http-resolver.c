#include "http/http-resolver.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"

#include <ares.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    NAMES_MAX = 1024,
    TTL_MIN_MS = 1000,
    TTL_MAX_MS = 60000,
    QUERY_MS = 2000,
    QUERY_TRIES = 3,
    RESOLV_CONF_LOOK_MS = 5000, /* a laptop changes networks, a VPN comes up */
};

static const char resolv_conf[] = "/etc/resolv.conf";

struct http_resolver {
    struct event_base *base;
    ares_channel channel;
    struct event *timer;
    struct map names;     /* name -> struct name */
    struct list sockets;
    unsigned asked_count; /* questions on their way */
    bool own_servers, closing;
    int64_t looked_ms;
    struct timespec resolv_conf_time;
};

struct socket_watch {
    struct list node;
    struct http_resolver *resolver;
    struct event *event;
    ares_socket_t fd;
};

/* What is known about a name, and who waits for it. */
struct name {
    struct http_resolver *resolver;
    struct http_addresses addresses;
    const char *why;
    int64_t expires_ms;
    bool asked;
    struct list lookups;
    char text[];
};

struct http_lookup {
    struct list node;
    http_lookup_done *done;
    void *ctx;
};

/* --- c-ares on the loop ----------------------------------------------------------------------- */

static void timer_arm(struct http_resolver *resolver)
{
    struct timeval wait, *next = ares_timeout(resolver->channel, NULL, &wait);

    if (next)
        event_add(resolver->timer, next);
    else
        event_del(resolver->timer);
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
    struct http_resolver *resolver = ctx;

    (void)fd;
    (void)events;
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    timer_arm(resolver);
}

static void on_socket(evutil_socket_t fd, short events, void *ctx)
{
    struct http_resolver *resolver = ctx;

    ares_process_fd(resolver->channel, events & EV_READ ? fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? fd : ARES_SOCKET_BAD);
    timer_arm(resolver);
}

static struct socket_watch *watch_find(struct http_resolver *resolver, ares_socket_t fd)
{
    LIST_EACH(&resolver->sockets, node) {
        struct socket_watch *watch = CONTAINER_OF(node, struct socket_watch, node);
        if (watch->fd == fd)
            return watch;
    }
    return NULL;
}

static void watch_free(struct socket_watch *watch)
{
    list_remove(&watch->node);
    event_free(watch->event);
    free(watch);
}

/* c-ares tells which of its sockets it wants to hear about. */
static void on_socket_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct http_resolver *resolver = ctx;
    struct socket_watch *watch = watch_find(resolver, fd);

    if (watch)
        watch_free(watch);
    if (!readable && !writable)
        return;
    watch = memory_alloc(sizeof *watch);
    watch->resolver = resolver;
    watch->fd = fd;
    watch->event = event_new(resolver->base, fd,
                             (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0) |
                                     EV_PERSIST), on_socket, resolver);
    list_add_tail(&resolver->sockets, &watch->node);
    event_add(watch->event, NULL);
}

/* --- life ------------------------------------------------------------------------------------- */

static int channel_open(struct http_resolver *resolver)
{
    struct ares_options options = { .timeout = QUERY_MS, .tries = QUERY_TRIES,
                                    .sock_state_cb = on_socket_state,
                                    .sock_state_cb_data = resolver };

    return ares_init_options(&resolver->channel, &options,
                             ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
}

static struct timespec resolv_conf_changed_at(void)
{
    struct stat status;

    return stat(resolv_conf, &status) == 0 ? status.st_mtim : (struct timespec){ 0 };
}

/* c-ares reads resolv.conf once, so a change of it asks for a new channel. */
static void resolv_conf_look(struct http_resolver *resolver)
{
    int64_t now_ms = clock_mono_ms();

    if (resolver->own_servers || resolver->asked_count ||
        now_ms < resolver->looked_ms + RESOLV_CONF_LOOK_MS)
        return;
    resolver->looked_ms = now_ms;
    struct timespec changed = resolv_conf_changed_at();
    if (changed.tv_sec == resolver->resolv_conf_time.tv_sec &&
        changed.tv_nsec == resolver->resolv_conf_time.tv_nsec)
        return;
    ares_channel old = resolver->channel;
    if (channel_open(resolver) == ARES_SUCCESS)
        ares_destroy(old);
    else
        resolver->channel = old; /* better than none */
    resolver->resolv_conf_time = changed;
}

int http_resolver_new(struct event_base *base, const char *servers,
                      struct http_resolver **ret_resolver, struct error *err)
{
    struct http_resolver *resolver = memory_alloc(sizeof *resolver);

    resolver->base = base;
    resolver->own_servers = servers != NULL;
    resolver->looked_ms = clock_mono_ms();
    resolver->resolv_conf_time = resolv_conf_changed_at();
    list_init(&resolver->sockets);
    map_init(&resolver->names);
    resolver->timer = event_new(base, -1, 0, on_timer, resolver);
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status == ARES_SUCCESS)
        status = channel_open(resolver);
    if (status == ARES_SUCCESS && servers)
        status = ares_set_servers_ports_csv(resolver->channel, servers);
    if (status != ARES_SUCCESS) {
        http_resolver_free(&resolver);
        return error_set(err, ERR_INTERNAL, "cannot set up name resolution: %s",
                         ares_strerror(status));
    }
    *ret_resolver = resolver;
    return 0;
}

static void name_free(struct name *name)
{
    while (!list_empty(&name->lookups)) {
        struct http_lookup *lookup = CONTAINER_OF(name->lookups.next, struct http_lookup, node);
        list_remove(&lookup->node);
        free(lookup);
    }
    free(name);
}

void http_resolver_free(struct http_resolver **resolver_place)
{
    struct http_resolver *resolver = TAKE(*resolver_place);
    void *value;

    if (!resolver)
        return;
    resolver->closing = true;
    if (resolver->channel)
        ares_destroy(resolver->channel); /* ends all questions, which then find closing set */
    for (size_t i = 0; map_next(&resolver->names, &i, &value);)
        name_free(value);
    map_done(&resolver->names);
    event_free(resolver->timer);
    free(resolver);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void addresses_copy(const struct ares_addrinfo *info, struct name *name)
{
    struct http_addresses *addresses = &name->addresses;
    int64_t ttl_ms = TTL_MAX_MS;

    addresses->count = 0;
    for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
        if (addresses->count == HTTP_ADDRESSES_MAX || node->ai_addrlen > sizeof addresses->list[0])
            break;
        memcpy(&addresses->list[addresses->count++], node->ai_addr, node->ai_addrlen);
        ttl_ms = node->ai_ttl * INT64_C(1000) < ttl_ms ? node->ai_ttl * INT64_C(1000) : ttl_ms;
    }
    name->expires_ms = clock_mono_ms() + (ttl_ms > TTL_MIN_MS ? ttl_ms : TTL_MIN_MS);
}

static void on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
    struct name *name = ctx;

    (void)timeouts;
    name->expires_ms = clock_mono_ms() + TTL_MIN_MS;
    name->addresses.count = 0;
    name->why = status == ARES_SUCCESS ? NULL : ares_strerror(status);
    if (status == ARES_SUCCESS && info)
        addresses_copy(info, name);
    if (!name->addresses.count && !name->why)
        name->why = "no address";
    ares_freeaddrinfo(info);
    while (!name->resolver->closing && !list_empty(&name->lookups)) {
        struct http_lookup *lookup = CONTAINER_OF(name->lookups.next, struct http_lookup, node);
        list_remove(&lookup->node);
        lookup->done(lookup->ctx, &name->addresses, name->why);
        free(lookup);
    }
    name->asked = false;
    name->resolver->asked_count--;
}

/* Room for one more: forgets what nobody asks about at the moment. */
static void names_trim(struct http_resolver *resolver)
{
    struct map kept;
    void *value;

    if (resolver->names.count < NAMES_MAX)
        return;
    map_init(&kept);
    for (size_t i = 0; map_next(&resolver->names, &i, &value);) {
        struct name *name = value;
        if (name->asked)
            map_put_text(&kept, name->text, name);
        else
            name_free(name);
    }
    map_done(&resolver->names);
    resolver->names = kept;
}

static struct name *name_get(struct http_resolver *resolver, const char *text)
{
    struct name *name = map_get_text(&resolver->names, text);

    if (name)
        return name;
    names_trim(resolver);
    name = memory_alloc(sizeof *name + strlen(text) + 1);
    name->resolver = resolver;
    memcpy(name->text, text, strlen(text) + 1);
    list_init(&name->lookups);
    map_put_text(&resolver->names, text, name);
    return name;
}

struct http_lookup *http_resolver_look_up(struct http_resolver *resolver, const char *text,
                                          http_lookup_done *done, void *ctx)
{
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
                                         .ai_flags = ARES_AI_NUMERICSERV };
    struct name *name = name_get(resolver, text);

    if (!name->asked && name->expires_ms > clock_mono_ms()) {
        done(ctx, &name->addresses, name->why);
        return NULL;
    }
    struct http_lookup *lookup = memory_alloc(sizeof *lookup);
    *lookup = (struct http_lookup){ .done = done, .ctx = ctx };
    list_init(&lookup->node);
    list_add_tail(&name->lookups, &lookup->node);
    if (name->asked)
        return lookup;
    name->asked = true;
    resolv_conf_look(resolver);
    resolver->asked_count++;
    ares_getaddrinfo(resolver->channel, text, NULL, &hints, on_answer, name);
    if (!name->asked)
        return NULL; /* answered at once, from /etc/hosts say */
    timer_arm(resolver);
    return lookup;
}

void http_lookup_cancel(struct http_lookup *lookup)
{
    list_remove(&lookup->node);
    free(lookup);
}
