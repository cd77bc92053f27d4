#include "config/config.h"

/*
 * Every key there is, by section. One sentence each: `belfry config --docs` prints it, and that is
 * docs/configuration.md. A default of NULL means: not set.
 */
#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)

const struct config_key config_keys[] = {
    { "node", "name", CONFIG_TEXT, NULL, 0, 0,
      "Name of this process in the cluster, unique; default: the host name, with the services after "
      "a '/' where only some run here.", NULL, NULL },
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

    { "egress", "allow", CONFIG_LIST, NULL, 0, 0,
      "CIDRs that tasks may dial; when set, nothing else.", NULL, NULL },
    { "egress", "deny", CONFIG_LIST, NULL, 0, 0,
      "CIDRs that tasks may not dial. Link-local and cloud metadata addresses and Belfry's own "
      "ports are always refused.", NULL, NULL },
};
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;
