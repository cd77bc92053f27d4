#ifndef BELFRY_JOB_ADMIN_SERVICE_H
#define BELFRY_JOB_ADMIN_SERVICE_H

#include "service/service.h"

extern const struct service job_admin_service;

#endif
