#ifndef BELFRY_BELFRY_TABLE_H
#define BELFRY_BELFRY_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Tables for people: columns as wide as their widest cell, counted in terminal columns (a Chinese
 * character takes two). Control characters in cells, which could drive a terminal, are shown as
 * "?". On a terminal the last column is cut where the line would wrap.
 */
struct table;

/* columns: headings, ended by NULL; one that begins with '>' is set flush right. At most 16. */
struct table *table_new(struct arena *arena, const char *const *columns);
/* cells: as many as columns; NULL is "". Copied. */
void table_add(struct table *table, const char *const *cells);
/* columns_max: width of the terminal, 0: no limit. */
void table_write(const struct table *table, struct buf *out, size_t columns_max);
/* To standard output, with the width of the terminal if it is one. */
void table_print(const struct table *table);

/* Two columns without heading: a name, and a text that may have several lines. */
void facts_print(const char *const (*facts)[2], size_t count);

/* Columns that the text takes on a terminal. */
size_t text_width(const char *text);
/* Copies the text with control characters (but '\n' where lines) replaced by '?'. */
void text_clean(struct buf *out, const char *text, bool lines);

/* "2026-11-25 09:30:00.250+08:00" in the user's zone; "" for 0, "never" for the end of time.
 * In arena. */
const char *time_for_people(struct arena *arena, int64_t time_ms);
/* The same of a time as the server writes it; "" for "". */
const char *time_text_for_people(struct arena *arena, const char *text);
/* "250 ms", "1.5 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
const char *duration_for_people(struct arena *arena, int64_t ms);

#endif
