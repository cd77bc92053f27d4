#ifndef BELFRY_BELFRY_CLIENT_PRIVATE_H
#define BELFRY_BELFRY_CLIENT_PRIVATE_H

#include "belfry/client.h"

#include <curl/curl.h>

struct client {
    CURL *curl;
    char *cookie; /* of the last answer that set one */
};

/* The connection, made when first asked for. */
struct client *client_of(struct cli *cli);
/* Sets what all calls share: URL, headers (freed by the caller), time limits. */
int client_prepare(struct cli *cli, const struct client_call *call, struct curl_slist **ret_headers,
                   struct error *err);
/* Says why there was no answer. Returns -1. */
int client_unreachable(struct cli *cli, CURLcode code, struct error *err);
/* Says what a server's answer other than 2xx means. Returns -1. */
int client_refused(struct cli *cli, const struct client_answer *answer, struct error *err);

#endif
