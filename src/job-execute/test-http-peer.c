#include "job-execute/test-http-peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int listener = -1;
static pthread_t acceptor;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char last[65536];
static int count;

static bool say(int fd, const void *bytes, size_t size)
{
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool say_text(int fd, const char *text)
{
    return say(fd, text, strlen(text));
}

/* Until the far end has gone: nothing here ends by itself. */
static void wait_for_end(int fd)
{
    struct pollfd wait = { fd, POLLRDHUP, 0 };

    poll(&wait, 1, 60000);
}

static void say_forever(int fd, const char *head, const char *more, int pause_ms)
{
    struct pollfd wait = { fd, POLLRDHUP, 0 };

    if (!say_text(fd, head))
        return;
    while (say_text(fd, more))
        if (pause_ms && poll(&wait, 1, pause_ms) > 0)
            return;
}

static void say_ten_gigabytes(int fd)
{
    static const char block[1 << 16];

    if (!say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"))
        return;
    for (int i = 0; i < 160000 && say(fd, block, sizeof block); i++)
        ;
}

/* 1 GiB of zeros in 1 MiB. */
static void say_gzip_bomb(int fd)
{
    FILE *bomb = popen("head -c 1073741824 /dev/zero | gzip -1", "re");
    char block[1 << 16];
    size_t n;

    say_text(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n");
    while (bomb && (n = fread(block, 1, sizeof block, bomb)) > 0 && say(fd, block, n))
        ;
    if (bomb)
        pclose(bomb);
}

static void answer_text(int fd, const char *status, const char *headers, const char *body)
{
    char text[4096];

    snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n%s", status,
             strlen(body), headers, body);
    say_text(fd, text);
}

static void behave(int fd, const char *path)
{
    if (!strncmp(path, "/hang", 5))
        wait_for_end(fd);
    else if (!strncmp(path, "/trickle", 8))
        say_forever(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "x", 50);
    else if (!strncmp(path, "/headers", 8))
        say_forever(fd, "HTTP/1.1 200 OK\r\n", "X-More: and more\r\n", 0);
    else if (!strncmp(path, "/chunks", 7))
        say_forever(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", 0);
    else if (!strncmp(path, "/continue", 9))
        say_forever(fd, "", "HTTP/1.1 100 Continue\r\n\r\n", 1);
    else if (!strncmp(path, "/redirect", 9))
        answer_text(fd, "302 Found", "Location: /redirect\r\n", "");
    else if (!strncmp(path, "/big", 4))
        say_ten_gigabytes(fd);
    else if (!strncmp(path, "/bomb", 5))
        say_gzip_bomb(fd);
    else if (!strncmp(path, "/short", 6))
        say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    else if (!strncmp(path, "/garbage", 8))
        say_text(fd, "SSH-2.0-OpenSSH_9.2\r\n");
    else if (!strncmp(path, "/busy-seconds", 13))
        answer_text(fd, "429 Too Many Requests", "Retry-After: 7\r\n", "later");
    else if (!strncmp(path, "/busy-garbage", 13))
        answer_text(fd, "503 Service Unavailable", "Retry-After: soon, maybe\r\n", "later");
    else if (!strncmp(path, "/missing", 8))
        answer_text(fd, "404 Not Found", "", "no");
    else if (!strncmp(path, "/bad", 4))
        answer_text(fd, "422 Unprocessable", "", "no");
    else if (!strncmp(path, "/json", 5))
        answer_text(fd, "200 OK", "Content-Type: application/json\r\n",
                    "{ \"code\": 0, \"data\": {\"rows\": [1, 2.5, \"three\"]}, \"text\": \"done \\u00e9\" }");
    else
        answer_text(fd, "200 OK", "", "fine");
}

static bool request_whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "Content-Length:");

    return end && strlen(end + 4) >= (length && length < end ? (size_t)atol(length + 15) : 0);
}

static void *serve_one(void *ctx)
{
    int fd = (int)(long)ctx;
    char text[65536] = "", path[256] = "";
    size_t size = 0;

    while (!request_whole(text) && size < sizeof text - 1) {
        ssize_t n = recv(fd, text + size, sizeof text - 1 - size, 0);

        if (n <= 0)
            break;
        size += (size_t)n;
        text[size] = '\0';
    }
    if (sscanf(text, "%*s %255s", path) == 1) {
        pthread_mutex_lock(&lock);
        memcpy(last, text, size + 1);
        count++;
        pthread_mutex_unlock(&lock);
        behave(fd, path);
    }
    shutdown(fd, SHUT_WR);
    close(fd);
    return NULL;
}

static void *accept_all(void *ctx)
{
    int fd;

    (void)ctx;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        pthread_attr_t attributes;
        pthread_t thread;

        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        if (pthread_create(&thread, &attributes, serve_one, (void *)(long)fd))
            close(fd);
        pthread_attr_destroy(&attributes);
    }
    return NULL;
}

int peer_start(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 1024) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0 ||
        pthread_create(&acceptor, NULL, accept_all, NULL))
        abort();
    return ntohs(address.sin_port);
}

void peer_stop(void)
{
    shutdown(listener, SHUT_RDWR);
    pthread_join(acceptor, NULL);
    close(listener);
}

void peer_last(char *text, size_t size)
{
    pthread_mutex_lock(&lock);
    snprintf(text, size, "%s", last);
    pthread_mutex_unlock(&lock);
}

int peer_count(void)
{
    int result;

    pthread_mutex_lock(&lock);
    result = count;
    pthread_mutex_unlock(&lock);
    return result;
}
