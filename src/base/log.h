#ifndef BELFRY_BASE_LOG_H
#define BELFRY_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Log lines are key=value on standard error: time, level, service, msg, then the ids of the
 * context, then what the call adds. Values are quoted and escaped where needed. A line says what
 * failed, on what, and what happens next; never a secret.
 *
 *   LOG_WARN("executor lost", "executor", node, "silent_ms", log_int(silent));
 *
 * The arguments after the message are pairs of const char *: a name, a value. A NULL value leaves
 * the pair out. Any thread.
 */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

void log_level_set(enum log_level level);
bool log_level_parse(const char *name, enum log_level *ret_level); /* "debug" … "error" */
/* The service= of lines of this thread; the name is not copied. */
void log_service_set(const char *service);
void log_write(enum log_level level, const char *message, ...) __attribute__((sentinel));
/* Text of a number in one of 16 thread-local buffers, good for the log call it stands in. */
const char *log_int(int64_t number);
bool log_enabled(enum log_level level);

#define LOG_DEBUG(...) \
    (log_enabled(LOG_LEVEL_DEBUG) ? log_write(LOG_LEVEL_DEBUG, __VA_ARGS__, (char *)0) : (void)0)
#define LOG_INFO(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__, (char *)0)
#define LOG_WARN(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__, (char *)0)
#define LOG_ERROR(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__, (char *)0)

#endif
