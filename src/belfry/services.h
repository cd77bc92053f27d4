#ifndef BELFRY_BELFRY_SERVICES_H
#define BELFRY_BELFRY_SERVICES_H

#include "service/service.h"

/* Every service of the executable, in the order of their start. */
const struct service *const *services_all(size_t *ret_count);

#endif
