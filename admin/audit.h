// SPDX-License-Identifier: Apache-2.0
// The audit entry of one change: who did what to which thing, from where, and
// what it changed.
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/base/buf.h"

enum { AUDIT_DIFF_MAX = 512 }; // more changes are only counted

struct audit {
    const char *actor;
    const char *action;   // "key.revoke"
    const char *resource; // "/keys/key_..."
    int64_t at_s;
    const char *address;
    const char *request_id;
    uint64_t revision;
    const json_t *diff;     // array; may be NULL
    const json_t *restored; // entries that the store lost, and this change brings back; or NULL
    uint64_t missing;       // writes that stay lost: the journal could not be read
};

// Appends the entry as JSON.
void audit_write(struct buf *out, const struct audit *a);
