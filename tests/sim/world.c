#include "sim.h"

#include "base/list.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const fault_names[FAULT_COUNT] = {
#define X(name, text) #name,
    FAULT_CLASSES(X)
#undef X
};
const char *const fault_texts[FAULT_COUNT] = {
#define X(name, text) text,
    FAULT_CLASSES(X)
#undef X
};
const char *const variant_names[VARIANT_COUNT] = {
#define X(name, text) #name,
    VARIANTS(X)
#undef X
};
const char *const variant_texts[VARIANT_COUNT] = {
#define X(name, text) text,
    VARIANTS(X)
#undef X
};
const char *const site_names[SITE_COUNT] = {
#define X(name) #name,
    SITES(X)
#undef X
};
uint64_t site_hits[SITE_COUNT];

/* --- chance and trace ------------------------------------------------------------------------- */

uint64_t world_random(struct world *world)
{
    uint64_t x = world->random += 0x9e3779b97f4a7c15ULL;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

int64_t world_between(struct world *world, int64_t least, int64_t most)
{
    return least + (int64_t)(world_random(world) % (uint64_t)(most - least + 1));
}

bool world_chance(struct world *world, int32_t permille)
{
    return (int32_t)(world_random(world) % 1000) < permille;
}

bool world_fault(struct world *world, enum fault fault)
{
    if (world->quiet || !(world->faults >> fault & 1))
        return false;
    return world_chance(world, world->rates[fault]);
}

static void hash_add(struct world *world, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        world->hash = (world->hash ^ (value >> (8 * i) & 255)) * 0x100000001b3ULL;
}

void world_trace(struct world *world, const char *what, int64_t a, int64_t b, int64_t c)
{
    hash_add(world, (uint64_t)world->now);
    for (const char *p = what; *p; p++)
        hash_add(world, (unsigned char)*p);
    hash_add(world, (uint64_t)a);
    hash_add(world, (uint64_t)b);
    hash_add(world, (uint64_t)c);
    if (world->verbose)
        printf("%8lld %-18s %lld %lld %lld\n", (long long)world->now, what, (long long)a,
               (long long)b, (long long)c);
}

/* The first one counts: what follows may be its consequence. */
void world_fail(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (world->failed)
        return;
    world->failed = true;
    va_start(arguments, format);
    vsnprintf(world->failure, sizeof world->failure, format, arguments);
    va_end(arguments);
    world_trace(world, "failed", 0, 0, 0);
}

void incarnation_make(struct world *world, char incarnation[INCARNATION_SIZE])
{
    snprintf(incarnation, INCARNATION_SIZE, "%016llx%016llx",
             (unsigned long long)world_random(world), (unsigned long long)world_random(world));
}

/* --- what happens when ------------------------------------------------------------------------ */

struct occurrence {
    struct heap_node node;
    struct process *process;
    uint64_t generation; /* 0: whichever life it finds */
    happening happen;
    void *argument;
};

static void occur_at(struct world *world, int64_t at, struct process *process, uint64_t generation,
                     happening happen, void *argument)
{
    struct occurrence *occurrence = ARENA_NEW(world->arena, struct occurrence);

    *occurrence = (struct occurrence){
        .process = process, .generation = generation, .happen = happen, .argument = argument
    };
    heap_add(&world->queue, &occurrence->node, at < world->now ? world->now : at,
             ++world->sequence);
}

void world_at(struct world *world, int64_t at, struct process *process, happening happen,
              void *argument)
{
    occur_at(world, at, process, process ? process->generation : 0, happen, argument);
}

int64_t process_mono(const struct world *world, const struct process *process)
{
    return world->now + process->mono_offset;
}

static bool link_deaf(const struct world *world, const struct process *from,
                      const struct process *to)
{
    return !world->quiet && world->now < world->deaf_until[from->index][to->index];
}

static int64_t message_latency(struct world *world)
{
    if (world_fault(world, FAULT_delay))
        return world_between(world, 50, 4000);
    return world_between(world, 1, 10);
}

void world_send(struct world *world, const struct process *from, struct process *to,
                happening happen, void *argument)
{
    int copies = world_fault(world, FAULT_duplicate) ? 2 : 1;

    if (link_deaf(world, from, to) || world_fault(world, FAULT_drop))
        return;
    while (copies-- > 0)
        occur_at(world, world->now + message_latency(world), to, 0, happen, argument);
}

/* The next thing; false when there is none before end. */
static bool world_next(struct world *world, int64_t end)
{
    struct heap_node *node = heap_first(&world->queue);

    if (!node || node->key > end)
        return false;
    heap_remove(&world->queue, node);
    struct occurrence *next = CONTAINER_OF(node, struct occurrence, node);
    struct process *process = next->process;
    world->now = node->key;
    if (process && next->generation && process->generation != next->generation)
        return true; /* that life is over */
    if (process && !process->up)
        return true;
    if (process && process->paused_until > world->now) {
        heap_add(&world->queue, node, process->paused_until, ++world->sequence);
        return true;
    }
    world->steps++;
    hash_add(world, (uint64_t)world->now);
    hash_add(world, process ? (uint64_t)process->index : 99);
    next->happen(world, next->argument);
    return true;
}

/* --- faults of processes and links ------------------------------------------------------------ */

static void db_back(struct world *world, void *argument)
{
    (void)argument;
    world->store.process.up = true;
    world->store.process.generation++;
}

static void db_crash(struct world *world)
{
    if (!world->store.process.up)
        return;
    SOMETIMES(store_away);
    world_trace(world, "db-crash", 0, 0, 0);
    world->store.process.up = false;
    world_at(world, world->now + world_between(world, 100, 8000), NULL, db_back, NULL);
}

static void disturb_links(struct world *world)
{
    int count = 1 + ADMIN_MAX + EXECUTOR_MAX;

    if (!world_fault(world, FAULT_one_way))
        return;
    int from = (int)world_between(world, 1, count - 1),
        to = (int)world_between(world, 1, count - 1);
    world->deaf_until[from][to] = world->now + world_between(world, 500, 12000);
}

static void disturb_admin(struct world *world, struct admin *admin)
{
    if (!admin->process.up)
        return;
    if (world_fault(world, FAULT_admin_crash))
        admin_crash(world, admin, true);
    else if (world_fault(world, FAULT_admin_pause)) {
        int64_t pause = world_between(world, 200, 12000);
        admin->process.paused_until = world->now + pause;
        if (pause > world->settings.lease_ms)
            SOMETIMES(admin_paused_past_lease);
    }
    if (world_fault(world, FAULT_clock_jump)) {
        admin->jump = world_between(world, -6000, 6000);
        if (admin->jump < 0)
            SOMETIMES(clock_stepped_back);
    }
}

static void disturb_executor(struct world *world, struct executor_node *executor)
{
    if (!executor->process.up)
        return;
    if (world_fault(world, FAULT_executor_crash))
        executor_crash(world, executor, true);
    else if (world_fault(world, FAULT_executor_pause))
        executor->process.paused_until = world->now + world_between(world, 200, 12000);
    if (executor->draining)
        executor->draining = !world_chance(world, 300);
    else
        executor->draining = world_fault(world, FAULT_drain);
}

static void disturb(struct world *world, void *argument)
{
    (void)argument;
    if (world->quiet)
        return;
    disturb_links(world);
    if (world_fault(world, FAULT_db_crash))
        db_crash(world);
    for (int i = 0; i < world->admin_count; i++)
        disturb_admin(world, &world->admins[i]);
    for (int i = 0; i < world->executor_count; i++)
        disturb_executor(world, &world->executors[i]);
    world_at(world, world->now + world_between(world, 200, 800), NULL, disturb, NULL);
}

/* --- a world ---------------------------------------------------------------------------------- */

static void choose_faults(struct world *world, uint32_t disabled)
{
    static const int32_t most[FAULT_COUNT] = {
        [FAULT_drop] = 300,       [FAULT_duplicate] = 300,     [FAULT_delay] = 200,
        [FAULT_one_way] = 100,    [FAULT_admin_crash] = 40,    [FAULT_action_crash] = 20,
        [FAULT_admin_pause] = 40, [FAULT_executor_crash] = 60, [FAULT_executor_pause] = 50,
        [FAULT_db_crash] = 30,    [FAULT_db_slow] = 200,       [FAULT_db_unknown] = 200,
        [FAULT_db_error] = 200,   [FAULT_db_race] = 300,       [FAULT_skew] = 1000,
        [FAULT_clock_jump] = 40,  [FAULT_api_skew] = 500,      [FAULT_hint_loss] = 700,
        [FAULT_poison] = 1000,    [FAULT_drain] = 60,
    };
    int count = 0;

    while (count < 2) {
        int fault = (int)world_between(world, 0, FAULT_COUNT - 1);
        count += !(world->faults >> fault & 1);
        world->faults |= 1u << fault;
    }
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (world_chance(world, 250))
            world->faults |= 1u << i;
        world->rates[i] = (int32_t)world_between(world, most[i] / 10 + 1, most[i]);
    }
    world->faults &= ~disabled; /* after all choices, so that the rest of the world stays alike */
}

