#include "db/db-sqlite.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/*
 * The log (WAL) is copied back into the database file when it has grown to CHECKPOINT_PAGES (80
 * MB). Copying that much takes longer than a fire may be late, so a thread with a handle of its
 * own does it beside the writer. What was written meanwhile is little: the writer copies it between
 * two groups, and the log begins anew. SQLite would do all of it inside an unlucky COMMIT.
 */
enum { CHECKPOINT_PAGES = 20000, BUSY_TIMEOUT_MS = 10000 };

/* --- paths and the lock ----------------------------------------------------------------------- */

/* /a/belfry.db -> /a/belfry-log.db; without a suffix the words go to the end. */
static char *log_path(const char *path)
{
    const char *name = strrchr(path, '/');
    const char *dot = strrchr(name ? name : path, '.');
    size_t stem = dot ? (size_t)(dot - path) : strlen(path);
    char *text = NULL;

    if (asprintf(&text, "%.*s-log%s", (int)stem, path, dot ? dot : "") < 0)
        abort();
    return text;
}

static bool is_network(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return false;
    switch ((unsigned)fs.f_type) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case CEPH_SUPER_MAGIC:
    case AFS_SUPER_MAGIC:
    case CODA_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

/* One process a store: SQLite alone would let two schedulers run side by side on one file. */
static int lock_take(struct sqlite_store *store, const char *path, struct error *err)
{
    char *name = NULL;

    if (asprintf(&name, "%s.lock", path) < 0)
        abort();
    store->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (store->lock_fd < 0)
        error_set(err, ERR_IO, "cannot open %s: %s", name, strerror(errno));
    free(name);
    if (store->lock_fd < 0)
        return -1;
    if (is_network(store->lock_fd))
        return error_set(err, ERR_INVALID,
                         "%s is on a network file system, where a commit may not be durable", path);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return error_set(err, ERR_CONFLICT, "another process has %s open", path);
    return error_set(err, ERR_IO, "cannot lock %s: %s", path, strerror(errno));
}

/* --- handles ---------------------------------------------------------------------------------- */

static int pragma(sqlite3 *handle, const char *sql, struct error *err)
{
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return error_set(err, ERR_IO, "cannot use %s: %s", sqlite3_db_filename(handle, "main"),
                     sqlite3_errmsg(handle));
}

static int handle_configure(sqlite3 *handle, const struct sqlite_file *file, bool read_only,
                            struct error *err)
{
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, BUSY_TIMEOUT_MS);
    /* texts in quotes are texts, in double quotes names: as on the servers */
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, (int *)NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, (int *)NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    if (pragma(handle, "PRAGMA foreign_keys=ON", err) < 0)
        return -1;
    if (read_only)
        return pragma(handle, "PRAGMA query_only=ON; PRAGMA cache_size=-2000", err);
    if (pragma(handle, "PRAGMA journal_mode=WAL; PRAGMA cache_size=-8000", err) < 0)
        return -1;
    if (pragma(handle, file->relaxed ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL",
               err) < 0)
        return -1;
    return pragma(handle, "PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=134217728", err);
}

