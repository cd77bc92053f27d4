#ifndef BELFRY_BASE_BUF_H
#define BELFRY_BASE_BUF_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Growing text with a largest size. The first write that would pass it sets overflow, and that
 * write and all later ones are dropped: check once at the end. bytes is NUL-terminated whenever it
 * is not NULL (buf_text gives "" for an empty one). Owner: whoever called buf_init calls buf_done.
 */
struct buf {
    char *bytes;
    size_t size, capacity, max;
    bool overflow;
};

void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);   /* frees; buf may be initialised again; fit for CLEANUP */
void buf_clear(struct buf *buf);  /* keeps the memory */
void buf_add(struct buf *buf, const void *bytes, size_t size);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_add_number(struct buf *buf, int64_t number);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *buf, size_t size); /* removes from the front */
const char *buf_text(const struct buf *buf);
char *buf_take(struct buf *buf);  /* hands the bytes over (free), leaves buf empty */
/* Room for size more bytes at the end to be filled and then counted by buf_commit; NULL past max. */
char *buf_reserve(struct buf *buf, size_t size);
void buf_commit(struct buf *buf, size_t size);

static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){ buf->bytes, buf->size };
}

#endif
