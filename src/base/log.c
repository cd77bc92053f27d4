#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static atomic_int level_least = LOG_LEVEL_INFO;
static _Thread_local const char *service_name;

void log_level_set(enum log_level level)
{
    atomic_store(&level_least, (int)level);
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (int i = 0; i <= LOG_LEVEL_ERROR; i++)
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    return false;
}

void log_service_set(const char *service)
{
    service_name = service;
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&level_least, memory_order_relaxed);
}

const char *log_int(int64_t number)
{
    static _Thread_local char texts[16][24];
    static _Thread_local unsigned next;
    char *text = texts[next++ % 16];

    snprintf(text, 24, "%lld", (long long)number);
    return text;
}

static bool needs_quotes(const char *value)
{
    if (!*value)
        return true;
    for (; *value; value++)
        if (*value <= ' ' || *value == '"' || *value == '=' || *value == '\\' || *value == 0x7f)
            return true;
    return false;
}

static void value_add(struct buf *line, const char *value)
{
    if (!needs_quotes(value)) {
        buf_add_text(line, value);
        return;
    }
    buf_add_char(line, '"');
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        if (c == '"' || c == '\\')
            buf_printf(line, "\\%c", c);
        else if (c == '\n')
            buf_add_text(line, "\\n");
        else if (c < ' ' || c == 0x7f)
            buf_printf(line, "\\x%02x", c);
        else
            buf_add_char(line, (char)c);
    }
    buf_add_char(line, '"');
}

static void pair_add(struct buf *line, const char *name, const char *value)
{
    if (!value)
        return;
    buf_add_char(line, ' ');
    buf_add_text(line, name);
    buf_add_char(line, '=');
    value_add(line, value);
}

void log_write(enum log_level level, const char *message, ...)
{
    struct buf line;
    char time[TIME_TEXT_SIZE];
    va_list ap;

    if (!log_enabled(level))
        return;
    buf_init(&line, 16 * 1024);
    buf_printf(&line, "time=%s", time_format_utc(clock_wall_ms(), time));
    pair_add(&line, "level", level_names[level]);
    pair_add(&line, "service", service_name);
    pair_add(&line, "msg", message);
    va_start(ap, message);
    for (const char *name; (name = va_arg(ap, const char *));)
        pair_add(&line, name, va_arg(ap, const char *));
    va_end(ap);
    line.overflow = false;
    buf_add_char(&line, '\n');
    /* one write a line keeps lines of several processes whole; a log that cannot be written is no
     * reason to stop work */
    ssize_t written = write(STDERR_FILENO, line.bytes, line.size);
    (void)written;
    buf_done(&line);
}
