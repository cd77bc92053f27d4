#include "belfry/client.h"

#include "belfry/client-private.h"

#include <string.h>
#include <time.h>

enum { LINE_MAX_BYTES = 1024 * 1024, TRIES_MAX = 10, PAUSE_MS = 500 };

/* Server-Sent Events, as of the WHATWG "text/event-stream" format. */
struct stream {
    struct cli *cli;
    bool (*on_event)(void *ctx, const char *event, const char *data);
    void *ctx;
    struct buf line, data, event, id, refusal;
    bool ended;     /* on_event had enough */
    bool moved;     /* something came since the connection was made */
    bool is_events; /* a 2xx answer: the bytes are events */
};

static void event_end(struct stream *stream)
{
    if (stream->data.size || stream->event.size) {
        if (stream->data.size) /* the '\n' after the last line is not part of it */
            stream->data.bytes[--stream->data.size] = '\0';
        stream->ended =
            !stream->on_event(stream->ctx, buf_text(&stream->event), buf_text(&stream->data));
    }
    buf_clear(&stream->data);
    buf_clear(&stream->event);
}

static void line_end(struct stream *stream)
{
    struct str rest = buf_str(&stream->line), name;

    if (rest.size && rest.bytes[rest.size - 1] == '\r')
        rest.size--;
    if (!rest.size) {
        event_end(stream);
        return;
    }
    str_split(&rest, ':', &name);
    if (rest.size && *rest.bytes == ' ')
        rest = (struct str){ rest.bytes + 1, rest.size - 1 };
    if (str_is(name, "data")) {
        buf_add(&stream->data, rest.bytes, rest.size);
        buf_add_char(&stream->data, '\n');
    } else if (str_is(name, "event")) {
        buf_clear(&stream->event);
        buf_add(&stream->event, rest.bytes, rest.size);
    } else if (str_is(name, "id")) {
        buf_clear(&stream->id);
        buf_add(&stream->id, rest.bytes, rest.size);
    }
}

static size_t bytes_take(char *bytes, size_t one, size_t size, void *ctx)
{
    struct stream *stream = ctx;
    long status = 0;

    (void)one;
    curl_easy_getinfo(stream->cli->client->curl, CURLINFO_RESPONSE_CODE, &status);
    stream->is_events = status >= 200 && status <= 299;
    if (!stream->is_events) {
        buf_add(&stream->refusal, bytes, size);
        return size;
    }
    stream->moved = true;
    for (size_t i = 0; i < size && !stream->ended; i++) {
        if (bytes[i] != '\n') {
            buf_add_char(&stream->line, bytes[i]);
            continue;
        }
        line_end(stream);
        buf_clear(&stream->line);
    }
    return stream->ended ? 0 : size;
}

/* One connection; 1 the server or on_event ended it, 0 it broke, -1 failed for good. */
static int stream_once(struct stream *stream, const char *path, struct error *err)
{
    struct client_call call = { .method = "GET", .path = path };
    struct client_answer answer = { 0 };
    struct curl_slist *headers;
    struct json_node *json = NULL;
    CURL *curl = client_of(stream->cli)->curl;
    CURLcode code;
    long status = 0;

    if (client_prepare(stream->cli, &call, &headers, err) < 0)
        return -1;
    if (stream->id.size)
        headers = curl_slist_append(
            headers, arena_printf(stream->cli->arena, "Last-Event-ID: %s", buf_text(&stream->id)));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, bytes_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, stream);
    buf_clear(&stream->line);
    buf_clear(&stream->data);
    buf_clear(&stream->event);
    buf_clear(&stream->refusal);
    stream->moved = false;
    code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (stream->ended)
        return 1;
    if (code == CURLE_OK && status >= 200 && status <= 299)
        return 1;
    if (code == CURLE_OK) {
        answer.status = (int)status;
        if (json_parse(buf_str(&stream->refusal), LINE_MAX_BYTES, stream->cli->arena, &json,
                       NULL) == 0)
            answer.json = json;
        return client_refused(stream->cli, &answer, err);
    }
    client_unreachable(stream->cli, code, err);
    return 0;
}

int client_stream(struct cli *cli, const char *path,
                  bool (*on_event)(void *ctx, const char *event, const char *data), void *ctx,
                  struct error *err)
{
    struct stream stream = { .cli = cli, .on_event = on_event, .ctx = ctx };
    struct buf *const bufs[] = { &stream.line, &stream.data, &stream.event, &stream.id,
                                 &stream.refusal };
    int result, tries = 0;

    for (size_t i = 0; i < sizeof(bufs) / sizeof(*bufs); i++)
        buf_init(bufs[i], LINE_MAX_BYTES);
    while ((result = stream_once(&stream, path, err)) == 0) {
        tries = stream.moved ? 1 : tries + 1;
        if (tries >= TRIES_MAX)
            break;
        nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
    }
    for (size_t i = 0; i < sizeof(bufs) / sizeof(*bufs); i++)
        buf_done(bufs[i]);
    return result == 1 ? 0 : -1;
}
