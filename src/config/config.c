#include "config/config-private.h"

#include "base/memory.h"
#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MAX = 1024 * 1024,
    LINE_MAX_SIZE = 4096,
    SECRET_MAX = 64 * 1024,
};

/* One reading: the INI text that is left, where we are in it, and the first error. */
struct reading {
    struct config *config;
    const char *name;
    struct str rest;
    int line;
    bool failed;
    struct error *err;
};

static int find(struct str section, struct str name)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (str_is(section, config_keys[i].section) && str_is(name, config_keys[i].name))
            return (int)i;
    return -1;
}

static const struct config_value *value_of(const struct config *config, const char *key,
                                           int *ret_index)
{
    const char *dot = strchr(key, '.');
    assert(dot);
    int index = find((struct str){ key, (size_t)(dot - key) }, str_of(dot + 1));

    assert(index >= 0);
    *ret_index = index;
    return &config->values[index];
}

/* Takes over source. */
static int value_set(struct config *config, int index, const char *text, char *source, bool is_set,
                     struct error *err)
{
    struct config_value *value = &config->values[index];
    int64_t number = 0;

    if (*text && config_value_parse(&config_keys[index], source, text, &number, err) < 0) {
        free(source);
        return -1;
    }
    free(value->text);
    free(value->source);
    *value = (struct config_value){ *text ? memory_strdup(text) : NULL, source, number, is_set };
    return 0;
}

static char *source_make(const char *prefix, const char *name, int line)
{
    struct buf buf;

    buf_init(&buf, 8192);
    buf_printf(&buf, "%s%s", prefix, name);
    if (line)
        buf_printf(&buf, ":%d", line);
    return buf.bytes ? buf_take(&buf) : memory_strdup("");
}

/* --- files ----------------------------------------------------------------------------------- */

/* The whole of a file, NUL-terminated; NULL with err. */
static char *file_read(const char *path, size_t size_max, size_t *ret_size, struct error *err)
{
    struct buf text;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        error_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    buf_init(&text, size_max + 1);
    for (char *room; (room = buf_reserve(&text, 4096)) != NULL; buf_commit(&text, (size_t)n))
        if ((n = read(fd, room, 4096)) <= 0)
            break;
    if (n < 0)
        error_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    else if (n > 0)
        error_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, size_max);
    close(fd);
    if (n != 0) {
        buf_done(&text);
        return NULL;
    }
    *ret_size = text.size;
    return text.bytes ? buf_take(&text) : memory_strdup("");
}

static int secret_file_read(struct config *config, int index, const char *path, char *source,
                            struct error *err)
{
    size_t size;
    char *text = file_read(path, SECRET_MAX, &size, err);

    if (!text) {
        free(source);
        return -1;
    }
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        text[--size] = '\0';
    int rc = value_set(config, index, text, source, true, err);
    explicit_bzero(text, size);
    free(text);
    return rc;
}

/* --- INI ------------------------------------------------------------------------------------- */

static int reading_fail(struct reading *r)
{
    r->failed = true;
    return 0;
}

/* The key that "NAME_file" is the file of, -1 where it is none. */
static int find_secret_file(const char *section, const char *name)
{
    size_t size = strlen(name);

    if (size <= 5 || strcmp(name + size - 5, "_file") != 0)
        return -1;
    int index = find(str_of(section), (struct str){ name, size - 5 });
    return index >= 0 && config_keys[index].type == CONFIG_SECRET ? index : -1;
}

static int unknown_key(struct reading *r, const char *section, const char *name)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(section, config_keys[i].section) == 0) {
            error_set(r->err, ERR_INVALID, "%s:%d: no key %s in section [%s]", r->name, r->line,
                      name, section);
            return reading_fail(r);
        }
    error_set(r->err, ERR_INVALID, "%s:%d: no section [%s]", r->name, r->line, section);
    return reading_fail(r);
}

