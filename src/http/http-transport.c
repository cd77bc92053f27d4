#include "http/http-server-private.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

/* --- plain ---------------------------------------------------------------------------------- */

static ssize_t plain_result(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? TRANSPORT_AGAIN
                                                                     : TRANSPORT_FAILED;
}

/* --- TLS ------------------------------------------------------------------------------------ */

static ssize_t tls_result(struct http_connection *connection, int result)
{
    int reason = SSL_get_error(connection->tls, result);

    ERR_clear_error();
    connection->tls_wants_write = reason == SSL_ERROR_WANT_WRITE;
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
        return TRANSPORT_AGAIN;
    return reason == SSL_ERROR_ZERO_RETURN ? 0 : TRANSPORT_FAILED;
}

static ssize_t tls_read(struct http_connection *connection, char *bytes, size_t size)
{
    size_t n = 0;

    ERR_clear_error();
    int result = SSL_read_ex(connection->tls, bytes, size, &n);
    if (result != 1)
        return tls_result(connection, result);
    connection->tls_wants_write = false;
    return (ssize_t)n;
}

static ssize_t tls_write(struct http_connection *connection, const struct iovec *parts,
                         int part_count)
{
    ssize_t total = 0;

    for (int i = 0; i < part_count; i++) {
        size_t at = 0, n = 0;
        while (at < parts[i].iov_len) {
            ERR_clear_error();
            int result = SSL_write_ex(connection->tls, (const char *)parts[i].iov_base + at,
                                      parts[i].iov_len - at, &n);
            if (result != 1)
                return total ? total : tls_result(connection, result);
            at += n;
            total += (ssize_t)n;
        }
    }
    return total;
}

/* --- either --------------------------------------------------------------------------------- */

ssize_t http_transport_read(struct http_connection *connection, char *bytes, size_t size)
{
    if (connection->tls)
        return tls_read(connection, bytes, size);
    return plain_result(recv(connection->fd, bytes, size, 0));
}

ssize_t http_transport_write(struct http_connection *connection, const struct iovec *parts,
                             int part_count)
{
    struct msghdr message = { .msg_iovlen = (size_t)part_count };

    if (connection->tls)
        return tls_write(connection, parts, part_count);
    message.msg_iov = (struct iovec *)(uintptr_t)parts; /* sendmsg does not write to it */
    return plain_result(sendmsg(connection->fd, &message, MSG_NOSIGNAL));
}

void http_transport_shut(struct http_connection *connection)
{
    if (connection->tls && SSL_is_init_finished(connection->tls)) {
        ERR_clear_error();
        SSL_shutdown(connection->tls);
        ERR_clear_error();
    }
    shutdown(connection->fd, SHUT_WR);
}

/* --- certificates --------------------------------------------------------------------------- */

/* Of the protocols that the client offers HTTP/1.1 is the one spoken here. */
static int alpn_select(SSL *tls, const unsigned char **ret, unsigned char *ret_size,
                       const unsigned char *offered, unsigned offered_size, void *ctx)
{
    static const unsigned char own[] = "\x08http/1.1";
    unsigned char *selected = NULL;

    (void)tls;
    (void)ctx;
    if (SSL_select_next_proto(&selected, ret_size, own, sizeof own - 1, offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = selected;
    return SSL_TLSEXT_ERR_OK;
}

int http_tls_context_new(const char *certificate, const char *key, SSL_CTX **ret_context,
                         struct error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    int failed = -1;

    if (!context)
        return error_set(err, ERR_INTERNAL, "OpenSSL gives no TLS context");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(context, alpn_select, NULL);
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        error_set(err, ERR_IO, "no usable certificate in %s", certificate);
    else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        error_set(err, ERR_IO, "no usable private key for %s in %s", certificate, key);
    else
        failed = 0;
    ERR_clear_error();
    if (failed)
        SSL_CTX_free(context);
    else
        *ret_context = context;
    return failed;
}
