#include "config/config.h"

#include "base/arena.h"
#include "json/json.h"

#include <getopt.h>
#include <stdio.h>

int cmd_config(int argc, char **argv);

enum { EXIT_USAGE_LINE = 64, EXIT_BAD_CONFIG = 78, PRINT_MAX = 4 * 1024 * 1024 };

static const char help[] =
    "usage: belfry config [--config FILE] [--json | --docs]\n"
    "\n"
    "Prints every key with the value in force and where it comes from: a file and line, the\n"
    "environment, or the default. Secrets show as (set). --docs prints what each key means.\n"
    "\n"
    "examples:\n"
    "  belfry config                                 what would `belfry serve` use here?\n"
    "  BELFRY_HTTP_LISTEN=0.0.0.0:80 belfry config   the same with one key changed\n"
    "  belfry config --docs | less\n";

static void json_key(struct json_writer *w, const struct config *config,
                     const struct config_key *key, struct arena *arena)
{
    char *path = arena_printf(arena, "%s.%s", key->section, key->name);
    const char *text = config_text(config, path);
    struct buf name;

    buf_init(&name, 256);
    config_environment_print(key, &name);
    json_object(w);
    json_name(w, "key");
    json_text(w, path);
    json_name(w, "value");
    json_text(w, key->type == CONFIG_SECRET && text ? "(set)" : text);
    json_name(w, "source");
    json_text(w, config_source(config, path));
    json_name(w, "type");
    json_text(w, config_type_name(key->type));
    json_name(w, "default");
    json_text(w, key->fallback);
    json_name(w, "environment");
    json_text(w, buf_text(&name));
    json_name(w, "about");
    json_text(w, key->about);
    json_object_end(w);
    buf_done(&name);
}

static void json_print(const struct config *config, struct buf *out)
{
    struct arena *arena = arena_new();
    struct json_writer w;

    json_begin(&w, out);
    json_array(&w);
    for (size_t i = 0; i < config_key_count; i++)
        json_key(&w, config, &config_keys[i], arena);
    json_array_end(&w);
    buf_add_char(out, '\n');
    arena_free(&arena);
}

static int print(const char *path, bool json)
{
    struct config *config;
    struct error err;
    struct buf out;

    if (config_load(path, &config, &err) < 0) {
        fprintf(stderr, "belfry config: %s\n", error_english(&err));
        return EXIT_BAD_CONFIG;
    }
    buf_init(&out, PRINT_MAX);
    if (json)
        json_print(config, &out);
    else
        config_print(config, &out);
    fputs(buf_text(&out), stdout);
    buf_done(&out);
    config_free(&config);
    return 0;
}

static void docs_print(void)
{
    struct buf out;

    buf_init(&out, PRINT_MAX);
    config_print_docs(&out);
    fputs(buf_text(&out), stdout);
    buf_done(&out);
}

int cmd_config(int argc, char **argv)
{
    static const struct option options[] = {
        { "help", no_argument, NULL, 'h' },
        { "config", required_argument, NULL, 'c' },
        { "json", no_argument, NULL, 'j' },
        { "docs", no_argument, NULL, 'd' },
        { 0 },
    };
    const char *path = NULL;
    bool json = false, docs = false;
    int c;

    while ((c = getopt_long(argc, argv, "hc:", options, NULL)) != -1)
        switch (c) {
        case 'h':
            fputs(help, stdout);
            return 0;
        case 'c':
            path = optarg;
            break;
        case 'j':
            json = true;
            break;
        case 'd':
            docs = true;
            break;
        default:
            return EXIT_USAGE_LINE;
        }
    if (optind < argc) {
        fprintf(stderr, "belfry config: takes no argument \"%s\"\n", argv[optind]);
        return EXIT_USAGE_LINE;
    }
    if (docs)
        return docs_print(), 0;
    return print(path, json);
}
