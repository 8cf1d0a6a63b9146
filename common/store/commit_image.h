// SPDX-License-Identifier: Apache-2.0
// What the write script was given, as bytes that outlive the process, and what
// can be read out of them: which objects the revision wrote, and how.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/secret.h"
#include "common/store/keyspace.h"
#include "common/store/words.h"

enum {
    COMMIT_IMAGE_KEYS = 4,  // of the script, before those of the rows
    COMMIT_IMAGE_ARGS = 20, // see the head of commit.lua
};

struct commit_image {
    struct words keys, args;
};

// fixed holds fixed_keys keys and then the arguments before the rows.
void commit_image_write(struct buf *out, const struct words *fixed, size_t fixed_keys,
                        const struct words *row_keys, const struct words *row_args);
// False for bytes that are no image; then *out is empty. A zeroed struct is empty.
CM_MUST_CHECK bool commit_image_parse(struct slice bytes, struct commit_image *out);
void commit_image_fini(struct commit_image *i);

// Key and outcome of the idempotent request; ptr NULL when it was none.
struct slice commit_image_idem_key(const struct commit_image *i);
struct slice commit_image_outcome(const struct commit_image *i);
struct slice commit_image_audit(const struct commit_image *i); // ptr NULL when there was none

enum commit_image_kind {
    COMMIT_IMAGE_MODEL,    // id, record
    COMMIT_IMAGE_UNMODEL,  // id
    COMMIT_IMAGE_DOCUMENT, // id of a key, its document
    COMMIT_IMAGE_REVOKED,  // id of a key, its last document
    COMMIT_IMAGE_RECORD    // digest of a secret in hex, the record that workers read
};
// Calls each for every object that it wrote, in order; slices live as long as i.
void commit_image_each(const struct commit_image *i, const struct keyspace *k,
                       void (*each)(void *ctx, enum commit_image_kind kind, struct slice id,
                                    struct slice text),
                       void *ctx);
