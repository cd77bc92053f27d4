#include "job-execute/spool.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEAD_SIZE = 12,
    RECORD_MAX = 512 * 1024,
    QUEUE_MAX = 64 * 1024 * 1024, /* bytes on their way to the thread */
};
static const char magic[4] = { 'B', 'S', 'P', '1' };

struct spool {
    int fd;
    char *path;
    size_t size_max;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake, idle;
    struct buf queue; /* records to be written */
    size_t size;      /* of the file, with what is queued */
    size_t live;      /* results and chunks not settled */
    bool truncate, busy, stop, failed;
};

/* --- records ---------------------------------------------------------------------------------- */

/* The tables of the calls' own elements: the one member of each call that is an array. */
static const struct json_table *element_table(const struct call_type *type, const char *name)
{
    const struct json_member *member = type->request->members;

    while (strcmp(member->name, name))
        member++;
    return member->sub;
}

static uint32_t crc32_of(const char *bytes, size_t size)
{
    static const uint32_t nibbles[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned char)bytes[i];
        crc = (crc >> 4) ^ nibbles[crc & 15];
        crc = (crc >> 4) ^ nibbles[crc & 15];
    }
    return ~crc;
}

static void put_u32(char *bytes, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (char)(number >> (8 * i) & 0xff);
}

static uint32_t get_u32(const char *bytes)
{
    uint32_t number = 0;

    for (int i = 0; i < 4; i++)
        number |= (uint32_t)(unsigned char)bytes[i] << (8 * i);
    return number;
}

static void record_finish(struct buf *record)
{
    size_t size = record->size - HEAD_SIZE;

    memcpy(record->bytes, magic, sizeof magic);
    put_u32(record->bytes + 4, (uint32_t)size);
    put_u32(record->bytes + 8, crc32_of(record->bytes + HEAD_SIZE, size));
}

/* kind, incarnation, a zero byte, JSON. */
static void record_begin(struct buf *record, char kind, const char *incarnation)
{
    buf_init(record, RECORD_MAX);
    buf_add(record, "            ", HEAD_SIZE);
    buf_add_char(record, kind);
    buf_add(record, incarnation, strlen(incarnation) + 1);
}

/* --- the thread ------------------------------------------------------------------------------- */

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

static void spool_write(struct spool *spool, bool truncate, struct buf *records)
{
    bool bad = (truncate && ftruncate(spool->fd, 0) < 0) ||
               write_all(spool->fd, buf_text(records), records->size) < 0 ||
               fdatasync(spool->fd) < 0;

    /* Once: results stay in memory, where they are sent from in any case. */
    if (bad && !spool->failed)
        LOG_ERROR("spool cannot be written, results are kept in memory only", "path", spool->path,
                  "error", strerror(errno));
    spool->failed = bad;
}

static void *spool_thread(void *ctx)
{
    struct spool *spool = ctx;

    pthread_mutex_lock(&spool->lock);
    for (;;) {
        struct buf records;
        bool truncate;

        while (!spool->queue.size && !spool->truncate && !spool->stop) {
            spool->busy = false;
            pthread_cond_broadcast(&spool->idle);
            pthread_cond_wait(&spool->wake, &spool->lock);
        }
        if (!spool->queue.size && !spool->truncate)
            break;
        records = spool->queue;
        truncate = spool->truncate;
        buf_init(&spool->queue, QUEUE_MAX);
        spool->truncate = false;
        spool->busy = true;
        pthread_mutex_unlock(&spool->lock);
        spool_write(spool, truncate, &records);
        buf_done(&records);
        pthread_mutex_lock(&spool->lock);
    }
    spool->busy = false;
    pthread_cond_broadcast(&spool->idle);
    pthread_mutex_unlock(&spool->lock);
    return NULL;
}

