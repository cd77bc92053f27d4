#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *bytes, size_t size)
{
    char *p = bytes;

    while (size > 0) {
        ssize_t n = getrandom(p, size, 0);
        if (n < 0 && errno != EINTR)
            abort();
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
}

uint64_t random_u64(void)
{
    uint64_t number;

    random_bytes(&number, sizeof number);
    return number;
}

char *random_hex(char text[33])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[16];

    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[32] = '\0';
    return text;
}
