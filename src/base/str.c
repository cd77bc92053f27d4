#include "base/str.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool str_equal(struct str a, struct str b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

bool str_equal_nocase(struct str a, struct str b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (lower(a.bytes[i]) != lower(b.bytes[i]))
            return false;
    return true;
}

bool str_is(struct str a, const char *text)
{
    return str_equal(a, str_of(text));
}

bool str_starts_with(struct str a, struct str prefix)
{
    return a.size >= prefix.size && str_equal((struct str){ a.bytes, prefix.size }, prefix);
}

struct str str_trim(struct str a)
{
    while (a.size && (a.bytes[0] == ' ' || a.bytes[0] == '\t')) {
        a.bytes++;
        a.size--;
    }
    while (a.size && (a.bytes[a.size - 1] == ' ' || a.bytes[a.size - 1] == '\t'))
        a.size--;
    return a;
}

bool str_split(struct str *rest, char separator, struct str *ret_part)
{
    if (!rest->bytes)
        return false;
    const char *end = memchr(rest->bytes, separator, rest->size);
    if (!end) {
        *ret_part = *rest;
        *rest = (struct str){ 0 };
        return true;
    }
    *ret_part = (struct str){ rest->bytes, (size_t)(end - rest->bytes) };
    rest->size -= ret_part->size + 1;
    rest->bytes = end + 1;
    return true;
}

/* Size of the valid sequence at p, 0 if there is none (table 3-7 of the Unicode standard). */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned char low = 0x80, high = 0xBF;
    size_t size;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    size = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (left < size)
        return 0;
    if (p[0] == 0xE0)
        low = 0xA0;
    else if (p[0] == 0xED)
        high = 0x9F;
    else if (p[0] == 0xF0)
        low = 0x90;
    else if (p[0] == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

bool utf8_valid(struct str text)
{
    const unsigned char *p = (const unsigned char *)text.bytes;

    for (size_t i = 0; i < text.size;) {
        size_t size = utf8_sequence(p + i, text.size - i);
        if (!size)
            return false;
        i += size;
    }
    return true;
}

size_t utf8_count(struct str text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        if (((unsigned char)text.bytes[i] & 0xC0) != 0x80)
            count++;
    return count;
}

bool number_parse(struct str text, int64_t min, int64_t max, int64_t *ret_number)
{
    bool negative = min < 0 && text.size && text.bytes[0] == '-';
    uint64_t number = 0;
    size_t i = negative ? 1 : 0;

    if (text.size == i || text.size - i > 19)
        return false;
    for (; i < text.size; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text.bytes[i] - '0');
    }
    if (number > (uint64_t)INT64_MAX)
        return false;
    int64_t result = negative ? -(int64_t)number : (int64_t)number;
    if (result < min || result > max)
        return false;
    *ret_number = result;
    return true;
}
