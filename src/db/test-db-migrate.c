#include "db/test-db.h"

#include <pthread.h>

static const struct db_migration migrations[] = {
    { 1, "one: jobs",
      "CREATE TABLE job (\n"
      "  id $SERIAL,\n"
      "  name $KEY(100) NOT NULL,\n"
      "  \"key\" $KEY(10),\n" /* a word of SQL, quoted alike everywhere */
      "  paused $INT NOT NULL DEFAULT 0,\n"
      "  UNIQUE (name)\n"
      ") $TABLE_OPTIONS;\n"
      "CREATE INDEX job_paused ON job (paused, id);\n",
      false },
    { 2, "two: runs",
      "CREATE TABLE run (\n"
      "  day $INT NOT NULL,\n"
      "  id $ID NOT NULL,\n"
      "  job_id $INT NOT NULL,\n"
      "  fire_key $KEY(200) NOT NULL,\n"
      "  PRIMARY KEY (day, id),\n"
      "  UNIQUE (day, job_id, fire_key)\n"
      ") $TABLE_OPTIONS $DAY_PARTITION;\n"
      "CREATE INDEX run_job ON run (job_id, day);\n",
      false },
    { 3, "two: lines of runs",
      "CREATE TABLE run_line (\n"
      "  run_id $ID NOT NULL,\n"
      "  sequence $INT NOT NULL,\n"
      "  content $BLOB NOT NULL,\n"
      "  PRIMARY KEY (run_id, sequence)\n"
      ") $TABLE_OPTIONS;\n",
      true },
    { 4, "one: a column more",
      "ALTER TABLE job ADD COLUMN note $TEXT;\n"
      "UPDATE job SET note = '';\n",
      false },
};
enum { COUNT = 4 };

static int empty_setup(void **state)
{
    struct test_db *t = memory_alloc(sizeof *t);

    test_db_prepare(t);
    test_open(t);
    *state = t;
    return 0;
}

static void migrate_ok(struct db *db, const struct db_migration *list, size_t count, int applied)
{
    struct error err = { 0 };
    int got = -1;

    if (db_migrate(db, list, count, &got, &err) < 0)
        fail_msg("migrate: %s", error_english(&err));
    assert_int_equal(got, applied);
}

static void test_forward_and_twice(void **state)
{
    struct test_db *t = *state;

    migrate_ok(t->db, migrations, 2, 2);
    assert_run(t->db, statement_fn, TEXT("INSERT INTO job (name, \"key\") VALUES ('a', 'b')"),
               DB_OK);
    migrate_ok(t->db, migrations, COUNT, 2);
    migrate_ok(t->db, migrations, COUNT, 0);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM job WHERE note = ''"), 1);
    db_close(&t->db);
    test_open(t);
    migrate_ok(t->db, migrations, COUNT, 0);
}

