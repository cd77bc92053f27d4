#ifndef BELFRY_REGISTRY_REGISTRY_H
#define BELFRY_REGISTRY_REGISTRY_H

#include "base/arena.h"
#include "base/error.h"

#include <stddef.h>

/*
 * Where the instances of services are. The static backend takes addresses from the configuration
 * (registry.NAME = http://host:port, …); a Nacos backend comes later. What it says is a hint: an
 * empty answer never means that nobody is there.
 */
struct registry;
struct config;

int registry_new(const struct config *config, struct registry **ret_registry, struct error *err);
void registry_free(struct registry **registry);
/* URLs of the instances of a service, in arena; a copy that stays valid with it. */
size_t registry_find(struct registry *registry, const char *service, struct arena *arena,
                     const char *const **ret_urls);

#endif
