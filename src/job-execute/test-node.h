#ifndef BELFRY_JOB_EXECUTE_TEST_NODE_H
#define BELFRY_JOB_EXECUTE_TEST_NODE_H

#include "job-admin/client.h"
#include "job-execute/execute.h"

/*
 * A process with nothing but job-execute in it, and a job-admin played by the test: call_send ends
 * here, and what is reported can be looked at. The frame (service/) is not linked.
 */
struct test_result {
    struct admin_report_item item; /* texts are kept until the node goes */
    char incarnation[33];
    char instance[64];             /* who was told */
    int count;                     /* how often */
};

struct test_node {
    struct node node;
    struct config *config;
    struct event_base *base;
    struct execute *execute;
    struct arena *arena;
    char data_dir[64];
    const char *admins[4];         /* what the registry lists; default "local" */
    /* What job-admin says to a report: an ack_verdict, or -1: does not answer. */
    int (*verdict)(struct test_node *test, const char *instance,
                   const struct admin_report_item *item);
    bool away;                     /* no call gets through */
    bool no_logs;                  /* log chunks do not */
    struct test_result *results;   /* RESULTs as they came, one for each (run, attempt, token) */
    size_t result_count, result_capacity;
    size_t starts, beats, report_calls;
    struct buf log;                /* text of all chunks as they came */
    size_t chunks, last_chunks;
    int64_t log_dropped;
    int32_t beat_free;             /* of the last heartbeat */
    size_t beat_running;
    bool beat_draining;
};

/* settings: lines of an INI file, or NULL. data_dir NULL: a new one. */
void test_node_start(struct test_node *test, const char *settings, const char *data_dir);
/* The same under egress rules. */
void test_node_start_egress(struct test_node *test, struct egress *egress);
void test_node_stop(struct test_node *test);              /* and removes its folder */
void test_node_stop_keep(struct test_node *test);         /* leaves the folder */
/* Called first thing in main: the launcher is shared by all nodes of the program. */
void test_launcher_start(void);

/* A run with what is not given filled in. */
struct execute_run test_run(int64_t run_id, const char *type, const char *task);
/* Dispatches one; returns the verdict. */
enum dispatch_verdict test_dispatch(struct test_node *test, const struct execute_run *run);
bool test_ask(struct test_node *test, int64_t run_id, int32_t attempt, int32_t token);
bool test_stop(struct test_node *test, int64_t run_id, int32_t attempt, int32_t token);

/* Turns the loop until there are so many results, or fails after timeout_ms. */
void test_await_results(struct test_node *test, size_t count, int timeout_ms);
/* Turns the loop while the condition does not hold; fails after timeout_ms. */
void test_await(struct test_node *test, bool (*holds)(struct test_node *test), int timeout_ms);
void test_turn(struct test_node *test, int ms);
/* Result of a run; fails where there is none. */
const struct admin_report_item *test_result(struct test_node *test, int64_t run_id);
/* Runs one and gives its result. */
const struct admin_report_item *test_run_one(struct test_node *test, const char *type,
                                             const char *task, int timeout_ms);

#endif
