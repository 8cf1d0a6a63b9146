// SPDX-License-Identifier: Apache-2.0
// A record of the journal as it lies in the file: its length, its kind, its bytes and a
// digest of these.
#pragma once

#include <stdbool.h>

#include "common/base/buf.h"

enum {
    JOURNAL_RECORD_MAX = 1 << 30, // bytes of one
    JOURNAL_RECORD_FRAME = 5,     // length and kind, before the bytes
    JOURNAL_RECORD_SUM = 16       // of the digest, after them
};

struct journal_record {
    char kind; // 'A' to 'Z'
    struct slice bytes;
};

void journal_record_put(struct buf *out, char kind, struct slice bytes);
// Takes the one that rest begins with; out points into it. False when there is no whole
// and good one there: rest stays as it is.
CM_MUST_CHECK bool journal_record_take(struct slice *rest, struct journal_record *out);
// Skips what is damaged, up to the next good one. False when there is none: rest stays.
CM_MUST_CHECK bool journal_record_seek(struct slice *rest);
