#include "service/audit.h"

/* Versions 1-99 belong to the frame. */
const struct db_migration service_migrations[] = {
    { .version = 1,
      .name = "service: audit, ids",
      .sql = "CREATE TABLE audit_head ("
             "service $KEY(64) NOT NULL PRIMARY KEY, "
             "sequence $INT NOT NULL, "
             "hash $BLOB NOT NULL"
             ")$TABLE_OPTIONS;\n"
             "CREATE TABLE audit_entry ("
             "service $KEY(64) NOT NULL, "
             "sequence $INT NOT NULL, "
             "at $INT NOT NULL, "
             "actor_kind $INT NOT NULL, "
             "actor_id $INT NOT NULL, "
             "actor_name $TEXT, "
             "address $TEXT, "
             "action $KEY(64) NOT NULL, "
             "object $KEY(190) NOT NULL, "
             "group_id $INT NOT NULL, "
             "detail $TEXT, "
             "hash $BLOB NOT NULL, "
             "PRIMARY KEY (service, sequence)"
             ")$TABLE_OPTIONS;\n"
             "CREATE INDEX audit_entry_at ON audit_entry (at);\n"
             "CREATE INDEX audit_entry_object ON audit_entry (object, at);\n"
             "CREATE TABLE id_sequence ("
             "kind $KEY(32) NOT NULL PRIMARY KEY, "
             "next_value $INT NOT NULL"
             ")$TABLE_OPTIONS;\n" },
};
const size_t service_migration_count = sizeof service_migrations / sizeof *service_migrations;
