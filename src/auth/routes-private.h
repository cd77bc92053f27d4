#ifndef BELFRY_AUTH_ROUTES_PRIVATE_H
#define BELFRY_AUTH_ROUTES_PRIVATE_H

#include "auth/auth.h"
#include "auth/store.h"

/* Handlers and schemas of the routes; the table that joins them is routes.c. */

/* routes-setup.c */
void setup_state(struct request *request);
void setup_complete(struct request *request);
extern const struct json_table setup_table, setup_state_table;

/* routes-sign-in.c */
void session_sign_in(struct request *request);
void session_password(struct request *request);
extern const struct json_table sign_in_table, password_change_table;

/* routes-session.c */
void session_show(struct request *request);
void session_sign_out(struct request *request);
void session_list(struct request *request);
void session_revoke(struct request *request);
extern const struct json_table session_table, session_row_table;

/* routes-user.c */
void user_list(struct request *request);
void user_create(struct request *request);
void user_show(struct request *request);
void user_change(struct request *request);
void user_delete(struct request *request);
void user_grant(struct request *request);
void user_reset(struct request *request);
void user_sign_out(struct request *request);
void user_answer_new(struct work *work, const struct user *user); /* 201 with Location */
extern const char *const user_list_query[];
extern const struct json_table user_table, user_create_table, user_change_table, user_grant_table,
    user_reset_table;

/* routes-key.c */
void key_list(struct request *request);
void key_create(struct request *request);
void key_show(struct request *request);
void key_revoke(struct request *request);
void key_rotate(struct request *request);
extern const char *const key_list_query[];
extern const struct json_table key_table, key_create_table, key_rotate_table;

/* routes-node.c */
void node_list(struct request *request);
void node_revoke(struct request *request);
void node_forget(struct request *request);
extern const struct json_table node_table;

/* routes-audit.c */
void audit_search(struct request *request);
void audit_check(struct request *request);
extern const char *const audit_search_query[];
extern const struct json_table audit_entry_table, audit_check_table;

/* Texts of requests that are secret are wiped as soon as they were used. */
void secret_wipe(char *text);
/* A hash that could not be made fails the request; else a copy of it in the request's arena. */
char *request_hash_taken(struct request *request, const char *hash);
/* 429 with Retry-After. */
void request_throttled(struct request *request, int64_t wait_ms);

#endif
