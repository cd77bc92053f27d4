#ifndef BELFRY_JOB_EXECUTE_TASK_HTTP_H
#define BELFRY_JOB_EXECUTE_TASK_HTTP_H

#include "base/arena.h"
#include "job-execute/attempt.h"
#include "job-execute/params.h"
#include "json/json.h"

/* The definition of an http task, and its parts: task-http.c sends, task-http-check.c judges. */
struct http_task_header {
    char *name, *value;
};

enum http_task_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_EXISTS, OP_MATCHES };

struct http_task_json_check {
    char *pointer;
    int32_t op;
    char *value;                   /* JSON, or NULL */
};

struct http_task_text_check {
    char *contains, *matches;
};

struct http_task_success {
    char **status;                 /* "200-299", "404" */
    size_t status_count;
    struct http_task_json_check *json;
    size_t json_count;
    struct http_task_text_check *text;
};

struct http_task_output {
    char *pointer;
    bool body;
};

struct http_task_timeout {
    int64_t connect_ms, first_byte_ms;
};

struct http_task {
    char *method, *url;
    struct http_task_header *headers;
    size_t header_count;
    char *body;
    struct http_task_timeout timeout;
    int32_t redirects;
    int64_t response_max;
    struct http_task_success success;
    struct http_task_output *output;
    bool retry_after;
};

extern const struct json_table http_task_table;

/* What a definition must keep to beyond its table. Errors: ERR_INVALID with path. */
int http_task_check(void *settings, const struct params_names *names, struct arena *arena,
                    struct error *err);
int http_task_success_check(const struct http_task_success *success, struct error *err);

/*
 * Judges an answer: 0 success; -1 fills in cause and message of result (in arena).
 */
int http_task_judge(const struct http_task_success *success, int status, struct str body,
                    struct arena *arena, struct attempt_result *result);
/* Takes the output from the body: 0, or -1 with cause and message of result. */
int http_task_take_output(const struct http_task_output *output, struct str body,
                          struct arena *arena, struct attempt_result *result);
/* Retry-After in seconds or as an HTTP date: milliseconds to wait; 0: nothing of use. */
int64_t http_task_retry_after(struct str value, int64_t now_ms);

#endif
