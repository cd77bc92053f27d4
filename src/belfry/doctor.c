#include "belfry/doctor.h"

#include "base/clock.h"
#include "base/str.h"
#include "belfry/client.h"
#include "db/db.h"
#include "http/http-client.h"
#include "schedule/zone.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define SAY(doctor, verdict, what, ...)                                                            \
    doctor_say((doctor), (verdict), (what), arena_printf((doctor)->cli->arena, __VA_ARGS__))

void doctor_config(struct doctor *doctor)
{
    struct error err = { 0 };
    const char *path;

    if (config_load(cli_option(doctor->cli, "config"), &doctor->config, &err) < 0) {
        char text[1200];

        SAY(doctor, VERDICT_BAD, "configuration", "%s",
            error_text(&err, cli_language(), text, sizeof(text)));
        return;
    }
    path = config_path(doctor->config);
    SAY(doctor, VERDICT_OK, "configuration", "%s",
        path ? path : "no file: defaults and environment (`belfry config` prints them)");
}

/* --- data folder ---------------------------------------------------------------------------- */

static void free_space(struct doctor *doctor, const char *dir)
{
    enum { LEAST_MIB = 500 };
    struct statvfs st;

    if (statvfs(dir, &st) < 0)
        return;
    unsigned long long mib = (unsigned long long)st.f_bavail * st.f_frsize / (1024 * 1024);
    SAY(doctor, mib < LEAST_MIB ? VERDICT_BAD : VERDICT_OK, "disk space", "%llu MiB free in %s",
        mib, dir);
}

void doctor_data(struct doctor *doctor)
{
    const char *dir = doctor->config ? config_text(doctor->config, "data.dir") : NULL;
    struct stat st;

    if (!dir)
        return;
    if (stat(dir, &st) < 0) {
        SAY(doctor, errno == ENOENT ? VERDICT_NOTE : VERDICT_BAD, "data folder", "%s: %s", dir,
            errno == ENOENT ? "not there yet; `belfry serve` makes it" : strerror(errno));
        return;
    }
    if (!S_ISDIR(st.st_mode))
        SAY(doctor, VERDICT_BAD, "data folder", "%s is no folder", dir);
    else if (access(dir, R_OK | W_OK | X_OK) < 0)
        SAY(doctor, VERDICT_BAD, "data folder", "%s: %s", dir, strerror(errno));
    else if (st.st_mode & 077)
        SAY(doctor, VERDICT_BAD, "data folder", "%s: others may look into it: chmod 700", dir);
    else
        SAY(doctor, VERDICT_OK, "data folder", "%s", dir);
    free_space(doctor, dir);
}

/* --- store ---------------------------------------------------------------------------------- */

static const char *store_url(struct doctor *doctor)
{
    const char *url = config_text(doctor->config, "store.url");

    return url ? url
               : arena_printf(doctor->cli->arena, "sqlite:%s/belfry.db",
                              config_text(doctor->config, "data.dir"));
}

/* Opens the store as the server does, and gives it the time that a connection may take. */
static void store_try(struct doctor *doctor, const char *url)
{
    struct db_settings settings = {
        .url = url,
        .password = config_text(doctor->config, "store.password"),
        .connections = { 1, 1, 1 },
        .durability_relaxed =
            strcmp(config_text(doctor->config, "store.durability"), "relaxed") == 0,
    };
    int64_t end_ms = clock_mono_ms() + config_int(doctor->config, "store.connect_timeout");
    struct event_base *base = event_base_new();
    struct db *db = NULL;
    struct error err = { 0 };
    char text[1200];

    if (db_open(&settings, base, &db, &err) == 0) {
        while (db_ready(db, &err) < 0 && clock_mono_ms() < end_ms) {
            event_base_loopexit(base, &(struct timeval){ .tv_usec = 20000 });
            event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
        }
        err = (struct error){ 0 };
        db_ready(db, &err);
    }
    if (err.code == ERR_CONFLICT)
        SAY(doctor, VERDICT_OK, "store", "%s, in use by a running Belfry", url);
    else if (err.code != ERR_NONE)
        SAY(doctor, VERDICT_BAD, "store", "%s: %s", url,
            error_text(&err, cli_language(), text, sizeof(text)));
    else
        SAY(doctor, VERDICT_OK, "store", "%s answers", url);
    db_close(&db);
    event_base_free(base);
}

void doctor_store(struct doctor *doctor)
{
    const char *url = doctor->config ? store_url(doctor) : NULL;

    if (!url)
        return;
    if (strncmp(url, "sqlite:", 7) == 0 && access(url + 7, F_OK) < 0)
        SAY(doctor, VERDICT_NOTE, "store", "%s: not there yet; `belfry serve` makes it", url);
    else
        store_try(doctor, url);
}

/* --- ports ---------------------------------------------------------------------------------- */

