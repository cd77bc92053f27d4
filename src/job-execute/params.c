#include "job-execute/params.h"

#include "base/buf.h"
#include "base/clock.h"
#include "job-execute/params-time.h"
#include "schedule/zone.h"

#include <string.h>

enum { FORMAT_MAX = 64 };

/* --- syntax ----------------------------------------------------------------------------------- */

enum piece_kind { PIECE_TEXT, PIECE_NAME };

struct piece {
    enum piece_kind kind;
    struct str text; /* literal, or the name */
    bool is_time, is_date;
    struct time_shift shifts[SHIFTS_MAX];
    size_t shift_count;
    struct str format; /* bytes NULL: the default */
};

struct scanner {
    struct str text;
    size_t at;
    const char *path;
};

static bool is_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

bool params_name_valid(const char *name)
{
    size_t i = 0;

    while (is_name_char(name[i], i == 0))
        i++;
    return i > 0 && !name[i] && i <= 64;
}

static bool starts_at(const struct scanner *scanner, size_t at, const char *mark)
{
    size_t size = strlen(mark);

    return scanner->text.size - at >= size && !memcmp(scanner->text.bytes + at, mark, size);
}

static int fail_at(const struct scanner *scanner, size_t at, struct error *err)
{
    struct str before = { scanner->text.bytes, at };

    return error_set_position(err, 0, (int)utf8_count(before) + 1);
}

/* End of the placeholder: the first } that is not in quotes. */
static bool placeholder_end(const struct scanner *scanner, size_t from, size_t *ret_end)
{
    bool quoted = false;

    for (size_t i = from; i < scanner->text.size; i++) {
        if (scanner->text.bytes[i] == '\'')
            quoted = !quoted;
        else if (scanner->text.bytes[i] == '}' && !quoted) {
            *ret_end = i;
            return true;
        }
    }
    return false;
}

static int time_piece(const struct scanner *scanner, struct piece *piece, struct str rest,
                      size_t at, struct error *err)
{
    if (!time_shifts_parse(&rest, piece->shifts, &piece->shift_count) ||
        (rest.size && rest.bytes[0] != ':')) {
        error_set_at(err, ERR_INVALID, scanner->path,
                     "bad shift in ${%.*s}: write +2h, -1d, +1M; units s m h d w M",
                     (int)piece->text.size, piece->text.bytes);
        return fail_at(scanner, at, err);
    }
    if (!rest.size)
        return 0;
    piece->format = (struct str){ rest.bytes + 1, rest.size - 1 };
    if (!piece->format.size || piece->format.size > FORMAT_MAX ||
        !time_format_pattern(NULL, piece->format, zone_utc(), 0)) {
        error_set_at(err, ERR_INVALID, scanner->path,
                     "bad format in ${%.*s:…}: use yyyy yy MM dd HH mm ss SSS and 'text'",
                     (int)piece->text.size, piece->text.bytes);
        return fail_at(scanner, at, err);
    }
    return 0;
}

static int name_piece(struct scanner *scanner, struct piece *piece, struct error *err)
{
    size_t at = scanner->at, end;
    struct str inside, rest;

    if (!placeholder_end(scanner, at + 2, &end)) {
        error_set_at(err, ERR_INVALID, scanner->path, "${ without }; write $${ for ${ itself");
        return fail_at(scanner, at, err);
    }
    inside = (struct str){ scanner->text.bytes + at + 2, end - at - 2 };
    piece->kind = PIECE_NAME;
    piece->text = (struct str){ inside.bytes, 0 };
    while (piece->text.size < inside.size &&
           is_name_char(inside.bytes[piece->text.size], piece->text.size == 0))
        piece->text.size++;
    rest = (struct str){ inside.bytes + piece->text.size, inside.size - piece->text.size };
    piece->is_time = str_is(piece->text, "fire_time");
    piece->is_date = str_is(piece->text, "fire_date");
    scanner->at = end + 1;
    if (piece->is_time || piece->is_date)
        return time_piece(scanner, piece, rest, at, err);
    if (!piece->text.size || rest.size) {
        error_set_at(err, ERR_INVALID, scanner->path,
                     "bad placeholder ${%.*s}: a name of letters, digits and _",
                     (int)(inside.size < 64 ? inside.size : 64), inside.bytes);
        return fail_at(scanner, at, err);
    }
    return 0;
}

