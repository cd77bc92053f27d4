#include "service/identity.h"

#include "base/memory.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HASH_SIZE = 32,
    HASH_TEXT = 44,
    CLAIMS_MAX = 48 * 1024,
    BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
};

struct identity {
    char *node_name;
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
};

_Static_assert(IDENTITY_KEY_SIZE == crypto_sign_PUBLICKEYBYTES, "Ed25519");

/* --- claims as JSON -------------------------------------------------------------------------- */

static const char *const kind_names[] = { "user", "key", "service", NULL };

/* clang-format off */
static const struct json_table grant_table = {
    "IdentityGrant", sizeof(struct grant),
    (const struct json_member[]){
        { .name = "g", .type = JSON_INT32, .offset = offsetof(struct grant, group_id),
          .max = INT32_MAX },
        { .name = "r", .type = JSON_INT32, .offset = offsetof(struct grant, role), .flags = JSON_REQUIRED,
          .max = ROLE_ADMINISTRATOR },
        { 0 },
    },
};

static const struct json_table principal_table = {
    "IdentityPrincipal", sizeof(struct principal),
    (const struct json_member[]){
        { .name = "kind", .type = JSON_ENUM, .offset = offsetof(struct principal, kind),
          .flags = JSON_REQUIRED, .names = kind_names },
        { .name = "id", .type = JSON_INT32, .offset = offsetof(struct principal, id),
          .max = INT32_MAX },
        { .name = "name", .type = JSON_TEXT, .offset = offsetof(struct principal, name),
          .flags = JSON_REQUIRED, .max = 256 },
        { .name = "browser", .type = JSON_BOOL, .offset = offsetof(struct principal, browser) },
        { .name = "user", .type = JSON_INT32, .offset = offsetof(struct principal, user_id),
          .max = INT32_MAX },
        { .name = "session", .type = JSON_INT32, .offset = offsetof(struct principal, session_id),
          .max = INT32_MAX },
        { .name = "grants", .type = JSON_ARRAY, .offset = offsetof(struct principal, grants),
          .count_offset = offsetof(struct principal, grant_count), .sub = &grant_table },
        { 0 },
    },
};

#define CLAIM_TEXT(member, json, size_max)                                                    \
    { .name = json, .type = JSON_TEXT, .offset = offsetof(struct claims, member),             \
      .flags = JSON_REQUIRED | JSON_ONE_LINE, .max = size_max }

static const struct json_table claims_table = {
    "Identity", sizeof(struct claims),
    (const struct json_member[]){
        CLAIM_TEXT(issuer, "iss", 64),
        CLAIM_TEXT(audience, "aud", 64),
        CLAIM_TEXT(method, "method", 16),
        CLAIM_TEXT(target, "target", 16384),
        CLAIM_TEXT(body_hash, "body", HASH_TEXT),
        { .name = "iat", .type = JSON_INT, .offset = offsetof(struct claims, issued_ms),
          .flags = JSON_REQUIRED, .max = INT64_MAX },
        { .name = "exp", .type = JSON_INT, .offset = offsetof(struct claims, expires_ms),
          .flags = JSON_REQUIRED, .max = INT64_MAX },
        { .name = "rid", .type = JSON_TEXT, .offset = offsetof(struct claims, request_id),
          .flags = JSON_OMIT_EMPTY | JSON_ONE_LINE, .max = 64 },
        { .name = "client", .type = JSON_TEXT, .offset = offsetof(struct claims, client_address),
          .flags = JSON_OMIT_EMPTY | JSON_ONE_LINE, .max = 64 },
        { .name = "sub", .type = JSON_OBJECT, .offset = offsetof(struct claims, principal),
          .flags = JSON_OMIT_EMPTY, .sub = &principal_table },
        { 0 },
    },
};
/* clang-format on */

/* --- the key file ---------------------------------------------------------------------------- */

static void key_of_seed(struct identity *identity, const unsigned char seed[crypto_sign_SEEDBYTES])
{
    crypto_sign_seed_keypair(identity->public_key, identity->secret_key, seed);
}

