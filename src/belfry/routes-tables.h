#ifndef BELFRY_BELFRY_ROUTES_TABLES_H
#define BELFRY_BELFRY_ROUTES_TABLES_H

#include "json/json.h"
#include "service/service.h"

/*
 * Writes {"NAME": {"members": […]}} of every table that a route reads or answers with, the tables
 * in those, and the task types: what docs/api/openapi.yaml is made of.
 */
void routes_tables_write(struct json_writer *w, const struct service *const *services,
                         size_t count);

#endif
