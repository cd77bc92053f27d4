#include "auth/key.h"

#include "auth/token.h"
#include "base/address.h"

static bool address_allowed(const char *list, const char *text)
{
    struct cidr cidrs[KEY_ADDRESSES_MAX];
    struct address address;
    int count = cidr_list_parse(list, cidrs, KEY_ADDRESSES_MAX, NULL);

    return count > 0 && address_parse(str_of(text), &address) &&
           cidr_list_has(cidrs, (size_t)count, &address);
}

const char *key_refusal(const struct api_key *key, const struct user *owner, const char *hash,
                        const char *address, int64_t now_ms)
{
    bool current = token_equal(key->secret_hash, hash);
    bool previous = key->old_hash && token_equal(key->old_hash, hash);

    if (!current && !previous)
        return "wrong secret";
    if (!current && now_ms >= key->old_until)
        return "rotated";
    if (key->revoked_at)
        return "revoked";
    if (key->expires_at && now_ms >= key->expires_at)
        return "expired";
    if (owner->disabled)
        return "owner disabled";
    if (key->addresses && !address_allowed(key->addresses, address))
        return "address not allowed";
    return NULL;
}

void key_rotated(struct api_key *key, char *new_hash, int64_t old_until)
{
    key->old_hash = key->secret_hash;
    key->old_until = old_until;
    key->secret_hash = new_hash;
}
