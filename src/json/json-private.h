#ifndef BELFRY_JSON_JSON_PRIVATE_H
#define BELFRY_JSON_JSON_PRIVATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "json/json-tree.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    JSON_DEPTH_MAX = 32,
    JSON_TEXT_DEFAULT_MAX = 64 * 1024, /* bytes */
    JSON_COUNT_DEFAULT_MAX = 1000,
};

/* true where a number has neither fraction nor exponent. */
bool json_number_is_integer(struct str number);
/* The start of a name from outside, short enough for a path and whole code points. */
struct str json_name_clip(struct str name);
/* Writes text with quotes and escapes. */
void json_quote(struct buf *out, struct str text);

#endif
