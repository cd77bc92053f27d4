#ifndef BELFRY_BASE_ADDRESS_H
#define BELFRY_BASE_ADDRESS_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * IP addresses and CIDR ranges as plain values. IPv4 is kept in its IPv4-mapped IPv6 form, so that
 * "::ffff:10.0.0.1" and "10.0.0.1" are one address and a range over one covers the other.
 */
struct address {
    uint8_t bytes[16];
};

struct cidr {
    struct address base;
    unsigned bits; /* 0 … 128; of the mapped form, so 10.0.0.0/8 has 104 */
};

/* "10.0.0.1", "2001:db8::1", "[::1]": no port, no zone, no leading zeros. */
bool address_parse(struct str text, struct address *ret);
bool address_is_ipv4(const struct address *address);
bool address_is_loopback(const struct address *address); /* 127.0.0.0/8 and ::1 */
/* What limits count by: IPv4 whole, IPv6 its /64, since one subscriber has all of that. */
struct address address_site(const struct address *address);

/* "10.0.0.0/8", or an address alone for itself. Bits beyond the prefix must be 0. */
bool cidr_parse(struct str text, struct cidr *ret);
bool cidr_has(const struct cidr *cidr, const struct address *address);

/* A list "10.0.0.0/8, fd00::/8" with at most max parts: the count, or -1 with ERR_INVALID that
 * names the part. NULL and blank text give 0. */
int cidr_list_parse(const char *text, struct cidr *ret_cidrs, size_t max, struct error *err);
bool cidr_list_has(const struct cidr *cidrs, size_t count, const struct address *address);

#endif
