#include "belfry/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_MAX = 1024 };

void password_wipe(char *password)
{
    if (password)
        explicit_bzero(password, strlen(password));
}

/* One line, read byte by byte so that nothing behind it is taken from the next reader. */
static int line_read(int fd, char *line, size_t max)
{
    size_t size = 0;

    for (;;) {
        ssize_t got = read(fd, line + size, 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 && size == 0)
            return -1;
        if (got <= 0 || line[size] == '\n')
            break;
        if (++size == max)
            return -1;
    }
    line[size] = '\0';
    return 0;
}

static int terminal_read(int tty, const char *prompt, char *line)
{
    struct termios old, quiet;
    int result;

    if (tcgetattr(tty, &old) < 0)
        return -1;
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    /* Quiet before it asks: what is typed at once must neither show nor be thrown away. */
    tcsetattr(tty, TCSAFLUSH, &quiet);
    dprintf(tty, "%s: ", prompt);
    result = line_read(tty, line, PASSWORD_MAX);
    tcsetattr(tty, TCSADRAIN, &old);
    dprintf(tty, "\n");
    return result;
}

static int terminal_ask(struct cli *cli, int tty, const char *prompt, bool is_new, char *line,
                        struct error *err)
{
    char *again = arena_alloc(cli->arena, PASSWORD_MAX + 1);
    bool same;

    if (terminal_read(tty, prompt, line) < 0)
        return error_set(err, ERR_INVALID, "no password was given");
    if (!is_new)
        return 0;
    if (terminal_read(tty, "Once more", again) < 0)
        return error_set(err, ERR_INVALID, "no password was given");
    same = strcmp(line, again) == 0;
    explicit_bzero(again, PASSWORD_MAX);
    return same ? 0 : error_set(err, ERR_INVALID, "the two are not the same");
}

int password_ask(struct cli *cli, const char *prompt, bool is_new, char **ret, struct error *err)
{
    char *line = arena_alloc(cli->arena, PASSWORD_MAX + 1);
    int tty, result;

    *ret = line;
    if (cli_has(cli, "password-stdin")) {
        if (line_read(STDIN_FILENO, line, PASSWORD_MAX) < 0)
            return error_set(err, ERR_INVALID, "there is no password on standard input");
        return 0;
    }
    tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return error_set(err, ERR_INVALID,
                         "there is no terminal to ask for the password: use --password-stdin");
    result = terminal_ask(cli, tty, prompt, is_new, line, err);
    close(tty);
    return result;
}
