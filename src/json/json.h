#ifndef BELFRY_JSON_JSON_H
#define BELFRY_JSON_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * JSON (RFC 8259) in and out by tables of members. The same table checks a request from outside,
 * writes an answer, carries a struct between services, and is what the API description is held
 * against. Reading is strict: UTF-8 only, no duplicate or unknown members, no wrong types, size
 * and depth bounded; the error names the member's path ("task.http.headers[2].name").
 */

/* --- writer --------------------------------------------------------------------------------- */

/* Writes into buf; commas and nesting are kept here. Depth ≤ 32. */
struct json_writer {
    struct buf *out;
    uint32_t needs_comma; /* one bit a level */
    unsigned depth;
};

void json_begin(struct json_writer *w, struct buf *out);
void json_object(struct json_writer *w);       /* value position */
void json_object_end(struct json_writer *w);
void json_array(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_name(struct json_writer *w, const char *name);
void json_text(struct json_writer *w, const char *text);   /* NULL writes null; bad UTF-8 becomes U+FFFD */
void json_str(struct json_writer *w, struct str text);
void json_int(struct json_writer *w, int64_t number);
void json_double(struct json_writer *w, double number);
void json_bool(struct json_writer *w, bool value);
void json_null(struct json_writer *w);
void json_raw(struct json_writer *w, const char *json);     /* already JSON; NULL writes null */
void json_time(struct json_writer *w, int64_t time_ms);     /* RFC 3339 UTC text; 0 writes null */

/* --- tables --------------------------------------------------------------------------------- */

enum json_type {
    JSON_TEXT,        /* char *            */
    JSON_INT,         /* int64_t           */
    JSON_INT32,       /* int32_t           */
    JSON_DOUBLE,      /* double            */
    JSON_BOOL,        /* bool              */
    JSON_TIME,        /* int64_t ms as RFC 3339 text with offset; 0: absent / null */
    JSON_ENUM,        /* int32_t as one of the names of member->names */
    JSON_OBJECT,      /* struct X *        : NULL where absent; table in sub */
    JSON_STRUCT,      /* struct X in place ; table in sub */
    JSON_ARRAY,       /* X * + size_t at count_offset; element as given by sub (objects) or element */
    JSON_MAP,         /* struct json_pair * + size_t at count_offset: object of text values */
    JSON_ANY,         /* char *: any value, kept as compact JSON text */
};

struct json_pair {
    char *name, *value;
};

enum json_flags {
    JSON_REQUIRED = 1,
    JSON_NULL_OK = 2,      /* null reads as absent */
    JSON_OUT_ONLY = 4,     /* written in answers, refused in requests */
    JSON_IN_ONLY = 8,      /* never written: secrets */
    JSON_OMIT_EMPTY = 16,  /* not written when NULL / 0 / empty; else null, 0, [] are written */
    JSON_NOT_BLANK = 32,   /* text must have a character other than white space */
    JSON_ONE_LINE = 64,    /* text without control characters (CR, LF, NUL …) */
    JSON_HAS = 128,        /* has_offset names a bool that tells whether the member was there */
};

struct json_table;

struct json_member {
    const char *name;
    enum json_type type;
    size_t offset;
    unsigned flags;
    int64_t min, max;            /* numbers: range when max > min; text: code points; array, map: count;
                                    ANY: bytes. 0, 0: the default bound (text 64 KiB, count 1000) */
    size_t count_offset;         /* ARRAY, MAP */
    size_t has_offset;           /* with JSON_HAS */
    const char *const *names;    /* ENUM: NULL-terminated; index is the value */
    const struct json_table *sub; /* OBJECT, STRUCT, ARRAY of objects */
    enum json_type element;      /* ARRAY without sub: JSON_TEXT, JSON_INT, JSON_INT32 */
    const char *about;           /* one line for help and the API description */
};

struct json_table {
    const char *name;            /* schema name: "Job" */
    size_t size;                 /* of the struct */
    const struct json_member *members; /* at most 64, ended by one without name */
};

/* Rows for the common case: a member that has the name of its field. */
#define JSON_FIELD(struct_, type_, field) \
    { .name = #field, .type = (type_), .offset = offsetof(struct struct_, field) }
#define JSON_FIELD_IF(struct_, type_, field)                                          \
    { .name = #field, .type = (type_), .offset = offsetof(struct struct_, field),     \
      .flags = JSON_OMIT_EMPTY }
#define JSON_FIELD_MAX(struct_, type_, field, max_) \
    { .name = #field, .type = (type_), .offset = offsetof(struct struct_, field), .max = (max_) }
#define JSON_FIELD_ARRAY(struct_, field, count_field, table_, max_)                   \
    { .name = #field, .type = JSON_ARRAY, .offset = offsetof(struct struct_, field),  \
      .count_offset = offsetof(struct struct_, count_field), .sub = &(table_), .max = (max_) }

/*
 * Reads text into *target (zeroed by the caller, so defaults may be set first: absent members keep
 * what is there). Pointers live in arena. text.size is checked against size_max first.
 * Errors: ERR_INVALID with path and, for bad syntax, position; ERR_TOO_LARGE.
 */
int json_read(struct str text, size_t size_max, const struct json_table *table,
              struct arena *arena, void *target, struct error *err);
/* Writes *source as an object without IN_ONLY members. JSON_HAS plays no part. */
void json_write(struct json_writer *w, const struct json_table *table, const void *source);
/*
 * The same for calls between services: IN_ONLY members are written, OUT_ONLY ones read, members
 * with JSON_HAS written where their bool is set. null reads as absent; ranges and least sizes are
 * not checked (0 means "not set" there); members that this version does not know are passed over,
 * so that versions can be mixed while a cluster is updated.
 */
void json_write_all(struct json_writer *w, const struct json_table *table, const void *source);
int json_read_all(struct str text, size_t size_max, const struct json_table *table,
                  struct arena *arena, void *target, struct error *err);

/* --- free-form values (job parameters, outputs, checks by JSON pointer) ---------------------- */

/* 0 where text is one valid JSON value within the limits; ret_compact (may be NULL) gets it
 * without white space. object_only asks for an object. */
int json_check(struct str text, size_t size_max, bool object_only, struct arena *arena,
               char **ret_compact, struct error *err);
/*
 * Value at an RFC 6901 pointer as compact JSON text (strings with their quotes), or with
 * as_text as plain text (strings unquoted, others compact). 1 found, 0 not there, -1 bad pointer
 * or bad JSON.
 */
int json_pointer(struct str text, const char *pointer, bool as_text, struct arena *arena,
                 char **ret_value, struct error *err);
/* Checks the syntax of an RFC 6901 pointer. */
bool json_pointer_valid(const char *pointer);
/* Members of an object of scalars as texts: for parameters. Errors: ERR_INVALID. */
int json_pairs(struct str text, struct arena *arena, struct json_pair **ret_pairs,
               size_t *ret_count, struct error *err);

#endif
