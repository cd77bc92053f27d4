#ifndef BELFRY_BELFRY_RUN_PRINT_H
#define BELFRY_BELFRY_RUN_PRINT_H

#include "base/buf.h"
#include "belfry/command.h"
#include "belfry/table.h"
#include "json/json-tree.h"

/* What several commands do with runs and lists. */

/*
 * Prints a list: with --json as one JSON array of the items, else the table that on_item fills.
 * --limit bounds it; limit is the bound without that option, 0: none.
 */
int list_print(struct cli *cli, const char *path, int64_t limit,
               void (*on_item)(void *ctx, const struct json_node *item), void *ctx,
               const struct table *table, struct error *err);
/* Adds --from and --to as from= and to=. ERR_INVALID without path: a mistake on the line. */
int query_times_add(struct cli *cli, struct buf *path, struct error *err);

/* "run 123 of default/hello SUCCEEDED after 20 ms", and for others the cause. */
const char *run_sentence(struct cli *cli, const struct json_node *run);
bool run_is_over(struct cli *cli, const struct json_node *run);
/* Waits until the run is over. */
int run_wait(struct cli *cli, const char *run_id, const struct json_node **ret_run,
             struct error *err);
/* Prints the run's log as it grows until the run is over. attempt NULL: the last one. */
int run_log_follow(struct cli *cli, const char *run_id, const char *attempt, struct error *err);
void log_line_print(struct cli *cli, const struct json_node *line);

/* Table of runs: columns, and a row for the ctx of list_print. */
struct run_table {
    struct cli *cli;
    struct table *table;
};
struct run_table run_table_new(struct cli *cli);
void run_row_add(void *run_table, const struct json_node *run);

void job_status_print(struct cli *cli, const struct json_node *status);

#endif
