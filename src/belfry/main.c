#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* belfry COMMAND …: looks the command up and hands over. argv[0] of a command is its own name. */

#define COMMAND(name, function, about, group) int function(int argc, char **argv);
#include "belfry/commands.inc"
#undef COMMAND

enum group { SERVER, CLIENT, OTHER };

struct entry {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
    enum group group;
};

static const struct entry entries[] = {
#define COMMAND(name, function, about, group) { name, function, about, group },
#include "belfry/commands.inc"
#undef COMMAND
};
static const size_t entry_count = sizeof entries / sizeof *entries;

enum { EXIT_USAGE_LINE = 64 };

static const struct entry *entry_find(const char *name)
{
    for (size_t i = 0; i < entry_count; i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}

static void group_print(FILE *out, enum group group, const char *title)
{
    bool any = false;

    for (size_t i = 0; i < entry_count; i++) {
        if (entries[i].group != group || !entries[i].about)
            continue;
        if (!any)
            fprintf(out, "\n%s:\n", title);
        any = true;
        fprintf(out, "  %-12s %s\n", entries[i].name, entries[i].about);
    }
}

static void help_print(FILE *out)
{
    fputs("Belfry runs work at its time and tells people what they must know.\n"
          "\n"
          "usage: belfry COMMAND [ARGUMENT …]\n"
          "       belfry COMMAND --help      what a command does, with examples\n",
          out);
    group_print(out, SERVER, "Server");
    group_print(out, CLIENT,
                "Client of a running Belfry (BELFRY_URL, default http://127.0.0.1:8680)");
    group_print(out, OTHER, "Other");
    fputs(
        "\n"
        "First steps:\n"
        "  belfry serve                   start everything in this terminal; data in BELFRY_DATA\n"
        "  belfry cron next '0 9 * * 1-5' when would that fire?\n",
        out);
}

/* The command that the word was perhaps meant to be: same start. */
static const struct entry *entry_near(const char *name)
{
    for (size_t n = strlen(name); n > 0; n--)
        for (size_t i = 0; i < entry_count; i++)
            if (entries[i].about && strncmp(entries[i].name, name, n) == 0)
                return &entries[i];
    return NULL;
}

static int unknown(const char *name)
{
    const struct entry *near = entry_near(name);

    fprintf(stderr, "belfry: no command \"%s\"", name);
    if (near)
        fprintf(stderr, "; did you mean \"%s\"?", near->name);
    fputs(" See belfry --help.\n", stderr);
    return EXIT_USAGE_LINE;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    if (!name) {
        help_print(stderr);
        return EXIT_USAGE_LINE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        help_print(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    const struct entry *entry = entry_find(name);
    return entry ? entry->run(argc - 1, argv + 1) : unknown(name);
}
