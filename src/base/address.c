#include "base/address.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

bool address_parse(struct str text, struct address *ret)
{
    char copy[INET6_ADDRSTRLEN + 1];
    uint8_t v4[4], v6[16];

    if (text.size >= 2 && text.bytes[0] == '[' && text.bytes[text.size - 1] == ']') {
        text.bytes++;
        text.size -= 2;
        if (!memchr(text.bytes, ':', text.size))
            return false;
    }
    if (text.size == 0 || text.size >= sizeof copy || memchr(text.bytes, '\0', text.size))
        return false;
    memcpy(copy, text.bytes, text.size);
    copy[text.size] = '\0';
    if (inet_pton(AF_INET, copy, v4) == 1) {
        memcpy(ret->bytes, mapped_prefix, sizeof mapped_prefix);
        memcpy(ret->bytes + sizeof mapped_prefix, v4, sizeof v4);
        return true;
    }
    if (inet_pton(AF_INET6, copy, v6) != 1)
        return false;
    memcpy(ret->bytes, v6, sizeof v6);
    return true;
}

bool address_is_ipv4(const struct address *address)
{
    return memcmp(address->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

bool address_is_loopback(const struct address *address)
{
    static const uint8_t one[16] = { [15] = 1 };

    if (address_is_ipv4(address))
        return address->bytes[12] == 127;
    return memcmp(address->bytes, one, sizeof one) == 0;
}

struct address address_site(const struct address *address)
{
    struct address site = *address;

    if (!address_is_ipv4(address))
        memset(site.bytes + 8, 0, 8);
    return site;
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned rest = bits % 8;

    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

static bool bits_clear_after(const uint8_t bytes[16], unsigned bits)
{
    for (unsigned i = bits; i < 128; i++)
        if (bytes[i / 8] & (0x80 >> (i % 8)))
            return false;
    return true;
}

bool cidr_parse(struct str text, struct cidr *ret)
{
    const char *slash = text.size ? memchr(text.bytes, '/', text.size) : NULL;
    struct str host = text;
    int64_t bits;

    if (slash)
        host.size = (size_t)(slash - text.bytes);
    if (!address_parse(host, &ret->base))
        return false;
    /* Textual IPv4 counts its own 32 bits; "::ffff:a.b.c.d/n" counts 128. */
    bool dotted = !memchr(host.bytes, ':', host.size);
    ret->bits = 128;
    if (slash) {
        struct str number = { slash + 1, text.size - host.size - 1 };
        if (!number_parse(number, 0, dotted ? 32 : 128, &bits))
            return false;
        ret->bits = (unsigned)bits + (dotted ? 96 : 0);
    }
    return bits_clear_after(ret->base.bytes, ret->bits);
}

bool cidr_has(const struct cidr *cidr, const struct address *address)
{
    return bits_equal(cidr->base.bytes, address->bytes, cidr->bits);
}

int cidr_list_parse(const char *text, struct cidr *ret_cidrs, size_t max, struct error *err)
{
    struct str rest = str_trim(str_of(text)), part;
    size_t count = 0;

    if (rest.size == 0)
        return 0;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (count == max)
            return error_set(err, ERR_INVALID, "more than %zu address ranges", max);
        if (!cidr_parse(part, &ret_cidrs[count]))
            return error_set(err, ERR_INVALID,
                             "not an address or CIDR range with its host bits 0: %.*s",
                             (int)(part.size < 64 ? part.size : 64), part.bytes);
        count++;
    }
    return (int)count;
}

bool cidr_list_has(const struct cidr *cidrs, size_t count, const struct address *address)
{
    for (size_t i = 0; i < count; i++)
        if (cidr_has(&cidrs[i], address))
            return true;
    return false;
}
