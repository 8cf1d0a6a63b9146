// SPDX-License-Identifier: Apache-2.0
// Writes of the journal, put together to what they left behind, and brought into
// a store that lost them: denials always, the rest where nothing newer stands.
#pragma once

#include <jansson.h>

#include "admin/journal.h"
#include "admin/write.h"

struct replay_model {
    char *id;
    size_t slot;
    bool planned, settled; // in this attempt's commit; in one that is done
};

struct replay_key {
    char *id;
    size_t doc_slot, gone_slot;
    bool planned, settled;
};

// A zeroed struct is empty.
struct replay {
    json_t *models;   // id -> {"revision", "record" (null = deleted)}
    json_t *keys;     // id -> {"revision", "revoked", "document"}
    json_t *denied;   // digest of a secret that was taken off its key -> true
    json_t *outcomes; // Redis key -> outcome of an idempotent request
    json_t *audit;    // list: the audit entries that were lost
    size_t model_count, key_count;
    struct replay_model *model_items; // of models; from replay_seal on
    struct replay_key *key_items;
    size_t restored, restoring; // objects brought back; in this attempt
};

// What stands in the store beyond the point up to which both agree.
struct replay_branch {
    bool unknown; // everything there counts as newer
    uint64_t common;
    json_t *revisions; // object: revision written there -> true
    json_t *removed;   // object: model removed there -> true
};
void replay_branch_fini(struct replay_branch *b);
// From a slot of fetch_log.
void replay_branch_read(struct replay_branch *b, const struct fetch *f, size_t slot);

// Adds one write; oldest first. False when its image cannot be read.
CM_MUST_CHECK bool replay_add(struct replay *r, const struct journal *j, size_t i,
                              const struct keyspace *k);
// Forgets all but what it says about keys: only their denials are wanted.
void replay_keep_denials(struct replay *r);
// No more will be added.
void replay_seal(struct replay *r);
void replay_fini(struct replay *r);
// Is that secret known to be taken off its key, or that key to be revoked?
bool replay_denies(const struct replay *r, struct slice digest_hex, struct slice key_id);

// Asks for what stands in the store now.
void replay_ask(struct replay *r, struct fetch *f);
// Fills w's commit and diff. False when the revision is full before the end.
CM_MUST_CHECK bool replay_fill(struct replay *r, struct write *w,
                               const struct replay_branch *branch);
// The commit is done: what it held is settled.
void replay_committed(struct replay *r);
