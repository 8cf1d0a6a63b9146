// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the nearest of some words by edit distance.
#pragma once

#include <stddef.h>

#include "common/base/slice.h"

// Views only; the words must outlive it.
struct nearest {
    struct slice word;
    struct slice found; // empty while nothing is near enough
    size_t distance;    // of found, or the limit + 1
};

// limit: the largest distance that still counts as near.
void nearest_init(struct nearest *n, struct slice word, size_t limit);
// Words over 64 bytes are never near.
void nearest_offer(struct nearest *n, struct slice candidate);
