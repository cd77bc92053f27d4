#include "config/config-private.h"

#include <string.h>

static const char *const type_names[] = {
    [CONFIG_TEXT] = "text",     [CONFIG_INT] = "number",    [CONFIG_BOOL] = "true or false",
    [CONFIG_DURATION] = "time", [CONFIG_SIZE] = "size",     [CONFIG_SECRET] = "secret",
    [CONFIG_LIST] = "list",     [CONFIG_CHOICE] = "one of",
};

static const char docs_head[] =
    "# Configuration\n"
    "\n"
    "<!-- Printed by `belfry config --docs`; change src/config/config-keys.c instead. -->\n"
    "\n"
    "One INI file: `--config FILE`, else `BELFRY_CONFIG`, else `belfry.ini` in the working folder "
    "if\nit is there. Every key can also be given in the environment, which wins. `belfry config` "
    "prints what\nis in force and where it comes from; a key or value that Belfry does not know "
    "stops the start with\nthe file, the line and the key.\n"
    "\n"
    "A `#` or `;` at the beginning of a line makes it a comment. Times are `250ms`, `10s`, `5m`, "
    "`2h`, `1d`;\nsizes `512`, `64k`, `10m`, `1g` (powers of 1024); lists are separated by commas. "
    "A secret has no\ndefault, is never printed, and may stand in a file of its own: `KEY_file = "
    "path`, or\n`BELFRY_SECTION_KEY_FILE`.\n"
    "\n"
    "Everything on one machine needs no file at all. Behind a TLS proxy on the same machine, with "
    "PostgreSQL:\n"
    "\n"
    "```ini\n"
    "[http]\n"
    "public_url = https://belfry.example.com\n"
    "trusted_proxies = 127.0.0.1\n"
    "[store]\n"
    "url = postgres://belfry@db.example.com:5432/belfry\n"
    "password_file = /etc/belfry/store-password\n"
    "```\n"
    "\n"
    "Services in processes of their own (`belfry serve gateway`, `belfry serve job-admin` …) share "
    "such a file\nand add the same `[cluster] join_key_file` and the addresses in `[registry]`; "
    "what differs between\nprocesses of one machine, `BELFRY_DATA` and where there are two of a "
    "kind `BELFRY_INTERNAL_LISTEN` and\n`BELFRY_NODE_NAME`, goes into the environment of each.\n";

const char *config_type_name(enum config_type type)
{
    return type_names[type];
}

void config_bounds_print(const struct config_key *key, struct buf *out)
{
    if (key->type == CONFIG_CHOICE) {
        for (const char *c = key->choices; *c; c++)
            *c == '|' ? buf_add_text(out, ", ") : buf_add_char(out, *c);
        return;
    }
    if (key->max <= key->min)
        return;
    buf_add_text(out, "from ");
    config_number_print(key->type, key->min, out);
    buf_add_text(out, " to ");
    config_number_print(key->type, key->max, out);
}

void config_environment_print(const struct config_key *key, struct buf *out)
{
    config_environment_name(key, "", out);
}

static void value_print(const struct config_key *key, const struct config_value *value,
                        struct buf *out)
{
    if (!value->text)
        buf_add_text(out, "(not set)");
    else if (key->type == CONFIG_SECRET)
        buf_add_text(out, "(set)");
    else
        buf_add_text(out, value->text);
}

void config_print(const struct config *config, struct buf *out)
{
    const char *section = "";

    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        const struct config_value *value = &config->values[i];
        struct buf line;

        if (strcmp(section, key->section) != 0)
            buf_printf(out, "%s[%s]\n", *section ? "\n" : "", key->section);
        section = key->section;
        buf_init(&line, 1024 * 1024);
        buf_printf(&line, "%s = ", key->name);
        value_print(key, value, &line);
        buf_printf(out, "%-48s ; %s\n", buf_text(&line), value->source);
        buf_done(&line);
    }
}

static void docs_row(const struct config_key *key, struct buf *out)
{
    buf_printf(out, "| `%s` | %s ", key->name, type_names[key->type]);
    config_bounds_print(key, out);
    if (key->fallback)
        buf_printf(out, " | `%s` | ", key->fallback);
    else
        buf_add_text(out, " | | ");
    buf_printf(out, "%s", key->about);
    if (key->environment)
        buf_printf(out, " Also `%s`.", key->environment);
    buf_add_text(out, " |\n");
}

void config_print_docs(struct buf *out)
{
    const char *section = "";

    buf_add_text(out, docs_head);
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (strcmp(section, key->section) != 0)
            buf_printf(out, "\n## [%s]\n\n| key | value | default | |\n|---|---|---|---|\n",
                       key->section);
        section = key->section;
        docs_row(key, out);
    }
}
