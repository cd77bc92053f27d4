#include "schedule/zone-private.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static const struct zone_segment utc_segments[] = { { INT64_MIN, 0, 0 }, { INT64_MAX, 0, 0 } };
static struct zone utc = { .name = "UTC", .count = 1, .segments = utc_segments };

const struct zone *zone_utc(void)
{
    return &utc;
}

struct zone *zone_ref(struct zone *zone)
{
    if (zone != &utc)
        __atomic_add_fetch(&zone->refs, 1, __ATOMIC_RELAXED);
    return zone;
}

void zone_unref(struct zone **zone)
{
    struct zone *z = *zone;

    *zone = NULL;
    if (z && z != &utc && __atomic_sub_fetch(&z->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(z);
}

const char *zone_name(const struct zone *zone)
{
    return zone->name;
}

int zone_offset_at(const struct zone *zone, int64_t time_ms)
{
    return zone_segment_at(zone, floor_seconds(time_ms))->offset;
}

bool zone_same_rules(const struct zone *a, const struct zone *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->segments[i].from != b->segments[i].from ||
            a->segments[i].offset != b->segments[i].offset)
            return false;
    return true;
}

void zone_builder_add(struct zone_builder *builder, int64_t at, int32_t offset)
{
    size_t i = builder->count;

    if (at >= ZONE_END)
        return;
    if (at <= ZONE_BEGIN) {
        builder->first = offset;
        return;
    }
    while (i > 0 && builder->changes[i - 1].at > at)
        i--;
    if (i > 0 && builder->changes[i - 1].at == at) {
        builder->changes[i - 1].offset = offset;
        return;
    }
    if (builder->count == ZONE_SEGMENTS_MAX) {
        builder->overflow = true;
        return;
    }
    memmove(&builder->changes[i + 1], &builder->changes[i],
            (builder->count - i) * sizeof builder->changes[0]);
    builder->changes[i].at = at;
    builder->changes[i].offset = offset;
    builder->count++;
}

/* Changes of name or of the DST flag alone are left out: only offsets count. */
static size_t segments_fill(const struct zone_builder *builder, struct zone_segment *segments)
{
    size_t count = 1;

    segments[0] = (struct zone_segment){ INT64_MIN, builder->first, builder->first };
    for (size_t i = 0; i < builder->count; i++) {
        int32_t before = segments[count - 1].offset, offset = builder->changes[i].offset;
        if (offset != before)
            segments[count++] = (struct zone_segment){ builder->changes[i].at, offset, before };
    }
    segments[count] = (struct zone_segment){ INT64_MAX, 0, 0 };
    return count;
}

struct zone *zone_build(const char *name, const struct zone_builder *builder)
{
    struct zone_segment *segments;
    struct zone *zone =
        memory_alloc(sizeof *zone + (builder->count + 2) * sizeof(struct zone_segment));
    size_t i = 0;

    segments = (struct zone_segment *)(zone + 1);
    zone->refs = 1;
    memcpy(zone->name, name, strnlen(name, ZONE_NAME_MAX));
    zone->count = segments_fill(builder, segments);
    zone->segments = segments;
    for (int64_t bucket = 0; bucket < ZONE_BUCKETS; bucket++) {
        while (segments[i + 1].from <= ZONE_BEGIN + (bucket << ZONE_BUCKET_SHIFT))
            i++;
        zone->buckets[bucket] = (uint16_t)i;
    }
    return zone;
}
