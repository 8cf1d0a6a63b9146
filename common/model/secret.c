// SPDX-License-Identifier: Apache-2.0
// A secret of ours is "cm-", 43 digits of base62 that spell a random 256-bit
// number, and 6 digits that spell the CRC-32 of those 46 characters. The
// checksum lets scanners and a careful worker tell a typing mistake from an
// unknown key; it protects nothing. Only SHA-256 digests leave this file's
// callers for Redis, memory or logs.
//
// Nothing here fails: randomness and digests abort when the system has none.
#include "common/model/secret.h"

#include <openssl/crypto.h>
#include <string.h>
#include <zlib.h>

#include "common/model/sha256.h"

_Static_assert((int)SECRET_DIGEST_LEN == (int)SHA256_LEN, "a secret's digest is a SHA-256");

enum { PREFIX_LEN = 3, RANDOM_DIGITS = 43, CHECK_DIGITS = 6 };
enum { RANDOM_WORDS = 8, CHECKED_LEN = PREFIX_LEN + RANDOM_DIGITS };
enum { HINT_HEAD = 6, HINT_TAIL = 4 };

static const char prefix[] = "cm-";
static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// Divides the number (most significant word first) by 62; returns the rest.
static uint32_t divide_by_62(uint32_t *words, size_t count)
{
    uint64_t rest = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t part = rest << 32 | words[i];
        words[i] = (uint32_t)(part / 62);
        rest = part % 62;
    }
    return (uint32_t)rest;
}

// Spells the number in exactly `digits` digits, zeros in front; uses it up.
static void write_base62(uint32_t *words, size_t count, char *out, size_t digits)
{
    for (size_t i = digits; i > 0; i--)
        out[i - 1] = base62[divide_by_62(words, count)];
}

static void write_checksum(const char *checked, char *out)
{
    uint32_t crc = (uint32_t)crc32(0, (const unsigned char *)checked, CHECKED_LEN);
    write_base62(&crc, 1, out, CHECK_DIGITS);
}

void secret_generate(char out[SECRET_LEN + 1])
{
    uint32_t number[RANDOM_WORDS];
    util_random(number, sizeof(number));
    memcpy(out, prefix, PREFIX_LEN);
    write_base62(number, RANDOM_WORDS, out + PREFIX_LEN, RANDOM_DIGITS);
    write_checksum(out, out + CHECKED_LEN);
    out[SECRET_LEN] = '\0';
    explicit_bzero(number, sizeof(number));
}

bool secret_checksum_ok(struct slice secret)
{
    if (secret.len != SECRET_LEN || memcmp(secret.ptr, prefix, PREFIX_LEN) != 0)
        return false;
    for (size_t i = PREFIX_LEN; i < SECRET_LEN; i++)
        if (memchr(base62, secret.ptr[i], sizeof(base62) - 1) == NULL)
            return false;
    char check[CHECK_DIGITS];
    write_checksum(secret.ptr, check);
    return memcmp(secret.ptr + CHECKED_LEN, check, CHECK_DIGITS) == 0;
}

void secret_hash(struct slice secret, struct secret_digest *out)
{
    sha256_slice(secret, out->bytes);
}

void secret_digest_hex(const struct secret_digest *digest, char out[SECRET_HEX_LEN + 1])
{
    util_hex_encode(digest->bytes, SECRET_DIGEST_LEN, out);
    out[SECRET_HEX_LEN] = '\0';
}

bool secret_digest_parse(struct slice hex, struct secret_digest *out)
{
    struct secret_digest digest;
    if (hex.len != SECRET_HEX_LEN || !util_hex_decode(hex.ptr, digest.bytes, SECRET_DIGEST_LEN))
        return false;
    *out = digest;
    return true;
}

// In constant time, because digests of admin tokens are compared with it too.
bool secret_digest_equal(const struct secret_digest *a, const struct secret_digest *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, SECRET_DIGEST_LEN) == 0;
}

void secret_hint(struct slice secret, char out[SECRET_HINT_LEN + 1])
{
    CM_ASSERT(secret.len == SECRET_LEN);
    memcpy(out, secret.ptr, HINT_HEAD);
    memcpy(out + HINT_HEAD, "...", 3);
    memcpy(out + SECRET_HINT_LEN - HINT_TAIL, secret.ptr + SECRET_LEN - HINT_TAIL, HINT_TAIL);
    out[SECRET_HINT_LEN] = '\0';
}
