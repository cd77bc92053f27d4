#include "job-execute/process-tree.h"

#include "base/clock.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- reading /proc ---------------------------------------------------------------------------- */

static ssize_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -1;
    n = read(fd, text, size - 1);
    close(fd);
    if (n >= 0)
        text[n] = '\0';
    return n;
}

static void tree_add(struct process_tree *tree, pid_t pid)
{
    if (tree->count == tree->capacity) {
        tree->capacity = tree->capacity ? tree->capacity * 2 : 64;
        tree->pids = memory_resize(tree->pids, tree->capacity * sizeof *tree->pids);
    }
    tree->pids[tree->count++] = pid;
}

static void add_numbers(struct process_tree *tree, const char *text)
{
    char *end;
    long pid;

    while ((pid = strtol(text, &end, 10)) > 0 && end != text) {
        tree_add(tree, (pid_t)pid);
        text = end;
    }
}

/* /proc/PID/task/TID/children of all threads; false where the kernel has no such file. Its length
 * is not bounded, so it is read in pieces that end at a space. */
static int children_of_task(struct process_tree *tree, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[4096];
    size_t used = 0;
    ssize_t n;

    if (fd < 0)
        return errno == ENOENT ? -1 : 0;
    while ((n = read(fd, text + used, sizeof text - 1 - used)) > 0) {
        char *space;

        used += (size_t)n;
        text[used] = '\0';
        space = strrchr(text, ' ');
        if (!space)
            continue;
        *space = '\0';
        add_numbers(tree, text);
        used = (size_t)(text + used - (space + 1));
        memmove(text, space + 1, used);
    }
    close(fd);
    return 0;
}

static size_t children_of(struct process_tree *tree, pid_t pid)
{
    char path[64];
    DIR *tasks;
    const struct dirent *entry;
    size_t count = 0;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    tasks = opendir(path);
    while (tasks && (entry = readdir(tasks))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, entry->d_name);
        children_of_task(tree, path);
        count++;
    }
    if (tasks)
        closedir(tasks);
    return count;
}

static bool children_files(void)
{
    static int have;
    char path[64];

    if (!have) {
        snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
        have = access(path, R_OK) == 0 ? 1 : -1;
    }
    return have > 0;
}

/* Parent in /proc/PID/stat: behind the name, which may hold anything but ends at the last ')'. */
pid_t process_parent(pid_t pid)
{
    char path[64], text[512];
    const char *end;
    int parent;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_file(path, text, sizeof text) <= 0 || !(end = strrchr(text, ')')) ||
        sscanf(end + 1, " %*c %d", &parent) != 1)
        return 0;
    return parent;
}

struct pair {
    pid_t pid, parent;
};

static size_t all_processes(struct pair **ret_pairs)
{
    struct pair *pairs = NULL;
    size_t count = 0, capacity = 0;
    DIR *proc = opendir("/proc");
    const struct dirent *entry;

    while (proc && (entry = readdir(proc))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid <= 0)
            continue;
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 256;
            pairs = memory_resize(pairs, capacity * sizeof *pairs);
        }
        pairs[count++] = (struct pair){ pid, process_parent(pid) };
    }
    if (proc)
        closedir(proc);
    *ret_pairs = pairs;
    return count;
}

static void tree_read_slowly(struct process_tree *tree, pid_t root)
{
    struct pair *pairs;
    size_t count = all_processes(&pairs);

    for (size_t done = 0;; done++) {
        pid_t parent = done ? tree->pids[done - 1] : root;

        for (size_t i = 0; i < count; i++)
            if (pairs[i].parent == parent)
                tree_add(tree, pairs[i].pid);
        if (done == tree->count)
            break;
    }
    free(pairs);
}

static int64_t memory_of(pid_t pid)
{
    char path[64], text[128];
    long long resident, shared;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (read_file(path, text, sizeof text) <= 0 ||
        sscanf(text, "%*s %lld %lld", &resident, &shared) != 2)
        return 0;
    return (resident - shared) * (int64_t)sysconf(_SC_PAGESIZE);
}

void process_tree_read(struct process_tree *tree, pid_t root, bool usage)
{
    bool fast = children_files();

    tree->count = tree->tasks = 0;
    tree->memory = 0;
    if (fast)
        children_of(tree, root);
    else
        tree_read_slowly(tree, root);
    for (size_t i = 0; i < tree->count; i++) {
        tree->tasks += fast ? children_of(tree, tree->pids[i]) : 1;
        if (usage)
            tree->memory += memory_of(tree->pids[i]);
    }
}

void process_tree_done(struct process_tree *tree)
{
    free(tree->pids);
    *tree = (struct process_tree){ 0 };
}

size_t process_count_user(uid_t uid)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    size_t count = 0;

    while (proc && (entry = readdir(proc))) {
        struct stat status;

        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            fstatat(dirfd(proc), entry->d_name, &status, 0) < 0 || status.st_uid != uid)
            continue;
        /* The task folder has a link for each thread, and two of its own. */
        char path[300];
        snprintf(path, sizeof path, "%.270s/task", entry->d_name);
        count += fstatat(dirfd(proc), path, &status, 0) == 0 ? (size_t)status.st_nlink - 2 : 1;
    }
    if (proc)
        closedir(proc);
    return count;
}

/* --- ending ----------------------------------------------------------------------------------- */

void process_tree_signal(pid_t root, int signal)
{
    struct process_tree tree = { 0 };

    process_tree_read(&tree, root, false);
    for (size_t i = 0; i < tree.count; i++)
        kill(tree.pids[i], signal);
    process_tree_done(&tree);
}

static int pid_compare(const void *a, const void *b)
{
    pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

    return left < right ? -1 : left > right;
}

/* Stops all until nobody is left who could fork. Both trees are sorted by pid here. */
static void tree_freeze(struct process_tree *tree, pid_t root, int64_t until_ms)
{
    struct process_tree before = { 0 };
    size_t fresh;

    do {
        struct process_tree swap = before;

        before = *tree;
        *tree = swap;
        process_tree_read(tree, root, false);
        if (tree->count)
            qsort(tree->pids, tree->count, sizeof *tree->pids, pid_compare);
        fresh = 0;
        for (size_t i = 0; i < tree->count; i++) {
            if (before.count && bsearch(&tree->pids[i], before.pids, before.count,
                                        sizeof *before.pids, pid_compare))
                continue;
            fresh += kill(tree->pids[i], SIGSTOP) == 0;
        }
    } while (fresh && clock_mono_ms() < until_ms);
    process_tree_done(&before);
}

static void reap_all(process_reaped *reaped, void *ctx)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0 || (pid < 0 && errno == EINTR))
        if (pid > 0 && reaped)
            reaped(ctx, pid, status);
}

int process_tree_kill(pid_t root, int timeout_ms, process_reaped *reaped, void *ctx)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    struct process_tree tree = { 0 };
    int left;

    do {
        tree_freeze(&tree, root, until_ms);
        for (size_t i = 0; i < tree.count; i++)
            kill(tree.pids[i], SIGKILL);
        left = (int)tree.count;
        reap_all(reaped, ctx);
        if (left)
            poll(NULL, 0, 1); /* they need a moment to die */
    } while (left && clock_mono_ms() < until_ms);
    process_tree_done(&tree);
    return left;
}
