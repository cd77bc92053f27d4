#include "auth/user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_user_name_check(void **state)
{
    static const struct {
        const char *name;
        bool good;
    } rows[] = {
        { "chen", true },          { "li.wei@example.com", true }, { "a1", true },
        { "a", false },            { "Chen", false },              { "", false },
        { "-chen", false },        { "chen wei", false },          { "陈", false },
        { "小王", true },          { "小王-2", true },             { "ｃｈｅｎ", false },
        { "chén", false },         { "-小王", false },             { "\xE5\xB0", false },
        { "chen\n", false },       { "(setup)", false },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
    };
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(user_name_check(rows[i].name, &err), rows[i].good ? 0 : -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user_name_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
