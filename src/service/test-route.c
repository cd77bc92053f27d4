#include "service/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void handle(struct request *request)
{
    (void)request;
}

#define ROUTE(a_method, a_pattern, a_permission, a_handle)                                         \
    {                                                                                              \
        .method = a_method, .pattern = a_pattern, .permission = a_permission, .handle = a_handle   \
    }

static const struct route a_routes[] = {
    ROUTE(HTTP_GET, "/api/v1/jobs", PERM_VIEW, handle),
    ROUTE(HTTP_POST, "/api/v1/jobs", PERM_DEVELOP, handle),
    ROUTE(HTTP_GET, "/api/v1/jobs/{id}", PERM_VIEW, handle),
    ROUTE(HTTP_GET, "/api/v1/jobs/upcoming", PERM_VIEW, handle),
    ROUTE(HTTP_POST, "/api/v1/jobs/{id}/run", PERM_OPERATE, handle),
    { 0 },
};
static const struct route b_routes[] = {
    ROUTE(HTTP_GET, "/api/v1/groups/{group}/jobs/{name}", PERM_VIEW, handle),
    ROUTE(HTTP_DELETE, "/api/v1/jobs/{id}", PERM_DEVELOP, handle),
    { 0 },
};
static const struct service a = { .name = "a", .routes = a_routes };
static const struct service b = { .name = "b", .routes = b_routes };
static const struct service none = { .name = "none" };
static const struct service *const all[] = { &a, &none, &b };

static void test_route_find(void **state)
{
    (void)state;
    static const struct {
        enum http_method method;
        const char *path;
        int result;
        const char *pattern, *param, *allow;
    } rows[] = {
        { HTTP_GET, "/api/v1/jobs", 1, "/api/v1/jobs", NULL, NULL },
        { HTTP_HEAD, "/api/v1/jobs", 1, "/api/v1/jobs", NULL, NULL },
        { HTTP_GET, "/api/v1/jobs/17", 1, "/api/v1/jobs/{id}", "17", NULL },
        { HTTP_GET, "/api/v1/jobs/upcoming", 1, "/api/v1/jobs/upcoming", NULL, NULL },
        { HTTP_DELETE, "/api/v1/jobs/17", 1, "/api/v1/jobs/{id}", "17", NULL },
        { HTTP_POST, "/api/v1/jobs/x y/run", 1, "/api/v1/jobs/{id}/run", "x y", NULL },
        { HTTP_GET, "/api/v1/groups/g/jobs/n", 1, "/api/v1/groups/{group}/jobs/{name}", "g", NULL },
        { HTTP_PUT, "/api/v1/jobs/17", -1, NULL, NULL, "GET, HEAD, DELETE" },
        { HTTP_DELETE, "/api/v1/jobs", -1, NULL, NULL, "GET, HEAD, POST" },
        { HTTP_OPTIONS, "/api/v1/jobs", -1, NULL, NULL, "GET, HEAD, POST" },
        { HTTP_GET, "/api/v1/jobs/", 0, NULL, NULL, NULL },
        { HTTP_GET, "/api/v1/jobs/17/", 0, NULL, NULL, NULL },
        { HTTP_GET, "/api/v1", 0, NULL, NULL, NULL },
        { HTTP_GET, "/", 0, NULL, NULL, NULL },
        { HTTP_GET, "", 0, NULL, NULL, NULL },
        { HTTP_GET, "api/v1/jobs", 0, NULL, NULL, NULL },
        { HTTP_GET, "/api/v1/jobs/17/x/y/z", 0, NULL, NULL, NULL },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *arena = arena_new();
        const struct service *service = NULL;
        const struct route *route = NULL;
        const char *params[REQUEST_PARAMS_MAX] = { 0 }, *allow = NULL;
        int result = route_find(all, 3, rows[i].method, str_of(rows[i].path), arena, &service,
                                &route, params, &allow);
        assert_int_equal(result, rows[i].result);
        if (rows[i].pattern)
            assert_string_equal(route->pattern, rows[i].pattern);
        if (rows[i].param)
            assert_string_equal(params[0], rows[i].param);
        if (rows[i].allow)
            assert_string_equal(allow, rows[i].allow);
        arena_free(&arena);
    }
}

static const char *check(const struct route *routes)
{
    const struct service service = { .name = "s", .routes = routes };
    const struct service *const list[] = { &service };
    static struct error err;

    return routes_check(list, 1, &err) == 0 ? "" : error_english(&err);
}

static void test_routes_check(void **state)
{
    (void)state;
    struct error err;

    assert_int_equal(routes_check(all, 3, &err), 0);
    assert_string_equal(check((struct route[]){ ROUTE(HTTP_GET, "/a", PERM_NONE, handle), { 0 } }),
                        "route GET /a has no permission");
    assert_non_null(
        strstr(check((struct route[]){ ROUTE(HTTP_GET, "/a", PERM_PUBLIC, handle), { 0 } }),
               "why_public"));
    assert_string_equal(check((struct route[]){ ROUTE(HTTP_GET, "/a", PERM_VIEW, NULL), { 0 } }),
                        "route GET /a has no handler of its own");
    assert_string_equal(check((struct route[]){ ROUTE(HTTP_GET, "/a/{x}", PERM_VIEW, handle),
                                                ROUTE(HTTP_GET, "/a/{y}", PERM_VIEW, handle),
                                                { 0 } }),
                        "route GET /a/{x} stands there twice");
    assert_string_equal(check((struct route[]){ ROUTE(HTTP_GET, "a", PERM_VIEW, handle), { 0 } }),
                        "route GET a is no pattern");
    assert_string_equal(
        check((struct route[]){ ROUTE(HTTP_GET, "/a//b", PERM_VIEW, handle), { 0 } }),
        "route GET /a//b has an odd segment");
    assert_string_equal(check((struct route[]){
                            ROUTE(HTTP_GET, "/{a}/{b}/{c}/{d}/{e}", PERM_VIEW, handle), { 0 } }),
                        "route GET /{a}/{b}/{c}/{d}/{e} is no pattern");
    assert_string_equal(check((struct route[]){ ROUTE(HTTP_GET, "/a/{b}", PERM_VIEW, handle),
                                                ROUTE(HTTP_PUT, "/a/{b}", PERM_VIEW, handle),
                                                ROUTE(HTTP_GET, "/a/b", PERM_VIEW, handle),
                                                { 0 } }),
                        "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route_find),
        cmocka_unit_test(test_routes_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
