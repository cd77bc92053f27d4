#ifndef BELFRY_SCHEDULE_CRON_PARSE_H
#define BELFRY_SCHEDULE_CRON_PARSE_H

#include "schedule/cron-private.h"

/* Shared by cron-parse.c (the whole expression), cron-field.c (one field) and cron-day.c. */

enum cron_field {
    FIELD_SECOND,
    FIELD_MINUTE,
    FIELD_HOUR,
    FIELD_DAY,
    FIELD_MONTH,
    FIELD_WEEKDAY,
    FIELD_YEAR
};

enum { FIELDS_MAX = 7 };

struct cron_parser {
    struct str text;
    enum cron_dialect dialect; /* never CRON_AUTO once the fields are counted */
    uint64_t seed;
    struct cron *cron;
    struct error *err;
    struct buf *out;                   /* the expression as read, NULL: not wanted */
    bool expand_hash;                  /* out gets numbers instead of H */
    struct str fields[FIELDS_MAX + 1]; /* one more, to notice it */
    int field_count;
    int number;            /* of the field at work, from 1 */
    enum cron_field field; /* what it is */
    struct str part;       /* what of it stands between commas */
};

/* What is written at one place of an error: cut to a length that a message can carry. */
struct str cron_token(const char *begin, const char *end);
int cron_position(const struct cron_parser *parser, const char *at);
const char *cron_field_term(enum cron_field field); /* an ERROR_TERM */

/*
 * Sets "field N NAME, char P: " format and returns -1. at points into parser->text. The format is
 * joined to its head here, so the Chinese text belongs to the joined one.
 */
#define FIELD_ERROR(parser, at, format, ...)                                                       \
    (error_set((parser)->err, ERR_INVALID, "field %d %s, char %d: " format, (parser)->number,      \
               cron_field_term((parser)->field), cron_position((parser), (at)), ##__VA_ARGS__),    \
     error_set_position((parser)->err, (parser)->number, cron_position((parser), (at))))

#define TOKEN(token) (int)(token).size, (token).bytes /* for %.*s */

/* A field's limits in the numbering of the dialect. */
struct cron_limits {
    int min, max;
    int span;     /* values before a range wraps round, quartz only */
    int step_max; /* for '*' and a/n; 0: any */
};
struct cron_limits cron_limits(const struct cron_parser *parser);
struct cron_limits cron_star_limits(const struct cron_parser *parser); /* what '*' stands for */

/* A number or a name. */
struct cron_value {
    struct str token;
    int number;
    bool is_name;
};

/* Reads what stands at *p (never past parser->part); false when it is neither digit nor letter. */
bool cron_value_at(const char *p, const char *end);
int cron_value_read(struct cron_parser *parser, const char **p, struct cron_value *ret_value);
/* A number of at most 4 digits and nothing else, for steps and offsets. */
int cron_number_read(struct cron_parser *parser, const char **p, int *ret_number);
int cron_junk_error(struct cron_parser *parser, const char *p);

void cron_add(struct cron_parser *parser, int value);
int cron_weekday(const struct cron_parser *parser, int value); /* to 0 = Sunday */

int cron_field_parse(struct cron_parser *parser);

/* L, L-n, LW, L-nW, nW and nL, n#k: 1 taken, 0 it is something else, -1 error. */
int cron_day_part_parse(struct cron_parser *parser);
int cron_weekday_part_parse(struct cron_parser *parser);

/* H, H(a-b), H/n, H(a-b)/n */
int cron_hash_parse(struct cron_parser *parser);

#endif
