#ifndef BELFRY_HTTP_EGRESS_H
#define BELFRY_HTTP_EGRESS_H

#include "base/error.h"

#include <stdint.h>

/*
 * Which addresses tasks and channels may dial. Always refused: link-local and cloud metadata
 * addresses (169.254.0.0/16, fe80::/10, 100.100.100.200, fd00:ec2::254 …), unspecified, multicast
 * and broadcast ones, IPv4-mapped forms of these, and Belfry's own ports on addresses of this
 * machine. Private and loopback addresses are allowed: that is where services live. Then deny,
 * then allow (when it is not empty only what it names).
 */
struct egress;
struct sockaddr;

/* allow and deny: "10.0.0.0/8, 192.168.1.7, fd00::/8" or NULL. ERR_INVALID names the bad part. */
int egress_new(const char *allow, const char *deny, struct egress **ret_egress, struct error *err);
void egress_free(struct egress **egress);
void egress_own_port(struct egress *egress, uint16_t port); /* adds one of Belfry's listeners */
int egress_check_address(void *egress, const struct sockaddr *address, struct error *err);

#endif
