// SPDX-License-Identifier: Apache-2.0
// What a configuration document means for the store as it is: which models and
// keys it makes, changes, leaves, deletes and revokes, cut into revisions.
#pragma once

#include "admin/catalog_plan.h"
#include "admin/config_doc.h"
#include "admin/key_write.h"
#include "admin/replay.h"

enum config_outcome {
    CONFIG_OPEN, // not looked at yet
    CONFIG_SKIPPED,
    CONFIG_CREATED,
    CONFIG_UPDATED,
    CONFIG_UNCHANGED
};

// One document on its way. Set the members up to `anew`; the rest starts zeroed.
struct config_plan {
    struct config_doc doc; // owned; its models move to catalog
    bool sync;             // what it does not name is deleted, revoked
    bool limited;          // max_deletes was given
    uint64_t max_deletes;
    bool allow_missing; // aliases may point nowhere: a warning instead of a refusal
    bool bound;         // only at that revision
    uint64_t revision;
    bool anew;                   // nothing of what is there stays: it all comes in one revision
    const struct replay *denied; // what else is known to be denied; NULL = nothing

    struct catalog_plan catalog;
    struct config_key *keys; // one per key of doc
    size_t documents_slot;
    bool asked;       // about keys that are not there
    size_t revisions; // committed so far
    size_t revoked, revoking;
    bool too_many;    // revocations; only in a dry run
    json_t *warnings; // list of {"id","reason"}
};

// Frees what it owns, doc too.
void config_plan_fini(struct config_plan *p);
// Once, before the first attempt.
void config_plan_start(struct config_plan *p);
// Asks for what stands in the store now; begins an attempt.
void config_plan_ask(struct config_plan *p, struct fetch *f);
// Fills w's commit, diff and answer.
CM_MUST_CHECK enum write_verdict config_plan_make(struct config_plan *p, struct write *w);
// The commit is done: what it held need not be looked at again.
void config_plan_committed(struct config_plan *p);
