#ifndef BELFRY_JOB_EXECUTE_INTERPRETERS_H
#define BELFRY_JOB_EXECUTE_INTERPRETERS_H

#include "base/error.h"

#include <stdbool.h>

/*
 * The programs that may run scripts, by name. One list for the process (task_interpreters_set in
 * client.h), since definitions are checked by job-admin and carried out by job-execute.
 */
/* Path of the interpreter; NULL where it is allowed but not installed here. false: not allowed. */
bool interpreter_find(const char *name, const char **ret_path);
/* "sh, bash, …" for messages. */
const char *interpreter_names(void);

#endif
