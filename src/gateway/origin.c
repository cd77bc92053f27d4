#include "gateway/origin.h"

#include "auth/client.h"
#include "base/address.h"

static struct str host_without_port(struct str host)
{
    const char *colon;

    if (host.size > 0 && host.bytes[0] == '[') {
        const char *end = memchr(host.bytes, ']', host.size);
        return end ? (struct str){ host.bytes, (size_t)(end - host.bytes) + 1 } : host;
    }
    colon = host.size ? memchr(host.bytes, ':', host.size) : NULL;
    return colon ? (struct str){ host.bytes, (size_t)(colon - host.bytes) } : host;
}

bool host_is_loopback(struct str host)
{
    struct address address;

    host = host_without_port(host);
    if (str_equal_nocase(host, STR("localhost")))
        return true;
    return address_parse(host, &address) && address_is_loopback(&address);
}

const char *origin_cookie(const struct origin *origin)
{
    if (origin->tls)
        return AUTH_COOKIE_TLS;
    return origin->loopback && host_is_loopback(origin->host) ? AUTH_COOKIE_LOOPBACK : NULL;
}

/* "scheme://host[:port]" of a URL, without path. */
static struct str url_origin(struct str url)
{
    const char *scheme_end = url.size ? memmem(url.bytes, url.size, "://", 3) : NULL;
    const char *slash;
    size_t from;

    if (!scheme_end)
        return url;
    from = (size_t)(scheme_end - url.bytes) + 3;
    slash = memchr(url.bytes + from, '/', url.size - from);
    return slash ? (struct str){ url.bytes, (size_t)(slash - url.bytes) } : url;
}

static bool is_ours(const struct origin *origin, struct str value)
{
    struct str scheme = origin->tls ? STR("https://") : STR("http://");

    if (origin->public_url && str_equal_nocase(value, url_origin(str_of(origin->public_url))))
        return true;
    if (value.size != scheme.size + origin->host.size || !str_starts_with(value, scheme))
        return false;
    return str_equal_nocase((struct str){ value.bytes + scheme.size, origin->host.size },
                            origin->host);
}

bool origin_allowed(const struct origin *origin, const struct http_header *headers, size_t count)
{
    struct str site = http_header_find(headers, count, "Sec-Fetch-Site");
    struct str from = http_header_find(headers, count, "Origin");

    if (site.bytes && !str_is(site, "same-origin") && !str_is(site, "none"))
        return false;
    return !from.bytes || is_ours(origin, from);
}
