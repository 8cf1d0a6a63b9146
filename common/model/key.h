// SPDX-License-Identifier: Apache-2.0
// The record that workers read for one key digest: may it pass, until when, and
// which aliases it sees.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/alias.h"

enum key_state { KEY_ACTIVE, KEY_DISABLED, KEY_REVOKED };

enum { KEY_ID_MAX = 30 }; // "key_" + 26

// Immutable after key_parse.
struct key {
    enum key_state state;
    uint64_t revision;  // of the write that made this record
    int64_t expires_at; // seconds since the epoch; 0 = never
    char id[KEY_ID_MAX + 1];
    struct alias_set *aliases; // owned, never NULL
    size_t bytes;              // memory of this key and its aliases
};

// Parses a stored record {"rev","id","state","expires_at"?,"aliases"?}: the one
// validator. NULL when it is invalid. key_destroy frees it.
CM_MUST_CHECK struct key *key_parse(struct slice record);
void key_destroy(struct key *k); // NULL is fine
// Appends the record form; aliases may be NULL (none, as in a tombstone).
void key_write_record(struct buf *out, uint64_t revision, const char *id, enum key_state state,
                      int64_t expires_at, const json_t *aliases);
// The record of a key that was parsed: key_parse of it gives the same key.
void key_write(struct buf *out, const struct key *k);
// May a request with this key pass at now_s? (state and expiry)
bool key_passes(const struct key *k, int64_t now_s);
