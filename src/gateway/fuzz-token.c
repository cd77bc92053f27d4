#include "gateway/credentials.h"

#include "base/arena.h"
#include "gateway/header-filter.h"
#include "gateway/origin.h"
#include "service/identity.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every credential that is found must be a slice of what came in. */
static void slice_check(struct str slice, const uint8_t *data, size_t size)
{
    const char *from = (const char *)data;

    if (slice.size == 0 || slice.bytes < from || slice.bytes + slice.size > from + size)
        abort();
}

static void header_try(struct str name, struct str value, const uint8_t *data, size_t size)
{
    struct http_header headers[] = { { name, value }, { name, value } };
    struct origin origin = { .host = value, .loopback = true, .public_url = "https://b.example" };
    struct proxies proxies = { .count = 0 };
    char address[64];
    struct str found;

    if (cookie_find(headers, 1, "belfry", &found) == 1)
        slice_check(found, data, size);
    if (cookie_find(headers, 2, "belfry", &found) == 1)
        abort(); /* given twice is never found */
    if (bearer_find(headers, 1, &found) == 1)
        slice_check(found, data, size);
    cidr_parse(STR("0.0.0.0/0"), &proxies.cidrs[proxies.count++]);
    client_address_find(&proxies, "10.0.0.1", headers, 2, address);
    struct address parsed;
    if (!address_parse(str_of(address), &parsed))
        abort(); /* whatever the header says, an address comes out */
    origin_allowed(&origin, headers, 1);
    origin_cookie(&origin);
    header_passes(name);
    request_id_valid(value);
}

/* Claims of a signed request: reading must bear anything, believing is another matter. */
static void identity_try(struct str value)
{
    static const unsigned char key[IDENTITY_KEY_SIZE];
    struct arena *arena = arena_new();
    struct claims *claims;
    struct error err;

    if (identity_read(value, arena, &claims, &err) == 0 && identity_signed_by(value, key))
        abort();
    arena_free(&arena);
}

/* The input is a header line: name, colon, value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = { (const char *)data, size }, name;

    if (size == 0 || !str_split(&rest, ':', &name) || !rest.bytes)
        return 0;
    header_try(name, rest, data, size);
    header_try(STR("Cookie"), rest, data, size);
    header_try(STR("Authorization"), rest, data, size);
    header_try(STR("X-Forwarded-For"), rest, data, size);
    identity_try(rest);
    return 0;
}
