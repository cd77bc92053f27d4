#include "registry/registry-private.h"

#include "base/memory.h"

#include <stdlib.h>

struct registry {
    const struct registry_backend *backend;
    void *state;
};

int registry_new(const struct config *config, struct registry **ret_registry, struct error *err)
{
    const struct registry_backend *backend = &registry_static;
    void *state;

    if (backend->open(config, &state, err) < 0)
        return -1;
    struct registry *registry = memory_alloc(sizeof *registry);
    *registry = (struct registry){ backend, state };
    *ret_registry = registry;
    return 0;
}

void registry_free(struct registry **registry)
{
    if (!*registry)
        return;
    (*registry)->backend->close((*registry)->state);
    free(*registry);
    *registry = NULL;
}

size_t registry_find(struct registry *registry, const char *service, struct arena *arena,
                     const char *const **ret_urls)
{
    return registry->backend->find(registry->state, service, arena, ret_urls);
}
