#include "schedule/zone-private.h"

#include "base/map.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { ZONE_FILE_MAX = 256 * 1024 };

struct zone_entry {
    struct zone *zone;
    struct zone_stamp stamp;
};

struct zone_set {
    char *folder;       /* NULL: the system's */
    struct map entries; /* name → struct zone_entry */
};

static int folder_load(const char *folder, const char *name, struct zone **ret_zone,
                       struct error *err)
{
    CLEANUP(buf_done) struct buf bytes;

    if (strcmp(name, "UTC") == 0) { /* there even on a system without tzdata */
        *ret_zone = zone_ref((struct zone *)(uintptr_t)zone_utc());
        return 0;
    }
    buf_init(&bytes, ZONE_FILE_MAX);
    if (zone_file_read(folder, name, &bytes, err) < 0)
        return -1;
    return zone_parse(name, buf_text(&bytes), bytes.size, ret_zone, err);
}

int zone_load(const char *name, struct zone **ret_zone, struct error *err)
{
    return folder_load(NULL, name, ret_zone, err);
}

struct zone_set *zone_set_new(const char *folder)
{
    struct zone_set *set = memory_alloc(sizeof *set);

    set->folder = memory_strdup(folder);
    map_init(&set->entries);
    return set;
}

void zone_set_free(struct zone_set **set)
{
    void *value;

    if (!*set)
        return;
    for (size_t i = 0; map_next(&(*set)->entries, &i, &value);) {
        struct zone_entry *entry = value;
        zone_unref(&entry->zone);
        free(entry);
    }
    map_done(&(*set)->entries);
    memory_free_text(&(*set)->folder);
    free(*set);
    *set = NULL;
}

/* The stamp is taken before the bytes: a change in between is then noticed by the next reload. */
static int entry_load(const struct zone_set *set, const char *name, struct zone_entry *ret_entry,
                      struct error *err)
{
    struct zone_entry entry = { 0 };

    zone_file_stamp(set->folder, name, &entry.stamp);
    if (folder_load(set->folder, name, &entry.zone, err) < 0)
        return -1;
    *ret_entry = entry;
    return 0;
}

int zone_set_find(struct zone_set *set, const char *name, struct zone **ret_zone, struct error *err)
{
    struct zone_entry *entry = map_get_text(&set->entries, name), loaded;

    if (!entry) {
        if (entry_load(set, name, &loaded, err) < 0)
            return -1;
        entry = memory_alloc(sizeof *entry);
        *entry = loaded;
        map_put_text(&set->entries, name, entry);
    }
    *ret_zone = zone_ref(entry->zone);
    return 0;
}

static bool stamp_equal(const struct zone_stamp *a, const struct zone_stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->modified_s == b->modified_s &&
           a->modified_ns == b->modified_ns;
}

/* true when the zone has other rules now. Jobs keep the old zone where the rules are the same. */
static bool entry_reload(const struct zone_set *set, struct zone_entry *entry)
{
    struct zone_entry loaded;
    struct zone_stamp stamp;

    if (!zone_file_stamp(set->folder, entry->zone->name, &stamp) ||
        stamp_equal(&stamp, &entry->stamp) || entry_load(set, entry->zone->name, &loaded, NULL) < 0)
        return false;
    entry->stamp = loaded.stamp;
    if (zone_same_rules(loaded.zone, entry->zone)) {
        zone_unref(&loaded.zone);
        return false;
    }
    zone_unref(&entry->zone);
    entry->zone = loaded.zone;
    return true;
}

bool zone_set_reload(struct zone_set *set)
{
    bool changed = false;
    void *value;

    for (size_t i = 0; map_next(&set->entries, &i, &value);)
        changed |= entry_reload(set, value);
    return changed;
}
