// SPDX-License-Identifier: Apache-2.0
// A growing list of byte strings in one piece of memory: the words of a command,
// or what a reply held.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"

struct words_span {
    size_t at, len;
    bool none;
};

// A zeroed struct is a valid empty list.
struct words {
    struct buf bytes;
    struct words_span *spans;
    size_t count, size;
};

void words_fini(struct words *w);  // empty and usable again
void words_clear(struct words *w); // empty; memory is kept
// Copies s and returns its index. ptr NULL stays ptr NULL (none, not empty).
size_t words_add(struct words *w, struct slice s);
size_t words_add_u64(struct words *w, uint64_t n);
// Valid until the next change.
struct slice words_at(const struct words *w, size_t i);
