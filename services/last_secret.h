// SPDX-License-Identifier: Apache-2.0
// What a connection remembers of the last secret that it brought: its digest, so
// that the next request with the same secret need not hash it again.
#pragma once

#include <stdint.h>

#include "common/base/slice.h"
#include "common/model/secret.h"

// Zeroed memory remembers nothing. It says nothing about who may pass, so there is
// nothing to take back when a key changes; and it does not hold the secret.
struct last_secret {
    uint64_t mark_high, mark_low; // of the secret; 0 and 0 = of none
    struct secret_digest digest;
};

// The digest of a secret, remembered or worked out. last may be NULL.
void last_secret_digest(struct last_secret *last, struct slice secret, struct secret_digest *out);
