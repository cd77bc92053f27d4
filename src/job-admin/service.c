#include "job-admin/service.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "job-admin/admin.h"
#include "job-execute/client.h"

#include <stdlib.h>

static const struct call_handler job_admin_calls[] = {
    { .type = &admin_heartbeat_call, .handle = heartbeat_take },
    { .type = &admin_report_call, .handle = reports_take },
    { .type = &admin_log_call, .handle = log_take },
    { .type = &admin_group_find_call, .handle = group_find_call },
    { .type = &admin_groups_call, .handle = groups_call },
    { .type = NULL },
};

static int job_admin_start(struct node *node, void **ret_state, struct error *err)
{
    struct admin *admin;
    struct zone *zone = NULL;

    /* Definitions of scripts are checked here: against the list that job-execute has, too. */
    if (task_interpreters_set(config_text(node->config, "execute.interpreters"), err))
        return -1;
    admin = memory_alloc(sizeof *admin);
    admin->node = node;
    admin->leases = db_backend(node->db) != DB_SQLITE;
    admin->zones = zone_set_new(NULL);
    admin->default_zone = config_text(node->config, "schedule.zone");
    map_init(&admin->jobs);
    map_init(&admin->run_parameters);
    map_init(&admin->executors);
    map_init(&admin->dispatch_cache);
    list_init(&admin->dispatch_lru);
    list_init(&admin->plans_waiting);
    list_init(&admin->creates_waiting);
    list_init(&admin->log_tails);
    if (zone_set_find(admin->zones, admin->default_zone, &zone, err)) {
        error_prefix_path(err, "schedule.zone");
        zone_set_free(&admin->zones);
        free(admin);
        return -1;
    }
    zone_unref(&zone);
    admin->job_ids = ids_new(node->db, "job", 1000);
    ids_on_ready(admin->job_ids, creates_go, admin);
    if (partitions_make(admin, err) || engine_start(admin, err))
        return -1; /* the process ends */
    *ret_state = admin;
    return 0;
}

static void job_admin_drain(void *state, void (*done)(void *ctx), void *ctx)
{
    engine_drain(state, done, ctx);
}

static void job_admin_reload(void *state)
{
    entries_zone_check(state);
}

static void job_admin_free(void *state)
{
    struct admin *admin = state;

    log_tails_free(admin);
    engine_stop(admin);
    ids_free(&admin->job_ids);
    dispatch_cache_free(admin);
    entries_free(admin);
    executors_free(admin);
    zone_set_free(&admin->zones);
    free(admin);
}

/* --- metrics ------------------------------------------------------------------------------------------------ */

struct metric {
    const char *name, *type, *about;
    size_t offset;
};

#define COUNTER(member, about) \
    { #member, "counter", (about), offsetof(struct scheduler_counters, member) }
#define GAUGE(member, about) \
    { #member, "gauge", (about), offsetof(struct scheduler_counters, member) }

static const struct metric metrics[] = {
    COUNTER(planned, "runs planned"),
    COUNTER(started, "attempts started"),
    COUNTER(ended, "runs ended"),
    COUNTER(late_reports, "reports that came too late and changed nothing"),
    COUNTER(moves, "state changes made"),
    COUNTER(moves_lost, "state changes that somebody else had made before"),
    COUNTER(dispatches, "dispatch requests sent"),
    COUNTER(refused, "runs that an executor had no room for"),
    COUNTER(lost, "attempts lost with their executor"),
    COUNTER(shed, "runs given up without a place"),
    GAUGE(armed, "planned runs that wait for their time"),
    GAUGE(ready, "runs that wait for an executor"),
    GAUGE(waiting, "runs that wait for another run"),
    GAUGE(active, "runs at executors"),
    GAUGE(retrying, "runs that wait for another attempt"),
    GAUGE(executors, "executors alive"),
    GAUGE(shards, "shards owned"),
};

static void metric_print(struct buf *out, const char *name, const char *type, const char *about,
                         uint64_t value)
{
    const char *total = strcmp(type, "counter") == 0 ? "_total" : "";

    buf_printf(out, "# HELP belfry_scheduler_%s%s %s\n# TYPE belfry_scheduler_%s%s %s\n", name,
               total, about, name, total, type);
    buf_printf(out, "belfry_scheduler_%s%s %llu\n", name, total, (unsigned long long)value);
}

static void job_admin_metrics(void *state, struct buf *out)
{
    struct admin *admin = state;
    struct scheduler_counters counters;

    scheduler_counters(admin->scheduler, &counters);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        uint64_t value;
        memcpy(&value, (const char *)&counters + metrics[i].offset, sizeof value);
        metric_print(out, metrics[i].name, metrics[i].type, metrics[i].about, value);
    }
    metric_print(out, "clock_jumps", "counter", "times the wall clock was set", admin->clock_jumps);
    int64_t behind = counters.oldest_due_ms ? admin_now_ms(admin) - counters.oldest_due_ms : 0;
    metric_print(out, "behind_ms", "gauge", "age of the oldest due run that has not been given out",
                 behind > 0 ? (uint64_t)behind : 0);
}

const struct service job_admin_service = {
    .name = "job-admin",
    .routes = job_admin_routes,
    .calls = job_admin_calls,
    .migrations = job_admin_migrations,
    .migration_count = 3,
    .needs_db = true,
    .start = job_admin_start,
    .metrics = job_admin_metrics,
    .reload = job_admin_reload,
    .drain = job_admin_drain,
    .free = job_admin_free,
};
