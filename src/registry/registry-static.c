#include "registry/registry-private.h"

#include "base/memory.h"
#include "base/str.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INSTANCES_MAX = 256 };

/* Addresses as the configuration lists them; one entry for each key of section [registry]. */
struct entry {
    const char *service;
    size_t url_count;
    char **urls;
};

struct static_registry {
    struct arena *arena;
    size_t entry_count;
    struct entry *entries;
};

/* "http://host:port" or https, nothing behind it: paths are ours. */
static bool url_fits(struct str url)
{
    struct str http = STR("http://"), https = STR("https://");
    struct str rest = url;
    bool secure = str_starts_with(url, https);

    if (!secure && !str_starts_with(url, http))
        return false;
    rest.bytes += secure ? https.size : http.size;
    rest.size -= secure ? https.size : http.size;
    const char *colon = memrchr(rest.bytes, ':', rest.size);
    if (!colon || colon == rest.bytes)
        return false;
    int64_t port;
    struct str digits = { colon + 1, (size_t)(rest.bytes + rest.size - colon - 1) };
    return number_parse(digits, 1, 65535, &port) && !memchr(rest.bytes, '/', rest.size) &&
           !memchr(rest.bytes, '@', rest.size) && !memchr(rest.bytes, ' ', rest.size);
}

static int entry_read(struct static_registry *r, struct entry *entry, const char *text,
                      const char *source, struct error *err)
{
    struct str rest = str_of(text), part;
    char *urls[INSTANCES_MAX];

    while (config_list_next(&rest, &part)) {
        if (!url_fits(part))
            return error_set(err, ERR_INVALID,
                             "%s: registry.%s must be a list of http://host:port, not \"%.*s\"",
                             source, entry->service, (int)part.size, part.bytes);
        if (entry->url_count == INSTANCES_MAX)
            return error_set(err, ERR_INVALID, "%s: registry.%s names more than %d instances",
                             source, entry->service, INSTANCES_MAX);
        urls[entry->url_count++] = arena_strndup(r->arena, part.bytes, part.size);
    }
    entry->urls = arena_copy(r->arena, urls, entry->url_count * sizeof *urls);
    return 0;
}

static void static_close(void *state)
{
    struct static_registry *r = state;

    arena_free(&r->arena);
    free(r);
}

static int static_open(const struct config *config, void **ret_state, struct error *err)
{
    struct static_registry *r = memory_alloc(sizeof *r);

    r->arena = arena_new();
    r->entries = ARENA_ARRAY(r->arena, struct entry, config_key_count);
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (strcmp(key->section, "registry") != 0)
            continue;
        struct entry *entry = &r->entries[r->entry_count++];
        char *name = arena_printf(r->arena, "registry.%s", key->name);
        entry->service = key->name;
        if (entry_read(r, entry, config_text(config, name), config_source(config, name), err) < 0) {
            static_close(r);
            return -1;
        }
    }
    *ret_state = r;
    return 0;
}

static size_t static_find(void *state, const char *service, struct arena *arena,
                          const char *const **ret_urls)
{
    const struct static_registry *r = state;

    for (size_t i = 0; i < r->entry_count; i++) {
        const struct entry *entry = &r->entries[i];
        if (strcmp(entry->service, service) != 0)
            continue;
        char **urls = ARENA_ARRAY(arena, char *, entry->url_count);
        for (size_t k = 0; k < entry->url_count; k++)
            urls[k] = arena_strdup(arena, entry->urls[k]);
        *ret_urls = (const char *const *)urls;
        return entry->url_count;
    }
    *ret_urls = NULL;
    return 0;
}

const struct registry_backend registry_static = {
    .name = "static",
    .open = static_open,
    .find = static_find,
    .close = static_close,
};
