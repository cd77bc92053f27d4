#include "config/config-private.h"

#include "base/str.h"

#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Ascending, so that printing can look for the largest that divides. */
static const struct unit duration_units[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
};
static const struct unit size_units[] = {
    { "", 1 }, { "k", 1 << 10 }, { "m", 1 << 20 }, { "g", 1 << 30 }, { NULL, 0 },
};

static bool unit_parse(struct str text, const struct unit *units, int64_t *ret_number)
{
    size_t digits = 0;
    int64_t number;

    while (digits < text.size && text.bytes[digits] >= '0' && text.bytes[digits] <= '9')
        digits++;
    if (!number_parse((struct str){ text.bytes, digits }, 0, INT64_MAX, &number))
        return false;
    struct str name = { text.bytes + digits, text.size - digits };
    if (number == 0 && name.size == 0)
        return *ret_number = 0, true; /* nothing needs no unit */
    for (const struct unit *unit = units; unit->name; unit++)
        if (str_equal_nocase(name, str_of(unit->name)))
            return !__builtin_mul_overflow(number, unit->factor, ret_number);
    return false;
}

static bool bool_parse(const char *text, int64_t *ret_number)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0)
            return *ret_number = (int64_t)(i & 1), true;
    return false;
}

static bool choice_has(const char *choices, const char *text)
{
    struct str rest = str_of(choices), part;

    while (str_split(&rest, '|', &part))
        if (str_is(part, text))
            return true;
    return false;
}

static int range_check(const struct config_key *key, const char *source, const char *text,
                       int64_t number, struct error *err)
{
    struct buf min, max;

    if (key->max <= key->min || (number >= key->min && number <= key->max))
        return 0;
    buf_init(&min, 64);
    buf_init(&max, 64);
    config_number_print(key->type, key->min, &min);
    config_number_print(key->type, key->max, &max);
    error_set(err, ERR_INVALID, "%s: %s.%s must be from %s to %s, not %s", source, key->section,
              key->name, buf_text(&min), buf_text(&max), text);
    buf_done(&min);
    buf_done(&max);
    return -1;
}

int config_value_parse(const struct config_key *key, const char *source, const char *text,
                       int64_t *ret_number, struct error *err)
{
    const char *section = key->section, *name = key->name;
    int64_t number = 0;

    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_LIST:
        return 0;
    case CONFIG_CHOICE:
        if (choice_has(key->choices, text))
            return 0;
        return error_set(err, ERR_INVALID, "%s: %s.%s must be one of %s, not \"%s\"", source,
                         section, name, key->choices, text);
    case CONFIG_BOOL:
        if (bool_parse(text, ret_number))
            return 0;
        return error_set(err, ERR_INVALID, "%s: %s.%s must be true or false, not \"%s\"", source,
                         section, name, text);
    case CONFIG_INT:
        if (!number_parse(str_of(text), INT64_MIN, INT64_MAX, &number))
            return error_set(err, ERR_INVALID, "%s: %s.%s must be a whole number, not \"%s\"",
                             source, section, name, text);
        break;
    case CONFIG_DURATION:
        if (!unit_parse(str_of(text), duration_units, &number))
            return error_set(
                err, ERR_INVALID,
                "%s: %s.%s must be a time such as 250ms, 10s, 5m, 2h or 1d, not \"%s\"", source,
                section, name, text);
        break;
    case CONFIG_SIZE:
        if (!unit_parse(str_of(text), size_units, &number))
            return error_set(err, ERR_INVALID,
                             "%s: %s.%s must be a size such as 512, 64k, 10m or 1g, not \"%s\"",
                             source, section, name, text);
        break;
    }
    if (range_check(key, source, text, number, err) < 0)
        return -1;
    *ret_number = number;
    return 0;
}

void config_number_print(enum config_type type, int64_t number, struct buf *out)
{
    const struct unit *units = type == CONFIG_DURATION ? duration_units : size_units;
    const struct unit *best = units;

    if (type != CONFIG_DURATION && type != CONFIG_SIZE) {
        buf_add_number(out, number);
        return;
    }
    for (const struct unit *unit = units; unit->name; unit++)
        if (number != 0 && number % unit->factor == 0)
            best = unit;
    buf_add_number(out, number / best->factor);
    buf_add_text(out, best->name);
}

void config_environment_name(const struct config_key *key, const char *suffix, struct buf *out)
{
    const char *parts[] = { key->section, "_", key->name, suffix };

    buf_add_text(out, "BELFRY_");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const char *c = parts[i]; *c; c++)
            buf_add_char(out, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A')
                              : *c == '-'            ? '_'
                                                     : *c);
}
