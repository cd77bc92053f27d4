#include "auth/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static char current[] = "aaaa", previous[] = "bbbb";
static const struct user owner = { .id = 1 };
static const struct api_key plain = { .secret_hash = current };

static void test_key_refusals(void **state)
{
    struct api_key key = plain;
    struct user disabled = { .disabled = true };

    (void)state;
    assert_null(key_refusal(&key, &owner, "aaaa", "10.0.0.1", 100));
    assert_string_equal(key_refusal(&key, &owner, "cccc", "10.0.0.1", 100), "wrong secret");
    assert_string_equal(key_refusal(&key, &disabled, "aaaa", "10.0.0.1", 100), "owner disabled");
    key.expires_at = 100;
    assert_null(key_refusal(&key, &owner, "aaaa", "10.0.0.1", 99));
    assert_string_equal(key_refusal(&key, &owner, "aaaa", "10.0.0.1", 100), "expired");
    key.revoked_at = 50;
    assert_string_equal(key_refusal(&key, &owner, "aaaa", "10.0.0.1", 99), "revoked");
}

static void test_key_addresses(void **state)
{
    char list[] = "10.0.0.0/8,2001:db8::/32", broken[] = "10.0.0.0/99";
    struct api_key key = { .secret_hash = current, .addresses = list };

    (void)state;
    assert_null(key_refusal(&key, &owner, "aaaa", "10.1.2.3", 0));
    assert_null(key_refusal(&key, &owner, "aaaa", "2001:db8::1", 0));
    assert_non_null(key_refusal(&key, &owner, "aaaa", "11.0.0.1", 0));
    assert_non_null(key_refusal(&key, &owner, "aaaa", "", 0));
    key.addresses = broken; /* never "everywhere" */
    assert_non_null(key_refusal(&key, &owner, "aaaa", "10.1.2.3", 0));
}

static void test_key_rotated_overlaps(void **state)
{
    struct api_key key = { .secret_hash = previous };

    (void)state;
    key_rotated(&key, current, 200);
    assert_null(key_refusal(&key, &owner, "aaaa", "10.0.0.1", 1000));
    assert_null(key_refusal(&key, &owner, "bbbb", "10.0.0.1", 199));
    assert_string_equal(key_refusal(&key, &owner, "bbbb", "10.0.0.1", 200), "rotated");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_refusals),
        cmocka_unit_test(test_key_addresses),
        cmocka_unit_test(test_key_rotated_overlaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
