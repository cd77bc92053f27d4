#include "json/json.h"

#include "base/clock.h"
#include "json/json-private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * From tree to struct by table. Recursion follows the tables, and the tree is at most
 * JSON_DEPTH_MAX deep, so it is bounded. Paths grow from the inside out as errors return.
 */
struct reader {
    struct arena *arena;
    struct error *err;
    bool between_services; /* types and largest sizes are checked, rules for people are not */
};

static int object_read(struct reader *r, const struct json_table *table,
                       const struct json_node *node, void *target);

static bool has_range(const struct reader *r, const struct json_member *member)
{
    return member->max > member->min && !r->between_services;
}

/* --- texts ---------------------------------------------------------------------------------- */

static bool is_blank(struct str text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!strchr(" \t\r\n\v\f", text.bytes[i]))
            return false;
    return true;
}

static bool has_controls(struct str text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.bytes[i] < ' ' || text.bytes[i] == 0x7f)
            return true;
    return false;
}

static int text_check_size(struct reader *r, struct str text, int64_t min, int64_t max)
{
    if (!min && !max) {
        if (text.size > JSON_TEXT_DEFAULT_MAX)
            return error_set(r->err, ERR_INVALID, "must have at most %d bytes",
                             JSON_TEXT_DEFAULT_MAX);
        return 0;
    }
    int64_t count = (int64_t)utf8_count(text);
    if (count > max)
        return error_set(r->err, ERR_INVALID, "must have at most %lld characters",
                         (long long)max);
    if (count < min && !r->between_services)
        return error_set(r->err, ERR_INVALID, "must have at least %lld characters",
                         (long long)min);
    return 0;
}

static int text_check(struct reader *r, unsigned flags, struct str text)
{
    if (flags & JSON_NOT_BLANK && is_blank(text) && !r->between_services)
        return error_set(r->err, ERR_INVALID, "must not be blank");
    if (flags & JSON_ONE_LINE && has_controls(text))
        return error_set(r->err, ERR_INVALID, "must be one line without control characters");
    return 0;
}

/* min and max count code points; both 0: the default bound. Texts of the tree have a NUL behind. */
static int text_read(struct reader *r, const struct json_node *node, unsigned flags, int64_t min,
                     int64_t max, char **ret)
{
    if (node->kind != JSON_KIND_TEXT)
        return error_set(r->err, ERR_INVALID, "must be text");
    if (text_check_size(r, node->text, min, max) < 0 || text_check(r, flags, node->text) < 0)
        return -1;
    *ret = arena_strndup(r->arena, node->text.bytes, node->text.size);
    return 0;
}

static int time_read(struct reader *r, const struct json_node *node, int64_t *ret)
{
    if (node->kind != JSON_KIND_TEXT || !time_parse(node->text, ret))
        return error_set(r->err, ERR_INVALID,
                         "must be a time with offset such as 2026-11-25T09:30:00+08:00");
    return 0;
}

/* "a, b, c": what is allowed, for the message. */
static const char *names_join(const char *const *names, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; names[i] && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", names[i]);
    return text;
}

static int enum_read(struct reader *r, const struct json_member *member,
                     const struct json_node *node, int32_t *ret)
{
    char allowed[256];

    for (int32_t i = 0; node->kind == JSON_KIND_TEXT && member->names[i]; i++)
        if (str_is(node->text, member->names[i])) {
            *ret = i;
            return 0;
        }
    return error_set(r->err, ERR_INVALID, "must be one of: %s",
                     names_join(member->names, allowed, sizeof allowed));
}

/* --- numbers -------------------------------------------------------------------------------- */

static int int_read(struct reader *r, const struct json_node *node, int64_t min, int64_t max,
                    int64_t *ret)
{
    int64_t number;

    if (node->kind != JSON_KIND_NUMBER || !json_number_is_integer(node->text))
        return error_set(r->err, ERR_INVALID, "must be a whole number");
    if (!number_parse(node->text, INT64_MIN, INT64_MAX, &number))
        number = INT64_MIN; /* the one int64 that number_parse leaves out */
    if (number < min || number > max)
        return error_set(r->err, ERR_INVALID, "must be between %lld and %lld",
                         (long long)min, (long long)max);
    *ret = number;
    return 0;
}

static int int_member_read(struct reader *r, const struct json_member *member,
                           const struct json_node *node, int64_t min, int64_t max, int64_t *ret)
{
    if (has_range(r, member)) {
        min = member->min > min ? member->min : min;
        max = member->max < max ? member->max : max;
    }
    return int_read(r, node, min, max, ret);
}

static int int32_member_read(struct reader *r, const struct json_member *member,
                             const struct json_node *node, int32_t *ret)
{
    int64_t number;

    if (int_member_read(r, member, node, INT32_MIN, INT32_MAX, &number) < 0)
        return -1;
    *ret = (int32_t)number;
    return 0;
}