static void refuse(struct db *db, const struct db_migration *list, size_t count,
                   const char *beginning)
{
    struct error err = { 0 };

    assert_int_equal(db_migrate(db, list, count, NULL, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_memory_equal(err.message, beginning, strlen(beginning));
}

static void test_newer_database_is_refused(void **state)
{
    struct test_db *t = *state;

    migrate_ok(t->db, migrations, COUNT, COUNT);
    refuse(t->db, migrations, 2, "the database is newer than this program");
    migrate_ok(t->db, migrations, COUNT, 0);
}

static void test_edited_migration_is_refused(void **state)
{
    struct test_db *t = *state;
    struct db_migration edited = migrations[0];

    migrate_ok(t->db, migrations, 1, 1);
    edited.sql = "CREATE TABLE job (id $SERIAL) $TABLE_OPTIONS;\n";
    refuse(t->db, &edited, 1, "migration %d");
}

static void test_failing_migration_leaves_nothing(void **state)
{
    static const struct db_migration bad = { 2, "bad", "UPDATE job SET nothing = 1;\n", false };
    struct test_db *t = *state;
    struct error err = { 0 };
    struct db_migration list[] = { migrations[0], bad };

    assert_int_equal(db_migrate(t->db, list, 2, NULL, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    list[1] = migrations[1];
    migrate_ok(t->db, list, 2, 1);
}

/* MySQL commits at each CREATE: a start after a crash goes on with the missing statement. */
static void test_goes_on_after_a_crash(void **state)
{
    struct test_db *t = *state;

    if (test_backend != DB_MYSQL)
        skip();
    migrate_ok(t->db, migrations, 1, 1);
    /* as if killed after CREATE TABLE and before its count */
    assert_run(t->db, statement_fn,
               TEXT("UPDATE schema_version SET steps_done = 0 WHERE version = 1"), DB_OK);
    assert_run(t->db, statement_fn, TEXT("DROP INDEX job_paused ON job"), DB_OK);
    migrate_ok(t->db, migrations, COUNT, COUNT);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM information_schema.statistics WHERE "
                                      "table_schema = DATABASE() AND index_name = 'job_paused'"),
                     2);
}

struct node {
    struct db *db;
    int applied, result;
    struct error err;
};

static void *node_main(void *argument)
{
    struct node *node = argument;

    node->result = db_migrate(node->db, migrations, COUNT, &node->applied, &node->err);
    return NULL;
}

static void test_two_nodes_at_once(void **state)
{
    struct test_db *t = *state;
    struct node nodes[2] = { { .db = t->db }, { .db = t->db } };
    struct db *second = NULL;
    struct error err = { 0 };
    pthread_t threads[2];

    if (test_backend != DB_SQLITE) { /* where there is one process, two threads will do */
        assert_int_equal(db_open(&t->settings, NULL, &second, &err), 0);
        nodes[1].db = second;
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, node_main, &nodes[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        if (nodes[i].result < 0)
            fail_msg("node %d: %s", i, error_english(&nodes[i].err));
    }
    assert_int_equal(nodes[0].applied + nodes[1].applied, COUNT);
    db_close(&second);
}

static int serial_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    if (DB_EXEC(tx, "INSERT INTO job (name) VALUES (?)", 1, err, DB_T("given")) < 0)
        return -1;
    *(int64_t *)ctx = db_last_id(tx);
    return 0;
}

static void test_serial(void **state)
{
    struct test_db *t = *state;
    int64_t id = 0;

    migrate_ok(t->db, migrations, COUNT, COUNT);
    assert_run(t->db, serial_fn, &id, DB_OK);
    assert_true(id >= 1 && id <= INT32_MAX);
    assert_int_equal(number_of(t->db, "SELECT id FROM job WHERE name = 'given'"), id);
}

/* --- days ------------------------------------------------------------------------------------- */

struct days {
    int64_t first, last;
    bool more;
};

static int partitions_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct days *days = ctx;

    return db_partitions_ensure(tx, "run", days->first, days->last, err);
}

static int runs_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct days *days = ctx;

    for (int64_t day = days->first; day <= days->last; day++)
        for (int i = 0; i < 3; i++)
            if (DB_EXEC(tx, "INSERT INTO run (day, id, job_id, fire_key) VALUES (?, ?, ?, ?)", 1,
                        err, DB_I(day), DB_I(day * 10 + i), DB_I(i), DB_T("")) < 0)
                return -1;
    return 0;
}

static int drop_fn(struct db_tx *tx, void *ctx, struct error *err)
{
    struct days *days = ctx;

    return db_history_drop(tx, "run", days->first, &days->more, err);
}

static int64_t partition_count(struct db *db)
{
    switch (test_backend) {
    case DB_POSTGRES:
        return number_of(db, "SELECT COUNT(*) FROM pg_inherits WHERE inhparent = "
                             "to_regclass('run')");
    case DB_MYSQL:
        return number_of(db, "SELECT COUNT(*) FROM information_schema.partitions WHERE "
                             "table_schema = DATABASE() AND table_name = 'run' AND "
                             "partition_name IS NOT NULL");
    default:
        return 0;
    }
}

