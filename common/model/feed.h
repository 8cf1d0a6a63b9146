// SPDX-License-Identifier: Apache-2.0
// The worker's side of the change protocol as a pure state machine: events in,
// actions out, no I/O, no clock of its own. ARCHITECTURE 3 is the contract; the
// model test drives it through seeded random histories.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/bell.h"
#include "common/model/head.h"
#include "common/model/oplog.h"

enum feed_state {
    FEED_EMPTY,   // never had a catalog: everything is refused with 500
    FEED_AWAY,    // has one (perhaps from disk); Redis cannot be asked, or not believed
    FEED_CATCHUP, // has one; the store is ahead or its history is being reloaded
    FEED_LIVE,    // confirmed by the last read
    FEED_SUSPECT  // has one; the store is empty, foreign, behind or diverged: hold
};

// Why it is suspect; while it is empty: why there is nothing to load; while it is
// away: UNCONFIRMED when there is a link.
enum feed_reason {
    FEED_REASON_NONE,
    FEED_REASON_EMPTY,        // no head
    FEED_REASON_FOREIGN,      // another history, or no head of ours
    FEED_REASON_WENT_BACK,    // our history, but lower: it lost writes
    FEED_REASON_DIVERGED,     // our history, other changes at our revisions
    FEED_REASON_NEWER_FORMAT, // written by a newer program
    FEED_REASON_CORRUPT,      // the records do not sum up to the head's digest
    FEED_REASON_UNCONFIRMED   // nobody vouches that who answers is the master
};

// "empty", "away", "catchup", "live", "suspect"
const char *feed_state_name(enum feed_state state);
// "", "empty", "foreign", "went_back", "diverged", "newer_format", "corrupt", "unconfirmed"
const char *feed_reason_name(enum feed_reason reason);

// Where a copy of the catalog stands.
struct feed_position {
    uint64_t epoch; // 0 = nowhere
    uint64_t revision;
    uint64_t change;
    struct digest digest;
    uint64_t models;
};

// Actions. Called from inside feed_on_* and feed_confirm; they must only note or
// send, never call one of those. The getters may be called: they show the new
// position from the moment at which the action that tells of it runs. At most one
// read is under way at any time.
struct feed_actions {
    void (*read_head)(void *ctx); // -> feed_on_head
    // Entries from that part of the revision after that one, oldest first; some of them
    // will do, but not none. -> feed_on_log
    void (*read_log)(void *ctx, uint64_t after, uint32_t part);
    // The next page of all records; restart: the first. -> feed_on_scan
    void (*scan_models)(void *ctx, bool restart);
    // Into the catalog that is shown, or into the staged one. Shown only by
    // publish or stage_commit.
    void (*put_model)(void *ctx, bool staged, struct slice id, struct slice record);
    void (*remove_model)(void *ctx, bool staged, struct slice id);
    // Start a second catalog, empty or a copy of the one that is shown.
    void (*stage_begin)(void *ctx, bool copy);
    void (*stage_drop)(void *ctx);   // forget it
    void (*stage_commit)(void *ctx); // it takes the first one's place; publish it
    void (*publish)(void *ctx);      // put/remove of whole revisions are done: show them
    // From a log entry or a bell: never use what is cached of this key before
    // reading it again; with deny refuse it until a record above `revision` is
    // read. Without deny a denied key is read again too (else nothing ever lifts
    // the denial), and stays denied unless a record above the denial comes back.
    void (*key_changed)(void *ctx, const struct secret_digest *key, bool deny, uint64_t revision);
    // Anything may have changed: read every key again on use, denied ones too.
    void (*keys_unverified)(void *ctx);
    // Position or state changed: tell the admins. All that the position stands for
    // has been published, denied or marked before. (That the store is ahead is told
    // with what came of it.)
    void (*report)(void *ctx);
};

struct feed_counters {
    uint64_t bells;
    uint64_t gaps;              // the log did not reach back to our revision
    uint64_t reloads;           // begun
    uint64_t reload_aborts;     // of these, not finished
    uint64_t digest_mismatches; // our records or the scanned ones against the head's digest
    uint64_t falls;             // the one permitted fall: what the store lost is given up
    uint64_t suspects;          // times that it became suspect, or so for another reason
};

