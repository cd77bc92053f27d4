#include "http/http-client.h"
#include "http/http-server.h"

#include "base/address.h"
#include "http/http-parser.h"

/* --- percent-encoding ----------------------------------------------------------------------- */

int percent_decode(struct str text, bool plus_is_space, struct arena *arena, struct str *ret)
{
    char *out = arena_alloc(arena, text.size + 1);
    size_t used = 0;

    for (size_t i = 0; i < text.size; i++) {
        char c = text.bytes[i];
        if (c == '%') {
            int high = i + 2 < text.size ? http_hex_digit(text.bytes[i + 1]) : -1;
            int low = high < 0 ? -1 : http_hex_digit(text.bytes[i + 2]);
            if (low < 0)
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[used++] = c;
    }
    *ret = (struct str){ out, used };
    return 0;
}

void percent_encode(struct buf *out, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.bytes[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        char escape[3] = { '%', digits[c >> 4], digits[c & 15] };
        if (plain)
            buf_add_char(out, (char)c);
        else
            buf_add(out, escape, sizeof escape);
    }
}

/* --- query ---------------------------------------------------------------------------------- */

/* Name and value of one part, decoded; what would surprise a C string or a log is refused. */
static int pair_decode(struct str part, struct arena *arena, struct str *ret_name,
                       struct str *ret_value)
{
    struct str value = part, name;

    str_split(&value, '=', &name);
    if (percent_decode(name, true, arena, ret_name) < 0 ||
        percent_decode(value, true, arena, ret_value) < 0)
        return -1;
    if (!utf8_valid(*ret_name) || !utf8_valid(*ret_value))
        return -1;
    if (!http_header_value_valid(*ret_name) || memchr(ret_value->bytes, 0, ret_value->size))
        return -1;
    return 0;
}

static int query_invalid(struct str part, struct error *err)
{
    return error_set_at(err, ERR_INVALID, "query", "badly encoded query parameter %.*s",
                        part.size > 40 ? 40 : (int)part.size, part.bytes);
}

static const char *query_path(struct str name, struct arena *arena)
{
    size_t size = name.size;

    for (size = size > 48 ? 48 : size; size && size < name.size; size--)
        if (((unsigned char)name.bytes[size] & 0xC0) != 0x80)
            break; /* whole code points only */
    return arena_printf(arena, "query.%.*s", (int)size, name.bytes);
}

int http_query_get(const struct http_request *request, const char *name, const char **ret_value,
                   struct error *err)
{
    struct str rest = request->query, part, part_name, value;
    const char *found = NULL;

    while (str_split(&rest, '&', &part)) {
        if (!part.size)
            continue;
        if (pair_decode(part, request->arena, &part_name, &value) < 0)
            return query_invalid(part, err);
        if (!str_is(part_name, name))
            continue;
        if (found)
            return error_set_at(err, ERR_INVALID, query_path(part_name, request->arena),
                                "is given twice");
        found = value.bytes;
    }
    if (!found)
        return 0;
    *ret_value = found;
    return 1;
}

static bool names_have(const char *const *names, struct str name)
{
    for (; *names; names++)
        if (str_is(name, *names))
            return true;
    return false;
}

int http_query_check(const struct http_request *request, const char *const *names,
                     struct error *err)
{
    struct str rest = request->query, part, name, value;

    while (str_split(&rest, '&', &part)) {
        if (!part.size)
            continue;
        if (pair_decode(part, request->arena, &name, &value) < 0)
            return query_invalid(part, err);
        if (!names_have(names, name))
            return error_set_at(err, ERR_INVALID, query_path(name, request->arena),
                                "no such query parameter");
    }
    return 0;
}

/* --- URLs ----------------------------------------------------------------------------------- */

static int url_invalid(struct error *err, const char *why)
{
    return error_set(err, ERR_INVALID, "bad URL: %s", why);
}

/* Printable ASCII without what only parsers that mend URLs let through. */
static bool url_chars_valid(struct str url)
{
    for (size_t i = 0; i < url.size; i++) {
        char c = url.bytes[i];
        if (c <= ' ' || c == 0x7f || c == '\\' || c == '"' || c == '<' || c == '>')
            return false; /* char is signed here: bytes from 0x80 on are <= ' ' */
    }
    return true;
}

static bool scheme_take(struct str *rest, struct http_url *url)
{
    struct str schemes[] = { STR("http://"), STR("https://") };

    for (int i = 0; i < 2; i++) {
        struct str start = { rest->bytes, schemes[i].size };
        if (rest->size < start.size || !str_equal_nocase(start, schemes[i]))
            continue;
        url->scheme = (struct str){ schemes[i].bytes, schemes[i].size - 3 };
        url->port = i ? 443 : 80;
        *rest = (struct str){ rest->bytes + start.size, rest->size - start.size };
        return true;
    }
    return false;
}

static struct str last_label(struct str host)
{
    const char *dot = host.size ? memrchr(host.bytes, '.', host.size) : NULL;

    if (!dot)
        return host;
    return (struct str){ dot + 1, host.size - (size_t)(dot - host.bytes) - 1 };
}

static bool is_number(struct str label)
{
    bool hex = label.size > 1 && label.bytes[0] == '0' && (label.bytes[1] | 0x20) == 'x';

    for (size_t i = hex ? 2 : 0; i < label.size; i++)
        if (hex ? http_hex_digit(label.bytes[i]) < 0
                : label.bytes[i] < '0' || label.bytes[i] > '9')
            return false;
    return label.size > 0;
}

/*
 * What ends in a number has to be an address in its usual form: "127.1" or "0x7f000001" are one to
 * some programs, a name to others. Names have no empty labels, but maybe a dot at the end.
 */
static bool host_valid(struct str host)
{
    struct address address;
    struct str name = host;

    if (memchr(host.bytes, ':', host.size))
        return address_parse(host, &address);
    if (name.size > 1 && name.bytes[name.size - 1] == '.')
        name.size--;
    if (is_number(last_label(name)))
        return address_parse(host, &address);
    return !memmem(name.bytes, name.size, "..", 2) && name.bytes[0] != '.' &&
           last_label(name).size && name.size <= 253;
}

/* Host without brackets, and the port where one is given. */
static int authority_parse(struct str authority, struct http_url *url, struct error *err)
{
    const char *colon = authority.size ? memrchr(authority.bytes, ':', authority.size) : NULL;
    int64_t port;

    if (memchr(authority.bytes, '@', authority.size))
        return url_invalid(err, ERROR_TERM("user name or password in it"));
    if (!http_host_valid(authority))
        return url_invalid(err, ERROR_TERM("host"));
    url->host = authority;
    if (colon && authority.bytes[authority.size - 1] != ']') {
        struct str digits = { colon + 1, (size_t)(authority.bytes + authority.size - colon) - 1 };
        if (!number_parse(digits, 1, 65535, &port))
            return url_invalid(err, ERROR_TERM("port"));
        url->port = (uint16_t)port;
        url->host.size = (size_t)(colon - authority.bytes);
    }
    if (url->host.bytes[0] == '[')
        url->host = (struct str){ url->host.bytes + 1, url->host.size - 2 };
    if (!host_valid(url->host))
        return url_invalid(err, ERROR_TERM("host"));
    return 0;
}

int http_url_parse(const char *text, struct http_url *ret, struct error *err)
{
    struct str rest = str_of(text);
    struct http_url url = { 0 };
    size_t size = 0;

    if (rest.size > 8 * 1024)
        return url_invalid(err, ERROR_TERM("longer than 8 KiB"));
    if (!url_chars_valid(rest))
        return url_invalid(err, ERROR_TERM("space, control or other character that must be encoded"));
    if (!scheme_take(&rest, &url))
        return url_invalid(err, ERROR_TERM("does not begin with http:// or https://"));
    while (size < rest.size && !strchr("/?#", rest.bytes[size]))
        size++;
    if (authority_parse((struct str){ rest.bytes, size }, &url, err) < 0)
        return -1;
    url.path_query = (struct str){ rest.bytes + size, rest.size - size };
    const char *fragment = memchr(url.path_query.bytes, '#', url.path_query.size);
    if (fragment)
        url.path_query.size = (size_t)(fragment - url.path_query.bytes);
    *ret = url;
    return 0;
}