/* Takes the record. false: the file or the queue is full. */
static bool spool_queue(struct spool *spool, struct buf *record, size_t size_max, bool live)
{
    bool fits;

    pthread_mutex_lock(&spool->lock);
    fits = !record->overflow && spool->size + record->size <= size_max &&
           spool->queue.size + record->size <= QUEUE_MAX;
    if (fits) {
        buf_add(&spool->queue, record->bytes, record->size);
        spool->size += record->size;
        spool->live += live;
        pthread_cond_signal(&spool->wake);
    }
    pthread_mutex_unlock(&spool->lock);
    buf_done(record);
    return fits;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int64_t key_of(const char *incarnation, int64_t run_id, int32_t attempt, int32_t token)
{
    uint64_t hash = 0xcbf29ce484222325u;
    char text[128];
    int n = snprintf(text, sizeof text, "%s/%lld/%d/%d", incarnation, (long long)run_id,
                     (int)attempt, (int)token);

    for (int i = 0; i < n && i < (int)sizeof text - 1; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return (int64_t)hash;
}

struct loaded {
    struct arena *arena;
    struct loaded_record {
        char kind;
        const char *incarnation;
        void *target;
        bool settled;
    } * records;
    size_t count, capacity;
};

static int record_read(struct loaded *loaded, struct str body)
{
    const struct json_table *table;
    const char *zero = memchr(body.bytes, '\0', body.size);
    struct loaded_record record = { .kind = body.bytes[0] };
    struct error err;

    if (!zero)
        return -1;
    record.incarnation = arena_strdup(loaded->arena, body.bytes + 1);
    table = record.kind == 'L' ? element_table(&admin_log_call, "chunks")
                               : element_table(&admin_report_call, "items");
    record.target = arena_alloc(loaded->arena, table->size);
    if (json_read_all((struct str){ zero + 1, body.size - (size_t)(zero + 1 - body.bytes) },
                      RECORD_MAX, table, loaded->arena, record.target, &err) < 0)
        return -1;
    if (loaded->count == loaded->capacity) {
        loaded->capacity = loaded->capacity ? loaded->capacity * 2 : 256;
        loaded->records =
            memory_resize(loaded->records, loaded->capacity * sizeof *loaded->records);
    }
    loaded->records[loaded->count++] = record;
    return 0;
}

/* Returns how many bytes are sound. */
static size_t records_read(struct loaded *loaded, struct str file)
{
    size_t at = 0;

    while (file.size - at > HEAD_SIZE && !memcmp(file.bytes + at, magic, sizeof magic)) {
        size_t size = get_u32(file.bytes + at + 4);
        struct str body = { file.bytes + at + HEAD_SIZE, size };

        if (!size || size > RECORD_MAX || size > file.size - at - HEAD_SIZE ||
            crc32_of(body.bytes, body.size) != get_u32(file.bytes + at + 8) ||
            record_read(loaded, body) < 0)
            break;
        at += HEAD_SIZE + size;
    }
    return at;
}

/* Marks the results that a later record says are acknowledged. */
static void records_settle(struct loaded *loaded)
{
    struct map results;

    map_init(&results);
    for (size_t i = 0; i < loaded->count; i++) {
        struct loaded_record *record = &loaded->records[i];
        const struct admin_report_item *item = record->target;
        struct loaded_record *result;
        int64_t key;

        if (record->kind == 'L')
            continue;
        key = key_of(record->incarnation, item->run_id, item->attempt, item->token);
        if (record->kind == 'R')
            map_put(&results, key, record);
        else if ((result = map_remove(&results, key)))
            result->settled = true;
    }
    map_done(&results);
}

static void records_give(struct spool *spool, struct loaded *loaded,
                         const struct spool_reader *reader)
{
    for (size_t i = 0; i < loaded->count; i++) {
        const struct loaded_record *record = &loaded->records[i];

        if (record->settled || record->kind == 'A')
            continue;
        spool->live++;
        if (record->kind == 'L')
            reader->chunk(reader->ctx, record->incarnation, record->target);
        else
            reader->result(reader->ctx, record->incarnation, record->target);
    }
}

static int file_read(int fd, struct buf *file)
{
    for (;;) {
        char *room = buf_reserve(file, 256 * 1024);
        ssize_t n = room ? read(fd, room, 256 * 1024) : -1;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        buf_commit(file, (size_t)n);
    }
}

static int spool_load(struct spool *spool, const struct spool_reader *reader, struct error *err)
{
    struct loaded loaded = { .arena = arena_new() };
    struct buf file;
    size_t sound;
    int result = 0;

    buf_init(&file, spool->size_max * 2 + 1024 * 1024);
    if (file_read(spool->fd, &file) < 0)
        result = error_set(err, ERR_IO, "cannot read %s: %s", spool->path, strerror(errno));
    else {
        sound = records_read(&loaded, buf_str(&file));
        if (sound < file.size) {
            LOG_WARN("spool has a damaged end, cutting it off", "path", spool->path, "bytes",
                     log_int((int64_t)(file.size - sound)));
            if (ftruncate(spool->fd, (off_t)sound) < 0)
                result =
                    error_set(err, ERR_IO, "cannot write %s: %s", spool->path, strerror(errno));
        }
        spool->size = sound;
        records_settle(&loaded);
        records_give(spool, &loaded, reader);
        if (!spool->live && sound)
            spool->truncate = true;
    }
    buf_done(&file);
    free(loaded.records);
    arena_free(&loaded.arena);
    return result;
}

/* --- the public part -------------------------------------------------------------------------- */

int spool_open(const char *path, size_t size_max, const struct spool_reader *reader,
               struct spool **ret_spool, struct error *err)
{
    struct spool *spool = memory_alloc(sizeof *spool);

    spool->path = memory_strdup(path);
    spool->size_max = size_max;
    pthread_mutex_init(&spool->lock, NULL);
    pthread_cond_init(&spool->wake, NULL);
    pthread_cond_init(&spool->idle, NULL);
    buf_init(&spool->queue, QUEUE_MAX);
    spool->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (spool->fd < 0)
        error_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    else if (spool_load(spool, reader, err) == 0 &&
             pthread_create(&spool->thread, NULL, spool_thread, spool) == 0) {
        *ret_spool = spool;
        return 0;
    }
    if (spool->fd >= 0)
        close(spool->fd);
    buf_done(&spool->queue);
    free(spool->path);
    free(spool);
    return -1;
}

void spool_free(struct spool **pointer)
{
    struct spool *spool = *pointer;

    if (!spool)
        return;
    pthread_mutex_lock(&spool->lock);
    spool->stop = true;
    pthread_cond_signal(&spool->wake);
    pthread_mutex_unlock(&spool->lock);
    pthread_join(spool->thread, NULL);
    pthread_cond_destroy(&spool->wake);
    pthread_cond_destroy(&spool->idle);
    pthread_mutex_destroy(&spool->lock);
    close(spool->fd);
    buf_done(&spool->queue);
    free(spool->path);
    free(spool);
    *pointer = NULL;
}

bool spool_result(struct spool *spool, const char *incarnation,
                  const struct admin_report_item *item)
{
    struct json_writer w;
    struct buf record;

    record_begin(&record, 'R', incarnation);
    json_begin(&w, &record);
    json_write_all(&w, element_table(&admin_report_call, "items"), item);
    record_finish(&record);
    return spool_queue(spool, &record, spool->size_max, true);
}

bool spool_chunk(struct spool *spool, const char *incarnation, const struct admin_log_chunk *chunk)
{
    struct json_writer w;
    struct buf record;

    record_begin(&record, 'L', incarnation);
    json_begin(&w, &record);
    json_write_all(&w, element_table(&admin_log_call, "chunks"), chunk);
    record_finish(&record);
    return spool_queue(spool, &record, spool->size_max / 4 * 3, true);
}

/* The last one settled: the file can be emptied, with what was queued for it. */
static bool spool_settle(struct spool *spool)
{
    bool empty;

    pthread_mutex_lock(&spool->lock);
    empty = spool->live && --spool->live == 0;
    if (empty) {
        buf_clear(&spool->queue);
        spool->size = 0;
        spool->truncate = true;
        pthread_cond_signal(&spool->wake);
    }
    pthread_mutex_unlock(&spool->lock);
    return empty;
}

void spool_acked(struct spool *spool, const char *incarnation, int64_t run_id, int32_t attempt,
                 int32_t token)
{
    struct admin_report_item item = { .run_id = run_id, .attempt = attempt, .token = token };
    struct json_writer w;
    struct buf record;

    if (spool_settle(spool))
        return;
    record_begin(&record, 'A', incarnation);
    json_begin(&w, &record);
    json_write_all(&w, element_table(&admin_report_call, "items"), &item);
    record_finish(&record);
    /* Where it does not fit the result is told again after a restart, which changes nothing. */
    spool_queue(spool, &record, spool->size_max * 2, false);
}

void spool_chunk_acked(struct spool *spool)
{
    spool_settle(spool);
}

void spool_sync(struct spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    while (spool->busy || spool->queue.size || spool->truncate)
        pthread_cond_wait(&spool->idle, &spool->lock);
    pthread_mutex_unlock(&spool->lock);
}

size_t spool_size(struct spool *spool)
{
    size_t size;

    pthread_mutex_lock(&spool->lock);
    size = spool->size;
    pthread_mutex_unlock(&spool->lock);
    return size;
}
