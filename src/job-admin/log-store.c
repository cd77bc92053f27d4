#include "job-admin/log-store.h"

#include <zstd.h>

enum { CHUNKS_A_READ = 64, COMPRESSION_LEVEL = 1, LINES_MAX = 10000 };
/* A chunk is at most 64 KiB as sent; a larger one in the store is damage. */
#define CHUNK_MAX ((size_t)1024 * 1024)

static const struct json_member line_members[] = {
    { .name = "line", .type = JSON_INT, .offset = offsetof(struct log_line, line) },
    { .name = "time", .type = JSON_TIME, .offset = offsetof(struct log_line, time) },
    { .name = "stream", .type = JSON_TEXT, .offset = offsetof(struct log_line, stream) },
    { .name = "text", .type = JSON_TEXT, .offset = offsetof(struct log_line, text) },
    { 0 },
};
const struct json_table log_line_table = { "LogLine", sizeof(struct log_line), line_members };

/* --- write ------------------------------------------------------------------------------------------------- */

enum { LOG_COLUMNS = 12 };

static int chunk_values(struct log_write *write, ZSTD_CCtx *packer,
                        const struct admin_log_chunk *chunk, struct db_value *row,
                        struct error *err)
{
    const char *text = chunk->text ? chunk->text : "";
    size_t size = strlen(text), room = ZSTD_compressBound(size);
    char *bytes = arena_alloc(write->arena, room);
    size_t used = ZSTD_compressCCtx(packer, bytes, room, text, size, COMPRESSION_LEVEL);

    if (ZSTD_isError(used))
        return error_set(err, ERR_INTERNAL, "log chunk cannot be compressed: %s",
                         ZSTD_getErrorName(used));
    row[0] = DB_I(chunk->run_id);
    row[1] = DB_I(id_day(chunk->run_id));
    row[2] = DB_I(chunk->attempt);
    row[3] = DB_I(chunk->sequence);
    row[4] = DB_I(chunk->first_line);
    row[5] = DB_I(chunk->line_count);
    row[6] = DB_I(chunk->first_at);
    row[7] = DB_I(chunk->last_at);
    row[8] = DB_I(chunk->dropped);
    row[9] = DB_I(chunk->last);
    row[10] = DB_I((int64_t)size);
    row[11] = DB_B(bytes, used);
    return 0;
}

/* A chunk that is there already stays: executors send again what was not acknowledged. */
int store_log_write(struct db_tx *tx, void *ctx, struct error *err)
{
    struct log_write *write = ctx;
    size_t count = write->log->chunk_count;
    struct db_value *values = ARENA_ARRAY(write->arena, struct db_value, count * LOG_COLUMNS + 1);
    ZSTD_CCtx *packer = ZSTD_createCCtx(); /* one for all: making it costs more than a short chunk */
    int failed = 0;

    for (size_t i = 0; i < count && !failed; i++)
        failed = chunk_values(write, packer, &write->log->chunks[i], values + LOG_COLUMNS * i, err);
    ZSTD_freeCCtx(packer);
    if (failed)
        return -1;
    return count == 0
               ? 0
               : db_insert_new(tx, "run_log",
                               "run_id, day, attempt, sequence, first_line, line_count, first_at, "
                               "last_at, dropped, last_chunk, size, bytes",
                               values, LOG_COLUMNS, count, NULL, err);
}

/* --- read -------------------------------------------------------------------------------------------------- */

static char *chunk_text(struct log_read *read, const struct db_result *result, size_t *ret_size)
{
    size_t packed;
    const void *bytes = db_blob(result, 6, &packed);
    unsigned long long size = ZSTD_getFrameContentSize(bytes, packed);

    if (size > CHUNK_MAX)
        return NULL;
    char *text = arena_alloc(read->arena, (size_t)size + 1);
    size_t used = ZSTD_decompress(text, (size_t)size, bytes, packed);
    if (ZSTD_isError(used) || used != size)
        return NULL;
    *ret_size = used;
    return text;
}

/* "TIME_MS o text" */
static void line_take(struct log_read *read, struct str line, int64_t number)
{
    struct str rest = line, time, stream;
    struct log_line *out = &read->lines[read->count];

    read->next_line = number + 1;
    if (!str_split(&rest, ' ', &time) || !str_split(&rest, ' ', &stream))
        return;
    out->line = number;
    if (!number_parse(time, 0, INT64_MAX, &out->time))
        out->time = 0;
    out->stream = (char *)(intptr_t)(str_is(stream, "e") ? "stderr" : "stdout");
    out->text = arena_strndup(read->arena, rest.bytes ? rest.bytes : "", rest.size);
    if (!read->search || strstr(out->text, read->search))
        read->count++;
}

static void chunk_take(struct log_read *read, const struct db_result *result)
{
    int64_t number = db_int(result, 1);
    size_t size = 0;
    char *text = chunk_text(read, result, &size);
    struct str rest = { text, size }, line;

    read->dropped = db_int(result, 3);
    if (!text) { /* damaged: left out, and later lines stay readable */
        read->next_line = number + db_int(result, 2);
        return;
    }
    for (; str_split(&rest, '\n', &line) && (rest.bytes || line.size); number++) {
        if (number < read->from_line)
            continue;
        if (read->count >= (size_t)read->limit)
            return;
        line_take(read, line, number);
    }
    read->complete = db_int(result, 4) != 0;
}

int store_log_read(struct db_tx *tx, void *ctx, struct error *err)
{
    struct log_read *read = ctx;
    struct db_result *result;
    bool more = true;

    if (read->limit > LINES_MAX)
        read->limit = LINES_MAX;
    read->lines = ARENA_ARRAY(read->arena, struct log_line, (size_t)read->limit + 1);
    read->count = 0;
    read->next_line = read->from_line;
    read->complete = false;
    while (more && read->count < (size_t)read->limit) {
        if (DB_QUERY(tx, read->arena, &result, err,
                     "SELECT sequence, first_line, line_count, dropped, last_chunk, size, bytes "
                     "FROM run_log WHERE run_id = ? AND day = ? AND attempt = ? AND "
                     "(first_line + line_count > ? OR last_chunk = 1) ORDER BY sequence LIMIT ?",
                     DB_I(read->run_id), DB_I(id_day(read->run_id)), DB_I(read->attempt),
                     DB_I(read->next_line), DB_I(CHUNKS_A_READ)))
            return -1;
        int64_t before = read->next_line;
        while (db_next(result) && read->count < (size_t)read->limit)
            chunk_take(read, result);
        more = db_row_count(result) == CHUNKS_A_READ && read->next_line > before;
    }
    return 0;
}
