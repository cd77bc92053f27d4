#include "sim.h"

#include "base/clock.h"
#include "base/str.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    int64_t seeds, fires, first;
    bool one, check_variants, verbose, twice;
    enum variant variant;
    uint32_t disabled;
};

static const char usage[] =
    "usage: sim [--seeds N] [--first SEED] [--fires N] [--check-variants] [--twice]\n"
    "       sim --seed SEED [--variant V] [--disable-fault F]... [--verbose]\n"
    "\n"
    "Runs simulated worlds and checks them. The first form runs seeds SEED, SEED+1 … and wants at\n"
    "least --fires fires in all, every site of sometimes.h reached, and with --check-variants "
    "every\n"
    "broken variant caught; --twice runs each seed twice and compares the trace hashes.\n"
    "The second form repeats one world; --verbose prints its trace.\n";

static void print_names(const char *title, const char *const *names, const char *const *texts,
                        int count)
{
    printf("\n%s:\n", title);
    for (int i = 0; i < count; i++)
        printf("  %-18s %s\n", names[i], texts[i]);
}

static int find_name(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fprintf(stderr, "sim: no such name: %s\n", name);
    exit(2);
}

static int64_t parse_number(const char *text)
{
    int64_t number;

    if (text && number_parse(str_of(text), 0, INT64_MAX, &number))
        return number;
    fputs(usage, stderr);
    exit(2);
}

static void parse_options(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--check-variants") == 0) {
            options->check_variants = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            options->verbose = true;
        } else if (strcmp(argv[i], "--twice") == 0) {
            options->twice = true;
        } else if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            print_names("Faults", fault_names, fault_texts, FAULT_COUNT);
            print_names("Variants", variant_names, variant_texts, VARIANT_COUNT);
            exit(0);
        } else if (strcmp(argv[i], "--seeds") == 0) {
            options->seeds = parse_number(value), i++;
        } else if (strcmp(argv[i], "--first") == 0) {
            options->first = parse_number(value), i++;
        } else if (strcmp(argv[i], "--fires") == 0) {
            options->fires = parse_number(value), i++;
        } else if (strcmp(argv[i], "--seed") == 0) {
            options->first = parse_number(value), i++;
            options->one = true;
        } else if (strcmp(argv[i], "--variant") == 0 && value) {
            options->variant = (enum variant)find_name(variant_names, VARIANT_COUNT, value), i++;
        } else if (strcmp(argv[i], "--disable-fault") == 0 && value) {
            options->disabled |= 1u << find_name(fault_names, FAULT_COUNT, value), i++;
        } else {
            fputs(usage, stderr);
            exit(2);
        }
    }
}

struct verdict {
    bool failed;
    char failure[256];
    uint64_t hash, fires, steps;
    uint32_t faults;
    int64_t ended;
};

static struct verdict run(uint64_t seed, enum variant variant, uint32_t disabled, bool verbose)
{
    static struct world world;

    world = (struct world){ .verbose = verbose };
    world_run(&world, seed, variant, disabled);
    struct verdict verdict = { .failed = world.failed,
                               .hash = world.hash,
                               .fires = world.fires,
                               .steps = world.steps,
                               .faults = world.faults,
                               .ended = world.now };
    memcpy(verdict.failure, world.failure, sizeof verdict.failure);
    world_done(&world);
    return verdict;
}

