#include "job-execute/test-node.h"

#include "base/clock.h"
#include "job-execute/process-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Scripts that mean well and scripts that do not, each with proof that nobody is left. */

static struct test_node node;

static int start_with(void **state, const char *settings)
{
    *state = &node;
    test_node_start(&node, settings, NULL);
    return 0;
}

static int start(void **state)
{
    return start_with(state, "[execute]\nstop_grace = 300ms\n");
}

static int start_watching(void **state)
{
    return start_with(state, "[execute]\nstop_grace = 300ms\ncgroups = off\n");
}

static int stop(void **state)
{
    (void)state;
    test_node_stop(&node);
    return 0;
}

/* --- proof ------------------------------------------------------------------------------------ */

static bool is_marked(pid_t pid, const char *mark)
{
    char path[64], text[8192];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof text);
    close(fd);
    return n > 0 && memmem(text, (size_t)n, mark, strlen(mark) + 1);
}

/* Processes on this machine, whoever their parent is, that descend from the run's script. */
static int count_of_run(int64_t run_id)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    char mark[64];
    int count = 0;

    snprintf(mark, sizeof mark, "BELFRY_RUN_ID=%lld", (long long)run_id);
    while ((entry = readdir(proc)))
        if (atol(entry->d_name) > 0)
            count += is_marked((pid_t)atol(entry->d_name), mark);
    closedir(proc);
    return count;
}

static int64_t fresh_run_id(void)
{
    static int64_t next;

    if (!next)
        next = (int64_t)getpid() * 1000000;
    return ++next;
}

static struct execute_run script_run(const char *task)
{
    return test_run(fresh_run_id(), "script", task);
}

static const struct admin_report_item *run_to_end(struct execute_run *run, int timeout_ms)
{
    const struct admin_report_item *item;

    assert_int_equal(test_dispatch(&node, run), DISPATCH_TAKEN);
    test_await_results(&node, node.result_count + 1, timeout_ms);
    item = test_result(&node, run->run_id);
    assert_int_equal(count_of_run(run->run_id), 0);
    return item;
}

static const struct admin_report_item *run_script(const char *task, int timeout_ms)
{
    struct execute_run run = script_run(task);

    return run_to_end(&run, timeout_ms);
}

static int64_t run_in_log;

static bool is_running(struct test_node *test)
{
    return strstr(buf_text(&test->log), "here we are") != NULL && count_of_run(run_in_log) > 0;
}

/* Dispatches a script that prints "here we are", and waits for that. */
static struct execute_run start_script(const char *task)
{
    struct execute_run run = script_run(task);

    run_in_log = run.run_id;
    assert_int_equal(test_dispatch(&node, &run), DISPATCH_TAKEN);
    test_await(&node, is_running, 10000);
    return run;
}

static const char *text_awaited;

static bool log_has_awaited(struct test_node *test)
{
    return strstr(buf_text(&test->log), text_awaited) != NULL;
}

/* A result does not wait for the log: the last lines may come after it. */
static void assert_log_has(const char *text)
{
    text_awaited = text;
    test_await(&node, log_has_awaited, 10000);
}

/* --- those that mean well --------------------------------------------------------------------- */

static void test_script_true(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = run_script("{\"interpreter\":\"sh\",\"script\":\"true\"}", 5000);
    assert_int_equal(item->outcome, RUN_SUCCEEDED);
    assert_int_equal(item->cause, CAUSE_OK);
    assert_int_equal(item->exit_code, 0);
    assert_true(item->memory_peak > 0);
    assert_true(item->started_at > 0 && item->ended_at >= item->started_at);
    assert_int_equal(node.chunks, 0);   /* no lines, no log */
}

static void test_script_output_and_log(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = run_script("{\"interpreter\":\"python3\",\"args\":[\"${fire_date-1d:yyyyMMdd}\"],"
                      "\"script\":\"import sys\\nprint('hello')\\nprint('oops', file=sys.stderr)\\n"
                      "print('{\\\"day\\\": \\\"' + sys.argv[1] + '\\\"}')\\n\"}", 10000);
    assert_int_equal(item->outcome, RUN_SUCCEEDED);
    assert_string_equal(item->output, "{\"day\":\"20251124\"}");
    assert_log_has(" o hello\n");
    assert_log_has(" e oops\n");
    assert_int_equal(node.last_chunks, 1);
}

