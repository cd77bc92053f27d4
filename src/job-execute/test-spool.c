#include "job-execute/spool.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char path[64];

struct seen_records {
    int64_t runs[64];
    char incarnations[64][33];
    char outputs[64][32];
    size_t count, chunks;
};

static void on_result(void *ctx, const char *incarnation, const struct admin_report_item *item)
{
    struct seen_records *seen = ctx;

    seen->runs[seen->count] = item->run_id;
    snprintf(seen->incarnations[seen->count], 33, "%s", incarnation);
    snprintf(seen->outputs[seen->count], 32, "%s", item->output ? item->output : "");
    seen->count++;
}

static void on_chunk(void *ctx, const char *incarnation, const struct admin_log_chunk *chunk)
{
    struct seen_records *seen = ctx;

    assert_string_equal(incarnation, "inc");
    assert_string_equal(chunk->text, "1 o \xe4\xb8\xad\n");
    seen->chunks++;
}

static struct spool *open_spool(struct seen_records *seen, size_t size_max)
{
    struct spool_reader reader = { on_result, on_chunk, seen };
    struct spool *spool = NULL;
    struct error err = { 0 };

    memset(seen, 0, sizeof *seen);
    if (spool_open(path, size_max, &reader, &spool, &err) < 0)
        fail_msg("%s", error_english(&err));
    return spool;
}

static struct admin_report_item result_of(int64_t run_id)
{
    return (struct admin_report_item){
        .kind = REPORT_RESULT, .run_id = run_id, .attempt = 1, .token = 3, .outcome = RUN_SUCCEEDED,
        .output = (char *)(intptr_t)"{\"a\":1}",
    };
}

static size_t file_size(void)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return (size_t)status.st_size;
}

static void test_spool_survives(void **state)
{
    struct seen_records seen;
    struct spool *spool = open_spool(&seen, 1 << 20);
    struct admin_log_chunk chunk = { .run_id = 1, .text = (char *)(intptr_t)"1 o \xe4\xb8\xad\n" };

    (void)state;
    for (int64_t i = 1; i <= 3; i++) {
        struct admin_report_item item = result_of(i);

        assert_true(spool_result(spool, "inc", &item));
    }
    assert_true(spool_chunk(spool, "inc", &chunk));
    spool_acked(spool, "inc", 2, 1, 3);
    spool_free(&spool);
    spool = open_spool(&seen, 1 << 20);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.runs[0], 1);
    assert_int_equal(seen.runs[1], 3);
    assert_string_equal(seen.incarnations[0], "inc");
    assert_string_equal(seen.outputs[0], "{\"a\":1}");
    assert_int_equal(seen.chunks, 1);
    /* When all is settled the file is empty again. */
    spool_acked(spool, "inc", 1, 1, 3);
    spool_acked(spool, "inc", 3, 1, 3);
    spool_chunk_acked(spool);
    spool_sync(spool);
    assert_int_equal(file_size(), 0);
    spool_free(&spool);
}

/* Every way in which the end can be cut off or spoilt: what stands before it is kept. */
static void test_spool_damaged_end(void **state)
{
    struct seen_records seen;
    struct spool *spool = open_spool(&seen, 1 << 20);
    struct admin_report_item first = result_of(1), second = result_of(2);
    size_t one, two;

    (void)state;
    spool_result(spool, "inc", &first);
    spool_sync(spool);
    one = file_size();
    spool_result(spool, "inc", &second);
    spool_free(&spool);
    two = file_size();
    for (size_t size = two - 1; size > one; size--) {
        char copy[4096];
        int fd = open(path, O_RDWR);

        assert_true(read(fd, copy, sizeof copy) > 0);
        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        spool = open_spool(&seen, 1 << 20);
        assert_int_equal(seen.count, 1);
        assert_int_equal(file_size(), one);
        spool_free(&spool);
        assert_int_equal(pwrite(fd, copy, two, 0), (ssize_t)two);
        close(fd);
    }
    for (size_t at = one; at < two; at++) {
        int fd = open(path, O_RDWR);
        char byte;

        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        byte = (char)(byte ^ 0x20);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
        spool = open_spool(&seen, 1 << 20);
        assert_int_equal(seen.count, 1);
        spool_result(spool, "inc", &second); /* and it can be written on */
        spool_free(&spool);
        assert_int_equal(file_size(), two);
        close(fd);
    }
}

static void test_spool_full(void **state)
{
    struct seen_records seen;
    struct spool *spool = open_spool(&seen, 4096);
    struct admin_report_item item = result_of(1);
    struct admin_log_chunk chunk = { .run_id = 1, .text = (char *)(intptr_t)"1 o \xe4\xb8\xad\n" };
    int results = 0;

    (void)state;
    while (spool_chunk(spool, "inc", &chunk))
        ;
    while (spool_result(spool, "inc", &item)) /* results still find room */
        results++;
    assert_true(results > 1);
    assert_true(spool_size(spool) <= 4096);
    spool_free(&spool);
}

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/belfry-spool-XXXXXX");
    close(mkstemp(path));
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_spool_survives, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_spool_damaged_end, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_spool_full, make_path, remove_path),
    };

    log_level_set(LOG_LEVEL_ERROR); /* it would say a thousand times that it cuts something off */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