/* The line that repeats the failure, with every class left out that it does not need. */
static void report(uint64_t seed, enum variant variant, uint32_t disabled,
                   const struct verdict *verdict)
{
    uint32_t needless = disabled;

    for (int i = 0; i < FAULT_COUNT; i++) {
        uint32_t without = needless | 1u << i;
        if (!(verdict->faults >> i & 1))
            continue;
        struct verdict other = run(seed, variant, without, false);
        if (other.failed && strncmp(other.failure, verdict->failure, 12) == 0)
            needless = without;
    }
    struct verdict least = run(seed, variant, needless, false);
    printf("FAILED: %s\n  repeat: sim --seed %" PRIu64, verdict->failure, seed);
    if (variant)
        printf(" --variant %s", variant_names[variant]);
    for (int i = 0; i < FAULT_COUNT; i++)
        if (needless >> i & 1)
            printf(" --disable-fault %s", fault_names[i]);
    printf("\n  there: %s\n  with:", least.failure);
    for (int i = 0; i < FAULT_COUNT; i++)
        if (least.faults >> i & 1)
            printf(" %s", fault_names[i]);
    printf("\n");
}

static int run_one(const struct options *options)
{
    struct verdict verdict =
        run((uint64_t)options->first, options->variant, options->disabled, options->verbose);

    printf("seed %" PRId64 " hash %016" PRIx64 " fires %" PRIu64 " steps %" PRIu64 " ended %" PRId64
           " %s\n",
           options->first, verdict.hash, verdict.fires, verdict.steps, verdict.ended,
           verdict.failed ? verdict.failure : "ok");
    return verdict.failed;
}

static int check_sites(void)
{
    int missing = 0;

    for (int i = 0; i < SITE_COUNT; i++) {
        if (site_hits[i])
            continue;
        printf("FAILED: never reached: %s\n", site_names[i]);
        missing++;
    }
    return missing;
}

/* Each broken variant must be caught by the seeds of this run. */
static int check_variants(const struct options *options)
{
    int missed = 0;

    for (int variant = 1; variant < VARIANT_COUNT; variant++) {
        int64_t n = 0;
        struct verdict verdict = { 0 };
        while (n < options->seeds && !verdict.failed)
            verdict = run((uint64_t)(options->first + n++), (enum variant)variant,
                          options->disabled, false);
        if (verdict.failed)
            printf("variant %-16s caught by seed %" PRId64 ": %s\n", variant_names[variant],
                   options->first + n - 1, verdict.failure);
        else
            printf("FAILED: variant %s was not caught\n", variant_names[variant]);
        missed += !verdict.failed;
    }
    return missed;
}

static int run_many(const struct options *options)
{
    uint64_t fires = 0, steps = 0, hash = 0;
    int failures = 0;
    int64_t began = clock_mono_ms();

    for (int64_t n = 0; n < options->seeds; n++) {
        uint64_t seed = (uint64_t)(options->first + n);
        struct verdict verdict = run(seed, options->variant, options->disabled, false);
        fires += verdict.fires;
        steps += verdict.steps;
        hash = hash * 31 + verdict.hash;
        if (options->twice && !verdict.failed &&
            run(seed, options->variant, options->disabled, false).hash != verdict.hash) {
            printf("FAILED: seed %" PRIu64 " has two traces\n", seed);
            failures++;
        }
        if (verdict.failed && ++failures <= 10)
            report(seed, options->variant, options->disabled, &verdict);
    }
    int64_t took = clock_mono_ms() - began;
    printf("%" PRId64 " seeds, %" PRIu64 " fires, %" PRIu64 " events, %d failed, hash %016" PRIx64
           ", %" PRId64 ".%03" PRId64 " s: %" PRIu64 " fires/s\n",
           options->seeds, fires, steps, failures, hash, took / 1000, took % 1000,
           took ? fires * 1000 / (uint64_t)took : 0);
    if (fires < (uint64_t)options->fires) {
        printf("FAILED: %" PRId64 " fires are wanted\n", options->fires);
        failures++;
    }
    return failures;
}

int main(int argc, char **argv)
{
    struct options options = { .seeds = 100, .first = 1 };

    parse_options(argc, argv, &options);
    /* worlds take and give back the same memory again and again: keep it from the system */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    if (options.one)
        return run_one(&options);
    int failures = run_many(&options);
    if (options.check_variants) {
        failures += check_sites();
        failures += check_variants(&options);
    }
    return failures > 0;
}
