#ifndef BELFRY_JOB_EXECUTE_PARAMS_H
#define BELFRY_JOB_EXECUTE_PARAMS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "json/json.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Parameters in texts of a task: ${name}.
 *
 *   ${fire_time}              2026-11-25T09:30:00+08:00, in the job's zone
 *   ${fire_date}              2026-11-25
 *   ${fire_date-1d}           shifted: s m h (exact time), d w M (by the calendar); up to 4 of them
 *   ${fire_time+2h:yyyyMMdd}  with a format: yyyy yy MM M dd d HH H mm m ss s SSS, 'literal', other
 *                             characters that are no letters as they are
 *   ${run_id} ${attempt} ${job}
 *   ${NAME}                   a parameter of the job, or given with the trigger
 *   $${                       ${ itself
 *
 * Names of parameters: letters, digits, underscores, not beginning with a digit. There is no
 * nesting and values are not looked at again, so a value can never become a placeholder.
 */
struct params_names {            /* what may be named */
    const struct json_pair *pairs;
    size_t count;
};

struct params {                  /* values of one attempt */
    const struct json_pair *pairs;
    size_t count;
    int64_t run_id, fire_at;
    int32_t attempt;
    const char *job;
    const struct zone *zone;
};

/* How values are put in. */
enum params_context {
    PARAMS_TEXT,   /* as they are */
    PARAMS_URL,    /* percent-encoded behind the host; in scheme and host only what fits there */
    PARAMS_FORM,   /* percent-encoded */
    PARAMS_JSON,   /* escaped inside a JSON text; elsewhere the value must be JSON itself */
    PARAMS_LINE,   /* a header's value: one line, no controls */
};

enum { PARAMS_RESULT_MAX = 4 * 1024 * 1024 };

/*
 * Checks syntax and names. Errors: ERR_INVALID with path and the position of the placeholder in
 * text (code points from 1).
 */
int params_check(struct str text, const char *path, const struct params_names *names,
                 struct error *err);
/* true where text with its placeholders filled in is JSON, wherever they stand. */
bool params_is_json(struct str text, struct arena *arena);
/* Fills in. Errors: ERR_INVALID (a name without value, a value that does not fit the context, a
 * result over PARAMS_RESULT_MAX), ERR_TOO_LARGE. */
int params_expand(struct str text, const char *path, enum params_context context,
                  const struct params *params, struct arena *arena, char **ret_text,
                  struct error *err);
bool params_name_valid(const char *name);

#endif
