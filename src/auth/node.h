#ifndef BELFRY_AUTH_NODE_H
#define BELFRY_AUTH_NODE_H

#include "service/call.h"

/* Which processes belong to the cluster: handlers of the calls node-enrol and node-find. */
void node_enrol_handle(struct call *call);
void node_find_handle(struct call *call);

#endif
