// SPDX-License-Identifier: Apache-2.0
// The journal's two files, as bytes: appended whole or not at all, synced, exchanged for
// a new one. What the bytes mean is journal.c's.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/state_dir.h"

enum journal_file { JOURNAL_CURRENT, JOURNAL_PREVIOUS, JOURNAL_FILES };

struct journal_disk {
    struct state_dir dir;
    int fd[JOURNAL_FILES]; // -1 = there is none
    uint64_t size;         // of the current one; 0 = it has to be begun
    uint64_t rotate_at;    // when it is as long as this
    struct buf unsynced;   // the end of it that is not known to be on disk
    bool names_unsynced;   // nor are the files' names
    bool sync_failed;      // what is unsynced is written again before the next sync
    int syncing;           // the descriptor that another thread syncs by; -1 = none
    size_t syncing_bytes;  // of unsynced
    int error;             // why it cannot be written; 0 = it can
    size_t wanted;         // the longest record that could not
};

const char *journal_disk_name(enum journal_file file);

void journal_disk_init(struct journal_disk *d); // the directory is opened by the caller
void journal_disk_fini(struct journal_disk *d); // closes that, too
// Opens what is there. False when it is neither opened (fd >= 0) nor missing (-1); errno.
CM_MUST_CHECK bool journal_disk_open(struct journal_disk *d, enum journal_file file);
// All of it, from the first byte; out is empty when it is not one of ours: false then, with
// errno set, or 0 when it can be read and is none. A file that ends before it has begun
// counts as empty and ours.
CM_MUST_CHECK bool journal_disk_load(struct journal_disk *d, enum journal_file file,
                                     struct buf *out);
// The records of a file that was loaded.
struct slice journal_disk_records(const struct buf *loaded);
// The current file is good up to here, and ends here. False with errno set.
CM_MUST_CHECK bool journal_disk_end_at(struct journal_disk *d, uint64_t size);
CM_MUST_CHECK bool journal_disk_read(const struct journal_disk *d, enum journal_file file,
                                     uint64_t at, char *out, size_t len);

// Written, at *at, or not there.
CM_MUST_CHECK bool journal_disk_append(struct journal_disk *d, struct slice bytes, uint64_t *at);
// On disk when it returns; it blocks for that. False when it failed: the next one first
// writes again what may have been lost.
CM_MUST_CHECK bool journal_disk_sync(struct journal_disk *d);

// The first file, with these records at its beginning. On disk, or false with errno set.
CM_MUST_CHECK bool journal_disk_begin(struct journal_disk *d, struct slice records);
// Is it time for the next file, and can it be begun now?
bool journal_disk_is_full(const struct journal_disk *d);
// Begins it: the current file is the previous one then. False: nothing has changed, and it
// is tried again later.
CM_MUST_CHECK bool journal_disk_rotate(struct journal_disk *d, struct slice records);

// A sync by another thread: a descriptor for its fdatasync, which stays open until the end
// is said (error: a positive errno, or 0). True when all is on disk that was there at the
// beginning.
int journal_disk_sync_begin(struct journal_disk *d);
CM_MUST_CHECK bool journal_disk_sync_end(struct journal_disk *d, int error);

// It can be written (0), or cannot because of that errno; a change is logged.
void journal_disk_set_error(struct journal_disk *d, int error);
// Would what was not written find room now?
CM_MUST_CHECK bool journal_disk_has_room(struct journal_disk *d);
