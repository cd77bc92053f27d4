#include "belfry/client.h"

#include "base/memory.h"
#include "belfry/client-private.h"
#include "http/http-server.h"

#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MAX = 64 * 1024 * 1024,
    PATH_MAX_BYTES = 16 * 1024,
    CONNECT_TIMEOUT_MS = 5000,
    TOTAL_TIMEOUT_MS = 60000,
    PAGE_ITEMS = 200,
};

/* --- the connection ------------------------------------------------------------------------- */

struct client *client_of(struct cli *cli)
{
    if (!cli->client) {
        cli->client = memory_alloc(sizeof(*cli->client));
        curl_global_init(CURL_GLOBAL_DEFAULT);
        cli->client->curl = curl_easy_init();
        if (!cli->client->curl)
            abort();
    }
    return cli->client;
}

void client_free(struct client **client)
{
    if (!*client)
        return;
    curl_easy_cleanup((*client)->curl);
    free((*client)->cookie);
    free(*client);
    *client = NULL;
    curl_global_cleanup();
}

const char *client_url(const struct cli *cli)
{
    const char *url = cli_option(cli, "url");
    size_t size;

    if (!url)
        url = getenv("BELFRY_URL");
    if (!url || !*url)
        url = "http://127.0.0.1:8680";
    size = strlen(url);
    while (size && url[size - 1] == '/')
        size--;
    return arena_strndup(cli->arena, url, size);
}

const char *client_cookie(struct cli *cli)
{
    return cli->client ? cli->client->cookie : NULL;
}

/* --- one call ------------------------------------------------------------------------------- */

static int credentials_add(struct cli *cli, const struct client_call *call,
                           struct curl_slist **headers, struct error *err)
{
    const char *key;

    if (call->cookie) {
        *headers =
            curl_slist_append(*headers, arena_printf(cli->arena, "Cookie: %s", call->cookie));
        *headers =
            curl_slist_append(*headers, arena_printf(cli->arena, "Origin: %s", client_url(cli)));
        if (call->csrf)
            *headers = curl_slist_append(*headers,
                                         arena_printf(cli->arena, "X-Belfry-CSRF: %s", call->csrf));
        return 0;
    }
    if (call->anonymous)
        return 0;
    switch (key_file_load(cli, &key, err)) {
    case 1:
        break;
    case 0:
        return error_set(err, ERR_UNAUTHENTICATED,
                         "not signed in at %s: belfry user sign-in, or set BELFRY_KEY",
                         client_url(cli));
    default:
        return -1;
    }
    if (strpbrk(key, "\r\n"))
        return error_set(err, ERR_UNAUTHENTICATED, "the API key has a line end in it");
    *headers =
        curl_slist_append(*headers, arena_printf(cli->arena, "Authorization: Bearer %s", key));
    return 0;
}

/* A key must not go to a proxy when the server is on this machine. */
static const char *no_proxy(struct cli *cli)
{
    const char *more = getenv("no_proxy");

    return arena_printf(cli->arena, "127.0.0.1,localhost,::1%s%s", more ? "," : "",
                        more ? more : "");
}

int client_prepare(struct cli *cli, const struct client_call *call, struct curl_slist **ret_headers,
                   struct error *err)
{
    CURL *curl = client_of(cli)->curl;
    struct curl_slist *headers = NULL;

    if (credentials_add(cli, call, &headers, err) < 0) {
        curl_slist_free_all(headers);
        return -1;
    }
    headers = curl_slist_append(headers, cli_language() == LANGUAGE_ZH ? "Accept-Language: zh"
                                                                       : "Accept-Language: en");
    if (call->body)
        headers = curl_slist_append(headers, "Content-Type: application/json");
    else
        headers = curl_slist_append(headers, "Content-Type:");
    if (call->if_match)
        headers =
            curl_slist_append(headers, arena_printf(cli->arena, "If-Match: %s", call->if_match));
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL,
                     arena_printf(cli->arena, "%s%s", client_url(cli), call->path));
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, no_proxy(cli));
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "belfry-cli");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    if (call->body || strcmp(call->method, "POST") == 0) /* none: Content-Length: 0 */
        curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, call->body ? call->body : "");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    *ret_headers = headers;
    return 0;
}

struct receiving {
    struct cli *cli;
    struct buf body;
    const char *etag;
};

static size_t body_take(char *bytes, size_t one, size_t size, void *ctx)
{
    struct receiving *receiving = ctx;

    (void)one;
    buf_add(&receiving->body, bytes, size);
    return receiving->body.overflow ? 0 : size;
}

/* The value of the header if line is that one, else bytes NULL. */
static struct str header_value(struct str line, const char *name)
{
    struct str head, rest = line;

    if (!str_split(&rest, ':', &head) || !rest.bytes || !str_equal_nocase(head, str_of(name)))
        return (struct str){ 0 };
    while (rest.size && (rest.bytes[rest.size - 1] == '\r' || rest.bytes[rest.size - 1] == '\n'))
        rest.size--;
    return str_trim(rest);
}

