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
// Do the records sum up to what the head says?
bool feed_copy_sums_up(const struct feed_copy *c, const struct head *head);
