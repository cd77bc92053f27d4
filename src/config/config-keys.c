#include "config/config.h"

/*
 * Every key there is, by section. One sentence each: `belfry config --docs` prints it, and that is
 * docs/configuration.md. A default of NULL means: not set.
 */
#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)

const struct config_key config_keys[] = {
    { "node", "name", CONFIG_TEXT, NULL, 0, 0,
      "Name of this process in the cluster, unique; default: the host name, and after it the "
      "services where only some run here.", NULL, NULL },
    { "node", "drain_timeout", CONFIG_DURATION, "30s", 0, HOUR,
      "How long a stop (SIGTERM) waits for what is running.", NULL, NULL },

    { "data", "dir", CONFIG_TEXT, "/var/lib/belfry", 0, 0,
      "Folder of the node's key, its SQLite files and its spool; made with mode 0700. Each process "
      "needs one of its own.", NULL, "BELFRY_DATA" },

    { "log", "level", CONFIG_CHOICE, "info", 0, 0,
      "Least level that is logged; read again on SIGHUP.", "debug|info|warn|error", NULL },

    { "http", "listen", CONFIG_TEXT, "127.0.0.1:8680", 0, 0,
      "Address and port of the gateway, the only door for outside traffic.", NULL, NULL },
    { "http", "tls_certificate", CONFIG_TEXT, NULL, 0, 0,
      "PEM file with the gateway's certificate chain; not set: plain HTTP.", NULL, NULL },
    { "http", "tls_key", CONFIG_TEXT, NULL, 0, 0, "PEM file with the key of that certificate.",
      NULL, NULL },
    { "http", "trusted_proxies", CONFIG_LIST, NULL, 0, 0,
      "Addresses and CIDRs of proxies whose X-Forwarded-For and X-Request-Id are believed.", NULL,
      NULL },
    { "http", "public_url", CONFIG_TEXT, NULL, 0, 0,
      "URL under which people reach the gateway, for links in messages; default: made from "
      "http.listen.", NULL, NULL },

    { "http", "insecure_plain", CONFIG_BOOL, "false", 0, 0,
      "Plain HTTP on an address that is not loopback: without TLS the gateway refuses to start there "
      "unless this is true, and then takes API keys only, no sign-in.", NULL, NULL },
    { "http", "access_log", CONFIG_BOOL, "true", 0, 0,
      "One line for each request: method, path without query, status, time, who.", NULL, NULL },
    { "http", "rate_address", CONFIG_INT, "20000", 0, 10000000,
      "Requests a second that one address (IPv6: one /64) may make, twice that at once; 0: any "
      "number.", NULL, NULL },
    { "http", "rate_principal", CONFIG_INT, "10000", 0, 10000000,
      "The same for one user or API key.", NULL, NULL },

    { "auth", "session_idle", CONFIG_DURATION, "12h", 60 * SECOND, 30 * 24 * HOUR,
      "A browser's session ends after this time without use.", NULL, NULL },
    { "auth", "session_lifetime", CONFIG_DURATION, "7d", 60 * SECOND, 365 * 24 * HOUR,
      "And after this time in any case.", NULL, NULL },
    { "auth", "password_threads", CONFIG_INT, "2", 1, 16,
      "Password hashes made at the same time; each takes a core and 64 MiB while it lasts.", NULL,
      NULL },

    { "internal", "listen", CONFIG_TEXT, NULL, 0, 0,
      "Address and port where the services of this process answer those of other processes; "
      "default: none where all services run here, else the port of the first service's default in "
      "[registry].", NULL, NULL },
    { "internal", "url", CONFIG_TEXT, NULL, 0, 0,
      "http://host:port under which other processes reach that listener; default: made from "
      "internal.listen, so needed where that is 0.0.0.0 or [::].", NULL, NULL },
    { "internal", "tls_certificate", CONFIG_TEXT, NULL, 0, 0,
      "PEM file with the certificate chain of that listener; not set: plain HTTP, signed all the "
      "same.", NULL, NULL },
    { "internal", "tls_key", CONFIG_TEXT, NULL, 0, 0, "PEM file with the key of that certificate.",
      NULL, NULL },
    { "internal", "ca_file", CONFIG_TEXT, NULL, 0, 0,
      "PEM file with the authorities that https instances in [registry] must be signed by; "
      "default: the system's.", NULL, NULL },

    { "metrics", "listen", CONFIG_TEXT, NULL, 0, 0,
      "Address and port of /metrics, without sign-in, so keep it on loopback; \"off\": none; "
      "default: 127.0.0.1:8681, and where only some services run here the port of internal.listen "
      "+ 100.", NULL, NULL },

    { "store", "url", CONFIG_TEXT, NULL, 0, 0,
      "sqlite:/path/belfry.db, postgres://user@host:port/database or "
      "mysql://user@host:port/database, without the password; default: belfry.db in data.dir.",
      NULL, NULL },
    { "store", "password", CONFIG_SECRET, NULL, 0, 0, "Password of the database user.", NULL, NULL },
    { "store", "connections_schedule", CONFIG_INT, "0", 0, 64,
      "Sessions for planning and finishing runs; 0: the backend's default.", NULL, NULL },
    { "store", "connections_api", CONFIG_INT, "0", 0, 64,
      "Sessions for API requests; 0: the backend's default.", NULL, NULL },
    { "store", "connections_log", CONFIG_INT, "0", 0, 64,
      "Sessions for the logs of runs; 0: the backend's default.", NULL, NULL },
    { "store", "durability", CONFIG_CHOICE, "full", 0, 0,
      "full: a commit survives a power cut, and a server that is set otherwise is refused. relaxed: "
      "the last second may be lost then.", "full|relaxed", NULL },
    { "store", "connect_timeout", CONFIG_DURATION, "5s", 100, 60 * SECOND,
      "For one attempt to connect to a server.", NULL, NULL },

    { "cluster", "join_key", CONFIG_SECRET, NULL, 0, 0,
      "The same in all processes of a cluster: with it a new process proves to auth that it "
      "belongs there, and auth to it. Needed where services run apart; at least 32 characters.",
      NULL, NULL },

    { "registry", "auth", CONFIG_LIST, "http://127.0.0.1:8682", 0, 0,
      "Addresses (http://host:port, …) of the instances of auth, where services run apart.", NULL,
      NULL },
    { "registry", "job-admin", CONFIG_LIST, "http://127.0.0.1:8683", 0, 0,
      "The same of job-admin.", NULL, NULL },
    { "registry", "job-execute", CONFIG_LIST, "http://127.0.0.1:8684", 0, 0,
      "The same of job-execute.", NULL, NULL },

    { "admin", "lease", CONFIG_DURATION, "10s", 2 * SECOND, 600 * SECOND,
      "How long a job-admin owns its shards without renewing (PostgreSQL, MySQL): as long may "
      "fires be late after one was killed.", NULL, NULL },
    { "admin", "executor_lease", CONFIG_DURATION, "10s", 2 * SECOND, 600 * SECOND,
      "A job-execute that is silent for so long counts as lost.", NULL, NULL },

    { "schedule", "zone", CONFIG_TEXT, "Asia/Shanghai", 0, 0,
      "Time zone of cron schedules that name none (IANA name).", NULL, NULL },

    { "execute", "slots", CONFIG_INT, "4096", 1, 100000,
      "Attempts that job-execute runs at once. Each may hold a connection: open files (ulimit -n) "
      "bound it, too.", NULL, NULL },
    { "execute", "queue", CONFIG_INT, "1000", 1, 1000000,
      "Attempts that wait in job-execute for a slot; more are refused and stay with job-admin.",
      NULL, NULL },
    { "execute", "script_slots", CONFIG_INT, "32", 1, 4096, "Scripts that run at once.", NULL,
      NULL },
    { "execute", "stop_grace", CONFIG_DURATION, "5s", 0, 600 * SECOND,
      "Time from TERM to KILL for a script that is stopped or has timed out, and for what it left "
      "behind.", NULL, NULL },
    { "execute", "interpreters", CONFIG_LIST, NULL, 0, 0,
      "name=/path of the programs that may run scripts; default: those of sh, bash, python3, node "
      "that are in /bin, /usr/bin or /usr/local/bin.", NULL, NULL },
    { "execute", "user", CONFIG_TEXT, NULL, 0, 0,
      "User that scripts run as; default: nobody where Belfry runs as root, else Belfry's own.",
      NULL, NULL },
    { "execute", "any_user", CONFIG_BOOL, "false", 0, 0,
      "Whether a script may name the user it runs as, root too.", NULL, NULL },
    { "execute", "work_dir", CONFIG_TEXT, NULL, 0, 0,
      "Folder in which each script gets a private one; default: work in data.dir, or a new one in "
      "/var/tmp where scripts run as another user.", NULL, NULL },
    { "execute", "script_memory", CONFIG_SIZE, "1g", 0, INT64_C(1) << 50,
      "Memory of a script and all its descendants, where the task does not say; 0: no limit.", NULL,
      NULL },
    { "execute", "script_processes", CONFIG_INT, "256", 0, 1000000,
      "Processes and threads of a script, where the task does not say; 0: no limit.", NULL, NULL },
    { "execute", "script_files", CONFIG_INT, "1024", 16, 1000000,
      "Open files of each of a script's processes, where the task does not say.", NULL, NULL },
    { "execute", "script_output", CONFIG_SIZE, "1g", 1, INT64_C(1) << 50,
      "Bytes that a script may print, where the task does not say; more ends it.", NULL, NULL },
    { "execute", "script_nice", CONFIG_INT, "5", 0, 19,
      "Scripts yield to Belfry by so much (nice).", NULL, NULL },
    { "execute", "cgroups", CONFIG_CHOICE, "auto", 0, 0,
      "Control groups for scripts, where they can be made. auto: for those whose task limits memory "
      "or processes; always: for all, which halves the scripts that can be started in a second; "
      "off: never, limits are then kept by watching.", "auto|always|off", NULL },
    { "execute", "log_backlog", CONFIG_SIZE, "32m", 1 << 20, INT64_C(1) << 40,
      "Log text of all attempts that job-admin has not stored yet; more is dropped and counted.",
      NULL, NULL },
    { "execute", "spool_size", CONFIG_SIZE, "256m", 1 << 20, INT64_C(1) << 40,
      "Largest size of the file for results while job-admin is away.", NULL, NULL },

    { "egress", "allow", CONFIG_LIST, NULL, 0, 0,
      "CIDRs that tasks may dial; when set, nothing else.", NULL, NULL },
    { "egress", "deny", CONFIG_LIST, NULL, 0, 0,
      "CIDRs that tasks may not dial. Link-local and cloud metadata addresses and Belfry's own "
      "ports are always refused.", NULL, NULL },
};
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;