static void test_script_exit_code_and_signal(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = run_script("{\"interpreter\":\"sh\",\"script\":\"echo '{\\\"a\\\":1}'; exit 3\"}", 5000);
    assert_int_equal(item->outcome, RUN_FAILED);
    assert_int_equal(item->cause, CAUSE_EXIT_CODE);
    assert_int_equal(item->exit_code, 3);
    assert_string_equal(item->output, "{\"a\":1}");
    item = run_script("{\"interpreter\":\"sh\",\"script\":\"kill -SEGV $$\"}", 5000);
    assert_int_equal(item->cause, CAUSE_SIGNAL);
    assert_int_equal(item->signal, SIGSEGV);
    assert_int_equal(item->exit_code, -1);
}

static void test_script_input_and_parameters(void **state)
{
    struct json_pair pairs[] = { { (char *)(intptr_t)"WHO", (char *)(intptr_t)"o'k; rm -rf / $(id)" } };
    struct execute_run run = script_run(
        "{\"interpreter\":\"bash\",\"stdin\":\"to ${WHO}\",\"args\":[\"${WHO}\"],"
        "\"env\":[{\"name\":\"W\",\"value\":\"<${WHO}>\"}],"
        "\"script\":\"cat; echo; echo \\\"$1\\\"; echo \\\"$W\\\"; echo \\\"$BELFRY_PARAM_WHO\\\"\"}");

    (void)state;
    run.parameters = pairs;
    run.parameter_count = 1;
    assert_int_equal(run_to_end(&run, 5000)->outcome, RUN_SUCCEEDED);
    assert_log_has(" o to o'k; rm -rf / $(id)\n");
    assert_log_has(" o <o'k; rm -rf / $(id)>\n");
}

static void test_script_finds_nothing_of_ours(void **state)
{
    (void)state;
    setenv("BELFRY_STORE_PASSWORD", "geheim", 1);
    run_script("{\"interpreter\":\"sh\",\"script\":\"env; ls -l /proc/self/fd; "
               "grep -E 'NoNewPrivs|SigIgn|SigBlk' /proc/self/status; pwd; umask; echo tz $TZ\"}",
               5000);
    assert_log_has("NoNewPrivs:\t1\n");
    assert_log_has("SigIgn:\t0000000000000000\n");
    assert_log_has("SigBlk:\t0000000000000000\n");
    assert_log_has("tz Asia/Shanghai\n");
    assert_log_has("BELFRY_FIRE_TIME=2025-11-25T09:30:00+08:00\n");
    assert_null(strstr(buf_text(&node.log), "geheim"));
    assert_null(strstr(buf_text(&node.log), " 4 -> ")); /* 0, 1, 2, and the folder ls reads */
}

static void test_script_runs_as_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    run_script("{\"interpreter\":\"sh\",\"script\":\"id -u; id -G; touch mine; ls -ld . mine\"}", 5000);
    assert_log_has(" o 65534\n");
    assert_null(strstr(buf_text(&node.log), " o 0\n"));
    assert_log_has("drwx------");
}

static bool is_empty(struct test_node *test)
{
    DIR *folder = opendir(test->execute->settings.work_dir);
    int count = 0;

    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count == 2;
}

