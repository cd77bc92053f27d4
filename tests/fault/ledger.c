/*
 * What a script of the fault tests calls to say that it took effect: appends one record to the
 * effect ledger, durable (O_DSYNC) before it returns, so nothing that was done can be missing.
 *
 *   ledger FILE START|END      with the environment that Belfry gives to scripts
 *
 * Record: run job fire_time attempt token phase real_ns mono_ns source, 256 bytes with spaces at
 * the end. One write with O_APPEND, so records of many processes do not mix; and of a size that
 * never crosses a page, for a process that is killed between two pages leaves half a record (seen
 * once in 25,000). This file and bench/sink.c share nothing with the
 * product's own records: they are what those are checked against.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_SIZE = 256 };

static long long nanoseconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : "-";
}

int main(int argc, char **argv)
{
    char record[RECORD_SIZE], line[RECORD_SIZE + 1];

    if (argc != 3) {
        fprintf(stderr, "usage: ledger FILE START|END\n");
        return 64;
    }
    int fd = open(argv[1], O_WRONLY | O_APPEND | O_DSYNC | O_CLOEXEC);
    int size = snprintf(record, sizeof record, "%s %s %s %s %s %s %lld %lld script",
                        variable("BELFRY_RUN_ID"), variable("BELFRY_JOB"),
                        variable("BELFRY_FIRE_TIME"), variable("BELFRY_ATTEMPT"),
                        variable("BELFRY_TOKEN"), argv[2], nanoseconds(CLOCK_REALTIME),
                        nanoseconds(CLOCK_MONOTONIC));

    snprintf(line, sizeof line, "%-*s\n", RECORD_SIZE - 1, record);
    if (fd < 0 || size >= RECORD_SIZE - 1 || write(fd, line, RECORD_SIZE) != RECORD_SIZE) {
        perror("ledger");
        return 1;
    }
    return 0;
}
