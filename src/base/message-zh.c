#include "base/error.h"

#include <stdlib.h>
#include <string.h>

struct translation {
    const char *english, *chinese;
};

/* Sorted by the English format (strcmp), which is the key; tests/tree checks order and coverage. */
static const struct translation translations[] = {
#include "base/message-zh.inc"
};

static int translation_compare(const void *key, const void *row)
{
    return strcmp(key, ((const struct translation *)row)->english);
}

const char *message_chinese(const char *english)
{
    const struct translation *row =
        bsearch(english, translations, sizeof translations / sizeof *translations,
                sizeof *translations, translation_compare);

    return row ? row->chinese : NULL;
}
