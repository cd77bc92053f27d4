#include "job-admin/admin.h"
#include "job-admin/api.h"

/* Every URL of job-admin. */

#define QUERY(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define ROUTE(method_, pattern_, permission_, handle_, ...)                                        \
    {                                                                                              \
        .method = (method_), .pattern = (pattern_), .permission = (permission_),                   \
        .handle = (handle_), __VA_ARGS__                                                           \
    }

const struct route job_admin_routes[] = {
    ROUTE(HTTP_GET, "/api/v1/groups", PERM_VIEW, api_group_list, .query = QUERY("limit", "cursor"),
          .answer = &group_table),
    ROUTE(HTTP_POST, "/api/v1/groups", PERM_ADMINISTER, api_group_create, .body = &group_table,
          .answer = &group_table),
    ROUTE(HTTP_DELETE, "/api/v1/groups/{name}", PERM_ADMINISTER, api_group_delete, .body = NULL),

    ROUTE(HTTP_GET, "/api/v1/jobs", PERM_VIEW, api_job_list,
          .query = QUERY("group", "name", "tag", "owner", "enabled", "search", "limit", "cursor"),
          .answer = &job_table),
    ROUTE(HTTP_POST, "/api/v1/jobs", PERM_DEVELOP, api_job_create, .body_max = 4 * 1024 * 1024,
          .body = &job_table, .answer = &job_table),
    ROUTE(HTTP_GET, "/api/v1/jobs/{id}", PERM_VIEW, api_job_read_one, .answer = &job_table),
    ROUTE(HTTP_PUT, "/api/v1/jobs/{id}", PERM_DEVELOP, api_job_update, .body_max = 4 * 1024 * 1024,
          .body = &job_table, .answer = &job_table),
    ROUTE(HTTP_DELETE, "/api/v1/jobs/{id}", PERM_DEVELOP, api_job_delete, .body = NULL),
    ROUTE(HTTP_POST, "/api/v1/jobs/{id}/enable", PERM_OPERATE, api_job_enable,
          .answer = &job_table),
    ROUTE(HTTP_POST, "/api/v1/jobs/{id}/disable", PERM_OPERATE, api_job_disable,
          .answer = &job_table),
    ROUTE(HTTP_POST, "/api/v1/jobs/{id}/pause", PERM_OPERATE, api_job_pause,
          .body = &job_pause_table, .answer = &job_table),
    ROUTE(HTTP_POST, "/api/v1/jobs/{id}/resume", PERM_OPERATE, api_job_resume,
          .answer = &job_table),
    ROUTE(HTTP_POST, "/api/v1/jobs/{id}/run", PERM_OPERATE, api_run_trigger,
          .body = &run_trigger_table, .answer = &run_table),
    ROUTE(HTTP_GET, "/api/v1/jobs/{id}/status", PERM_VIEW, api_job_status,
          .answer = &job_status_table),
    ROUTE(HTTP_GET, "/api/v1/jobs/{id}/fires", PERM_VIEW, api_job_fires_list,
          .query = QUERY("from", "to", "limit"), .answer = &fire_table),
    ROUTE(HTTP_GET, "/api/v1/jobs/{id}/why", PERM_VIEW, api_job_why, .query = QUERY("at"),
          .answer = &why_table),
    ROUTE(HTTP_GET, "/api/v1/fires", PERM_VIEW, api_fires_list,
          .query = QUERY("from", "to", "group", "limit"), .answer = &fire_table),

    ROUTE(HTTP_GET, "/api/v1/runs", PERM_VIEW, api_run_list,
          .query = QUERY("job", "group", "state", "from", "to", "limit", "cursor"),
          .answer = &run_item_table),
    ROUTE(HTTP_GET, "/api/v1/runs/{id}", PERM_VIEW, api_run_read_one, .answer = &run_table),
    ROUTE(HTTP_POST, "/api/v1/runs/{id}/stop", PERM_OPERATE, api_run_stop, .body = &run_stop_table,
          .answer = &run_table),
    ROUTE(HTTP_POST, "/api/v1/runs/{id}/rerun", PERM_OPERATE, api_run_rerun, .answer = &run_table),
    ROUTE(HTTP_GET, "/api/v1/runs/{id}/log", PERM_VIEW, api_run_log,
          .query = QUERY("attempt", "from_line", "limit", "search"), .answer = &log_page_table),
    ROUTE(HTTP_GET, "/api/v1/runs/{id}/log/stream", PERM_VIEW, api_run_log_stream,
          .query = QUERY("attempt", "from_line"), .stream = true),

    ROUTE(HTTP_GET, "/api/v1/executors", PERM_VIEW, api_executor_list, .answer = &executor_table),
    ROUTE(HTTP_POST, "/api/v1/cron/preview", PERM_SIGNED_IN, api_cron_preview,
          .body = &cron_preview_input_table, .answer = &cron_preview_table),
    { .pattern = NULL },
};
