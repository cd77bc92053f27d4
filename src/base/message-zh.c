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

static const struct translation *translation_find(const char *english)
{
    return bsearch(english, translations, sizeof translations / sizeof *translations,
                   sizeof *translations, translation_compare);
}

const char *message_chinese(const char *english)
{
    const struct translation *row = translation_find(english);

    return row ? row->chinese : NULL;
}

const char *message_known(const char *english)
{
    const struct translation *row = translation_find(english);

    return row ? row->english : NULL;
}
