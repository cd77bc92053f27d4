#include "belfry/command.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

/*
 * Completion scripts, written from the same tables as --help. They hold no logic of their own but:
 * the word before decides a value, else the command and subcommand decide what may stand here.
 */
extern const struct command command_job, command_run, command_why, command_user, command_key,
    command_cron, command_doctor, command_completion;

const struct command *const client_commands[] = {
    &command_job,  &command_run,    &command_why,        &command_user, &command_key,
    &command_cron, &command_doctor, &command_completion, NULL,
};

static const struct {
    const char *name, *about;
} names[] = {
#define COMMAND(name, function, about, group) { name, about },
#include "belfry/commands.inc"
#undef COMMAND
};
static const size_t name_count = sizeof(names) / sizeof(*names);

static const struct cli_option *const *option_lists(const struct subcommand *sub,
                                                    const struct cli_option *lists[3])
{
    lists[0] = sub->options;
    lists[1] = cli_shared_options(sub);
    lists[2] = NULL;
    return lists[0] ? lists : lists + 1;
}

/* Text inside '…' for a shell; in zsh's lists a ':' also parts name from description. */
static void quoted(const char *text, bool colons)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (*text == ':' && colons)
            fputs("\\:", stdout);
        else
            putchar(*text);
    }
}

/* --- bash ----------------------------------------------------------------------------------- */

static void bash_options(const struct subcommand *sub)
{
    const struct cli_option *lists[3];

    for (const struct cli_option *const *list = option_lists(sub, lists); *list; list++) {
        for (const struct cli_option *o = *list; o->name; o++)
            printf(" --%s", o->name);
    }
}

static void bash_value(const char *key, const struct cli_option *option)
{
    if (!option->value)
        return;
    printf("    '%s --%s')\n        ", key, option->name);
    if (option->choices) {
        fputs("COMPREPLY=($(compgen -W '", stdout);
        for (const char *c = option->choices; *c; c++)
            putchar(*c == '|' ? ' ' : *c);
        fputs("' -- \"$cur\"))", stdout);
    } else {
        fputs(strcmp(option->value, "FILE") == 0 ? "COMPREPLY=($(compgen -f -- \"$cur\"))" : ":",
              stdout);
    }
    fputs("\n        return ;;\n", stdout);
}

static void bash_key(char *key, size_t size, const struct command *command,
                     const struct subcommand *sub)
{
    snprintf(key, size, "%s%s%s", command->name, *sub->name ? " " : "", sub->name);
}

static void bash_values(const struct command *command)
{
    const struct cli_option *lists[3];
    char key[64];

    for (const struct subcommand *sub = command->subcommands; sub->run; sub++) {
        bash_key(key, sizeof(key), command, sub);
        for (const struct cli_option *const *list = option_lists(sub, lists); *list; list++) {
            for (const struct cli_option *o = *list; o->name; o++)
                bash_value(key, o);
        }
    }
}

static void bash_words(const struct command *command)
{
    char key[64];

    if (*command->subcommands->name) {
        printf("    '%s') words='", command->name);
        for (const struct subcommand *sub = command->subcommands; sub->run; sub++)
            printf("%s ", sub->name);
        fputs("--help' ;;\n", stdout);
    }
    for (const struct subcommand *sub = command->subcommands; sub->run; sub++) {
        bash_key(key, sizeof(key), command, sub);
        printf("    '%s') words='", key);
        bash_options(sub);
        fputs("' ;;\n", stdout);
    }
}

static void bash_print(void)
{
    fputs("# bash completion of belfry; written by: belfry completion bash\n"
          "_belfry()\n"
          "{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} key words=\n"
          "    COMPREPLY=()\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    for (size_t i = 0; i < name_count; i++) {
        if (names[i].about)
            printf("%s ", names[i].name);
    }
    fputs("--help' -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    key=${COMP_WORDS[1]}\n"
          "    case $key in\n    ",
          stdout);
    for (const struct command *const *c = client_commands; *c; c++) {
        if (*(*c)->subcommands->name)
            printf("%s%s", c == client_commands ? "" : " | ", (*c)->name);
    }
    fputs(") ((COMP_CWORD > 2)) && key+=\" ${COMP_WORDS[2]}\" ;;\n"
          "    esac\n"
          "    case \"$key $prev\" in\n",
          stdout);
    for (const struct command *const *c = client_commands; *c; c++)
        bash_values(*c);
    fputs("    esac\n"
          "    case $key in\n",
          stdout);
    for (const struct command *const *c = client_commands; *c; c++)
        bash_words(*c);
    fputs("    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "}\n"
          "complete -F _belfry belfry\n",
          stdout);
}

