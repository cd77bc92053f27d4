#include "schedule/cron-parse.h"

#include "base/memory.h"

/*
 * The whole expression: characters, fields, dialect, each field (cron-field.c), and the rule that
 * binds the two day fields. Nothing is guessed: where two dialects would read an expression
 * differently CRON_AUTO refuses it and says so.
 */

static const enum cron_field unix_layout[] = { FIELD_MINUTE, FIELD_HOUR, FIELD_DAY, FIELD_MONTH,
                                               FIELD_WEEKDAY };
static const enum cron_field second_layout[] = { FIELD_SECOND, FIELD_MINUTE,  FIELD_HOUR, FIELD_DAY,
                                                 FIELD_MONTH,  FIELD_WEEKDAY, FIELD_YEAR };

static const struct {
    const char *name, *expression; /* in unix fields */
} macros[] = {
    { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" }, { "@monthly", "0 0 1 * *" },
    { "@weekly", "0 0 * * 0" }, { "@daily", "0 0 * * *" },    { "@midnight", "0 0 * * *" },
    { "@hourly", "0 * * * *" },
};

/* An error of the expression as a whole at the code point number position. */
#define TEXT_ERROR(parser, field_, position_, ...)                                                 \
    (error_set((parser)->err, ERR_INVALID, __VA_ARGS__),                                           \
     error_set_position((parser)->err, (field_), (position_)))

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static int code_point_at(const struct str *text, size_t i, size_t *ret_size)
{
    const unsigned char *p = (const unsigned char *)text->bytes + i;

    *ret_size = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (*ret_size == 1)
        return p[0];
    if (*ret_size == 2)
        return (p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    if (*ret_size == 3)
        return (p[0] & 0x0F) << 12 | (p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    return (p[0] & 0x07) << 18 | (p[1] & 0x3F) << 12 | (p[2] & 0x3F) << 6 | (p[3] & 0x3F);
}

/* What the typist meant by a character of a Chinese input method; 0: no idea. */
static char ascii_of(int code_point)
{
    if (code_point >= 0xFF01 && code_point <= 0xFF5E)
        return (char)(code_point - 0xFEE0);
    if (code_point == 0x3000 || code_point == 0xA0)
        return ' ';
    return code_point == 0x3001 ? ',' : 0;
}

static int character_error(struct cron_parser *parser, struct str token, int code_point, int field,
                           int position)
{
    char ascii = ascii_of(code_point);

    if (code_point < 0x20 || code_point == 0x7F)
        return TEXT_ERROR(parser, field, position,
                          "char %d: control character; fields are "
                          "separated by spaces",
                          position);
    if (ascii == ' ')
        return TEXT_ERROR(parser, field, position,
                          "char %d: full-width space; write an ordinary "
                          "one",
                          position);
    if (ascii)
        return TEXT_ERROR(parser, field, position, "char %d: full-width \"%.*s\"; write \"%c\"",
                          position, TOKEN(token), ascii);
    return TEXT_ERROR(parser, field, position,
                      "char %d: \"%.*s\" has no place in a cron "
                      "expression",
                      position, TOKEN(token));
}

/* From here on the text is printable ASCII and tabs, so bytes are columns. */
static int characters_check(struct cron_parser *parser)
{
    struct str text = parser->text;
    int position = 1, field = 0;
    bool space = true;
    size_t size;

    if (text.size > CRON_TEXT_MAX)
        return TEXT_ERROR(parser, 0, CRON_TEXT_MAX, "an expression has at most %d bytes",
                          CRON_TEXT_MAX);
    if (!utf8_valid(text))
        return TEXT_ERROR(parser, 0, 1, "the expression is not valid UTF-8");
    for (size_t i = 0; i < text.size; i += size, position++) {
        int code_point = code_point_at(&text, i, &size);

        field += space && !is_space(text.bytes[i]);
        space = is_space(text.bytes[i]);
        if (code_point != '\t' && (code_point < 0x20 || code_point > 0x7E))
            return character_error(parser, (struct str){ text.bytes + i, size }, code_point, field,
                                   position);
    }
    return 0;
}

static void fields_split(struct cron_parser *parser)
{
    const char *p = parser->text.bytes, *end = p + parser->text.size;

    for (;;) {
        while (p < end && is_space(*p))
            p++;
        if (p == end || parser->field_count > FIELDS_MAX)
            return;
        struct str *field = &parser->fields[parser->field_count++];
        field->bytes = p;
        while (p < end && !is_space(*p))
            p++;
        field->size = (size_t)(p - field->bytes);
    }
}

/* Points behind the text where a field is missing, else at the first one too many. */
static int count_position(const struct cron_parser *parser, int max)
{
    if (parser->field_count > max)
        return cron_position(parser, parser->fields[max].bytes);
    return (int)parser->text.size + 1;
}

static int count_error(struct cron_parser *parser, int min, int max)
{
    int count = parser->field_count, field = count < min ? count + 1 : max + 1;
    int position = count_position(parser, max);

    if (count > FIELDS_MAX)
        return TEXT_ERROR(parser, field, position, "too many fields: at most %d are known", max);
    if (parser->dialect == CRON_AUTO)
        return TEXT_ERROR(parser, field, position,
                          "%d fields: 5 are unix cron (minute first), 6 "
                          "or 7 are Quartz (second first)",
                          count);
    if (parser->dialect == CRON_UNIX)
        return TEXT_ERROR(parser, field, position,
                          "%d fields: unix cron has 5 (minute hour "
                          "day-of-month month day-of-week), no seconds",
                          count);
    if (count == 5)
        return TEXT_ERROR(parser, field, position,
                          "5 fields: this dialect begins with the second; "
                          "put \"0 \" in front");
    if (parser->dialect == CRON_QUARTZ)
        return TEXT_ERROR(parser, field, position,
                          "%d fields: Quartz has 6 or 7 (second minute "
                          "hour day-of-month month day-of-week [year])",
                          count);
    return TEXT_ERROR(parser, field, position,
                      "%d fields: Spring has 6 (second minute hour "
                      "day-of-month month day-of-week), no year",
                      count);
}

static int count_check(struct cron_parser *parser)
{
    static const struct {
        int min, max;
    } counts[] = {
        [CRON_AUTO] = { 5, 7 },
        [CRON_UNIX] = { 5, 5 },
        [CRON_QUARTZ] = { 6, 7 },
        [CRON_SPRING] = { 6, 6 },
    };
    int min = counts[parser->dialect].min, max = counts[parser->dialect].max;

    if (parser->field_count == 0)
        return TEXT_ERROR(parser, 1, 1, "the expression is empty");
    if (str_starts_with(parser->fields[0], STR("CRON_TZ=")) ||
        str_starts_with(parser->fields[0], STR("TZ=")))
        return TEXT_ERROR(parser, 1, cron_position(parser, parser->fields[0].bytes),
                          "a time zone does not stand in the expression; set the job's zone");
    if (parser->field_count < min || parser->field_count > max)
        return count_error(parser, min, max);
    return 0;
}

/* Sets parser->number and ->field to the field at index. */
static void field_select(struct cron_parser *parser, int index)
{
    parser->number = index + 1;
    parser->field = (parser->dialect == CRON_UNIX ? unix_layout : second_layout)[index];
}

/* Names mean the same in Quartz and Spring, numbers and steps do not. */
static bool weekday_is_ambiguous(struct str field)
{
    for (size_t i = 0; i < field.size; i++) {
        char c = field.bytes[i];
        if (c == '#')
            return false; /* what follows is which one */
        if ((c >= '0' && c <= '9') || c == '/')
            return true;
    }
    return false;
}

static int ambiguous_error(struct cron_parser *parser, struct str weekday)
{
    field_select(parser, 5);
    if (weekday.size == 1 && weekday.bytes[0] == '1')
        return FIELD_ERROR(parser, weekday.bytes,
                           "\"1\" is Sunday in Quartz, Monday in Spring: "
                           "write SUN or MON, or set the dialect");
    return FIELD_ERROR(parser, weekday.bytes,
                       "\"%.*s\" counts from Sunday = 1 in Quartz, from "
                       "Monday = 1 in Spring: write names (SUN, MON …) or set the dialect",
                       TOKEN(cron_token(weekday.bytes, weekday.bytes + weekday.size)));
}

/*
 * 6 or 7 fields of CRON_AUTO: quartz, which wants one '?'. A lone '*' takes its place where
 * nobody could read the expression otherwise.
 */
static int auto_resolve(struct cron_parser *parser)
{
    struct str *day = &parser->fields[3], *weekday = &parser->fields[5];

    parser->dialect = parser->field_count == 5 ? CRON_UNIX : CRON_QUARTZ;
    if (parser->dialect == CRON_UNIX || str_is(*day, "?") || str_is(*weekday, "?"))
        return 0;
    if (weekday_is_ambiguous(*weekday))
        return ambiguous_error(parser, *weekday);
    if (str_is(*weekday, "*"))
        *weekday = STR("?");
    else if (str_is(*day, "*"))
        *day = STR("?");
    return 0;
}

static int day_fields_check(struct cron_parser *parser)
{
    struct str day = parser->fields[3], weekday = parser->fields[5];
    bool no_day = str_is(day, "?"), no_weekday = str_is(weekday, "?");

    if (parser->dialect != CRON_QUARTZ || no_day != no_weekday)
        return 0;
    field_select(parser, 5);
    if (no_day)
        return FIELD_ERROR(parser, weekday.bytes,
                           "both day fields are \"?\"; one must say which "
                           "days, * for every day");
    if (str_is(day, "*") || str_is(weekday, "*")) {
        field_select(parser, str_is(weekday, "*") ? 5 : 3);
        return FIELD_ERROR(parser, parser->fields[parser->number - 1].bytes,
                           "Quartz wants \"?\" in one of the day fields; write ? instead of *");
    }
    return FIELD_ERROR(parser, weekday.bytes,
                       "both day fields are set; Quartz wants \"?\" in one "
                       "of them (unix cron takes either day, Spring days that are both)");
}

static int fields_parse(struct cron_parser *parser)
{
    for (int i = 0; i < parser->field_count; i++) {
        field_select(parser, i);
        if (i > 0 && parser->out)
            buf_add_char(parser->out, ' ');
        if (cron_field_parse(parser) < 0)
            return -1;
    }
    return 0;
}

/* cronie looks at the first character only: a list or step that begins with * is a star to it. */
static void day_flags_set(struct cron_parser *parser)
{
    bool is_unix = parser->dialect == CRON_UNIX;
    struct str day = parser->fields[is_unix ? 2 : 3], weekday = parser->fields[is_unix ? 4 : 5];
    bool day_star = str_is(day, "*") || str_is(day, "?");
    bool weekday_star = str_is(weekday, "*") || str_is(weekday, "?");
    unsigned flags = 0;

    flags |= day_star ? CRON_DAY_STAR : 0;
    flags |= weekday_star ? CRON_WEEKDAY_STAR : 0;
    if (is_unix && day.bytes[0] != '*' && weekday.bytes[0] != '*')
        flags |= CRON_EITHER_DAY;
    else if (is_unix && !day_star && !weekday_star)
        flags |= CRON_STAR_RULE;
    parser->cron->flags |= (uint8_t)flags;
}

static void rest_fill(struct cron_parser *parser)
{
    struct cron *cron = parser->cron;

    if (parser->dialect == CRON_UNIX)
        cron->seconds = 1;
    if (parser->field_count == FIELDS_MAX && !str_is(parser->fields[6], "*"))
        return;
    cron->flags |= CRON_YEAR_STAR;
    for (int n = 0; n <= YEAR_MAX - YEAR_MIN; n++)
        cron->years[n / 64] |= UINT64_C(1) << (n % 64);
}

/* Which of the 14 kinds of year have a day at all: makes "never" and leap days cheap to find. */
static void year_types_set(struct cron *cron)
{
    for (int type = 0; type < 14; type++) {
        int year = type < 7 ? 1970 : 1972, first = type % 7;

        for (int month = 1; month <= 12; month++) {
            int length = month_length(year, month);
            if (cron->months >> month & 1 && cron_month_days(cron, first, length))
                cron->year_types |= (uint16_t)(1u << type);
            first = (first + length) % 7;
        }
    }
}

static int expression_parse(struct cron_parser *parser)
{
    *parser->cron = (struct cron){ 0 };
    parser->field_count = 0;
    fields_split(parser);
    if (count_check(parser) < 0)
        return -1;
    if (parser->dialect == CRON_AUTO && auto_resolve(parser) < 0)
        return -1;
    if (fields_parse(parser) < 0 || day_fields_check(parser) < 0)
        return -1;
    day_flags_set(parser);
    rest_fill(parser);
    year_types_set(parser->cron);
    parser->cron->dialect = (uint8_t)parser->dialect;
    return 0;
}

/* cronie minds the case, Spring does not. */
static const char *macro_find(const struct cron_parser *parser, struct str name)
{
    for (size_t i = 0; i < sizeof macros / sizeof *macros; i++) {
        struct str macro = str_of(macros[i].name);
        if (parser->dialect == CRON_SPRING ? str_equal_nocase(macro, name) : str_equal(macro, name))
            return macros[i].expression;
    }
    return NULL;
}

static int macro_error(struct cron_parser *parser, struct str name)
{
    int position = cron_position(parser, name.bytes);

    if (parser->dialect == CRON_QUARTZ)
        return TEXT_ERROR(parser, 1, position, "Quartz has no names with @; choose unix or spring");
    if (str_equal_nocase(name, STR("@reboot")))
        return TEXT_ERROR(parser, 1, position, "@reboot is no time; use a manual job");
    return TEXT_ERROR(parser, 1, position,
                      "\"%.*s\" is unknown; there are @yearly @annually "
                      "@monthly @weekly @daily @midnight @hourly",
                      TOKEN(cron_token(name.bytes, name.bytes + name.size)));
}

static int macro_parse(struct cron_parser *parser)
{
    struct str name = str_trim(parser->text);
    const char *expression = parser->dialect == CRON_QUARTZ ? NULL : macro_find(parser, name);
    struct buf *out = parser->out;
    bool keep = out && !parser->expand_hash, spring = parser->dialect == CRON_SPRING;

    if (!expression)
        return macro_error(parser, name);
    if (keep)
        buf_add(out, name.bytes, name.size);
    else if (out && spring)
        buf_add_text(out, "0 ");
    parser->text = str_of(expression);
    parser->dialect = CRON_UNIX; /* the same days and times in both */
    parser->out = keep ? NULL : out;
    if (expression_parse(parser) < 0)
        return -1;
    parser->cron->dialect = spring ? CRON_SPRING : CRON_UNIX;
    return 0;
}

static int text_parse(struct cron_parser *parser)
{
    struct str trimmed = str_trim(parser->text);

    if (characters_check(parser) < 0)
        return -1;
    if (trimmed.size && trimmed.bytes[0] == '@')
        return macro_parse(parser);
    return expression_parse(parser);
}

/* ret_ and out are left alone on failure. */
static int parse_into(struct cron_parser *parser, struct cron *ret_cron, struct buf *out)
{
    CLEANUP(buf_done) struct buf text;
    struct cron cron;

    buf_init(&text, 8 * CRON_TEXT_MAX);
    parser->cron = &cron;
    parser->out = out ? &text : NULL;
    if (text_parse(parser) < 0)
        return -1;
    if (out)
        buf_add(out, buf_text(&text), text.size);
    *ret_cron = cron;
    return 0;
}

int cron_parse(struct str text, enum cron_dialect dialect, uint64_t seed, struct cron *ret_cron,
               struct error *err)
{
    struct cron_parser parser = { .text = text, .dialect = dialect, .seed = seed, .err = err };

    return parse_into(&parser, ret_cron, NULL);
}

int cron_normalize(struct str text, enum cron_dialect dialect, enum cron_dialect *ret_dialect,
                   struct buf *out, struct error *err)
{
    struct cron_parser parser = { .text = text, .dialect = dialect, .err = err };
    struct cron cron;

    if (parse_into(&parser, &cron, out) < 0)
        return -1;
    *ret_dialect = (enum cron_dialect)cron.dialect;
    return 0;
}

int cron_resolve(struct str text, enum cron_dialect dialect, uint64_t seed, struct buf *out,
                 struct error *err)
{
    struct cron_parser parser = {
        .text = text,
        .dialect = dialect,
        .seed = seed,
        .err = err,
        .expand_hash = true,
    };
    struct cron cron;

    return parse_into(&parser, &cron, out);
}
