// SPDX-License-Identifier: Apache-2.0
// The log entry: what one revision changed, one operation a line.
//
//   M <model id> <record>\n   the whole new record of a model
//   X <model id>\n            the model is gone
//   K <key digest, 64 hex>\n  this key's record changed
//   D <key digest, 64 hex>\n  this key must be refused from now on
//
// Records are compact JSON, so they hold no line feed. A large revision is several
// entries, its parts, cut between operations; whoever reads it holds no more of it at
// a time than it asked for.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/secret.h"

// A revision is at most 10,000 operations, and no part is without one.
enum { OPLOG_PARTS_MAX = 16 * 1024 };

// One stream entry: id "<revision>-<part>", fields c (change), p (previous change) and
// o (operations) or, where another part follows, m (operations, and more to come).
struct oplog_entry {
    uint64_t revision;
    uint32_t part; // 0 is the first
    bool more;
    uint64_t change; // the same in all parts, like previous
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

// From the stream's id and its field values; of ops and more the one that is missing has
// ptr NULL. False when it is no entry of ours.
CM_MUST_CHECK bool oplog_entry_parse(struct slice stream_id, struct slice change,
                                     struct slice previous, struct slice ops, struct slice more,
                                     struct oplog_entry *out);
// Takes the next operation off *rest. 1: *op is set; 0: the end; -1: garbled.
// Slices in *op point into *rest's memory.
int oplog_next(struct slice *rest, struct oplog_op *op);
// Is every operation readable? A revision is applied whole or not at all.
bool oplog_valid(struct slice ops);

void oplog_add_model(struct buf *ops, struct slice id, struct slice record);
void oplog_add_remove(struct buf *ops, struct slice id);
void oplog_add_key(struct buf *ops, const struct secret_digest *key, bool deny);
