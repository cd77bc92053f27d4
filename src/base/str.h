#ifndef BELFRY_BASE_STR_H
#define BELFRY_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A slice of somebody else's text, for parsers; not NUL-terminated. */
struct str {
    const char *bytes;
    size_t size;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })

static inline struct str str_of(const char *text)
{
    return (struct str){ text, text ? strlen(text) : 0 };
}

bool str_equal(struct str a, struct str b);
bool str_equal_nocase(struct str a, struct str b); /* ASCII only */
bool str_is(struct str a, const char *text);
bool str_starts_with(struct str a, struct str prefix);
struct str str_trim(struct str a); /* spaces and tabs at both ends */
/* Cuts rest at the first separator: false when rest is used up (rest.bytes NULL). */
bool str_split(struct str *rest, char separator, struct str *ret_part);

bool utf8_valid(struct str text);       /* RFC 3629: no surrogates, no overlong forms, ≤ U+10FFFF */
size_t utf8_count(struct str text);     /* code points */

/*
 * The one parser for numbers from outside: an optional '-' where min < 0, then 1 to 19 digits,
 * nothing else. false outside min … max.
 */
bool number_parse(struct str text, int64_t min, int64_t max, int64_t *ret_number);

#endif
