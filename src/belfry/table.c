#include "belfry/table.h"

#include "base/clock.h"
#include "base/str.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

enum { COLUMNS_MAX = 16, OUTPUT_MAX = 64 * 1024 * 1024 };

struct row {
    struct row *next;
    const char *cells[COLUMNS_MAX];
};

struct table {
    struct arena *arena;
    size_t count;
    bool right[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX];
    struct row *first, *last; /* the first one is the headings */
};

/* --- text on a terminal --------------------------------------------------------------------- */

/* glibc knows the East Asian widths, but only in a locale whose characters are UTF-8. */
static locale_t utf8_locale(void)
{
    static locale_t locale;

    if (!locale)
        locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    return locale;
}

/* Next character of text: its bytes, 0 at the end; broken UTF-8 is one byte at a time. */
static size_t character_next(const char *text, size_t *ret_width, bool *ret_control)
{
    mbstate_t state = { 0 };
    wchar_t c;

    if (!*text) /* mbrtowc takes no bytes at all for an unfinished character */
        return 0;
    size_t size = mbrtowc(&c, text, strlen(text), &state);
    if (size == (size_t)-1 || size == (size_t)-2) {
        *ret_width = 1;
        *ret_control = true;
        return 1;
    }
    int width = wcwidth(c);
    *ret_control = width < 0;
    *ret_width = width < 0 ? 1 : (size_t)width;
    return size;
}

size_t text_width(const char *text)
{
    locale_t old = uselocale(utf8_locale());
    size_t total = 0, width, size;
    bool control;

    for (; (size = character_next(text, &width, &control)); text += size)
        total += width;
    uselocale(old);
    return total;
}

/* Adds as much of text as fits in width, with "…" where it was cut. */
static void text_add_cut(struct buf *out, const char *text, size_t max)
{
    bool whole = text_width(text) <= max;
    locale_t old = uselocale(utf8_locale());
    size_t used = 0, width, size;
    bool control;

    for (; (size = character_next(text, &width, &control)); text += size) {
        if (!whole && used + width + 1 > max)
            break;
        buf_add(out, text, size);
        used += width;
    }
    uselocale(old);
    if (!whole)
        buf_add_text(out, "…");
}

void text_clean(struct buf *out, const char *text, bool lines)
{
    locale_t old = uselocale(utf8_locale());
    size_t width, size;
    bool control;

    for (; (size = character_next(text, &width, &control)); text += size) {
        if (!control || (lines && *text == '\n'))
            buf_add(out, text, size);
        else
            buf_add_char(out, *text == '\n' || *text == '\t' ? ' ' : '?');
    }
    uselocale(old);
}

/* --- tables --------------------------------------------------------------------------------- */

struct table *table_new(struct arena *arena, const char *const *columns)
{
    struct table *table = ARENA_NEW(arena, struct table);
    const char *cells[COLUMNS_MAX];

    table->arena = arena;
    for (; table->count < COLUMNS_MAX && columns[table->count]; table->count++) {
        const char *heading = columns[table->count];

        table->right[table->count] = *heading == '>';
        cells[table->count] = heading + (*heading == '>');
    }
    table_add(table, cells);
    return table;
}

void table_add(struct table *table, const char *const *cells)
{
    struct row *row = ARENA_NEW(table->arena, struct row);
    struct buf clean;

    buf_init(&clean, OUTPUT_MAX);
    for (size_t i = 0; i < table->count; i++) {
        buf_clear(&clean);
        text_clean(&clean, cells[i] ? cells[i] : "", false);
        row->cells[i] = arena_strdup(table->arena, buf_text(&clean));
        size_t width = text_width(row->cells[i]);
        if (width > table->widths[i])
            table->widths[i] = width;
    }
    buf_done(&clean);
    if (table->last)
        table->last->next = row;
    else
        table->first = row;
    table->last = row;
}

