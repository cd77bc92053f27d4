#ifndef BELFRY_DB_TEST_PROXY_H
#define BELFRY_DB_TEST_PROXY_H

/*
 * A TCP proxy inside the test, between the store and a server, that loses COMMIT's answer, or
 * COMMIT itself, or everything. It tells both that the other has no TLS, as an attacker would.
 */
#include "db/test-db.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum proxy_mode {
    PROXY_PASS,
    PROXY_LOSE_COMMIT,  /* the connection is cut before the server sees it */
    PROXY_LOSE_ANSWER,  /* the server does it; the connection is cut instead of its answer */
    PROXY_CUT_ONCE,     /* cuts each connection at the next byte, then passes */
};

enum { PROXY_PAIRS = 32 };

struct proxy {
    int listener, server_port, port;
    pthread_t thread;
    _Atomic int mode, cuts;
    _Atomic bool stopping;
    struct proxy_pair {
        int client, server; /* -1: free */
        bool cut_at_answer, greeted;
    } pairs[PROXY_PAIRS];
};

static inline struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static inline void pair_close(struct proxy_pair *pair)
{
    close(pair->client);
    close(pair->server);
    pair->client = pair->server = -1;
}

static inline void pair_accept(struct proxy *proxy)
{
    struct sockaddr_in address = loopback(proxy->server_port);
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (client < 0 || connect(server, (struct sockaddr *)&address, sizeof address) < 0) {
        close(client);
        close(server);
        return;
    }
    for (int i = 0; i < PROXY_PAIRS; i++)
        if (proxy->pairs[i].client < 0) {
            proxy->pairs[i] = (struct proxy_pair){ .client = client, .server = server };
            return;
        }
    abort();
}

static inline bool forward(int to, const char *bytes, ssize_t size)
{
    while (size > 0) {
        ssize_t sent = send(to, bytes, (size_t)size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        size -= sent;
    }
    return true;
}

/* The statement, not the READ COMMITTED of a session that begins. */
static inline bool has_commit(const char *bytes, size_t size)
{
    const char *found = memmem(bytes, size, "COMMIT", 6);

    return found && (found + 6 == bytes + size || found[6] != 'T');
}

/* The first packet of a connection; true: it is answered and goes no further. */
static inline bool tls_strip(struct proxy_pair *pair, bool from_client, char *bytes, ssize_t size)
{
    static const char postgres_asks[] = { 0, 0, 0, 8, 4, (char)0xd2, 0x16, 0x2f };

    if (from_client && size == sizeof postgres_asks && !memcmp(bytes, postgres_asks, 8))
        return forward(pair->client, "N", 1);
    if (!from_client && !pair->greeted && size > 40 && bytes[4] == 10) {
        /* MySQL's greeting: the version's end, thread id 4, scramble 8, 0, capabilities */
        char *capabilities = bytes + 5 + strlen(bytes + 5) + 1 + 4 + 8 + 1;
        capabilities[1] &= (char)~0x08; /* CLIENT_SSL */
    }
    pair->greeted = true;
    return false;
}

/* false: the pair is to be closed. */
static inline bool pair_pass(struct proxy *proxy, struct proxy_pair *pair, bool from_client)
{
    char bytes[16384];
    ssize_t size = recv(from_client ? pair->client : pair->server, bytes, sizeof bytes, 0);
    int mode = atomic_load(&proxy->mode);

    if (size <= 0)
        return false;
    if (tls_strip(pair, from_client, bytes, size))
        return true;
    if (!from_client && pair->cut_at_answer) {
        atomic_fetch_add(&proxy->cuts, 1);
        return false;
    }
    if (mode == PROXY_CUT_ONCE) {
        atomic_store(&proxy->mode, PROXY_PASS);
        atomic_fetch_add(&proxy->cuts, 1);
        return false;
    }
    bool commit = from_client && has_commit(bytes, (size_t)size);
    if (commit && mode == PROXY_LOSE_COMMIT) {
        atomic_fetch_add(&proxy->cuts, 1);
        return false;
    }
    pair->cut_at_answer = commit && mode == PROXY_LOSE_ANSWER;
    return forward(from_client ? pair->server : pair->client, bytes, size);
}

static inline void *proxy_main(void *argument)
{
    struct proxy *proxy = argument;
    struct pollfd fds[1 + PROXY_PAIRS * 2];

    while (!atomic_load(&proxy->stopping)) {
        fds[0] = (struct pollfd){ .fd = proxy->listener, .events = POLLIN };
        for (int i = 0; i < PROXY_PAIRS; i++) {
            fds[1 + i * 2] = (struct pollfd){ .fd = proxy->pairs[i].client, .events = POLLIN };
            fds[2 + i * 2] = (struct pollfd){ .fd = proxy->pairs[i].server, .events = POLLIN };
        }
        poll(fds, 1 + PROXY_PAIRS * 2, 20);
        for (int i = 0; i < PROXY_PAIRS; i++)
            for (int side = 0; side < 2 && proxy->pairs[i].client >= 0; side++)
                if (fds[1 + i * 2 + side].revents && !pair_pass(proxy, &proxy->pairs[i], side == 0))
                    pair_close(&proxy->pairs[i]);
        if (fds[0].revents)
            pair_accept(proxy);
    }
    return NULL;
}

/* Takes a port, but does not answer on it yet. */
static inline void proxy_init(struct proxy *proxy, enum db_backend backend)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    struct db_url url;
    struct error err;

    memset(proxy, 0, sizeof *proxy);
    assert_int_equal(db_url_parse(test_env(backend, ""), &url, &err), 0);
    proxy->server_port = url.port;
    db_url_done(&url);
    for (int i = 0; i < PROXY_PAIRS; i++)
        proxy->pairs[i].client = proxy->pairs[i].server = -1;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(proxy->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(proxy->listener, (struct sockaddr *)&address, &size), 0);
    proxy->port = ntohs(address.sin_port);
}

static inline void proxy_start(struct proxy *proxy)
{
    assert_int_equal(listen(proxy->listener, 64), 0);
    assert_int_equal(pthread_create(&proxy->thread, NULL, proxy_main, proxy), 0);
}

static inline void proxy_done(struct proxy *proxy)
{
    atomic_store(&proxy->stopping, true);
    pthread_join(proxy->thread, NULL);
    for (int i = 0; i < PROXY_PAIRS; i++)
        if (proxy->pairs[i].client >= 0)
            pair_close(&proxy->pairs[i]);
    close(proxy->listener);
}

#endif
