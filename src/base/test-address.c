#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static bool parses(const char *text)
{
    struct address address;

    return address_parse(str_of(text), &address);
}

static bool range_has(const char *range, const char *text)
{
    struct cidr cidr;
    struct address address;

    assert_true(cidr_parse(str_of(range), &cidr));
    assert_true(address_parse(str_of(text), &address));
    return cidr_has(&cidr, &address);
}

static void test_address_parse_strict(void **state)
{
    (void)state;
    assert_true(parses("10.0.0.1"));
    assert_true(parses("::1"));
    assert_true(parses("[2001:db8::1]"));
    assert_true(parses("::ffff:10.0.0.1"));
    assert_false(parses(""));
    assert_false(parses("[10.0.0.1]"));
    assert_false(parses("10.0.0.01"));
    assert_false(parses("10.1"));
    assert_false(parses("0x7f.0.0.1"));
    assert_false(parses("fe80::1%eth0"));
    assert_false(parses("10.0.0.1:80"));
    assert_false(parses("[::1"));
}

static void test_address_mapped_is_ipv4(void **state)
{
    struct address a, b;

    (void)state;
    assert_true(address_parse(STR("10.0.0.1"), &a));
    assert_true(address_parse(STR("::ffff:10.0.0.1"), &b));
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(address_is_ipv4(&b));
}

static void test_address_loopback(void **state)
{
    static const struct {
        const char *text;
        bool loopback;
    } rows[] = {
        { "127.0.0.1", true }, { "127.9.9.9", true },   { "::1", true },
        { "::ffff:127.0.0.1", true }, { "128.0.0.1", false }, { "::2", false },
        { "10.127.0.1", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct address address;
        assert_true(address_parse(str_of(rows[i].text), &address));
        assert_int_equal(address_is_loopback(&address), rows[i].loopback);
    }
}

static void test_address_site_is_64_bits(void **state)
{
    struct address a, b, c;

    (void)state;
    assert_true(address_parse(STR("2001:db8::1"), &a));
    assert_true(address_parse(STR("2001:db8::ffff:2"), &b));
    assert_true(address_parse(STR("2001:db8:0:1::1"), &c));
    a = address_site(&a);
    b = address_site(&b);
    c = address_site(&c);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a, &c, sizeof a);
}

static void test_cidr_parse_bounds(void **state)
{
    struct cidr cidr;

    (void)state;
    assert_false(cidr_parse(STR("10.0.0.0/33"), &cidr));
    assert_false(cidr_parse(STR("10.0.0.0/"), &cidr));
    assert_false(cidr_parse(STR("10.0.0.0/-1"), &cidr));
    assert_false(cidr_parse(STR("10.0.0.1/8"), &cidr)); /* host bits set: a likely mistake */
    assert_false(cidr_parse(STR("fd00::/129"), &cidr));
    assert_false(cidr_parse(STR("/8"), &cidr));
    assert_false(cidr_parse(STR(""), &cidr));
}

static void test_cidr_has(void **state)
{
    (void)state;
    assert_true(range_has("10.0.0.0/8", "10.255.0.1"));
    assert_false(range_has("10.0.0.0/8", "11.0.0.1"));
    assert_true(range_has("10.0.0.0/8", "::ffff:10.0.0.1"));
    assert_true(range_has("192.168.4.0/23", "192.168.5.9"));
    assert_false(range_has("192.168.4.0/23", "192.168.6.0"));
    assert_true(range_has("0.0.0.0/0", "8.8.8.8"));
    assert_false(range_has("0.0.0.0/0", "2001:db8::1")); /* all of IPv4 is not all of IPv6 */
    assert_true(range_has("fd00::/8", "fdab::1"));
    assert_true(range_has("127.0.0.1", "127.0.0.1"));
}

static void test_cidr_list_names_the_bad_part(void **state)
{
    struct cidr cidrs[4];
    struct address address;
    struct error err = { 0 };

    (void)state;
    assert_int_equal(cidr_list_parse(" 10.0.0.0/8 , ::1 ", cidrs, 4, &err), 2);
    assert_true(address_parse(STR("::1"), &address));
    assert_true(cidr_list_has(cidrs, 2, &address));
    assert_int_equal(cidr_list_parse(NULL, cidrs, 4, &err), 0);
    assert_int_equal(cidr_list_parse("10.0.0.0/8,,", cidrs, 4, &err), -1);
    assert_int_equal(cidr_list_parse("1.1.1.1,oops", cidrs, 4, &err), -1);
    assert_non_null(strstr(error_english(&err), "oops"));
    assert_int_equal(cidr_list_parse("1.1.1.1,2.2.2.2", cidrs, 1, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_parse_strict),
        cmocka_unit_test(test_address_mapped_is_ipv4),
        cmocka_unit_test(test_address_loopback),
        cmocka_unit_test(test_address_site_is_64_bits),
        cmocka_unit_test(test_cidr_parse_bounds),
        cmocka_unit_test(test_cidr_has),
        cmocka_unit_test(test_cidr_list_names_the_bad_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
