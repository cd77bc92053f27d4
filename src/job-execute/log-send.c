#include "job-execute/log-send.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "job-execute/spool.h"
#include "service/service.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_COST = sizeof(struct log_chunk) + 64 };

struct log_sender {
    struct node *node;
    struct peers *peers;
    struct spool **spool; /* opened after this */
    size_t backlog, backlog_max;
    int64_t stored_mono_ms; /* when job-admin last stored something, or there was nothing */
    struct event *flush, *timer;
    struct list calls;
};

struct log_call {
    struct list link;
    struct log_sender *sender;
    struct peer *peer;
    struct list chunks;
    struct admin_log request;
};

static void chunk_free(struct log_chunk *chunk)
{
    list_remove(&chunk->link);
    free(chunk->chunk.text);
    free(chunk->incarnation);
    free(chunk);
}

static void chunks_free(struct list *list)
{
    LIST_EACH_SAFE(list, link)
        chunk_free(CONTAINER_OF(link, struct log_chunk, link));
}

static const char *chunk_incarnation(const struct log_sender *sender, const struct log_chunk *chunk)
{
    return chunk->incarnation ? chunk->incarnation : sender->node->incarnation;
}

static void chunk_to_peer(struct log_chunk *chunk, struct peer *peer)
{
    chunk->peer = peer;
    list_remove(&chunk->link);
    list_add_tail(&peer->chunks, &chunk->link);
}

/* --- one call --------------------------------------------------------------------------------- */

static void chunk_stored(struct log_sender *sender, struct log_chunk *chunk)
{
    sender->backlog -= chunk->size + CHUNK_COST;
    if (chunk->spooled)
        spool_chunk_acked(*sender->spool);
    chunk_free(chunk);
}

static void log_call_free(struct log_call *call)
{
    list_remove(&call->link);
    chunks_free(&call->chunks);
    free(call->request.chunks);
    free(call);
}

static void chunks_stored(struct log_call *call)
{
    call->sender->stored_mono_ms = clock_mono_ms();
    peer_answered(call->peer, PEER_LOGS);
    LIST_EACH_SAFE(&call->chunks, link)
        chunk_stored(call->sender, CONTAINER_OF(link, struct log_chunk, link));
}

/* Put back in front, in their order: chunks of an attempt are sent in order. */
static void chunks_failed(struct log_call *call)
{
    struct peer *next = peers_next(call->sender->peers, call->peer, PEER_LOGS, clock_mono_ms());

    LIST_EACH_SAFE(&call->peer->chunks, link) {
        list_remove(link);
        list_add_tail(&call->chunks, link);
    }
    LIST_EACH_SAFE(&call->chunks, link)
        chunk_to_peer(CONTAINER_OF(link, struct log_chunk, link), next);
}

static void chunks_answered(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct log_call *call = ctx;
    struct log_sender *sender = call->sender;

    (void)sent;
    call->peer->log_calls--;
    if (!answer && peer_failed(call->peer, PEER_LOGS, clock_mono_ms()))
        LOG_WARN("log chunks not stored, trying again", "admin", call->peer->instance, "error",
                 error_english(err));
    if (answer)
        chunks_stored(call);
    else
        chunks_failed(call);
    log_call_free(call);
    event_active(sender->flush, 0, 0);
}

static void log_call_fill(struct log_call *call)
{
    size_t bytes = 0;
    size_t i = 0;

    LIST_EACH_SAFE(&call->peer->chunks, link) {
        struct log_chunk *chunk = CONTAINER_OF(link, struct log_chunk, link);
        const char *incarnation = chunk_incarnation(call->sender, chunk);

        if (!i)
            call->request.incarnation = (char *)(intptr_t)incarnation;
        else if (i == LOG_BATCH || bytes + chunk->size > LOG_BATCH_BYTES ||
                 strcmp(incarnation, call->request.incarnation))
            break;
        bytes += chunk->size;
        call->request.chunks[i++] = chunk->chunk;
        list_remove(link);
        list_add_tail(&call->chunks, link);
    }
    call->request.chunk_count = i;
}

static void log_call_start(struct log_sender *sender, struct peer *peer)
{
    struct log_call *call = memory_alloc(sizeof *call);

    call->sender = sender;
    call->peer = peer;
    list_init(&call->chunks);
    list_add_tail(&sender->calls, &call->link);
    call->request.executor = (char *)(intptr_t)sender->node->name;
    call->request.chunks = memory_alloc(LOG_BATCH * sizeof *call->request.chunks);
    log_call_fill(call);
    peer->log_calls++;
    call_send(sender->node, &admin_log_call, peer_instance(peer), &call->request, chunks_answered,
              call);
}