static int wal_check(sqlite3 *handle, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    bool wal = false;

    if (sqlite3_prepare_v2(handle, "PRAGMA journal_mode", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        wal = strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
    sqlite3_finalize(statement);
    if (wal)
        return 0;
    return error_set(err, ERR_IO, "cannot use %s: its file system has no write-ahead log",
                     sqlite3_db_filename(handle, "main"));
}

int sqlite_handle_open(struct sqlite_file *file, bool read_only, sqlite3 **ret_handle,
                       struct error *err)
{
    /* the reader opens for writing too: only so can it set up the log's index; query_only guards */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (read_only ? 0 : SQLITE_OPEN_CREATE);
    sqlite3 *handle = NULL;

    if (sqlite3_open_v2(file->path, &handle, flags, NULL) != SQLITE_OK) {
        error_set(err, ERR_IO, "cannot open %s: %s", file->path, sqlite3_errmsg(handle));
        sqlite3_close(handle);
        return -1;
    }
    if (handle_configure(handle, file, read_only, err) < 0 || wal_check(handle, err) < 0) {
        sqlite3_close(handle);
        return -1;
    }
    *ret_handle = handle;
    return 0;
}

/* --- checkpoints ------------------------------------------------------------------------------ */

static void checkpoint(sqlite3 *handle)
{
    struct error err;
    int code = sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    if (code != SQLITE_OK && code != SQLITE_BUSY && code != SQLITE_LOCKED &&
        sqlite_fault(handle, code, &err) != DB_FAULT_NONE)
        LOG_WARN("cannot shorten the database's log, trying again later", "error",
                 error_english(&err));
}

static bool checkpoint_wait(struct sqlite_file *file)
{
    pthread_mutex_lock(&file->lock);
    while (!file->wanted && !file->stopping)
        pthread_cond_wait(&file->wake, &file->lock);
    file->wanted = false;
    bool go_on = !file->stopping;
    pthread_mutex_unlock(&file->lock);
    return go_on;
}

static void *checkpoint_main(void *argument)
{
    struct sqlite_file *file = argument;
    sqlite3 *handle = NULL;
    struct error err;

    log_service_set("db");
    while (checkpoint_wait(file)) {
        /* the handle is opened when first needed: most stores never grow so far in a day */
        if (!handle && sqlite_handle_open(file, false, &handle, &err) < 0) {
            LOG_WARN("cannot shorten the database's log", "error", error_english(&err));
            continue;
        }
        checkpoint(handle);
        atomic_store(&file->finish_wanted, true);
    }
    sqlite3_close(handle);
    return NULL;
}

static int wal_hook(void *context, sqlite3 *handle, const char *name, int pages)
{
    struct sqlite_file *file = context;

    (void)handle;
    (void)name;
    if (pages < CHECKPOINT_PAGES)
        return SQLITE_OK;
    pthread_mutex_lock(&file->lock);
    file->wanted = true;
    pthread_cond_signal(&file->wake);
    pthread_mutex_unlock(&file->lock);
    return SQLITE_OK;
}

void sqlite_checkpoint_watch(struct sqlite_session *session)
{
    sqlite3_wal_hook(session->handle, wal_hook, session->file);
}

void sqlite_checkpoint_finish(struct sqlite_session *session)
{
    if (atomic_exchange(&session->file->finish_wanted, false))
        checkpoint(session->handle);
}

/* --- the store -------------------------------------------------------------------------------- */

static int file_init(struct sqlite_file *file, char *path, bool relaxed, struct error *err)
{
    file->path = path;
    file->relaxed = relaxed;
    pthread_mutex_init(&file->lock, NULL);
    pthread_cond_init(&file->wake, NULL);
    if (db_thread_start(&file->thread, "checkpoint", checkpoint_main, file, err) < 0)
        return -1;
    file->started = true;
    return 0;
}

static void file_done(struct sqlite_file *file)
{
    if (file->started) {
        pthread_mutex_lock(&file->lock);
        file->stopping = true;
        pthread_cond_signal(&file->wake);
        pthread_mutex_unlock(&file->lock);
        pthread_join(file->thread, NULL);
    }
    if (file->checking)
        pthread_join(file->check_thread, NULL);
    free(file->damage);
    free(file->path);
}

int sqlite_store_open(struct db *db, struct error *err)
{
    struct sqlite_store *store = memory_alloc(sizeof *store);

    db->driver_data = store;
    store->lock_fd = -1;
    if (lock_take(store, db->url.path, err) < 0)
        return -1;
    if (file_init(&store->main, memory_strdup(db->url.path), db->durability_relaxed, err) < 0)
        return -1;
    return file_init(&store->log, log_path(db->url.path), true, err);
}

/* Once the writers have it open and it is known to be ours. */
int sqlite_store_opened(struct db *db, struct error *err)
{
    struct sqlite_store *store = db->driver_data;

    return sqlite_check_start(&store->main, err);
}

void sqlite_store_close(struct db *db)
{
    struct sqlite_store *store = db->driver_data;

    file_done(&store->main);
    file_done(&store->log);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store);
}
