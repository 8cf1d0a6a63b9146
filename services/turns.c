// SPDX-License-Identifier: Apache-2.0
// Turns are measured in processor time of the thread: a turn that the machine
// interrupted is not the program's fault, one that computes for long is. That clock
// is a system call, so it is read once a turn; the wait itself costs next to nothing.
#include "services/turns.h"

#include <stdbool.h>

#include "common/base/clock.h"
#include "services/metrics_table.h"

// The first row whose bound the turn stays below; see metrics_table.c.
static size_t row_of(uint64_t us)
{
    static const uint64_t bounds_us[] = {500, 1000, 2000, 10000};
    size_t i = 0;
    while (i < CM_ARRAY_LEN(bounds_us) && us >= bounds_us[i])
        i++;
    return METRIC_TURNS + i;
}

void turns_note(struct turns *t)
{
    uint64_t now = clock_thread_us(), took = now - t->cpu_us;
    bool first = t->cpu_us == 0;
    t->cpu_us = now;
    if (first)
        return;
    metric_add(t->values, row_of(took), 1);
    if (took > t->longest_us) {
        t->longest_us = took;
        metric_set(t->values, METRIC_TURN_LONGEST, took);
    }
}
