#include "belfry/command.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/str.h"
#include "belfry/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct cli_given {
    const struct cli_option *option;
    const char *value;
};

static const struct cli_option common_options[] = {
    { "json", 0, NULL, "print what the server answered, for programs", NULL },
    { "url", 0, "URL", "the server (or BELFRY_URL; default http://127.0.0.1:8680)", NULL },
    { "help", 'h', NULL, "this text", NULL },
    { 0 },
};
static const struct cli_option local_options[] = {
    { "json", 0, NULL, "print for programs", NULL },
    { "help", 'h', NULL, "this text", NULL },
    { 0 },
};

/* --- help ----------------------------------------------------------------------------------- */

static void options_print(FILE *out, const struct cli_option *options)
{
    for (const struct cli_option *o = options; o && o->name; o++) {
        char left[64];

        snprintf(left, sizeof(left), "%s--%s%s%s", o->letter ? "-f, " : "", o->name,
                 o->value ? " " : "", o->value ? o->value : "");
        if (o->letter)
            left[1] = o->letter;
        fprintf(out, "  %-26s %s%s%s%s\n", left, o->about, o->choices ? " (" : "",
                o->choices ? o->choices : "", o->choices ? ")" : "");
    }
}

const struct cli_option *cli_shared_options(const struct subcommand *sub)
{
    return sub->local ? local_options : common_options;
}

static void subcommand_name_print(FILE *out, const struct command *command,
                                  const struct subcommand *sub)
{
    fprintf(out, "belfry %s%s%s", command->name, *sub->name ? " " : "", sub->name);
}

static void subcommand_help(FILE *out, const struct command *command, const struct subcommand *sub)
{
    fputs("usage: ", out);
    subcommand_name_print(out, command, sub);
    fprintf(out, "%s%s [OPTION]…\n\n%s\n\n", *sub->arguments ? " " : "", sub->arguments,
            sub->about);
    options_print(out, sub->options);
    options_print(out, cli_shared_options(sub));
    if (!*sub->name && command->more)
        fprintf(out, "\n%s", command->more);
    if (sub->examples)
        fprintf(out, "\nExamples:\n%s", sub->examples);
}

static void command_help(FILE *out, const struct command *command)
{
    fprintf(out, "usage: belfry %s COMMAND [ARGUMENT]… [OPTION]…\n\n%s\n\n", command->name,
            command->about);
    for (const struct subcommand *sub = command->subcommands; sub->run; sub++)
        fprintf(out, "  %-10s %-22s %s\n", sub->name, sub->arguments, sub->about);
    if (command->more)
        fprintf(out, "\n%s", command->more);
    fprintf(out, "\n`belfry %s COMMAND --help` tells more, with examples.\n", command->name);
}

/* --- reading the line ----------------------------------------------------------------------- */

static const struct cli_option *option_find(const struct cli *cli, struct str name)
{
    const struct cli_option *lists[] = { cli->subcommand->options,
                                         cli_shared_options(cli->subcommand) };

    for (size_t i = 0; i < 2; i++) {
        for (const struct cli_option *o = lists[i]; o && o->name; o++) {
            if (str_is(name, o->name) || (o->letter && name.size == 1 && *name.bytes == o->letter))
                return o;
        }
    }
    return NULL;
}

static bool choice_has(const char *choices, const char *value)
{
    struct str rest = str_of(choices), part;

    while (str_split(&rest, '|', &part)) {
        if (str_is(part, value))
            return true;
    }
    return false;
}

/* argv[*at] begins with '-': takes it, and its value from the next where it has none with '='. */
static int option_read(struct cli *cli, int argc, char **argv, int *at, struct error *err)
{
    bool is_long = argv[*at][1] == '-';
    struct str rest = str_of(argv[*at] + (is_long ? 2 : 1)), name;
    const struct cli_option *option;
    const char *value = NULL;

    str_split(&rest, '=', &name);
    option = (is_long) == (name.size > 1) ? option_find(cli, name) : NULL;
    if (!option)
        return error_set(err, ERR_INVALID, "there is no option %s", argv[*at]);
    if (rest.bytes)
        value = rest.bytes;
    if (!option->value && value)
        return error_set(err, ERR_INVALID, "--%s takes no value", option->name);
    if (option->value && !value) {
        if (*at + 1 >= argc)
            return error_set(err, ERR_INVALID, "--%s needs a value: %s", option->name,
                             option->value);
        value = argv[++*at];
    }
    if (option->choices && !choice_has(option->choices, value))
        return error_set(err, ERR_INVALID, "--%s is one of %s", option->name, option->choices);
    cli->given[cli->given_count++] =
        (struct cli_given){ .option = option, .value = value ? value : "" };
    return 0;
}

static int line_read(struct cli *cli, int argc, char **argv, struct error *err)
{
    bool only_args = false;

    for (int i = 0; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0)
            only_args = true;
        else if (!only_args && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (option_read(cli, argc, argv, &i, err) < 0)
                return -1;
        } else {
            cli->args[cli->arg_count++] = argv[i];
        }
    }
    return 0;
}

/* Holds the number of arguments against "JOB [TIME]". */
static int arguments_check(const struct cli *cli, struct error *err)
{
    struct str rest = str_of(cli->subcommand->arguments), part;
    size_t min = 0, max = 0;

    while (str_split(&rest, ' ', &part)) {
        if (!part.size)
            continue;
        max++;
        if (part.bytes[0] != '[')
            min++;
    }
    if (cli->arg_count < min)
        return error_set(err, ERR_INVALID, "what is missing: %s", cli->subcommand->arguments);
    if (cli->arg_count > max)
        return error_set(err, ERR_INVALID, "one argument too many: %s", cli->args[max]);
    return 0;
}

