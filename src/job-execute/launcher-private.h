#ifndef BELFRY_JOB_EXECUTE_LAUNCHER_PRIVATE_H
#define BELFRY_JOB_EXECUTE_LAUNCHER_PRIVATE_H

#include "job-execute/launcher.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * What goes between the serving process, the launcher and the supervisors. All three are the same
 * program in one fork after another, so structs go as they are.
 *
 * A request to the launcher is one byte with four descriptors: a memfd with struct launch_wire and
 * its bytes, the write ends of stdout and stderr, and the supervisor's end of control.
 */
enum { LAUNCH_FD_REQUEST, LAUNCH_FD_OUT, LAUNCH_FD_ERR, LAUNCH_FD_CONTROL, LAUNCH_FD_COUNT };
enum { LAUNCH_MAGIC = 0x424c5701 };

struct launch_wire {
    uint32_t magic;
    uint32_t argc, envc;
    uint32_t texts_size;          /* NUL-terminated: path, argv…, env…, then those of the enum */
    uint32_t script_size, input_size;
    int32_t has_script, has_input, cgroup;
    int32_t nice, grace_ms;
    struct launch_limits limits;
    /* texts, script, input follow */
};
/* Texts behind argv and env; "" stands for NULL. */
enum { TEXT_SCRIPT_NAME, TEXT_WORK_ROOT, TEXT_WORK_NAME, TEXT_CWD, TEXT_USER, TEXT_COUNT };

/* The same as the supervisor sees it: pointers into the mapped request. */
struct launch_order {
    const struct launch_wire *wire;
    const char *path;
    const char **argv, **env;
    const char *texts[TEXT_COUNT]; /* NULL where "" */
    const char *script, *input;
};

/* On control, from the supervisor: first the start or why there was none, then the end. */
enum launch_message_kind { LAUNCH_MESSAGE_STARTED, LAUNCH_MESSAGE_FAILED, LAUNCH_MESSAGE_ENDED };
/* What failed before the program ran. */
enum launch_step { STEP_WORK_DIR, STEP_SCRIPT, STEP_INPUT, STEP_USER, STEP_FORK, STEP_LIMITS,
                   STEP_SET_USER, STEP_CWD, STEP_EXEC, STEP_REQUEST };
struct launch_message {
    int32_t kind;
    int32_t step, error;          /* FAILED */
    int32_t end;                  /* ENDED: enum launch_end */
    int32_t exit_code, signal;
    int32_t left_behind, survivors;
    int64_t cpu_ms, memory_peak;
};
/* To the supervisor: one byte. The end of the socket means: KILL all at once. */
enum { LAUNCH_STOP = 'T', LAUNCH_KILL = 'K' };

/* The launcher's process: never returns. */
void launcher_main(int fd) __attribute__((noreturn));

#endif
