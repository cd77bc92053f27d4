#ifndef BELFRY_BELFRY_JOB_FIND_H
#define BELFRY_BELFRY_JOB_FIND_H

#include "belfry/command.h"
#include "json/json-tree.h"

/*
 * JOB on the command line: an id, "group/name", or "name" for one of group "default".
 * Errors: ERR_NOT_FOUND, and those of client_send.
 */
int job_look_up(struct cli *cli, const char *text, const struct json_node **ret_job,
             struct error *err);
/* Only its id. An id given as such is not asked for. */
int job_id_find(struct cli *cli, const char *text, const char **ret_id, struct error *err);
/* Splits "group/name"; "name" alone gives group "default". */
void job_name_split(struct cli *cli, const char *text, const char **ret_group,
                    const char **ret_name);
bool is_number(const char *text);

#endif
