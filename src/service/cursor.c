#include "service/request.h"

#include <sodium.h>
#include <string.h>

/* A version byte and two numbers, base64url: opaque, so that it may change. */
enum { CURSOR_VERSION = 1, CURSOR_BYTES = 1 + 2 * 8, CURSOR_TEXT = 24 };

char *cursor_make(struct arena *arena, int64_t a, int64_t b)
{
    unsigned char bytes[CURSOR_BYTES] = { CURSOR_VERSION };
    char *text = arena_alloc(arena, CURSOR_TEXT);

    memcpy(bytes + 1, &a, sizeof a);
    memcpy(bytes + 1 + sizeof a, &b, sizeof b);
    sodium_bin2base64(text, CURSOR_TEXT, bytes, sizeof bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return text;
}

int cursor_read(const char *cursor, int64_t *ret_a, int64_t *ret_b, struct error *err)
{
    unsigned char bytes[CURSOR_BYTES];
    size_t size;

    if (sodium_base642bin(bytes, sizeof bytes, cursor, strlen(cursor), NULL, &size, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        size != sizeof bytes || bytes[0] != CURSOR_VERSION)
        return error_set_at(err, ERR_INVALID, "query.cursor",
                            "not a cursor of this list: take next_cursor of the answer before");
    memcpy(ret_a, bytes + 1, sizeof *ret_a);
    memcpy(ret_b, bytes + 1 + sizeof *ret_a, sizeof *ret_b);
    return 0;
}