/* inih's handler: 1 goes on, 0 stops. */
static int on_pair(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    int index = find(str_of(section), str_of(name));
    int secret = index < 0 ? find_secret_file(section, name) : -1;

    if (index < 0 && secret < 0)
        return unknown_key(r, section, name);
    if (r->config->values[index >= 0 ? index : secret].is_set) {
        error_set(r->err, ERR_INVALID, "%s:%d: %s.%s is given twice", r->name, r->line, section,
                  name);
        return reading_fail(r);
    }
    char *source = source_make("", r->name, r->line);
    int rc = index >= 0 ? value_set(r->config, index, value, source, true, r->err)
                        : secret_file_read(r->config, secret, value, source, r->err);
    return rc < 0 ? reading_fail(r) : 1;
}

/* inih's fgets: hands out a line and counts it. Indentation goes, so no line continues another. */
static char *on_line(char *out, int size, void *user)
{
    struct reading *r = user;
    struct str line;

    if (r->failed || !str_split(&r->rest, '\n', &line))
        return NULL;
    r->line++;
    line = str_trim(line);
    if (line.size && line.bytes[line.size - 1] == '\r')
        line = str_trim((struct str){ line.bytes, line.size - 1 });
    if (line.size + 2 > (size_t)size || memchr(line.bytes ? line.bytes : "", '\0', line.size)) {
        error_set(r->err, ERR_INVALID, "%s:%d: the line is too long or holds a NUL byte", r->name,
                  r->line);
        r->failed = true;
        return NULL;
    }
    if (line.size)
        memcpy(out, line.bytes, line.size);
    memcpy(out + line.size, "\n", 2);
    return out;
}

static int ini_read(struct config *config, const char *name, struct str text, struct error *err)
{
    struct reading r = { .config = config, .name = name, .rest = text, .err = err };

    /* a value is never cut at a ';' in it, and lines may be long; Debian's inih has these as
     * variables */
    ini_allow_inline_comments = false;
    ini_allow_multiline = false;
    ini_use_stack = false;
    ini_stop_on_first_error = true;
    ini_max_line = ini_initial_alloc = LINE_MAX_SIZE;
    int line = ini_parse_stream(on_line, &r, on_pair, &r);
    if (r.failed)
        return -1;
    if (line != 0)
        return error_set(err, ERR_INVALID, "%s:%d: neither [section] nor key = value", name, line);
    return 0;
}

/* --- environment ----------------------------------------------------------------------------- */

static const char *environment_find(const char *const *environment, const char *name)
{
    size_t size = strlen(name);

    for (; *environment; environment++)
        if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=')
            return *environment + size + 1;
    return NULL;
}

static int environment_take(struct config *config, int index, const char *const *environment,
                            const char *name, bool is_file, struct error *err)
{
    const char *text = environment_find(environment, name);

    if (!text)
        return 0;
    char *source = source_make("env ", name, 0);
    return is_file ? secret_file_read(config, index, text, source, err)
                   : value_set(config, index, text, source, true, err);
}

static int environment_read_key(struct config *config, int index, const char *const *environment,
                                struct error *err)
{
    const struct config_key *key = &config_keys[index];
    struct buf name;
    int rc = 0;

    buf_init(&name, 256);
    if (key->environment)
        rc = environment_take(config, index, environment, key->environment, false, err);
    if (rc == 0 && key->type == CONFIG_SECRET) {
        config_environment_name(key, "_FILE", &name);
        rc = environment_take(config, index, environment, buf_text(&name), true, err);
        buf_clear(&name);
    }
    config_environment_name(key, "", &name);
    if (rc == 0)
        rc = environment_take(config, index, environment, buf_text(&name), false, err);
    buf_done(&name);
    return rc;
}

static bool environment_known(struct str name, bool *ret_section)
{
    struct buf buf;
    bool known = false;

    *ret_section = false;
    buf_init(&buf, 256);
    for (size_t i = 0; i < config_key_count && !known; i++) {
        const struct config_key *key = &config_keys[i];
        buf_clear(&buf);
        config_environment_name(key, key->type == CONFIG_SECRET ? "_FILE" : "", &buf);
        size_t plain = buf.size - (key->type == CONFIG_SECRET ? strlen("_FILE") : 0);
        known = str_equal(name, buf_str(&buf)) ||
                str_equal(name, (struct str){ buf.bytes, plain }) ||
                (key->environment && str_is(name, key->environment));
        struct str section = { buf.bytes, strlen("BELFRY_") + strlen(key->section) + 1 };
        *ret_section |= str_starts_with(name, section);
    }
    buf_done(&buf);
    return known;
}

