#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes are read or refused with a message; what is read can be printed and asked for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct error err;
    struct buf out;

    if (config_read("fuzz", (struct str){ (const char *)data, size }, NULL, &config, &err) < 0)
        return error_english(&err)[0] == '\0' ? __builtin_trap(), 0 : 0;
    buf_init(&out, 16 * 1024 * 1024);
    config_print(config, &out);
    buf_done(&out);
    config_free(&config);
    return 0;
}
