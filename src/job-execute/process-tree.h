#ifndef BELFRY_JOB_EXECUTE_PROCESS_TREE_H
#define BELFRY_JOB_EXECUTE_PROCESS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The descendants of a process, by /proc. Under a subreaper nobody leaves the tree: an orphan
 * becomes the subreaper's child.
 */
struct process_tree {
    pid_t *pids;              /* without the root, parents before children */
    size_t count, capacity;
    size_t tasks;             /* threads of all of them */
    int64_t memory;           /* bytes that are in no file: what they really take */
};

/* Reads it anew; with usage also tasks and memory. */
void process_tree_read(struct process_tree *tree, pid_t root, bool usage);
void process_tree_done(struct process_tree *tree);

/*
 * Ends all descendants: stops them until a pass finds none that is not stopped, so that they cannot
 * fork away, then kills and reaps. Reaps any child of this process. Returns how many are left after
 * timeout_ms: 0, unless one hangs in the kernel.
 */
typedef void process_reaped(void *ctx, pid_t pid, int status);
int process_tree_kill(pid_t root, int timeout_ms, process_reaped *reaped, void *ctx);
void process_tree_signal(pid_t root, int signal);
pid_t process_parent(pid_t pid); /* 0: gone */
/* Tasks of a user on this machine: RLIMIT_NPROC counts these. */
size_t process_count_user(uid_t uid);

#endif
