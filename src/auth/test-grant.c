#include "auth/grant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define GRANTS(...) (struct grant[]){ __VA_ARGS__ }, \
        sizeof((struct grant[]){ __VA_ARGS__ }) / sizeof(struct grant)

static void test_grants_role_is_the_highest_that_applies(void **state)
{
    (void)state;
    assert_int_equal(grants_role(GRANTS({ 0, ROLE_VIEWER }, { 7, ROLE_DEVELOPER }), 7),
                     ROLE_DEVELOPER);
    assert_int_equal(grants_role(GRANTS({ 0, ROLE_VIEWER }, { 7, ROLE_DEVELOPER }), 8), ROLE_VIEWER);
    assert_int_equal(grants_role(GRANTS({ 0, ROLE_VIEWER }, { 7, ROLE_DEVELOPER }), 0), ROLE_VIEWER);
    assert_int_equal(grants_role(GRANTS({ 7, ROLE_DEVELOPER }), 8), ROLE_NONE);
}

static void test_grants_within(void **state)
{
    (void)state;
    assert_true(grants_within(GRANTS({ 7, ROLE_VIEWER }), GRANTS({ 0, ROLE_OPERATOR })));
    assert_true(grants_within(GRANTS({ 0, ROLE_OPERATOR }), GRANTS({ 0, ROLE_OPERATOR })));
    assert_false(grants_within(GRANTS({ 0, ROLE_VIEWER }), GRANTS({ 7, ROLE_ADMINISTRATOR })));
    assert_false(grants_within(GRANTS({ 7, ROLE_DEVELOPER }), GRANTS({ 7, ROLE_OPERATOR })));
    assert_false(grants_within(GRANTS({ 7, ROLE_VIEWER }, { 8, ROLE_VIEWER }),
                               GRANTS({ 7, ROLE_VIEWER })));
    assert_true(grants_within(NULL, 0, GRANTS({ 7, ROLE_VIEWER })));
}

static enum role both(const struct grant *key, size_t key_count, const struct grant *owner,
                      size_t owner_count, int32_t group_id)
{
    struct arena *arena = arena_new();
    struct grant *grants;
    size_t count = grants_intersect(key, key_count, owner, owner_count, arena, &grants);
    enum role role = grants_role(grants, count, group_id);

    arena_free(&arena);
    return role;
}

static void test_grants_intersect_never_exceeds_the_owner(void **state)
{
    (void)state;
    /* the owner lost a group */
    assert_int_equal(both(GRANTS({ 7, ROLE_OPERATOR }), GRANTS({ 8, ROLE_OPERATOR }), 7), ROLE_NONE);
    /* the owner was given less */
    assert_int_equal(both(GRANTS({ 0, ROLE_ADMINISTRATOR }), GRANTS({ 0, ROLE_VIEWER }), 0),
                     ROLE_VIEWER);
    /* a key for all groups of an owner of one */
    assert_int_equal(both(GRANTS({ 0, ROLE_DEVELOPER }), GRANTS({ 7, ROLE_OPERATOR }), 7),
                     ROLE_OPERATOR);
    assert_int_equal(both(GRANTS({ 0, ROLE_DEVELOPER }), GRANTS({ 7, ROLE_OPERATOR }), 8), ROLE_NONE);
    assert_int_equal(both(GRANTS({ 0, ROLE_DEVELOPER }), GRANTS({ 7, ROLE_OPERATOR }), 0), ROLE_NONE);
    /* a key for one group of an owner of all */
    assert_int_equal(both(GRANTS({ 7, ROLE_VIEWER }), GRANTS({ 0, ROLE_ADMINISTRATOR }), 7),
                     ROLE_VIEWER);
    assert_int_equal(both(GRANTS({ 7, ROLE_VIEWER }), GRANTS({ 0, ROLE_ADMINISTRATOR }), 0),
                     ROLE_NONE);
    assert_int_equal(both(GRANTS({ 7, ROLE_VIEWER }), NULL, 0, 7), ROLE_NONE);
}

/* Every pair of small grant sets: the key's right is never above either side's. */
static void test_grants_intersect_all_small_sets(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (int code = 0; code < 625; code++) {
        struct grant key[] = { { 0, code % 5 }, { 7, code / 5 % 5 } };
        struct grant owner[] = { { 0, code / 25 % 5 }, { 7, code / 125 } };
        struct grant *grants;
        size_t count = grants_intersect(key, 2, owner, 2, arena, &grants);
        for (int32_t group = 0; group <= 8; group++) {
            enum role a = grants_role(key, 2, group), b = grants_role(owner, 2, group);
            assert_int_equal(grants_role(grants, count, group), a < b ? a : b);
        }
    }
    arena_free(&arena);
}

static void test_grants_intersect_is_short(void **state)
{
    struct arena *arena = arena_new();
    struct grant key[] = { { 0, ROLE_DEVELOPER } };
    struct grant owner[] = { { 0, ROLE_OPERATOR }, { 7, ROLE_VIEWER }, { 8, ROLE_DEVELOPER } };
    struct grant *grants;

    (void)state;
    assert_int_equal(grants_intersect(key, 1, owner, 3, arena, &grants), 2);
    assert_int_equal(grants[0].group_id, 0);
    assert_int_equal(grants[1].group_id, 8);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grants_role_is_the_highest_that_applies),
        cmocka_unit_test(test_grants_within),
        cmocka_unit_test(test_grants_intersect_never_exceeds_the_owner),
        cmocka_unit_test(test_grants_intersect_all_small_sets),
        cmocka_unit_test(test_grants_intersect_is_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
