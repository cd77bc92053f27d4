#ifndef BELFRY_REGISTRY_REGISTRY_PRIVATE_H
#define BELFRY_REGISTRY_REGISTRY_PRIVATE_H

#include "registry/registry.h"

/* A backend. All slots are needed. open hands out its own state, which goes to the others. */
struct registry_backend {
    const char *name;
    int (*open)(const struct config *config, void **ret_state, struct error *err);
    size_t (*find)(void *state, const char *service, struct arena *arena,
                   const char *const **ret_urls);
    void (*close)(void *state);
};
extern const struct registry_backend registry_static;

#endif
