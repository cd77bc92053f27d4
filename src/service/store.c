#include "service/service-private.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "service/audit.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_STEP_MAX_MS = 50, WAIT_SILENT_MS = 500, WAIT_LOG_MS = 10000 };

static bool store_needed(const struct frame *frame)
{
    for (size_t i = 0; i < frame->running_count; i++)
        if (frame->running[i].service->needs_db)
            return true;
    return false;
}

static int store_open(struct frame *frame, struct error *err)
{
    const struct config *config = frame->node.config;
    struct arena *arena = arena_new();
    const char *url = config_text(config, "store.url");
    struct db_settings settings = {
        .url = url ? url : arena_printf(arena, "sqlite:%s/belfry.db", frame->node.data_dir),
        .password = config_text(config, "store.password"),
        .connections = {
            [DB_POOL_SCHEDULE] = (int)config_int(config, "store.connections_schedule"),
            [DB_POOL_API] = (int)config_int(config, "store.connections_api"),
            [DB_POOL_LOG] = (int)config_int(config, "store.connections_log"),
        },
        .durability_relaxed = strcmp(config_text(config, "store.durability"), "relaxed") == 0,
        .connect_timeout_ms = (int)config_int(config, "store.connect_timeout"),
    };
    int rc = db_open(&settings, frame->node.base, &frame->node.db, err);

    arena_free(&arena);
    if (rc < 0 && err->code == ERR_INVALID)
        error_prefix_path(err, "store.url");
    return rc;
}

static void on_wait_step(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx;
}

static void loop_for(struct frame *frame, int ms)
{
    const struct timeval step = { .tv_usec = ms * 1000 };

    event_base_once(frame->node.base, -1, EV_TIMEOUT, on_wait_step, NULL, &step);
    event_base_loop(frame->node.base, EVLOOP_ONCE);
}

/* The loop runs meanwhile, so signals and health checks are answered. */
static int store_wait(struct frame *frame)
{
    int64_t log_at_ms = clock_mono_ms() + WAIT_SILENT_MS;
    struct error err;

    for (int step_ms = 1; db_ready(frame->node.db, &err) < 0;
         step_ms = step_ms * 2 < WAIT_STEP_MAX_MS ? step_ms * 2 : WAIT_STEP_MAX_MS) {
        if (clock_mono_ms() >= log_at_ms) {
            LOG_WARN("waiting for the store; the start goes on when it is there", "why",
                     error_english(&err));
            log_at_ms = clock_mono_ms() + WAIT_LOG_MS;
        }
        loop_for(frame, step_ms);
        if (frame->stop)
            return 1;
    }
    return 0;
}

static int migration_compare(const void *a, const void *b)
{
    const struct db_migration *x = a, *y = b;

    return x->version < y->version ? -1 : x->version > y->version;
}

/* Those of all services, here or not: there is one database, and one history of it. */
static size_t migrations_collect(const struct frame *frame, struct db_migration **ret_migrations)
{
    size_t count = service_migration_count, used = service_migration_count;

    for (size_t i = 0; i < frame->setup->all_count; i++)
        count += frame->setup->all[i]->migration_count;
    struct db_migration *all = memory_alloc(count * sizeof *all);
    memcpy(all, service_migrations, service_migration_count * sizeof *all);
    for (size_t i = 0; i < frame->setup->all_count; i++) {
        const struct service *service = frame->setup->all[i];
        if (service->migration_count)
            memcpy(all + used, service->migrations, service->migration_count * sizeof *all);
        used += service->migration_count;
    }
    qsort(all, count, sizeof *all, migration_compare);
    *ret_migrations = all;
    return count;
}

static int store_migrate(struct frame *frame, struct error *err)
{
    struct db_migration *migrations;
    size_t count = migrations_collect(frame, &migrations);
    int applied = 0;
    int rc = 0;

    for (size_t i = 1; i < count && rc == 0; i++)
        if (migrations[i].version == migrations[i - 1].version)
            rc = error_set(err, ERR_INTERNAL, "two migrations have the version %d",
                           migrations[i].version);
    if (rc == 0)
        rc = db_migrate(frame->node.db, migrations, count, &applied, err);
    free(migrations);
    if (rc == 0 && applied > 0)
        LOG_INFO("tables brought up to date", "migrations", log_int(applied));
    return rc;
}

int store_start(struct frame *frame, struct error *err)
{
    if (!store_needed(frame))
        return 0;
    if (store_open(frame, err) < 0)
        return -1;
    int rc = store_wait(frame);
    return rc != 0 ? rc : store_migrate(frame, err);
}
