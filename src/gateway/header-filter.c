#include "gateway/header-filter.h"

#include <stdio.h>

enum { HOPS_MAX = 32 };

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c == '_' || c == '.' ? '-' : c;
}

static bool folded_starts_with(struct str name, const char *prefix)
{
    size_t i = 0;

    for (; prefix[i]; i++)
        if (i >= name.size || fold(name.bytes[i]) != prefix[i])
            return false;
    return true;
}

static bool folded_is(struct str name, const char *other)
{
    return name.size == strlen(other) && folded_starts_with(name, other);
}

static bool name_plain(struct str name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.bytes[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-'))
            return false;
    }
    return name.size > 0;
}

bool header_passes(struct str name)
{
    static const char *const prefixes[] = { "x-belfry-",   "x-user-",      "x-tenant-", "x-auth-",
                                            "x-internal-", "x-forwarded-", "proxy-" };
    static const char *const names[] = { "forwarded",  "x-real-ip",     "x-client-ip",
                                         "cookie",     "authorization", "x-request-id",
                                         "x-original-url", "x-rewrite-url", "x-http-method-override" };

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (folded_starts_with(name, prefixes[i]))
            return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (folded_is(name, names[i]))
            return false;
    return name_plain(name);
}

size_t headers_filter(const struct http_header *headers, size_t count, size_t extra,
                      struct arena *arena, struct http_header **ret_headers)
{
    struct http_header *kept = ARENA_ARRAY(arena, struct http_header, count + extra);
    size_t kept_count = 0;

    for (size_t i = 0; i < count; i++)
        if (header_passes(headers[i].name))
            kept[kept_count++] = headers[i];
    *ret_headers = kept;
    return kept_count;
}

static bool proxies_have(const struct proxies *proxies, const struct address *address)
{
    return cidr_list_has(proxies->cidrs, proxies->count, address);
}

/* All X-Forwarded-For values as one list, first hop first; more than max: the last ones. */
static size_t hops_collect(const struct http_header *headers, size_t count, struct str *hops,
                           size_t max)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        struct str rest = headers[i].value, hop;
        if (!str_equal_nocase(headers[i].name, STR("x-forwarded-for")))
            continue;
        while (str_split(&rest, ',', &hop)) {
            if (used == max) {
                memmove(hops, hops + 1, (max - 1) * sizeof *hops);
                used--;
            }
            hops[used++] = str_trim(hop);
        }
    }
    return used;
}

bool client_address_find(const struct proxies *proxies, const char *peer,
                         const struct http_header *headers, size_t count, char ret_address[64])
{
    struct str hops[HOPS_MAX];
    struct address address;
    size_t hop_count;

    snprintf(ret_address, 64, "%s", peer);
    if (!address_parse(str_of(peer), &address) || !proxies_have(proxies, &address))
        return false;
    hop_count = hops_collect(headers, count, hops, HOPS_MAX);
    while (hop_count-- > 0) {
        /* What no proxy of ours can have written ends the search: the last good hop counts. */
        if (!address_parse(hops[hop_count], &address))
            break;
        snprintf(ret_address, 64, "%.*s", (int)hops[hop_count].size, hops[hop_count].bytes);
        if (!proxies_have(proxies, &address))
            break;
    }
    return true;
}

bool request_id_valid(struct str id)
{
    if (id.size < 8 || id.size > 39)
        return false;
    for (size_t i = 0; i < id.size; i++) {
        char c = id.bytes[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}
