#include "base/arena.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/memory.h"
#include "scheduler/scheduler.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * What the scheduler's core costs by itself: jobs that all fire in the same second go from scan to
 * end, with a store and an executor that answer at once. The baseline in the same run is what one
 * fire cannot do without: a place in a heap and in a map, taken and given back.
 *
 * usage: bench-scheduler [JOBS] [ROUNDS]
 */

#define START INT64_C(1800000000000)
static const char incarnation[] = "0123456789abcdef0123456789abcdef";

struct bench {
    struct scheduler *scheduler;
    struct scheduler_job *jobs;
    struct schedule schedule;
    size_t job_count;
    int64_t now_ms, mono_ms, next_id;
    uint64_t fires, ends, steps;
};

/* Of the processor, so that what else runs here does not count. */
static double seconds(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static size_t resident_kib(void)
{
    char text[256] = "";
    FILE *file = fopen("/proc/self/statm", "re");

    if (file && !fgets(text, sizeof text, file))
        text[0] = '\0';
    if (file)
        fclose(file);
    char *space = strchr(text, ' ');
    return space ? strtoul(space, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) / 1024 : 0;
}

/* A step, and what it asks for at once: answers are steps again. */
static void step(struct bench *bench, struct scheduler_event event);

static void answer_scan(struct bench *bench, const struct action *action)
{
    size_t limit = action->scan.limit, count = 0;
    struct scheduler_job **rows = memory_alloc(limit * sizeof *rows);

    bool more = false;
    for (size_t i = 0; i < bench->job_count; i++) {
        if (bench->jobs[i].next_fire_at > action->scan.horizon_ms)
            continue;
        if ((more = count == limit))
            break;
        rows[count++] = &bench->jobs[i];
    }
    step(bench, (struct scheduler_event){ .kind = EVENT_DUE,
                                          .reference = action->reference,
                                          .due = { .jobs = rows, .count = count, .more = more } });
    free(rows);
}

static void answer_plan(struct bench *bench, const struct action *action)
{
    size_t count = action->plan.count;
    struct plan_answer *answers = memory_alloc(count * sizeof *answers);
    int64_t *ids = memory_alloc(count * 16 * sizeof *ids), *next = ids;

    for (size_t i = 0; i < count; i++) {
        const struct plan_item *item = &action->plan.items[i];
        bench->jobs[item->job_id - 1].next_fire_at = item->new_next_fire_at;
        answers[i].run_ids = next;
        for (size_t k = 0; k < item->run_count; k++)
            *next++ = bench->next_id++;
        bench->fires += item->run_count;
    }
    step(bench, (struct scheduler_event){ .kind = EVENT_PLANNED,
                                          .reference = action->reference,
                                          .planned = { .items = answers, .count = count } });
    free(ids);
    free(answers);
}

static void answer_move(struct bench *bench, const struct action *action)
{
    size_t count = action->move.count;
    struct move_answer *answers = memory_alloc(count * sizeof *answers);

    for (size_t i = 0; i < count; i++) {
        answers[i] = (struct move_answer){ action->move.moves[i].run_id, true };
        bench->ends += run_state_terminal(action->move.moves[i].to);
    }
    step(bench, (struct scheduler_event){ .kind = EVENT_MOVED,
                                          .reference = action->reference,
                                          .moved = { .moves = answers, .count = count } });
    free(answers);
}

static void answer_dispatch(struct bench *bench, const struct action *action)
{
    size_t count = action->dispatch.count;
    struct dispatch_answer *answers = memory_alloc(count * sizeof *answers);
    struct report *reports = memory_alloc(count * sizeof *reports);

    for (size_t i = 0; i < count; i++) {
        const struct dispatch_run *run = &action->dispatch.runs[i];
        answers[i] =
            (struct dispatch_answer){ run->run_id, run->attempt, run->token, DISPATCH_TAKEN };
        reports[i] = (struct report){ .kind = REPORT_RESULT,
                                      .run_id = run->run_id,
                                      .job_id = run->job_id,
                                      .attempt = run->attempt,
                                      .token = run->token,
                                      .outcome = RUN_SUCCEEDED,
                                      .cause = CAUSE_OK };
    }
    step(bench,
         (struct scheduler_event){ .kind = EVENT_DISPATCHED,
                                   .reference = action->reference,
                                   .dispatched = { "e", incarnation, true, answers, count } });
    step(bench, (struct scheduler_event){ .kind = EVENT_REPORT,
                                          .report = { "e", incarnation, reports, count } });
    free(reports);
    free(answers);
}

static void carry_out(struct bench *bench, const struct action *action)
{
    switch (action->kind) {
    case ACTION_SCAN:
        return answer_scan(bench, action);
    case ACTION_PLAN:
        return answer_plan(bench, action);
    case ACTION_MOVE:
        return answer_move(bench, action);
    case ACTION_DISPATCH:
        return answer_dispatch(bench, action);
    case ACTION_LOAD:
        return step(bench,
                    (struct scheduler_event){ .kind = EVENT_RUNS, .reference = action->reference });
    default:
        return;
    }
}

static void step(struct bench *bench, struct scheduler_event event)
{
    struct actions actions = { .arena = arena_new() };

    event.now_ms = bench->now_ms;
    event.mono_ms = bench->mono_ms;
    scheduler_step(bench->scheduler, &event, &actions);
    bench->steps++;
    for (size_t i = 0; i < actions.count; i++)
        carry_out(bench, &actions.items[i]);
    arena_free(&actions.arena);
}

static void heartbeat(struct bench *bench)
{
    struct executor_load load = {
        .name = "e", .incarnation = incarnation, .slots_free = 1000000, .slots_total = 1000000
    };

    step(bench,
         (struct scheduler_event){ .kind = EVENT_HEARTBEAT, .heartbeat = { .load = &load } });
}

static void bench_init(struct bench *bench, size_t jobs)
{
    *bench = (struct bench){ .now_ms = START, .mono_ms = 1, .next_id = 1, .job_count = jobs };
    bench->schedule = (struct schedule){ .kind = SCHEDULE_EVERY,
                                         .every_ms = 60000,
                                         .start_ms = START + 1000,
                                         .not_before_ms = INT64_MIN,
                                         .not_after_ms = SCHEDULE_NEVER };
    bench->jobs = memory_alloc(jobs * sizeof *bench->jobs);
    for (size_t i = 0; i < jobs; i++)
        bench->jobs[i] = (struct scheduler_job){ .id = (int32_t)i + 1,
                                                 .shard = (int32_t)(i + 1) % SHARD_COUNT,
                                                 .version = 1,
                                                 .schedule_version = 1,
                                                 .enabled = true,
                                                 .schedule = &bench->schedule,
                                                 .next_fire_at = START + 1000,
                                                 .misfire_threshold_ms = 5000 };
    bench->scheduler = scheduler_new(&(struct scheduler_settings){
        .sweep_interval_ms = INT64_C(1) << 40, /* there is no store to be read */
    });
}

/* Ticks every 100 ms until the minute is over. */
static void bench_minute(struct bench *bench)
{
    for (int i = 0; i < 600; i++) {
        bench->now_ms += 100;
        bench->mono_ms += 100;
        if (i % 20 == 0)
            heartbeat(bench);
        step(bench, (struct scheduler_event){ .kind = EVENT_TICK });
    }
}

struct place {
    struct heap_node node;
};

static double baseline(size_t count)
{
    struct place *places = memory_alloc(count * sizeof *places);
    struct heap heap;
    struct map map;
    double began = seconds();

    heap_init(&heap);
    map_init(&map);
    for (size_t i = 0; i < count; i++) {
        heap_add(&heap, &places[i].node, (int64_t)(i * 7919 % count), i);
        map_put(&map, (int64_t)i, &places[i]);
    }
    for (size_t i = 0; i < count; i++) {
        heap_remove(&heap, heap_first(&heap));
        map_remove(&map, (int64_t)i);
    }
    map_done(&map);
    heap_done(&heap);
    free(places);
    return seconds() - began;
}

int main(int argc, char **argv)
{
    size_t jobs = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 5;
    struct bench bench;

    size_t before = resident_kib();
    bench_init(&bench, jobs);
    size_t rows = resident_kib();
    double began = seconds();
    for (size_t i = 0; i < rounds; i++)
        bench_minute(&bench);
    double took = seconds() - began;
    double least = baseline(jobs) * (double)rounds;
    printf("%zu jobs in the same second, %zu rounds: %" PRIu64 " fires, %" PRIu64 " ended, %" PRIu64
           " steps\n",
           jobs, rounds, bench.fires, bench.ends, bench.steps);
    printf("core: %.0f fires/s (%.2f us each); heap and map alone: %.0f/s; ratio %.1f\n",
           (double)bench.ends / took, took * 1e6 / (double)bench.ends,
           (double)jobs * (double)rounds / least, took / least);
    printf("memory: job rows of the driver %zu KiB, the core beside them %zu KiB with a run of "
           "each armed\n",
           rows - before, resident_kib() - rows);
    scheduler_free(&bench.scheduler);
    free(bench.jobs);
    return 0;
}
