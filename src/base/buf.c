#include "base/buf.h"

#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){ .max = max };
}

void buf_done(struct buf *buf)
{
    free(buf->bytes);
    *buf = (struct buf){ .max = buf->max };
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->overflow = false;
    if (buf->bytes)
        buf->bytes[0] = '\0';
}

char *buf_reserve(struct buf *buf, size_t size)
{
    if (buf->overflow || size > buf->max || buf->size > buf->max - size) {
        buf->overflow = true;
        return NULL;
    }
    if (!buf->bytes || buf->capacity - buf->size < size + 1) {
        size_t capacity = buf->capacity ? buf->capacity * 2 : 128;
        while (capacity < buf->size + size + 1)
            capacity *= 2;
        buf->bytes = memory_resize(buf->bytes, capacity);
        buf->capacity = capacity;
    }
    return buf->bytes + buf->size;
}

void buf_commit(struct buf *buf, size_t size)
{
    assert(buf->bytes && buf->size + size < buf->capacity);
    buf->size += size;
    buf->bytes[buf->size] = '\0';
}

void buf_add(struct buf *buf, const void *bytes, size_t size)
{
    char *room = buf_reserve(buf, size);

    if (!room)
        return;
    if (size)
        memcpy(room, bytes, size);
    buf_commit(buf, size);
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_add_number(struct buf *buf, int64_t number)
{
    char digits[24], *p = digits + sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;

    do
        *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0)
        *--p = '-';
    buf_add(buf, p, (size_t)(digits + sizeof digits - p));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list ap, again;

    va_start(ap, format);
    va_copy(again, ap);
    int size = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    char *room = size < 0 ? NULL : buf_reserve(buf, (size_t)size);
    if (room) {
        vsnprintf(room, (size_t)size + 1, format, again);
        buf_commit(buf, (size_t)size);
    }
    va_end(again);
}

void buf_consume(struct buf *buf, size_t size)
{
    assert(size <= buf->size);
    if (!size)
        return;
    memmove(buf->bytes, buf->bytes + size, buf->size - size);
    buf->size -= size;
    buf->bytes[buf->size] = '\0';
}

const char *buf_text(const struct buf *buf)
{
    return buf->bytes ? buf->bytes : "";
}

char *buf_take(struct buf *buf)
{
    char *bytes = buf->bytes ? buf->bytes : memory_strdup("");

    *buf = (struct buf){ .max = buf->max };
    return bytes;
}
