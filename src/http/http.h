#ifndef BELFRY_HTTP_HTTP_H
#define BELFRY_HTTP_HTTP_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS };

const char *http_method_name(enum http_method method);
bool http_method_parse(struct str text, enum http_method *ret_method);

struct http_header {
    struct str name, value;
};

/* First value of a header, compared without case; bytes NULL where there is none. */
struct str http_header_find(const struct http_header *headers, size_t count, const char *name);
bool http_token_char(char c);                   /* of RFC 9110 */
bool http_header_name_valid(struct str name);   /* RFC 9110 token */
bool http_header_value_valid(struct str value); /* no CR, LF, NUL or other controls but tab */
const char *http_status_text(int status);       /* "Not Found"; "Unknown" where it is none of ours */

#endif
