#ifndef BELFRY_AUTH_TOKEN_H
#define BELFRY_AUTH_TOKEN_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Secrets that people and programs carry: session tokens, API keys, the setup code. All are random
 * (getrandom) in an alphabet of 32 letters, so a double click selects them whole. The store keeps
 * only their BLAKE2b hash; 256 random bits need no slow one.
 *
 *   session   52 letters                     260 bits
 *   API key   bf_<12 letters>_<52 letters>   the first part finds the row and is shown in lists
 *   setup     XXXX-XXXX-XXXX                 60 bits, upper case, without I L O U
 */
enum {
    TOKEN_SECRET_SIZE = 52,
    TOKEN_KEY_ID_SIZE = 12,
    TOKEN_KEY_SIZE = 3 + TOKEN_KEY_ID_SIZE + 1 + TOKEN_SECRET_SIZE,
    TOKEN_HASH_SIZE = 64, /* hex */
    TOKEN_SETUP_SIZE = 14,
};

void token_session_make(char text[TOKEN_SECRET_SIZE + 1]);
void token_key_make(char text[TOKEN_KEY_SIZE + 1]);
/* A new secret under an old id: rotation. */
void token_key_remake(const char *id, char text[TOKEN_KEY_SIZE + 1]);
void token_setup_make(char text[TOKEN_SETUP_SIZE + 1]);

bool token_session_valid(struct str text);
/* false where text is no API key; else id gets its first part. */
bool token_key_parse(struct str text, char id[TOKEN_KEY_ID_SIZE + 1]);

void token_hash(const char *text, char hash[TOKEN_HASH_SIZE + 1]);
/* What a page of this session sends as X-Belfry-CSRF: derived, so there is nothing to store. */
void token_csrf(const char *session_hash, char text[TOKEN_SECRET_SIZE + 1]);

/* Both take the same time whatever differs; lengths are no secret. */
bool token_equal(const char *a, const char *b);
/* As people type it: small letters, blanks and dashes do not matter, O reads 0, I and L read 1. */
bool token_setup_equal(const char *made, const char *typed);

#endif
