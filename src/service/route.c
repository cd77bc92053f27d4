#include "service/service.h"

#include "base/buf.h"

#include <string.h>

/* The next segment of path or pattern behind its '/': false at the end. */
static bool segment_next(struct str *rest, struct str *ret_segment)
{
    if (rest->size == 0 || rest->bytes[0] != '/')
        return false;
    const char *from = rest->bytes + 1;
    size_t room = rest->size - 1;
    const char *end = memchr(from, '/', room);
    size_t size = end ? (size_t)(end - from) : room;

    *ret_segment = (struct str){ from, size };
    *rest = (struct str){ from + size, room - size };
    return true;
}

static bool is_param(struct str segment)
{
    return segment.size >= 2 && segment.bytes[0] == '{' && segment.bytes[segment.size - 1] == '}';
}

static bool pattern_match(const char *pattern, struct str path, struct str params[],
                          unsigned *ret_count)
{
    struct str rest = str_of(pattern), want, got;
    unsigned count = 0;

    while (segment_next(&rest, &want)) {
        if (!segment_next(&path, &got))
            return false;
        if (!is_param(want)) {
            if (!str_equal(want, got))
                return false;
        } else if (got.size == 0 || count == REQUEST_PARAMS_MAX) {
            return false;
        } else {
            params[count++] = got;
        }
    }
    *ret_count = count;
    return path.size == 0;
}

/* Where two patterns match the same path, the one that is literal first is meant. */
static bool pattern_before(const char *a, const char *b)
{
    struct str rest_a = str_of(a), rest_b = str_of(b), x, y;

    while (segment_next(&rest_a, &x) && segment_next(&rest_b, &y))
        if (is_param(x) != is_param(y))
            return is_param(y);
    return false;
}

/* What a look-up has found so far. */
struct search {
    enum http_method method;
    struct str path;
    const struct service *service;
    const struct route *route;
    struct str params[REQUEST_PARAMS_MAX];
    unsigned param_count;
    unsigned methods; /* bit set of those the path has */
};

static void search_service(struct search *s, const struct service *service)
{
    struct str params[REQUEST_PARAMS_MAX];
    unsigned count;

    for (const struct route *route = service->routes; route && route->pattern; route++) {
        if (!pattern_match(route->pattern, s->path, params, &count))
            continue;
        s->methods |= 1u << route->method;
        if (route->method != s->method ||
            (s->route && !pattern_before(route->pattern, s->route->pattern)))
            continue;
        s->service = service;
        s->route = route;
        s->param_count = count;
        memcpy(s->params, params, sizeof params);
    }
}

static const char *allow_text(unsigned methods, struct arena *arena)
{
    static const enum http_method order[] = { HTTP_GET,   HTTP_POST,   HTTP_PUT,
                                              HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS };
    char *text = arena_strdup(arena, "");

    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (methods & 1u << order[i])
            text = arena_printf(arena, "%s%s%s%s", text, *text ? ", " : "",
                                http_method_name(order[i]), order[i] == HTTP_GET ? ", HEAD" : "");
    return text;
}

int route_find(const struct service *const *all, size_t all_count, enum http_method method,
               struct str path, struct arena *arena, const struct service **ret_service,
               const struct route **ret_route, const char *params[REQUEST_PARAMS_MAX],
               const char **ret_allow)
{
    struct search s = { .method = method == HTTP_HEAD ? HTTP_GET : method, .path = path };

    for (size_t i = 0; i < all_count; i++)
        search_service(&s, all[i]);
    if (!s.route) {
        if (!s.methods)
            return 0;
        *ret_allow = allow_text(s.methods, arena);
        return -1;
    }
    for (unsigned i = 0; i < s.param_count; i++)
        params[i] = arena_strndup(arena, s.params[i].bytes, s.params[i].size);
    *ret_service = s.service;
    *ret_route = s.route;
    return 1;
}

static bool pattern_same(const char *a, const char *b)
{
    struct str rest_a = str_of(a), rest_b = str_of(b), x, y;
    bool more_a, more_b;

    for (;;) {
        more_a = segment_next(&rest_a, &x);
        more_b = segment_next(&rest_b, &y);
        if (!more_a || !more_b)
            return more_a == more_b;
        if (is_param(x) != is_param(y) || (!is_param(x) && !str_equal(x, y)))
            return false;
    }
}

static int pattern_check(const struct route *route, struct error *err)
{
    struct str rest = str_of(route->pattern), segment;
    unsigned count = 0;

    while (segment_next(&rest, &segment)) {
        count += is_param(segment);
        if (segment.size == 0 || (!is_param(segment) && memchr(segment.bytes, '{', segment.size)))
            return error_set(err, ERR_INTERNAL, "route %s %s has an odd segment",
                             http_method_name(route->method), route->pattern);
    }
    if (rest.size || route->pattern[0] != '/' || count > REQUEST_PARAMS_MAX)
        return error_set(err, ERR_INTERNAL, "route %s %s is no pattern",
                         http_method_name(route->method), route->pattern);
    return 0;
}

static int route_check(const struct route *route, struct error *err)
{
    const char *method = http_method_name(route->method);
    bool is_public = route->permission == PERM_PUBLIC;

    if (route->permission == PERM_NONE)
        return error_set(err, ERR_INTERNAL, "route %s %s has no permission", method,
                         route->pattern);
    if (is_public != (route->why_public != NULL))
        return error_set(err, ERR_INTERNAL,
                         "route %s %s: why_public belongs to public routes, and "
                         "to each of them",
                         method, route->pattern);
    if (!route->handle || route->method == HTTP_HEAD)
        return error_set(err, ERR_INTERNAL, "route %s %s has no handler of its own", method,
                         route->pattern);
    return pattern_check(route, err);
}

static int route_check_unique(const struct service *const *all, size_t all_count,
                              const struct route *route, struct error *err)
{
    for (size_t i = 0; i < all_count; i++)
        for (const struct route *other = all[i]->routes; other && other->pattern; other++)
            if (other != route && other->method == route->method &&
                pattern_same(other->pattern, route->pattern))
                return error_set(err, ERR_INTERNAL, "route %s %s stands there twice",
                                 http_method_name(route->method), route->pattern);
    return 0;
}

int routes_check(const struct service *const *all, size_t all_count, struct error *err)
{
    for (size_t i = 0; i < all_count; i++)
        for (const struct route *route = all[i]->routes; route && route->pattern; route++)
            if (route_check(route, err) < 0 || route_check_unique(all, all_count, route, err) < 0)
                return -1;
    return 0;
}