/* --- zsh ------------------------------------------------------------------------------------ */

static void zsh_entry(const char *indent, const char *prefix, const char *name, const char *about)
{
    printf("%s'%s", indent, prefix);
    quoted(name, true);
    putchar(':');
    quoted(about, false);
    fputs("'\n", stdout);
}

/* One line for _arguments: '*--name[about]:VALUE:(a b)' */
static void zsh_option(const struct cli_option *option)
{
    printf("            '*--%s[", option->name);
    for (const char *c = option->about; *c; c++) {
        if (*c == '[' || *c == ']' || *c == ':')
            putchar('\\');
        if (*c == '\'')
            fputs("'\\'", stdout);
        putchar(*c);
    }
    putchar(']');
    if (option->value) {
        putchar(':');
        quoted(option->value, true);
        putchar(':');
        if (option->choices) {
            putchar('(');
            for (const char *c = option->choices; *c; c++)
                putchar(*c == '|' ? ' ' : *c);
            putchar(')');
        } else if (strcmp(option->value, "FILE") == 0) {
            fputs("_files", stdout);
        }
    }
    fputs("' \\\n", stdout);
}

static void zsh_command(const struct command *command)
{
    const struct cli_option *lists[3];

    if (*command->subcommands->name) {
        printf("    %s)\n        subcommands=(\n", command->name);
        for (const struct subcommand *sub = command->subcommands; sub->run; sub++)
            zsh_entry("            ", "", sub->name, sub->about);
        fputs("        ) ;;\n", stdout);
    }
    for (const struct subcommand *sub = command->subcommands; sub->run; sub++) {
        printf("    '%s%s%s')\n        _arguments \\\n", command->name, *sub->name ? " " : "",
               sub->name);
        for (const struct cli_option *const *list = option_lists(sub, lists); *list; list++) {
            for (const struct cli_option *o = *list; o->name; o++)
                zsh_option(o);
        }
        fputs("            '*: :'\n        return ;;\n", stdout);
    }
}

static void zsh_print(void)
{
    fputs("#compdef belfry\n"
          "# zsh completion of belfry; written by: belfry completion zsh\n"
          "_belfry()\n"
          "{\n"
          "    local -a commands subcommands\n"
          "    local key=$words[2]\n"
          "    commands=(\n",
          stdout);
    for (size_t i = 0; i < name_count; i++) {
        if (names[i].about)
            zsh_entry("        ", "", names[i].name, names[i].about);
    }
    fputs("    )\n"
          "    if ((CURRENT == 2)); then\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    case $key in\n    ",
          stdout);
    for (const struct command *const *c = client_commands; *c; c++) {
        if (*(*c)->subcommands->name)
            printf("%s%s", c == client_commands ? "" : " | ", (*c)->name);
    }
    fputs(") ((CURRENT > 3)) && key+=\" $words[3]\" ;;\n"
          "    esac\n"
          "    case $key in\n",
          stdout);
    for (const struct command *const *c = client_commands; *c; c++)
        zsh_command(*c);
    fputs("    esac\n"
          "    ((CURRENT == 3)) && _describe command subcommands\n"
          "}\n"
          "_belfry \"$@\"\n",
          stdout);
}

/* --- the command ---------------------------------------------------------------------------- */

static int completion(struct cli *cli)
{
    struct error err = { 0 };
    const char *shell = cli_arg(cli, 0);

    if (strcmp(shell, "bash") == 0) {
        bash_print();
        return EXIT_OK;
    }
    if (strcmp(shell, "zsh") == 0) {
        zsh_print();
        return EXIT_OK;
    }
    error_set(&err, ERR_INVALID, "there is no completion for \"%s\", only for bash and zsh", shell);
    return cli_fail(cli, &err);
}

static const struct subcommand subcommands[] = {
    { "", "SHELL", "Prints the completion script for a shell: bash or zsh.", NULL, completion,
      "  source <(belfry completion bash)          in ~/.bashrc\n"
      "  belfry completion zsh > ~/.zfunc/_belfry  with ~/.zfunc in fpath\n",
      true },
    { 0 },
};

const struct command command_completion = {
    .name = "completion",
    .about = "Completion scripts for shells.",
    .subcommands = subcommands,
};

int cmd_completion(int argc, char **argv)
{
    return command_main(&command_completion, argc, argv);
}
