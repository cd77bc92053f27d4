#include "job-admin/job.h"

#include <assert.h>
#include <string.h>

/* A job as it comes from outside: whatever is taken must be stored and read back as the same. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void taken(struct job *job, struct zone_set *zones, struct arena *arena)
{
    struct job *again = ARENA_NEW(arena, struct job);
    struct job_entry *entry = NULL;
    struct error err;

    job->id = again->id = 7;
    char *definition = job_definition(job, arena);
    assert(job_definition_read(again, definition, arena, &err) == 0);
    assert(strcmp(definition, job_definition(again, arena)) == 0);
    assert(job_entry_new(again, zones, &entry, &err) == 0);
    int64_t next = job_entry_next(entry, 1700000000000);
    assert(next > 1700000000000);
    job_entry_free(&entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zone_set *zones;
    struct arena *arena = arena_new();
    struct job *job = ARENA_NEW(arena, struct job);
    struct str text = { (const char *)data, size };
    struct error err;

    if (!zones)
        zones = zone_set_new(NULL);
    job_defaults(job);
    if (json_read(text, 64 * 1024, &job_table, arena, job, &err) == 0 &&
        job_check(job, zones, "Asia/Shanghai", 1700000000000, arena, &err) == 0)
        taken(job, zones, arena);
    arena_free(&arena);
    return 0;
}
