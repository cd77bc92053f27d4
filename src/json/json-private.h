#ifndef BELFRY_JSON_JSON_PRIVATE_H
#define BELFRY_JSON_JSON_PRIVATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    JSON_DEPTH_MAX = 32,
    JSON_TEXT_DEFAULT_MAX = 64 * 1024, /* bytes */
    JSON_COUNT_DEFAULT_MAX = 1000,
};

/* A parsed document as a tree in an arena. Names and texts are decoded and NUL-terminated. */
enum json_kind { KIND_NULL, KIND_FALSE, KIND_TRUE, KIND_NUMBER, KIND_TEXT, KIND_ARRAY, KIND_OBJECT };

struct json_node {
    enum json_kind kind;
    uint32_t count;            /* ARRAY, OBJECT */
    struct json_node *next;    /* sibling */
    struct str name;           /* of a member of an object */
    union {
        struct str text;       /* TEXT: decoded; NUMBER: as written */
        struct {
            struct json_node *first, *last;
        };                     /* ARRAY, OBJECT */
    };
};

/*
 * RFC 8259 and stricter: UTF-8, no duplicate names, no U+0000, no lone surrogates, integers within
 * int64, numbers within double, at most JSON_DEPTH_MAX levels. Numbers in the tree are slices of text.
 * Errors: ERR_TOO_LARGE; ERR_INVALID with position, for a duplicate also its path.
 */
int json_parse(struct str text, size_t size_max, struct arena *arena, struct json_node **ret_root,
               struct error *err);

/* true where a number has neither fraction nor exponent. */
bool json_number_is_integer(struct str number);
/* The value without white space, numbers as they were written. */
void json_compact(struct buf *out, const struct json_node *node);
char *json_compact_text(const struct json_node *node, struct arena *arena);
/* The start of a name from outside, short enough for a path and whole code points. */
struct str json_name_clip(struct str name);
/* Writes text with quotes and escapes. */
void json_quote(struct buf *out, struct str text);

#endif
