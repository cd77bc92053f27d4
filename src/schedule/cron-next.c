#include "schedule/cron-private.h"
#include "schedule/zone-private.h"

/*
 * From named local times (cron-search.c) to instants. A zone is a row of segments of constant
 * offset; each shows a stretch of local time, and the stretches leave gaps and overlap:
 *
 *   local   ……──────────────┤ gap ├───────────────┤
 *                                          ├ again ┼──────────────……
 *   segment        1                 2                   3
 *
 * An instant of segment s is a fire when its local time is named, and either counts again (that is
 * when the rule lets both passes count) or was not shown by the segment before. Beyond that the
 * first instant of a segment behind a gap is a fire when the rule shifts and a time in the gap is
 * named. All questions below are asked against this one definition.
 */

enum { GAP_MAX_S = 3 * 3600 };

struct walk {
    const struct cron *cron;
    bool twice; /* both passes of an overlap count */
    bool shift; /* times in a gap count at its end */
};

static struct walk walk_of(const struct cron *cron, enum dst_rule dst)
{
    bool elapsed = cron->hours == HOURS_ALL;

    return (struct walk){ cron, dst == DST_BOTH || (dst == DST_ONCE && elapsed),
                          dst == DST_ONCE && !elapsed };
}

static int64_t seconds_up(int64_t time_ms)
{
    int64_t floor = floor_seconds(time_ms);

    return floor + (floor * 1000 != time_ms);
}

/* First local time of the segment that counts; the first segment has no beginning. */
static int64_t segment_begin(const struct walk *walk, const struct zone_segment *segment)
{
    if (segment->from == INT64_MIN)
        return INT64_MIN;
    if (segment->offset < segment->before && !walk->twice)
        return segment->from + segment->before;
    return segment->from + segment->offset;
}

/* Where its local time ends. */
static int64_t segment_end(const struct zone_segment *segment)
{
    return segment[1].from == INT64_MAX ? INT64_MAX : segment[1].from + segment->offset;
}

