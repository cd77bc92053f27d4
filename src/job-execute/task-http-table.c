#include "job-execute/task-http.h"

#include "http/http-client.h"

#include <string.h>
#include <strings.h>

enum { URL_MAX = 8192, HEADERS_MAX = 64, HEADER_VALUE_MAX = 8192, BODY_MAX = 512 * 1024,
       CHECKS_MAX = 32, PATTERN_MAX = 1024 };

static const char *const op_names[] = { "eq", "ne", "lt", "le", "gt", "ge", "exists", "matches",
                                        NULL };

static const struct json_member header_members[] = {
    { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct http_task_header, name),
      .flags = JSON_REQUIRED | JSON_ONE_LINE, .min = 1, .max = 128, .about = "Header name." },
    { .name = "value", .type = JSON_TEXT, .offset = offsetof(struct http_task_header, value),
      .flags = JSON_REQUIRED | JSON_ONE_LINE, .min = 0, .max = HEADER_VALUE_MAX,
      .about = "Value; parameters are filled in." },
    { 0 },
};
static const struct json_table header_table = { "HttpTaskHeader", sizeof(struct http_task_header),
                                                header_members };

static const struct json_member json_check_members[] = {
    { .name = "pointer", .type = JSON_TEXT,
      .offset = offsetof(struct http_task_json_check, pointer), .flags = JSON_REQUIRED,
      .min = 0, .max = 1024, .about = "JSON pointer (RFC 6901) into the answer's body." },
    { .name = "op", .type = JSON_ENUM, .offset = offsetof(struct http_task_json_check, op),
      .flags = JSON_REQUIRED, .names = op_names, .about = "How the value there is compared." },
    { .name = "value", .type = JSON_ANY, .offset = offsetof(struct http_task_json_check, value),
      .flags = JSON_OMIT_EMPTY, .max = 4096,
      .about = "With what: any JSON value; a pattern for matches; nothing for exists." },
    { 0 },
};
static const struct json_table json_check_table = {
    "HttpTaskJsonCheck", sizeof(struct http_task_json_check), json_check_members
};

static const struct json_member text_check_members[] = {
    { .name = "contains", .type = JSON_TEXT,
      .offset = offsetof(struct http_task_text_check, contains), .flags = JSON_OMIT_EMPTY,
      .min = 1, .max = 4096, .about = "The body must contain this." },
    { .name = "matches", .type = JSON_TEXT,
      .offset = offsetof(struct http_task_text_check, matches), .flags = JSON_OMIT_EMPTY,
      .min = 1, .max = PATTERN_MAX, .about = "The body must match this PCRE2 pattern." },
    { 0 },
};
static const struct json_table text_check_table = {
    "HttpTaskTextCheck", sizeof(struct http_task_text_check), text_check_members
};

static const struct json_member success_members[] = {
    { .name = "status", .type = JSON_ARRAY, .offset = offsetof(struct http_task_success, status),
      .count_offset = offsetof(struct http_task_success, status_count), .element = JSON_TEXT,
      .max = CHECKS_MAX, .about = "Status codes and ranges; default [\"200-299\"]." },
    { .name = "json", .type = JSON_ARRAY, .offset = offsetof(struct http_task_success, json),
      .count_offset = offsetof(struct http_task_success, json_count), .sub = &json_check_table,
      .flags = JSON_OMIT_EMPTY, .max = CHECKS_MAX, .about = "All of these must hold." },
    { .name = "text", .type = JSON_OBJECT, .offset = offsetof(struct http_task_success, text),
      .flags = JSON_OMIT_EMPTY, .sub = &text_check_table, .about = "The body as text." },
    { 0 },
};
static const struct json_table success_table = {
    "HttpTaskSuccess", sizeof(struct http_task_success), success_members
};

static const struct json_member output_members[] = {
    { .name = "pointer", .type = JSON_TEXT, .offset = offsetof(struct http_task_output, pointer),
      .flags = JSON_OMIT_EMPTY, .min = 0, .max = 1024, .about = "The value there." },
    { .name = "body", .type = JSON_BOOL, .offset = offsetof(struct http_task_output, body),
      .flags = JSON_OMIT_EMPTY, .about = "The whole body." },
    { 0 },
};
static const struct json_table output_table = { "HttpTaskOutput", sizeof(struct http_task_output),
                                                output_members };

static const struct json_member timeout_members[] = {
    { .name = "connect_ms", .type = JSON_INT,
      .offset = offsetof(struct http_task_timeout, connect_ms), .min = 1, .max = 600000,
      .about = "Until the connection stands, TLS included; default 10 s." },
    { .name = "first_byte_ms", .type = JSON_INT,
      .offset = offsetof(struct http_task_timeout, first_byte_ms), .min = 0, .max = 86400000,
      .about = "Until the answer begins; 0: the run's timeout only." },
    { 0 },
};
static const struct json_table timeout_table = {
    "HttpTaskTimeout", sizeof(struct http_task_timeout), timeout_members
};

