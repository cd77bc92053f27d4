#include "gateway/credentials.h"

enum { TOKEN_SIZE_MAX = 512 };

/* RFC 6265 cookie-octet: no controls, space, quote, comma, semicolon, backslash. */
static bool cookie_value_valid(struct str value)
{
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.bytes[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\')
            return false;
    }
    return value.size > 0 && value.size <= TOKEN_SIZE_MAX;
}

/* The pairs of one header; *found counts those of that name. */
static int cookie_header_read(struct str header, const char *name, struct str *ret_value,
                              unsigned *found)
{
    struct str rest = header, pair;

    while (str_split(&rest, ';', &pair)) {
        struct str key;
        pair = str_trim(pair);
        if (!str_split(&pair, '=', &key) || !str_is(key, name))
            continue;
        if (!pair.bytes || !cookie_value_valid(pair))
            return -1;
        *ret_value = pair;
        (*found)++;
    }
    return 0;
}

int cookie_find(const struct http_header *headers, size_t count, const char *name,
                struct str *ret_value)
{
    struct str value = { 0 };
    unsigned found = 0;

    for (size_t i = 0; i < count; i++) {
        if (!str_equal_nocase(headers[i].name, STR("cookie")))
            continue;
        if (cookie_header_read(headers[i].value, name, &value, &found) < 0)
            return -1;
    }
    if (found != 1)
        return found == 0 ? 0 : -1;
    *ret_value = value;
    return 1;
}

/* RFC 6750 b64token. */
static bool token_valid(struct str token)
{
    for (size_t i = 0; i < token.size; i++) {
        char c = token.bytes[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr("-._~+/=", c)))
            return false;
    }
    return token.size > 0 && token.size <= TOKEN_SIZE_MAX;
}

static int bearer_read(struct str value, struct str *ret_token)
{
    const struct str scheme = STR("Bearer ");

    value = str_trim(value);
    if (value.size < scheme.size ||
        !str_equal_nocase((struct str){ value.bytes, scheme.size }, scheme))
        return -1;
    value = str_trim((struct str){ value.bytes + scheme.size, value.size - scheme.size });
    if (!token_valid(value))
        return -1;
    *ret_token = value;
    return 1;
}

int bearer_find(const struct http_header *headers, size_t count, struct str *ret_token)
{
    struct str token = { 0 };
    int found = 0;

    for (size_t i = 0; i < count; i++) {
        if (!str_equal_nocase(headers[i].name, STR("authorization")))
            continue;
        if (found > 0 || bearer_read(headers[i].value, &token) < 0)
            return -1;
        found = 1;
    }
    if (found > 0)
        *ret_token = token;
    return found;
}
