#ifndef BELFRY_CONFIG_CONFIG_PRIVATE_H
#define BELFRY_CONFIG_CONFIG_PRIVATE_H

#include "config/config.h"

struct config_value {
    char *text;     /* NULL: not set */
    char *source;
    int64_t number; /* BOOL, INT, DURATION, SIZE */
    bool is_set;    /* by file or environment, not by the default */
};

struct config {
    char *path;
    struct config_value *values; /* one for each row of config_keys */
};

/* Parses text as the key's type. Errors: ERR_INVALID that names source and key. */
int config_value_parse(const struct config_key *key, const char *source, const char *text,
                       int64_t *ret_number, struct error *err);
/* Back to the shortest text of the type: "30s", "64k". */
void config_number_print(enum config_type type, int64_t number, struct buf *out);
/* As config_environment_print; suffix is "" or "_FILE". */
void config_environment_name(const struct config_key *key, const char *suffix, struct buf *out);

#endif
