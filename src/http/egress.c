#include "http/egress.h"

#include "base/address.h"
#include "base/clock.h"
#include "base/memory.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { RANGES_MAX = 256, PORTS_MAX = 32, OWN_MAX = 256, OWN_AGE_MS = 30000 };

struct egress {
    struct cidr allow[RANGES_MAX], deny[RANGES_MAX];
    size_t allow_count, deny_count;
    uint16_t ports[PORTS_MAX];       /* of Belfry's own listeners */
    size_t port_count;
    struct address own[OWN_MAX];     /* addresses of this machine, read now and then */
    size_t own_count;
    int64_t own_read_ms;
};

/* Nothing that a task has business with lives here, whatever the settings say. */
static const char always_denied[] =
    "0.0.0.0/8, 169.254.0.0/16, 224.0.0.0/4, 240.0.0.0/4, " /* this network, link-local, multicast,
                                                               reserved and broadcast */
    "100.100.100.200, 192.0.0.192, 168.63.129.16, "         /* metadata: Alibaba, Oracle, Azure */
    "fe80::/10, fec0::/10, ff00::/8, ::/128, "
    "fd00:ec2::254, fd20:ce::254, fd00:42::42";             /* metadata: AWS, Google, Scaleway */

/* --- settings --------------------------------------------------------------------------------- */

int egress_new(const char *allow, const char *deny, struct egress **ret_egress, struct error *err)
{
    struct egress *egress = memory_alloc(sizeof *egress);
    int allowed = cidr_list_parse(allow, egress->allow, RANGES_MAX, err);
    int denied = allowed < 0 ? -1 : cidr_list_parse(deny, egress->deny, RANGES_MAX, err);

    if (denied < 0) {
        egress_free(&egress);
        return error_prefix_path(err, allowed < 0 ? "egress.allow" : "egress.deny");
    }
    egress->allow_count = (size_t)allowed;
    egress->deny_count = (size_t)denied;
    *ret_egress = egress;
    return 0;
}

void egress_free(struct egress **egress)
{
    free(*egress);
    *egress = NULL;
}

void egress_own_port(struct egress *egress, uint16_t port)
{
    for (size_t i = 0; i < egress->port_count; i++)
        if (egress->ports[i] == port)
            return;
    if (egress->port_count < PORTS_MAX)
        egress->ports[egress->port_count++] = port;
}

/* --- verdict ---------------------------------------------------------------------------------- */

static bool address_take(const struct sockaddr *source, struct address *ret, uint16_t *ret_port)
{
    *ret = (struct address){ { [10] = 0xff, [11] = 0xff } };
    if (!source)
        return false;
    if (source->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)source;
        memcpy(ret->bytes + 12, &v4->sin_addr, 4);
        *ret_port = ntohs(v4->sin_port);
        return true;
    }
    if (source->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)source;
        memcpy(ret->bytes, &v6->sin6_addr, 16);
        *ret_port = ntohs(v6->sin6_port);
        return true;
    }
    return false;
}

/* The IPv4 address that a router would unwrap: NAT64 (64:ff9b::/96), 6to4 (2002::/16), and the old
 * "compatible" form (::a.b.c.d). */
static bool embedded_ipv4(const struct address *address, struct address *ret)
{
    static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b }, zeros[12];
    const uint8_t *inner = NULL;

    if (memcmp(address->bytes, nat64, 12) == 0 ||
        (memcmp(address->bytes, zeros, 12) == 0 && !address_is_loopback(address)))
        inner = address->bytes + 12;
    else if (address->bytes[0] == 0x20 && address->bytes[1] == 0x02)
        inner = address->bytes + 2;
    if (!inner)
        return false;
    *ret = (struct address){ { [10] = 0xff, [11] = 0xff } };
    memcpy(ret->bytes + 12, inner, 4);
    return true;
}

static bool is_always_denied(const struct address *address)
{
    static struct cidr ranges[16]; /* the text is ours: the same for all, filled once */
    static size_t count;

    if (!count) {
        int parsed = cidr_list_parse(always_denied, ranges, 16, NULL);
        if (parsed < 0)
            abort();
        count = (size_t)parsed;
    }
    return cidr_list_has(ranges, count, address);
}

static void own_read(struct egress *egress, int64_t now_ms)
{
    struct ifaddrs *all = NULL;
    uint16_t port;

    if (egress->own_read_ms && now_ms - egress->own_read_ms < OWN_AGE_MS)
        return;
    egress->own_read_ms = now_ms;
    if (getifaddrs(&all) < 0)
        return; /* what was read before stays */
    egress->own_count = 0;
    for (const struct ifaddrs *i = all; i && egress->own_count < OWN_MAX; i = i->ifa_next)
        if (address_take(i->ifa_addr, &egress->own[egress->own_count], &port))
            egress->own_count++;
    freeifaddrs(all);
}

static bool is_own_address(struct egress *egress, const struct address *address)
{
    if (address_is_loopback(address))
        return true;
    own_read(egress, clock_mono_ms());
    for (size_t i = 0; i < egress->own_count; i++)
        if (memcmp(egress->own[i].bytes, address->bytes, sizeof address->bytes) == 0)
            return true;
    return false;
}

static bool is_own_listener(struct egress *egress, const struct address *address, uint16_t port)
{
    for (size_t i = 0; i < egress->port_count; i++)
        if (egress->ports[i] == port)
            return is_own_address(egress, address);
    return false;
}

static bool is_denied(struct egress *egress, const struct address *address)
{
    return is_always_denied(address) ||
           cidr_list_has(egress->deny, egress->deny_count, address);
}

int egress_check_address(void *ctx, const struct sockaddr *target, struct error *err)
{
    struct egress *egress = ctx;
    struct address address, inner;
    uint16_t port = 0;

    if (!address_take(target, &address, &port))
        return error_set(err, ERR_FORBIDDEN, "neither an IPv4 nor an IPv6 address");
    bool wrapped = embedded_ipv4(&address, &inner);
    if (is_denied(egress, &address) || (wrapped && is_denied(egress, &inner)))
        return error_set(err, ERR_FORBIDDEN, "address is refused by the egress rules");
    if (is_own_listener(egress, &address, port) ||
        (wrapped && is_own_listener(egress, &inner, port)))
        return error_set(err, ERR_FORBIDDEN, "address and port are Belfry's own");
    if (egress->allow_count && !cidr_list_has(egress->allow, egress->allow_count, &address))
        return error_set(err, ERR_FORBIDDEN, "address is not among those that egress.allow names");
    return 0;
}
