#ifndef BELFRY_JOB_ADMIN_API_H
#define BELFRY_JOB_ADMIN_API_H

#include "service/request.h"

/* Handlers and tables that routes.c puts together; each is described where it is written. */

void api_group_list(struct request *request);
void api_group_create(struct request *request);
void api_group_delete(struct request *request);

void api_job_list(struct request *request);
void api_job_create(struct request *request);
void api_job_read_one(struct request *request);
void api_job_update(struct request *request);
void api_job_delete(struct request *request);
void api_job_enable(struct request *request);
void api_job_disable(struct request *request);
void api_job_pause(struct request *request);
void api_job_resume(struct request *request);
void api_job_status(struct request *request);
void api_job_fires_list(struct request *request);
void api_job_why(struct request *request);
void api_fires_list(struct request *request);

void api_run_list(struct request *request);
void api_run_read_one(struct request *request);
void api_run_trigger(struct request *request);
void api_run_rerun(struct request *request);
void api_run_stop(struct request *request);
void api_run_log(struct request *request);
void api_run_log_stream(struct request *request);

void api_executor_list(struct request *request);
void api_cron_preview(struct request *request);

extern const struct json_table group_table, job_table, job_pause_table, job_status_table, fire_table,
    why_table, run_table, run_item_table, run_trigger_table, run_stop_table, log_page_table,
    executor_table, cron_preview_input_table, cron_preview_table;

/* --- answers that several of them give ---------------------------------------------------------- */

void job_missing(struct request *request, int64_t id); /* 404 */
void run_missing(struct request *request, int64_t id);
/* The first limit of count rows; a row more means that there is a further page, from cursor on. */
void list_page_answer(struct request *request, const struct json_table *table, const void *rows,
                 size_t row_size, size_t count, size_t limit, const char *cursor);

#endif
