#include "db/test-db.h"

#include "db/db-sqlite.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What only SQLite has: a file of its own, and its log. test-db-disk.c has the disk that fails. */

static char *path_of(const struct test_db *t, const char *name)
{
    static char path[160];

    snprintf(path, sizeof path, "%s/%s", t->folder, name);
    return path;
}

static int64_t size_of(const struct test_db *t, const char *name)
{
    struct stat status;

    return stat(path_of(t, name), &status) == 0 ? status.st_size : -1;
}

static void test_second_process_is_refused(void **state)
{
    struct test_db *t = *state;
    struct db *second = NULL;
    struct error err = { 0 };

    assert_int_equal(db_open(&t->settings, NULL, &second, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_non_null(strstr(error_english(&err), "belfry.db"));
    db_close(&t->db);
    test_open(t); /* and is free again after that */
}

/* A task that Belfry started must not keep the store locked after Belfry has gone. */
static void test_children_do_not_inherit(void **state)
{
    struct test_db *t = *state;
    struct sqlite_store *store = t->db->driver_data;

    assert_true(fcntl(store->lock_fd, F_GETFD) & FD_CLOEXEC);
}

static void test_folder_that_is_not_there(void **state)
{
    struct db_settings settings = { .url = "sqlite:/nowhere/at/all.db" };
    struct db *db = NULL;
    struct error err = { 0 };

    (void)state;
    assert_int_equal(db_open(&settings, NULL, &db, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(error_english(&err), "/nowhere/at/all.db"));
    assert_null(db);
}

static void test_not_a_database(void **state)
{
    struct test_db *t = *state;
    struct error err = { 0 };

    db_close(&t->db);
    FILE *file = fopen(path_of(t, "belfry.db"), "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is a text, not a database\n", file);
    fclose(file);
    unlink(path_of(t, "belfry.db-wal"));
    assert_int_equal(db_open(&t->settings, NULL, &t->db, &err), -1);
    assert_int_equal(err.code, ERR_IO);
}

/* --- run logs --------------------------------------------------------------------------------- */

static const struct db_migration line_migration = {
    2, "lines", "CREATE TABLE line (id $ID PRIMARY KEY, content $BLOB) $TABLE_OPTIONS;\n", true
};

static int line_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    (void)ctx;
    return DB_EXEC(tx, "INSERT INTO line (id, content) VALUES (?, ?)", 1, err, DB_I(1),
                   DB_B("x", 1));
}

static void test_logs_have_a_file_of_their_own(void **state)
{
    struct test_db *t = *state;
    struct db_migration list[] = { thing_migrations[0], line_migration };
    struct error err = { 0 };

    assert_int_equal(db_migrate(t->db, list, 2, NULL, &err), 0);
    assert_int_equal(db_run(t->db, DB_POOL_LOG, line_fn, NULL, &err), DB_OK);
    assert_int_equal(db_run(t->db, DB_POOL_API, line_fn, NULL, &err), DB_FAILED); /* not here */
    assert_true(size_of(t, "belfry-log.db") > 0);
    struct scalar synchronous = { .sql = "PRAGMA synchronous" };
    assert_int_equal(db_run(t->db, DB_POOL_LOG, scalar_fn, &synchronous, &err), DB_OK);
    assert_int_equal(synchronous.value, 1); /* NORMAL */
    assert_run(t->db, scalar_fn, &synchronous, DB_OK);
    assert_int_equal(synchronous.value, 2); /* FULL */
}

/* --- the log (WAL) ---------------------------------------------------------------------------- */

enum { FAT = 60000, FAT_ROWS = 2000 }; /* 120 MB: past the 80 at which it is copied back */

static int fat_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    static char bytes[FAT];
    const int *round = ctx;

    for (int i = 0; i < 100; i++) {
        int id = *round * 100 + i;
        char name[16];
        snprintf(name, sizeof name, "f%d", id);
        if (DB_EXEC(tx, "INSERT INTO thing (id, name, data) VALUES (?, ?, ?)", 1, err, DB_I(id),
                    DB_T(name), DB_B(bytes, FAT)) < 0)
            return -1;
    }
    return 0;
}

/* Its size stays bounded while work goes on, without any COMMIT paying for it. */
static void test_log_is_shortened(void **state)
{
    struct test_db *t = *state;
    int64_t most = 0, give_up_ms = clock_mono_ms() + 60000;
    int round = 0;

    while (round < 20 || size_of(t, "belfry.db") < 60 << 20) {
        assert_true(clock_mono_ms() < give_up_ms);
        if (round < FAT_ROWS / 100)
            assert_run(t->db, fat_fn, &round, DB_OK);
        else
            assert_run(t->db, statement_fn, TEXT("UPDATE thing SET number = 1 WHERE id = 0"),
                       DB_OK);
        round++;
        int64_t size = size_of(t, "belfry.db-wal");
        most = size > most ? size : most;
    }
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), FAT_ROWS);
    assert_true(most < 300 << 20);
}

