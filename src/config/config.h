#ifndef BELFRY_CONFIG_CONFIG_H
#define BELFRY_CONFIG_CONFIG_H

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
enum config_type { CONFIG_TEXT, CONFIG_INT, CONFIG_BOOL, CONFIG_DURATION /* "250ms" "10s" "5m" "2h" "1d" */,
                   CONFIG_SIZE /* "64k" "10m" "1g" */, CONFIG_SECRET, CONFIG_LIST /* comma-separated */ };

struct config_key {
    const char *section, *name;  /* "http", "listen" */
    enum config_type type;
    const char *fallback;        /* default as text; NULL: none */
    int64_t min, max;            /* numbers, ms, bytes */
    const char *about;
};
extern const struct config_key config_keys[];
extern const size_t config_key_count;

struct config;

/* path NULL: BELFRY_CONFIG, else ./belfry.ini if it exists, else none. */
int config_load(const char *path, struct config **ret_config, struct error *err);
void config_free(struct config **config);

/* "section.key" must be in the table with the fitting type (assert). Texts live with config. */
const char *config_text(const struct config *config, const char *key);    /* NULL: not set */
int64_t config_int(const struct config *config, const char *key);         /* INT, DURATION (ms), SIZE (bytes) */
bool config_bool(const struct config *config, const char *key);
const char *config_source(const struct config *config, const char *key);  /* "default", "env BELFRY_…", "file:line" */

#endif