/* The local times that count at segment->from: from <= x < end; false when there are none. */
static bool segment_gap(const struct walk *walk, const struct zone_segment *segment,
                        int64_t *ret_from, int64_t *ret_end)
{
    int32_t gap = segment->offset - segment->before;

    if (!walk->shift || gap <= 0 || gap >= GAP_MAX_S)
        return false;
    *ret_from = segment->from + segment->before;
    *ret_end = segment->from + segment->offset;
    return true;
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/*
 * The search in local time, kept while the walk goes from segment to segment: named is the least
 * named time >= from. A new search is needed only where local time goes back, or where a segment
 * begins behind what was found.
 */
struct seek {
    int64_t from, named;
};

static void seek_next(const struct walk *walk, struct seek *seek, int64_t from)
{
    if (from >= seek->from && from <= seek->named)
        return;
    seek->from = from;
    seek->named = cron_local_next(walk->cron, from);
}

/* Going back, from is the upper end: named is the greatest named time <= from. */
static void seek_previous(const struct walk *walk, struct seek *seek, int64_t from)
{
    if (from <= seek->from && from >= seek->named)
        return;
    seek->from = from;
    seek->named = cron_local_previous(walk->cron, from);
}

/*
 * The segment to look at after this one. When the named time is far ahead all that lie wholly
 * before it are passed over; that is sound where no later one goes back behind seek->from.
 */
static const struct zone_segment *
segment_next(const struct zone *zone, const struct zone_segment *segment, const struct seek *seek)
{
    int64_t ahead = min_of(seek->named, ZONE_END) - ZONE_OFFSET_MAX;

    segment++;
    if (segment[1].from <= ahead && segment->from - ZONE_OFFSET_MAX >= seek->from)
        return zone_segment_at(zone, ahead);
    return segment;
}

/* The least fire >= time, in seconds; SCHEDULE_NEVER. */
static int64_t next_from(const struct walk *walk, const struct zone *zone, int64_t time)
{
    const struct zone_segment *segment = zone_segment_at(zone, time);
    struct seek seek = { INT64_MAX, INT64_MIN };
    int64_t gap_from, gap_end, begin = time + segment->offset;

    for (;; begin = INT64_MIN) {
        if (time <= segment->from && segment_gap(walk, segment, &gap_from, &gap_end)) {
            seek_next(walk, &seek, gap_from);
            if (seek.named < gap_end)
                return segment->from;
        }
        seek_next(walk, &seek, max_of(begin, segment_begin(walk, segment)));
        if (seek.named < segment_end(segment))
            return seek.named - segment->offset;
        if (segment[1].from == INT64_MAX)
            return SCHEDULE_NEVER;
        segment = segment_next(zone, segment, &seek);
    }
}

/* The greatest fire <= time, in seconds; SCHEDULE_NONE. */
static int64_t previous_to(const struct walk *walk, const struct zone *zone, int64_t time)
{
    const struct zone_segment *segment = zone_segment_at(zone, time);
    struct seek seek = { INT64_MIN, INT64_MAX };
    int64_t gap_from, gap_end, end = time + segment->offset;

    for (;; end = segment_end(segment) - 1) {
        seek_previous(walk, &seek, end);
        if (seek.named != SCHEDULE_NONE && seek.named >= segment_begin(walk, segment))
            return seek.named - segment->offset;
        if (segment->from == INT64_MIN)
            return SCHEDULE_NONE;
        if (segment_gap(walk, segment, &gap_from, &gap_end)) {
            seek_previous(walk, &seek, gap_end - 1);
            if (seek.named >= gap_from)
                return segment->from;
        }
        segment--;
    }
}

/* Fires in from <= x < to, in seconds. */
static int64_t count_between(const struct walk *walk, const struct zone *zone, int64_t from,
                             int64_t to)
{
    const struct zone_segment *segment = zone_segment_at(zone, from);
    int64_t count = 0;

    for (; segment->from < to; segment++) {
        int64_t gap_from, gap_end, begin = segment_begin(walk, segment);
        bool whole = segment->from >= from;

        if (whole && segment->from != INT64_MIN &&
            segment_gap(walk, segment, &gap_from, &gap_end) &&
            cron_local_next(walk->cron, gap_from) < gap_end &&
            cron_local_next(walk->cron, gap_end) != gap_end)
            count++;
        if (!whole || segment->from == INT64_MIN)
            begin = max_of(begin, from + segment->offset);
        count +=
            cron_local_count(walk->cron, begin, min_of(segment_end(segment), to + segment->offset));
        if (segment[1].from == INT64_MAX)
            break;
    }
    return count;
}

/* What lies outside has no fires; inside no sum overflows. */
static int64_t clamp(int64_t time)
{
    return min_of(max_of(time, ZONE_BEGIN), ZONE_END);
}

int64_t cron_next(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                  int64_t after_ms)
{
    struct walk walk = walk_of(cron, dst);
    int64_t time = next_from(&walk, zone, clamp(floor_seconds(after_ms) + 1));

    return time == SCHEDULE_NEVER ? time : time * 1000;
}

int64_t cron_previous(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                      int64_t before_ms)
{
    struct walk walk = walk_of(cron, dst);
    int64_t time = previous_to(&walk, zone, clamp(seconds_up(before_ms) - 1));

    return time == SCHEDULE_NONE ? time : time * 1000;
}

int64_t cron_count(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                   int64_t from_ms, int64_t to_ms)
{
    struct walk walk = walk_of(cron, dst);
    int64_t from = clamp(floor_seconds(from_ms) + 1), to = clamp(floor_seconds(to_ms) + 1);

    return from < to ? count_between(&walk, zone, from, to) : 0;
}

bool cron_matches(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                  int64_t time_ms)
{
    return time_ms > INT64_MIN && cron_next(cron, zone, dst, time_ms - 1) == time_ms;
}

bool cron_never_fires(const struct cron *cron, const struct zone *zone, enum dst_rule dst)
{
    return cron_next(cron, zone, dst, INT64_MIN) == SCHEDULE_NEVER;
}

/* Does the clock show this instant's local time in the other pass of an overlap too? */
static enum fire_mark pass_of(const struct zone_segment *segment, int64_t time)
{
    if (segment->from != INT64_MIN && segment->offset < segment->before &&
        time + segment->offset < segment->from + segment->before)
        return FIRE_SECOND_PASS;
    if (segment[1].from != INT64_MAX && segment[1].offset < segment->offset &&
        time + segment->offset >= segment[1].from + segment[1].offset)
        return FIRE_FIRST_PASS;
    return FIRE_PLAIN;
}

bool cron_next_detail(const struct cron *cron, const struct zone *zone, enum dst_rule dst,
                      int64_t after_ms, struct cron_fire *ret_fire)
{
    struct walk walk = walk_of(cron, dst);
    int64_t time_ms = cron_next(cron, zone, dst, after_ms), gap_from, gap_end, named;
    const struct zone_segment *segment;

    if (time_ms == SCHEDULE_NEVER)
        return false;
    segment = zone_segment_at(zone, time_ms / 1000);
    *ret_fire = (struct cron_fire){ .time_ms = time_ms,
                                    .offset_s = segment->offset,
                                    .mark = pass_of(segment, time_ms / 1000) };
    if (segment->from != time_ms / 1000 || !segment_gap(&walk, segment, &gap_from, &gap_end))
        return true;
    named = cron_local_next(cron, gap_from);
    if (named < gap_end) {
        ret_fire->mark = FIRE_SHIFTED;
        ret_fire->named_local_s = named;
    }
    return true;
}