/* --- a disk that fails ------------------------------------------------------------------------ */

static void test_disk_full(void **state)
{
    struct test_db *t = *state;
    struct error err = { 0 };
    struct scalar limit = { .sql = "PRAGMA max_page_count = 40" };
    int round = 0;

    assert_run(t->db, scalar_fn, &limit, DB_OK);
    assert_int_equal(db_run(t->db, DB_POOL_API, fat_fn, &round, &err), DB_NOT_APPLIED);
    assert_int_equal(err.code, ERR_STORAGE_FULL);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 0);
    limit.sql = "PRAGMA max_page_count = 1000000";
    assert_run(t->db, scalar_fn, &limit, DB_OK); /* somebody made room */
    assert_run(t->db, fat_fn, &round, DB_OK);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM thing"), 100);
}

static int one_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    (void)ctx;
    return DB_EXEC(tx, "INSERT INTO thing (id, name) VALUES (?, ?)", 1, err, DB_I(1), DB_T("a"));
}

/* In a process of its own: a commit, and no end. */
static int child_commit(const char *url)
{
    struct db_settings settings = { .url = url };
    struct db *db = NULL;
    struct error err = { 0 };

    if (db_open(&settings, NULL, &db, &err) < 0 ||
        db_migrate(db, thing_migrations, 1, NULL, &err) < 0)
        return 1;
    if (db_run(db, DB_POOL_API, one_fn, NULL, &err) != DB_OK)
        return 2;
    return raise(SIGKILL);
}

/* A commit that is in the log alone, as the process was killed right after it. */
static void killed_after_commit(const struct test_db *t)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        execl("/proc/self/exe", "test-db-sqlite", t->url, (char *)NULL);
        _exit(3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_true(size_of(t, "belfry.db-wal") > 0);
}

/* --- a file that is not what it was ----------------------------------------------------------- */

