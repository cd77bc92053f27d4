#ifndef BELFRY_BELFRY_JOB_BODY_H
#define BELFRY_BELFRY_JOB_BODY_H

#include "base/buf.h"
#include "belfry/command.h"
#include "json/json-tree.h"

/* The options of `job create` and `job update` that say what a job is. */
extern const struct cli_option job_body_options[];

/* true where at least one of them was given. */
bool job_body_has_options(const struct cli *cli);
/*
 * Writes a job's JSON: name (may be NULL) and the options of the command line over the members of
 * base (NULL: none), without those that only the server writes.
 */
int job_body_write(struct cli *cli, const char *group, const char *name,
                   const struct json_node *base, struct buf *out, struct error *err);
/* Reads --file (or "-" for standard input) as a JSON object. */
int job_file_read(struct cli *cli, const struct json_node **ret_job, struct error *err);

#endif
