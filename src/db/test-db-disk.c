#include "db/test-db.h"

#include "db/db-sqlite.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/*
 * SQLite on a disk that fails: a child process opens a store, stores five rows one by one and tells
 * which were acknowledged; the nth write or fsync of it goes wrong. For every n, the next start
 * must find the file whole and every acknowledged row in it.
 */

enum { ROWS = 5 };
enum { EXIT_NOT_REACHED = 0, EXIT_OPEN_REFUSED = 5, EXIT_WENT_ON = 10 };

enum kind { FAIL_WRITE, FAIL_FSYNC, FAIL_FULL, FAIL_KILL };

/* --- the child -------------------------------------------------------------------------------- */

static sqlite3_vfs failing_vfs;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods failing_methods[2]; /* of the database, of its log */
static const sqlite3_io_methods *real_methods; /* write and fsync are the same for both */
static enum kind fail_kind;
static int fail_point;
static _Atomic int points; /* passed so far */

/* Whether this is the one; a full disk and a failing one fail once. */
static bool point_reached(bool is_fsync)
{
    if (is_fsync != (fail_kind == FAIL_FSYNC) && fail_kind != FAIL_KILL)
        return false;
    if (atomic_fetch_add(&points, 1) + 1 != fail_point)
        return false;
    if (fail_kind == FAIL_KILL)
        raise(SIGKILL);
    return true;
}

static int failing_sync(sqlite3_file *file, int flags)
{
    return point_reached(true) ? SQLITE_IOERR_FSYNC : real_methods->xSync(file, flags);
}

static int failing_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    if (point_reached(false))
        return fail_kind == FAIL_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    return real_methods->xWrite(file, bytes, size, offset);
}

static int failing_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                        int *ret_flags)
{
    int code = real_vfs->xOpen(vfs, name, file, flags, ret_flags);

    if (code == SQLITE_OK && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL))) {
        sqlite3_io_methods *methods = &failing_methods[flags & SQLITE_OPEN_WAL ? 1 : 0];
        if (!methods->xSync) { /* by the writer, before there are other threads */
            real_methods = file->pMethods;
            *methods = *real_methods;
            methods->xSync = failing_sync;
            methods->xWrite = failing_write;
        }
        file->pMethods = methods;
    }
    return code;
}

static void vfs_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    failing_vfs = *real_vfs;
    failing_vfs.zName = "failing";
    failing_vfs.xOpen = failing_open;
    sqlite3_vfs_register(&failing_vfs, 1);
}

static int row_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    char name[] = "row 0";
    const int *id = ctx;

    name[4] = (char)('0' + *id);
    return DB_EXEC(tx, "INSERT INTO thing (id, name) VALUES (?, ?)", 1, err, DB_I(*id),
                   DB_T(name));
}

static int child_main(const char *kind, const char *point, const char *url)
{
    struct db_settings settings = { .url = url };
    struct db *db = NULL;
    struct error err = { 0 };

    log_level_set(LOG_LEVEL_ERROR + 1);
    fail_kind = (enum kind)strtol(kind, NULL, 10);
    fail_point = (int)strtol(point, NULL, 10);
    vfs_install();
    if (db_open(&settings, NULL, &db, &err) < 0)
        return EXIT_OPEN_REFUSED;
    if (db_migrate(db, thing_migrations, 1, NULL, &err) < 0) {
        db_close(&db);
        return EXIT_OPEN_REFUSED;
    }
    for (int id = 0; id < ROWS; id++)
        if (db_run(db, DB_POOL_API, row_fn, &id, &err) == DB_OK &&
            write(STDOUT_FILENO, &(char){ (char)('0' + id) }, 1) != 1)
            return 4;
    db_close(&db);
    return atomic_load(&points) >= fail_point ? EXIT_WENT_ON : EXIT_NOT_REACHED;
}

/* --- the parent ------------------------------------------------------------------------------- */