/* Whether the address is free to listen on: 1 yes, 0 somebody has it, -1 no such address. */
static int port_free(struct cli *cli, const char *listen_text)
{
    const char *colon = strrchr(listen_text, ':');
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
    struct str host = { listen_text, colon ? (size_t)(colon - listen_text) : 0 };
    int fd, on = 1, result;

    if (host.size > 2 && *host.bytes == '[')
        host = (struct str){ host.bytes + 1, host.size - 2 };
    if (!colon || getaddrinfo(arena_strndup(cli->arena, host.bytes, host.size), colon + 1, &hints,
                              &found) != 0)
        return -1;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    result = bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, 1) == 0 ? 1
             : errno == EADDRINUSE                                                  ? 0
                                                                                    : -1;
    close(fd);
    freeaddrinfo(found);
    return result;
}

void doctor_ports(struct doctor *doctor)
{
    const char *listen_text = doctor->config ? config_text(doctor->config, "http.listen") : NULL;

    if (!listen_text)
        return;
    switch (port_free(doctor->cli, listen_text)) {
    case 1:
        SAY(doctor, VERDICT_OK, "port", "%s is free", listen_text);
        break;
    case 0:
        SAY(doctor, VERDICT_NOTE, "port", "%s is in use: by Belfry, if one runs here", listen_text);
        break;
    default:
        SAY(doctor, VERDICT_BAD, "port", "%s: no address of this machine, or not allowed",
            listen_text);
    }
}

/* --- clock, zones --------------------------------------------------------------------------- */

void doctor_clock(struct doctor *doctor)
{
    struct timex timex = { 0 };
    int state = adjtimex(&timex);

    if (state < 0)
        SAY(doctor, VERDICT_NOTE, "clock", "the kernel does not say whether it is synchronised");
    else if (state == TIME_ERROR || (timex.status & STA_UNSYNC))
        SAY(doctor, VERDICT_NOTE, "clock",
            "not synchronised: jobs fire by this clock; chrony or systemd-timesyncd keeps it "
            "right");
    else
        SAY(doctor, VERDICT_OK, "clock", "synchronised, within %ld ms", timex.maxerror / 1000);
}

/* The version that tzdata.zi names in its first line: "# version 2025b". */
static const char *tzdata_version(struct doctor *doctor)
{
    FILE *file = fopen("/usr/share/zoneinfo/tzdata.zi", "re");
    char line[64] = "", *end;

    if (!file)
        return "unknown version";
    if (!fgets(line, sizeof(line), file))
        line[0] = '\0';
    fclose(file);
    end = strchr(line, '\n');
    if (end)
        *end = '\0';
    return strncmp(line, "# version ", 10) == 0 ? arena_strdup(doctor->cli->arena, line + 10)
                                                : "unknown version";
}

void doctor_zones(struct doctor *doctor)
{
    struct zone *zone = NULL;
    struct error err = { 0 };
    char text[1200];

    if (zone_load("Asia/Shanghai", &zone, &err) < 0)
        SAY(doctor, VERDICT_BAD, "time zones", "%s (apt-get install tzdata)",
            error_text(&err, cli_language(), text, sizeof(text)));
    else
        SAY(doctor, VERDICT_OK, "time zones", "tzdata %s", tzdata_version(doctor));
    zone_unref(&zone);
}

/* --- scripts -------------------------------------------------------------------------------- */

void doctor_scripts(struct doctor *doctor)
{
    bool version_2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
    bool writable =
        access(version_2 ? "/sys/fs/cgroup/cgroup.procs" : "/sys/fs/cgroup/pids", W_OK) == 0;

    if (writable)
        SAY(doctor, VERDICT_OK, "scripts", "cgroups (version %d) can hold them", version_2 ? 2 : 1);
    else
        SAY(doctor, VERDICT_NOTE, "scripts",
            "no cgroup may be made here: limits and ends of scripts go by process tree");
    if (geteuid() != 0)
        SAY(doctor, VERDICT_NOTE, "script users",
            "not root: scripts run as the user that Belfry runs as");
}

/* --- server --------------------------------------------------------------------------------- */

void doctor_server(struct doctor *doctor)
{
    struct client_call call = { .method = "GET", .path = "/readyz", .anonymous = true };
    struct client_answer answer;
    struct error err = { 0 };
    char text[1200];

    if (client_send(doctor->cli, &call, &answer, &err) < 0) {
        SAY(doctor, VERDICT_NOTE, "server", "%s",
            error_text(&err, cli_language(), text, sizeof(text)));
        return;
    }
    SAY(doctor, VERDICT_OK, "server", "%s is ready", client_url(doctor->cli));
    if (client_get(doctor->cli, "/api/v1/session", &answer, &err) < 0)
        SAY(doctor, VERDICT_NOTE, "signed in", "%s",
            error_text(&err, cli_language(), text, sizeof(text)));
    else
        SAY(doctor, VERDICT_OK, "signed in", "as %s",
            json_member_text(answer.json, "user", doctor->cli->arena));
}
