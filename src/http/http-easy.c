#include "http/http-client-private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the address ------------------------------------------------------------------------------ */

/* curl is about to dial: the rules are asked about the very address. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_call *call = ctx;
    const struct http_client_settings *settings = &call->client->settings;
    struct error err = { 0 };

    (void)purpose;
    if (settings->egress && settings->egress(settings->egress_ctx, &address->addr, &err) < 0) {
        if (call->failure == HTTP_FAILURE_NONE)
            call->err = err;
        http_call_fail(call, HTTP_FAILURE_EGRESS);
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->protocol);
    if (fd >= 0)
        call->client->sockets_open++;
    return fd;
}

static int on_close(void *ctx, curl_socket_t fd)
{
    struct http_client *client = ctx;

    client->sockets_open--;
    return close(fd);
}

/* Connected, with TLS if any; the request goes out when this returns. */
static int on_connected(void *ctx, char *peer, char *own, int peer_port, int own_port)
{
    struct http_call *call = ctx;
    bool is_v6 = strchr(peer, ':') != NULL;

    (void)own;
    (void)own_port;
    if (call->sent_us && !call->request.resend_stale) {
        /* the kept connection was dead, and curl would send the request a second time */
        http_call_fail(call, HTTP_FAILURE_RESET);
        return CURL_PREREQFUNC_ABORT;
    }
    snprintf(call->address, sizeof call->address, is_v6 ? "[%s]:%d" : "%s:%d", peer, peer_port);
    http_call_connected(call);
    return CURL_PREREQFUNC_OK;
}

/* --- the answer ------------------------------------------------------------------------------- */

static void header_add(struct http_call *call, struct str line)
{
    const char *colon = memchr(line.bytes, ':', line.size);

    if (!colon || call->answer_header_count == HTTP_RESPONSE_HEADERS_MAX)
        return;
    if (call->answer_header_count == call->answer_header_capacity) {
        size_t capacity = call->answer_header_capacity ? call->answer_header_capacity * 2 : 16;
        struct http_header *grown = ARENA_ARRAY(call->arena, struct http_header, capacity);
        if (call->answer_header_count)
            memcpy(grown, call->answer_headers, call->answer_header_count * sizeof *grown);
        call->answer_headers = grown;
        call->answer_header_capacity = capacity;
    }
    struct str copy = { arena_strndup(call->arena, line.bytes, line.size), line.size };
    size_t name_size = (size_t)(colon - line.bytes);
    call->answer_headers[call->answer_header_count++] = (struct http_header){
        { copy.bytes, name_size },
        str_trim((struct str){ copy.bytes + name_size + 1, copy.size - name_size - 1 }),
    };
}

/* A status line begins an answer, interim ones too: what came before is forgotten. */
static bool status_line(struct http_call *call, struct str line)
{
    int64_t status;

    if (!str_starts_with(line, STR("HTTP/")))
        return false;
    const char *space = memchr(line.bytes, ' ', line.size);
    if (!space || line.bytes + line.size - space < 4 ||
        !number_parse((struct str){ space + 1, 3 }, 100, 999, &status))
        return false;
    call->status = (int)status;
    call->answer_header_count = 0;
    if (status >= 200)
        http_call_answering(call);
    return true;
}

static size_t on_header(char *bytes, size_t unit, size_t count, void *ctx)
{
    struct http_call *call = ctx;
    size_t size = unit * count;
    struct str line = { bytes, size };

    call->head_size += size;
    if (call->head_size > HTTP_RESPONSE_HEAD_MAX) {
        http_call_fail(call, HTTP_FAILURE_PROTOCOL);
        return 0;
    }
    while (line.size && (line.bytes[line.size - 1] == '\n' || line.bytes[line.size - 1] == '\r'))
        line.size--;
    if (!line.size)
        call->head_complete = call->status >= 200;
    else if (!status_line(call, line) && call->status >= 200)
        header_add(call, line);
    return size;
}

static bool is_followed(const struct http_call *call)
{
    return call->request.redirects_max && call->status >= 300 && call->status < 400 &&
           http_header_find(call->answer_headers, call->answer_header_count, "Location").bytes;
}

static size_t stream_data(struct http_call *call, struct str bytes)
{
    call->in_callback = true;
    call->on_data(call->ctx, call->status, bytes);
    call->in_callback = false;
    return call->cancelled ? 0 : bytes.size;
}

static size_t on_body(char *bytes, size_t unit, size_t count, void *ctx)
{
    struct http_call *call = ctx;
    size_t size = unit * count, room = call->response_max - call->body.size;

    if (is_followed(call))
        return size; /* nobody reads the body of a redirect, but its length is bounded */
    if (call->on_data)
        return stream_data(call, (struct str){ bytes, size });
    buf_add(&call->body, bytes, size < room ? size : room);
    if (size <= room)
        return size;
    http_call_fail(call, HTTP_FAILURE_TOO_LARGE);
    return 0;
}

/* --- the request ------------------------------------------------------------------------------ */

static void slist_add(struct curl_slist **list, const char *text)
{
    struct curl_slist *grown = curl_slist_append(*list, text);

    if (!grown)
        abort(); /* out of memory */
    *list = grown;
}

static bool has_header(const struct http_call *call, const char *name)
{
    return http_header_find(call->request.headers, call->request.header_count, name).bytes;
}

