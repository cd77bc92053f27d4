#include "http/egress.h"
#include "http/http-client.h"

#include "base/address.h"
#include "base/arena.h"
#include "base/buf.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>

/*
 * A URL that is let through prints back to one that means the same, curl reads the same host and
 * port out of it, and the verdict on a literal address is the same for both.
 */
static void check(bool condition)
{
    if (!condition)
        abort();
}

static void url_print(struct buf *out, const struct http_url *url)
{
    bool is_v6 = memchr(url->host.bytes, ':', url->host.size);

    buf_printf(out, "%.*s://%s%.*s%s:%u", (int)url->scheme.size, url->scheme.bytes,
               is_v6 ? "[" : "", (int)url->host.size, url->host.bytes, is_v6 ? "]" : "", url->port);
    buf_add(out, url->path_query.bytes, url->path_query.size);
}

static void urls_equal(const struct http_url *a, const struct http_url *b)
{
    check(str_equal(a->scheme, b->scheme) && str_equal(a->host, b->host) && a->port == b->port &&
          str_equal(a->path_query, b->path_query));
}

static int verdict(struct egress *egress, struct str host, uint16_t port)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct address address;

    if (!address_parse(host, &address))
        return 1; /* a name */
    memcpy(&v6.sin6_addr, address.bytes, 16); /* IPv4 in its mapped form */
    return egress_check_address(egress, (struct sockaddr *)&v6, NULL);
}

static struct str without_brackets(struct str host)
{
    return host.bytes[0] == '[' ? (struct str){ host.bytes + 1, host.size - 2 } : host;
}

/* curl's own parser has to dial what ours has checked. */
static void curl_agrees(const char *text, const struct http_url *url, struct egress *egress)
{
    CURLU *parsed = curl_url();
    char *host = NULL, *port = NULL;

    if (curl_url_set(parsed, CURLUPART_URL, text, CURLU_PATH_AS_IS) == CURLUE_OK) {
        check(curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK);
        check(curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK);
        check(strtol(port, NULL, 10) == url->port);
        struct str plain = without_brackets(str_of(host));
        struct address ours, theirs;
        if (address_parse(url->host, &ours)) /* curl writes IPv6 addresses anew */
            check(address_parse(plain, &theirs) && memcmp(&ours, &theirs, sizeof ours) == 0);
        else
            check(str_equal_nocase(plain, url->host));
        check(verdict(egress, plain, url->port) == verdict(egress, url->host, url->port));
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct egress *egress;
    struct arena *arena = arena_new();
    char *text = arena_strndup(arena, (const char *)data, size);
    struct http_url url, again;
    struct buf printed;
    struct error err;

    if (!egress)
        egress_new(NULL, "10.0.0.0/8", &egress, NULL);
    if (http_url_parse(text, &url, &err) == 0) {
        buf_init(&printed, 1 << 20);
        url_print(&printed, &url);
        if (printed.size <= 8 * 1024) {
            check(http_url_parse(buf_text(&printed), &again, &err) == 0);
            urls_equal(&url, &again);
        }
        curl_agrees(text, &url, egress);
        buf_done(&printed);
    } else {
        check(err.code == ERR_INVALID);
    }
    arena_free(&arena);
    return 0;
}
