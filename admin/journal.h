// SPDX-License-Identifier: Apache-2.0
// The admin's own memory of its writes, on disk (CM_STATE_DIR): what Redis loses,
// it can be given back. The newest some 16 MiB of writes are kept.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    // Where its image is.
    unsigned file;
    uint64_t at;
    size_t len;
};

struct journal;

// Opens or creates it in dir, which must be ours alone (state_dir.h), and takes the lock
// on it: two processes never share one. store names what the journal is about (kept by
// pointer); one of another store is refused. What cannot be read at the end (a write
// that a crash cut) is cut off, with a line in the log. NULL with a reason in *why.
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
// outcome (journal_sync.h). False when that failed, or when the last sync failed and
// the files cannot be written anew; then the script must not be sent.
CM_MUST_CHECK bool journal_intend(struct journal *j, const struct journal_entry *entry,
                                  struct slice image);
// What became of it. (If that cannot be written, the log of the store has to tell
// after a restart.)
void journal_settle(struct journal *j, uint64_t change, enum journal_state state);

// For journal_sync.c: a descriptor (the caller closes it) by which all that was
// written until now is synced, or -1; after that it counts as synced, unless the
// caller says that it failed.
CM_MUST_CHECK int journal_sync_begin(struct journal *j);
void journal_sync_failed(struct journal *j);

// Oldest first.
size_t journal_count(const struct journal *j);
const struct journal_entry *journal_at(const struct journal *j, size_t i);
// The newest entry that is DONE; NULL when there is none.
const struct journal_entry *journal_tip(const struct journal *j);
// The highest revision of any entry or note.
uint64_t journal_highest(const struct journal *j);
// Reads an entry's image back. False when the disk does not give it.
CM_MUST_CHECK bool journal_image(const struct journal *j, size_t i, struct buf *out);
