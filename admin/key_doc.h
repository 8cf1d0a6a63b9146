// SPDX-License-Identifier: Apache-2.0
// A key as the admin keeps it: the document in the store, its shape in the API,
// and what the workers' records say about it.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/key.h"
#include "common/model/secret.h"

enum {
    KEY_SECRETS_MAX = 16,    // the current one and those still in their grace
    KEY_GRACE_SLACK_S = 3600 // how long a record outlives its grace (the workers' clocks)
};

struct key_secret {
    struct secret_digest digest;
    char hint[SECRET_HINT_LEN + 1]; // "" = unknown, it was imported
    int64_t until;                  // seconds; 0 = the current one, which has no end
};

// Times are seconds since the epoch. Strings and documents are owned.
struct key_doc {
    char id[KEY_ID_MAX + 1];
    char *name;
    bool enabled;
    json_t *tags; // array of strings
    int64_t created_at;
    int64_t expires_at; // 0 = never
    int64_t revoked_at; // 0 = not revoked
    uint64_t revision;  // of the last write
    json_t *aliases;    // array, valid for alias_set_parse
    size_t secret_count;
    struct key_secret secrets[KEY_SECRETS_MAX]; // the current one first
};

// A key with that id, no aliases, no tags, enabled, and no secret yet.
CM_MUST_CHECK struct key_doc *key_doc_create(const char *id, int64_t now_s);
CM_MUST_CHECK struct key_doc *key_doc_copy(const struct key_doc *k);
void key_doc_destroy(struct key_doc *k); // NULL is fine

// The stored form. NULL when it is not one.
CM_MUST_CHECK struct key_doc *key_doc_parse(struct slice text);
void key_doc_write(struct buf *out, const struct key_doc *k);

// "active", "disabled", "expired", "revoked".
const char *key_doc_status(const struct key_doc *k, int64_t now_s);
// Do both say the same to a client, revision apart?
bool key_doc_same(const struct key_doc *a, const struct key_doc *b);

// A new current secret. The ones so far work until grace_s from now at most; with
// 0 they are taken off. False when there is no room for another one in its grace.
CM_MUST_CHECK bool key_doc_rotate(struct key_doc *k, const struct secret_digest *digest,
                                  const char *hint, int64_t grace_s, int64_t now_s);
// Takes off the secrets whose grace is over.
void key_doc_drop_lapsed(struct key_doc *k, int64_t now_s);
bool key_doc_has(const struct key_doc *k, const struct secret_digest *digest);

// What the workers read of secret i.
struct key_projection {
    bool deny;      // it must be refused from now on
    uint64_t ttl_s; // 0 = for ever
};
// Appends its record as of that revision.
struct key_projection key_doc_project(const struct key_doc *k, size_t i, uint64_t revision,
                                      int64_t now_s, struct buf *record);
