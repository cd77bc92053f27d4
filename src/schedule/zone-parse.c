#include "schedule/zone-private.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/*
 * TZif (RFC 8536), version 2 and later:
 *
 *   header 44 bytes | 32-bit data, skipped | header | 64-bit data | "\n" POSIX rule "\n"
 *   data = transition times 8 * timecnt | their types 1 * timecnt | types 6 * typecnt | …
 */

struct reader {
    const unsigned char *p;
    size_t left;
};

struct header {
    uint32_t isut, isstd, leap, time, type, chars;
};

static uint32_t u32_at(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t i64_at(const unsigned char *p)
{
    return (int64_t)((uint64_t)u32_at(p) << 32 | u32_at(p + 4));
}

static bool skip(struct reader *reader, uint64_t size)
{
    if (size > reader->left)
        return false;
    reader->p += size;
    reader->left -= (size_t)size;
    return true;
}

static bool header_read(struct reader *reader, struct header *ret)
{
    const unsigned char *p = reader->p;

    if (!skip(reader, 44) || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
        return false;
    *ret = (struct header){ u32_at(p + 20), u32_at(p + 24), u32_at(p + 28),
                            u32_at(p + 32), u32_at(p + 36), u32_at(p + 40) };
    return true;
}

/* Size of the data behind a header; time_size is 4 or 8. */
static uint64_t data_size(const struct header *h, unsigned time_size)
{
    return (uint64_t)h->time * (time_size + 1) + (uint64_t)h->type * 6 + h->chars +
           (uint64_t)h->leap * (time_size + 4) + h->isstd + h->isut;
}

/* Offsets of the types; false when one is absurd. */
static bool type_offset(const unsigned char *types, unsigned index, int32_t *ret_offset)
{
    *ret_offset = (int32_t)u32_at(types + 6 * (size_t)index);
    return *ret_offset >= -ZONE_OFFSET_MAX && *ret_offset <= ZONE_OFFSET_MAX;
}

/* Transitions ascend; before the first of them type 0 holds. */
static bool transitions_add(struct zone_builder *builder, const unsigned char *data,
                            const struct header *h, int64_t *ret_last)
{
    const unsigned char *indices = data + (size_t)h->time * 8, *types = indices + h->time;
    int64_t last = INT64_MIN;
    int32_t offset;

    if (!type_offset(types, 0, &builder->first))
        return false;
    for (size_t i = 0; i < h->time; i++) {
        int64_t at = i64_at(data + 8 * i);
        if (indices[i] >= h->type || (i > 0 && at <= last) ||
            !type_offset(types, indices[i], &offset))
            return false;
        last = at;
        zone_builder_add(builder, at, offset);
    }
    *ret_last = last;
    return true;
}

static bool footer_read(const struct reader *reader, struct str *ret_rule)
{
    const char *text = (const char *)reader->p;
    const char *end;

    if (reader->left < 2 || text[0] != '\n')
        return false;
    end = memchr(text + 1, '\n', reader->left - 1);
    if (!end)
        return false;
    *ret_rule = (struct str){ text + 1, (size_t)(end - text - 1) };
    return true;
}

static bool file_read(struct zone_builder *builder, const void *bytes, size_t size)
{
    struct reader reader = { bytes, size };
    const unsigned char *data;
    struct header header;
    struct str rule;
    int64_t last;

    if (!header_read(&reader, &header) || !skip(&reader, data_size(&header, 4)) ||
        !header_read(&reader, &header) || header.leap || header.type < 1)
        return false;
    data = reader.p;
    if (!skip(&reader, data_size(&header, 8)) || !footer_read(&reader, &rule) ||
        !transitions_add(builder, data, &header, &last))
        return false;
    return (!rule.size || zone_rule_add(builder, rule, last)) && !builder->overflow;
}

int zone_parse(const char *name, const void *bytes, size_t size, struct zone **ret_zone,
               struct error *err)
{
    struct zone_builder *builder = memory_alloc(sizeof *builder);
    bool good = file_read(builder, bytes, size);

    if (good)
        *ret_zone = zone_build(name, builder);
    free(builder);
    return good ? 0 : error_set(err, ERR_INVALID, "the data of time zone \"%s\" is damaged", name);
}