struct feed;

// repair_wait_ms: how long lost writes are held before the one permitted fall.
// actions and ctx must outlive the feed. feed_destroy calls no action.
CM_MUST_CHECK struct feed *feed_create(const struct feed_actions *actions, void *ctx,
                                       uint64_t repair_wait_ms);
void feed_destroy(struct feed *f);

// What an earlier process knew, before the first event: all records that its store
// had, then where that was and when it was last confirmed. False when they do not
// sum up to it: then the feed is as new. True: it has a catalog and is AWAY, and
// goes on by the log once the store answers. (The actions' owner has the models.)
void feed_restore_record(struct feed *f, struct slice id, struct slice record);
void feed_restore_gone(struct feed *f, struct slice id); // after all: not in the store
CM_MUST_CHECK bool feed_restore(struct feed *f, const struct feed_position *at,
                                uint64_t confirmed_ms);

// Events. A read's answer arrives at most once; after link(false) no answer to an
// earlier read may be given any more. A read that gets no answer must end in
// link(false).
void feed_on_link(struct feed *f, bool up);
void feed_on_tick(struct feed *f); // time to poll
void feed_on_bell(struct feed *f, const struct bell *bell);
// head may be NULL unless status is HEAD_OK. sent_ms: when the question left, by
// CLOCK_BOOTTIME; the lease and all waiting count from it. confirms: the link is
// known to lead to the one master (ARCHITECTURE 3, Lease). Without it the answer is
// worth nothing, whatever it says: nothing is confirmed, followed, loaded or given
// up because of it.
void feed_on_head(struct feed *f, enum head_status status, const struct head *head,
                  uint64_t sent_ms, bool confirms);
// In stream order; count 0 = nothing from there on. garbled: an entry
// could not be read at all (entries holds those before it). What names keys is told at
// once. Of the models a large answer takes several turns: while feed_wants_turn,
// entries and all they point to must stay as they are, and feed_on_turn be called.
// An answer may end between two parts of a revision: then it is read on.
void feed_on_log(struct feed *f, const struct oplog_entry *entries, size_t count, bool garbled);
bool feed_wants_turn(const struct feed *f); // never after feed_on_link(false)
void feed_on_turn(struct feed *f);
// How many bytes of operations one call applies (FEED_SLICE_BYTES unless told), but one
// operation in any case.
enum { FEED_SLICE_BYTES = 8 * 1024 };
void feed_limit_slice(struct feed *f, size_t bytes);
struct feed_record {
    struct slice id, record;
};
void feed_on_scan(struct feed *f, const struct feed_record *records, size_t count, bool done);
// Somebody needs to know now (a fill is ahead, a lease is old): read the head,
// again if a read is under way already. Nothing happens while the link is down.
void feed_confirm(struct feed *f);

enum feed_state feed_state(const struct feed *f);
enum feed_reason feed_reason(const struct feed *f);
// Where what we serve stands, live or not; epoch 0 before the first catalog.
struct feed_position feed_position(const struct feed *f);
// The latest revision whose keys it has told of: the position's, or one that is on its
// way into it, piece by piece. What is read now and is older is of a store that has lost
// writes, whatever the position says.
uint64_t feed_told_revision(const struct feed *f);
// Has what we serve been at that revision, by that change? So that an answer that
// came beside the feed (a key, with the head read before it) can be told from one
// of another history. Knows the last FEED_PATH_MAX revisions since the last reload;
// false for all others.
enum { FEED_PATH_MAX = 128 };
bool feed_has_passed(const struct feed *f, uint64_t epoch, uint64_t revision, uint64_t change);
// Send time of the last confirmed read (boot ms); 0 = never confirmed.
uint64_t feed_confirmed_at(const struct feed *f);
// It was restored, and no read has confirmed or replaced it yet.
bool feed_is_from_disk(const struct feed *f);
const struct feed_counters *feed_counters(const struct feed *f);
