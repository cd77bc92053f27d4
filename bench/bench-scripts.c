#include "base/clock.h"
#include "base/memory.h"
#include "job-execute/launcher.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Scripts a second through launcher and supervisor (file, limits, pipes, proof of the end), beside
 * bare fork + exec + wait of the same interpreter on the same script, as many at a time.
 *
 *   bench-scripts [COUNT [AT_A_TIME [cgroup]]]
 *
 * Private folders are made in TMPDIR: ext4 without journal is slow at making and removing files.
 */
static long count = 2000, at_a_time = 8;
static bool cgroup;
static char folder[256];
static char script_path[300];

/* --- bare ------------------------------------------------------------------------------------------- */

static void bare_start(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/sh", "sh", script_path, (char *)NULL);
        _exit(127);
    }
}

static double bare(void)
{
    int64_t begun = clock_mono_ms();
    long started = 0;

    for (; started < at_a_time; started++)
        bare_start();
    for (long ended = 0; ended < count; ended++) {
        int status;

        wait(&status);
        if (status)
            abort();
        if (started++ < count)
            bare_start();
    }
    return (double)count * 1000 / (double)(clock_mono_ms() - begun);
}

/* --- supervised -------------------------------------------------------------------------------------- */

static struct launcher *launcher;
static struct event_base *base;
static long started, ended;
static int64_t cpu_ms;

static void supervised_start(void);

static void on_started(void *ctx)
{
    (void)ctx;
}

static void on_output(void *ctx, int stream, const char *bytes, size_t size)
{
    (void)ctx;
    (void)stream;
    (void)bytes;
    (void)size;
}

static void on_done(void *ctx, const struct launch_result *result)
{
    (void)ctx;
    if (result->end != LAUNCH_EXITED || result->exit_code || result->survivors) {
        fprintf(stderr, "script failed: %s\n", result->err ? error_english(result->err) : "?");
        exit(1);
    }
    cpu_ms += result->cpu_ms;
    if (++ended == count)
        event_base_loopbreak(base);
    else if (started < count)
        supervised_start();
}

static void on_gone(void *ctx)
{
    (void)ctx;
    exit(1);
}

static void supervised_start(void)
{
    static const struct launch_events events = { on_started, on_output, on_done };
    static const char *const argv[] = { "sh", NULL };
    static const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
    char name[32];
    struct launch_request request = {
        .path = "/bin/sh", .argv = argv, .env = env, .script = "true\n", .script_size = 5,
        .script_name = "script", .work_root = folder, .work_name = name, .cgroup = cgroup,
        .grace_ms = 1000, .limits = { .memory = 256 << 20, .processes = 64, .files = 256 },
    };

    snprintf(name, sizeof name, "%ld", started++);
    launcher_run(launcher, &request, &events, NULL);
}

static double supervised(void)
{
    struct error err = { 0 };
    int64_t begun;

    base = event_base_new();
    if (launcher_attach(launcher, base, on_gone, NULL, &err) < 0)
        exit(1);
    begun = clock_mono_ms();
    while (started < at_a_time)
        supervised_start();
    event_base_dispatch(base);
    return (double)count * 1000 / (double)(clock_mono_ms() - begun);
}

/* CPU time of all children that were waited for, and of theirs. */
static double children_cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void script_make(void)
{
    FILE *file;

    snprintf(folder, sizeof folder, "%s/bench-scripts-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder))
        exit(1);
    snprintf(script_path, sizeof script_path, "%s/bare", folder);
    file = fopen(script_path, "we");
    fputs("true\n", file);
    fclose(file);
}

int main(int argc, char **argv)
{
    struct error err = { 0 };
    double plain, ours, plain_cpu, ours_cpu;

    count = argc > 1 ? atol(argv[1]) : count;
    at_a_time = argc > 2 ? atol(argv[2]) : at_a_time;
    cgroup = argc > 3 && !strcmp(argv[3], "cgroup");
    if (launcher_start(&launcher, &err) < 0)
        return 1;
    script_make();
    plain = bare();
    plain_cpu = children_cpu_us();
    ours = supervised();
    launcher_free(&launcher); /* waits for it: its time counts */
    ours_cpu = children_cpu_us() - plain_cpu;
    printf("bare fork and exec of sh    %8.0f scripts/s, %5.0f us CPU each, %ld at a time\n", plain,
           plain_cpu / (double)count, at_a_time);
    printf("launcher and supervisor     %8.0f scripts/s, %5.0f us CPU each, ratio %.2f%s\n", ours,
           ours_cpu / (double)count, ours / plain, cgroup ? ", each in a control group" : "");
    unlink(script_path);
    rmdir(folder);
    event_base_free(base);
    return 0;
}
