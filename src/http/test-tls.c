#include "http/http-client.h"
#include "http/http-server.h"

#include "base/clock.h"

#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Our client and our server over TLS, with certificates made here. */
static char folder[] = "/tmp/belfry-test-tls-XXXXXX";
static EVP_PKEY *key;
static X509 *ca;

static const char *file(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void extension_add(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Valid from a day ago until days from now, for the names; signed by issuer, or by itself. */
static X509 *certificate_make(const char *subject, X509 *issuer, int days, const char *names)
{
    static long serial;
    X509 *certificate = X509_new();

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -86400 * 2);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * days);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer ? issuer : certificate));
    extension_add(certificate, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
    if (names)
        extension_add(certificate, NID_subject_alt_name, names);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static void certificate_save(X509 *certificate, const char *name)
{
    FILE *out = fopen(file(name), "we");

    assert_non_null(out);
    assert_int_equal(PEM_write_X509(out, certificate), 1);
    fclose(out);
}

static void certificate_add(const char *name, X509 *issuer, int days, const char *names)
{
    X509 *certificate = certificate_make(name, issuer, days, names);

    certificate_save(certificate, name);
    X509_free(certificate);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    key = EVP_EC_gen("P-256");
    FILE *out = fopen(file("key"), "we");
    if (!out || PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) != 1)
        return -1;
    fclose(out);
    ca = certificate_make("test authority", NULL, 1, NULL);
    certificate_save(ca, "ca");
    certificate_add("good", ca, 1, "DNS:localhost,IP:127.0.0.1");
    certificate_add("expired", ca, -1, "DNS:localhost,IP:127.0.0.1");
    certificate_add("other-host", ca, 1, "DNS:example.com,IP:192.0.2.1");
    certificate_add("self-signed", NULL, 1, "DNS:localhost,IP:127.0.0.1");
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = { "key", "ca", "good", "expired", "other-host",
                                         "self-signed" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(file(names[i]));
    rmdir(folder);
    X509_free(ca);
    EVP_PKEY_free(key);
    return 0;
}

/* --- the fixture ------------------------------------------------------------------------------ */

struct fixture {
    struct event_base *base;
    struct http_server *server;
    struct http_client *client;
    bool done, tls;
    enum http_failure failure;
    int status;
    bool sent;
    size_t body_size, handled_body_size;
};

static void handle(void *ctx, struct http_exchange *exchange, const struct http_request *request)
{
    static char big[3 << 20];
    struct fixture *f = ctx;

    f->tls = request->tls;
    f->handled_body_size = request->body.size;
    memset(big, 'x', sizeof big);
    http_answer(exchange, 200, "text/plain",
                str_is(request->path, "/big") ? (struct str){ big, sizeof big } : STR("hello"));
}

static void on_done(void *ctx, const struct http_call_result *result)
{
    struct fixture *f = ctx;

    f->done = true;
    f->failure = result->failure;
    f->status = result->status;
    f->sent = result->sent;
    f->body_size = result->body.size;
}

static void start(struct fixture *f, const char *certificate)
{
    struct error err;

    *f = (struct fixture){ .base = event_base_new() };
    struct http_server_settings server = { .listen = "127.0.0.1:0", .handle = handle, .ctx = f,
                                           .limits.body_max = 8 << 20,
                                           .tls_certificate = file(certificate),
                                           .tls_key = file("key") };
    struct http_client_settings client = { .ca_file = file("ca") };
    if (http_server_new(f->base, &server, &f->server, &err) < 0)
        fail_msg("%s", error_english(&err));
    assert_int_equal(http_client_new(f->base, &client, &f->client, &err), 0);
}

static void stop(struct fixture *f)
{
    http_client_free(&f->client);
    http_server_free(&f->server);
    event_base_free(f->base);
}

static void call(struct fixture *f, const char *scheme, const char *host_and_path, struct str body)
{
    const char *slash = strchr(host_and_path, '/');
    int64_t deadline_ms = clock_mono_ms() + 20000;
    char url[128];

    snprintf(url, sizeof url, "%s://%.*s:%u%s", scheme, (int)(slash - host_and_path), host_and_path,
             http_server_port(f->server), slash);
    struct http_call_request request = { .method = body.size ? "POST" : "GET", .url = url,
                                         .body = body, .response_max = 8 << 20,
                                         .total_timeout_ms = 15000 };
    f->done = false;
    http_call_start(f->client, &request, on_done, f);
    while (!f->done) {
        event_base_loop(f->base, EVLOOP_ONCE);
        assert_true(clock_mono_ms() < deadline_ms);
    }
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_both_ways(void **state)
{
    static char body[2 << 20];
    struct fixture f;

    (void)state;
    start(&f, "good");
    call(&f, "https", "127.0.0.1/", (struct str){ 0 });
    assert_int_equal(f.failure, HTTP_FAILURE_NONE);
    assert_int_equal(f.status, 200);
    assert_int_equal(f.body_size, 5);
    assert_true(f.tls);
    call(&f, "https", "localhost/big", (struct str){ body, sizeof body });
    assert_int_equal(f.failure, HTTP_FAILURE_NONE);
    assert_int_equal(f.handled_body_size, sizeof body);
    assert_int_equal(f.body_size, 3 << 20);
    stop(&f);
}

static void test_bad_certificates(void **state)
{
    static const char *const names[] = { "expired", "other-host", "self-signed" };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        start(&f, names[i]);
        call(&f, "https", "127.0.0.1/", (struct str){ 0 });
        if (f.failure != HTTP_FAILURE_TLS)
            fail_msg("%s: %s", names[i], http_failure_name(f.failure));
        assert_false(f.sent);
        call(&f, "https", "localhost/", (struct str){ 0 });
        assert_int_equal(f.failure, HTTP_FAILURE_TLS);
        stop(&f);
    }
}

static void test_plain_on_a_tls_port(void **state)
{
    struct http_server_counters counters;
    struct fixture f;

    (void)state;
    start(&f, "good");
    call(&f, "http", "127.0.0.1/", (struct str){ 0 });
    assert_int_not_equal(f.failure, HTTP_FAILURE_NONE);
    http_server_counters(f.server, &counters);
    assert_int_equal(counters.requests, 0);
    stop(&f);
}

/* Does a client that speaks just this version come to terms with the server? */
static bool handshake(struct fixture *f, int version)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)http_server_port(f->server)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result, reason;

    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_cipher_list(context, "DEFAULT:@SECLEVEL=0");
    SSL *tls = SSL_new(context);
    SSL_set_fd(tls, fd);
    do {
        result = SSL_connect(tls);
        reason = SSL_get_error(tls, result);
        event_base_loop(f->base, EVLOOP_NONBLOCK);
    } while (result != 1 && (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE));
    SSL_free(tls);
    SSL_CTX_free(context);
    close(fd);
    return result == 1;
}

static void test_old_versions_are_refused(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, "good");
    assert_true(handshake(&f, TLS1_3_VERSION));
    assert_true(handshake(&f, TLS1_2_VERSION));
    assert_false(handshake(&f, TLS1_1_VERSION));
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_bad_certificates),
        cmocka_unit_test(test_plain_on_a_tls_port),
        cmocka_unit_test(test_old_versions_are_refused),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, setup, teardown);
}
