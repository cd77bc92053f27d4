#ifndef BELFRY_BELFRY_COMMAND_H
#define BELFRY_BELFRY_COMMAND_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Commands as tables: parsing, --help and shell completion all come from them. A command such as
 * `job` has subcommands; one without (`why`) has a single one whose name is "".
 */
struct cli;

struct cli_option {
    const char *name;    /* "cron", given as --cron; */
    char letter;         /* 'f' for -f too; 0: none */
    const char *value;   /* what stands for its value in help; NULL: a switch */
    const char *about;
    const char *choices; /* "once|skip|both": anything else is a usage error; NULL: free */
};

struct subcommand {
    const char *name;
    const char *arguments;  /* "JOB [TIME]": what is in brackets may be left out */
    const char *about;      /* one line */
    const struct cli_option *options; /* ended by one without name; NULL: none */
    int (*run)(struct cli *cli);      /* returns the exit code */
    const char *examples;   /* lines; NULL: none */
    bool local;             /* needs no server: no --url, no key */
};

struct command {
    const char *name;
    const char *about;
    const struct subcommand *subcommands; /* ended by one without run */
    const char *more;       /* paragraph of the command's help; NULL: none */
};

/* Exit codes of every client command; docs/cli.md says the same. */
enum cli_exit {
    EXIT_OK = 0,
    EXIT_REFUSED = 1,     /* the server said no, or what was waited for failed */
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_DENIED = 4,      /* not signed in, or not allowed to */
    EXIT_UNREACHABLE = 5, /* no answer from the server, or it cannot answer now */
};

/* A command line as it was read. */
struct cli {
    const struct command *command;
    const struct subcommand *subcommand;
    struct arena *arena;
    const char **args;
    size_t arg_count;
    struct cli_given *given;
    size_t given_count;
    struct client *client; /* made with the first call */
    bool refused;          /* the server answered with an error */
};

/* Reads the command line (argv[0] is the command's name) and runs it; returns the exit code. */
int command_main(const struct command *command, int argc, char **argv);

/* Value of an option given last, NULL where it was not; "" for a switch. */
const char *cli_option(const struct cli *cli, const char *name);
bool cli_has(const struct cli *cli, const char *name);
/* The values of an option given many times: *position begins at 0; NULL: no more. */
const char *cli_option_next(const struct cli *cli, const char *name, size_t *position);
/* The argument, NULL where there are fewer. */
const char *cli_arg(const struct cli *cli, size_t index);

/* The language of the user, by LC_ALL, LC_MESSAGES and LANG. */
enum language cli_language(void);
/*
 * Prints the error on standard error and returns the exit code that fits. ERR_INVALID that no
 * server said is a mistake on the command line.
 */
int cli_fail(const struct cli *cli, const struct error *err);

/* Durations as people write them: "250ms", "30s", "5m", "2h", "1d"; an error names the option. */
int cli_duration(const char *option, const char *text, int64_t *ret_ms, struct error *err);
/*
 * Points in time: RFC 3339; "2026-11-25 09:30[:00]" or "09:30[:00]" (today) in the local zone;
 * "now".
 */
int cli_time(const char *option, const char *text, int64_t now_ms, int64_t *ret_ms,
             struct error *err);

/* The options that every subcommand has beside its own. */
const struct cli_option *cli_shared_options(const struct subcommand *sub);

/* The commands made of tables. */
extern const struct command *const client_commands[]; /* ended by NULL */
int cmd_job(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_why(int argc, char **argv);
int cmd_user(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_cron(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_completion(int argc, char **argv);

#endif
