#ifndef BELFRY_JOB_EXECUTE_LOG_SEND_H
#define BELFRY_JOB_EXECUTE_LOG_SEND_H

#include "base/list.h"
#include "job-admin/client.h"
#include "job-execute/peer.h"

/*
 * Log chunks on their way to job-admin, in batches of their own, so that they never delay a result.
 * They are kept until a job-admin has stored them. Their memory is bounded for the whole node:
 * beyond that the caller drops (and counts) what comes.
 */
struct attempt;
struct log_sender;
struct spool;

enum { LOG_STUCK_MS = 2000, LOG_BATCH = 64, LOG_BATCH_BYTES = 2 * 1024 * 1024 };

struct log_chunk {
    struct list link;
    struct admin_log_chunk chunk;  /* text is the chunk's own */
    size_t size;
    char *incarnation;             /* NULL: of this process */
    struct peer *peer;
    bool spooled;
};

struct log_sender *log_sender_new(struct node *node, struct peers *peers, struct spool **spool,
                                  size_t backlog_max);
void log_sender_free(struct log_sender **sender);
/* Takes text over. false: no room, text is freed and counts as dropped; a chunk without text
 * always has room. */
bool log_send(struct log_sender *sender, struct peer *peer, const struct admin_log_chunk *chunk,
              char *text, size_t size);
void log_replay(struct log_sender *sender, const char *incarnation,
                const struct admin_log_chunk *chunk);
size_t log_sender_backlog(const struct log_sender *sender);
/*
 * Time to stop reading from scripts: half of the room is used and job-admin stores what it gets.
 * Where it has stored nothing for LOG_STUCK_MS, scripts go on and their lines are dropped when the
 * room is used up: what a script does counts for more than what it prints.
 */
bool log_sender_hold(const struct log_sender *sender);
void log_sender_spool_all(struct log_sender *sender);

#endif
