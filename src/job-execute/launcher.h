#ifndef BELFRY_JOB_EXECUTE_LAUNCHER_H
#define BELFRY_JOB_EXECUTE_LAUNCHER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The process that serves never forks. A small launcher, started before any thread or loop exists,
 * starts one supervisor per child process it is asked for; the supervisor (supervisor.h) starts the
 * program, limits it, and ends all of its descendants when it is told to, when the program has
 * ended, or when this process has gone, even by kill -9.
 *
 *   belfry ──(SOCK_SEQPACKET, descriptors)──► launcher ──fork──► supervisor ──fork──► program
 *      ▲                                                             │
 *      └───────── stdout, stderr (pipes), control (SOCK_SEQPACKET) ──┘
 */
struct launcher;
struct launch;
struct event_base;

/* In main, first thing: forks the launcher. Errors: ERR_IO. */
int launcher_start(struct launcher **ret_launcher, struct error *err);
/* Ends it (its supervisors end what they run when this process ends). Accepts NULL. */
void launcher_free(struct launcher **launcher);
/* To be called once the loop exists. gone: the launcher died; nothing can be started any more. */
int launcher_attach(struct launcher *launcher, struct event_base *base, void (*gone)(void *ctx),
                    void *ctx, struct error *err);
/* Before the loop goes: drops all launches without calling done; their supervisors end them. */
void launcher_detach(struct launcher *launcher);

struct launch_limits {      /* 0: no limit */
    int64_t memory;         /* bytes of the whole tree */
    int64_t processes;      /* processes and threads of the whole tree */
    int64_t cpu_s;          /* of one process */
    int64_t files;          /* open files of one process */
};

struct launch_request {
    const char *path;               /* absolute, of the interpreter */
    const char *const *argv;        /* NULL-terminated; argv[0] too */
    const char *const *env;         /* NULL-terminated "NAME=value"s; nothing else is passed on */
    const char *script;             /* text for a file in the work dir, path is argv[1] */
    size_t script_size;             /* script NULL: no file */
    const char *script_name;        /* of that file */
    const char *input;              /* standard input; NULL: /dev/null */
    size_t input_size;
    const char *work_root;          /* a private directory is made in it (0700) and removed after */
    const char *work_name;          /* its name: unique */
    const char *cwd;                /* NULL: the private directory */
    const char *user;               /* NULL: as this process */
    int nice;
    int grace_ms;                   /* from TERM to KILL */
    bool cgroup;                    /* in a control group of its own, where one can be made */
    struct launch_limits limits;
};

enum launch_end {
    LAUNCH_EXITED,          /* by itself: exit_code or signal */
    LAUNCH_STOPPED,         /* by launch_stop */
    LAUNCH_MEMORY,          /* over limits.memory */
    LAUNCH_PROCESSES,       /* over limits.processes */
    LAUNCH_NOT_STARTED,     /* err says why */
    LAUNCH_LOST,            /* supervisor died */
};

struct launch_result {
    enum launch_end end;
    int exit_code;          /* -1: none */
    int signal;             /* 0: none */
    int64_t cpu_ms;         /* user and system time of the whole tree as far as it was waited for */
    int64_t memory_peak;    /* bytes; of the tree with a cgroup, else of its largest process */
    int left_behind;        /* descendants that outlived the program and were ended */
    int survivors;          /* proof: descendants that could not be ended. 0 */
    const struct error *err;
};

struct launch_events {
    void (*started)(void *ctx);
    /* Bytes of stdout (stream 1) or stderr (2). */
    void (*output)(void *ctx, int stream, const char *bytes, size_t size);
    /* Once, last: the tree is gone and its pipes are read to their end. */
    void (*done)(void *ctx, const struct launch_result *result);
};

/* Never fails at once: what goes wrong comes to done, later on the loop. */
struct launch *launcher_run(struct launcher *launcher, const struct launch_request *request,
                            const struct launch_events *events, void *ctx);
/* TERM to the whole tree, KILL after grace_ms. Again: KILL at once. */
void launch_stop(struct launch *launch);
/* Stops reading the pipes (the program blocks when they are full) and goes on. */
void launch_pause(struct launch *launch, bool paused);

#endif
