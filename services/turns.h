// SPDX-License-Identifier: Apache-2.0
// How long the loop was busy between two waits: everybody whose request came in
// meanwhile has waited for it.
#pragma once

#include <stdint.h>

#include "common/base/metrics.h"

// Zeroed, with values: METRIC_ROWS of them.
struct turns {
    metric_value *values;
    uint64_t cpu_us; // of this thread, when the last turn ended; 0 = no turn yet
    uint64_t longest_us;
};

// To be called once a turn, before the loop waits. What came before the first call is
// nobody's turn.
void turns_note(struct turns *t);
