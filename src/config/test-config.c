#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct config *read_ok(const char *text, const char *const *environment)
{
    struct config *config = NULL;
    struct error err;

    if (config_read(text ? "test.ini" : NULL, str_of(text), environment, &config, &err) < 0)
        fail_msg("%s", error_english(&err));
    return config;
}

static const char *read_error(const char *text, const char *const *environment)
{
    struct config *config = NULL;
    struct error err;

    assert_int_equal(
        config_read(text ? "test.ini" : NULL, str_of(text), environment, &config, &err), -1);
    assert_null(config);
    return error_english(&err);
}

static void test_config_defaults(void **state)
{
    (void)state;
    struct config *config = read_ok(NULL, NULL);

    assert_string_equal(config_text(config, "http.listen"), "127.0.0.1:8680");
    assert_string_equal(config_source(config, "http.listen"), "default");
    assert_int_equal(config_int(config, "node.drain_timeout"), 30000);
    assert_null(config_text(config, "store.url"));
    assert_false(config_is_set(config, "http.listen"));
    assert_null(config_path(config));
    config_free(&config);
    assert_null(config);
}

static void test_config_file(void **state)
{
    (void)state;
    struct config *config = read_ok("\xEF\xBB\xBF# a comment\n"
                                    "[http]\r\n"
                                    "  listen = 0.0.0.0:80\r\n"
                                    "; another\n"
                                    "[node]\n"
                                    "drain_timeout=2m\n"
                                    "name =\n"
                                    "[store]\n"
                                    "password = a ;b#c",
                                    NULL);

    assert_string_equal(config_text(config, "http.listen"), "0.0.0.0:80");
    assert_string_equal(config_source(config, "http.listen"), "test.ini:3");
    assert_int_equal(config_int(config, "node.drain_timeout"), 120000);
    assert_null(config_text(config, "node.name"));
    assert_string_equal(config_text(config, "store.password"), "a ;b#c");
    assert_string_equal(config_path(config), "test.ini");
    config_free(&config);
}

static void test_config_environment_wins(void **state)
{
    (void)state;
    const char *environment[] = { "PATH=/bin",
                                  "BELFRY_HTTP_LISTEN=[::1]:1",
                                  "BELFRY_DATA=/d",
                                  "BELFRY_REGISTRY_JOB_ADMIN=http://a:1",
                                  "BELFRY_URL=http://x",
                                  "BELFRY_TEST_MYSQL=y",
                                  NULL };
    struct config *config = read_ok("[http]\nlisten = 127.0.0.1:1\n", environment);

    assert_string_equal(config_text(config, "http.listen"), "[::1]:1");
    assert_string_equal(config_source(config, "http.listen"), "env BELFRY_HTTP_LISTEN");
    assert_string_equal(config_text(config, "data.dir"), "/d");
    assert_string_equal(config_text(config, "registry.job-admin"), "http://a:1");
    config_free(&config);
}

static void test_config_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        { "[http]\nlistn = x\n", "test.ini:2: no key listn in section [http]" },
        { "[htp]\n\nlisten = x\n", "test.ini:3: no section [htp]" },
        { "listen = x\n", "test.ini:1: no section []" },
        { "[http]\nlisten\n", "test.ini:2: neither [section] nor key = value" },
        { "[http\nlisten = x\n", "test.ini:1: neither [section] nor key = value" },
        { "[http]\nlisten = a\nlisten = b\n", "test.ini:3: http.listen is given twice" },
        { "[log]\nlevel = loud\n",
          "test.ini:2: log.level must be one of debug|info|warn|error, not \"loud\"" },
        { "[node]\ndrain_timeout = 5\n", "test.ini:2: node.drain_timeout must be a time such as "
                                         "250ms, 10s, 5m, 2h or 1d, not \"5\"" },
        { "[node]\ndrain_timeout = 2h\n",
          "test.ini:2: node.drain_timeout must be from 0ms to 1h, not 2h" },
        { "[node]\ndrain_timeout = 99999999999999999d\n",
          "test.ini:2: node.drain_timeout must be a time such as 250ms, 10s, 5m, 2h or 1d, not "
          "\"99999999999999999d\"" },
        { "[store]\nconnections_api = four\n",
          "test.ini:2: store.connections_api must be a whole number, not \"four\"" },
        { "[store]\nconnections_api = -1\n",
          "test.ini:2: store.connections_api must be from 0 to 64, not -1" },
        { "[http]\nlisten_file = /etc/passwd\n",
          "test.ini:2: no key listen_file in section [http]" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(read_error(rows[i].text, NULL), rows[i].message);
}

