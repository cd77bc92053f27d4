#include "http/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

static int check(struct egress *egress, const char *text, uint16_t port)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct error err = { 0 };
    int result;

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        result = egress_check_address(egress, (struct sockaddr *)&v4, &err);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        result = egress_check_address(egress, (struct sockaddr *)&v6, &err);
    }
    assert_int_equal(err.code, result < 0 ? ERR_FORBIDDEN : ERR_NONE);
    return result;
}

static void test_default_rules(void **state)
{
    static const struct {
        const char *address;
        int verdict;
    } rows[] = {
        { "127.0.0.1", 0 },          { "::1", 0 },
        { "10.1.2.3", 0 },           { "192.168.1.1", 0 },
        { "8.8.8.8", 0 },            { "2606:4700::1111", 0 },
        { "fd00::1", 0 },            { "100.64.0.1", 0 },
        { "169.254.169.254", -1 },   { "169.254.0.1", -1 },
        { "100.100.100.200", -1 },   { "0.0.0.0", -1 },
        { "0.1.2.3", -1 },           { "224.0.0.1", -1 },
        { "255.255.255.255", -1 },   { "240.0.0.1", -1 },
        { "::", -1 },                { "fe80::1", -1 },
        { "febf::1", -1 },           { "ff02::1", -1 },
        { "fd00:ec2::254", -1 },     { "::ffff:169.254.169.254", -1 },
        { "::ffff:0.0.0.0", -1 },    { "::ffff:127.0.0.1", 0 },
        { "::169.254.169.254", -1 }, { "64:ff9b::169.254.169.254", -1 },
        { "64:ff9b::8.8.8.8", 0 },   { "2002:a9fe:a9fe::1", -1 },
        { "2002:808:808::1", 0 },
    };
    struct egress *egress = NULL;

    (void)state;
    assert_int_equal(egress_new(NULL, NULL, &egress, NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (check(egress, rows[i].address, 80) != rows[i].verdict)
            fail_msg("%s", rows[i].address);
    egress_free(&egress);
    assert_null(egress);
}

static void test_allow_and_deny(void **state)
{
    struct egress *egress = NULL;

    (void)state;
    assert_int_equal(egress_new("10.0.0.0/8, fd00::/8, 169.254.0.0/16", "10.9.0.0/16", &egress,
                                NULL), 0);
    assert_int_equal(check(egress, "10.1.1.1", 80), 0);
    assert_int_equal(check(egress, "::ffff:10.1.1.1", 80), 0);
    assert_int_equal(check(egress, "10.9.1.1", 80), -1);
    assert_int_equal(check(egress, "64:ff9b::10.9.1.1", 80), -1);
    assert_int_equal(check(egress, "11.1.1.1", 80), -1);
    assert_int_equal(check(egress, "fd00::5", 80), 0);
    assert_int_equal(check(egress, "169.254.169.254", 80), -1); /* never, whatever is allowed */
    egress_free(&egress);
}

static void test_bad_settings(void **state)
{
    struct egress *egress = NULL;
    struct error err;

    (void)state;
    assert_int_equal(egress_new("10.0.0.0/33", NULL, &egress, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.path, "egress.allow");
    assert_int_equal(egress_new(NULL, "here", &egress, &err), -1);
    assert_string_equal(err.path, "egress.deny");
    assert_null(egress);
}

static void test_own_ports(void **state)
{
    struct egress *egress = NULL;

    (void)state;
    assert_int_equal(egress_new(NULL, NULL, &egress, NULL), 0);
    egress_own_port(egress, 8680);
    egress_own_port(egress, 8680);
    assert_int_equal(check(egress, "127.0.0.1", 8680), -1);
    assert_int_equal(check(egress, "127.9.9.9", 8680), -1);
    assert_int_equal(check(egress, "::1", 8680), -1);
    assert_int_equal(check(egress, "::ffff:127.0.0.1", 8680), -1);
    assert_int_equal(check(egress, "127.0.0.1", 8681), 0);
    assert_int_equal(check(egress, "203.0.113.1", 8680), 0);
    egress_free(&egress);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_rules),
        cmocka_unit_test(test_allow_and_deny),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_own_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