static void test_script_folder_is_removed(void **state)
{
    (void)state;
    run_script("{\"interpreter\":\"sh\",\"script\":\"mkdir -p a/b/c && touch a/b/c/d && ln -s /etc e && "
               "mkdir locked && touch locked/x && chmod 000 locked\"}", 5000);
    test_await(&node, is_empty, 3000);
    assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static void test_script_cannot_start(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = run_script("{\"interpreter\":\"sh\",\"script\":\"true\",\"cwd\":\"/no/such\"}", 5000);
    assert_int_equal(item->outcome, RUN_FAILED);
    assert_int_equal(item->cause, CAUSE_START);
    assert_non_null(strstr(item->message, "working directory"));
    item = run_script("{\"interpreter\":\"sh\",\"script\":\"true\",\"user\":\"root\"}", 5000);
    assert_int_equal(item->cause, CAUSE_START);
    item = run_script("{\"interpreter\":\"ruby\",\"script\":\"true\"}", 5000);
    assert_int_equal(item->cause, CAUSE_TASK);
    assert_true(item->no_retry);
    item = run_script("{\"interpreter\":\"sh\",\"script\":\"true\",\"args\":[\"${NOBODY}\"]}", 5000);
    assert_int_equal(item->cause, CAUSE_TASK);
}

/* --- those that do not ------------------------------------------------------------------------ */

static void test_script_timeout(void **state)
{
    struct execute_run run = script_run("{\"interpreter\":\"sh\",\"script\":\"sleep 60\"}");
    int64_t begun = clock_mono_ms();

    (void)state;
    run.timeout_ms = 200;
    assert_int_equal(run_to_end(&run, 5000)->outcome, RUN_TIMED_OUT);
    assert_int_equal(test_result(&node, run.run_id)->cause, CAUSE_TIMEOUT);
    assert_in_range(clock_mono_ms() - begun, 200, 3000);
}

static void test_script_ignores_term(void **state)
{
    struct execute_run run = script_run(
        "{\"interpreter\":\"bash\",\"script\":\"trap '' TERM INT HUP; (trap '' TERM; setsid sleep 70) & "
        "while :; do sleep 1; done\"}");

    (void)state;
    run.timeout_ms = 300;
    assert_int_equal(run_to_end(&run, 8000)->outcome, RUN_TIMED_OUT);
}

static void test_script_stop(void **state)
{
    struct execute_run run =
        start_script("{\"interpreter\":\"sh\",\"script\":\"echo here we are; sleep 60\"}");

    (void)state;
    assert_true(test_stop(&node, run.run_id, 1, 1));
    test_await_results(&node, 1, 5000);
    assert_int_equal(test_result(&node, run.run_id)->outcome, RUN_CANCELLED);
    assert_int_equal(test_result(&node, run.run_id)->cause, CAUSE_STOPPED);
    assert_int_equal(count_of_run(run.run_id), 0);
    assert_false(test_stop(&node, run.run_id, 2, 2));
}

/* Two forks, a session of its own, the pipe kept open: gone with the script all the same. */
static void test_script_forks_away(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = run_script("{\"interpreter\":\"python3\",\"script\":\"import os, time\\n"
                      "if os.fork() == 0:\\n os.setsid()\\n if os.fork() == 0:\\n  time.sleep(90)\\n"
                      " os._exit(0)\\nprint('bye')\\n\"}", 10000);
    assert_int_equal(item->outcome, RUN_SUCCEEDED);
    assert_log_has("1 descendants outlived the script");
}

static void test_script_closes_stdout_and_lives(void **state)
{
    (void)state;
    assert_int_equal(run_script("{\"interpreter\":\"sh\",\"script\":\"exec >&- 2>&- <&-; sleep 0.4; "
                                "exit 4\"}", 5000)->exit_code, 4);
}

static void test_script_zombies(void **state)
{
    struct execute_run run = start_script(
        "{\"interpreter\":\"python3\",\"script\":\"import os, time\\nfor i in range(20):\\n"
        " if os.fork() == 0: os._exit(0)\\nprint('here we are')\\ntime.sleep(60)\\n\"}");

    (void)state;
    assert_true(test_stop(&node, run.run_id, 1, 1));
    test_await_results(&node, 1, 5000);
    assert_int_equal(count_of_run(run.run_id), 0);
}

static void test_script_fork_bomb(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = run_script("{\"interpreter\":\"bash\",\"limits\":{\"processes\":30},"
                      "\"script\":\"f() { f | f & }; f; sleep 20\"}", 20000);
    assert_int_equal(item->outcome, RUN_FAILED);
    assert_int_equal(item->cause, CAUSE_PROCESSES);
}

static void test_script_fills_memory(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = run_script("{\"interpreter\":\"python3\",\"limits\":{\"memory\":67108864},"
                      "\"script\":\"a = []\\nwhile True: a.append(bytearray(1 << 20))\\n\"}", 20000);
    assert_int_equal(item->outcome, RUN_FAILED);
    assert_int_equal(item->cause, CAUSE_MEMORY);
}

/* Each of the tree is small, all of them together are not. */
static void test_script_fills_memory_together(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = run_script("{\"interpreter\":\"python3\",\"limits\":{\"memory\":134217728},"
                      "\"script\":\"import os, time\\nfor i in range(8):\\n if os.fork() == 0:\\n"
                      "  a = bytearray(b'x') * (40 << 20)\\n  time.sleep(30)\\ntime.sleep(30)\\n\"}",
                      20000);
    assert_int_equal(item->cause, CAUSE_MEMORY);
}

static void test_script_cpu_limit(void **state)
{
    const struct admin_report_item *item;

    (void)state;
    item = run_script("{\"interpreter\":\"sh\",\"limits\":{\"cpu_s\":1},"
                      "\"script\":\"while :; do :; done\"}", 20000);
    assert_int_equal(item->cause, CAUSE_SIGNAL);
    assert_true(item->cpu_ms >= 300); /* the kernel counts for the limit by ticks, here exactly */
    assert_non_null(strstr(item->message, "CPU"));
}

static int64_t memory_high_water(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    long long kib = 0;

    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lld", &kib) == 1)
            break;
    fclose(file);
    return kib * 1024;
}

/* 10 GB are on their way; the limit ends it, the quota keeps the beginning, memory is flat. */
static void test_script_floods(void **state)
{
    int64_t before = memory_high_water();
    const struct admin_report_item *item;

    (void)state;
    item = run_script("{\"interpreter\":\"sh\",\"script\":\"yes 'all work and no play' | "
                      "head -c 10000000000\",\"limits\":{\"output\":200000000}}", 60000);
    if (item->cause != CAUSE_OUTPUT_LIMIT)
        fail_msg("cause %d: %s", item->cause, item->message);
    assert_true(item->log_bytes <= 1 << 20);
    assert_true(item->log_dropped > 150000000);
    assert_true(node.log.size <= (1 << 20) + 4096);
    assert_true(memory_high_water() - before < 16 << 20);
}

static void test_script_long_line(void **state)
{
    (void)state;
    assert_int_equal(run_script("{\"interpreter\":\"sh\",\"script\":\"head -c 100000000 /dev/zero | tr '\\\\0' x; "
                                "echo; echo after\"}", 20000)->outcome, RUN_SUCCEEDED);
    assert_log_has(" o after\n");
    assert_true(node.log.size < 20000);
}

/* --- when we die ------------------------------------------------------------------------------ */

static pid_t pid_with_name(const char *name, pid_t parent)
{
    struct process_tree tree = { 0 };
    pid_t found = 0;

    process_tree_read(&tree, parent, false);
    for (size_t i = 0; i < tree.count && !found; i++) {
        char path[64], text[32] = "";
        int fd;

        snprintf(path, sizeof path, "/proc/%d/comm", (int)tree.pids[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (read(fd, text, sizeof text - 1) > 0 && !strncmp(text, name, strlen(name)))
            found = tree.pids[i];
        close(fd);
    }
    process_tree_done(&tree);
    return found;
}

static void test_script_supervisor_killed(void **state)
{
    struct execute_run run = start_script(
        "{\"interpreter\":\"bash\",\"script\":\"setsid sleep 80 & echo here we are; sleep 60\"}");
    int64_t until = clock_mono_ms() + 3000;

    (void)state;
    assert_int_equal(kill(pid_with_name("belfry-super", getpid()), SIGKILL), 0);
    test_await_results(&node, 1, 5000);
    assert_int_equal(test_result(&node, run.run_id)->outcome, RUN_FAILED);
    while (count_of_run(run.run_id) && clock_mono_ms() < until)
        poll(NULL, 0, 10);
    assert_int_equal(count_of_run(run.run_id), 0);
}

static const char nasty[] =
    "{\"interpreter\":\"python3\",\"script\":\"import os, signal, time\\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\\n"
    "for i in range(3):\\n if os.fork() == 0:\\n  os.setsid()\\n  if os.fork() == 0: time.sleep(99)\\n"
    "  os._exit(0)\\nprint('here we are')\\ntime.sleep(99)\\n\"}";

/* The process that is killed: says so when its script runs, and waits. */
static int victim(int64_t run_id)
{
    struct execute_run run = test_run(run_id, "script", nasty);

    test_launcher_start();
    test_node_start(&node, NULL, NULL);
    run_in_log = run_id;
    test_dispatch(&node, &run);
    test_await(&node, is_running, 10000);
    if (write(STDOUT_FILENO, "ready\n", 6) == 6)
        test_turn(&node, 30000);
    return 1;
}

static pid_t victim_start(int64_t run_id)
{
    char text[32], line[8];
    int fds[2];
    pid_t pid;

    snprintf(text, sizeof text, "%lld", (long long)run_id);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execl("/proc/self/exe", "victim", text, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], line, 6), 6);
    close(fds[0]);
    assert_true(count_of_run(run_id) >= 4);
    return pid;
}

static void assert_gone_within(int64_t run_id, int ms)
{
    int64_t until = clock_mono_ms() + ms;

    while (count_of_run(run_id) && clock_mono_ms() < until)
        poll(NULL, 0, 10);
    assert_int_equal(count_of_run(run_id), 0);
}

static void test_script_executor_killed(void **state)
{
    int64_t run_id = fresh_run_id();
    pid_t pid = victim_start(run_id);

    (void)state;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_gone_within(run_id, 2000);
}

static void test_script_launcher_killed(void **state)
{
    int64_t run_id = fresh_run_id();
    pid_t pid = victim_start(run_id);
    int status;

    (void)state;
    assert_int_equal(kill(pid_with_name("belfry-launch", pid), SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), SERVICE_EXIT_DEPENDENCY);
    assert_gone_within(run_id, 2000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_script_true, start, stop),
        cmocka_unit_test_setup_teardown(test_script_output_and_log, start, stop),
        cmocka_unit_test_setup_teardown(test_script_exit_code_and_signal, start, stop),
        cmocka_unit_test_setup_teardown(test_script_input_and_parameters, start, stop),
        cmocka_unit_test_setup_teardown(test_script_finds_nothing_of_ours, start, stop),
        cmocka_unit_test_setup_teardown(test_script_runs_as_another_user, start, stop),
        cmocka_unit_test_setup_teardown(test_script_folder_is_removed, start, stop),
        cmocka_unit_test_setup_teardown(test_script_cannot_start, start, stop),
        cmocka_unit_test_setup_teardown(test_script_timeout, start, stop),
        cmocka_unit_test_setup_teardown(test_script_ignores_term, start, stop),
        cmocka_unit_test_setup_teardown(test_script_stop, start, stop),
        cmocka_unit_test_setup_teardown(test_script_forks_away, start, stop),
        cmocka_unit_test_setup_teardown(test_script_closes_stdout_and_lives, start, stop),
        cmocka_unit_test_setup_teardown(test_script_zombies, start, stop),
        cmocka_unit_test_setup_teardown(test_script_fork_bomb, start, stop),
        cmocka_unit_test_setup_teardown(test_script_fork_bomb, start_watching, stop),
        cmocka_unit_test_setup_teardown(test_script_fills_memory, start, stop),
        cmocka_unit_test_setup_teardown(test_script_fills_memory, start_watching, stop),
        cmocka_unit_test_setup_teardown(test_script_fills_memory_together, start, stop),
        cmocka_unit_test_setup_teardown(test_script_fills_memory_together, start_watching, stop),
        cmocka_unit_test_setup_teardown(test_script_cpu_limit, start, stop),
        cmocka_unit_test_setup_teardown(test_script_floods, start, stop),
        cmocka_unit_test_setup_teardown(test_script_long_line, start, stop),
        cmocka_unit_test_setup_teardown(test_script_supervisor_killed, start, stop),
        cmocka_unit_test(test_script_executor_killed),
        cmocka_unit_test(test_script_launcher_killed),
    };

    if (argc == 2 && !strcmp(argv[0], "victim"))
        return victim(atoll(argv[1]));
    test_launcher_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
