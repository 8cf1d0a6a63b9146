// SPDX-License-Identifier: Apache-2.0
// What feed.c, feed_log.c and feed_reload.c share, and nobody else.
#pragma once

#include "common/model/feed.h"
#include "common/model/feed_copy.h"

enum feed_reading { FEED_READING_NOTHING, FEED_READING_HEAD, FEED_READING_LOG, FEED_READING_SCAN };

// The log's answer while it is applied.
struct feed_walk {
    const struct oplog_entry *entries; // the caller's
    size_t count, at;
    bool active, garbled;
    struct slice rest; // operations of entries[at] to come, once it is begun
    bool begun;        // entries[at] is applied in part
    bool arrived;      // the target was reached before entries[at]
    bool shown;        // an entry has gone into the live copy
    bool unpublished;  // and has not been published
    size_t budget;     // bytes of operations that this turn may still apply
};

// The revision after a copy's, while its parts come in.
struct feed_torn {
    uint32_t parts; // that are applied, aside
    uint64_t change;
};

// Invariants:
//   reading != NOTHING implies up
//   staging implies reading != NOTHING (a reload never waits for a tick)
//   walk.active implies reading == LOG
//   drafting implies reading == LOG, and not staging
//   torn.parts > 0 implies drafting or staging, and reading == LOG
//   state EMPTY if and only if live.at.epoch is 0
struct feed {
    const struct feed_actions *actions;
    void *ctx;
    uint64_t repair_wait_ms;

    enum feed_state state; // changed by feed_enter alone
    enum feed_reason reason;
    bool up;
    enum feed_reading reading; // the one read under way
    bool again;                // read the head once more when nothing is under way

    struct feed_copy live;
    // The revisions that the live copy has been at, each in slot revision % max.
    struct {
        uint64_t revision, change;
    } path[FEED_PATH_MAX];
    bool staging;  // a reload is under way
    bool falling;  // it is the permitted fall
    bool drafting; // the stage is a copy of live on which one large revision is applied
    struct feed_copy stage;
    struct feed_torn torn;                     // of the staged copy
    const struct feed_copy_record *draft_next; // of live: to be copied next
    struct feed_walk walk;
    size_t slice_bytes;
    struct feed_copy_record *trash; // of former copies, freed bit by bit

    struct head target; // the last head read: where the log is followed to
    uint64_t target_sent_ms;
    uint64_t lost_since_ms; // while went_back or diverged: send time of the read that first said so
    uint64_t corrupt_epoch; // whose records did not sum up when last loaded; 0 = none
    uint64_t corrupt_since_ms;
    uint64_t confirmed_at;
    bool from_disk; // neither confirmed nor replaced since feed_restore

    enum feed_state told_state; // what the last report told
    enum feed_reason told_reason;
    uint64_t told_epoch, told_revision, told_change;
    struct feed_counters counters;
};

static inline bool feed_has_catalog(const struct feed *f)
{
    return f->live.at.epoch != 0;
}

// The only place where state and reason change.
void feed_enter(struct feed *f, enum feed_state state, enum feed_reason reason);
// Keep what we have, and say why.
void feed_hold(struct feed *f, enum feed_reason reason);
// The target is a history of ours that lacks what we have: hold, and after
// repair_wait_ms of it fall.
void feed_hold_lost(struct feed *f, enum feed_reason reason);
void feed_note_path(struct feed *f); // the live copy has a new position
// We stand where the target stood when its read was sent.
void feed_confirmed(struct feed *f);

void feed_ask_head(struct feed *f);
void feed_ask_log(struct feed *f, uint64_t after); // from its first part that is not applied

// feed_log.c: the log's answer, for the staged copy or the live one.
void feed_log_begin(struct feed *f, const struct oplog_entry *entries, size_t count, bool garbled);
void feed_log_go_on(struct feed *f); // one slice; walk.active until it is the last
void feed_log_drop(struct feed *f);  // what is applied in part is forgotten

// feed_draft.c: one large revision, applied aside.
void feed_draft_begin(struct feed *f);
CM_MUST_CHECK bool feed_draft_is_ready(struct feed *f); // copies a piece if it is not
void feed_draft_commit(struct feed *f);                 // it is whole: show it
void feed_draft_drop(struct feed *f);

// feed_reload.c
void feed_reload_begin(struct feed *f, bool falling); // stages the target
void feed_reload_scan(struct feed *f, const struct feed_record *records, size_t count, bool done);
// The head after the scan. False: it does not go on from what was scanned.
CM_MUST_CHECK bool feed_reload_goes_on(const struct feed *f, enum head_status status);
void feed_reload_advance(struct feed *f); // towards that head, now the target
void feed_reload_commit(struct feed *f);  // the staged copy agrees with the target
void feed_reload_miscounted(struct feed *f);
void feed_reload_abort(struct feed *f);
