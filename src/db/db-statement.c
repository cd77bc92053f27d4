#include "db/db-private.h"

#include "base/buf.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

struct statement {
    char *copy;
    void *statement;
};

void db_statements_init(struct db_statements *statements, void *session,
                        void (*free_statement)(void *session, void *statement))
{
    memset(statements->slots, 0, sizeof statements->slots);
    map_init(&statements->by_text);
    statements->session = session;
    statements->free = free_statement;
}

void db_statements_done(struct db_statements *statements)
{
    void *value;

    for (size_t i = 0; map_next(&statements->by_text, &i, &value);) {
        struct statement *entry = value;
        statements->free(statements->session, entry->statement);
        free(entry->copy);
        free(entry);
    }
    map_done(&statements->by_text);
    memset(statements->slots, 0, sizeof statements->slots);
}

static size_t slot_of(const char *sql)
{
    return ((uintptr_t)sql >> 3) % DB_STATEMENT_SLOTS;
}

static void slot_set(struct db_statements *statements, const char *sql,
                     const struct statement *entry)
{
    size_t slot = slot_of(sql);

    statements->slots[slot].sql = sql;
    statements->slots[slot].copy = entry->copy;
    statements->slots[slot].statement = entry->statement;
}

void *db_statements_find(struct db_statements *statements, const char *sql)
{
    size_t slot = slot_of(sql);

    if (statements->slots[slot].sql == sql && strcmp(statements->slots[slot].copy, sql) == 0)
        return statements->slots[slot].statement;
    struct statement *entry = map_get_text(&statements->by_text, sql);
    if (!entry)
        return NULL;
    slot_set(statements, sql, entry);
    return entry->statement;
}

void db_statements_add(struct db_statements *statements, const char *sql, void *statement)
{
    if (statements->by_text.count >= DB_STATEMENT_MAX) { /* somebody makes up texts: start over */
        db_statements_done(statements);
        map_init(&statements->by_text);
    }
    struct statement *entry = memory_alloc(sizeof *entry);
    entry->copy = memory_strdup(sql);
    entry->statement = statement;
    map_put_text(&statements->by_text, sql, entry);
    slot_set(statements, sql, entry);
}

/* The end of a quoted part or comment that begins at p, or p itself where none begins. */
static const char *skip_quoted(const char *p)
{
    if (*p == '\'' || *p == '"') {
        const char *end = strchr(p + 1, *p);
        return end ? end + 1 : p + strlen(p);
    }
    if (p[0] == '-' && p[1] == '-') {
        const char *end = strchr(p, '\n');
        return end ? end : p + strlen(p);
    }
    return p;
}

char *db_statement_numbered(const char *sql)
{
    struct buf out;
    int number = 0;

    buf_init(&out, 1 << 20);
    while (*sql) {
        const char *end = skip_quoted(sql);
        if (end != sql) {
            buf_add(&out, sql, (size_t)(end - sql));
            sql = end;
        } else if (*sql++ == '?') {
            buf_printf(&out, "$%d", ++number);
        } else {
            buf_add_char(&out, sql[-1]);
        }
    }
    return buf_take(&out);
}

char *db_statement_insert(struct arena *arena, const char *table, const char *columns,
                          size_t value_count, const char *tail)
{
    struct buf places;

    buf_init(&places, 1 << 20);
    for (size_t i = 0; i < value_count; i++)
        buf_add_text(&places, i ? ", ?" : "?");
    char *sql = arena_printf(arena, "INSERT INTO %s (%s) VALUES (%s)%s", table, columns,
                             buf_text(&places), tail);
    buf_done(&places);
    return sql;
}

int db_values_check(const struct db_value *values, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct str text = { values[i].bytes, values[i].size };
        if (values[i].type != DB_TEXT || text.size == 0)
            continue;
        if (memchr(text.bytes, '\0', text.size) || !utf8_valid(text))
            return error_set(err, ERR_INVALID, "text for the database is not UTF-8 without NUL");
    }
    return 0;
}
