#ifndef BELFRY_BASE_ERROR_H
#define BELFRY_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * An error carries a code of a closed set, a message id and its arguments, and where it applies
 * the path of the member and the position in its text. The message id is the English printf
 * format itself; the text is made at the edge, in the reader's language (error_text). The Chinese
 * formats stand in base/message-zh.c.
 */
enum error_code {
    ERR_NONE,
    ERR_INVALID,           /* input breaks a rule; path names the member */
    ERR_NOT_FOUND,
    ERR_CONFLICT,          /* exists already, or state does not allow it */
    ERR_PRECONDITION,      /* If-Match names another version */
    ERR_UNAUTHENTICATED,
    ERR_FORBIDDEN,
    ERR_THROTTLED,         /* too many requests */
    ERR_TOO_LARGE,
    ERR_METHOD,            /* path exists, method does not */
    ERR_MEDIA_TYPE,
    ERR_SETUP_REQUIRED,    /* no administrator yet */
    ERR_UNAVAILABLE,       /* a dependency is out of reach; trying again may help */
    ERR_TIMEOUT,
    ERR_STORAGE_FULL,
    ERR_IO,
    ERR_INTERNAL,
    ERR_CODE_COUNT
};

enum language { LANGUAGE_EN, LANGUAGE_ZH };

#define ERROR_ARGS_MAX 8

struct error_arg {
    char type;             /* 's' text, 'd' integer, 'f' floating */
    int64_t integer;
    double floating;
    uint16_t text;         /* offset in struct error.pool */
};

struct error {
    enum error_code code;
    const char *message;   /* static: the English format, and the key of its translation */
    int position;          /* code points from 1; 0: none */
    int field;             /* e.g. the cron field, from 1; 0: none */
    char path[192];        /* JSON pointer style member path such as "schedule.cron", or "" */
    uint16_t arg_count, pool_used;
    struct error_arg args[ERROR_ARGS_MAX];
    char pool[768];        /* argument texts, cut at the end if they do not fit */
};

/*
 * Fill err and return -1. err may be NULL. Allowed conversions: %s %.*s %c %d %u %x %zu
 * %ld %lu %lld %llu (so PRId64 too), %f %g, %%; no width but for .*s, no positional ones.
 * message must be a string literal. A text argument that is a word of ours, not of the input, is
 * written ERROR_TERM("day of month"): it is translated with the message.
 */
#define ERROR_TERM(literal) "\1" literal
int error_set(struct error *err, enum error_code code, const char *message, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with the member's path, e.g. "tasks[2].url"; path is copied. */
int error_set_at(struct error *err, enum error_code code, const char *path, const char *message, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts outer (with '.' where inner does not begin with '[') before the path. Returns -1. */
int error_prefix_path(struct error *err, const char *outer);
/* Sets field and position (see above). Returns -1. */
int error_set_position(struct error *err, int field, int position);

/* Stable name of a code for machines: "invalid", "not_found", … */
const char *error_code_name(enum error_code code);
/* The code of a name, for what a server answered; false where there is none (a newer server). */
bool error_code_find(const char *name, enum error_code *ret_code);
/* Writes the text in the language, always NUL-terminated; returns buffer. */
char *error_text(const struct error *err, enum language language, char *buffer, size_t size);
/* For logs: English text in a thread-local buffer that the next call overwrites. */
const char *error_english(const struct error *err);

/* Chinese format of an English one; NULL where there is none (base/message-zh.c). */
const char *message_chinese(const char *english);
/* The table's own copy of an English format: for errors that came from another process. */
const char *message_known(const char *english);

#endif
