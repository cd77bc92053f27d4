#include "job-execute/task-http.h"

#include "base/clock.h"
#include "job-execute/pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 200 };

/* --- definition ------------------------------------------------------------------------------- */

/* "200" or "200-299". */
static bool status_range(struct str text, int64_t *ret_from, int64_t *ret_to)
{
    struct str rest = text, part;

    if (!str_split(&rest, '-', &part) || !number_parse(part, 100, 599, ret_from))
        return false;
    *ret_to = *ret_from;
    if (!rest.bytes)
        return true;
    return number_parse(rest, 100, 599, ret_to) && *ret_from <= *ret_to;
}

static int json_check_check(const struct http_task_json_check *check, struct arena *arena,
                            struct error *err)
{
    char *pattern;

    if (!json_pointer_valid(check->pointer)) {
        error_set(err, ERR_INVALID, "\"%s\" is not a JSON pointer (RFC 6901)", check->pointer);
        return error_prefix_path(err, "pointer");
    }
    if ((check->value != NULL) == (check->op == OP_EXISTS)) {
        if (check->value)
            error_set(err, ERR_INVALID, "exists takes no value");
        else
            error_set(err, ERR_INVALID, "is required");
        return error_prefix_path(err, "value");
    }
    if (check->op != OP_MATCHES)
        return 0;
    if (check->value[0] != '"' ||
        json_pointer(str_of(check->value), "", true, arena, &pattern, err) < 1)
        error_set(err, ERR_INVALID, "must be a text: the pattern");
    else if (pattern_check(pattern, err) == 0)
        return 0;
    return error_prefix_path(err, "value");
}

static int json_checks_check(const struct http_task_success *success, struct error *err)
{
    struct arena *arena = arena_new();
    int result = 0;

    for (size_t i = 0; i < success->json_count && result == 0; i++) {
        char path[32];

        result = json_check_check(&success->json[i], arena, err);
        snprintf(path, sizeof path, "json[%zu]", i);
        if (result < 0)
            error_prefix_path(err, path);
    }
    arena_free(&arena);
    return result;
}

int http_task_success_check(const struct http_task_success *success, struct error *err)
{
    int64_t from, to;

    for (size_t i = 0; i < success->status_count; i++) {
        char path[32];

        snprintf(path, sizeof path, "status[%zu]", i);
        if (!status_range(str_of(success->status[i]), &from, &to))
            return error_set_at(err, ERR_INVALID, path,
                                "\"%s\" is neither a status code nor a range such as 200-299",
                                success->status[i]);
    }
    if (json_checks_check(success, err) < 0)
        return -1;
    if (!success->text)
        return 0;
    if (!success->text->contains && !success->text->matches)
        return error_set_at(err, ERR_INVALID, "text", "must have contains or matches");
    if (success->text->matches && pattern_check(success->text->matches, err) < 0)
        return error_prefix_path(err, "text.matches");
    return 0;
}

/* --- answer ----------------------------------------------------------------------------------- */

static int verdict(struct attempt_result *result, enum cause cause, const char *message)
{
    result->cause = cause;
    result->message = message;
    return -1;
}

static bool status_good(const struct http_task_success *success, int status)
{
    int64_t from, to;

    if (!success->status_count)
        return status >= 200 && status <= 299;
    for (size_t i = 0; i < success->status_count; i++)
        if (status_range(str_of(success->status[i]), &from, &to) && status >= from && status <= to)
            return true;
    return false;
}

static bool number_read(const char *json, double *ret)
{
    char *end;

    if (json[0] != '-' && (json[0] < '0' || json[0] > '9'))
        return false;
    *ret = strtod(json, &end);
    return *end == '\0';
}

/* Both are compact JSON. Numbers by value, everything else as text; order of texts by bytes. */
static bool values_compare(const char *found, const char *wanted, int *ret_order)
{
    double a, b;

    if (number_read(found, &a) && number_read(wanted, &b)) {
        *ret_order = a < b ? -1 : a > b;
        return true;
    }
    *ret_order = strcmp(found, wanted);
    return (found[0] == '"') == (wanted[0] == '"');
}

static bool op_holds(enum http_task_op op, const char *found, const char *wanted)
{
    int order;
    bool comparable = values_compare(found, wanted, &order);

    switch (op) {
    case OP_EQ:
        return order == 0;
    case OP_NE:
        return order != 0;
    case OP_LT:
        return comparable && order < 0;
    case OP_LE:
        return comparable && order <= 0;
    case OP_GT:
        return comparable && order > 0;
    case OP_GE:
        return comparable && order >= 0;
    default:
        return false;
    }
}

static const char *op_sign(enum http_task_op op)
{
    static const char *const signs[] = { "equal to",     "other than", "less than", "at most",
                                         "greater than", "at least",   "there",     "matching" };

    return signs[op];
}

static int json_judge(const struct http_task_json_check *check, struct str body,
                      struct arena *arena, struct attempt_result *result)
{
    struct error err = { 0 };
    bool matches = check->op == OP_MATCHES;
    char *found, *pattern;
    int has = json_pointer(body, check->pointer, matches, arena, &found, &err);
    int good;