struct outlived {
    char acknowledged[ROWS + 1];
    int status;
};

static void child_run(const char *url, enum kind kind, int point, struct outlived *ret)
{
    int ends[2];
    size_t used = 0;
    char kind_text[12], point_text[12];
    ssize_t got;

    memset(ret, 0, sizeof *ret);
    snprintf(kind_text, sizeof kind_text, "%d", (int)kind);
    snprintf(point_text, sizeof point_text, "%d", point);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "test-db-disk", kind_text, point_text, url, (char *)NULL);
        _exit(3);
    }
    close(ends[1]);
    while ((got = read(ends[0], ret->acknowledged + used, ROWS - used)) > 0)
        used += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(child, &ret->status, 0), child);
}

static bool status_fits(enum kind kind, int status)
{
    if (kind == FAIL_KILL && WIFSIGNALED(status))
        return WTERMSIG(status) == SIGKILL;
    if (!WIFEXITED(status))
        return false;
    switch (WEXITSTATUS(status)) {
    case EXIT_NOT_REACHED:
    case EXIT_OPEN_REFUSED:
    case EXIT_WENT_ON: /* a checkpoint at the end; or the disk was full, once */
        return true;
    case 74:
        return kind == FAIL_WRITE || kind == FAIL_FSYNC;
    default:
        return false;
    }
}

/* The next start: whole, with all that was acknowledged. */
static void store_check(struct test_db *t, const struct outlived *outlived)
{
    test_open(t);
    thing_migrate(t->db);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM pragma_integrity_check "
                                      "WHERE integrity_check <> 'ok'"),
                     0);
    for (const char *id = outlived->acknowledged; *id; id++) {
        char sql[] = "SELECT COUNT(*) FROM thing WHERE id = 0";
        sql[sizeof sql - 2] = *id;
        assert_int_equal(number_of(t->db, sql), 1);
    }
}

/* A scratch store in memory where there is such a place: the disk's failures are made up anyway. */
static void scratch_prepare(struct test_db *t)
{
    memset(t, 0, sizeof *t);
    t->base = event_base_new();
    snprintf(t->folder, sizeof t->folder, "%s/belfry-db-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(t->folder));
    if (asprintf(&t->url, "sqlite:%s/belfry.db", t->folder) < 0)
        abort();
    t->settings.url = t->url;
}

/* Every point up to the first that is never reached. */
static void every_point(enum kind kind, int least_points)
{
    int point = 0, ended = 0;
    bool reached = true;

    while (reached) {
        struct test_db t;
        struct outlived outlived;
        scratch_prepare(&t);
        child_run(t.url, kind, ++point, &outlived);
        if (!status_fits(kind, outlived.status))
            fail_msg("kind %d point %d: status %x", (int)kind, point, (unsigned)outlived.status);
        reached = !WIFEXITED(outlived.status) ||
                  WEXITSTATUS(outlived.status) != EXIT_NOT_REACHED;
        ended += !WIFEXITED(outlived.status) || WEXITSTATUS(outlived.status) == 74;
        store_check(&t, &outlived);
        test_db_done(&t);
        assert_true(point < 1000);
    }
    print_message("             %d points, the process ended at %d\n", point - 1, ended);
    assert_true(point > least_points);
}

static void test_write_fails(void **state)
{
    (void)state;
    every_point(FAIL_WRITE, 30);
}

static void test_fsync_fails(void **state)
{
    (void)state;
    every_point(FAIL_FSYNC, 7);
}

static void test_disk_full(void **state)
{
    (void)state;
    every_point(FAIL_FULL, 30);
}

static void test_killed(void **state)
{
    (void)state;
    every_point(FAIL_KILL, 30);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return child_main(argv[1], argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_fsync_fails),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_killed),
    };

    log_level_set(LOG_LEVEL_ERROR + 1);
    test_backend = DB_SQLITE;
    return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