static const struct subcommand *subcommand_find(const struct command *command, const char *name)
{
    for (const struct subcommand *sub = command->subcommands; sub->run; sub++) {
        if (!*sub->name || (name && strcmp(sub->name, name) == 0))
            return sub;
    }
    return NULL;
}

static int subcommand_main(struct cli *cli, int argc, char **argv)
{
    struct error err = { 0 };

    cli->args = ARENA_ARRAY(cli->arena, const char *, (size_t)argc + 1);
    cli->given = ARENA_ARRAY(cli->arena, struct cli_given, (size_t)argc + 1);
    if (line_read(cli, argc, argv, &err) < 0)
        return cli_fail(cli, &err);
    if (cli_has(cli, "help")) {
        subcommand_help(stdout, cli->command, cli->subcommand);
        return EXIT_OK;
    }
    if (arguments_check(cli, &err) < 0)
        return cli_fail(cli, &err);
    return cli->subcommand->run(cli);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int command_main(const struct command *command, int argc, char **argv)
{
    struct cli cli = { .command = command };
    const char *name = argc > 1 ? argv[1] : NULL;
    int code, used;

    cli.subcommand = subcommand_find(command, name);
    if (!cli.subcommand && name && is_help(name)) {
        command_help(stdout, command);
        return EXIT_OK;
    }
    if (!cli.subcommand) {
        struct error err = { 0 };

        if (!name) {
            command_help(stderr, command);
            return EXIT_USAGE;
        }
        error_set(&err, ERR_INVALID, "there is no command \"%s %s\"", command->name, name);
        return cli_fail(&cli, &err);
    }
    used = *cli.subcommand->name ? 2 : 1;
    cli.arena = arena_new();
    code = subcommand_main(&cli, argc - used, argv + used);
    client_free(&cli.client);
    arena_free(&cli.arena);
    if (fflush(stdout) != 0 && code == EXIT_OK)
        code = EXIT_REFUSED;
    return code;
}

/* --- what commands ask ---------------------------------------------------------------------- */

const char *cli_option_next(const struct cli *cli, const char *name, size_t *position)
{
    while (*position < cli->given_count) {
        const struct cli_given *given = &cli->given[(*position)++];

        if (strcmp(given->option->name, name) == 0)
            return given->value;
    }
    return NULL;
}

const char *cli_option(const struct cli *cli, const char *name)
{
    const char *last = NULL, *value;

    for (size_t position = 0; (value = cli_option_next(cli, name, &position));)
        last = value;
    return last;
}

bool cli_has(const struct cli *cli, const char *name)
{
    return cli_option(cli, name) != NULL;
}

const char *cli_arg(const struct cli *cli, size_t index)
{
    return index < cli->arg_count ? cli->args[index] : NULL;
}

enum language cli_language(void)
{
    static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return strncmp(value, "zh", 2) == 0 ? LANGUAGE_ZH : LANGUAGE_EN;
    }
    return LANGUAGE_EN;
}

static void error_print(const struct error *err)
{
    char text[1200];

    error_text(err, cli_language(), text, sizeof(text));
    if (*err->path)
        fprintf(stderr, "belfry: %s: %s\n", err->path, text);
    else
        fprintf(stderr, "belfry: %s\n", text);
}

static int usage_fail(const struct cli *cli)
{
    fprintf(stderr, "belfry %s%s%s --help tells how.\n", cli->command->name,
            cli->subcommand && *cli->subcommand->name ? " " : "",
            cli->subcommand ? cli->subcommand->name : "");
    return EXIT_USAGE;
}

int cli_fail(const struct cli *cli, const struct error *err)
{
    error_print(err);
    switch (err->code) {
    case ERR_INVALID:
        return cli->refused ? EXIT_REFUSED : usage_fail(cli);
    case ERR_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case ERR_UNAUTHENTICATED:
    case ERR_FORBIDDEN:
        return EXIT_DENIED;
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
        return EXIT_UNREACHABLE;
    default:
        return EXIT_REFUSED;
    }
}

int cli_duration(const char *option, const char *text, int64_t *ret_ms, struct error *err)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
    size_t digits = strspn(text, "0123456789");
    int64_t number;

    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (strcmp(text + digits, units[i].unit) == 0 &&
            number_parse((struct str){ text, digits }, 0, INT64_C(1000000000000) / units[i].ms,
                         &number)) {
            *ret_ms = number * units[i].ms;
            return 0;
        }
    }
    return error_set(err, ERR_INVALID,
                     "--%s wants a number and a unit (ms, s, m, h, d), such as 30s, not \"%s\"",
                     option, text);
}

/* strptime leaves fields that its format does not name alone: they are those of now. */
static bool local_time_parse(const char *text, const char *format, int64_t now_ms, int64_t *ret_ms)
{
    time_t now = (time_t)(now_ms / 1000);
    struct tm tm;
    char *end;

    localtime_r(&now, &tm);
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    end = strptime(text, format, &tm);
    if (!end || *end)
        return false;
    tm.tm_isdst = -1;
    *ret_ms = (int64_t)mktime(&tm) * 1000;
    return true;
}

int cli_time(const char *option, const char *text, int64_t now_ms, int64_t *ret_ms,
             struct error *err)
{
    static const char *const formats[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d",
                                           "%H:%M:%S", "%H:%M" };

    if (strcmp(text, "now") == 0) {
        *ret_ms = now_ms;
        return 0;
    }
    if (time_parse(str_of(text), ret_ms))
        return 0;
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        if (local_time_parse(text, formats[i], now_ms, ret_ms))
            return 0;
    }
    return error_set(err, ERR_INVALID,
                     "%s: \"%s\" is no time; write 2026-11-25T09:30:00+08:00, "
                     "\"2026-11-25 09:30\" or 09:30",
                     option, text);
}
