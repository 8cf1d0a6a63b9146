// SPDX-License-Identifier: Apache-2.0
// What is in the store: the catalog as a fetch found it, in the order of the ids, and
// how many records there are.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/store/fetch.h"

struct record {
    struct slice id, text; // as long as the fetch
};

// From a slot of fetch_all_models. The caller frees.
CM_MUST_CHECK struct record *records_read(const struct fetch *f, size_t slot, size_t *count);
// The record's text; ptr NULL when there is none.
struct slice records_find(const struct record *records, size_t count, struct slice id);

struct record_counts {
    bool known; // Redis told it
    uint64_t models, keys;
};

struct record_counts_slots {
    size_t models, keys;
};

// Two commands that cost Redis nothing, whatever it holds.
struct record_counts_slots record_counts_ask(struct fetch *f);
struct record_counts record_counts_read(const struct fetch *f, struct record_counts_slots slots);
// Appends {"models":n,"keys":n}; null where they are not known.
void record_counts_write(const struct record_counts *c, struct buf *out);
