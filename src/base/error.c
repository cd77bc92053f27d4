#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[ERR_CODE_COUNT] = {
    [ERR_NONE] = "none",
    [ERR_INVALID] = "invalid",
    [ERR_NOT_FOUND] = "not_found",
    [ERR_CONFLICT] = "conflict",
    [ERR_PRECONDITION] = "precondition_failed",
    [ERR_UNAUTHENTICATED] = "unauthenticated",
    [ERR_FORBIDDEN] = "forbidden",
    [ERR_THROTTLED] = "throttled",
    [ERR_TOO_LARGE] = "too_large",
    [ERR_METHOD] = "method_not_allowed",
    [ERR_MEDIA_TYPE] = "unsupported_media_type",
    [ERR_SETUP_REQUIRED] = "setup_required",
    [ERR_UNAVAILABLE] = "unavailable",
    [ERR_TIMEOUT] = "timeout",
    [ERR_STORAGE_FULL] = "storage_full",
    [ERR_IO] = "io",
    [ERR_INTERNAL] = "internal",
};

const char *error_code_name(enum error_code code)
{
    return code < ERR_CODE_COUNT ? code_names[code] : "internal";
}

bool error_code_find(const char *name, enum error_code *ret_code)
{
    for (unsigned code = ERR_NONE + 1; code < ERR_CODE_COUNT; code++) {
        if (strcmp(code_names[code], name) == 0) {
            *ret_code = (enum error_code)code;
            return true;
        }
    }
    return false;
}

static uint16_t pool_add(struct error *err, const char *text, size_t size)
{
    size_t room = sizeof err->pool - 1 - err->pool_used;
    uint16_t offset = err->pool_used;

    if (size > room) {
        size = room;
        while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80)
            size--; /* never cut inside a code point */
    }
    memcpy(err->pool + offset, text, size);
    err->pool[offset + size] = '\0';
    err->pool_used = (uint16_t)(offset + size + (size < room ? 1 : 0));
    return offset;
}

/* One conversion of a format: its letter, the 'l' count, whether a precision comes as argument. */
struct conversion {
    char letter;
    int longs; /* 2 for ll, 3 for z */
    bool star;
};

/* p stands behind '%'; returns the first character after the conversion. */
static const char *conversion_parse(const char *p, struct conversion *ret)
{
    *ret = (struct conversion){ 0 };
    if (p[0] == '.' && p[1] == '*') {
        ret->star = true;
        p += 2;
    }
    while (*p == '.' || (*p >= '0' && *p <= '9'))
        p++;
    for (; *p == 'l' || *p == 'z'; p++)
        ret->longs += *p == 'z' ? 3 : 1;
    ret->letter = *p;
    return *p ? p + 1 : p;
}

static int64_t integer_take(const struct conversion *c, va_list *ap)
{
    bool is_unsigned = c->letter == 'u' || c->letter == 'x';

    if (c->longs >= 3)
        return (int64_t)va_arg(*ap, size_t);
    if (c->longs == 2)
        return va_arg(*ap, long long);
    if (c->longs == 1)
        return va_arg(*ap, long);
    return is_unsigned ? (int64_t)va_arg(*ap, unsigned) : va_arg(*ap, int);
}

static void arg_take(struct error *err, const struct conversion *c, va_list *ap)
{
    struct error_arg arg = { .type = c->letter };
    int precision = c->star ? va_arg(*ap, int) : -1;

    switch (c->letter) {
    case 's': {
        const char *text = va_arg(*ap, const char *);
        if (!text)
            text = "";
        size_t size = precision < 0 ? strlen(text) : strnlen(text, (size_t)precision);
        arg.text = pool_add(err, text, size);
        break;
    }
    case 'f':
    case 'g':
        arg.type = 'f';
        arg.floating = va_arg(*ap, double);
        break;
    default:
        arg.integer = integer_take(c, ap);
        break;
    }
    if (err->arg_count < ERROR_ARGS_MAX)
        err->args[err->arg_count++] = arg;
}

