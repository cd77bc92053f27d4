#include "service/picker.h"

#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct instance {
    unsigned failures; /* in a row */
    int64_t out_until_ms;
};

struct picker {
    struct map instances; /* by url */
    struct map turns;     /* by service: size_t * */
};

struct picker *picker_new(void)
{
    struct picker *picker = memory_alloc(sizeof *picker);

    map_init(&picker->instances);
    map_init(&picker->turns);
    return picker;
}

static void values_free(struct map *map)
{
    void *value;

    for (size_t i = 0; map_next(map, &i, &value);)
        free(value);
    map_done(map);
}

void picker_free(struct picker **picker)
{
    if (!*picker)
        return;
    values_free(&(*picker)->instances);
    values_free(&(*picker)->turns);
    free(*picker);
    *picker = NULL;
}

static struct instance *instance_get(struct picker *picker, const char *url)
{
    struct instance *instance = map_get_text(&picker->instances, url);

    if (!instance) {
        instance = memory_alloc(sizeof *instance);
        map_put_text(&picker->instances, url, instance);
    }
    return instance;
}

static size_t turn_next(struct picker *picker, const char *service)
{
    size_t *turn = map_get_text(&picker->turns, service);

    if (!turn) {
        turn = memory_alloc(sizeof *turn);
        map_put_text(&picker->turns, service, turn);
    }
    return (*turn)++;
}

const char *picker_choose(struct picker *picker, const char *service, const char *const *urls,
                          size_t count, const char *except, int64_t mono_ms)
{
    const char *second = NULL;

    if (count == 0)
        return NULL;
    size_t turn = turn_next(picker, service);
    for (size_t i = 0; i < count; i++) {
        const char *url = urls[(turn + i) % count];
        if (except && strcmp(url, except) == 0)
            continue;
        struct instance *instance = instance_get(picker, url);
        if (instance->out_until_ms <= mono_ms) {
            if (instance->failures >=
                PICKER_FAILURES_MAX) /* on trial: the next ones wait for what becomes of it */
                instance->out_until_ms = mono_ms + PICKER_OUT_MS;
            return url;
        }
        if (!second)
            second = url;
    }
    return second ? second : urls[turn % count];
}

void picker_worked(struct picker *picker, const char *url)
{
    struct instance *instance = instance_get(picker, url);

    if (instance->failures >= PICKER_FAILURES_MAX)
        LOG_INFO("instance answers again", "instance", url);
    *instance = (struct instance){ 0 };
}

void picker_failed(struct picker *picker, const char *url, bool unreachable, int64_t mono_ms)
{
    struct instance *instance = instance_get(picker, url);
    unsigned before = instance->failures;

    instance->failures =
        unreachable && before < PICKER_FAILURES_MAX ? PICKER_FAILURES_MAX : before + 1;
    if (instance->failures < PICKER_FAILURES_MAX)
        return;
    if (before < PICKER_FAILURES_MAX)
        LOG_WARN("instance fails; others are asked for 10 s", "instance", url);
    instance->out_until_ms = mono_ms + PICKER_OUT_MS;
}
