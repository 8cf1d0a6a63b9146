// SPDX-License-Identifier: Apache-2.0
// The catalog as a file: where it stands, when that was last confirmed, all its
// records, and a digest of all this at the end.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "common/model/feed.h"
#include "common/model/model.h"

enum { SNAPSHOT_FORMAT = 1, SNAPSHOT_MAX = 1 << 30 };

struct snapshot_record {
    enum snapshot_kind {
        SNAPSHOT_MODEL,   // shown, and so in the store
        SNAPSHOT_REFUSED, // in the store, but not shown (or an older form of it is)
        SNAPSHOT_GONE     // shown, but not in the store any more
    } kind;
    struct slice id;
    struct slice record;
};

struct snapshot_head {
    struct feed_position at;
    struct clock_stamp confirmed;
};

// Appends head, records and the digest. May run beside the loop: it looks at
// nothing but its arguments.
void snapshot_begin(struct buf *out, const char *store, const struct snapshot_head *head);
void snapshot_add(struct buf *out, const struct snapshot_record *record);
void snapshot_end(struct buf *out);

enum snapshot_status {
    SNAPSHOT_OK,
    SNAPSHOT_DAMAGED,      // its digest is not that of its bytes, or it makes no sense
    SNAPSHOT_OTHER_STORE,  // of another prefix or database
    SNAPSHOT_OTHER_FORMAT, // written by another version
};
// For the log: "ok", "damaged", ...
const char *snapshot_status_name(enum snapshot_status status);

// A snapshot that is whole. records: the rest of it, for snapshot_next.
CM_MUST_CHECK enum snapshot_status snapshot_open(struct slice bytes, const char *store,
                                                 struct snapshot_head *head, struct slice *records);
// Takes the next record off *records: 1; 0: the end; -1: it makes no sense. Slices
// in *out point into the file's bytes.
int snapshot_next(struct slice *records, struct snapshot_record *out);
