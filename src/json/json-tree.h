#ifndef BELFRY_JSON_JSON_TREE_H
#define BELFRY_JSON_JSON_TREE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

/*
 * JSON as a tree, for what has no table of members: the library itself, and the command line's
 * answers, which newer servers may have added to.
 */

/* A parsed document as a tree in an arena. Names and texts are decoded and NUL-terminated. */
enum json_kind {
    JSON_KIND_NULL, JSON_KIND_FALSE, JSON_KIND_TRUE, JSON_KIND_NUMBER, JSON_KIND_TEXT,
    JSON_KIND_ARRAY, JSON_KIND_OBJECT,
};

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
/* The value without white space, numbers as they were written. */
void json_compact(struct buf *out, const struct json_node *node);
char *json_compact_text(const struct json_node *node, struct arena *arena);
/* Member of an object; NULL where node is NULL, no object, or has none of that name. */
const struct json_node *json_member_find(const struct json_node *node, const char *name);
/* Its text; "" where it is absent, null, or an array or object; numbers and booleans as written. */
const char *json_member_text(const struct json_node *node, const char *name, struct arena *arena);

#endif
