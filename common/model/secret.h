// SPDX-License-Identifier: Apache-2.0
// Key secrets: making them, their checksum, their digest, their hint, and ids.
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

enum {
    SECRET_LEN = 52,        // "cm-" + 43 base62 (256 random bits) + 6 base62 (CRC-32)
    SECRET_MAX = 1024,      // the longest credential that is looked at
    SECRET_DIGEST_LEN = 32, // SHA-256
    SECRET_HEX_LEN = 64,
    SECRET_HINT_LEN = 13, // "cm-7Qd...x9Lk"
    SECRET_ULID_LEN = 26
};

struct secret_digest {
    unsigned char bytes[SECRET_DIGEST_LEN];
};

// A new secret, NUL-ended. The caller wipes it (explicit_bzero).
void secret_generate(char out[SECRET_LEN + 1]);
// Does the CRC-32 at the end match what precedes it? False for any other form.
bool secret_checksum_ok(struct slice secret);
// SHA-256 with one reused context and a prefetched digest.
void secret_hash(struct slice secret, struct secret_digest *out);
void secret_digest_hex(const struct secret_digest *digest, char out[SECRET_HEX_LEN + 1]);
CM_MUST_CHECK bool secret_digest_parse(struct slice hex, struct secret_digest *out);
bool secret_digest_equal(const struct secret_digest *a, const struct secret_digest *b);
// First six and last four characters of a secret of ours.
void secret_hint(struct slice secret, char out[SECRET_HINT_LEN + 1]);
// A ULID (48-bit milliseconds + 80 random bits) in Crockford base32, NUL-ended.
void secret_ulid(int64_t wall_ms, char out[SECRET_ULID_LEN + 1]);