/* 1 a piece, 0 the end, -1 bad syntax. */
static int scan(struct scanner *scanner, struct piece *piece, struct error *err)
{
    size_t at = scanner->at;

    *piece = (struct piece){ .kind = PIECE_TEXT };
    if (at == scanner->text.size)
        return 0;
    if (starts_at(scanner, at, "$${")) {
        piece->text = (struct str){ scanner->text.bytes + at + 1, 2 };
        scanner->at += 3;
        return 1;
    }
    if (starts_at(scanner, at, "${"))
        return name_piece(scanner, piece, err) < 0 ? -1 : 1;
    do
        at++;
    while (at < scanner->text.size && !starts_at(scanner, at, "$${") &&
           !starts_at(scanner, at, "${"));
    piece->text = (struct str){ scanner->text.bytes + scanner->at, at - scanner->at };
    scanner->at = at;
    return 1;
}

/* --- check ------------------------------------------------------------------------------------ */

static const struct json_pair *pair_find(const struct json_pair *pairs, size_t count,
                                         struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_is(name, pairs[i].name))
            return &pairs[i];
    return NULL;
}

static bool name_built_in(struct str name)
{
    return str_is(name, "fire_time") || str_is(name, "fire_date") || str_is(name, "run_id") ||
           str_is(name, "attempt") || str_is(name, "job");
}

int params_check(struct str text, const char *path, const struct params_names *names,
                 struct error *err)
{
    struct scanner scanner = { .text = text, .path = path };
    struct piece piece;
    size_t at;
    int result;

    while (at = scanner.at, (result = scan(&scanner, &piece, err)) > 0) {
        if (piece.kind == PIECE_TEXT || name_built_in(piece.text) ||
            pair_find(names->pairs, names->count, piece.text))
            continue;
        error_set_at(err, ERR_INVALID, path,
                     "unknown variable ${%.*s}: neither built in nor a parameter of the job",
                     (int)(piece.text.size < 64 ? piece.text.size : 64), piece.text.bytes);
        return fail_at(&scanner, at, err);
    }
    return result;
}

/* --- contexts --------------------------------------------------------------------------------- */

struct filling {
    struct buf out;
    enum params_context context;
    const char *path;
    bool in_string, escaped; /* PARAMS_JSON: where we are */
    struct arena *arena;
};

static void json_follow(struct filling *filling, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.bytes[i];

        if (filling->escaped)
            filling->escaped = false;
        else if (c == '\\' && filling->in_string)
            filling->escaped = true;
        else if (c == '"')
            filling->in_string = !filling->in_string;
    }
}

static bool is_unreserved(char c)
{
    return is_name_char(c, false) || c == '-' || c == '.' || c == '~';
}

static void add_percent(struct buf *out, const char *value)
{
    for (; *value; value++) {
        if (is_unreserved(*value))
            buf_add_char(out, *value);
        else
            buf_printf(out, "%%%02X", (unsigned char)*value);
    }
}

enum url_part { URL_SCHEME, URL_HOST, URL_REST };

static enum url_part url_part(const struct buf *out)
{
    const char *host = strstr(buf_text(out), "://");

    if (!host)
        return URL_SCHEME;
    return host[3 + strcspn(host + 3, "/?#")] ? URL_REST : URL_HOST;
}

static bool all_of(const char *value, bool (*is_good)(char c))
{
    for (; *value; value++)
        if (!is_good(*value))
            return false;
    return true;
}

static bool is_host_char(char c)
{
    return is_unreserved(c) || c == ':' || c == '[' || c == ']';
}

static bool is_url_char(char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"<>\\^`{|}", c);
}

static int add_url(struct filling *filling, const char *value, struct str name, struct error *err)
{
    enum url_part part = url_part(&filling->out);

    if (part == URL_REST) {
        add_percent(&filling->out, value);
        return 0;
    }
    if (!all_of(value, part == URL_HOST ? is_host_char : is_url_char))
        return error_set_at(err, ERR_INVALID, filling->path,
                            "value of ${%.*s} does not fit into a URL at this place",
                            (int)name.size, name.bytes);
    buf_add_text(&filling->out, value);
    return 0;
}

static int add_json(struct filling *filling, const char *value, struct str name, struct error *err)
{
    struct json_writer w;
    struct buf quoted;
    char *compact;

    if (!filling->in_string) {
        if (json_check(str_of(value), PARAMS_RESULT_MAX, false, filling->arena, &compact, NULL) < 0)
            return error_set_at(err, ERR_INVALID, filling->path,
                                "value of ${%.*s} is not JSON, and it stands outside of quotes",
                                (int)name.size, name.bytes);
        buf_add_text(&filling->out, compact);
        return 0;
    }
    buf_init(&quoted, PARAMS_RESULT_MAX);
    json_begin(&w, &quoted);
    json_text(&w, value);
    if (!quoted.overflow)
        buf_add(&filling->out, quoted.bytes + 1, quoted.size - 2);
    else
        filling->out.overflow = true;
    buf_done(&quoted);
    return 0;
}