static void test_days(void **state)
{
    struct test_db *t = *state;
    bool server = test_backend != DB_SQLITE;
    struct days early = { 99, 101, false }, days = { 100, 104, false }, more = { 102, 106, false };

    migrate_ok(t->db, migrations, COUNT, COUNT);
    assert_run(t->db, runs_fn, &early, DB_OK); /* go to rest, as there is no day yet */
    assert_run(t->db, partitions_fn, &days, DB_OK);
    assert_run(t->db, partitions_fn, &more, DB_OK);
    assert_run(t->db, partitions_fn, &more, DB_OK);
    if (server)
        assert_int_equal(partition_count(t->db), 8); /* 100 … 106 and rest */
    assert_run(t->db, runs_fn, &(struct days){ 102, 110, false }, DB_OK);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM run"), 36);
    /* the key holds over all of them */
    assert_run(t->db, runs_fn, &(struct days){ 101, 101, false }, DB_CONFLICT);

    struct days before = { .first = 104 };
    int rounds = 0;
    do {
        assert_run(t->db, drop_fn, &before, DB_OK);
        assert_true(++rounds < 10);
    } while (before.more);
    assert_int_equal(number_of(t->db, "SELECT COUNT(*) FROM run"), 21);
    assert_int_equal(number_of(t->db, "SELECT MIN(day) FROM run"), 104);
    if (server)
        assert_int_equal(partition_count(t->db), 4);
}

static void *partitions_main(void *argument)
{
    struct days days = { 200, 210, false };

    assert_run(argument, partitions_fn, &days, DB_OK);
    return NULL;
}

static void test_days_by_two_nodes(void **state)
{
    struct test_db *t = *state;
    pthread_t threads[2];

    migrate_ok(t->db, migrations, COUNT, COUNT);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, partitions_main, t->db), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    if (test_backend != DB_SQLITE)
        assert_int_equal(partition_count(t->db), 12);
}

/* --- text ------------------------------------------------------------------------------------- */

static void test_words(void **state)
{
    static const struct {
        enum db_backend backend;
        const char *sql, *wanted;
    } rows[] = {
        { DB_SQLITE, "CREATE TABLE a (\n b $KEY(9) NOT NULL) $TABLE_OPTIONS $DAY_PARTITION;\n",
          "CREATE TABLE a (\n b TEXT CHECK (length(b) <= 9) NOT NULL) STRICT ;\n" },
        { DB_POSTGRES, "CREATE TABLE a (day $INT) $TABLE_OPTIONS $DAY_PARTITION;\nX;\n",
          "CREATE TABLE a (day BIGINT)  PARTITION BY RANGE (day);\n"
          "CREATE TABLE a_rest PARTITION OF a DEFAULT;\nX;\n" },
        { DB_MYSQL, "X;\nCREATE TABLE ab (day $INT, c $BLOB) $TABLE_OPTIONS $DAY_PARTITION;\n",
          "X;\nCREATE TABLE ab (day BIGINT, c LONGBLOB) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 "
          "COLLATE=bytes PARTITION BY RANGE (day) (PARTITION rest VALUES LESS THAN MAXVALUE);\n" },
        { DB_SQLITE, "a $NOTHING", NULL },
        { DB_SQLITE, "a $KEY", NULL },
        { DB_SQLITE, "a $KEY(0)", NULL },
        { DB_MYSQL, "a $DAY_PARTITION", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = { 0 };
        struct arena *arena = arena_new();
        char *text = db_schema_text(arena, rows[i].backend, "bytes", rows[i].sql, &err);
        if (rows[i].wanted) {
            assert_non_null(text);
            assert_string_equal(text, rows[i].wanted);
        } else {
            assert_null(text);
            assert_int_equal(err.code, ERR_INTERNAL);
        }
        arena_free(&arena);
    }
}

static void test_numbered(void **state)
{
    (void)state;
    char *text = db_statement_numbered("SELECT '?' AS \"a?\", ? -- what?\n FROM b WHERE c = ?");
    assert_string_equal(text, "SELECT '?' AS \"a?\", $1 -- what?\n FROM b WHERE c = $2");
    free(text);
}

#define EMPTY_TEST(name) cmocka_unit_test_setup_teardown(name, empty_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EMPTY_TEST(test_forward_and_twice),
        EMPTY_TEST(test_newer_database_is_refused),
        EMPTY_TEST(test_edited_migration_is_refused),
        EMPTY_TEST(test_failing_migration_leaves_nothing),
        EMPTY_TEST(test_goes_on_after_a_crash),
        EMPTY_TEST(test_two_nodes_at_once),
        EMPTY_TEST(test_serial),
        EMPTY_TEST(test_days),
        EMPTY_TEST(test_days_by_two_nodes),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_numbered),
    };

    return test_each_backend("migrations", tests, sizeof tests / sizeof *tests);
}