/* BELFRY_HTTP_LISTN is a slip; BELFRY_URL or BELFRY_TEST_X belong to others. */
static int environment_check(const char *const *environment, struct error *err)
{
    for (; *environment; environment++) {
        struct str rest = str_of(*environment), name;
        bool section;

        if (!str_starts_with(rest, STR("BELFRY_")) || !str_split(&rest, '=', &name))
            continue;
        if (!environment_known(name, &section) && section)
            return error_set(err, ERR_INVALID, "environment: no key for %.*s", (int)name.size,
                             name.bytes);
    }
    return 0;
}

/* --- loading --------------------------------------------------------------------------------- */

static struct config *config_new(void)
{
    struct config *config = memory_alloc(sizeof *config);

    config->values = memory_alloc(config_key_count * sizeof *config->values);
    for (size_t i = 0; i < config_key_count; i++) {
        const char *fallback = config_keys[i].fallback;
        struct error err;
        int rc = value_set(config, (int)i, fallback ? fallback : "", memory_strdup("default"),
                           false, &err);
        assert(rc == 0); /* a default that breaks its own rule */
    }
    return config;
}

int config_read(const char *name, struct str text, const char *const *environment,
                struct config **ret_config, struct error *err)
{
    static const char *const none[] = { NULL };
    CLEANUP(config_free) struct config *config = config_new();

    if (name && ini_read(config, name, text, err) < 0)
        return -1;
    if (!environment)
        environment = none;
    if (environment_check(environment, err) < 0)
        return -1;
    for (size_t i = 0; i < config_key_count; i++)
        if (environment_read_key(config, (int)i, environment, err) < 0)
            return -1;
    config->path = memory_strdup(name);
    *ret_config = TAKE(config);
    return 0;
}

int config_load(const char *path, struct config **ret_config, struct error *err)
{
    const char *const *environment = (const char *const *)environ;
    size_t size = 0;

    if (!path)
        path = getenv("BELFRY_CONFIG");
    if (!path && access("belfry.ini", F_OK) == 0)
        path = "belfry.ini";
    if (!path)
        return config_read(NULL, STR(""), environment, ret_config, err);
    char *text = file_read(path, FILE_MAX, &size, err);
    if (!text)
        return -1;
    int rc = config_read(path, (struct str){ text, size }, environment, ret_config, err);
    explicit_bzero(text, size); /* it may hold secrets */
    free(text);
    return rc;
}

void config_free(struct config **config)
{
    struct config *c = *config;

    if (!c)
        return;
    for (size_t i = 0; i < config_key_count; i++) {
        if (c->values[i].text && config_keys[i].type == CONFIG_SECRET)
            explicit_bzero(c->values[i].text, strlen(c->values[i].text));
        free(c->values[i].text);
        free(c->values[i].source);
    }
    free(c->values);
    free(c->path);
    free(c);
    *config = NULL;
}

/* --- asking ---------------------------------------------------------------------------------- */

const char *config_text(const struct config *config, const char *key)
{
    int index;

    return value_of(config, key, &index)->text;
}

int64_t config_int(const struct config *config, const char *key)
{
    int index;
    const struct config_value *value = value_of(config, key, &index);
    enum config_type type = config_keys[index].type;

    assert(type == CONFIG_INT || type == CONFIG_DURATION || type == CONFIG_SIZE);
    return value->number;
}

bool config_bool(const struct config *config, const char *key)
{
    int index;
    const struct config_value *value = value_of(config, key, &index);

    assert(config_keys[index].type == CONFIG_BOOL);
    return value->number != 0;
}

const char *config_source(const struct config *config, const char *key)
{
    int index;

    return value_of(config, key, &index)->source;
}

bool config_is_set(const struct config *config, const char *key)
{
    int index;

    return value_of(config, key, &index)->is_set;
}

const char *config_path(const struct config *config)
{
    return config->path;
}

bool config_list_next(struct str *rest, struct str *ret_part)
{
    struct str part;

    while (rest->bytes && str_split(rest, ',', &part)) {
        part = str_trim(part);
        if (part.size) {
            *ret_part = part;
            return true;
        }
    }
    return false;
}
