#include "service/service.h"

#include "base/log.h"
#include "db/db.h"

/* The one table from error codes to HTTP. */
static const struct {
    int status;
    const char *title;
} statuses[ERR_CODE_COUNT] = {
    [ERR_NONE] = { 500, "Internal Server Error" },
    [ERR_INVALID] = { 400, "Bad Request" },
    [ERR_NOT_FOUND] = { 404, "Not Found" },
    [ERR_CONFLICT] = { 409, "Conflict" },
    [ERR_PRECONDITION] = { 412, "Precondition Failed" },
    [ERR_UNAUTHENTICATED] = { 401, "Unauthorized" },
    [ERR_FORBIDDEN] = { 403, "Forbidden" },
    [ERR_THROTTLED] = { 429, "Too Many Requests" },
    [ERR_TOO_LARGE] = { 413, "Content Too Large" },
    [ERR_METHOD] = { 405, "Method Not Allowed" },
    [ERR_MEDIA_TYPE] = { 415, "Unsupported Media Type" },
    [ERR_SETUP_REQUIRED] = { 503, "Service Unavailable" },
    [ERR_UNAVAILABLE] = { 503, "Service Unavailable" },
    [ERR_TIMEOUT] = { 504, "Gateway Timeout" },
    [ERR_STORAGE_FULL] = { 507, "Insufficient Storage" },
    [ERR_IO] = { 500, "Internal Server Error" },
    [ERR_INTERNAL] = { 500, "Internal Server Error" },
};

int error_http_status(enum error_code code)
{
    return code < ERR_CODE_COUNT ? statuses[code].status : 500;
}

void problem_write(const struct error *err, enum language language, const char *request_id,
                   struct buf *out)
{
    enum error_code code = err->code < ERR_CODE_COUNT ? err->code : ERR_INTERNAL;
    char detail[2048];
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w);
    json_name(&w, "title");
    json_text(&w, statuses[code].title);
    json_name(&w, "status");
    json_int(&w, statuses[code].status);
    json_name(&w, "code");
    json_text(&w, error_code_name(code));
    json_name(&w, "detail");
    json_text(&w, error_text(err, language, detail, sizeof detail));
    if (err->path[0]) {
        json_name(&w, "path");
        json_text(&w, err->path);
    }
    if (err->field) {
        json_name(&w, "field");
        json_int(&w, err->field);
    }
    if (err->position) {
        json_name(&w, "pos");
        json_int(&w, err->position);
    }
    if (request_id && *request_id) {
        json_name(&w, "request_id");
        json_text(&w, request_id);
    }
    json_object_end(&w);
}

/* What is our fault and not the caller's goes to the log, here and nowhere else. */
static void problem_log(const struct request *request, const struct error *err, int status)
{
    if (status != 500 && status != 507)
        return;
    LOG_ERROR("request failed", "request", request->id, "route",
              request->route ? request->route->pattern : NULL, "error", error_english(err));
}

void request_fail(struct request *request, const struct error *err)
{
    int status = error_http_status(err->code);
    struct buf body;

    problem_log(request, err, status);
    if (status == 401)
        request_header(request, "WWW-Authenticate", "Bearer");
    buf_init(&body, 64 * 1024);
    problem_write(err, request->language, request->id, &body);
    http_answer(request->exchange, status, "application/problem+json", buf_str(&body));
    buf_done(&body);
}

void request_fail_outcome(struct request *request, int outcome, const struct error *err)
{
    struct error mine;

    switch (outcome) {
    case DB_CONFLICT:
        if (!err || err->code != ERR_CONFLICT)
            error_set(&mine, ERR_CONFLICT,
                      "it exists already, or was changed by somebody else just now: read it again");
        break;
    case DB_NOT_APPLIED:
        if (!err || err->code == ERR_NONE)
            error_set(&mine, ERR_UNAVAILABLE, "the store is out of reach; nothing was stored");
        break;
    case DB_UNKNOWN:
        error_set(&mine, ERR_TIMEOUT,
                  "the store did not confirm in time; it may or may not be stored: read before you "
                  "try again");
        err = NULL;
        break;
    default:
        if (!err || err->code == ERR_NONE)
            error_set(&mine, ERR_INTERNAL, "the store failed without a reason");
        break;
    }
    bool theirs =
        err && err->code != ERR_NONE && (outcome != DB_CONFLICT || err->code == ERR_CONFLICT);
    request_fail(request, theirs ? err : &mine);
}