static void refused(struct test_db *t, const char *message)
{
    struct error err = { 0 };

    assert_int_equal(db_open(&t->settings, NULL, &t->db, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    if (!strstr(error_english(&err), message))
        fail_msg("%s", error_english(&err));
}

/* Never silently empty. Who wants to go on without says so by removing the lock file. */
static void test_empty_file_is_refused(void **state)
{
    struct test_db *t = *state;

    assert_run(t->db, one_fn, NULL, DB_OK);
    db_close(&t->db);
    assert_int_equal(truncate(path_of(t, "belfry.db"), 0), 0);
    refused(t, "lacks its last");
    unlink(path_of(t, "belfry.db"));
    refused(t, "lacks its last");
    unlink(path_of(t, "belfry.db.lock"));
    test_open(t);
    thing_migrate(t->db);
}

static void test_lost_log_is_refused(void **state)
{
    struct test_db t;

    (void)state;
    test_db_prepare(&t);
    killed_after_commit(&t);
    test_open(&t);
    assert_int_equal(number_of(t.db, "SELECT COUNT(*) FROM thing"), 1);
    db_close(&t.db);

    unlink(path_of(&t, "belfry.db"));
    unlink(path_of(&t, "belfry.db.lock"));
    killed_after_commit(&t);
    unlink(path_of(&t, "belfry.db-wal"));
    refused(&t, "lacks its last");
    test_db_done(&t);
}

static void test_garbage_in_the_index_of_the_log(void **state)
{
    struct test_db t;

    (void)state;
    test_db_prepare(&t);
    killed_after_commit(&t);
    int fd = open(path_of(&t, "belfry.db-shm"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(fd, "garbage!", 8), 8);
    close(fd);
    test_open(&t);
    assert_int_equal(number_of(t.db, "SELECT COUNT(*) FROM thing"), 1);
    test_db_done(&t);
}

static void test_damaged_page_is_noticed(void **state)
{
    struct test_db *t = *state;
    struct error err = { 0 };
    int round = 0;
    int64_t give_up_ms = clock_mono_ms() + 60000;

    assert_run(t->db, fat_fn, &round, DB_OK);
    assert_run(t->db, statement_fn, TEXT("UPDATE thing SET data = x'00', note = 'n'"), DB_OK);
    db_close(&t->db);
    int fd = open(path_of(t, "belfry.db"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t page = 3; page < 12; page++) /* what stands where a page has its kind and cells */
        assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, page * 4096), 8);
    close(fd);
    test_open(t);
    while (db_ready(t->db, &err) == 0 || !strstr(err.message, "damaged"))
        assert_true(clock_mono_ms() < give_up_ms);
    assert_int_equal(err.code, ERR_IO);
}

/* --- urls ------------------------------------------------------------------------------------- */

static void test_urls(void **state)
{
    static const struct {
        const char *url, *user, *host, *database;
        int port, tls;
    } good[] = {
        { "postgres://me@db.example:5433/belfry", "me", "db.example", "belfry", 5433, 0 },
        { "mysql://me@[::1]:3307/b?tls=verify&ca=/a%20b", "me", "::1", "b", 3307, DB_TLS_VERIFY },
        { "mariadb://a%40b@h/d?tls=require", "a@b", "h", "d", 0, DB_TLS_REQUIRE },
        { "postgresql://me@/d?socket=/run/pg", "me", NULL, "d", 0, 0 },
    };
    static const char *const bad[] = {
        "", "sqlite:", "sqlite::memory:", "http://a", "postgres://", "postgres://me@h",
        "postgres://h/d", "postgres://me@h:0/d", "postgres://me@h:70000/d", "mysql://me@/d",
        "postgres://me:secret@h/d", "mysql://m%0@h/d", "mysql://m%00@h/d", "mysql://m@h/d?x=1",
        "mysql://m@h/d?tls=no", "mysql://m@h/d?tls=", "mysql://m@[::1]x/d",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct db_url url;
        struct error err = { 0 };
        assert_int_equal(db_url_parse(good[i].url, &url, &err), 0);
        assert_string_equal(url.user, good[i].user);
        assert_string_equal(url.database, good[i].database);
        assert_true(good[i].host ? !strcmp(url.host, good[i].host) : !url.host);
        assert_int_equal(url.port, good[i].port);
        assert_int_equal(url.tls, good[i].tls);
        db_url_done(&url);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct db_url url;
        struct error err = { 0 };
        if (db_url_parse(bad[i], &url, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
        assert_null(strstr(error_english(&err), "secret"));
    }
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return child_commit(argv[1]);
    const struct CMUnitTest tests[] = {
        DB_TEST(test_second_process_is_refused),
        DB_TEST(test_children_do_not_inherit),
        cmocka_unit_test(test_folder_that_is_not_there),
        DB_TEST(test_not_a_database),
        DB_TEST(test_logs_have_a_file_of_their_own),
        DB_TEST(test_log_is_shortened),
        DB_TEST(test_disk_full),
        DB_TEST(test_empty_file_is_refused),
        cmocka_unit_test(test_lost_log_is_refused),
        cmocka_unit_test(test_garbage_in_the_index_of_the_log),
        DB_TEST(test_damaged_page_is_noticed),
        cmocka_unit_test(test_urls),
    };

    log_level_set(LOG_LEVEL_ERROR + 1); /* some are meant to happen */
    test_backend = DB_SQLITE;
    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}
