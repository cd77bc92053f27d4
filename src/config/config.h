#ifndef BELFRY_CONFIG_CONFIG_H
#define BELFRY_CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Configuration: one INI file; every key also as BELFRY_SECTION_KEY in the environment, which
 * wins. The table of keys (config-keys.c) gives type, default, bounds and documentation; `belfry
 * config` prints values, where each comes from, and the table. Unknown sections and keys, wrong
 * types and values out of bounds are errors that name file, line and key. Secrets have no default,
 * are masked in print, and may stand in a file of their own (KEY_file = path).
 */
enum config_type {
    CONFIG_TEXT,
    CONFIG_INT,
    CONFIG_BOOL,     /* true, false, yes, no, on, off, 1, 0 */
    CONFIG_DURATION, /* "250ms" "10s" "5m" "2h" "1d" */
    CONFIG_SIZE,     /* "512" "64k" "10m" "1g": powers of 1024 */
    CONFIG_SECRET,
    CONFIG_LIST,     /* comma-separated; config_list_next */
    CONFIG_CHOICE,   /* one of choices */
};

struct config_key {
    const char *section, *name;  /* "http", "listen" */
    enum config_type type;
    const char *fallback;        /* default as text; NULL: none */
    int64_t min, max;            /* numbers, ms, bytes: range when max > min */
    const char *about;
    const char *choices;         /* CHOICE: "debug|info|warn|error" */
    const char *environment;     /* a second name in the environment, such as BELFRY_DATA */
};
extern const struct config_key config_keys[];
extern const size_t config_key_count;

struct config;

/* path NULL: BELFRY_CONFIG, else ./belfry.ini if it exists, else none. */
int config_load(const char *path, struct config **ret_config, struct error *err);
/*
 * The same from text and an environment that the caller gives: for tests and the fuzzer. name
 * stands for the file in messages; environment is NULL-terminated "NAME=value"s, or NULL.
 */
int config_read(const char *name, struct str text, const char *const *environment,
                struct config **ret_config, struct error *err);
void config_free(struct config **config);

/* "section.key" must be in the table with the fitting type (assert). Texts live with config. */
const char *config_text(const struct config *config, const char *key);    /* NULL: not set or empty */
int64_t config_int(const struct config *config, const char *key);         /* INT, DURATION (ms), SIZE (bytes) */
bool config_bool(const struct config *config, const char *key);
const char *config_source(const struct config *config, const char *key);  /* "default", "env BELFRY_…", "file:line" */
bool config_is_set(const struct config *config, const char *key);         /* by file or environment */
const char *config_path(const struct config *config);                     /* of the file read, NULL: none */
/* Next part of a LIST value, trimmed; begin with rest = config_text(…), empty parts are left out. */
bool config_list_next(struct str *rest, struct str *ret_part);

/* What `belfry config` prints: effective values with their sources, secrets as "(set)"; and the
 * table of keys as Markdown (docs/configuration.md is exactly that). */
void config_print(const struct config *config, struct buf *out);
void config_print_docs(struct buf *out);
/* The words of both: "text", "time", … and "from 1s to 1h" ("" where there is no bound). */
const char *config_type_name(enum config_type type);
void config_bounds_print(const struct config_key *key, struct buf *out);
/* BELFRY_SECTION_KEY */
void config_environment_print(const struct config_key *key, struct buf *out);

#endif
