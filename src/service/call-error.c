#include "service/service-private.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An argument is its type letter and its text: "sjob-admin", "d17". */
struct wire_error {
    char *code, *message, *path;
    char **args;
    size_t arg_count;
    int64_t position, field;
};

/* clang-format off */
static const struct json_table wire_table = {
    "CallError", sizeof(struct wire_error),
    (const struct json_member[]){
        { .name = "code", .type = JSON_TEXT, .offset = offsetof(struct wire_error, code),
          .flags = JSON_REQUIRED },
        { .name = "message", .type = JSON_TEXT, .offset = offsetof(struct wire_error, message),
          .flags = JSON_REQUIRED },
        { .name = "args", .type = JSON_ARRAY, .element = JSON_TEXT,
          .offset = offsetof(struct wire_error, args),
          .count_offset = offsetof(struct wire_error, arg_count) },
        { .name = "path", .type = JSON_TEXT, .offset = offsetof(struct wire_error, path),
          .flags = JSON_OMIT_EMPTY },
        { .name = "pos", .type = JSON_INT, .offset = offsetof(struct wire_error, position),
          .flags = JSON_OMIT_EMPTY },
        { .name = "field", .type = JSON_INT, .offset = offsetof(struct wire_error, field),
          .flags = JSON_OMIT_EMPTY },
        { 0 },
    },
};
/* clang-format on */

static char *arg_make(struct arena *arena, const struct error *err, const struct error_arg *arg)
{
    switch (arg->type) {
    case 's':
        return arena_printf(arena, "s%s", err->pool + arg->text);
    case 'f':
        return arena_printf(arena, "f%.17g", arg->floating);
    default:
        return arena_printf(arena, "%c%lld", arg->type, (long long)arg->integer);
    }
}

void call_error_write(const struct error *err, struct buf *out)
{
    struct arena *arena = arena_new();
    char *args[ERROR_ARGS_MAX];
    struct wire_error wire = {
        .code = arena_strdup(arena, error_code_name(err->code)),
        .message = arena_strdup(arena, err->message),
        .path = arena_strdup(arena, err->path),
        .args = args,
        .arg_count = err->arg_count,
        .position = err->position,
        .field = err->field,
    };
    struct json_writer w;

    for (size_t i = 0; i < wire.arg_count; i++)
        args[i] = arg_make(arena, err, &err->args[i]);
    json_begin(&w, out);
    json_write_all(&w, &wire_table, &wire);
    arena_free(&arena);
}

static void arg_take(struct error *err, const char *text)
{
    struct error_arg arg = { .type = text[0] };
    size_t size = strlen(text) > 0 ? strlen(text + 1) : 0;

    if (arg.type == 's' && size < sizeof err->pool - err->pool_used) {
        arg.text = err->pool_used;
        memcpy(err->pool + err->pool_used, text + 1, size + 1);
        err->pool_used = (uint16_t)(err->pool_used + size + 1);
    } else if (arg.type == 'f') {
        arg.floating = strtod(text + 1, NULL);
    } else if (arg.type == 'c' || arg.type == 'x' || arg.type == 'd' || arg.type == 'i' ||
               arg.type == 'u') {
        if (!number_parse(str_of(text + 1), INT64_MIN, INT64_MAX, &arg.integer))
            arg.integer = 0;
    } else {
        return;
    }
    if (err->arg_count < ERROR_ARGS_MAX)
        err->args[err->arg_count++] = arg;
}

/*
 * Formats are static texts of this program: one that is not in our table (another version over
 * there) is shown as its English text is.
 */
static void wire_take(const struct wire_error *wire, struct error *ret)
{
    const char *known = message_known(wire->message);
    enum error_code code;

    if (!error_code_find(wire->code, &code))
        code = ERR_INTERNAL;
    error_set(ret, code, "%s", wire->message);
    snprintf(ret->path, sizeof ret->path, "%s", wire->path ? wire->path : "");
    ret->position = (int)wire->position;
    ret->field = (int)wire->field;
    if (!known)
        return;
    ret->message = known;
    ret->arg_count = ret->pool_used = 0;
    for (size_t i = 0; i < wire->arg_count; i++)
        arg_take(ret, wire->args[i]);
}

int call_error_read(struct str text, struct error *ret)
{
    struct arena *arena = arena_new();
    struct wire_error wire = { 0 };

    int rc = json_read_all(text, 64 * 1024, &wire_table, arena, &wire, NULL);
    if (rc == 0)
        wire_take(&wire, ret);
    arena_free(&arena);
    return rc;
}
