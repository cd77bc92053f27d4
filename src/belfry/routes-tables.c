#include "belfry/routes-tables.h"

#include "job-execute/task.h"

#include <assert.h>
#include <string.h>

enum { TABLES_MAX = 256 };

struct tables {
    const struct json_table *found[TABLES_MAX];
    size_t count;
};

/* --- which there are ------------------------------------------------------------------------ */

static void table_find(struct tables *tables, const struct json_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < tables->count; i++) {
        if (tables->found[i] == table)
            return;
        assert(strcmp(tables->found[i]->name, table->name) != 0); /* two would have one name */
    }
    assert(tables->count < TABLES_MAX);
    tables->found[tables->count++] = table;
    for (const struct json_member *member = table->members; member->name; member++)
        table_find(tables, member->sub);
}

static void tables_find(struct tables *tables, const struct service *const *services, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (const struct route *route = services[i]->routes; route && route->pattern; route++) {
            table_find(tables, route->body);
            table_find(tables, route->answer);
        }
    }
    static const char *const types[] = { "http", "script" };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        table_find(tables, task_type_find(types[i])->settings);
}

/* --- what they hold ------------------------------------------------------------------------- */

static const char *const type_names[] = {
    [JSON_TEXT] = "text",     [JSON_INT] = "int",       [JSON_INT32] = "int32",
    [JSON_DOUBLE] = "double", [JSON_BOOL] = "bool",     [JSON_TIME] = "time",
    [JSON_ENUM] = "enum",     [JSON_OBJECT] = "object", [JSON_STRUCT] = "struct",
    [JSON_ARRAY] = "array",   [JSON_MAP] = "map",       [JSON_ANY] = "any",
};

static const struct {
    unsigned flag;
    const char *name;
} flag_names[] = {
    { JSON_REQUIRED, "required" },     { JSON_NULL_OK, "null_ok" },
    { JSON_OUT_ONLY, "out_only" },     { JSON_IN_ONLY, "in_only" },
    { JSON_OMIT_EMPTY, "omit_empty" }, { JSON_NOT_BLANK, "not_blank" },
    { JSON_ONE_LINE, "one_line" },
};

static void texts_write(struct json_writer *w, const char *name, const char *const *texts)
{
    json_name(w, name);
    json_array(w);
    for (; texts && *texts; texts++)
        json_text(w, *texts);
    json_array_end(w);
}

static void member_write(struct json_writer *w, const struct json_member *member)
{
    json_object(w);
    json_name(w, "name");
    json_text(w, member->name);
    json_name(w, "type");
    json_text(w, type_names[member->type]);
    for (size_t i = 0; i < sizeof flag_names / sizeof *flag_names; i++) {
        if (member->flags & flag_names[i].flag) {
            json_name(w, flag_names[i].name);
            json_bool(w, true);
        }
    }
    json_name(w, "min");
    json_int(w, member->min);
    json_name(w, "max");
    json_int(w, member->max);
    texts_write(w, "names", member->names);
    json_name(w, "sub");
    json_text(w, member->sub ? member->sub->name : NULL);
    json_name(w, "element");
    json_text(w, type_names[member->element]);
    json_name(w, "about");
    json_text(w, member->about);
    json_object_end(w);
}

void routes_tables_write(struct json_writer *w, const struct service *const *services, size_t count)
{
    struct tables tables = { 0 };

    tables_find(&tables, services, count);
    json_object(w);
    for (size_t i = 0; i < tables.count; i++) {
        json_name(w, tables.found[i]->name);
        json_array(w);
        for (const struct json_member *m = tables.found[i]->members; m->name; m++)
            member_write(w, m);
        json_array_end(w);
    }
    json_object_end(w);
}