static void choose_settings(struct world *world)
{
    bool small = world_chance(world, 300);

    world->settings = (struct scheduler_settings){
        .horizon_ms = world_between(world, 1000, 5000),
        .scan_interval_ms = 1000,
        .lease_interval_ms = 1000,
        .lease_ms = 5000,
        .executor_lease_ms = 5000,
        .plan_batch = (int32_t)(small ? world_between(world, 1, 3) : 1000),
        .move_batch = (int32_t)(small ? world_between(world, 1, 4) : 1000),
        .dispatch_batch = (int32_t)(small ? world_between(world, 1, 3) : 500),
        .fires_per_plan = (int32_t)world_between(world, 1, 16),
        .ready_grace_ms = world_between(world, 1, 300),
        .ready_max = (int32_t)(small ? world_between(world, 6, 12) : 200000),
        .sweep_interval_ms = 10000,
        .leases = world->admin_count > 1 || world_chance(world, 500),
    };
    world->heartbeat_ms = 1000;
    world->request_timeout_ms = 2000;
    if (world->variant == VARIANT_no_reaper) {
        world->settings.executor_lease_ms = 1000000000;
        world->settings.settle_ms = 1000000000;
    }
    if (world->variant == VARIANT_short_lease)
        world->settings.executor_lease_ms = 300;
}

