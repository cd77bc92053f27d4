#include "json/json-private.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * One pass, no recursion. The containers that are open stand in stack:
 *
 *      value ──► scalar ──────────────┐        ┌── ',' ──► next value
 *            └─► '[' '{' ─► push      ▼        │
 *                          closed: attach ─────┼── ']' '}' ──► pop, itself closed
 *                                              └── depth 0: end of text
 */
struct parser {
    struct str text;
    size_t at;
    struct arena *arena;
    struct error *err;
    struct json_node *stack[JSON_DEPTH_MAX];
    unsigned depth;
};

/* Fills in the position, in code points; returns -1. */
static int fail(struct parser *p)
{
    size_t points = utf8_count((struct str){ p->text.bytes, p->at });

    return error_set_position(p->err, 0, (int)points + 1);
}

static int fail_unexpected(struct parser *p)
{
    if (p->at >= p->text.size)
        error_set(p->err, ERR_INVALID, "JSON ends too early");
    else
        error_set(p->err, ERR_INVALID, "unexpected character in JSON");
    return fail(p);
}

static int peek(const struct parser *p)
{
    return p->at < p->text.size ? (unsigned char)p->text.bytes[p->at] : -1;
}

static void skip_space(struct parser *p)
{
    for (int c = peek(p); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = peek(p))
        p->at++;
}