static int double_read(struct reader *r, const struct json_member *member,
                       const struct json_node *node, double *ret)
{
    char text[64];

    if (node->kind != JSON_KIND_NUMBER || node->text.size >= sizeof text)
        return error_set(r->err, ERR_INVALID, "must be a number");
    memcpy(text, node->text.bytes, node->text.size);
    text[node->text.size] = '\0';
    double number = strtod(text, NULL);
    if (has_range(r, member) && (number < (double)member->min || number > (double)member->max))
        return error_set(r->err, ERR_INVALID, "must be between %lld and %lld",
                         (long long)member->min, (long long)member->max);
    *ret = number;
    return 0;
}

static int bool_read(struct reader *r, const struct json_node *node, bool *ret)
{
    if (node->kind != JSON_KIND_TRUE && node->kind != JSON_KIND_FALSE)
        return error_set(r->err, ERR_INVALID, "must be true or false");
    *ret = node->kind == JSON_KIND_TRUE;
    return 0;
}

/* --- containers ------------------------------------------------------------------------------ */

static int count_check(struct reader *r, const struct json_member *member, size_t count)
{
    int64_t min = member->min, max = member->max;

    if (!min && !max)
        max = JSON_COUNT_DEFAULT_MAX;
    if ((int64_t)count > max)
        return error_set(r->err, ERR_INVALID, "must have at most %lld entries", (long long)max);
    if ((int64_t)count < min && !r->between_services)
        return error_set(r->err, ERR_INVALID, "must have at least %lld entries", (long long)min);
    return 0;
}

static size_t element_size(const struct json_member *member)
{
    if (member->sub)
        return member->sub->size;
    switch (member->element) {
    case JSON_TEXT: return sizeof(char *);
    case JSON_INT: return sizeof(int64_t);
    case JSON_INT32: return sizeof(int32_t);
    default: abort(); /* the table is wrong */
    }
}

static int element_read(struct reader *r, const struct json_member *member,
                        const struct json_node *node, void *element)
{
    int64_t number;

    if (member->sub)
        return object_read(r, member->sub, node, element);
    if (member->element == JSON_TEXT)
        return text_read(r, node, member->flags, 0, 0, element);
    if (member->element == JSON_INT)
        return int_read(r, node, INT64_MIN, INT64_MAX, element);
    if (int_read(r, node, INT32_MIN, INT32_MAX, &number) < 0)
        return -1;
    *(int32_t *)element = (int32_t)number;
    return 0;
}

static int array_read(struct reader *r, const struct json_member *member,
                      const struct json_node *node, void **ret, size_t *ret_count)
{
    size_t size = element_size(member), i = 0;
    char index[24];

    if (node->kind != JSON_KIND_ARRAY)
        return error_set(r->err, ERR_INVALID, "must be an array");
    if (count_check(r, member, node->count) < 0)
        return -1;
    char *elements = arena_alloc(r->arena, size_multiply(size, node->count));
    for (const struct json_node *n = node->first; n; n = n->next, i++)
        if (element_read(r, member, n, elements + i * size) < 0) {
            snprintf(index, sizeof index, "[%zu]", i);
            return error_prefix_path(r->err, index);
        }
    *ret = elements;
    *ret_count = i;
    return 0;
}

static int fail_at_name(struct reader *r, struct str name)
{
    struct str clipped = json_name_clip(name);
    char path[64];

    snprintf(path, sizeof path, "%.*s", (int)clipped.size, clipped.bytes);
    return error_prefix_path(r->err, path);
}

static int map_read(struct reader *r, const struct json_member *member,
                    const struct json_node *node, struct json_pair **ret, size_t *ret_count)
{
    size_t i = 0;

    if (node->kind != JSON_KIND_OBJECT)
        return error_set(r->err, ERR_INVALID, "must be an object of texts");
    if (count_check(r, member, node->count) < 0)
        return -1;
    struct json_pair *pairs = ARENA_ARRAY(r->arena, struct json_pair, node->count);
    for (const struct json_node *n = node->first; n; n = n->next, i++) {
        if (text_check_size(r, n->name, 1, 256) < 0 || text_check(r, member->flags, n->name) < 0 ||
            text_read(r, n, member->flags & ~(unsigned)JSON_NOT_BLANK, 0, 0, &pairs[i].value) < 0)
            return fail_at_name(r, n->name);
        pairs[i].name = arena_strndup(r->arena, n->name.bytes, n->name.size);
    }
    *ret = pairs;
    *ret_count = i;
    return 0;
}

static int any_read(struct reader *r, const struct json_member *member,
                    const struct json_node *node, char **ret)
{
    size_t max = member->max > 0 ? (size_t)member->max : JSON_TEXT_DEFAULT_MAX;
    char *text = json_compact_text(node, r->arena);

    if (strlen(text) > max)
        return error_set(r->err, ERR_INVALID, "must have at most %zu bytes of JSON", max);
    *ret = text;
    return 0;
}

