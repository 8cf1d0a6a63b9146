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
    FEED_AWAY,    // has one; Redis cannot be asked
    FEED_CATCHUP, // has one; the store is ahead or its history is being reloaded
    FEED_LIVE,    // confirmed by the last read
    FEED_SUSPECT  // has one; the store is empty, foreign, behind or diverged: hold
};

enum feed_reason {
    FEED_REASON_NONE,
    FEED_REASON_EMPTY,        // no head
    FEED_REASON_FOREIGN,      // another history, or no head of ours
    FEED_REASON_WENT_BACK,    // our history, but lower: it lost writes
    FEED_REASON_DIVERGED,     // our history, other changes at our revisions
    FEED_REASON_NEWER_FORMAT, // written by a newer program
};

const char *feed_state_name(enum feed_state state); // "empty", "away", "catchup", "live", "suspect"
const char *feed_reason_name(enum feed_reason reason); // "", "empty", "foreign", "went_back", ...

// Where a copy of the catalog stands.
struct feed_position {
    uint64_t epoch; // 0 = nowhere
    uint64_t revision;
    uint64_t change;
    struct digest digest;
    uint64_t models;
};

// Actions. Called from inside feed_on_*; they must only note or send, never
// call back into the feed. At most one read is under way at any time.
struct feed_actions {
    void (*read_head)(void *ctx); // -> feed_on_head
    void (*read_log)(void *ctx,
                     uint64_t after); // entries after that revision, oldest first -> feed_on_log
    void (*scan_models)(void *ctx, bool restart); // the next page of all records -> feed_on_scan
    void (*put_model)(void *ctx, bool staged, struct slice id, struct slice record);
    void (*remove_model)(void *ctx, bool staged, struct slice id);
    void (*stage_begin)(void *ctx); // start a second, empty catalog
    void (*stage_drop)(void *ctx);
    void (*stage_commit)(void *ctx); // it takes the first one's place; publish it
    void (*publish)(void *ctx);      // put/remove of whole revisions are done: show them
    // From a log entry or a bell: never use what is cached of this key before
    // reading it again; with deny refuse it until a record above `revision` is read.
    void (*key_changed)(void *ctx, const struct secret_digest *key, bool deny, uint64_t revision);
    void (*keys_unverified)(void *ctx); // anything may have changed: read again on use
    void (*report)(void *ctx);          // position or state changed: tell the admins
};

struct feed_counters {
    uint64_t bells, gaps, reloads, reload_aborts, digest_mismatches, falls, suspects;
};

struct feed;

// repair_wait_ms: how long lost writes are held before the one permitted fall.
// actions and ctx must outlive the feed.
CM_MUST_CHECK struct feed *feed_create(const struct feed_actions *actions, void *ctx,
                                       uint64_t repair_wait_ms);
void feed_destroy(struct feed *f);

// Events. now_ms is CLOCK_BOOTTIME. A read's answer arrives at most once; after
// link(false) no answer to an earlier read may be given any more.
void feed_on_link(struct feed *f, bool up, uint64_t now_ms);
void feed_on_tick(struct feed *f, uint64_t now_ms);
void feed_on_bell(struct feed *f, const struct bell *bell, uint64_t now_ms);
// sent_ms: when the question left; the lease counts from it.
void feed_on_head(struct feed *f, enum head_status status, const struct head *head,
                  uint64_t sent_ms, uint64_t now_ms);
// In stream order; count 0 = nothing after that revision. garbled: an entry
// could not be read at all (entries holds those before it).
void feed_on_log(struct feed *f, const struct oplog_entry *entries, size_t count, bool garbled,
                 uint64_t now_ms);
struct feed_record {
    struct slice id, record;
};
void feed_on_scan(struct feed *f, const struct feed_record *records, size_t count, bool done,
                  uint64_t now_ms);
// Somebody needs to know now (a fill is ahead, a lease is old): read the head,
// again if a read is under way already.
void feed_confirm(struct feed *f, uint64_t now_ms);

enum feed_state feed_state(const struct feed *f);
enum feed_reason feed_reason(const struct feed *f);
struct feed_position feed_position(const struct feed *f);
// Send time of the last confirmed read (boot ms); 0 = never confirmed.
uint64_t feed_confirmed_at(const struct feed *f);
const struct feed_counters *feed_counters(const struct feed *f);