    if (has < 0)
        return verdict(result, CAUSE_CHECK,
                       arena_printf(arena, "answer is not JSON: %s", error_english(&err)));
    if (!has)
        return verdict(result, CAUSE_CHECK,
                       arena_printf(arena, "answer has nothing at \"%s\"", check->pointer));
    if (check->op == OP_EXISTS)
        return 0;
    if (matches && json_pointer(str_of(check->value), "", true, arena, &pattern, &err) == 1)
        good = pattern_match(pattern, str_of(found), &err);
    else
        good = op_holds((enum http_task_op)check->op, found, check->value);
    if (good < 0)
        return verdict(result, CAUSE_CHECK, arena_strdup(arena, error_english(&err)));
    if (!good)
        return verdict(result, CAUSE_CHECK,
                       arena_printf(arena, "answer has %.*s at \"%s\", not %s %s", SHOWN_MAX, found,
                                    check->pointer, op_sign((enum http_task_op)check->op),
                                    check->value));
    return 0;
}

static int text_judge(const struct http_task_text_check *check, struct str body,
                      struct arena *arena, struct attempt_result *result)
{
    struct error err = { 0 };
    int good = 1;

    if (check->contains &&
        (!body.size || !memmem(body.bytes, body.size, check->contains, strlen(check->contains))))
        return verdict(
            result, CAUSE_CHECK,
            arena_printf(arena, "answer does not contain \"%.*s\"", SHOWN_MAX, check->contains));
    if (check->matches)
        good = pattern_match(check->matches, body, &err);
    if (good < 0)
        return verdict(result, CAUSE_CHECK, arena_strdup(arena, error_english(&err)));
    if (!good)
        return verdict(
            result, CAUSE_CHECK,
            arena_printf(arena, "answer does not match \"%.*s\"", SHOWN_MAX, check->matches));
    return 0;
}

int http_task_judge(const struct http_task_success *success, int status, struct str body,
                    struct arena *arena, struct attempt_result *result)
{
    if (!status_good(success, status))
        return verdict(result, CAUSE_HTTP_STATUS,
                       arena_printf(arena, "answered with status %d", status));
    for (size_t i = 0; i < success->json_count; i++)
        if (json_judge(&success->json[i], body, arena, result) < 0)
            return -1;
    return success->text ? text_judge(success->text, body, arena, result) : 0;
}

/* --- output ----------------------------------------------------------------------------------- */

/* The body as JSON: itself where it is that, else as a text. */
static char *body_json(struct str body, struct arena *arena)
{
    struct json_writer w;
    struct buf out;
    char *json;

    if (json_check(body, OUTPUT_MAX, false, arena, &json, NULL) == 0)
        return json;
    buf_init(&out, OUTPUT_MAX);
    json_begin(&w, &out);
    json_str(&w, body);
    json = out.overflow ? NULL : arena_strdup(arena, buf_text(&out));
    buf_done(&out);
    return json;
}

int http_task_take_output(const struct http_task_output *output, struct str body,
                          struct arena *arena, struct attempt_result *result)
{
    struct error err = { 0 };
    char *value = NULL;

    if (output->body) {
        value = body_json(body, arena);
    } else {
        int has = json_pointer(body, output->pointer, false, arena, &value, &err);

        if (has < 1)
            return verdict(
                result, CAUSE_CHECK,
                arena_printf(arena, "no output: answer has nothing at \"%s\"", output->pointer));
    }
    if (!value || strlen(value) > OUTPUT_MAX)
        return verdict(result, CAUSE_TOO_LARGE, "output is larger than 64 KiB");
    result->output = value;
    return 0;
}

/* --- Retry-After ------------------------------------------------------------------------------ */

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7; the two obsolete forms are not read). */
static bool http_date(struct str text, int64_t *ret_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t day, year, hour, minute, second;
    const char *month;
    char name[4];

    if (text.size != 29 || memcmp(text.bytes + 25, " GMT", 4))
        return false;
    memcpy(name, text.bytes + 8, 3);
    name[3] = '\0';
    month = strstr(months, name);
    if (!month || (month - months) % 3 ||
        !number_parse((struct str){ text.bytes + 5, 2 }, 1, 31, &day) ||
        !number_parse((struct str){ text.bytes + 12, 4 }, 1970, 9999, &year) ||
        !number_parse((struct str){ text.bytes + 17, 2 }, 0, 23, &hour) ||
        !number_parse((struct str){ text.bytes + 20, 2 }, 0, 59, &minute) ||
        !number_parse((struct str){ text.bytes + 23, 2 }, 0, 60, &second))
        return false;
    *ret_ms = (days_from_civil(year, (int)(month - months) / 3 + 1, (int)day) * 86400 +
               hour * 3600 + minute * 60 + second) *
              1000;
    return true;
}

int64_t http_task_retry_after(struct str value, int64_t now_ms)
{
    enum { RETRY_AFTER_MAX_S = 7 * 86400 };
    int64_t seconds, at_ms;

    value = str_trim(value);
    if (number_parse(value, 0, INT32_MAX, &seconds))
        return (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * 1000;
    if (!http_date(value, &at_ms) || at_ms <= now_ms)
        return 0;
    at_ms -= now_ms;
    return at_ms < RETRY_AFTER_MAX_S * INT64_C(1000) ? at_ms : RETRY_AFTER_MAX_S * INT64_C(1000);
}