static bool is_line_char(char c)
{
    return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

static int add_value(struct filling *filling, const char *value, struct str name, struct error *err)
{
    switch (filling->context) {
    case PARAMS_URL:
        return add_url(filling, value, name, err);
    case PARAMS_JSON:
        return add_json(filling, value, name, err);
    case PARAMS_FORM:
        add_percent(&filling->out, value);
        return 0;
    case PARAMS_LINE:
        if (!all_of(value, is_line_char))
            return error_set_at(err, ERR_INVALID, filling->path,
                                "value of ${%.*s} must be one line without control characters",
                                (int)name.size, name.bytes);
        break;
    case PARAMS_TEXT:
        break;
    }
    buf_add_text(&filling->out, value);
    return 0;
}

/* --- values ----------------------------------------------------------------------------------- */

static int time_value(const struct piece *piece, const struct params *params, const char *path,
                      struct arena *arena, const char **ret_value, struct error *err)
{
    const struct zone *zone = params->zone ? params->zone : zone_utc();
    struct str format = piece->format;
    char text[TIME_TEXT_SIZE];
    struct buf out;
    int64_t time_ms;

    if (!time_shift(zone, params->fire_at, piece->shifts, piece->shift_count, &time_ms))
        return error_set_at(err, ERR_INVALID, path,
                            "${%.*s} is shifted out of the years 1970 to 2199",
                            (int)piece->text.size, piece->text.bytes);
    if (!format.bytes && piece->is_time) {
        *ret_value = arena_strdup(arena, time_format(time_ms, zone_offset_at(zone, time_ms), text));
        return 0;
    }
    if (!format.bytes)
        format = STR("yyyy-MM-dd");
    buf_init(&out, 1024);
    time_format_pattern(&out, format, zone, time_ms);
    *ret_value = arena_strdup(arena, buf_text(&out));
    buf_done(&out);
    return 0;
}

static int piece_value(const struct piece *piece, const struct params *params, const char *path,
                       struct arena *arena, const char **ret_value, struct error *err)
{
    const struct json_pair *pair;

    if (piece->is_time || piece->is_date)
        return time_value(piece, params, path, arena, ret_value, err);
    if (str_is(piece->text, "run_id"))
        *ret_value = arena_printf(arena, "%lld", (long long)params->run_id);
    else if (str_is(piece->text, "attempt"))
        *ret_value = arena_printf(arena, "%d", (int)params->attempt);
    else if (str_is(piece->text, "job"))
        *ret_value = params->job;
    else if ((pair = pair_find(params->pairs, params->count, piece->text)))
        *ret_value = pair->value;
    else
        return error_set_at(err, ERR_INVALID, path, "${%.*s} has no value", (int)piece->text.size,
                            piece->text.bytes);
    return 0;
}

/* params NULL: only what params_is_json needs, 0 for values outside of strings. */
static int fill(struct filling *filling, struct str text, const struct params *params,
                struct error *err)
{
    struct scanner scanner = { .text = text, .path = filling->path };
    struct piece piece;
    const char *value = "0";
    int result;

    while ((result = scan(&scanner, &piece, err)) > 0) {
        if (piece.kind == PIECE_TEXT) {
            buf_add(&filling->out, piece.text.bytes, piece.text.size);
            if (filling->context == PARAMS_JSON)
                json_follow(filling, piece.text);
            continue;
        }
        if (params && piece_value(&piece, params, filling->path, filling->arena, &value, err) < 0)
            return -1;
        if (add_value(filling, value, piece.text, err) < 0)
            return -1;
    }
    return result;
}

bool params_is_json(struct str text, struct arena *arena)
{
    struct filling filling = { .context = PARAMS_JSON, .path = "", .arena = arena };
    bool good;

    buf_init(&filling.out, PARAMS_RESULT_MAX);
    good = fill(&filling, text, NULL, NULL) == 0 &&
           json_check(buf_str(&filling.out), PARAMS_RESULT_MAX, false, arena, NULL, NULL) == 0;
    buf_done(&filling.out);
    return good;
}

int params_expand(struct str text, const char *path, enum params_context context,
                  const struct params *params, struct arena *arena, char **ret_text,
                  struct error *err)
{
    struct filling filling = { .context = context, .path = path, .arena = arena };
    int result;

    buf_init(&filling.out, PARAMS_RESULT_MAX);
    result = fill(&filling, text, params, err);
    if (result == 0 && filling.out.overflow)
        result = error_set_at(err, ERR_TOO_LARGE, path, "larger than %d bytes with its values",
                              PARAMS_RESULT_MAX);
    if (result == 0)
        *ret_text = arena_strndup(arena, buf_text(&filling.out), filling.out.size);
    buf_done(&filling.out);
    return result;
}