/* One call a job-admin at a time, so that chunks stay in order. */
static void log_flush(evutil_socket_t fd, short what, void *ctx)
{
    struct log_sender *sender = ctx;
    int64_t mono_ms = clock_mono_ms();
    bool waits = false;

    (void)fd;
    (void)what;
    LIST_EACH(&sender->peers->all, link) {
        struct peer *peer = CONTAINER_OF(link, struct peer, link);

        if (list_empty(&peer->chunks) || peer->log_calls)
            continue;
        if (!peer_rests(peer, PEER_LOGS, mono_ms))
            log_call_start(sender, peer);
        else
            waits = true;
    }
    if (waits)
        event_add(sender->timer, &(struct timeval){ 0, 100 * 1000 });
}

/* --- the public part -------------------------------------------------------------------------- */

struct log_sender *log_sender_new(struct node *node, struct peers *peers, struct spool **spool,
                                  size_t backlog_max)
{
    struct log_sender *sender = memory_alloc(sizeof *sender);

    sender->node = node;
    sender->peers = peers;
    sender->spool = spool;
    sender->backlog_max = backlog_max;
    list_init(&sender->calls);
    sender->flush = event_new(node->base, -1, 0, log_flush, sender);
    sender->timer = event_new(node->base, -1, 0, log_flush, sender);
    return sender;
}

void log_sender_free(struct log_sender **pointer)
{
    struct log_sender *sender = *pointer;

    if (!sender)
        return;
    LIST_EACH_SAFE(&sender->calls, link)
        log_call_free(CONTAINER_OF(link, struct log_call, link));
    LIST_EACH(&sender->peers->all, peer)
        chunks_free(&CONTAINER_OF(peer, struct peer, link)->chunks);
    event_free(sender->flush);
    event_free(sender->timer);
    free(sender);
    *pointer = NULL;
}

static struct log_chunk *chunk_add(struct log_sender *sender, struct peer *peer,
                                   const struct admin_log_chunk *source, char *text, size_t size)
{
    struct log_chunk *chunk = memory_alloc(sizeof *chunk);

    if (!sender->backlog)
        sender->stored_mono_ms = clock_mono_ms();
    sender->backlog += size + CHUNK_COST;
    chunk->chunk = *source;
    chunk->chunk.text = text ? text : memory_strdup("");
    chunk->size = size;
    list_init(&chunk->link);
    chunk_to_peer(chunk, peer);
    event_active(sender->flush, 0, 0);
    return chunk;
}

bool log_send(struct log_sender *sender, struct peer *peer, const struct admin_log_chunk *source,
              char *text, size_t size)
{
    if (size && sender->backlog + size > sender->backlog_max) {
        free(text);
        return false;
    }
    chunk_add(sender, peer, source, text, size);
    return true;
}

void log_replay(struct log_sender *sender, const char *incarnation,
                const struct admin_log_chunk *source)
{
    struct log_chunk *chunk =
        chunk_add(sender, peers_find(sender->peers, NULL), source, memory_strdup(source->text),
                  source->text ? strlen(source->text) : 0);

    chunk->incarnation = memory_strdup(incarnation);
    chunk->spooled = true;
}

size_t log_sender_backlog(const struct log_sender *sender)
{
    return sender->backlog;
}

bool log_sender_hold(const struct log_sender *sender)
{
    return sender->backlog > sender->backlog_max / 2 &&
           clock_mono_ms() - sender->stored_mono_ms < LOG_STUCK_MS;
}

static void chunks_spool(struct log_sender *sender, struct list *list)
{
    LIST_EACH(list, link) {
        struct log_chunk *chunk = CONTAINER_OF(link, struct log_chunk, link);

        if (!chunk->spooled)
            chunk->spooled =
                spool_chunk(*sender->spool, chunk_incarnation(sender, chunk), &chunk->chunk);
    }
}

void log_sender_spool_all(struct log_sender *sender)
{
    LIST_EACH(&sender->calls, call)
        chunks_spool(sender, &CONTAINER_OF(call, struct log_call, link)->chunks);
    LIST_EACH(&sender->peers->all, peer)
        chunks_spool(sender, &CONTAINER_OF(peer, struct peer, link)->chunks);
}
