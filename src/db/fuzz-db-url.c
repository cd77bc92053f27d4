#include "db/db-private.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A url that is taken has all a connection needs; one that is not leaves nothing behind. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    CLEANUP(memory_free_text) char *text = memory_strndup((const char *)bytes, size);
    struct db_url url;
    struct error err = { 0 };

    if (db_url_parse(text, &url, &err) < 0) {
        assert(err.code == ERR_INVALID && !url.user && !url.host && !url.database && !url.path);
        return 0;
    }
    if (url.backend == DB_SQLITE)
        assert(url.path && *url.path);
    else
        assert(url.user && url.database && (url.host || url.socket) && url.port >= 0);
    db_url_done(&url);
    return 0;
}