static void process_init(struct world *world, struct process *process, int index)
{
    bool skewed = world->faults >> FAULT_skew & 1;
    int64_t skew = world_between(world, -2000, 2000);

    process->index = index;
    process->mono_offset = world_between(world, 1000, 1000000);
    process->skew = skewed ? skew : 0;
}

static void populate(struct world *world)
{
    world->store.process = (struct process){ .up = true, .generation = 1 };
    world->store.next_run_id = 1;
    for (int i = 0; i < SHARD_COUNT; i++)
        world->store.leases[i].shard = i;
    for (int i = 0; i < world->admin_count; i++) {
        struct admin *admin = &world->admins[i];
        process_init(world, &admin->process, 1 + i);
        snprintf(admin->name, sizeof admin->name, "a%d", i + 1);
        world_at(world, world_between(world, 0, 2000), NULL, admin_start, admin);
    }
    for (int i = 0; i < world->executor_count; i++) {
        struct executor_node *executor = &world->executors[i];
        process_init(world, &executor->process, 1 + ADMIN_MAX + i);
        snprintf(executor->name, sizeof executor->name, "e%d", i + 1);
        executor->slots = (int32_t)world_between(world, 1, 6);
        executor->places = (int32_t)world_between(world, 0, 2);
        world_at(world, world_between(world, 0, 2000), NULL, executor_start, executor);
    }
    world_at(world, 500, NULL, disturb, NULL);
    actor_start(world);
}

/* Faults stop. Of the admins and executors one at least stays or comes back; the others are gone
 * for good. Who stays has room for what the others leave. */
static void calm_down(struct world *world)
{
    int admin = (int)world_between(world, 0, world->admin_count - 1);
    int executor = (int)world_between(world, 0, world->executor_count - 1);

    world->quiet = true;
    world->quiet_since = world->now;
    world_trace(world, "quiet", admin, executor, 0);
    if (!world->store.process.up)
        db_back(world, NULL);
    for (size_t i = 0; i < world->store.job_count; i++)
        if (world->store.jobs[i].duration_ms > 1500)
            world->store.jobs[i].duration_ms = 1500;
    for (int i = 0; i < world->admin_count; i++) {
        struct admin *one = &world->admins[i];
        one->process.paused_until = one->jump = 0;
        if (i != admin && world_chance(world, 500))
            admin_crash(world, one, false);
        else if (!one->process.up)
            admin_start(world, one);
    }
    for (int i = 0; i < world->executor_count; i++) {
        struct executor_node *one = &world->executors[i];
        one->process.paused_until = 0;
        one->draining = false;
        one->slots = one->slots < 8 ? 8 : one->slots;
        if (i != executor && world_chance(world, 500))
            executor_crash(world, one, false);
        else if (!one->process.up)
            executor_start(world, one);
    }
}

void world_run(struct world *world, uint64_t seed, enum variant variant, uint32_t disabled)
{
    bool verbose = world->verbose;

    *world = (struct world){ .seed = seed,
                             .random = seed,
                             .variant = variant,
                             .verbose = verbose,
                             .hash = 0xcbf29ce484222325ULL,
                             .arena = arena_new() };
    choose_faults(world, disabled);
    world->admin_count = (int)world_between(world, 1, ADMIN_MAX);
    world->executor_count = (int)world_between(world, 1, EXECUTOR_MAX);
    choose_settings(world);
    populate(world);
    while (!world->failed && world_next(world, SAFETY_MS))
        ;
    world->now = SAFETY_MS;
    calm_down(world);
    while (!world->failed && world_next(world, SAFETY_MS + LIVELY_MS))
        ;
    world->now = SAFETY_MS + LIVELY_MS;
    if (!world->failed)
        actor_disable_all(world);
    for (int64_t end = world->now; end <= SAFETY_MS + LIVELY_MS + FINISH_MS; end += 1000) {
        while (!world->failed && world_next(world, end))
            ;
        if (world->failed || check_idle(world))
            break;
    }
    if (!world->failed)
        check_end(world);
}

void world_done(struct world *world)
{
    for (int i = 0; i < world->admin_count; i++) {
        scheduler_free(&world->admins[i].scheduler);
        arena_free(&world->admins[i].arena);
        map_done(&world->admins[i].requests);
        map_done(&world->admins[i].acks);
    }
    for (int i = 0; i < world->executor_count; i++) {
        map_done(&world->executors[i].seen);
        map_done(&world->executors[i].refused);
    }
    map_done(&world->store.runs);
    map_done(&world->store.keys);
    heap_done(&world->queue);
    arena_free(&world->arena);
}
