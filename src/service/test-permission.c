#include "service/permission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_role_matrix(void **state)
{
    (void)state;
    /* none, viewer, operator, developer, administrator */
    static const struct {
        enum permission permission;
        const char *may;
    } rows[] = {
        { PERM_NONE, "-----" },       { PERM_PUBLIC, "+++++" },  { PERM_SIGNED_IN, "+++++" },
        { PERM_VIEW, "-++++" },       { PERM_OPERATE, "--+++" }, { PERM_DEVELOP, "---++" },
        { PERM_ADMINISTER, "----+" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int role = ROLE_NONE; role <= ROLE_ADMINISTRATOR; role++)
            assert_int_equal(role_may((enum role)role, rows[i].permission),
                             rows[i].may[role] == '+');
}

static void test_grants_are_over_groups(void **state)
{
    (void)state;
    struct grant grants[] = { { 7, ROLE_OPERATOR }, { 8, ROLE_ADMINISTRATOR } };
    struct principal p = { .kind = PRINCIPAL_USER, .grants = grants, .grant_count = 2 };

    assert_true(principal_may(&p, PERM_OPERATE, 7));
    assert_false(principal_may(&p, PERM_DEVELOP, 7));
    assert_false(principal_may(&p, PERM_VIEW, 9));
    assert_false(principal_may(&p, PERM_VIEW, 0));
    assert_true(principal_may_somewhere(&p, PERM_DEVELOP));
    /* an administrator of one group administers nothing */
    assert_false(principal_may(&p, PERM_ADMINISTER, 8));
    assert_false(principal_may_somewhere(&p, PERM_ADMINISTER));
    assert_true(principal_may(&p, PERM_DEVELOP, 8));
    grants[1].group_id = 0;
    assert_true(principal_may(&p, PERM_ADMINISTER, 0));
    assert_true(principal_may(&p, PERM_ADMINISTER, 8));
    assert_true(principal_may(&p, PERM_VIEW, 9));
}

static void test_nobody_and_services(void **state)
{
    (void)state;
    struct principal service = { .kind = PRINCIPAL_SERVICE };

    assert_true(principal_may(NULL, PERM_PUBLIC, 0));
    assert_false(principal_may(NULL, PERM_SIGNED_IN, 0));
    assert_false(principal_may_somewhere(NULL, PERM_VIEW));
    assert_false(principal_may(&service, PERM_SIGNED_IN, 0));
    assert_false(principal_may_somewhere(&service, PERM_VIEW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_role_matrix),
        cmocka_unit_test(test_grants_are_over_groups),
        cmocka_unit_test(test_nobody_and_services),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
