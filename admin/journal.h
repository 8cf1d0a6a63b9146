// SPDX-License-Identifier: Apache-2.0
// The admin's own memory of its writes, on disk (CM_STATE_DIR): what Redis loses,
// it can be given back. The newest some 16 MiB of writes are kept.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/journal_disk.h"
#include "common/base/buf.h"
#include "common/model/head.h"

enum journal_state {
    JOURNAL_INTENDED, // the script was going to be sent; what became of it is not known
    JOURNAL_DONE,     // Redis took it
    JOURNAL_VOID      // it was not done, or something later stands for it
};

struct journal_entry {
    uint64_t epoch, revision, change; // of the head that it makes
    uint64_t previous;                // the change before it
    enum journal_state state;
    bool owed; // that is not written yet
    // Where its image is.
    enum journal_file file;
    uint64_t at;
    size_t len;
};

struct journal;

// Opens or creates it in dir, which must be ours alone (state_dir.h), and takes the lock
// on it: two processes never share one. store names what the journal is about (kept by
// pointer); one of another store is refused. What cannot be read is skipped, or cut off
// at the end (a write that a crash cut), with a line in the log. NULL with a reason in *why.
CM_MUST_CHECK struct journal *journal_open(const char *dir, const char *store, struct buf *why);
void journal_close(struct journal *j); // NULL is fine

// No history was ever seen from here.
bool journal_is_empty(const struct journal *j);
// The newest head that was noted or written: epoch, parents, revision and change;
// epoch 0 when it is empty.
struct head journal_position(const struct journal *j);
// Notes that position, on disk before it returns. False when that failed.
CM_MUST_CHECK bool journal_note(struct journal *j, const struct head *head);

// The script is about to be sent: written before it returns, and synced with the
// outcome (journal_sync.h). False when it cannot be written, nor what has to be before
// it (below); then the script must not be sent.
CM_MUST_CHECK bool journal_intend(struct journal *j, const struct journal_entry *entry,
                                  struct slice image);
// What became of it. When that cannot be written it is owed: nothing else is written, and
// no sync succeeds, before it is.
void journal_settle(struct journal *j, uint64_t change, enum journal_state state);

// For journal_sync.c: a descriptor (it stays the journal's) by which another thread brings
// to the disk all that was written until now, or -1: it cannot be. After a descriptor the
// end has to be said (a positive errno or 0): true when it is all on disk.
CM_MUST_CHECK int journal_sync_begin(struct journal *j);
CM_MUST_CHECK bool journal_sync_end(struct journal *j, int error);

// Why it cannot be written; NULL = as far as is known it can be.
const char *journal_error(const struct journal *j);
// Finds out, once a second, whether that is over; call it at least so often.
void journal_heal(struct journal *j, uint64_t now_ms);

// Oldest first.
size_t journal_count(const struct journal *j);
const struct journal_entry *journal_at(const struct journal *j, size_t i);
// The newest entry that is DONE; NULL when there is none.
const struct journal_entry *journal_tip(const struct journal *j);
// The highest revision of any entry or note.
uint64_t journal_highest(const struct journal *j);
// Reads an entry's image back. False when the disk does not give it.
CM_MUST_CHECK bool journal_image(const struct journal *j, size_t i, struct buf *out);
