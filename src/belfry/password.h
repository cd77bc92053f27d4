#ifndef BELFRY_BELFRY_PASSWORD_H
#define BELFRY_BELFRY_PASSWORD_H

#include "belfry/command.h"

/* For tables of options. */
#define PASSWORD_OPTION \
    { "password-stdin", 0, NULL, "read it from standard input (one line each)", NULL }

/*
 * A password: with --password-stdin the next line of standard input, else asked for on the
 * terminal, without echo; twice where it is a new one. In the command's arena; wipe it with
 * password_wipe. ERR_INVALID where there is neither.
 */
int password_ask(struct cli *cli, const char *prompt, bool is_new, char **ret, struct error *err);
void password_wipe(char *password);

#endif
