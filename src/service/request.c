#include "service/request.h"

#include "base/clock.h"
#include "base/random.h"
#include "service/service.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ANSWER_MAX = 64 * 1024 * 1024, BODY_MAX = 1024 * 1024 };

void request_id_make(char id[40])
{
    unsigned char b[16];
    uint64_t now = (uint64_t)clock_wall_ms();

    random_bytes(b, sizeof b);
    for (int i = 0; i < 6; i++)
        b[i] = (unsigned char)(now >> (40 - 8 * i));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x70);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    snprintf(id, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

/* Thousandths of the q of one part of Accept-Language; 1000 where it has none. */
static int quality(struct str parameters)
{
    struct str part;

    while (str_split(&parameters, ';', &part)) {
        int64_t digits = 0;
        part = str_trim(part);
        if (part.size < 3 || !str_equal_nocase((struct str){ part.bytes, 2 }, STR("q=")))
            continue;
        if (part.bytes[2] == '1')
            return 1000;
        int scale = 100;
        for (size_t i = 4; i < part.size && i < 7 && part.bytes[i] >= '0' && part.bytes[i] <= '9';
             i++, scale /= 10)
            digits += (part.bytes[i] - '0') * scale;
        return (int)digits;
    }
    return 1000;
}

enum language language_accepted(struct str accept_language)
{
    int best_zh = -1, best_en = -1, rank = 0;
    struct str part, tag;

    /* earlier ones win among equals */
    while (accept_language.bytes && str_split(&accept_language, ',', &part) && rank < 100) {
        struct str rest = part;
        if (!str_split(&rest, ';', &tag))
            continue;
        tag = str_trim(tag);
        int score = quality(rest);
        if (score == 0)
            continue;
        score = score * 100 - rank++;
        struct str two = { tag.bytes, tag.size < 2 ? tag.size : 2 };
        if (tag.size > 2 && tag.bytes[2] != '-')
            continue;
        if (str_equal_nocase(two, STR("zh")) && score > best_zh)
            best_zh = score;
        if (str_equal_nocase(two, STR("en")) && score > best_en)
            best_en = score;
    }
    return best_zh > best_en ? LANGUAGE_ZH : LANGUAGE_EN;
}

struct request *request_new(struct http_exchange *exchange)
{
    const struct http_request *http = http_exchange_request(exchange);
    struct arena *arena = http_exchange_arena(exchange);
    struct request *request = ARENA_NEW(arena, struct request);

    request->http = http;
    request->exchange = exchange;
    request->arena = arena;
    request->language =
        language_accepted(http_header_find(http->headers, http->header_count, "Accept-Language"));
    request_id_make(request->id);
    snprintf(request->client_address, sizeof request->client_address, "%s", http->peer);
    return request;
}

/* --- reading --------------------------------------------------------------------------------- */

static int fail(struct request *request, const struct error *err)
{
    request_fail(request, err);
    return -1;
}

static bool is_json(const struct http_request *http)
{
    struct str type = http_header_find(http->headers, http->header_count, "Content-Type"), media;

    return type.bytes && str_split(&type, ';', &media) &&
           str_equal_nocase(str_trim(media), STR("application/json"));
}

int request_read(struct request *request, const struct json_table *table, void *target)
{
    const struct route *route = request->route;
    size_t size_max = route && route->body_max ? route->body_max : BODY_MAX;
    struct error err;

    if (request->http->body.size == 0)
        error_set(&err, ERR_INVALID, "the request needs a JSON body");
    else if (!is_json(request->http))
        error_set(&err, ERR_MEDIA_TYPE, "the body must be sent as Content-Type: application/json");
    else if (json_read(request->http->body, size_max, table, request->arena, target, &err) == 0)
        return 0;
    return fail(request, &err);
}

int request_param_id(struct request *request, unsigned index, int64_t max, int64_t *ret_id)
{
    const char *text = index < REQUEST_PARAMS_MAX ? request->params[index] : NULL;
    struct error err;

    if (text && number_parse(str_of(text), 1, max, ret_id))
        return 0;
    error_set(&err, ERR_NOT_FOUND, "there is nothing with the id \"%s\"", text ? text : "");
    return fail(request, &err);
}

int request_query_text(struct request *request, const char *name, const char **ret_value)
{
    struct error err;
    const char *value = NULL;

    if (http_query_get(request->http, name, &value, &err) < 0)
        return fail(request, &err);
    *ret_value = value;
    return 0;
}

static int query_invalid(struct request *request, const char *name, const struct error *why)
{
    struct error err = *why;

    snprintf(err.path, sizeof err.path, "query.%s", name);
    return fail(request, &err);
}

int request_query_int(struct request *request, const char *name, int64_t min, int64_t max,
                      int64_t absent, int64_t *ret_value)
{
    const char *text;
    struct error err;

    if (request_query_text(request, name, &text) < 0)
        return -1;
    if (!text)
        return *ret_value = absent, 0;
    if (number_parse(str_of(text), min, max, ret_value))
        return 0;
    error_set(&err, ERR_INVALID, "must be a whole number from %lld to %lld", (long long)min,
              (long long)max);
    return query_invalid(request, name, &err);
}

int request_query_time(struct request *request, const char *name, int64_t absent,
                       int64_t *ret_time_ms)
{
    const char *text;
    struct error err;

    if (request_query_text(request, name, &text) < 0)
        return -1;
    if (!text)
        return *ret_time_ms = absent, 0;
    if (time_parse(str_of(text), ret_time_ms))
        return 0;
    error_set(&err, ERR_INVALID,
              "must be a time with offset such as 2026-11-25T09:30:00+08:00 (in a URL write + as "
              "%%2B)");
    return query_invalid(request, name, &err);
}

int request_query_bool(struct request *request, const char *name, bool absent, bool *ret_value)
{
    const char *text;
    struct error err;

    if (request_query_text(request, name, &text) < 0)
        return -1;
    if (!text)
        return *ret_value = absent, 0;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return *ret_value = text[0] == 't', 0;
    error_set(&err, ERR_INVALID, "must be true or false");
    return query_invalid(request, name, &err);
}

int request_query_check(struct request *request, const char *const *names)
{
    struct error err;

    return http_query_check(request->http, names, &err) < 0 ? fail(request, &err) : 0;
}

int request_require(struct request *request, enum permission permission, int32_t group_id)
{
    struct error err;

    if (principal_may(request->principal, permission, group_id))
        return 0;
    if (!request->principal)
        error_set(&err, ERR_UNAUTHENTICATED, "sign in first");
    else if (principal_may(request->principal, PERM_VIEW, group_id) || group_id == 0)
        error_set(&err, ERR_FORBIDDEN, "your role does not allow this");
    else
        error_set(&err, ERR_NOT_FOUND, "there is no such thing, or you may not see it");
    return fail(request, &err);
}

/* --- answering ------------------------------------------------------------------------------- */

void request_header(struct request *request, const char *name, const char *value)
{
    http_answer_header(request->exchange, name, value);
}

void request_answer_json(struct request *request, int status, const struct buf *json)
{
    struct error err;

    if (!json->overflow) {
        http_answer(request->exchange, status, "application/json", buf_str(json));
        return;
    }
    error_set(&err, ERR_INTERNAL, "the answer is larger than %zu bytes", json->max);
    request_fail(request, &err);
}

void request_answer(struct request *request, int status, const struct json_table *table,
                    const void *source)
{
    struct json_writer w;
    struct buf body;

    buf_init(&body, ANSWER_MAX);
    json_begin(&w, &body);
    json_write(&w, table, source);
    request_answer_json(request, status, &body);
    buf_done(&body);
}

void request_answer_empty(struct request *request, int status)
{
    http_answer(request->exchange, status, NULL, (struct str){ 0 });
}

void request_answer_list(struct request *request, const struct json_table *item_table,
                         const void *const *items, size_t count, const char *next_cursor)
{
    struct json_writer w;
    struct buf body;

    buf_init(&body, ANSWER_MAX);
    json_begin(&w, &body);
    json_object(&w);
    json_name(&w, "items");
    json_array(&w);
    for (size_t i = 0; i < count; i++)
        json_write(&w, item_table, items[i]);
    json_array_end(&w);
    json_name(&w, "next_cursor");
    json_text(&w, next_cursor);
    json_object_end(&w);
    request_answer_json(request, 200, &body);
    buf_done(&body);
}
