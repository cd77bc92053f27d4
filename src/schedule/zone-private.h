#ifndef BELFRY_SCHEDULE_ZONE_PRIVATE_H
#define BELFRY_SCHEDULE_ZONE_PRIVATE_H

#include "base/buf.h"
#include "schedule/zone.h"

/* Time in seconds since 1970 UTC. One segment ends where the next begins. */
struct zone_segment {
    int64_t from;   /* the first: INT64_MIN; the sentinel behind the last: INT64_MAX */
    int32_t offset; /* seconds east of UTC */
    int32_t before; /* offset of the segment before it; the first: its own */
};

enum {
    ZONE_NAME_MAX = 63,
    ZONE_SEGMENTS_MAX = 4000,
    ZONE_BUCKET_SHIFT = 24, /* 194 days: no more than a few segments begin in one */
    ZONE_BUCKETS = 434,
    ZONE_OFFSET_MAX = 26 * 3600,
};
/* What segments cover: the years of schedules and two days more. Times outside are clamped. */
#define ZONE_BEGIN (INT64_C(-2) * 86400)
#define ZONE_END (INT64_C(84008) * 86400)

struct zone {
    int refs;
    char name[ZONE_NAME_MAX + 1];
    size_t count;
    const struct zone_segment *segments; /* count, and the sentinel */
    uint16_t buckets[ZONE_BUCKETS];      /* segment that holds the beginning of the bucket */
};

/* Segments in the making, in order of time. */
struct zone_builder {
    int32_t first; /* offset before the first change */
    size_t count;
    bool overflow;
    struct {
        int64_t at;
        int32_t offset;
    } changes[ZONE_SEGMENTS_MAX];
};

/* At equal times the later call wins. */
void zone_builder_add(struct zone_builder *builder, int64_t at, int32_t offset);
struct zone *zone_build(const char *name, const struct zone_builder *builder);

/*
 * Adds the changes of a POSIX TZ rule ("EST5EDT,M3.2.0,M11.1.0") after the instant last.
 * false: the rule is damaged.
 */
bool zone_rule_add(struct zone_builder *builder, struct str rule, int64_t last);

static inline const struct zone_segment *zone_segment_at(const struct zone *zone, int64_t time)
{
    int64_t bucket = (time - ZONE_BEGIN) >> ZONE_BUCKET_SHIFT;
    size_t i = bucket < 0 ? 0 : bucket >= ZONE_BUCKETS ? ZONE_BUCKETS - 1 : (size_t)bucket;
    const struct zone_segment *segment = &zone->segments[zone->buckets[i]];

    while (segment[1].from <= time)
        segment++;
    return segment;
}

static inline int64_t floor_seconds(int64_t time_ms)
{
    return time_ms / 1000 - (time_ms % 1000 < 0);
}

/* What tells one version of a file from the next. */
struct zone_stamp {
    int64_t inode, size, modified_s, modified_ns;
};

/* The only functions of schedule/ that touch files (zone-load.c). folder NULL: the system's. */
int zone_file_read(const char *folder, const char *name, struct buf *out, struct error *err);
bool zone_file_stamp(const char *folder, const char *name, struct zone_stamp *ret_stamp);
bool zone_name_valid(const char *name);

#endif
