#include "auth/auth.h"

/*
 * Tables of auth. Names are compared by bytes; those of users have no two spellings of one (user.h).
 * Of secrets there are hashes only: passwords by Argon2id, tokens by BLAKE2b-256 in hex.
 */
static const char users_sql[] =
    /* One row, made with the first administrator: its key lets one of two nodes win the first
     * start, and updating it is the lock under which administrators are taken away. */
    "CREATE TABLE setup (id $ID NOT NULL PRIMARY KEY, completed_at $INT NOT NULL, "
    "changes $INT NOT NULL) $TABLE_OPTIONS;\n"
    /* epoch grows with every change of the password and when somebody is disabled; sessions of an
     * older one are dead. */
    "CREATE TABLE user_account (id $SERIAL, name $KEY(64) NOT NULL, display_name $TEXT, "
    "password $TEXT NOT NULL, epoch $INT NOT NULL, disabled $INT NOT NULL, "
    "created_at $INT NOT NULL, updated_at $INT NOT NULL, signed_in_at $INT, "
    "CONSTRAINT user_account_name UNIQUE (name)) $TABLE_OPTIONS;\n"
    "CREATE TABLE user_role (user_id $INT NOT NULL, group_id $INT NOT NULL, role $INT NOT NULL, "
    "PRIMARY KEY (user_id, group_id)) $TABLE_OPTIONS;\n"
    "CREATE TABLE session (id $SERIAL, token_hash $KEY(64) NOT NULL, user_id $INT NOT NULL, "
    "epoch $INT NOT NULL, created_at $INT NOT NULL, used_at $INT NOT NULL, "
    "expires_at $INT NOT NULL, address $KEY(64), user_agent $TEXT, "
    "CONSTRAINT session_token UNIQUE (token_hash)) $TABLE_OPTIONS;\n"
    "CREATE INDEX session_of_user ON session (user_id);\n"
    "CREATE INDEX session_expires ON session (expires_at);\n";

static const char keys_sql[] =
    /* old_hash: the secret before the last rotation, good until old_until. */
    "CREATE TABLE api_key (id $SERIAL, key_id $KEY(16) NOT NULL, secret_hash $KEY(64) NOT NULL, "
    "old_hash $KEY(64), old_until $INT, user_id $INT NOT NULL, name $KEY(64) NOT NULL, "
    "addresses $TEXT, created_at $INT NOT NULL, expires_at $INT, revoked_at $INT, used_at $INT, "
    "used_address $KEY(64), CONSTRAINT api_key_key UNIQUE (key_id)) $TABLE_OPTIONS;\n"
    "CREATE INDEX api_key_user ON api_key (user_id);\n"
    "CREATE TABLE api_key_role (api_key_id $INT NOT NULL, group_id $INT NOT NULL, "
    "role $INT NOT NULL, PRIMARY KEY (api_key_id, group_id)) $TABLE_OPTIONS;\n"
    /* For signed API requests: a nonce is good once, and kept until its request has gone stale. */
    "CREATE TABLE nonce (key_id $KEY(16) NOT NULL, nonce $KEY(64) NOT NULL, "
    "expires_at $INT NOT NULL, PRIMARY KEY (key_id, nonce)) $TABLE_OPTIONS;\n"
    "CREATE INDEX nonce_expires ON nonce (expires_at);\n";

static const char nodes_sql[] =
    "CREATE TABLE node (name $KEY(128) NOT NULL PRIMARY KEY, public_key $KEY(64) NOT NULL, "
    "services $TEXT, enrolled_at $INT NOT NULL, revoked_at $INT) $TABLE_OPTIONS;\n";

const struct db_migration auth_migrations[] = {
    { .version = 100, .name = "auth: users and sessions", .sql = users_sql },
    { .version = 101, .name = "auth: API keys", .sql = keys_sql },
    { .version = 102, .name = "auth: nodes", .sql = nodes_sql },
};
const size_t auth_migration_count = sizeof auth_migrations / sizeof *auth_migrations;
