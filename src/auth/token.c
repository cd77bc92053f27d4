#include "auth/token.h"

#include "base/random.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char setup_letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void letters_random(char *text, size_t size, const char *alphabet)
{
    unsigned char bytes[TOKEN_SECRET_SIZE];

    assert(size <= sizeof bytes);
    random_bytes(bytes, size);
    for (size_t i = 0; i < size; i++)
        text[i] = alphabet[bytes[i] & 31]; /* 256 is a multiple of 32: no letter is favoured */
    text[size] = '\0';
    sodium_memzero(bytes, sizeof bytes);
}

static bool letters_only(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '2' && text[i] <= '7')))
            return false;
    return true;
}

void token_session_make(char text[TOKEN_SECRET_SIZE + 1])
{
    letters_random(text, TOKEN_SECRET_SIZE, letters);
}

void token_key_make(char text[TOKEN_KEY_SIZE + 1])
{
    char id[TOKEN_KEY_ID_SIZE + 1];

    letters_random(id, TOKEN_KEY_ID_SIZE, letters);
    token_key_remake(id, text);
}

void token_key_remake(const char *id, char text[TOKEN_KEY_SIZE + 1])
{
    char secret[TOKEN_SECRET_SIZE + 1];

    letters_random(secret, TOKEN_SECRET_SIZE, letters);
    snprintf(text, TOKEN_KEY_SIZE + 1, "bf_%.12s_%s", id, secret);
    sodium_memzero(secret, sizeof secret);
}

void token_setup_make(char text[TOKEN_SETUP_SIZE + 1])
{
    char part[3][5];

    for (int i = 0; i < 3; i++)
        letters_random(part[i], 4, setup_letters);
    snprintf(text, TOKEN_SETUP_SIZE + 1, "%s-%s-%s", part[0], part[1], part[2]);
}

bool token_session_valid(struct str text)
{
    return text.size == TOKEN_SECRET_SIZE && letters_only(text.bytes, text.size);
}

bool token_key_parse(struct str text, char id[TOKEN_KEY_ID_SIZE + 1])
{
    const char *secret;

    if (text.size != TOKEN_KEY_SIZE || !str_starts_with(text, STR("bf_")))
        return false;
    secret = text.bytes + 3 + TOKEN_KEY_ID_SIZE + 1;
    if (!letters_only(text.bytes + 3, TOKEN_KEY_ID_SIZE) || secret[-1] != '_' ||
        !letters_only(secret, TOKEN_SECRET_SIZE))
        return false;
    memcpy(id, text.bytes + 3, TOKEN_KEY_ID_SIZE);
    id[TOKEN_KEY_ID_SIZE] = '\0';
    return true;
}

void token_hash(const char *text, char hash[TOKEN_HASH_SIZE + 1])
{
    unsigned char digest[TOKEN_HASH_SIZE / 2];

    crypto_generichash(digest, sizeof digest, (const unsigned char *)text, strlen(text), NULL, 0);
    sodium_bin2hex(hash, TOKEN_HASH_SIZE + 1, digest, sizeof digest);
}

void token_csrf(const char *session_hash, char text[TOKEN_SECRET_SIZE + 1])
{
    static const unsigned char purpose[crypto_generichash_KEYBYTES] = "belfry csrf 1";
    unsigned char digest[TOKEN_SECRET_SIZE];

    crypto_generichash(digest, sizeof digest, (const unsigned char *)session_hash,
                       strlen(session_hash), purpose, sizeof purpose);
    for (size_t i = 0; i < TOKEN_SECRET_SIZE; i++)
        text[i] = letters[digest[i] & 31];
    text[TOKEN_SECRET_SIZE] = '\0';
}

bool token_equal(const char *a, const char *b)
{
    size_t size = strlen(a);

    return size == strlen(b) && sodium_memcmp(a, b, size) == 0;
}

static char setup_letter(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    if (c == 'O')
        return '0';
    return c == 'I' || c == 'L' ? '1' : c;
}

/* Letters that count, at most size of them; the rest of text only has its length told. */
static size_t setup_normalise(const char *text, char *out, size_t size)
{
    size_t count = 0;

    for (; *text; text++) {
        if (*text == '-' || *text == ' ')
            continue;
        if (count < size)
            out[count] = setup_letter(*text);
        count++;
    }
    return count;
}

bool token_setup_equal(const char *made, const char *typed)
{
    char a[12] = { 0 }, b[12] = { 0 };
    size_t a_size = setup_normalise(made, a, sizeof a);
    size_t b_size = setup_normalise(typed, b, sizeof b);
    bool same = sodium_memcmp(a, b, sizeof a) == 0;

    return same && a_size == sizeof a && b_size == sizeof b;
}
