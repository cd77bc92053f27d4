#include "job-execute/launcher.h"

#include "base/memory.h"

#include <stdlib.h>

struct launcher {
    int fd;
};

int launcher_start(struct launcher **ret_launcher, struct error *err)
{
    (void)err;
    *ret_launcher = memory_alloc(sizeof **ret_launcher);
    (*ret_launcher)->fd = -1;
    return 0;
}

void launcher_free(struct launcher **launcher)
{
    free(*launcher);
    *launcher = NULL;
}
