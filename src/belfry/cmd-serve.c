#include "belfry/services.h"

#include "auth/client.h"
#include "auth/service.h"
#include "base/log.h"
#include "gateway/service.h"
#include "job-admin/service.h"
#include "job-execute/launcher.h"
#include "job-execute/service.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

int cmd_serve(int argc, char **argv);

static const char help[] =
    "usage: belfry serve [--config FILE] [SERVICE …]\n"
    "\n"
    "Runs every service in this process, or only those named: auth, job-admin, job-execute,\n"
    "gateway. Services that run apart find each other by the addresses in [registry] and need the\n"
    "same cluster.join_key; each process needs a data folder of its own.\n"
    "\n"
    "SIGTERM and SIGINT stop it after what runs has finished (node.drain_timeout), a second one "
    "at\n"
    "once; SIGHUP reads the log level and time zones again.\n"
    "\n"
    "exit codes: 0 stopped; 64 usage; 69 something that it needs is missing; 73 data folder not\n"
    "usable; 75 port or data folder in use; 78 configuration.\n"
    "\n"
    "examples:\n"
    "  belfry serve                                    everything, on http://127.0.0.1:8680\n"
    "  BELFRY_DATA=/tmp/b BELFRY_HTTP_LISTEN=127.0.0.1:9000 belfry serve\n"
    "  BELFRY_DATA=/var/lib/belfry/execute belfry serve job-execute\n";

/* In the order of their start: those that others ask come first. */
static const struct service *const services[] = {
    &auth_service,
    &job_admin_service,
    &job_execute_service,
    &gateway_service,
};
enum { SERVICE_COUNT = sizeof services / sizeof *services };

const struct service *const *services_all(size_t *ret_count)
{
    *ret_count = SERVICE_COUNT;
    return services;
}

static const struct node_hooks hooks = { .enrol = auth_node_enrol, .find = auth_node_find };

/* What the command line asks for. */
struct asked {
    const char *config_path;
    const struct service *run[SERVICE_COUNT];
    size_t run_count;
};

static bool is_named(const struct service *service, char **names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], service->name) == 0)
            return true;
    return count == 0;
}

static int names_check(char **names, int count)
{
    for (int i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < SERVICE_COUNT; k++)
            known |= strcmp(services[k]->name, names[i]) == 0;
        if (known)
            continue;
        fprintf(stderr, "belfry serve: no service \"%s\"; there are", names[i]);
        for (size_t k = 0; k < SERVICE_COUNT; k++)
            fprintf(stderr, "%s %s", k ? "," : "", services[k]->name);
        fputs(".\n", stderr);
        return -1;
    }
    return 0;
}

static void services_choose(struct asked *asked, char **names, int count)
{
    for (size_t i = 0; i < SERVICE_COUNT; i++)
        if (is_named(services[i], names, count))
            asked->run[asked->run_count++] = services[i];
}

/* -1 go on; else the exit code. */
static int arguments_read(int argc, char **argv, struct asked *ret)
{
    static const struct option options[] = { { "help", no_argument, NULL, 'h' },
                                             { "config", required_argument, NULL, 'c' },
                                             { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, "hc:", options, NULL)) != -1)
        switch (c) {
        case 'h':
            fputs(help, stdout);
            return 0;
        case 'c':
            ret->config_path = optarg;
            break;
        default:
            return SERVICE_EXIT_USAGE;
        }
    if (names_check(argv + optind, argc - optind) < 0)
        return SERVICE_EXIT_USAGE;
    services_choose(ret, argv + optind, argc - optind);
    return -1;
}

static void log_level_apply(const struct config *config)
{
    enum log_level level;

    if (log_level_parse(config_text(config, "log.level"), &level))
        log_level_set(level);
}

/* Before any thread or loop exists, since it forks. */
static int launcher_for(const struct asked *asked, struct launcher **ret_launcher)
{
    struct error err;
    int rc = 0;

    *ret_launcher = NULL;
    for (size_t i = 0; i < asked->run_count && rc == 0 && !*ret_launcher; i++)
        if (asked->run[i]->needs_launcher)
            rc = launcher_start(ret_launcher, &err);
    if (rc < 0)
        LOG_ERROR("cannot start", "why", error_english(&err));
    return rc;
}

static int serve(const struct asked *asked, const struct config *config)
{
    struct service_setup setup = {
        .run = asked->run,
        .run_count = asked->run_count,
        .all = services,
        .all_count = SERVICE_COUNT,
        .config = config,
        .hooks = &hooks,
    };

    if (launcher_for(asked, &setup.launcher) < 0)
        return SERVICE_EXIT_DEPENDENCY;
    int exit_code = service_main(&setup);
    launcher_free(&setup.launcher);
    return exit_code;
}

int cmd_serve(int argc, char **argv)
{
    struct asked asked = { 0 };
    struct config *config;
    struct error err;
    int exit_code = arguments_read(argc, argv, &asked);

    if (exit_code >= 0)
        return exit_code;
    if (config_load(asked.config_path, &config, &err) < 0) {
        LOG_ERROR("cannot start", "why", error_english(&err));
        return SERVICE_EXIT_CONFIG;
    }
    log_level_apply(config);
    exit_code = serve(&asked, config);
    config_free(&config);
    return exit_code;
}