/* --- texts ---------------------------------------------------------------------------------- */

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at bytes[0..3] of left; -1 where there are none. */
static int hex4(const char *bytes, size_t left)
{
    int value = 0;

    if (left < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit((unsigned char)bytes[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static size_t utf8_put(char *out, uint32_t point)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xC0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xE0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (point & 0x3F));
    return 4;
}

/* \uXXXX, or a pair of surrogates, at bytes (behind "\u"). Returns the size read, 0 if bad. */
static size_t unicode_escape(const char *bytes, size_t left, uint32_t *ret_point)
{
    int high = hex4(bytes, left);

    if (high <= 0 || (high >= 0xDC00 && high < 0xE000))
        return 0; /* U+0000 would cut a C string */
    *ret_point = (uint32_t)high;
    if (high < 0xD800 || high > 0xDBFF)
        return 4;
    if (left < 10 || bytes[4] != '\\' || bytes[5] != 'u')
        return 0;
    int low = hex4(bytes + 6, 4);
    if (low < 0xDC00 || low > 0xDFFF)
        return 0;
    *ret_point = 0x10000 + (((uint32_t)high & 0x3FF) << 10) + ((uint32_t)low & 0x3FF);
    return 10;
}

/* The escape at bytes (behind the backslash) into out. Returns the size read, 0 if bad. */
static size_t escape_decode(const char *bytes, size_t left, char *out, size_t *used)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t point;

    if (bytes[0] == 'u') {
        size_t size = unicode_escape(bytes + 1, left - 1, &point);
        if (size)
            *used += utf8_put(out + *used, point);
        return size ? size + 1 : 0;
    }
    const char *found = bytes[0] ? strchr(from, bytes[0]) : NULL;
    if (!found)
        return 0;
    out[(*used)++] = to[found - from];
    return 1;
}

static int text_decode(struct parser *p, struct str raw, size_t begin, struct str *ret)
{
    char *out = arena_alloc(p->arena, raw.size + 1); /* decoded text is never longer */
    size_t used = 0;

    for (size_t i = 0; i < raw.size;) {
        if (raw.bytes[i] != '\\') {
            out[used++] = raw.bytes[i++];
            continue;
        }
        size_t size = escape_decode(raw.bytes + i + 1, raw.size - i - 1, out, &used);
        if (!size) {
            p->at = begin + i;
            error_set(p->err, ERR_INVALID, "bad escape in a JSON text");
            return fail(p);
        }
        i += size + 1;
    }
    *ret = (struct str){ out, used };
    return 0;
}

static int text_parse(struct parser *p, struct str *ret)
{
    bool escapes = false;

    if (peek(p) != '"')
        return fail_unexpected(p);
    size_t begin = ++p->at;
    for (int c; (c = peek(p)) != '"'; p->at++) {
        if (c < 0)
            return fail_unexpected(p);
        if (c < ' ') {
            error_set(p->err, ERR_INVALID, "control character in a JSON text");
            return fail(p);
        }
        if (c == '\\') {
            escapes = true;
            if (++p->at == p->text.size)
                return fail_unexpected(p);
        }
    }
    struct str raw = { p->text.bytes + begin, p->at - begin };
    if (escapes && text_decode(p, raw, begin, ret) < 0)
        return -1;
    if (!escapes)
        *ret = (struct str){ arena_strndup(p->arena, raw.bytes, raw.size), raw.size };
    p->at = begin + raw.size + 1;
    return 0;
}

/* --- numbers and words ----------------------------------------------------------------------- */

bool json_number_is_integer(struct str number)
{
    for (size_t i = 0; i < number.size; i++)
        if (number.bytes[i] == '.' || (number.bytes[i] | 0x20) == 'e')
            return false;
    return true;
}

static size_t skip_digits(struct parser *p)
{
    size_t begin = p->at;

    while (peek(p) >= '0' && peek(p) <= '9')
        p->at++;
    return p->at - begin;
}

static int number_shape(struct parser *p)
{
    if (peek(p) == '-')
        p->at++;
    if (peek(p) == '0')
        p->at++;
    else if (!skip_digits(p))
        return fail_unexpected(p);
    if (peek(p) == '.') {
        p->at++;
        if (!skip_digits(p))
            return fail_unexpected(p);
    }
    if ((peek(p) | 0x20) == 'e' && peek(p) > 0) {
        p->at++;
        if (peek(p) == '+' || peek(p) == '-')
            p->at++;
        if (!skip_digits(p))
            return fail_unexpected(p);
    }
    return 0;
}

/* Neither wraps nor becomes infinite in whoever reads it later. */
static bool number_fits(struct str number)
{
    char text[64];
    int64_t integer;

    if (json_number_is_integer(number))
        return number_parse(number, INT64_MIN, INT64_MAX, &integer) ||
               str_is(number, "-9223372036854775808");
    if (number.size >= sizeof text)
        return false;
    memcpy(text, number.bytes, number.size);
    text[number.size] = '\0';
    return isfinite(strtod(text, NULL)) != 0;
}

static int number_parse_node(struct parser *p, struct json_node *node)
{
    size_t begin = p->at;

    if (number_shape(p) < 0)
        return -1;
    node->kind = JSON_KIND_NUMBER;
    node->text = (struct str){ p->text.bytes + begin, p->at - begin };
    if (number_fits(node->text))
        return 0;
    p->at = begin;
    error_set(p->err, ERR_INVALID, "number is out of range");
    return fail(p);
}

static int word_parse(struct parser *p, struct json_node *node)
{
    static const struct {
        const char *word;
        enum json_kind kind;
    } words[] = { { "null", JSON_KIND_NULL }, { "true", JSON_KIND_TRUE }, { "false", JSON_KIND_FALSE } };
    struct str rest = { p->text.bytes + p->at, p->text.size - p->at };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (str_starts_with(rest, str_of(words[i].word))) {
            node->kind = words[i].kind;
            p->at += strlen(words[i].word);
            return 0;
        }
    return fail_unexpected(p);
}

/* --- containers ------------------------------------------------------------------------------ */

/* Path of the member name of the innermost object: "tasks[2].url". */
static void path_print(const struct parser *p, struct str name, char *path, size_t size)
{
    size_t used = 0;

    path[0] = '\0';
    for (unsigned i = 1; i <= p->depth && used < size; i++) {
        const struct json_node *parent = p->stack[i - 1];
        struct str part = i < p->depth ? p->stack[i]->name : name;
        if (parent->kind == JSON_KIND_ARRAY)
            used += (size_t)snprintf(path + used, size - used, "[%u]", parent->count - 1);
        else
            used += (size_t)snprintf(path + used, size - used, "%s%.*s", used ? "." : "",
                                     (int)json_name_clip(part).size, part.bytes);
    }
}

static int fail_duplicate(struct parser *p, struct str name)
{
    char path[128];

    path_print(p, name, path, sizeof path);
    error_set_at(p->err, ERR_INVALID, path, "member is given twice");
    return fail(p);
}

static int name_compare(const void *left, const void *right)
{
    const struct str *a = &(*(const struct json_node *const *)left)->name;
    const struct str *b = &(*(const struct json_node *const *)right)->name;
    int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);

    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* Sorting, not hashing: nobody can choose names that make it slow. */
static int names_check_sorted(struct parser *p, const struct json_node *object)
{
    const struct json_node **nodes =
        ARENA_ARRAY(p->arena, const struct json_node *, object->count);
    size_t count = 0;

    for (const struct json_node *node = object->first; node; node = node->next)
        nodes[count++] = node;
    qsort(nodes, count, sizeof *nodes, name_compare);
    for (size_t i = 1; i < count; i++)
        if (str_equal(nodes[i - 1]->name, nodes[i]->name))
            return fail_duplicate(p, nodes[i]->name);
    return 0;
}

static int names_check(struct parser *p, const struct json_node *object)
{
    if (object->count > 16)
        return names_check_sorted(p, object);
    for (const struct json_node *a = object->first; a; a = a->next)
        for (const struct json_node *b = a->next; b; b = b->next)
            if (str_equal(a->name, b->name))
                return fail_duplicate(p, b->name);
    return 0;
}

static void attach(struct parser *p, struct json_node *node)
{
    struct json_node *parent = p->depth ? p->stack[p->depth - 1] : NULL;

    if (!parent)
        return;
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
}

static int container_open(struct parser *p, struct json_node *node)
{
    node->kind = peek(p) == '{' ? JSON_KIND_OBJECT : JSON_KIND_ARRAY;
    if (p->depth == JSON_DEPTH_MAX) {
        error_set(p->err, ERR_INVALID, "JSON is nested deeper than %d levels", JSON_DEPTH_MAX);
        return fail(p);
    }
    p->at++;
    p->stack[p->depth++] = node;
    skip_space(p);
    return 0;
}

/* Name and colon where the innermost container is an object, then the value or its beginning. */
static int value_parse(struct parser *p, struct json_node *node)
{
    if (p->depth && p->stack[p->depth - 1]->kind == JSON_KIND_OBJECT) {
        if (text_parse(p, &node->name) < 0)
            return -1;
        skip_space(p);
        if (peek(p) != ':')
            return fail_unexpected(p);
        p->at++;
        skip_space(p);
    }
    attach(p, node);
    switch (peek(p)) {
    case '{':
    case '[':
        return container_open(p, node);
    case '"':
        node->kind = JSON_KIND_TEXT;
        return text_parse(p, &node->text);
    case 't':
    case 'f':
    case 'n':
        return word_parse(p, node);
    default:
        return number_parse_node(p, node);
    }
}

/*
 * Behind a value (fresh false) or an opening bracket (fresh true): closes what closes here.
 * 1: another value follows; 0: the document is complete.
 */
static int close_parse(struct parser *p, bool fresh)
{
    for (; p->depth; fresh = false) {
        struct json_node *top = p->stack[p->depth - 1];
        skip_space(p);
        if (peek(p) == (top->kind == JSON_KIND_OBJECT ? '}' : ']')) {
            if (top->kind == JSON_KIND_OBJECT && names_check(p, top) < 0)
                return -1;
            p->at++;
            p->depth--;
            continue;
        }
        if (fresh)
            return 1;
        if (peek(p) != ',')
            return fail_unexpected(p);
        p->at++;
        skip_space(p);
        return 1;
    }
    return 0;
}

int json_parse(struct str text, size_t size_max, struct arena *arena, struct json_node **ret_root,
               struct error *err)
{
    struct parser p = { .text = text, .arena = arena, .err = err };
    struct json_node *root = NULL;
    int more;

    if (text.size > size_max)
        return error_set(err, ERR_TOO_LARGE, "larger than %zu bytes", size_max);
    if (!utf8_valid(text))
        return error_set(err, ERR_INVALID, "JSON is not valid UTF-8");
    skip_space(&p);
    do {
        struct json_node *node = ARENA_NEW(arena, struct json_node);
        unsigned depth = p.depth;
        if (value_parse(&p, node) < 0)
            return -1;
        root = root ? root : node;
        more = close_parse(&p, p.depth > depth);
    } while (more > 0);
    if (more < 0)
        return -1;
    skip_space(&p);
    if (p.at < text.size)
        return fail_unexpected(&p);
    *ret_root = root;
    return 0;
}
