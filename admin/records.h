// SPDX-License-Identifier: Apache-2.0
// The catalog as a fetch found it, in the order of the ids.
#pragma once

#include "common/base/slice.h"
#include "common/store/fetch.h"

struct record {
    struct slice id, text; // as long as the fetch
};

// From a slot of fetch_all_models. The caller frees.
CM_MUST_CHECK struct record *records_read(const struct fetch *f, size_t slot, size_t *count);
// The record's text; ptr NULL when there is none.
struct slice records_find(const struct record *records, size_t count, struct slice id);