static void error_fill(struct error *err, enum error_code code, const char *message, va_list *ap)
{
    err->code = code;
    err->message = message;
    err->position = err->field = 0;
    err->arg_count = err->pool_used = 0;
    for (const char *p = message; *p;) {
        struct conversion c;
        if (*p++ != '%')
            continue;
        if (*p == '%') {
            p++;
            continue;
        }
        p = conversion_parse(p, &c);
        arg_take(err, &c, ap);
    }
}

int error_set(struct error *err, enum error_code code, const char *message, ...)
{
    va_list ap;

    if (!err)
        return -1;
    err->path[0] = '\0';
    va_start(ap, message);
    error_fill(err, code, message, &ap);
    va_end(ap);
    return -1;
}

int error_set_at(struct error *err, enum error_code code, const char *path, const char *message, ...)
{
    va_list ap;

    if (!err)
        return -1;
    snprintf(err->path, sizeof err->path, "%s", path ? path : "");
    va_start(ap, message);
    error_fill(err, code, message, &ap);
    va_end(ap);
    return -1;
}

int error_prefix_path(struct error *err, const char *outer)
{
    char inner[sizeof err->path];

    if (!err)
        return -1;
    memcpy(inner, err->path, sizeof inner);
    const char *dot = inner[0] && inner[0] != '[' ? "." : "";
    int n = snprintf(err->path, sizeof err->path, "%s%s%s", outer, dot, inner);
    if (n >= (int)sizeof err->path)
        err->path[sizeof err->path - 1] = '\0';
    return -1;
}

int error_set_position(struct error *err, int field, int position)
{
    if (err) {
        err->field = field;
        err->position = position;
    }
    return -1;
}

/* Text as it came, or a term (ERROR_TERM) in the reader's language. */
static const char *arg_text(const char *text, enum language language)
{
    if (text[0] != ERROR_TERM("")[0])
        return text;
    const char *chinese = language == LANGUAGE_ZH ? message_chinese(text + 1) : NULL;
    return chinese ? chinese : text + 1;
}

static size_t arg_print(const struct error *err, unsigned index, enum language language, char *out,
                        size_t size)
{
    int n = 0;

    if (index >= err->arg_count)
        return 0;
    const struct error_arg *arg = &err->args[index];
    switch (arg->type) {
    case 's': n = snprintf(out, size, "%s", arg_text(err->pool + arg->text, language)); break;
    case 'c': n = snprintf(out, size, "%c", (char)arg->integer); break;
    case 'f': n = snprintf(out, size, "%g", arg->floating); break;
    case 'x': n = snprintf(out, size, "%llx", (unsigned long long)arg->integer); break;
    case 'u': n = snprintf(out, size, "%llu", (unsigned long long)arg->integer); break;
    default: n = snprintf(out, size, "%lld", (long long)arg->integer); break;
    }
    if (n < 0)
        return 0;
    return (size_t)n < size ? (size_t)n : size - 1;
}

char *error_text(const struct error *err, enum language language, char *buffer, size_t size)
{
    const char *format = err->message ? err->message : "";
    unsigned next = 0;
    size_t used = 0;

    if (language == LANGUAGE_ZH && message_chinese(format))
        format = message_chinese(format);
    for (const char *p = format; *p && used + 1 < size;) {
        struct conversion c;
        if (*p != '%' || p[1] == '%') {
            p += *p == '%' ? 1 : 0;
            buffer[used++] = *p++;
            continue;
        }
        unsigned index = next;
        if (p[1] >= '1' && p[1] <= '9' && p[2] == '$') { /* a translation may reorder: %2$s */
            index = (unsigned)(p[1] - '1');
            p += 2;
        } else {
            next++;
        }
        p = conversion_parse(p + 1, &c);
        used += arg_print(err, index, language, buffer + used, size - used);
    }
    buffer[used] = '\0';
    return buffer;
}

const char *error_english(const struct error *err)
{
    static _Thread_local char text[1024];

    return error_text(err, LANGUAGE_EN, text, sizeof text);
}
