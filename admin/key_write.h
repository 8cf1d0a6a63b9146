// SPDX-License-Identifier: Apache-2.0
// What all writes to a key share: reading its document, checking what its
// aliases point at, and putting document, records and references into a commit.
#pragma once

#include "admin/key_doc.h"
#include "admin/write.h"

struct key_target {
    char *model_id;
    size_t slot;
    bool missing;
};

// Part of a handler's request state; zeroed is empty.
struct key_write {
    size_t doc_slot, gone_slot;
    struct key_doc *before, *after; // of this attempt; owned
    size_t target_count;
    struct key_target *targets; // that have to exist
    bool allow_missing;         // ?allow_missing_target=true
    const char *path;           // where the diff's paths begin; NULL = at the key
    uint64_t revision;          // that the records shall show; 0 = the commit's
};

// Frees what it owns, and leaves it empty.
void key_write_fini(struct key_write *k);

// Asks for the key's document, also among the revoked.
void key_write_ask(struct key_write *k, struct request *r, struct fetch *f);
// What was asked for, for a reader: a revoked key, too. To be destroyed by the caller;
// NULL when there is none.
CM_MUST_CHECK struct key_doc *key_write_read(const struct key_write *k, const struct fetch *f);
// Fills before, and after as a copy to change. False with w->problem set: not
// found, revoked, precondition. exists is for If-None-Match, see
// request_precondition.
CM_MUST_CHECK bool key_write_load(struct key_write *k, struct write *w);
CM_MUST_CHECK bool key_write_precondition(const struct key_write *k, struct write *w, bool exists);

// Names what must exist: the targets of aliases (array) unless missing ones are
// allowed. Before the request starts.
void key_write_need_targets(struct key_write *k, const json_t *aliases);
void key_write_ask_targets(struct key_write *k, struct fetch *f);
// Are they there? An alias that `after` has in common with `before` may point
// nowhere. False with w->problem set; pointers are pointer + index, or pointer
// itself with a single target.
CM_MUST_CHECK bool key_write_check_targets(const struct key_write *k, struct write *w,
                                           const char *pointer, bool single);

// Fills commit and diff so that `after` takes the place of `before` (NULL = it is
// new): document, a record for each secret, tombstones for those taken off, the
// references of its aliases. Sets after->revision. WRITE_UNCHANGED when both say
// the same.
enum write_verdict key_write_commit(struct key_write *k, struct write *w);

// Fills commit so that this secret, which was the key's, is refused for good.
void key_write_tombstone(struct write *w, const char *key_id, const struct secret_digest *digest);
