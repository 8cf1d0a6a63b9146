// SPDX-License-Identifier: Apache-2.0
// Writes of the journal, put together to what they left behind, and brought into
// a store that lost them: denials always, the rest where nothing newer stands.
#pragma once

#include <jansson.h>

#include "admin/journal.h"
#include "admin/key_doc.h"
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
    json_t *denied;   // digest of a secret that was taken off its key -> id of the key
    json_t *outcomes; // Redis key -> outcome of an idempotent request
    json_t *audit;    // list: the audit entries that were lost
    size_t model_count, key_count;
    struct replay_model *model_items; // of models; from replay_seal on
    struct replay_key *key_items;
    size_t restored, restoring; // objects brought back; in this attempt
    size_t ending;              // of those, live keys that are revoked by it
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
// Is that secret known to be taken off its key?
bool replay_denies(const struct replay *r, const struct secret_digest *digest);
// What that key was in the end, revoked or not; NULL when nothing is known of it. The
// caller destroys it.
CM_MUST_CHECK struct key_doc *replay_key_document(const struct replay *r, const char *key_id);

// Asks for what stands in the store now.
void replay_ask(struct replay *r, struct fetch *f);
// Fills w's commit and diff. False when the revision is full before the end.
CM_MUST_CHECK bool replay_fill(struct replay *r, struct write *w,
                               const struct replay_branch *branch);
// Puts all denials into w's commit by themselves, for a store that does not know the keys:
// from then on it refuses these secrets and ids whatever is written to it. Revoked keys
// that replay_fill has put there already are left out. It may take the commit beyond
// COMMIT_RECORDS_MAX: the caller looks at commit_words.
void replay_bury(const struct replay *r, struct write *w);
// The commit is done: what it held is settled.
void replay_committed(struct replay *r);
