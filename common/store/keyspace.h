// SPDX-License-Identifier: Apache-2.0
// The only place that spells Redis keys and channels (ARCHITECTURE 3).
#pragma once

#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/secret.h"

enum { KEYSPACE_NAME_MAX = 384, KEYSPACE_PREFIX_MAX = 32, KEYSPACE_ID_MAX = 300 };

// Names that do not depend on an object, made once. NUL-ended.
struct keyspace {
    char prefix[KEYSPACE_PREFIX_MAX + 1];
    char head[64], log[64], audit[64], models[64];
    char keys[64];          // hash: key id -> admin document of a key that is not revoked
    char key_order[64];     // zset, score 0: the ids of keys, for paging
    char gone_order[64];    // zset, score = time of revocation: ids of revoked keys
    char fleet[64];         // hash: worker id -> its last stored ack
    char bell[80], ack[80]; // channels; they carry the database number
};

// prefix: 1..32 of [A-Za-z0-9_.:-]; false otherwise.
CM_MUST_CHECK bool keyspace_init(struct keyspace *k, struct slice prefix, uint32_t database);

// Names of single objects, NUL-ended; the length without NUL is returned. An id
// must leave room for the rest of the name: at most KEYSPACE_ID_MAX bytes.
// "{cm}:key:<sha256 hex>", "{cm}:refs:<model id>", "{cm}:gone:<key id>", "{cm}:idem:<hex>".
size_t keyspace_key(const struct keyspace *k, const struct secret_digest *digest,
                    char out[KEYSPACE_NAME_MAX]);
size_t keyspace_refs(const struct keyspace *k, struct slice model_id, char out[KEYSPACE_NAME_MAX]);
size_t keyspace_gone(const struct keyspace *k, struct slice key_id, char out[KEYSPACE_NAME_MAX]);
size_t keyspace_idem(const struct keyspace *k, struct slice digest_hex,
                     char out[KEYSPACE_NAME_MAX]);
// Appends the patterns (for SCAN), blank-separated, of all key records, references
// and outcomes of idempotent requests.
void keyspace_patterns(const struct keyspace *k, struct buf *out);
