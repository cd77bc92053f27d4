/*
 * Nanoseconds per next() of typical expressions, per "never", previous, count and compilation,
 * beside what glibc takes for one look at the clock (localtime_r and timegm in the same zone): any
 * scheduler that asks libc even once per fire pays at least that.
 *
 *   bench-cron [zone]
 */
#include "base/clock.h"
#include "base/memory.h"
#include "schedule/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 5, CALLS = 200000 };

static volatile int64_t sink; /* keeps the compiler from dropping what is measured */

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static const struct {
    const char *name, *expression;
    enum cron_dialect dialect;
} cases[] = {
    { "every second", "* * * * * ?", CRON_QUARTZ },
    { "every 5 minutes", "0 0/5 * * * ?", CRON_QUARTZ },
    { "every hour", "20 * * * *", CRON_UNIX },
    { "daily 04:00", "0 0 4 * * ?", CRON_QUARTZ },
    { "working days 09:30", "30 9 * * 1-5", CRON_UNIX },
    { "1st of the month", "0 0 0 1 * ?", CRON_QUARTZ },
    { "last working day", "0 0 8 LW * ?", CRON_QUARTZ },
    { "third Friday", "0 15 10 ? * 6#3", CRON_QUARTZ },
    { "15th or Monday", "0 0 15 * 1", CRON_UNIX },
    { "29 February", "0 0 0 29 2 ?", CRON_QUARTZ },
    { "29 February, Monday", "0 0 0 29 2 MON", CRON_SPRING },
    { "never (30 February)", "0 0 0 30 2 ?", CRON_QUARTZ },
    { "never (31 April, Sunday)", "0 0 0 31 4,6,9,11 SUN", CRON_SPRING },
    { "never (last year over)", "0 0 0 1 1 ? 1970-2000", CRON_QUARTZ },
};

static int64_t start_ms; /* 2026-01-01 */

/* The sequence of fires, begun anew every 1,000: what a scheduler asks after each fire. */
static double next_ns(const struct cron *cron, const struct zone *zone)
{
    double best = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t time = start_ms, begin = now_ns();
        for (int i = 0; i < CALLS; i++) {
            time = i % 1000 ? cron_next(cron, zone, DST_ONCE, time) : start_ms + i;
            if (time == SCHEDULE_NEVER)
                time = start_ms + i;
        }
        double ns = (double)(now_ns() - begin) / CALLS;
        best = ns < best ? ns : best;
        sink = time;
    }
    return best;
}

/* From instants all over the years, so that nothing is in the cache of the branch predictor. */
static double scattered_ns(const struct cron *cron, const struct zone *zone)
{
    double best = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t random = 42;
        int64_t sum = 0, begin = now_ns();
        for (int i = 0; i < CALLS; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            sum ^= cron_next(cron, zone, DST_ONCE, (int64_t)(random >> 23)); /* 1970-2039 */
        }
        double ns = (double)(now_ns() - begin) / CALLS;
        best = ns < best ? ns : best;
        sink = sum;
    }
    return best;
}

static double baseline_ns(void)
{
    double best = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t begin = now_ns(), sum = 0;
        for (int i = 0; i < CALLS; i++) {
            time_t t = (time_t)(start_ms / 1000 + i * 3600);
            struct tm tm;
            localtime_r(&t, &tm);
            tm.tm_mday++;
            sum += timegm(&tm);
        }
        double ns = (double)(now_ns() - begin) / CALLS;
        best = ns < best ? ns : best;
        sink = sum;
    }
    return best;
}

static double parse_ns(const char *expression, enum cron_dialect dialect)
{
    struct cron cron;
    int64_t begin = now_ns();

    for (int i = 0; i < CALLS / 10; i++) {
        cron_parse(str_of(expression), dialect, (uint64_t)i, &cron, NULL);
        sink = (int64_t)cron.minutes;
    }
    return (double)(now_ns() - begin) / (CALLS / 10);
}

static void rest_print(const struct zone *zone)
{
    struct cron cron;
    int64_t begin, day = 86400000, time = start_ms;

    cron_parse(STR("0 0/5 9-17 ? * MON-FRI"), CRON_QUARTZ, 0, &cron, NULL);
    printf("\nparse \"0 0/5 9-17 ? * MON-FRI\"   %8.0f ns\n",
           parse_ns("0 0/5 9-17 ? * MON-FRI", CRON_QUARTZ));
    begin = now_ns();
    for (int i = 0; i < CALLS; i++)
        time = i % 1000 ? cron_previous(&cron, zone, DST_ONCE, time) : start_ms;
    printf("previous of it                  %8.1f ns\n", (double)(now_ns() - begin) / CALLS);
    sink = time;
    begin = now_ns();
    for (int i = 0; i < 1000; i++)
        sink = cron_count(&cron, zone, DST_ONCE, start_ms + i, start_ms + 365 * day);
    printf("count of it over a year         %8.0f ns\n", (double)(now_ns() - begin) / 1000);
    printf("struct cron                     %8zu bytes\n", sizeof(struct cron));
}

int main(int argc, char **argv)
{
    CLEANUP(zone_unref) struct zone *zone = NULL;
    const char *name = argc > 1 ? argv[1] : "America/New_York";
    struct error err;

    if (zone_load(name, &zone, &err) < 0) {
        fprintf(stderr, "%s\n", error_english(&err));
        return 1;
    }
    setenv("TZ", name, 1);
    tzset();
    time_parse(STR("2026-01-01T00:00:00Z"), &start_ms);
    double baseline = baseline_ns();
    printf("%s\nbaseline: localtime_r + timegm  %8.1f ns\n\n", name, baseline);
    printf("%-30s %11s %11s %10s\n", "next()", "in sequence", "scattered", "/ baseline");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cron cron;
        if (cron_parse(str_of(cases[i].expression), cases[i].dialect, 0, &cron, &err) < 0)
            return 1;
        double sequence = next_ns(&cron, zone), scattered = scattered_ns(&cron, zone);
        printf("%-30s %8.1f ns %8.1f ns %10.2f\n", cases[i].name, sequence, scattered,
               sequence / baseline);
    }
    rest_print(zone);
    return 0;
}
