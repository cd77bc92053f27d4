#include "json/json.h"

#include "json/json-private.h"

#include <stdlib.h>

struct str json_name_clip(struct str name)
{
    enum { CLIP = 48 };

    if (name.size <= CLIP)
        return name;
    size_t size = CLIP;
    while (size && ((unsigned char)name.bytes[size] & 0xC0) == 0x80)
        size--;
    return (struct str){ name.bytes, size };
}

/* --- compact form --------------------------------------------------------------------------- */

static void children_compact(struct buf *out, const struct json_node *node)
{
    for (const struct json_node *n = node->first; n; n = n->next) {
        if (n != node->first)
            buf_add_char(out, ',');
        if (node->kind == JSON_KIND_OBJECT) {
            json_quote(out, n->name);
            buf_add_char(out, ':');
        }
        json_compact(out, n);
    }
}

/* Recursion is bounded: a tree is at most JSON_DEPTH_MAX deep. */
void json_compact(struct buf *out, const struct json_node *node)
{
    switch (node->kind) {
    case JSON_KIND_NULL: buf_add_text(out, "null"); break;
    case JSON_KIND_FALSE: buf_add_text(out, "false"); break;
    case JSON_KIND_TRUE: buf_add_text(out, "true"); break;
    case JSON_KIND_NUMBER: buf_add(out, node->text.bytes, node->text.size); break;
    case JSON_KIND_TEXT: json_quote(out, node->text); break;
    case JSON_KIND_ARRAY:
        buf_add_char(out, '[');
        children_compact(out, node);
        buf_add_char(out, ']');
        break;
    case JSON_KIND_OBJECT:
        buf_add_char(out, '{');
        children_compact(out, node);
        buf_add_char(out, '}');
        break;
    }
}

char *json_compact_text(const struct json_node *node, struct arena *arena)
{
    struct buf out;

    buf_init(&out, SIZE_MAX / 4); /* the source was bounded, and escapes add at most six times */
    json_compact(&out, node);
    char *text = arena_strndup(arena, buf_text(&out), out.size);
    buf_done(&out);
    return text;
}

/* --- members -------------------------------------------------------------------------------- */

const struct json_node *json_member_find(const struct json_node *node, const char *name)
{
    if (!node || node->kind != JSON_KIND_OBJECT)
        return NULL;
    for (const struct json_node *n = node->first; n; n = n->next) {
        if (str_is(n->name, name))
            return n;
    }
    return NULL;
}

const char *json_member_text(const struct json_node *node, const char *name, struct arena *arena)
{
    const struct json_node *member = json_member_find(node, name);

    if (!member)
        return "";
    switch (member->kind) {
    case JSON_KIND_TEXT:
    case JSON_KIND_NUMBER: return arena_strndup(arena, member->text.bytes, member->text.size);
    case JSON_KIND_TRUE: return "true";
    case JSON_KIND_FALSE: return "false";
    default: return "";
    }
}

int json_check(struct str text, size_t size_max, bool object_only, struct arena *arena,
               char **ret_compact, struct error *err)
{
    struct json_node *root = NULL;

    if (json_parse(text, size_max, arena, &root, err) < 0)
        return -1;
    if (object_only && root->kind != JSON_KIND_OBJECT)
        return error_set(err, ERR_INVALID, "must be an object");
    if (ret_compact)
        *ret_compact = json_compact_text(root, arena);
    return 0;
}

/* --- RFC 6901 ------------------------------------------------------------------------------- */

bool json_pointer_valid(const char *pointer)
{
    if (*pointer && *pointer != '/')
        return false;
    for (const char *p = pointer; *p; p++)
        if (*p == '~' && p[1] != '0' && p[1] != '1')
            return false;
    return utf8_valid(str_of(pointer));
}

static struct str token_decode(struct str token, struct arena *arena)
{
    char *out = arena_alloc(arena, token.size + 1);
    size_t used = 0;

    for (size_t i = 0; i < token.size; i++) {
        if (token.bytes[i] == '~')
            out[used++] = token.bytes[++i] == '1' ? '/' : '~';
        else
            out[used++] = token.bytes[i];
    }
    return (struct str){ out, used };
}

static const struct json_node *element_find(const struct json_node *array, struct str token)
{
    const struct json_node *node = array->first;
    int64_t index;

    if (!number_parse(token, 0, INT32_MAX, &index) || (token.size > 1 && token.bytes[0] == '0'))
        return NULL;
    while (node && index--)
        node = node->next;
    return node;
}

static const struct json_node *child_find(const struct json_node *node, struct str token)
{
    if (node->kind == JSON_KIND_ARRAY)
        return element_find(node, token);
    if (node->kind != JSON_KIND_OBJECT)
        return NULL;
    for (const struct json_node *n = node->first; n; n = n->next)
        if (str_equal(n->name, token))
            return n;
    return NULL;
}

int json_pointer(struct str text, const char *pointer, bool as_text, struct arena *arena,
                 char **ret_value, struct error *err)
{
    struct json_node *root = NULL;
    struct str rest = str_of(pointer), token;

    if (!json_pointer_valid(pointer))
        return error_set(err, ERR_INVALID, "\"%s\" is not a JSON pointer (RFC 6901)", pointer);
    if (json_parse(text, SIZE_MAX, arena, &root, err) < 0)
        return -1;
    const struct json_node *node = root;
    str_split(&rest, '/', &token); /* what stands before the first '/': nothing */
    while (node && str_split(&rest, '/', &token))
        node = child_find(node, token_decode(token, arena));
    if (!node)
        return 0;
    if (as_text && node->kind == JSON_KIND_TEXT)
        *ret_value = arena_strndup(arena, node->text.bytes, node->text.size);
    else
        *ret_value = json_compact_text(node, arena);
    return 1;
}

int json_pairs(struct str text, struct arena *arena, struct json_pair **ret_pairs,
               size_t *ret_count, struct error *err)
{
    struct json_node *root = NULL;
    size_t i = 0;

    if (json_parse(text, SIZE_MAX, arena, &root, err) < 0)
        return -1;
    if (root->kind != JSON_KIND_OBJECT)
        return error_set(err, ERR_INVALID, "must be an object");
    struct json_pair *pairs = ARENA_ARRAY(arena, struct json_pair, root->count);
    for (const struct json_node *n = root->first; n; n = n->next, i++) {
        struct str name = json_name_clip(n->name);
        if (n->kind == JSON_KIND_ARRAY || n->kind == JSON_KIND_OBJECT)
            return error_set_at(err, ERR_INVALID, arena_strndup(arena, name.bytes, name.size),
                                "must be text, a number, true, false or null");
        pairs[i].name = arena_strndup(arena, n->name.bytes, n->name.size);
        pairs[i].value = n->kind == JSON_KIND_TEXT ? arena_strndup(arena, n->text.bytes, n->text.size)
                                              : json_compact_text(n, arena);
    }
    *ret_pairs = pairs;
    *ret_count = i;
    return 0;
}
