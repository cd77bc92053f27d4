#include "belfry/services.h"

#include "belfry/routes-tables.h"

#include <stdio.h>
#include <string.h>

int cmd_routes(int argc, char **argv);

/* Hidden: what tests and the API description are held against. */
static const char help[] = "usage: belfry routes [--json | --tables]\n"
                           "\n"
                           "Prints every route of every service with the right it asks for, or the\n"
                           "tables of members that their bodies and answers are made of.\n";

static const char *permission_name(enum permission permission)
{
    switch (permission) {
    case PERM_NONE: break;
    case PERM_PUBLIC: return "public";
    case PERM_SIGNED_IN: return "signed-in";
    case PERM_VIEW: return "view";
    case PERM_OPERATE: return "operate";
    case PERM_DEVELOP: return "develop";
    case PERM_ADMINISTER: return "administer";
    }
    return "none";
}

static void query_write(struct json_writer *w, const struct route *route)
{
    json_name(w, "query");
    json_array(w);
    for (size_t i = 0; route->query && route->query[i]; i++)
        json_text(w, route->query[i]);
    json_array_end(w);
}

static void text_write(struct json_writer *w, const char *name, const char *text)
{
    json_name(w, name);
    json_text(w, text);
}

static void flag_write(struct json_writer *w, const char *name, bool flag)
{
    json_name(w, name);
    json_bool(w, flag);
}

static void route_write(struct json_writer *w, const struct service *service,
                        const struct route *route)
{
    json_object(w);
    text_write(w, "service", service->name);
    text_write(w, "method", http_method_name(route->method));
    text_write(w, "path", route->pattern);
    text_write(w, "permission", permission_name(route->permission));
    text_write(w, "why_public", route->why_public);
    text_write(w, "body", route->body ? route->body->name : NULL);
    text_write(w, "answer", route->answer ? route->answer->name : NULL);
    query_write(w, route);
    flag_write(w, "before_setup", route->before_setup);
    flag_write(w, "stream", route->stream);
    json_object_end(w);
}

static void json_print(const struct service *const *services, size_t count)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, 1024 * 1024);
    json_begin(&w, &out);
    json_array(&w);
    for (size_t i = 0; i < count; i++)
        for (const struct route *route = services[i]->routes; route && route->pattern; route++)
            route_write(&w, services[i], route);
    json_array_end(&w);
    puts(buf_text(&out));
    buf_done(&out);
}

static void tables_print(const struct service *const *services, size_t count)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, 1024 * 1024);
    json_begin(&w, &out);
    routes_tables_write(&w, services, count);
    puts(buf_text(&out));
    buf_done(&out);
}

static void table_print(const struct service *const *services, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (const struct route *route = services[i]->routes; route && route->pattern; route++)
            printf("%-12s %-7s %-10s %s\n", services[i]->name, http_method_name(route->method),
                   permission_name(route->permission), route->pattern);
}

int cmd_routes(int argc, char **argv)
{
    size_t count;
    const struct service *const *services = services_all(&count);

    if (argc == 1) {
        table_print(services, count);
    } else if (argc == 2 && strcmp(argv[1], "--json") == 0) {
        json_print(services, count);
    } else if (argc == 2 && strcmp(argv[1], "--tables") == 0) {
        tables_print(services, count);
    } else {
        bool asked = argc == 2 && strcmp(argv[1], "--help") == 0;
        fputs(help, asked ? stdout : stderr);
        return asked ? 0 : SERVICE_EXIT_USAGE;
    }
    return 0;
}
