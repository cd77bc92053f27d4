#include "job-execute/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MATCH_LIMIT = 200000, DEPTH_LIMIT = 1000, HEAP_LIMIT_KIB = 4096, PATTERN_MAX = 1024 };

/* Bad UTF-8 in the text matches nothing but does not end the search. \C would split code points. */
enum { OPTIONS = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C };

static pcre2_code *pattern_compile(const char *pattern, struct error *err)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    PCRE2_SIZE offset = 0;
    int code = 0;
    pcre2_code *compiled;

    pcre2_set_max_pattern_length(context, PATTERN_MAX * 4);
    pcre2_set_parens_nest_limit(context, 32);
    compiled =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, OPTIONS, &code, &offset, context);
    pcre2_compile_context_free(context);
    if (!compiled) {
        PCRE2_UCHAR text[128];

        pcre2_get_error_message(code, text, sizeof text);
        error_set(err, ERR_INVALID, "bad pattern: %s", (const char *)text);
        error_set_position(err, 0, (int)utf8_count((struct str){ pattern, offset }) + 1);
    }
    return compiled;
}

int pattern_check(const char *pattern, struct error *err)
{
    pcre2_code *compiled = pattern_compile(pattern, err);

    if (!compiled)
        return -1;
    pcre2_code_free(compiled);
    return 0;
}

int pattern_match(const char *pattern, struct str text, struct error *err)
{
    pcre2_code *compiled = pattern_compile(pattern, err);
    pcre2_match_context *context;
    pcre2_match_data *data;
    int result;

    if (!compiled)
        return -1;
    context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(context, MATCH_LIMIT);
    pcre2_set_depth_limit(context, DEPTH_LIMIT);
    pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
    data = pcre2_match_data_create(1, NULL);
    result = pcre2_match(compiled, (PCRE2_SPTR)(text.bytes ? text.bytes : ""), text.size, 0, 0,
                         data, context);
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_code_free(compiled);
    if (result >= 0)
        return 1;
    if (result == PCRE2_ERROR_NOMATCH)
        return 0;
    return error_set(err, ERR_TOO_LARGE, "pattern costs too much on this text");
}
