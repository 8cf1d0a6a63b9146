// SPDX-License-Identifier: Apache-2.0
// The announcement of a revision on the bell channel: "epoch rev change prev
// [K|D digest]...". Never a value: it may make a worker stricter or make it
// read, nothing else.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/secret.h"

enum { BELL_KEYS_MAX = 8 }; // more are left to the log

struct bell_key {
    bool deny;
    struct secret_digest digest;
};

struct bell {
    uint64_t epoch;
    uint64_t revision;
    uint64_t change;
    uint64_t previous;
    size_t key_count;
    struct bell_key keys[BELL_KEYS_MAX];
};

// False for anything else than a whole bell; then *out is unchanged.
CM_MUST_CHECK bool bell_parse(struct slice text, struct bell *out);
void bell_write(struct buf *out, const struct bell *bell);
