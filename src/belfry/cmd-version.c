#include "base/buf.h"
#include "json/json.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

int cmd_version(int argc, char **argv);

static const char help[] = "usage: belfry version [--json]\n"
                           "\n"
                           "Prints the version of Belfry and of the libraries it runs with.\n";

static void json_print(void)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, 4096);
    json_begin(&w, &out);
    json_object(&w);
    json_name(&w, "version");
    json_text(&w, BELFRY_VERSION);
    json_name(&w, "compiler");
    json_text(&w, __VERSION__);
    json_name(&w, "libevent");
    json_text(&w, event_get_version());
    json_name(&w, "libcurl");
    json_text(&w, curl_version_info(CURLVERSION_NOW)->version);
    json_name(&w, "libsodium");
    json_text(&w, sodium_version_string());
    json_object_end(&w);
    puts(buf_text(&out));
    buf_done(&out);
}

int cmd_version(int argc, char **argv)
{
    static const struct option options[] = { { "help", no_argument, NULL, 'h' },
                                             { "json", no_argument, NULL, 'j' },
                                             { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c != 'j') {
            fputs(help, c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 64;
        }
        json_print();
        return 0;
    }
    printf("belfry %s\ncompiler gcc %s\nlibevent %s\nlibcurl %s\nlibsodium %s\n", BELFRY_VERSION,
           __VERSION__, event_get_version(), curl_version_info(CURLVERSION_NOW)->version,
           sodium_version_string());
    return 0;
}
