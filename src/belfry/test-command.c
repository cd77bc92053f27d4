#include "belfry/command.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the last command line was read as: "arg arg | option=value option=value". */
static char seen[512];

static int record(struct cli *cli)
{
    static const char *const names[] = { "cron", "tag", "force", "json" };
    const char *value;
    size_t used = 0;

    for (size_t i = 0; i < cli->arg_count; i++)
        used += (size_t)snprintf(seen + used, sizeof seen - used, "%s ", cli_arg(cli, i));
    used += (size_t)snprintf(seen + used, sizeof seen - used, "|");
    for (size_t i = 0; i < 4; i++) {
        for (size_t position = 0; (value = cli_option_next(cli, names[i], &position));)
            used += (size_t)snprintf(seen + used, sizeof seen - used, " %s=%s", names[i], value);
    }
    return 42;
}

static const struct cli_option options[] = {
    { "cron", 'c', "EXPR", "an expression", NULL },
    { "tag", 0, "TAG", "a tag", "red|green" },
    { "force", 'F', NULL, "a switch", NULL },
    { 0 },
};
static const struct subcommand subcommands[] = {
    { "make", "NAME [TIME]", "makes", options, record, NULL, true },
    { 0 },
};
static const struct command command = { .name = "thing",
                                        .about = "Things.",
                                        .subcommands = subcommands };

/* Runs "thing" with the words of line. */
static int run(const char *const *words)
{
    char *argv[16];
    int argc = 0;

    argv[argc++] = (char *)(uintptr_t) "thing";
    for (; *words; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    argv[argc] = NULL;
    seen[0] = '\0';
    return command_main(&command, argc, argv);
}
#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

static void test_command_line_arguments_and_options(void **state)
{
    (void)state;
    assert_int_equal(RUN("make", "a"), 42);
    assert_string_equal(seen, "a |");
    assert_int_equal(RUN("make", "--cron", "0 2 * * *", "a", "--force", "b"), 42);
    assert_string_equal(seen, "a b | cron=0 2 * * * force=");
    assert_int_equal(RUN("make", "a", "--cron=x=y", "--json"), 42);
    assert_string_equal(seen, "a | cron=x=y json=");
    assert_int_equal(RUN("make", "-c", "x", "-F", "a"), 42);
    assert_string_equal(seen, "a | cron=x force=");
    assert_int_equal(RUN("make", "a", "--tag", "red", "--tag", "green"), 42);
    assert_string_equal(seen, "a | tag=red tag=green");
}

static void test_command_line_after_two_dashes_is_arguments(void **state)
{
    (void)state;
    assert_int_equal(RUN("make", "--", "--force", "-F"), 42);
    assert_string_equal(seen, "--force -F |");
    assert_int_equal(RUN("make", "-"), 42);
    assert_string_equal(seen, "- |");
    /* a value may begin with a dash: the option asked for it */
    assert_int_equal(RUN("make", "a", "--cron", "-x"), 42);
    assert_string_equal(seen, "a | cron=-x");
}

static void test_command_line_mistakes(void **state)
{
    (void)state;
    assert_int_equal(RUN("make"), EXIT_USAGE);
    assert_int_equal(RUN("make", "a", "b", "c"), EXIT_USAGE);
    assert_int_equal(RUN("make", "a", "--unknown"), EXIT_USAGE);
    assert_int_equal(RUN("make", "a", "-x"), EXIT_USAGE);
    assert_int_equal(RUN("make", "a", "-cron", "x"), EXIT_USAGE);
    assert_int_equal(RUN("make", "a", "--c", "x"), EXIT_USAGE);
    assert_int_equal(RUN("make", "a", "--cron"), EXIT_USAGE);
    assert_int_equal(RUN("make", "a", "--force=1"), EXIT_USAGE);
    assert_int_equal(RUN("make", "a", "--tag", "blue"), EXIT_USAGE);
    assert_int_equal(RUN("make", "a", "--tag", "re"), EXIT_USAGE);
    assert_int_equal(RUN("other"), EXIT_USAGE);
    assert_string_equal(seen, "");
}

static void test_command_help_runs_nothing(void **state)
{
    (void)state;
    assert_int_equal(RUN("--help"), EXIT_OK);
    assert_int_equal(RUN("make", "--help"), EXIT_OK);
    assert_string_equal(seen, "");
}

static void test_cli_duration(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } rows[] = {
        { "250ms", 250 },   { "30s", 30000 },
        { "5m", 300000 },   { "2h", 7200000 },
        { "1d", 86400000 }, { "0s", 0 },
        { "30", -1 },       { "s", -1 },
        { "-1s", -1 },      { "1.5h", -1 },
        { "1 s", -1 },      { "1S", -1 },
        { "", -1 },         { "99999999999999999999d", -1 },
        { "1s2", -1 },
    };
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ms = -1;
        int result = cli_duration("every", rows[i].text, &ms, &err);

        assert_int_equal(result, rows[i].want < 0 ? -1 : 0);
        assert_int_equal(ms, rows[i].want);
    }
}

static void test_cli_time(void **state)
{
    const int64_t now_ms = INT64_C(1795570200000); /* 2026-11-25 09:30:00 in Shanghai */
    static const struct {
        const char *text;
        int64_t want; /* from now, or -1: refused */
    } rows[] = {
        { "now", 0 },
        { "2026-11-25T01:30:01Z", 1000 },
        { "2026-11-25 09:30:10", 10000 },
        { "2026-11-25 09:31", 60000 },
        { "09:32", 120000 },
        { "09:30:05", 5000 },
        { "2026-11-26", INT64_C(52200000) },
        { "2026-11-25T09:30:00", -1 },
        { "9", -1 },
        { "tomorrow", -1 },
        { "", -1 },
        { "25:00", -1 },
    };
    struct error err;

    (void)state;
    setenv("TZ", "Asia/Shanghai", 1);
    tzset();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ms = -1;
        int result = cli_time("TIME", rows[i].text, now_ms, &ms, &err);

        assert_int_equal(result, rows[i].want < 0 ? -1 : 0);
        assert_int_equal(ms, rows[i].want < 0 ? -1 : now_ms + rows[i].want);
    }
}

static void test_cli_language_follows_the_locale(void **state)
{
    (void)state;
    unsetenv("LC_ALL");
    unsetenv("LC_MESSAGES");
    setenv("LANG", "zh_CN.UTF-8", 1);
    assert_int_equal(cli_language(), LANGUAGE_ZH);
    setenv("LC_ALL", "C.UTF-8", 1);
    assert_int_equal(cli_language(), LANGUAGE_EN);
    unsetenv("LANG");
    unsetenv("LC_ALL");
    assert_int_equal(cli_language(), LANGUAGE_EN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_line_arguments_and_options),
        cmocka_unit_test(test_command_line_after_two_dashes_is_arguments),
        cmocka_unit_test(test_command_line_mistakes),
        cmocka_unit_test(test_command_help_runs_nothing),
        cmocka_unit_test(test_cli_duration),
        cmocka_unit_test(test_cli_time),
        cmocka_unit_test(test_cli_language_follows_the_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