/* Headers with a value as "name: value", empty ones as "name;" (curl's way to say so). */
static void headers_set(struct http_call *call)
{
    struct curl_slist **list = &call->headers;

    for (size_t i = 0; i < call->request.header_count; i++) {
        struct str name = call->request.headers[i].name, value = call->request.headers[i].value;
        slist_add(list, arena_printf(call->arena, value.size ? "%.*s: %.*s" : "%.*s;%.*s",
                                     (int)name.size, name.bytes, (int)value.size, value.bytes));
    }
    slist_add(list, "Expect:"); /* curl would wait for 100 Continue with large bodies */
    if (!has_header(call, "Content-Type"))
        slist_add(list, "Content-Type:"); /* curl would say it is a form */
    if (!has_header(call, "Accept"))
        slist_add(list, "Accept: */*");
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, *list);
}

static void method_set(struct http_call *call)
{
    const struct http_call_request *request = &call->request;
    const char *method = request->method;
    bool has_body = request->body.size || strcmp(method, "POST") == 0 ||
                    strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;

    if (has_body) {
        curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS,
                         request->body.size ? request->body.bytes : "");
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    }
    if (strcmp(method, "HEAD") == 0 && !has_body)
        curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(method, has_body ? "POST" : "GET") != 0)
        curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, method);
}

/* "+host:port:1.2.3.4,[::1]": curl asks no resolver of its own; '+' lets the entry age. */
static void addresses_set(struct http_call *call, const struct http_addresses *addresses)
{
    char text[INET6_ADDRSTRLEN];
    struct buf line;

    buf_init(&line, 4096);
    buf_printf(&line, "+%s:%u:", call->host, call->url.port);
    for (size_t i = 0; i < addresses->count; i++) {
        const struct sockaddr_storage *a = &addresses->list[i];
        bool is_v6 = a->ss_family == AF_INET6;
        const void *bytes = is_v6 ? (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr
                                  : (const void *)&((const struct sockaddr_in *)a)->sin_addr;
        if (inet_ntop(a->ss_family, bytes, text, sizeof text))
            buf_printf(&line, is_v6 ? "%s[%s]" : "%s%s", i ? "," : "", text);
    }
    slist_add(&call->resolve, buf_text(&line));
    buf_done(&line);
    curl_easy_setopt(call->easy, CURLOPT_RESOLVE, call->resolve);
}

static void tls_set(struct http_call *call)
{
    const char *ca_file = call->client->settings.ca_file;

    curl_easy_setopt(call->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (ca_file) {
        curl_easy_setopt(call->easy, CURLOPT_CAINFO, ca_file);
        curl_easy_setopt(call->easy, CURLOPT_CAPATH, NULL);
    }
}

static void callbacks_set(struct http_call *call)
{
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_text);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, call->client);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
}

/*
 * With every open socket in use there is none to be used again, and curl need not look through all
 * of them for each call: with 10,000 calls waiting that took four times as long as dialling.
 */
static void reuse_set(struct http_call *call)
{
    if (call->client->sockets_open <= call->client->calls_in_multi)
        curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, 1L);
}

static void options_set(struct http_call *call)
{
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_URL, call->request.url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not what the environment says */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L); /* each hop is looked up and checked here */
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, call->client->user_agent);
    if (call->request.fresh_connection)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    /* thousands of calls may wait at once: small buffers, but for streams */
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, call->on_data ? 16384L : 1024L);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    if (call->request.decompress)
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    if (call->on_data)
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
}

int http_easy_start(struct http_call *call, const struct http_addresses *addresses)
{
    call->easy = http_client_easy_take(call->client);
    if (!call->easy)
        abort(); /* out of memory */
    options_set(call);
    callbacks_set(call);
    reuse_set(call);
    tls_set(call);
    method_set(call);
    headers_set(call);
    if (addresses)
        addresses_set(call, addresses);
    call->curl_text[0] = '\0';
    if (curl_multi_add_handle(call->client->multi, call->easy) != CURLM_OK)
        return http_call_fail(call, HTTP_FAILURE_CONNECT);
    call->in_multi = true;
    call->client->calls_in_multi++;
    return 0;
}

void http_easy_stop(struct http_call *call)
{
    if (call->in_multi) {
        curl_multi_remove_handle(call->client->multi, call->easy);
        call->client->calls_in_multi--;
    }
    if (call->easy)
        http_client_easy_give(call->client, call->easy);
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->resolve);
    call->headers = call->resolve = NULL;
    call->easy = NULL;
    call->in_multi = false;
}

/* --- what curl's codes mean ------------------------------------------------------------------- */

enum http_failure http_easy_failure(CURLcode code, const char *curl_text)
{
    switch (code) {
    case CURLE_OK: return HTTP_FAILURE_NONE;
    case CURLE_URL_MALFORMAT: return HTTP_FAILURE_URL;
    case CURLE_COULDNT_RESOLVE_HOST: return HTTP_FAILURE_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED: return HTTP_FAILURE_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: return HTTP_FAILURE_TIMEOUT_TOTAL;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_USE_SSL_FAILED: return HTTP_FAILURE_TLS;
    case CURLE_RECV_ERROR: /* curl uses this one for a broken chunk, too */
        return strstr(curl_text, "chunk") ? HTTP_FAILURE_PROTOCOL : HTTP_FAILURE_RESET;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE: return HTTP_FAILURE_RESET;
    default: return HTTP_FAILURE_PROTOCOL;
    }
}
