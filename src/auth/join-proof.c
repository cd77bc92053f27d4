#include "auth/calls.h"

#include "auth/token.h"

#include <sodium.h>
#include <stdarg.h>
#include <string.h>

int join_key_get(const struct config *config, const char **ret_key, struct error *err)
{
    const char *key = config_text(config, "cluster.join_key");

    if (!key)
        return error_set(err, ERR_INVALID,
                         "cluster.join_key is not set: processes that run apart need it");
    if (strlen(key) < JOIN_KEY_MIN)
        return error_set(err, ERR_INVALID, "cluster.join_key needs at least %d characters",
                         JOIN_KEY_MIN);
    *ret_key = key;
    return 0;
}

static void mac_text(crypto_auth_hmacsha512256_state *state, const char *text)
{
    unsigned char size[4];
    size_t length = strlen(text);

    for (int i = 0; i < 4; i++)
        size[i] = (unsigned char)(length >> (24 - 8 * i));
    crypto_auth_hmacsha512256_update(state, size, sizeof size);
    crypto_auth_hmacsha512256_update(state, (const unsigned char *)text, length);
}

void join_proof(const char *join_key, char proof[PROOF_SIZE + 1], const char *purpose, ...)
{
    crypto_auth_hmacsha512256_state state;
    unsigned char mac[crypto_auth_hmacsha512256_BYTES];
    va_list texts;
    const char *text;

    crypto_auth_hmacsha512256_init(&state, (const unsigned char *)join_key, strlen(join_key));
    mac_text(&state, purpose);
    va_start(texts, purpose);
    while ((text = va_arg(texts, const char *)))
        mac_text(&state, text);
    va_end(texts);
    crypto_auth_hmacsha512256_final(&state, mac);
    sodium_bin2hex(proof, PROOF_SIZE + 1, mac, sizeof mac);
    sodium_memzero(&state, sizeof state);
}

bool join_proof_equal(const char *proof, const char *given)
{
    return given && token_equal(proof, given);
}