static void spaces_add(struct buf *out, size_t count)
{
    while (count--)
        buf_add_char(out, ' ');
}

static void cell_write(const struct table *table, struct buf *out, const char *cell, size_t i)
{
    size_t space = table->widths[i] - text_width(cell);

    if (table->right[i])
        spaces_add(out, space);
    buf_add_text(out, cell);
    if (!table->right[i])
        spaces_add(out, space);
    buf_add_text(out, "  ");
}

void table_write(const struct table *table, struct buf *out, size_t columns_max)
{
    size_t last = table->count - 1, before = 0, space;

    for (size_t i = 0; i < last; i++)
        before += table->widths[i] + 2;
    space = columns_max > before + 8 ? columns_max - before : SIZE_MAX;
    for (const struct row *row = table->first; row; row = row->next) {
        for (size_t i = 0; i < last; i++)
            cell_write(table, out, row->cells[i], i);
        if (table->right[last])
            spaces_add(out, table->widths[last] - text_width(row->cells[last]));
        text_add_cut(out, row->cells[last], space);
        while (out->size && out->bytes[out->size - 1] == ' ')
            out->bytes[--out->size] = '\0';
        buf_add_char(out, '\n');
    }
}

static size_t terminal_width(void)
{
    struct winsize size;

    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void table_print(const struct table *table)
{
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    table_write(table, &out, terminal_width());
    fputs(buf_text(&out), stdout);
    buf_done(&out);
}

void facts_print(const char *const (*facts)[2], size_t count)
{
    size_t widest = 0;
    struct buf out;

    for (size_t i = 0; i < count; i++) {
        size_t width = text_width(facts[i][0]);
        if (width > widest)
            widest = width;
    }
    buf_init(&out, OUTPUT_MAX);
    for (size_t i = 0; i < count; i++) {
        struct str rest = str_of(facts[i][1]), line;
        const char *name = facts[i][0];

        if (!rest.size)
            continue;
        while (str_split(&rest, '\n', &line)) {
            char *text = strndup(line.bytes, line.size);

            buf_add_text(&out, name);
            spaces_add(&out, widest + 2 - text_width(name));
            text_clean(&out, text ? text : "", false);
            buf_add_char(&out, '\n');
            free(text);
            name = "";
        }
    }
    fputs(buf_text(&out), stdout);
    buf_done(&out);
}

/* --- times ---------------------------------------------------------------------------------- */

/* The server's last time, 2199-12-31T23:59:59Z, and the second after it: it stands for no end. */
#define NEVER_MS INT64_C(7258118399000)

const char *time_for_people(struct arena *arena, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    char text[TIME_TEXT_SIZE];
    struct tm tm;

    if (time_ms == 0)
        return "";
    if (time_ms >= NEVER_MS)
        return "never";
    localtime_r(&seconds, &tm);
    time_format(time_ms, (int)tm.tm_gmtoff, text);
    text[10] = ' ';
    return arena_strdup(arena, text);
}

const char *time_text_for_people(struct arena *arena, const char *text)
{
    int64_t time_ms;

    return time_parse(str_of(text), &time_ms) ? time_for_people(arena, time_ms) : text;
}

const char *duration_for_people(struct arena *arena, int64_t ms)
{
    int64_t s = ms / 1000;

    if (ms < 1000)
        return arena_printf(arena, "%lld ms", (long long)ms);
    if (s < 60)
        return arena_printf(arena, "%lld.%lld s", (long long)s, (long long)(ms % 1000 / 100));
    if (s < 3600)
        return arena_printf(arena, "%lld min %lld s", (long long)(s / 60), (long long)(s % 60));
    if (s < 86400)
        return arena_printf(arena, "%lld h %lld min", (long long)(s / 3600),
                            (long long)(s % 3600 / 60));
    return arena_printf(arena, "%lld d %lld h", (long long)(s / 86400),
                        (long long)(s % 86400 / 3600));
}
