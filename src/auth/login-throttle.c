#include "auth/login-throttle.h"

#include "base/address.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEY_SIZE = 280, FORGIVE_MS = 60000 };

struct limit {
    int free;       /* failures without a wait */
    int64_t cap_ms;
};

static const struct limit account_limit = { .free = 5, .cap_ms = 60000 };
static const struct limit address_limit = { .free = 20, .cap_ms = 900000 };
/* Over all: the hash pool is the brake on volume; this one only takes the profit out of a guess
 * spread over many addresses and many accounts. */
static const struct limit total_limit = { .free = 500, .cap_ms = 2000 };

struct counter {
    struct list recent;
    char key[KEY_SIZE];
    int failures;
    int64_t last_ms, next_ms;
};

struct login_throttle {
    struct map counters; /* by key */
    struct list recent;  /* oldest first */
    size_t max;
    struct counter total;
};

struct login_throttle *login_throttle_new(size_t entries_max)
{
    struct login_throttle *throttle = memory_alloc(sizeof *throttle);

    map_init(&throttle->counters);
    list_init(&throttle->recent);
    throttle->max = entries_max;
    return throttle;
}

static void counter_drop(struct login_throttle *throttle, struct counter *counter)
{
    list_remove(&counter->recent);
    map_remove_text(&throttle->counters, counter->key);
    free(counter);
}

void login_throttle_free(struct login_throttle **throttle)
{
    if (!*throttle)
        return;
    LIST_EACH_SAFE(&(*throttle)->recent, node)
        counter_drop(*throttle, CONTAINER_OF(node, struct counter, recent));
    map_done(&(*throttle)->counters);
    free(*throttle);
    *throttle = NULL;
}

static void account_key(const char *account, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, "account %.256s", account);
}

static void address_key(const char *text, char key[KEY_SIZE])
{
    struct address address;

    if (!address_parse(str_of(text), &address)) {
        snprintf(key, KEY_SIZE, "address %.64s", text);
        return;
    }
    address = address_site(&address);
    size_t used = (size_t)snprintf(key, KEY_SIZE, "address ");
    for (size_t i = 0; i < sizeof address.bytes; i++)
        used += (size_t)snprintf(key + used, KEY_SIZE - used, "%02x", address.bytes[i]);
}

static struct counter *counter_get(struct login_throttle *throttle, const char *key)
{
    struct counter *counter = map_get_text(&throttle->counters, key);

    if (counter) {
        list_remove(&counter->recent);
        list_add_tail(&throttle->recent, &counter->recent);
        return counter;
    }
    if (throttle->counters.count >= throttle->max)
        counter_drop(throttle, CONTAINER_OF(throttle->recent.next, struct counter, recent));
    counter = memory_alloc(sizeof *counter);
    snprintf(counter->key, KEY_SIZE, "%s", key);
    list_add_tail(&throttle->recent, &counter->recent);
    map_put_text(&throttle->counters, counter->key, counter);
    return counter;
}

static int64_t wait_of(int failures, const struct limit *limit)
{
    int over = failures - limit->free;

    if (over <= 0)
        return 0;
    if (over > 20)
        return limit->cap_ms;
    int64_t wait = INT64_C(1000) << (over - 1);
    return wait < limit->cap_ms ? wait : limit->cap_ms;
}

static int64_t counter_wait(const struct counter *counter, int64_t now_ms)
{
    return counter->next_ms > now_ms ? counter->next_ms - now_ms : 0;
}

static void counter_forgive(struct counter *counter, int64_t now_ms)
{
    int64_t minutes = (now_ms - counter->last_ms) / FORGIVE_MS;

    if (minutes >= counter->failures)
        counter->failures = 0;
    else if (minutes > 0)
        counter->failures -= (int)minutes;
}

static void counter_fail(struct counter *counter, const struct limit *limit, int64_t now_ms)
{
    counter_forgive(counter, now_ms);
    counter->failures++;
    counter->last_ms = now_ms;
    counter->next_ms = now_ms + wait_of(counter->failures, limit);
}

static void counter_return(struct counter *counter, const struct limit *limit)
{
    if (counter->failures > 0)
        counter->failures--;
    counter->next_ms = counter->last_ms + wait_of(counter->failures, limit);
}

int64_t login_throttle_begin(struct login_throttle *throttle, const char *account,
                             const char *address, int64_t now_ms)
{
    char a[KEY_SIZE], b[KEY_SIZE];
    struct counter *by_account, *by_address;
    int64_t wait, other;

    account_key(account, a);
    address_key(address, b);
    by_account = counter_get(throttle, a);
    by_address = counter_get(throttle, b);
    wait = counter_wait(by_account, now_ms);
    other = counter_wait(by_address, now_ms);
    wait = other > wait ? other : wait;
    other = counter_wait(&throttle->total, now_ms);
    wait = other > wait ? other : wait;
    if (wait > 0)
        return wait;
    counter_fail(by_account, &account_limit, now_ms);
    counter_fail(by_address, &address_limit, now_ms);
    counter_fail(&throttle->total, &total_limit, now_ms);
    return 0;
}

void login_throttle_success(struct login_throttle *throttle, const char *account,
                            const char *address)
{
    char a[KEY_SIZE], b[KEY_SIZE];
    struct counter *by_account;

    account_key(account, a);
    address_key(address, b);
    by_account = counter_get(throttle, a);
    by_account->failures = 0;
    by_account->next_ms = 0;
    counter_return(counter_get(throttle, b), &address_limit);
    counter_return(&throttle->total, &total_limit);
}
