// SPDX-License-Identifier: Apache-2.0
// The log entry: what one revision changed, one operation a line.
//
//   M <model id> <record>\n   the whole new record of a model
//   X <model id>\n            the model is gone
//   K <key digest, 64 hex>\n  this key's record changed
//   D <key digest, 64 hex>\n  this key must be refused from now on
//
// Records are compact JSON, so they hold no line feed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/secret.h"

// One stream entry: id "<revision>-0", fields c (change), p (previous change), o (operations).
struct oplog_entry {
    uint64_t revision;
    uint64_t change;
    uint64_t previous;
    struct slice ops;
};

enum oplog_kind { OPLOG_MODEL = 'M', OPLOG_REMOVE = 'X', OPLOG_KEY = 'K', OPLOG_DENY = 'D' };

struct oplog_op {
    enum oplog_kind kind;
    struct slice id;          // of the model (M, X)
    struct slice record;      // M
    struct secret_digest key; // K, D
};

// From the stream's id and its three field values. False when it is no entry of ours.
CM_MUST_CHECK bool oplog_entry_parse(struct slice stream_id, struct slice change,
                                     struct slice previous, struct slice ops,
                                     struct oplog_entry *out);
// Takes the next operation off *rest. 1: *op is set; 0: the end; -1: garbled.
// Slices in *op point into *rest's memory.
int oplog_next(struct slice *rest, struct oplog_op *op);
// Is every operation readable? An entry is applied whole or not at all.
bool oplog_valid(struct slice ops);

void oplog_add_model(struct buf *ops, struct slice id, struct slice record);
void oplog_add_remove(struct buf *ops, struct slice id);
void oplog_add_key(struct buf *ops, const struct secret_digest *key, bool deny);
