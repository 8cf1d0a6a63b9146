// SPDX-License-Identifier: Apache-2.0
// What a process has used: processor time, and of our own the memory too.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/metrics.h"

struct process_look {
    bool runnable;   // it runs, or would if it were given a processor
    uint64_t cpu_ms; // that it was given since it began, all threads
};

// How another process stands now, of /proc/<pid>/stat. False, with out unchanged, when that
// cannot be read.
CM_MUST_CHECK bool process_look(pid_t pid, struct process_look *out);

// Stores METRIC_CPU_MS, METRIC_RESIDENT_BYTES and METRIC_LOG_DROPPED. Costs two
// system calls; call it about once a second.
void process_stats_store(metric_value *values);
