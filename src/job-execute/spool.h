#ifndef BELFRY_JOB_EXECUTE_SPOOL_H
#define BELFRY_JOB_EXECUTE_SPOOL_H

#include "base/error.h"
#include "job-admin/client.h"

#include <stddef.h>
#include <stdint.h>

/*
 * A file of results and log chunks that no job-admin has taken yet, so that they outlive this
 * process. Append-only; emptied when everything in it is acknowledged.
 *
 *   file:    record*
 *   record:  "BSP1" | length (u32, little-endian) | CRC-32 of what follows (u32) | kind | text
 *   kind:    'R' result, 'L' log chunk: text is the JSON of the call's struct, 'A' acknowledged
 *            result; each with the incarnation that it is of
 *
 * Reading stops at the first record that is not whole or not sound: what a crash cut off had not
 * been promised to anybody. Writing is done by a thread of the spool's own, with fdatasync; nothing
 * here blocks the loop but opening and freeing. When the file is full, log chunks are dropped first
 * (at three quarters) and then results stay in memory only.
 */
struct spool;

struct spool_reader {
    void (*result)(void *ctx, const char *incarnation, const struct admin_report_item *item);
    void (*chunk)(void *ctx, const char *incarnation, const struct admin_log_chunk *chunk);
    void *ctx;
};

/* Opens or makes the file, reads what is in it (reader's texts are valid during the call only), and
 * cuts off a damaged tail. Errors: ERR_IO. */
int spool_open(const char *path, size_t size_max, const struct spool_reader *reader,
               struct spool **ret_spool, struct error *err);
/* Writes what is queued, then ends. Accepts NULL. */
void spool_free(struct spool **spool);

/* false: full, not written. */
bool spool_result(struct spool *spool, const char *incarnation,
                  const struct admin_report_item *item);
bool spool_chunk(struct spool *spool, const char *incarnation,
                 const struct admin_log_chunk *chunk);
/* A result or chunk that was written or read is settled. */
void spool_acked(struct spool *spool, const char *incarnation, int64_t run_id, int32_t attempt,
                 int32_t token);
void spool_chunk_acked(struct spool *spool);
/* Waits until all that is queued is on disk: for the end of the process. */
void spool_sync(struct spool *spool);
size_t spool_size(struct spool *spool);

#endif
