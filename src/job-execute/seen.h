#ifndef BELFRY_JOB_EXECUTE_SEEN_H
#define BELFRY_JOB_EXECUTE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which (run, attempt, token) came here before, and whether each was taken or refused. A dispatch
 * that was delayed on its way must find its answer here. It cannot be delayed for ever: the signed
 * identity it carries expires within 60 s, so entries are kept for SEEN_KEEP_MS at least and then
 * go in whole generations. What still runs or waits for its acknowledgement is known anyway.
 *
 * An entry is a keyed 64-bit hash: 8 bytes, at 20,000 dispatches a second some 25 MiB in all; two
 * of a million entries collide once in 10^7 fillings.
 */
enum seen_state { SEEN_NOT, SEEN_TAKEN, SEEN_REFUSED };
enum { SEEN_KEEP_MS = 65 * 1000 };

struct seen_table {
    uint64_t *slots;
    size_t count, capacity;
};

struct seen {
    struct seen_table now, before;
    int64_t turned_ms;   /* monotonic: when now was begun */
    unsigned char key[16];
};

void seen_init(struct seen *seen, int64_t mono_ms);
void seen_done(struct seen *seen);
enum seen_state seen_find(const struct seen *seen, int64_t run_id, int32_t attempt, int32_t token);
void seen_add(struct seen *seen, int64_t run_id, int32_t attempt, int32_t token, bool refused,
              int64_t mono_ms);
/* Lets entries go whose time is over: call it now and then. */
void seen_turn(struct seen *seen, int64_t mono_ms);

#endif
