#ifndef BELFRY_JOB_EXECUTE_SERVICE_H
#define BELFRY_JOB_EXECUTE_SERVICE_H

#include "service/service.h"

/* Runs attempts: takes dispatches, carries tasks out, reports. Has no SQL. For belfry/ only. */
extern const struct service job_execute_service;

#endif