static size_t header_take(char *bytes, size_t one, size_t size, void *ctx)
{
    struct receiving *receiving = ctx;
    struct client *client = receiving->cli->client;
    struct str line = { bytes, size }, value;

    (void)one;
    value = header_value(line, "ETag");
    if (value.bytes)
        receiving->etag = arena_strndup(receiving->cli->arena, value.bytes, value.size);
    value = header_value(line, "Set-Cookie");
    if (value.bytes) {
        const char *end = memchr(value.bytes, ';', value.size);

        free(client->cookie);
        client->cookie =
            memory_strndup(value.bytes, end ? (size_t)(end - value.bytes) : value.size);
    }
    return size;
}

int client_unreachable(struct cli *cli, CURLcode code, struct error *err)
{
    if (code == CURLE_WRITE_ERROR)
        return error_set(err, ERR_TOO_LARGE, "the server's answer is too large");
    return error_set(err, ERR_UNAVAILABLE, "no answer from %s: %s", client_url(cli),
                     curl_easy_strerror(code));
}

int client_refused(struct cli *cli, const struct client_answer *answer, struct error *err)
{
    const char *detail = json_member_text(answer->json, "detail", cli->arena);
    const char *path = json_member_text(answer->json, "path", cli->arena);
    enum error_code code;

    cli->refused = true;
    if (!error_code_find(json_member_text(answer->json, "code", cli->arena), &code)) {
        /* No problem of Belfry's: something else answers there, or something in between. */
        return error_set(err, answer->status >= 502 ? ERR_UNAVAILABLE : ERR_INTERNAL,
                         "%s answered %d, and not as Belfry does", client_url(cli), answer->status);
    }
    return error_set_at(err, code, path, "%s", detail);
}

int client_send(struct cli *cli, const struct client_call *call, struct client_answer *ret,
                struct error *err)
{
    struct receiving receiving = { .cli = cli };
    struct curl_slist *headers;
    struct client_answer answer = { 0 };
    struct json_node *json = NULL;
    CURL *curl = client_of(cli)->curl;
    CURLcode code;
    long status = 0;

    if (client_prepare(cli, call, &headers, err) < 0)
        return -1;
    buf_init(&receiving.body, ANSWER_MAX);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TOTAL_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &receiving);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_take);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &receiving);
    code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    answer.status = (int)status;
    answer.etag = receiving.etag;
    answer.text = arena_strndup(cli->arena, buf_text(&receiving.body), receiving.body.size);
    answer.text_size = receiving.body.size;
    buf_done(&receiving.body);
    if (code != CURLE_OK)
        return client_unreachable(cli, code, err);
    if (answer.text_size && json_parse((struct str){ answer.text, answer.text_size }, ANSWER_MAX,
                                       cli->arena, &json, NULL) == 0)
        answer.json = json;
    if (status < 200 || status > 299)
        return client_refused(cli, &answer, err);
    *ret = answer;
    return 0;
}

int client_get(struct cli *cli, const char *path, struct client_answer *ret, struct error *err)
{
    return client_send(cli, &(struct client_call){ .method = "GET", .path = path }, ret, err);
}

int client_post(struct cli *cli, const char *method, const char *path, const char *body,
                struct client_answer *ret, struct error *err)
{
    return client_send(cli, &(struct client_call){ .method = method, .path = path, .body = body },
                       ret, err);
}

/* --- lists ---------------------------------------------------------------------------------- */

void query_add(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    buf_add_char(path, path->size && memchr(path->bytes, '?', path->size) ? '&' : '?');
    buf_add_text(path, name);
    buf_add_char(path, '=');
    percent_encode(path, str_of(value));
}

int client_list(struct cli *cli, const char *path, size_t max,
                void (*on_item)(void *ctx, const struct json_node *item), void *ctx,
                struct error *err)
{
    size_t seen = 0;
    const char *cursor = NULL;

    do {
        size_t left = max && max - seen < PAGE_ITEMS ? max - seen : PAGE_ITEMS;
        struct client_answer answer;
        struct buf page;
        int result;

        buf_init(&page, PATH_MAX_BYTES);
        buf_add_text(&page, path);
        query_add(&page, "limit", arena_printf(cli->arena, "%zu", left));
        query_add(&page, "cursor", cursor);
        result = client_get(cli, buf_text(&page), &answer, err);
        buf_done(&page);
        if (result < 0)
            return -1;
        const struct json_node *items = json_member_find(answer.json, "items");
        if (!items || items->kind != JSON_KIND_ARRAY)
            return error_set(err, ERR_INTERNAL, "%s answered %d, and not as Belfry does",
                             client_url(cli), answer.status);
        for (const struct json_node *item = items->first; item; item = item->next, seen++)
            on_item(ctx, item);
        cursor = json_member_text(answer.json, "next_cursor", cli->arena);
    } while (*cursor && (!max || seen < max));
    return 0;
}
