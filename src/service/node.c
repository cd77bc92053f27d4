#include "service/service-private.h"

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "http/egress.h"
#include "registry/registry.h"

#include <errno.h>
#include <event2/thread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_MAX_SIZE = 64, JOIN_KEY_MIN = 32 };

int exit_code_of(enum error_code code)
{
    switch (code) {
    case ERR_INVALID:
        return SERVICE_EXIT_CONFIG;
    case ERR_CONFLICT:
        return SERVICE_EXIT_BUSY;
    case ERR_IO:
    case ERR_STORAGE_FULL:
        return SERVICE_EXIT_DATA;
    case ERR_INTERNAL:
        return SERVICE_EXIT_BUG;
    default:
        return SERVICE_EXIT_DEPENDENCY;
    }
}

struct running *frame_running(const struct frame *frame, const char *service_name)
{
    for (size_t i = 0; i < frame->running_count; i++)
        if (strcmp(frame->running[i].service->name, service_name) == 0)
            return (struct running *)(uintptr_t)&frame->running[i];
    return NULL;
}

void *service_local_state(const struct node *node, const char *service_name)
{
    const struct running *running = frame_running(frame_of(node), service_name);

    return running && running->started ? running->state : NULL;
}

bool registry_is_meant(const struct frame *frame, const char *service_name)
{
    char key[64];

    if (frame->setup->run_count < frame->setup->all_count)
        return true;
    snprintf(key, sizeof key, "registry.%s", service_name);
    return config_is_set(frame->node.config, key);
}

/* --- name ------------------------------------------------------------------------------------ */

static bool name_fits(const char *name)
{
    size_t size = strlen(name);

    return size >= 1 && size <= NAME_MAX_SIZE &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size;
}

/* The host, and which services where not all run here, so that four processes on one machine
 * differ. */
static char *name_default(const struct service_setup *setup)
{
    char host[NAME_MAX_SIZE + 1] = "";
    struct buf name;

    if (gethostname(host, sizeof host - 1) < 0 || !name_fits(host))
        snprintf(host, sizeof host, "node");
    buf_init(&name, 4096);
    buf_add_text(&name, host);
    if (setup->run_count < setup->all_count)
        for (size_t i = 0; i < setup->run_count; i++)
            buf_printf(&name, "-%s", setup->run[i]->name);
    char *text = memory_strndup(name.bytes, name.size < NAME_MAX_SIZE ? name.size : NAME_MAX_SIZE);
    buf_done(&name);
    return text;
}

static int name_set(struct frame *frame, struct error *err)
{
    const char *name = config_text(frame->node.config, "node.name");

    if (name && !name_fits(name))
        return error_set(err, ERR_INVALID,
                         "%s: node.name must be 1 to %d letters, digits and . _ -, not \"%s\"",
                         config_source(frame->node.config, "node.name"), NAME_MAX_SIZE, name);
    frame->name = name ? memory_strdup(name) : name_default(frame->setup);
    frame->node.name = frame->name;
    return 0;
}

/* --- cluster --------------------------------------------------------------------------------- */

bool frame_is_apart(const struct frame *frame)
{
    return frame->setup->run_count < frame->setup->all_count ||
           config_is_set(frame->node.config, "internal.listen");
}

bool listen_is_loopback(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    struct str host = { listen, colon ? (size_t)(colon - listen) : strlen(listen) };
    struct address address;

    return str_is(host, "localhost") ||
           (address_parse(host, &address) && address_is_loopback(&address));
}

static int cluster_check(const struct frame *frame, struct error *err)
{
    const char *key = config_text(frame->node.config, "cluster.join_key");

    if (!frame_is_apart(frame))
        return 0;
    if (!key)
        return error_set(
            err, ERR_INVALID,
            "cluster.join_key must be set where services run in several processes: the "
            "same random text, at least %d characters, in all of them",
            JOIN_KEY_MIN);
    if (strlen(key) < JOIN_KEY_MIN)
        return error_set(err, ERR_INVALID, "cluster.join_key must have at least %d characters",
                         JOIN_KEY_MIN);
    return 0;
}

const unsigned char *node_public_key(const struct node *node)
{
    return identity_public_key(frame_of(node)->identity);
}

/* Absolute: what is started with another working folder gets it, too. */
static int data_path_set(struct frame *frame, struct error *err)
{
    frame->data_path = realpath(frame->node.data_dir, NULL);
    if (!frame->data_path)
        return error_set(err, ERR_IO, "cannot use the data folder %s: %s", frame->node.data_dir,
                         strerror(errno));
    frame->node.data_dir = frame->data_path;
    return 0;
}

/* --- new and free ---------------------------------------------------------------------------- */

static void node_init(struct frame *frame, const struct service_setup *setup)
{
    struct node *node = &frame->node;

    frame->setup = setup;
    node->config = setup->config;
    node->launcher = setup->launcher;
    node->services = setup->all;
    node->service_count = setup->all_count;
    node->data_dir = config_text(setup->config, "data.dir");
    node->started_ms = clock_wall_ms();
    random_hex(node->incarnation);
    frame->url = memory_strdup("local");
    node->url = frame->url;
    for (size_t i = 0; i < setup->run_count && i < SERVICES_MAX; i++)
        frame->running[frame->running_count++].service = setup->run[i];
    list_init(&frame->calls);
    list_init(&frame->remote_calls);
    frame->picker = picker_new();
    frame->keyring = keyring_new(node, setup->hooks);
}

static int libraries_open(struct frame *frame, struct error *err)
{
    struct node *node = &frame->node;
    const struct http_client_settings client = {
        .ca_file = config_text(node->config, "internal.ca_file"),
    };

    if (registry_new(node->config, &node->registry, err) < 0)
        return -1;
    if (egress_new(config_text(node->config, "egress.allow"),
                   config_text(node->config, "egress.deny"), &node->egress, err) < 0)
        return error_prefix_path(err, "egress");
    return http_client_new(node->base, &client, &node->http, err);
}

int frame_new(const struct service_setup *setup, struct frame **ret_frame, int *ret_exit,
              struct error *err)
{
    CLEANUP(frame_free) struct frame *frame = memory_alloc(sizeof *frame);

    node_init(frame, setup);
    evthread_use_pthreads();
    frame->node.base = event_base_new();
    if (!frame->node.base) {
        *ret_exit = SERVICE_EXIT_DEPENDENCY;
        return error_set(err, ERR_UNAVAILABLE, "cannot make an event loop");
    }
    posts_init(frame);
    if (data_dir_open(frame->node.data_dir, &frame->data_dir, err) < 0 ||
        data_path_set(frame, err) < 0 || name_set(frame, err) < 0 ||
        cluster_check(frame, err) < 0 ||
        identity_new(frame->node.data_dir, frame->name, &frame->identity, err) < 0 ||
        libraries_open(frame, err) < 0) {
        *ret_exit = exit_code_of(err->code);
        return -1;
    }
    *ret_frame = TAKE(frame);
    return 0;
}

void frame_free(struct frame **frame)
{
    struct frame *f = *frame;

    if (!f)
        return;
    http_server_free(&f->metrics);
    http_client_free(&f->node.http);
    keyring_free(&f->keyring);
    picker_free(&f->picker);
    identity_free(&f->identity);
    egress_free(&f->node.egress);
    registry_free(&f->node.registry);
    posts_done(f);
    if (f->node.base)
        event_base_free(f->node.base);
    data_dir_free(&f->data_dir);
    free(f->data_path);
    free(f->name);
    free(f->url);
    free(f);
    *frame = NULL;
}