/* 1 read, 0 there is no file yet, -1 failed. */
static int key_load(struct identity *identity, int folder, const char *data_dir, struct error *err)
{
    unsigned char seed[crypto_sign_SEEDBYTES + 1];
    struct stat st;
    int fd = openat(folder, "node.key", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0
                               : error_set(err, ERR_IO, "cannot read %s/node.key: %s", data_dir,
                                           strerror(errno));
    ssize_t n = read(fd, seed, sizeof seed);
    int rc = fstat(fd, &st);
    close(fd);
    if (rc < 0 || n != crypto_sign_SEEDBYTES)
        return error_set(err, ERR_IO, "%s/node.key is damaged; remove it to get a new key",
                         data_dir);
    if (st.st_mode & 0077)
        return error_set(err, ERR_INVALID, "%s/node.key must be readable by its owner only (0600)",
                         data_dir);
    key_of_seed(identity, seed);
    sodium_memzero(seed, sizeof seed);
    return 1;
}

/* Under another name first: a start that is cut off leaves no half key. */
static int key_make(struct identity *identity, int folder, const char *data_dir, struct error *err)
{
    unsigned char seed[crypto_sign_SEEDBYTES];
    int fd =
        openat(folder, "node.key.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok = fd >= 0;

    randombytes_buf(seed, sizeof seed);
    ok = ok && write(fd, seed, sizeof seed) == (ssize_t)sizeof seed && fsync(fd) == 0;
    ok = ok && renameat(folder, "node.key.new", folder, "node.key") == 0 && fsync(folder) == 0;
    int error_number = errno;
    if (fd >= 0)
        close(fd);
    if (ok)
        key_of_seed(identity, seed);
    sodium_memzero(seed, sizeof seed);
    return ok ? 0
              : error_set(err, ERR_IO, "cannot write %s/node.key: %s", data_dir,
                          strerror(error_number));
}

int identity_new(const char *data_dir, const char *node_name, struct identity **ret_identity,
                 struct error *err)
{
    CLEANUP(identity_free) struct identity *identity = memory_alloc(sizeof *identity);
    int folder = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    identity->node_name = memory_strdup(node_name);
    if (folder < 0)
        return error_set(err, ERR_IO, "cannot use the data folder %s: %s", data_dir,
                         strerror(errno));
    int rc = key_load(identity, folder, data_dir, err);
    if (rc == 0)
        rc = key_make(identity, folder, data_dir, err);
    close(folder);
    if (rc < 0)
        return -1;
    *ret_identity = TAKE(identity);
    return 0;
}

void identity_free(struct identity **identity)
{
    if (!*identity)
        return;
    free((*identity)->node_name);
    sodium_memzero(*identity, sizeof **identity);
    free(*identity);
    *identity = NULL;
}

const unsigned char *identity_public_key(const struct identity *identity)
{
    return identity->public_key;
}

/* --- signing --------------------------------------------------------------------------------- */

static char *base64(struct arena *arena, const void *bytes, size_t size)
{
    size_t room = sodium_base64_encoded_len(size, BASE64);
    char *text = arena_alloc(arena, room);

    return sodium_bin2base64(text, room, bytes, size, BASE64);
}

static char *hash_text(struct arena *arena, struct str body)
{
    unsigned char hash[HASH_SIZE];

    crypto_generichash(hash, sizeof hash, (const unsigned char *)body.bytes, body.size, NULL, 0);
    return base64(arena, hash, sizeof hash);
}

char *identity_sign(const struct identity *identity, const struct claims *claims, struct str body,
                    int64_t now_ms, struct arena *arena)
{
    struct claims all = *claims;
    unsigned char signature[crypto_sign_BYTES];
    struct json_writer w;
    struct buf json;

    all.issuer = identity->node_name;
    all.body_hash = hash_text(arena, body);
    all.issued_ms = now_ms;
    all.expires_ms = now_ms + IDENTITY_LIFE_MS;
    buf_init(&json, CLAIMS_MAX);
    json_begin(&w, &json);
    json_write_all(&w, &claims_table, &all);
    char *text = base64(arena, buf_text(&json), json.size);
    buf_done(&json);
    crypto_sign_detached(signature, NULL, (const unsigned char *)text, strlen(text),
                         identity->secret_key);
    return arena_printf(arena, "%s.%s", text, base64(arena, signature, sizeof signature));
}

/* --- verifying ------------------------------------------------------------------------------- */

/* "claims.signature": both parts are there and neither is absurdly long. */
static bool header_split(struct str header, struct str *ret_claims, struct str *ret_signature)
{
    struct str rest = header;

    return header.bytes && str_split(&rest, '.', ret_claims) && rest.bytes &&
           str_split(&rest, '.', ret_signature) && !rest.bytes && ret_claims->size > 0 &&
           ret_claims->size <= CLAIMS_MAX * 4 / 3;
}

int identity_read(struct str header, struct arena *arena, struct claims **ret_claims,
                  struct error *err)
{
    struct claims *claims = ARENA_NEW(arena, struct claims);
    struct str text, signature;
    struct error why;
    size_t size;

    if (!header_split(header, &text, &signature))
        return error_set(err, ERR_UNAUTHENTICATED, "the request is not signed by a node");
    char *json = arena_alloc(arena, text.size);
    if (sodium_base642bin((unsigned char *)json, text.size, text.bytes, text.size, NULL, &size,
                          NULL, BASE64) != 0 ||
        json_read((struct str){ json, size }, CLAIMS_MAX, &claims_table, arena, claims, &why) < 0)
        return error_set(err, ERR_UNAUTHENTICATED, "the node's signature has no readable claims");
    *ret_claims = claims;
    return 0;
}

bool identity_signed_by(struct str header, const unsigned char public_key[IDENTITY_KEY_SIZE])
{
    unsigned char signature[crypto_sign_BYTES];
    struct str text, part;
    size_t size;

    return header_split(header, &text, &part) &&
           sodium_base642bin(signature, sizeof signature, part.bytes, part.size, NULL, &size, NULL,
                             BASE64) == 0 &&
           size == sizeof signature &&
           crypto_sign_verify_detached(signature, (const unsigned char *)text.bytes, text.size,
                                       public_key) == 0;
}

int identity_check(const struct claims *claims, const char *audience, const char *method,
                   struct str target, struct str body, int64_t now_ms, struct error *err)
{
    if (claims->issued_ms > now_ms + IDENTITY_SKEW_MS ||
        claims->expires_ms < now_ms - IDENTITY_SKEW_MS)
        return error_set(err, ERR_UNAUTHENTICATED,
                         "the signature of node %s is not valid now: do the clocks agree?",
                         claims->issuer);
    if (claims->expires_ms - claims->issued_ms > IDENTITY_LIFE_MS ||
        claims->expires_ms < claims->issued_ms)
        return error_set(err, ERR_UNAUTHENTICATED, "the signature of node %s lives too long",
                         claims->issuer);
    if (strcmp(claims->audience, audience) != 0 || strcmp(claims->method, method) != 0 ||
        !str_is(target, claims->target))
        return error_set(err, ERR_UNAUTHENTICATED,
                         "the signature of node %s is for another request", claims->issuer);
    struct arena *arena = arena_new();
    bool same = strcmp(claims->body_hash, hash_text(arena, body)) == 0;
    arena_free(&arena);
    if (!same)
        return error_set(err, ERR_UNAUTHENTICATED, "the signature of node %s is for another body",
                         claims->issuer);
    return 0;
}
