// SPDX-License-Identifier: Apache-2.0
// What crashed a worker twice is not tried a third time: each says in its block of
// the shared mapping what it is about to do, and the supervisor counts what was
// being done when somebody died.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "services/shm.h"

enum { POISON_CRASHES = 2 };

// A zeroed struct guards against nothing.
struct poison {
    const struct shm *shm;
    struct shm_block *block; // the worker's own
};

// The name of what is done with those two: never 0, the same in every process.
uint64_t poison_name(struct slice what, struct slice content);
// Has that crashed somebody too often?
bool poison_is(const struct poison *p, uint64_t name);
// About to do that. False: it is poison, and nothing was begun.
CM_MUST_CHECK bool poison_begin(const struct poison *p, uint64_t name);
// It and all before it went well.
void poison_end(const struct poison *p);
