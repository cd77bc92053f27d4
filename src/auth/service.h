#ifndef BELFRY_AUTH_SERVICE_H
#define BELFRY_AUTH_SERVICE_H

#include "service/service.h"

/* Users, roles, sessions, API keys, nodes, and the audit log's reading side. */
extern const struct service auth_service;

#endif
