#include "job-execute/params.h"

#include "schedule/zone.h"

#include <stdlib.h>

/*
 * First byte: the context. The rest: a text with placeholders. What params_check takes,
 * params_expand must fill in unless a value does not fit; and JSON that was JSON before stays JSON.
 */
static const struct json_pair pairs[] = {
    { (char *)(intptr_t)"A", (char *)(intptr_t)"plain" },
    { (char *)(intptr_t)"B", (char *)(intptr_t)"\"}, \\ ${A} \r\n /?#%\xe4\xb8\xad" },
    { (char *)(intptr_t)"N", (char *)(intptr_t)"17" },
};
enum { PAIR_COUNT = sizeof pairs / sizeof *pairs };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct params_names names = { pairs, PAIR_COUNT };
    const struct params params = { pairs, PAIR_COUNT, 1, INT64_C(1764034200000), 1, "g/j",
                                   zone_utc() };
    struct arena *arena = arena_new();
    struct error err = { 0 };
    char *result = NULL;

    if (size > 0 && size < 8192) {
        enum params_context context = (enum params_context)(bytes[0] % 5);
        struct str text = { (const char *)bytes + 1, size - 1 };
        bool good = params_check(text, "p", &names, &err) == 0;
        bool json = params_is_json(text, arena);
        int rc = params_expand(text, "p", context, &params, arena, &result, &err);

        if (!good && rc == 0)
            abort();
        if (good && rc < 0 && context == PARAMS_FORM && err.code != ERR_INVALID)
            abort();
        if (rc == 0 && json && context == PARAMS_JSON &&
            json_check(str_of(result), PARAMS_RESULT_MAX, false, arena, NULL, &err) < 0)
            abort();
    }
    arena_free(&arena);
    return 0;
}
