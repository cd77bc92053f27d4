#ifndef BELFRY_JOB_EXECUTE_SUPERVISOR_H
#define BELFRY_JOB_EXECUTE_SUPERVISOR_H

#include "job-execute/cgroup.h"
#include "job-execute/launcher-private.h"

/*
 * One process for each script, between the launcher and the program. It makes the private folder,
 * starts the program under its limits, and answers for its end:
 *
 *   STARTING ──exec──► RUNNING ──program ended──► LINGERING ──1 s──► TERM sent ──grace──► KILL ─┐
 *      │                  │                           │                  │                      ▼
 *      └──FAILED          └──────stop, limit──────────┴── no child left ─┴──────────────────► ENDED
 *
 * It is a subreaper, so it always has a child while any descendant of the program lives: that
 * waitpid says ECHILD is the proof that nobody is left. The end of control (the serving process
 * died) is KILL at once.
 */
void supervisor_main(const int fds[LAUNCH_FD_COUNT], int signals, const struct cgroup_base *cgroups)
    __attribute__((noreturn));

/* supervisor-child.c, in the child: becomes the program, or writes a launch_message to error_fd. */
struct supervisor_child {
    const struct launch_order *order;
    int out, err, input, error_fd;
    pid_t supervisor;
    bool set_user;
    uid_t uid;
    gid_t gid;
    const struct cgroup *cgroup;  /* NULL: none; then rlimits stand in */
    const char *cwd;
    size_t user_tasks;            /* of uid, before this one */
};
void supervisor_child_main(const struct supervisor_child *child) __attribute__((noreturn));

/* work-dir.c: a folder with its script, removed with all that is in it. */
struct work_dir {
    int root_fd;                  /* of work_root; -1: not made */
    const char *name;
    char path[1024], script[1200];
};
/* 0, or -1 with errno and the step that failed. */
int work_dir_make(struct work_dir *dir, const struct launch_order *order, uid_t uid, gid_t gid,
                  enum launch_step *ret_step);
void work_dir_remove(struct work_dir *dir);
/* Removes what is in a folder: what a crash has left. */
void work_root_clear(const char *path);

#endif
