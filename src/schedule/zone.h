#ifndef BELFRY_SCHEDULE_ZONE_H
#define BELFRY_SCHEDULE_ZONE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Time zones from the system's tzdata (TZif version 2 and later with its POSIX footer), laid out as
 * segments of constant offset from 1970 to 2199. A zone never changes once made; it is shared by
 * reference counts that any thread may touch.
 */
struct zone;

/* Reads /usr/share/zoneinfo/NAME. Errors: ERR_INVALID: no such zone, or its file is damaged. */
int zone_load(const char *name, struct zone **ret_zone, struct error *err);
/* Makes a zone from the bytes of a TZif file. Errors: ERR_INVALID. */
int zone_parse(const char *name, const void *bytes, size_t size, struct zone **ret_zone,
               struct error *err);
struct zone *zone_ref(struct zone *zone);
void zone_unref(struct zone **zone); /* accepts NULL, sets NULL; fit for CLEANUP */

const struct zone *zone_utc(void); /* built in, for ever; references to it are not counted */
const char *zone_name(const struct zone *zone);
/* Seconds east of UTC at this instant. */
int zone_offset_at(const struct zone *zone, int64_t time_ms);
/* true: both have the same offsets at all times. */
bool zone_same_rules(const struct zone *a, const struct zone *b);

/*
 * Zones by name, each read once. One owner thread; the zones found may go to any thread.
 */
struct zone_set;

struct zone_set *zone_set_new(const char *folder); /* NULL: /usr/share/zoneinfo */
void zone_set_free(struct zone_set **set);         /* accepts NULL, sets NULL */
/* A reference of the caller's own: zone_unref it. Errors: ERR_INVALID (no such zone). */
int zone_set_find(struct zone_set *set, const char *name, struct zone **ret_zone,
                  struct error *err);
/*
 * Notices new tzdata: one stat per zone in the set, and reads what has changed. true when the rules
 * of any zone are others now; then a job whose zone differs from zone_set_find's must take the new
 * one and recompute its next fire. A file that cannot be read keeps the zone as it was.
 */
bool zone_set_reload(struct zone_set *set);

#endif
