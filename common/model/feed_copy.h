// SPDX-License-Identifier: Apache-2.0
// One copy of the catalog as the feed knows it: where it stands, and the digest
// of each record instead of the record.
#pragma once

#include "common/model/feed.h"

struct feed_copy_record;

// A zeroed struct is a valid empty copy that stands nowhere.
struct feed_copy {
    struct feed_position at;          // digest and models are kept by put and remove
    struct feed_copy_record *records; // by id
};

void feed_copy_put(struct feed_copy *c, struct slice id, struct slice record);
void feed_copy_remove(struct feed_copy *c, struct slice id); // no such id: nothing happens
void feed_copy_clear(struct feed_copy *c);                   // frees; zeroed again
// Copies up to `most` records from where *next stands (NULL: at the end) into to, and
// moves it. The one that is copied must not change between the calls.
void feed_copy_take(struct feed_copy *to, const struct feed_copy_record **next, size_t most);
// Zeroes c at once; its records are freed by feed_copy_sweep, `most` a call.
void feed_copy_discard(struct feed_copy *c, struct feed_copy_record **trash);
void feed_copy_sweep(struct feed_copy_record **trash, size_t most);
// Do the records sum up to what the head says?
bool feed_copy_sums_up(const struct feed_copy *c, const struct head *head);
