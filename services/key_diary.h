// SPDX-License-Identifier: Apache-2.0
// The diary of a worker's key cache: what was read, changed, refused, and where the
// feed stood meanwhile. Read again from its beginning it makes the same cache.
//
// One line each, with a checksum in front; K is written when a key was read, C and D
// when the feed told of a change or a refusal, F when a known key turned out to be
// gone, U when everything became unverified, T a time of confirmation, P a position.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "common/model/feed.h"
#include "services/key_cache.h"

enum { KEY_DIARY_FORMAT = 1 };

// The first line of a new diary. store: names prefix and database.
void key_diary_open(struct buf *out, const char *store);
void key_diary_put(struct buf *out, const struct secret_digest *digest, const struct key *k,
                   uint64_t as_of);
void key_diary_change(struct buf *out, const struct secret_digest *digest, bool deny,
                      uint64_t revision);
void key_diary_forget(struct buf *out, const struct secret_digest *digest);
void key_diary_unverify(struct buf *out);
// What is verified was right then.
void key_diary_stamp(struct buf *out, const struct clock_stamp *stamp);
// And the store, so far read, was there. All that is known of its keys stands above.
void key_diary_position(struct buf *out, const struct feed_position *at);

enum key_diary_status {
    KEY_DIARY_OK,
    KEY_DIARY_DAMAGED,      // a line in it cannot be read: something is lost
    KEY_DIARY_OTHER_STORE,  // of another prefix or database
    KEY_DIARY_OTHER_FORMAT, // written by another version
    KEY_DIARY_GARBLED       // no diary at all
};
// For the log: "ok", "damaged", ...
const char *key_diary_status_name(enum key_diary_status status);

struct key_diary {
    struct slice text; // the caller's; whole lines
    bool damaged;
    bool has_stamp;
    struct clock_stamp stamp;    // the last
    struct feed_position at;     // the last; epoch 0 = none
    struct clock_stamp at_stamp; // the last before it
    bool torn;                   // its last line was not written to its end
};

// Looks through text. A line at the end that was not written whole is no damage, and
// is left out of out->text. out is set when the result is OK or DAMAGED.
CM_MUST_CHECK enum key_diary_status key_diary_scan(struct slice text, const char *store,
                                                   struct key_diary *out);

struct key_diary_replay {
    uint64_t revision;    // of the catalog: a key that is newer than it must be read first
    int64_t seen_wall_ms; // see clock_stamp_read
    bool lent;            // another worker's
};
// Into the cache, all of it unverified in the end, with the leases that it had. Of a
// damaged one only what makes stricter. Keys read.
size_t key_diary_replay(const struct key_diary *d, const struct key_diary_replay *how,
                        struct key_cache *cache);
