#ifndef BELFRY_SERVICE_IDS_H
#define BELFRY_SERVICE_IDS_H

#include "db/db.h"

/*
 * 64-bit ids of runs and messages: day << 38 | sequence, ≤ 2^53-1; day is the UTC day since 1970
 * of the thing's time, so a look-up by id touches one partition. The sequence is given out in
 * blocks per node from the table id_sequence; a block that is lost in a crash leaves a hole. An
 * id is no secret and gives no right.
 */
struct ids;

enum { ID_DAY_SHIFT = 38 };
static inline int64_t id_day(int64_t id)
{
    return id >> ID_DAY_SHIFT;
}
static inline int64_t time_day(int64_t time_ms)
{
    return time_ms >= 0 ? time_ms / 86400000 : (time_ms - 86399999) / 86400000;
}

struct ids *ids_new(struct db *db, const char *kind /* "run", static */, int64_t block_size);
void ids_free(struct ids **ids);
/* Makes ids of one day; 0 when no block is at hand (one is being fetched: try again when
 * on_ready ran). Keeps a second block in reserve, so that 0 is rare after the start. Loop only. */
int64_t ids_next(struct ids *ids, int64_t time_ms);
bool ids_available(const struct ids *ids, int64_t count);
void ids_on_ready(struct ids *ids, void (*on_ready)(void *), void *ctx);
/* For transactions that need an id of their own at once (API calls): inside fn. */
int ids_take(struct db_tx *tx, const char *kind, int64_t time_ms, int64_t *ret_id,
             struct error *err);

#endif