static const struct json_member members[] = {
    { .name = "method", .type = JSON_TEXT, .offset = offsetof(struct http_task, method),
      .min = 1, .max = 32, .about = "Default GET." },
    { .name = "url", .type = JSON_TEXT, .offset = offsetof(struct http_task, url),
      .flags = JSON_REQUIRED | JSON_ONE_LINE, .min = 1, .max = URL_MAX,
      .about = "http or https; parameters are filled in, percent-encoded." },
    { .name = "headers", .type = JSON_ARRAY, .offset = offsetof(struct http_task, headers),
      .count_offset = offsetof(struct http_task, header_count), .sub = &header_table,
      .flags = JSON_OMIT_EMPTY, .max = HEADERS_MAX, .about = "Request headers." },
    { .name = "body", .type = JSON_TEXT, .offset = offsetof(struct http_task, body),
      .flags = JSON_OMIT_EMPTY, .min = 0, .max = BODY_MAX,
      .about = "Request body; parameters are filled in, JSON-escaped where it is JSON." },
    { .name = "timeout", .type = JSON_STRUCT, .offset = offsetof(struct http_task, timeout),
      .sub = &timeout_table, .about = "Beside the run's timeout, which bounds the whole." },
    { .name = "redirects", .type = JSON_INT32, .offset = offsetof(struct http_task, redirects),
      .min = 0, .max = 10, .about = "How many to follow; default 0." },
    { .name = "response_max", .type = JSON_INT, .offset = offsetof(struct http_task, response_max),
      .min = 1, .max = 64 * 1024 * 1024, .about = "Bytes of the body, decoded; default 1 MiB." },
    { .name = "success", .type = JSON_STRUCT, .offset = offsetof(struct http_task, success),
      .sub = &success_table, .about = "When the run has succeeded." },
    { .name = "output", .type = JSON_OBJECT, .offset = offsetof(struct http_task, output),
      .flags = JSON_OMIT_EMPTY, .sub = &output_table,
      .about = "What of the answer is the output." },
    { .name = "retry_after", .type = JSON_BOOL, .offset = offsetof(struct http_task, retry_after),
      .about = "Heed Retry-After of 429 and 503; default true." },
    { 0 },
};
const struct json_table http_task_table = { "HttpTask", sizeof(struct http_task), members };

/* --- what the table cannot say ---------------------------------------------------------------- */

static int method_check(const char *method, struct error *err)
{
    if (!http_header_name_valid(str_of(method)) || !strcmp(method, "CONNECT") ||
        !strcmp(method, "TRACE"))
        return error_set_at(err, ERR_INVALID, "method",
                            "\"%s\" is not an HTTP method that may be sent", method);
    return 0;
}

/* Only where no parameter stands in scheme or host: else the run finds out. */
static int url_check(const char *url, struct error *err)
{
    const char *host = strstr(url, "://");
    const char *variable = strstr(url, "${");
    struct http_url parsed;

    if (variable && (!host || variable < host + 3 + strcspn(host + 3, "/?#")))
        return 0;
    if (variable) {                /* the part before it must be good */
        char text[URL_MAX + 1];
        size_t size = (size_t)(variable - url);

        if (size > URL_MAX)
            size = URL_MAX;
        memcpy(text, url, size);
        text[size] = '\0';
        return http_url_parse(text, &parsed, err) < 0 ? error_prefix_path(err, "url") : 0;
    }
    return http_url_parse(url, &parsed, err) < 0 ? error_prefix_path(err, "url") : 0;
}

/* Those that Belfry sets, and those that frame the request. */
static bool header_reserved(const char *name)
{
    static const char *const names[] = { "Idempotency-Key", "X-Belfry-Job", "X-Belfry-Fire-Time",
                                         "X-Belfry-Attempt", "Content-Length", "Transfer-Encoding",
                                         "Connection", "Upgrade", "Expect", "TE", "Trailer" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcasecmp(name, names[i]))
            return true;
    return false;
}

static int headers_check(const struct http_task *task, const struct params_names *names,
                         struct arena *arena, struct error *err)
{
    for (size_t i = 0; i < task->header_count; i++) {
        const struct http_task_header *header = &task->headers[i];
        const char *name_path = arena_printf(arena, "headers[%zu].name", i);
        const char *value_path = arena_printf(arena, "headers[%zu].value", i);

        if (!http_header_name_valid(str_of(header->name)))
            return error_set_at(err, ERR_INVALID, name_path, "\"%s\" is not a header name",
                                header->name);
        if (header_reserved(header->name))
            return error_set_at(err, ERR_INVALID, name_path, "header %s is set by Belfry",
                                header->name);
        if (!http_header_value_valid(str_of(header->value)))
            return error_set_at(err, ERR_INVALID, value_path,
                                "must be one line without control characters");
        if (names && params_check(str_of(header->value), value_path, names, err) < 0)
            return -1;
    }
    return 0;
}

static int output_check(const struct http_task_output *output, struct error *err)
{
    if (!output)
        return 0;
    if ((output->pointer != NULL) == output->body)
        return error_set_at(err, ERR_INVALID, "output", "must have either pointer or body: true");
    if (output->pointer && !json_pointer_valid(output->pointer))
        return error_set_at(err, ERR_INVALID, "output.pointer",
                            "\"%s\" is not a JSON pointer (RFC 6901)", output->pointer);
    return 0;
}

int http_task_check(void *settings, const struct params_names *names, struct arena *arena,
                    struct error *err)
{
    const struct http_task *task = settings;

    if (method_check(task->method, err) < 0 || url_check(task->url, err) < 0 ||
        headers_check(task, names, arena, err) < 0)
        return -1;
    if (names && (params_check(str_of(task->url), "url", names, err) < 0 ||
                  params_check(str_of(task->body), "body", names, err) < 0))
        return -1;
    if (task->body && (!strcmp(task->method, "GET") || !strcmp(task->method, "HEAD")))
        return error_set_at(err, ERR_INVALID, "body", "%s takes no body", task->method);
    if (http_task_success_check(&task->success, err) < 0)
        return error_prefix_path(err, "success");
    return output_check(task->output, err);
}
