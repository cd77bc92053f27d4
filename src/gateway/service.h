#ifndef BELFRY_GATEWAY_SERVICE_H
#define BELFRY_GATEWAY_SERVICE_H

#include "service/service.h"

/* The only listener for traffic from outside: authenticates, limits, logs, forwards. */
extern const struct service gateway_service;

#endif
