// SPDX-License-Identifier: Apache-2.0
// What this process has used: processor time and resident memory.
#pragma once

#include "common/base/metrics.h"

// Stores METRIC_CPU_MS, METRIC_RESIDENT_BYTES and METRIC_LOG_DROPPED. Costs two
// system calls; call it about once a second.
void process_stats_store(metric_value *values);
