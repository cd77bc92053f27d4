#include "json/json.h"

#include <assert.h>
#include <stdlib.h>

static void object_write(struct json_writer *w, const struct json_table *table, const void *source,
                         bool between_services);

static void enum_write(struct json_writer *w, const struct json_member *member, int32_t value)
{
    for (int32_t i = 0; member->names[i]; i++)
        if (i == value) {
            json_text(w, member->names[i]);
            return;
        }
    json_null(w);
}

static size_t element_write(struct json_writer *w, const struct json_member *member,
                            const void *element, bool between_services)
{
    if (member->sub) {
        object_write(w, member->sub, element, between_services);
        return member->sub->size;
    }
    switch (member->element) {
    case JSON_TEXT:
        json_text(w, *(char *const *)element);
        return sizeof(char *);
    case JSON_INT:
        json_int(w, *(const int64_t *)element);
        return sizeof(int64_t);
    case JSON_INT32:
        json_int(w, *(const int32_t *)element);
        return sizeof(int32_t);
    default: abort(); /* the table is wrong */
    }
}

static void array_write(struct json_writer *w, const struct json_member *member,
                        const char *elements, size_t count, bool between_services)
{
    json_array(w);
    for (size_t i = 0; i < count; i++)
        elements += element_write(w, member, elements, between_services);
    json_array_end(w);
}

static void map_write(struct json_writer *w, const struct json_pair *pairs, size_t count)
{
    json_object(w);
    for (size_t i = 0; i < count; i++) {
        json_name(w, pairs[i].name);
        json_text(w, pairs[i].value);
    }
    json_object_end(w);
}

static size_t count_of(const struct json_member *member, const char *source)
{
    return *(const size_t *)(const void *)(source + member->count_offset);
}

static void value_write(struct json_writer *w, const struct json_member *member,
                        const char *source, bool between_services)
{
    const void *place = source + member->offset;

    switch (member->type) {
    case JSON_TEXT: json_text(w, *(char *const *)place); break;
    case JSON_INT: json_int(w, *(const int64_t *)place); break;
    case JSON_INT32: json_int(w, *(const int32_t *)place); break;
    case JSON_DOUBLE: json_double(w, *(const double *)place); break;
    case JSON_BOOL: json_bool(w, *(const bool *)place); break;
    case JSON_TIME: json_time(w, *(const int64_t *)place); break;
    case JSON_ENUM: enum_write(w, member, *(const int32_t *)place); break;
    case JSON_OBJECT:
        if (*(void *const *)place)
            object_write(w, member->sub, *(void *const *)place, between_services);
        else
            json_null(w);
        break;
    case JSON_STRUCT: object_write(w, member->sub, place, between_services); break;
    case JSON_ARRAY:
        array_write(w, member, *(char *const *)place, count_of(member, source), between_services);
        break;
    case JSON_MAP:
        map_write(w, *(struct json_pair *const *)place, count_of(member, source));
        break;
    case JSON_ANY: json_raw(w, *(char *const *)place); break;
    }
}

static bool is_empty(const struct json_member *member, const char *source)
{
    const void *place = source + member->offset;

    switch (member->type) {
    case JSON_TEXT:
    case JSON_ANY: return !*(char *const *)place || !**(char *const *)place;
    case JSON_INT:
    case JSON_TIME: return *(const int64_t *)place == 0;
    case JSON_INT32:
    case JSON_ENUM: return *(const int32_t *)place == 0;
    case JSON_DOUBLE: return !(*(const double *)place < 0) && !(*(const double *)place > 0);
    case JSON_BOOL: return !*(const bool *)place;
    case JSON_OBJECT: return !*(void *const *)place;
    case JSON_STRUCT: return false;
    case JSON_ARRAY:
    case JSON_MAP: return count_of(member, source) == 0;
    }
    abort(); /* the table is wrong */
}

static bool is_left_out(const struct json_member *member, const char *source,
                        bool between_services)
{
    if (!between_services && member->flags & JSON_IN_ONLY)
        return true;
    if (between_services && member->flags & JSON_HAS)
        return !*(const bool *)(source + member->has_offset);
    return member->flags & JSON_OMIT_EMPTY && is_empty(member, source);
}

static void object_write(struct json_writer *w, const struct json_table *table, const void *source,
                         bool between_services)
{
    json_object(w);
    for (const struct json_member *member = table->members; member->name; member++) {
        if (is_left_out(member, source, between_services))
            continue;
        json_name(w, member->name);
        value_write(w, member, source, between_services);
    }
    json_object_end(w);
}

void json_write(struct json_writer *w, const struct json_table *table, const void *source)
{
    object_write(w, table, source, false);
}

void json_write_all(struct json_writer *w, const struct json_table *table, const void *source)
{
    object_write(w, table, source, true);
}
