#include "service/identity.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/belfry-identity-XXXXXX";
static struct identity *identity;
static const int64_t now_ms = INT64_C(1764000000000);

static int setup(void **state)
{
    (void)state;
    struct error err;

    return sodium_init() < 0 || !mkdtemp(dir) || identity_new(dir, "node-1", &identity, &err) < 0;
}

static int teardown(void **state)
{
    (void)state;
    char path[64];

    identity_free(&identity);
    snprintf(path, sizeof path, "%s/node.key", dir);
    unlink(path);
    return rmdir(dir);
}

static void test_key_is_kept(void **state)
{
    (void)state;
    struct identity *again;
    struct error err;
    struct stat st;
    char path[64];

    assert_int_equal(identity_new(dir, "other", &again, &err), 0);
    assert_memory_equal(identity_public_key(again), identity_public_key(identity),
                        IDENTITY_KEY_SIZE);
    identity_free(&again);
    snprintf(path, sizeof path, "%s/node.key", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_key_others_may_read_is_refused(void **state)
{
    (void)state;
    struct identity *again = NULL;
    struct error err;
    char path[64];

    snprintf(path, sizeof path, "%s/node.key", dir);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(identity_new(dir, "n", &again, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 31), 0);
    assert_int_equal(identity_new(dir, "n", &again, &err), -1);
    assert_non_null(strstr(error_english(&err), "damaged"));
    unlink(path);
    assert_int_equal(identity_new(dir, "n", &again, &err), 0); /* a new one */
    identity_free(&again);
}

static char audience[] = "job-admin", method[] = "POST",
            target[] = "/internal/v1/job-admin/report?x=1", request_id[] = "0190-abc",
            name[] = "ci 构建", address[] = "2001:db8::1";
static const struct claims plain = {
    .audience = audience,
    .method = method,
    .target = target,
    .request_id = request_id,
};

static void test_signed_claims_come_back(void **state)
{
    (void)state;
    struct grant grants[] = { { 0, ROLE_VIEWER }, { 17, ROLE_DEVELOPER } };
    struct principal principal = { .kind = PRINCIPAL_KEY,
                                   .id = 5,
                                   .name = name,
                                   .grants = grants,
                                   .grant_count = 2,
                                   .browser = true,
                                   .user_id = 9,
                                   .session_id = 31 };
    struct claims claims = plain, *back;
    struct arena *arena = arena_new();
    struct error err;

    claims.principal = &principal;
    claims.client_address = address;
    struct str header = str_of(identity_sign(identity, &claims, STR("{}"), now_ms, arena));
    assert_true(identity_signed_by(header, identity_public_key(identity)));
    assert_int_equal(identity_read(header, arena, &back, &err), 0);
    assert_string_equal(back->issuer, "node-1");
    assert_string_equal(back->request_id, "0190-abc");
    assert_string_equal(back->client_address, "2001:db8::1");
    assert_int_equal(back->principal->kind, PRINCIPAL_KEY);
    assert_int_equal(back->principal->id, 5);
    assert_string_equal(back->principal->name, "ci 构建");
    assert_int_equal(back->principal->grant_count, 2);
    assert_int_equal(back->principal->grants[1].group_id, 17);
    assert_int_equal(back->principal->grants[1].role, ROLE_DEVELOPER);
    assert_true(back->principal->browser);
    assert_int_equal(back->principal->user_id, 9);
    assert_int_equal(back->principal->session_id, 31);
    assert_int_equal(
        identity_check(back, "job-admin", "POST", str_of(plain.target), STR("{}"), now_ms, &err),
        0);
    arena_free(&arena);
}

static void test_claims_for_something_else(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct claims *c;
    struct error err;
    struct str header = str_of(identity_sign(identity, &plain, STR("body"), now_ms, arena));
    const struct {
        const char *audience, *method, *target;
        struct str body;
        int64_t now;
        const char *message;
    } rows[] = {
        { "auth", "POST", plain.target, STR("body"), now_ms, "for another request" },
        { "job-admin", "PUT", plain.target, STR("body"), now_ms, "for another request" },
        { "job-admin", "POST", "/x", STR("body"), now_ms, "for another request" },
        { "job-admin", "POST", plain.target, STR("bodx"), now_ms, "for another body" },
        { "job-admin", "POST", plain.target, STR(""), now_ms, "for another body" },
        { "job-admin", "POST", plain.target, STR("body"), now_ms + 91000, "not valid now" },
        { "job-admin", "POST", plain.target, STR("body"), now_ms - 31000, "not valid now" },
    };

    assert_int_equal(identity_read(header, arena, &c, &err), 0);
    assert_null(c->principal);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(identity_check(c, rows[i].audience, rows[i].method, str_of(rows[i].target),
                                        rows[i].body, rows[i].now, &err),
                         -1);
        assert_int_equal(err.code, ERR_UNAUTHENTICATED);
        assert_non_null(strstr(error_english(&err), rows[i].message));
    }
    assert_int_equal(identity_check(c, "job-admin", "POST", str_of(plain.target), STR("body"),
                                    now_ms + 89000, &err),
                     0);
    c->expires_ms++; /* longer than we ever sign for */
    assert_int_equal(
        identity_check(c, "job-admin", "POST", str_of(plain.target), STR("body"), now_ms, &err),
        -1);
    arena_free(&arena);
}

static void test_altered_headers(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    char *text = identity_sign(identity, &plain, STR(""), now_ms, arena);
    unsigned char other[IDENTITY_KEY_SIZE] = { 1 };
    static const char *const bad[] = { "", ".", "a", "a.", ".b", "a.b.c", "!!.!!", "e30.AAAA" };
    struct claims *claims;
    struct error err;

    for (size_t i = 0; text[i]; i += 7) {
        char kept = text[i];
        text[i] = kept == 'A' ? 'B' : 'A';
        if (kept != '.')
            assert_false(identity_signed_by(str_of(text), identity_public_key(identity)));
        text[i] = kept;
    }
    assert_false(identity_signed_by(str_of(text), other));
    assert_true(identity_signed_by(str_of(text), identity_public_key(identity)));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(identity_read(str_of(bad[i]), arena, &claims, &err), -1);
        assert_int_equal(err.code, ERR_UNAUTHENTICATED);
        assert_false(identity_signed_by(str_of(bad[i]), identity_public_key(identity)));
    }
    assert_int_equal(identity_read((struct str){ 0 }, arena, &claims, &err), -1);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_is_kept),
        cmocka_unit_test(test_signed_claims_come_back),
        cmocka_unit_test(test_claims_for_something_else),
        cmocka_unit_test(test_altered_headers),
        cmocka_unit_test(test_key_others_may_read_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