static int pointer_read(struct reader *r, const struct json_member *member,
                        const struct json_node *node, void **ret)
{
    void *target = arena_alloc(r->arena, member->sub->size);

    if (object_read(r, member->sub, node, target) < 0)
        return -1;
    *ret = target;
    return 0;
}

/* --- members -------------------------------------------------------------------------------- */

static int value_read(struct reader *r, const struct json_member *member,
                      const struct json_node *node, char *target)
{
    void *place = target + member->offset;
    size_t *count = (size_t *)(void *)(target + member->count_offset);

    switch (member->type) {
    case JSON_TEXT: return text_read(r, node, member->flags, member->min, member->max, place);
    case JSON_INT: return int_member_read(r, member, node, INT64_MIN, INT64_MAX, place);
    case JSON_INT32: return int32_member_read(r, member, node, place);
    case JSON_DOUBLE: return double_read(r, member, node, place);
    case JSON_BOOL: return bool_read(r, node, place);
    case JSON_TIME: return time_read(r, node, place);
    case JSON_ENUM: return enum_read(r, member, node, place);
    case JSON_OBJECT: return pointer_read(r, member, node, place);
    case JSON_STRUCT: return object_read(r, member->sub, node, place);
    case JSON_ARRAY: return array_read(r, member, node, place, count);
    case JSON_MAP: return map_read(r, member, node, place, count);
    case JSON_ANY: return any_read(r, member, node, place);
    }
    abort(); /* the table is wrong */
}

static int member_read(struct reader *r, const struct json_member *member,
                       const struct json_node *node, char *target)
{
    if (!r->between_services && member->flags & JSON_OUT_ONLY)
        return error_set(r->err, ERR_INVALID, "is set by Belfry and cannot be given");
    if (node->kind == JSON_KIND_NULL && member->type != JSON_ANY) {
        if (r->between_services || member->flags & JSON_NULL_OK)
            return 0;
        return error_set(r->err, ERR_INVALID, "must not be null");
    }
    if (value_read(r, member, node, target) < 0)
        return -1;
    if (member->flags & JSON_HAS)
        *(bool *)(target + member->has_offset) = true;
    return 0;
}

/* Members mostly come in the order of the table: the search begins behind the last one found. */
static int index_find(const struct json_table *table, struct str name, int last)
{
    for (int i = last + 1; table->members[i].name; i++)
        if (str_is(name, table->members[i].name))
            return i;
    for (int i = 0; i <= last; i++)
        if (str_is(name, table->members[i].name))
            return i;
    return -1;
}

/* A member of the wrong kind is found before one that is absent: it is the likelier cause. */
static int required_check(struct reader *r, const struct json_table *table, uint64_t seen)
{
    for (int i = 0; table->members[i].name; i++) {
        const struct json_member *member = &table->members[i];
        if (!(member->flags & JSON_REQUIRED) || seen >> i & 1 || member->flags & JSON_OUT_ONLY)
            continue;
        return error_set_at(r->err, ERR_INVALID, member->name, "is required");
    }
    return 0;
}

static int object_read(struct reader *r, const struct json_table *table,
                       const struct json_node *node, void *target)
{
    uint64_t seen = 0;
    int last = -1;

    if (node->kind != JSON_KIND_OBJECT)
        return error_set(r->err, ERR_INVALID, "must be an object");
    for (const struct json_node *n = node->first; n; n = n->next) {
        int i = index_find(table, n->name, last);
        if (i < 0 && r->between_services)
            continue; /* a newer peer says more than this version knows */
        if (i < 0)
            error_set(r->err, ERR_INVALID, "no such member");
        if (i < 0 || member_read(r, &table->members[i], n, target) < 0)
            return fail_at_name(r, n->name);
        assert(i < 64);
        if (n->kind != JSON_KIND_NULL || table->members[i].type == JSON_ANY)
            seen |= UINT64_C(1) << i;
        last = i;
    }
    return required_check(r, table, seen);
}

static int table_read(struct str text, size_t size_max, const struct json_table *table,
                      struct reader *reader, void *target)
{
    struct json_node *root = NULL;

    if (json_parse(text, size_max, reader->arena, &root, reader->err) < 0)
        return -1;
    return object_read(reader, table, root, target);
}

int json_read(struct str text, size_t size_max, const struct json_table *table,
              struct arena *arena, void *target, struct error *err)
{
    struct reader reader = { .arena = arena, .err = err };

    return table_read(text, size_max, table, &reader, target);
}

int json_read_all(struct str text, size_t size_max, const struct json_table *table,
                  struct arena *arena, void *target, struct error *err)
{
    struct reader reader = { .arena = arena, .err = err, .between_services = true };

    return table_read(text, size_max, table, &reader, target);
}
