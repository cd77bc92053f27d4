#include "db/db-private.h"

#include "base/buf.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* NULL for an empty part; false for a bad or NUL escape. */
static bool percent_decode(struct str part, char **ret_text)
{
    char *text = memory_alloc(part.size + 1);
    size_t used = 0;

    for (size_t i = 0; i < part.size; i++) {
        char c = part.bytes[i];
        if (c == '%') {
            int high = i + 2 < part.size ? hex_digit(part.bytes[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(part.bytes[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) {
                free(text);
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        text[used++] = c;
    }
    if (part.size == 0)
        memory_free_text(&text);
    *ret_text = text;
    return true;
}

/* Cuts text at the last or first c; without one, before is all of it and after is empty. */
static void cut(struct str text, char c, struct str *ret_before, struct str *ret_after)
{
    const char *at = memchr(text.bytes, c, text.size);

    *ret_before = text;
    *ret_after = (struct str){ text.bytes + text.size, 0 };
    if (!at)
        return;
    ret_before->size = (size_t)(at - text.bytes);
    ret_after->bytes = at + 1;
    ret_after->size = text.size - ret_before->size - 1;
}

static int bad_part(struct error *err, const char *part)
{
    return error_set(err, ERR_INVALID, "database url: bad %s", part);
}

/* host, host:port, [v6]:port */
static int host_parse(struct str text, struct db_url *url, struct error *err)
{
    struct str host, port = { 0 };
    int64_t number = 0;

    if (text.size && text.bytes[0] == '[') {
        struct str inner = { text.bytes + 1, text.size - 1 }, rest;
        cut(inner, ']', &host, &rest);
        if (rest.size && rest.bytes[0] != ':')
            return bad_part(err, "host");
        if (rest.size)
            port = (struct str){ rest.bytes + 1, rest.size - 1 };
    } else {
        cut(text, ':', &host, &port);
    }
    if (port.size && !number_parse(port, 1, 65535, &number))
        return bad_part(err, "port");
    url->port = (int)number;
    return percent_decode(host, &url->host) ? 0 : bad_part(err, "host");
}

static int option_set(struct db_url *url, struct str name, struct str value, struct error *err)
{
    char **text = str_is(name, "socket") ? &url->socket : str_is(name, "ca") ? &url->ca : NULL;

    if (text) {
        free(*text);
        *text = NULL;
        return percent_decode(value, text) ? 0 : bad_part(err, "option");
    }
    if (!str_is(name, "tls"))
        return error_set(err, ERR_INVALID, "database url: unknown option %.*s", (int)name.size,
                         name.bytes);
    if (str_is(value, "off"))
        url->tls = DB_TLS_OFF;
    else if (str_is(value, "require"))
        url->tls = DB_TLS_REQUIRE;
    else if (str_is(value, "verify"))
        url->tls = DB_TLS_VERIFY;
    else
        return error_set(err, ERR_INVALID, "database url: tls is off, require or verify");
    return 0;
}

static int options_parse(struct db_url *url, struct str options, struct error *err)
{
    struct str option;

    while (options.size && str_split(&options, '&', &option)) {
        struct str name, value;
        cut(option, '=', &name, &value);
        if (option_set(url, name, value, err) < 0)
            return -1;
    }
    return 0;
}

/* user@host:port/database?options */
static int server_parse(struct str text, struct db_url *url, struct error *err)
{
    struct str main, options, authority, database, user, host;

    cut(text, '?', &main, &options);
    cut(main, '/', &authority, &database);
    cut(authority, '@', &user, &host);
    if (!memchr(authority.bytes, '@', authority.size)) {
        host = authority;
        user.size = 0;
    }
    if (memchr(user.bytes, ':', user.size))
        return error_set(err, ERR_INVALID,
                         "database url: a password does not belong here, set it on its own");
    if (!percent_decode(user, &url->user) || !url->user)
        return bad_part(err, "user");
    if (!percent_decode(database, &url->database) || !url->database)
        return bad_part(err, "database name");
    if (host_parse(host, url, err) < 0 || options_parse(url, options, err) < 0)
        return -1;
    if (!url->host && !url->socket)
        return bad_part(err, "host");
    return 0;
}

int db_url_parse(const char *text, struct db_url *ret_url, struct error *err)
{
    static const struct {
        const char *prefix;
        enum db_backend backend;
    } schemes[] = {
        { "postgres://", DB_POSTGRES }, { "postgresql://", DB_POSTGRES },
        { "mysql://", DB_MYSQL },       { "mariadb://", DB_MYSQL },
    };
    struct str url = str_of(text);

    memset(ret_url, 0, sizeof *ret_url);
    if (str_starts_with(url, STR("sqlite:"))) {
        if (url.size == strlen("sqlite:") || str_is(url, "sqlite::memory:"))
            return bad_part(err, "file name");
        ret_url->backend = DB_SQLITE;
        ret_url->path = memory_strdup(text + strlen("sqlite:"));
        return 0;
    }
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        struct str prefix = str_of(schemes[i].prefix);
        if (!str_starts_with(url, prefix))
            continue;
        ret_url->backend = schemes[i].backend;
        struct str rest = { url.bytes + prefix.size, url.size - prefix.size };
        if (server_parse(rest, ret_url, err) == 0)
            return 0;
        db_url_done(ret_url);
        return -1;
    }
    return error_set(err, ERR_INVALID,
                     "database url must begin with sqlite:, postgres:// or mysql://");
}

bool db_url_wants_tls(const struct db_url *url)
{
    if (url->tls != DB_TLS_DEFAULT)
        return url->tls != DB_TLS_OFF;
    return !url->socket && strcmp(url->host, "localhost") != 0 && strcmp(url->host, "::1") != 0 &&
           strncmp(url->host, "127.", 4) != 0;
}

void db_url_done(struct db_url *url)
{
    memory_free_text(&url->path);
    memory_free_text(&url->user);
    memory_free_text(&url->host);
    memory_free_text(&url->database);
    memory_free_text(&url->socket);
    memory_free_text(&url->ca);
}