static void test_config_environment_errors(void **state)
{
    (void)state;
    assert_string_equal(read_error(NULL, (const char *[]){ "BELFRY_HTTP_LISTN=x", NULL }),
                        "environment: no key for BELFRY_HTTP_LISTN");
    assert_string_equal(read_error(NULL, (const char *[]){ "BELFRY_NODE_DRAIN_TIMEOUT=x", NULL }),
                        "env BELFRY_NODE_DRAIN_TIMEOUT: node.drain_timeout must be a time such as "
                        "250ms, 10s, 5m, 2h or 1d, not \"x\"");
}

static void test_config_long_line_and_nul(void **state)
{
    (void)state;
    char text[6000] = "[http]\nlisten = ";
    struct config *config = NULL;
    struct error err;

    memset(text + strlen(text), 'a', 5000);
    assert_string_equal(read_error(text, NULL),
                        "test.ini:2: the line is too long or holds a NUL byte");
    assert_int_equal(config_read("test.ini", STR("[http]\nlisten = a\0b\n"), NULL, &config, &err),
                     -1);
    assert_string_equal(error_english(&err),
                        "test.ini:2: the line is too long or holds a NUL byte");
}

static void test_config_secret_in_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/belfry-test-XXXXXX", text[200];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hush\n", 5), 5);
    close(fd);
    snprintf(text, sizeof text, "[store]\npassword_file = %s\n", path);
    struct config *config = read_ok(text, NULL);
    assert_string_equal(config_text(config, "store.password"), "hush");
    config_free(&config);
    snprintf(text, sizeof text, "BELFRY_STORE_PASSWORD_FILE=%s", path);
    config = read_ok(NULL, (const char *[]){ text, NULL });
    assert_string_equal(config_text(config, "store.password"), "hush");
    config_free(&config);
    unlink(path);
    snprintf(text, sizeof text, "[store]\npassword_file = %s\n", path);
    assert_non_null(strstr(read_error(text, NULL), "No such file"));
}

static void test_config_print_masks_secrets(void **state)
{
    (void)state;
    struct config *config = read_ok("[store]\npassword = hush\n", NULL);
    struct buf out;

    buf_init(&out, 1024 * 1024);
    config_print(config, &out);
    assert_null(strstr(out.bytes, "hush"));
    assert_non_null(strstr(out.bytes, "password = (set)"));
    assert_non_null(strstr(out.bytes, "; test.ini:2"));
    buf_done(&out);
    config_free(&config);
}

static void test_config_docs_name_every_key(void **state)
{
    (void)state;
    struct buf out;

    buf_init(&out, 1024 * 1024);
    config_print_docs(&out);
    for (size_t i = 0; i < config_key_count; i++) {
        char row[100];
        snprintf(row, sizeof row, "| `%s` |", config_keys[i].name);
        assert_non_null(strstr(out.bytes, row));
        assert_true(strlen(config_keys[i].about) > 10);
        assert_true(config_keys[i].type != CONFIG_SECRET || !config_keys[i].fallback);
        assert_true(config_keys[i].type != CONFIG_CHOICE || config_keys[i].choices);
    }
    buf_done(&out);
}

static void test_config_lists(void **state)
{
    (void)state;
    struct str rest = STR(" a, ,b ,c"), part;
    char joined[16] = "";

    while (config_list_next(&rest, &part))
        strncat(joined, part.bytes, part.size);
    assert_string_equal(joined, "abc");
    rest = (struct str){ 0 };
    assert_false(config_list_next(&rest, &part));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_defaults),
        cmocka_unit_test(test_config_file),
        cmocka_unit_test(test_config_environment_wins),
        cmocka_unit_test(test_config_errors),
        cmocka_unit_test(test_config_environment_errors),
        cmocka_unit_test(test_config_long_line_and_nul),
        cmocka_unit_test(test_config_secret_in_a_file),
        cmocka_unit_test(test_config_print_masks_secrets),
        cmocka_unit_test(test_config_docs_name_every_key),
        cmocka_unit_test(test_config_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
