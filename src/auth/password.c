#include "auth/password.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/str.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A hash of random bytes that nobody kept, with today's parameters: what an unknown user's
 * password is compared with. */
static const char nobody_hash[] =
    "$argon2id$v=19$m=65536,t=2,p=1$h3pJjpg3TxlTjp83Z2qrsA$/jCVh9HHse+Q2/m87UVIzfbqPEGGQhMxIFaH6235WaU";

struct job {
    struct list list;
    char *stored, *password, *replacement;
    bool verify, unknown;
    bool match;
    char hash[crypto_pwhash_STRBYTES]; /* "" : none */
    password_done *done;
    void *ctx;
};

struct password_pool {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct list waiting, finished; /* of struct job; under mutex */
    unsigned waiting_count, waiting_max;
    unsigned threads, threads_max, idle;
    pthread_t *ids;
    bool stop;
    int event_fd;
    struct event *event;
};

/* --- what a password must be ------------------------------------------------------------------ */

/* Of the lists of leaked passwords those that are long enough to come this far. */
static const char *const known_passwords[] = {
    "1q2w3e4r5t6y", "1qaz2wsx3edc", "administrator", "belfrybelfry", "changemechangeme",
    "correcthorsebatterystaple", "iloveyou1234", "letmeinletmein", "password1234",
    "password12345", "password123456", "passwordpassword", "qazwsxedcrfv", "qwerty123456",
    "qwertyuiop12", "qwertyuiop123", "qwertyuiopas", "qwertyuiop[]", "trustno1trustno1",
    "welcome12345", "woaini1314520", "zaq12wsxcde3",
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_known(struct str password)
{
    for (size_t i = 0; i < sizeof known_passwords / sizeof *known_passwords; i++)
        if (str_equal_nocase(password, str_of(known_passwords[i])))
            return true;
    return false;
}

/* "aaaa…", "abcabcabc…", "12341234…": a unit of up to 4 bytes over and over. */
static bool is_repetition(struct str password)
{
    for (size_t unit = 1; unit <= 4; unit++) {
        size_t i = unit;
        while (i < password.size && lower(password.bytes[i]) == lower(password.bytes[i - unit]))
            i++;
        if (i == password.size)
            return true;
    }
    return false;
}

/* "123456789012", "abcdefghijkl" and backwards; 9 is followed by 0. */
static bool is_run(struct str password, int step)
{
    for (size_t i = 1; i < password.size; i++) {
        char before = lower(password.bytes[i - 1]), c = lower(password.bytes[i]);
        bool wraps = (before == '9' && c == '0' && step == 1) ||
                     (before == '0' && c == '9' && step == -1);
        if (c != before + step && !wraps)
            return false;
    }
    return true;
}

static bool contains_nocase(struct str text, struct str part)
{
    if (part.size == 0)
        return false;
    for (size_t i = 0; i + part.size <= text.size; i++)
        if (str_equal_nocase((struct str){ text.bytes + i, part.size }, part))
            return true;
    return false;
}

int password_check(const char *password, const char *user_name, struct error *err)
{
    struct str text = str_of(password), name = str_of(user_name);

    if (text.size > PASSWORD_SIZE_MAX)
        return error_set_at(err, ERR_INVALID, "password", "longer than %d bytes",
                            PASSWORD_SIZE_MAX);
    if (utf8_count(text) < PASSWORD_LENGTH_MIN)
        return error_set_at(err, ERR_INVALID, "password", "needs at least %d characters",
                            PASSWORD_LENGTH_MIN);
    if (is_known(text) || is_repetition(text) || is_run(text, 1) || is_run(text, -1))
        return error_set_at(err, ERR_INVALID, "password", "is one that attackers try first");
    if (name.size >= 3 && contains_nocase(text, name))
        return error_set_at(err, ERR_INVALID, "password", "must not contain the user's name");
    return 0;
}

/* --- the threads ------------------------------------------------------------------------------ */

static void secret_free(char **secret)
{
    if (*secret)
        sodium_memzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

static void job_free(struct job *job)
{
    secret_free(&job->password);
    secret_free(&job->replacement);
    free(job->stored);
    free(job);
}

static int hash_make(const char *password, char hash[crypto_pwhash_STRBYTES])
{
    return crypto_pwhash_str_alg(hash, password, strlen(password),
                                 crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                 crypto_pwhash_MEMLIMIT_INTERACTIVE, crypto_pwhash_ALG_ARGON2ID13);
}

static void job_run(struct job *job)
{
    const char *source = NULL;

    if (job->verify) {
        const char *stored = job->unknown ? nobody_hash : job->stored;
        bool same = crypto_pwhash_str_verify(stored, job->password, strlen(job->password)) == 0;
        job->match = same && !job->unknown;
        if (!job->match)
            return;
    }
    if (job->replacement)
        source = job->replacement;
    else if (!job->verify ||
             crypto_pwhash_str_needs_rehash(job->stored, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                            crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        source = job->password;
    /* It fails only without memory, and 64 MiB may be lacking where little else is. */
    if (source && hash_make(source, job->hash) != 0)
        job->hash[0] = '\0';
}

static void pool_signal(struct password_pool *pool)
{
    uint64_t one = 1;

    while (write(pool->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void *thread_main(void *arg)
{
    struct password_pool *pool = arg;

    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (list_empty(&pool->waiting) && !pool->stop) {
            pool->idle++;
            pthread_cond_wait(&pool->wake, &pool->mutex);
            pool->idle--;
        }
        if (pool->stop)
            break;
        struct job *job = CONTAINER_OF(pool->waiting.next, struct job, list);
        list_remove(&job->list);
        pool->waiting_count--;
        pthread_mutex_unlock(&pool->mutex);
        job_run(job);
        pthread_mutex_lock(&pool->mutex);
        list_add_tail(&pool->finished, &job->list);
        pool_signal(pool);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
    struct password_pool *pool = arg;
    struct list finished;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    list_init(&finished);
    pthread_mutex_lock(&pool->mutex);
    LIST_EACH_SAFE(&pool->finished, node) {
        list_remove(node);
        list_add_tail(&finished, node);
    }
    pthread_mutex_unlock(&pool->mutex);
    LIST_EACH_SAFE(&finished, ready) {
        struct job *job = CONTAINER_OF(ready, struct job, list);
        list_remove(ready);
        job->done(job->ctx, job->match, job->hash[0] ? job->hash : NULL);
        job_free(job);
    }
}

int password_pool_new(struct event_base *base, unsigned threads, unsigned waiting_max,
                      struct password_pool **ret_pool, struct error *err)
{
    struct password_pool *pool;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return error_set(err, ERR_IO, "cannot make an event descriptor: %s", strerror(errno));
    pool = memory_alloc(sizeof *pool);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    list_init(&pool->waiting);
    list_init(&pool->finished);
    pool->waiting_max = waiting_max;
    pool->threads_max = threads;
    pool->ids = memory_alloc(threads * sizeof *pool->ids);
    pool->event_fd = fd;
    pool->event = event_new(base, fd, EV_READ | EV_PERSIST, on_finished, pool);
    event_add(pool->event, NULL);
    *ret_pool = pool;
    return 0;
}

static void jobs_free(struct list *jobs)
{
    LIST_EACH_SAFE(jobs, node) {
        list_remove(node);
        job_free(CONTAINER_OF(node, struct job, list));
    }
}

void password_pool_free(struct password_pool **ret_pool)
{
    struct password_pool *pool = TAKE(*ret_pool);

    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->stop = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->threads; i++)
        pthread_join(pool->ids[i], NULL);
    jobs_free(&pool->waiting);
    jobs_free(&pool->finished);
    event_free(pool->event);
    close(pool->event_fd);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->ids);
    free(pool);
}

/* Threads are made when first needed: most processes never sign anybody in. Under mutex. */
static void thread_ensure(struct password_pool *pool)
{
    if (pool->idle >= pool->waiting_count || pool->threads == pool->threads_max)
        return;
    if (pthread_create(&pool->ids[pool->threads], NULL, thread_main, pool) == 0)
        pool->threads++;
}

static int job_submit(struct password_pool *pool, struct job *job, struct error *err)
{
    bool full;

    pthread_mutex_lock(&pool->mutex);
    full = pool->waiting_count >= pool->waiting_max;
    if (!full) {
        list_add_tail(&pool->waiting, &job->list);
        pool->waiting_count++;
        thread_ensure(pool);
        full = pool->threads == 0;
        if (full) {
            list_remove(&job->list);
            pool->waiting_count--;
        }
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->mutex);
    if (!full)
        return 0;
    job_free(job);
    return error_set(err, ERR_THROTTLED, "too many sign-ins are waiting; try again in a moment");
}

static struct job *job_new(const char *password, password_done *done, void *ctx)
{
    struct job *job = memory_alloc(sizeof *job);

    list_init(&job->list);
    job->password = memory_strdup(password);
    job->done = done;
    job->ctx = ctx;
    return job;
}

int password_verify(struct password_pool *pool, const char *stored, const char *password,
                    password_done *done, void *ctx, struct error *err)
{
    struct job *job = job_new(password, done, ctx);

    job->verify = true;
    job->unknown = !stored;
    job->stored = memory_strdup(stored);
    return job_submit(pool, job, err);
}

int password_hash(struct password_pool *pool, const char *password, password_done *done, void *ctx,
                  struct error *err)
{
    struct job *job = job_new(password, done, ctx);

    job->match = true;
    return job_submit(pool, job, err);
}

int password_replace(struct password_pool *pool, const char *stored, const char *password,
                     const char *replacement, password_done *done, void *ctx, struct error *err)
{
    struct job *job = job_new(password, done, ctx);

    job->verify = true;
    job->stored = memory_strdup(stored);
    job->replacement = memory_strdup(replacement);
    return job_submit(pool, job, err);
}
