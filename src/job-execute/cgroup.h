#ifndef BELFRY_JOB_EXECUTE_CGROUP_H
#define BELFRY_JOB_EXECUTE_CGROUP_H

#include "job-execute/launcher.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A control group for each script, version 2 or 1, where this process may make them: it bounds
 * memory and processes of the whole tree exactly. Everything works without, less exactly
 * (supervisor.c watches).
 *
 *   v2: OWN/belfry-serve (this process moves there), OWN/belfry-scripts/NAME
 *   v1: OWN/belfry-PID/NAME in the hierarchies memory and pids
 */
enum { CGROUP_PATH_MAX = 512 };

struct cgroup_base {
    int version;                          /* 0: none can be made */
    char memory[CGROUP_PATH_MAX];         /* v2: of both */
    char pids[CGROUP_PATH_MAX];
};

struct cgroup {
    const struct cgroup_base *base;
    char memory[CGROUP_PATH_MAX + 96];
    char pids[CGROUP_PATH_MAX + 96];
    bool made;
};

/* Once, in the launcher; serving: the process to move along in v2. */
void cgroup_base_init(struct cgroup_base *base, int serving);
void cgroup_base_done(struct cgroup_base *base);

/* false: not made, go on without. */
bool cgroup_make(struct cgroup *cgroup, const struct cgroup_base *base, const char *name,
                 const struct launch_limits *limits);
/* Moves the calling process into it. */
bool cgroup_join(const struct cgroup *cgroup);
/* How often a limit was hit. */
int64_t cgroup_memory_hits(const struct cgroup *cgroup);
int64_t cgroup_process_hits(const struct cgroup *cgroup);
int64_t cgroup_memory_peak(const struct cgroup *cgroup);
/* Processes in it, zombies apart: none, when the tree is gone. KILLs them where kill is set. */
int cgroup_members(const struct cgroup *cgroup, bool kill);
void cgroup_remove(struct cgroup *cgroup);

#endif
