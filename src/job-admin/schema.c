#include "job-admin/admin.h"

/*
 * Tables of job-admin. A run's last attempt stands in its own row, earlier ones in attempt: an
 * ordinary run costs one row. live is 1 until the run is terminal, then NULL, so the index run_live
 * finds what a restart must pick up. day is the UTC day of fire_at, the partition on servers.
 */
static const char jobs_sql[] =
    "CREATE TABLE job_group (id $ID NOT NULL PRIMARY KEY, name $KEY(64) NOT NULL, "
    "description $TEXT, created_at $INT NOT NULL, CONSTRAINT job_group_name UNIQUE (name)) "
    "$TABLE_OPTIONS;\n"
    "INSERT INTO job_group (id, name, description, created_at) VALUES (1, 'default', NULL, 0);\n"
    "CREATE TABLE job (id $ID NOT NULL PRIMARY KEY, group_id $INT NOT NULL, name $KEY(128) NOT NULL, "
    "shard $INT NOT NULL, enabled $INT NOT NULL, version $INT NOT NULL, "
    "schedule_version $INT NOT NULL, definition $TEXT NOT NULL, owner $KEY(128), "
    "next_fire_at $INT, paused_at $INT, paused_until $INT, disabled_at $INT, "
    "created_at $INT NOT NULL, updated_at $INT NOT NULL, created_by $KEY(128), "
    "CONSTRAINT job_name UNIQUE (group_id, name)) $TABLE_OPTIONS;\n"
    "CREATE INDEX job_due ON job (shard, next_fire_at);\n"
    "CREATE TABLE job_version (job_id $ID NOT NULL, version $INT NOT NULL, "
    "schedule_version $INT NOT NULL, definition $TEXT NOT NULL, valid_from $INT NOT NULL, "
    "changed_by $KEY(128), PRIMARY KEY (job_id, version)) $TABLE_OPTIONS;\n"
    "CREATE TABLE job_tag (job_id $ID NOT NULL, tag $KEY(64) NOT NULL, "
    "PRIMARY KEY (job_id, tag)) $TABLE_OPTIONS;\n"
    "CREATE INDEX job_tag_tag ON job_tag (tag);\n";

static const char runs_sql[] =
    "CREATE TABLE run (id $ID NOT NULL, day $INT NOT NULL, job_id $INT NOT NULL, "
    "shard $INT NOT NULL, group_id $INT NOT NULL, fire_at $INT NOT NULL, fire_key $KEY(160) NOT NULL, "
    "state $INT NOT NULL, live $INT, attempt $INT NOT NULL, token $INT NOT NULL, "
    "lost_count $INT NOT NULL, failed_count $INT NOT NULL, job_version $INT NOT NULL, "
    "schedule_version $INT NOT NULL, priority $INT NOT NULL, origin $INT NOT NULL, "
    "cause $INT NOT NULL, start_at $INT, due_at $INT, planned_at $INT NOT NULL, ready_at $INT, dispatched_at $INT, "
    "started_at $INT, ended_at $INT, executor $KEY(64), incarnation $KEY(32), "
    "stop_cause $INT, stop_by $KEY(128), stop_at $INT, parent_run_id $ID, shard_index $INT, "
    "shard_total $INT, created_by $KEY(128), parameters $TEXT, message $TEXT, output $TEXT, "
    "exit_code $INT, exit_signal $INT, http_status $INT, address $KEY(64), cpu_ms $INT, "
    "memory_peak $INT, log_bytes $INT, log_dropped $INT, "
    "PRIMARY KEY (id, day), CONSTRAINT run_fire UNIQUE (job_id, fire_at, fire_key, day)) "
    "$TABLE_OPTIONS $DAY_PARTITION;\n"
    "CREATE INDEX run_live ON run (live, shard);\n"
    "CREATE INDEX run_time ON run (fire_at, id);\n"
    "CREATE TABLE attempt (run_id $ID NOT NULL, day $INT NOT NULL, attempt $INT NOT NULL, "
    "token $INT NOT NULL, state $INT NOT NULL, cause $INT NOT NULL, executor $KEY(64), "
    "incarnation $KEY(32), dispatched_at $INT, started_at $INT, ended_at $INT, message $TEXT, "
    "exit_code $INT, exit_signal $INT, http_status $INT, cpu_ms $INT, memory_peak $INT, "
    "log_bytes $INT, log_dropped $INT, "
    "PRIMARY KEY (run_id, attempt, token, day)) $TABLE_OPTIONS $DAY_PARTITION;\n"
    "CREATE TABLE run_note (run_id $ID NOT NULL, day $INT NOT NULL, at $INT NOT NULL, "
    "kind $KEY(32) NOT NULL, note $TEXT) $TABLE_OPTIONS $DAY_PARTITION;\n"
    "CREATE INDEX run_note_run ON run_note (run_id, day);\n"
    "CREATE TABLE run_request (job_id $ID NOT NULL, request $KEY(128) NOT NULL, run_id $ID NOT NULL, "
    "created_at $INT NOT NULL, PRIMARY KEY (job_id, request)) $TABLE_OPTIONS;\n"
    "CREATE TABLE fire_gap (job_id $ID NOT NULL, from_at $INT NOT NULL, to_at $INT NOT NULL, "
    "fires $INT NOT NULL, cause $INT NOT NULL, schedule_version $INT NOT NULL, "
    "created_at $INT NOT NULL, PRIMARY KEY (job_id, from_at, cause, created_at)) $TABLE_OPTIONS;\n"
    "CREATE TABLE shard_lease (shard $INT NOT NULL PRIMARY KEY, owner $KEY(64) NOT NULL, "
    "incarnation $KEY(32) NOT NULL, epoch $INT NOT NULL, expires_at $INT NOT NULL) $TABLE_OPTIONS;\n"
    "CREATE TABLE admin_peer (incarnation $KEY(32) NOT NULL PRIMARY KEY, name $KEY(64) NOT NULL, "
    "expires_at $INT NOT NULL) $TABLE_OPTIONS;\n"
    "CREATE TABLE admin_mail (id $ID NOT NULL PRIMARY KEY, shard $INT NOT NULL, kind $INT NOT NULL, "
    "ref $ID NOT NULL, created_at $INT NOT NULL) $TABLE_OPTIONS;\n";

static const char logs_sql[] =
    "CREATE TABLE run_log (run_id $ID NOT NULL, day $INT NOT NULL, attempt $INT NOT NULL, "
    "sequence $INT NOT NULL, first_line $INT NOT NULL, line_count $INT NOT NULL, "
    "first_at $INT NOT NULL, last_at $INT NOT NULL, dropped $INT NOT NULL, last_chunk $INT NOT NULL, "
    "size $INT NOT NULL, bytes $BLOB NOT NULL, "
    "PRIMARY KEY (run_id, attempt, sequence, day)) $TABLE_OPTIONS $DAY_PARTITION;\n";

const struct db_migration job_admin_migrations[] = {
    { .version = 10, .name = "job-admin: jobs", .sql = jobs_sql },
    { .version = 11, .name = "job-admin: runs", .sql = runs_sql },
    { .version = 12, .name = "job-admin: run logs", .sql = logs_sql, .log_store = true },
};
const size_t job_admin_migration_count =
    sizeof job_admin_migrations / sizeof *job_admin_migrations;
