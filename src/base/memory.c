#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void memory_exhausted(void)
{
    static const char line[] = "level=fatal msg=\"out of memory\"\n";

    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        abort();
    abort();
}

void *memory_alloc(size_t size)
{
    void *bytes = calloc(1, size ? size : 1);

    if (!bytes)
        memory_exhausted();
    return bytes;
}

void *memory_resize(void *old, size_t size)
{
    void *bytes = realloc(old, size ? size : 1);

    if (!bytes)
        memory_exhausted();
    return bytes;
}

char *memory_strndup(const char *text, size_t size)
{
    char *copy = memory_alloc(size + 1);

    if (size)
        memcpy(copy, text, size);
    return copy;
}

char *memory_strdup(const char *text)
{
    return text ? memory_strndup(text, strlen(text)) : NULL;
}

void memory_free_text(char **text)
{
    free(*text);
    *text = NULL;
}
