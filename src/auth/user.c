#include "auth/user.h"

#include "base/str.h"

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A CJK unified ideograph (U+3400 to U+9FFF, three bytes) at the start of text: these have one
 * form each, unlike letters with accents or full-width ones. */
static bool is_ideograph(struct str text)
{
    const unsigned char *b = (const unsigned char *)text.bytes;

    return text.size >= 3 && ((b[0] == 0xE3 && b[1] >= 0x90) || (b[0] > 0xE3 && b[0] <= 0xE9)) &&
           (b[1] & 0xC0) == 0x80 && (b[2] & 0xC0) == 0x80;
}

/* Bytes of the character that a name may have at this place; 0: none. */
static size_t name_character(struct str text, bool first)
{
    if (is_ideograph(text))
        return 3;
    return is_alphanumeric(text.bytes[0]) || (!first && strchr("._-@", text.bytes[0])) ? 1 : 0;
}

int user_name_check(const char *name, struct error *err)
{
    struct str rest = str_of(name);
    size_t count = 0, size = 0;

    for (; rest.size > 0; count++) {
        size = name_character(rest, count == 0);
        if (size == 0)
            break;
        rest = (struct str){ rest.bytes + size, rest.size - size };
    }
    if (rest.size == 0 && count >= 2 && count <= USER_NAME_MAX)
        return 0;
    return error_set_at(err, ERR_INVALID, "name",
                        "must be 2 to %d small letters, digits, Chinese characters and . _ - @, "
                        "beginning with none of the last four", USER_NAME_MAX);
}

int user_administrator_left(struct db_tx *tx, struct arena *arena, struct error *err)
{
    int64_t count;

    if (store_administrators_count(tx, arena, &count, err) < 0)
        return -1;
    if (count > 0)
        return 0;
    return error_set(err, ERR_CONFLICT,
                     "the last administrator cannot be removed, disabled or given less");
}
