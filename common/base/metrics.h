// SPDX-License-Identifier: Apache-2.0
// Counters in memory that may be shared between processes, and their Prometheus
// text form (exposition format 0.0.4).
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

// One row per series. Rows of one family (same name) follow each other.
struct metric {
    const char *name;   // "cm_http_requests_total"
    const char *labels; // "route=\"list\",code=\"200\"" or ""
    enum metric_type type;
    const char *help;
};

// Values are indexed like the table's rows; one array per process, in a shared
// mapping. Relaxed atomics: a scrape may see one row newer than another.
typedef _Atomic uint64_t metric_value;

// row is below the number of rows of the table that values belongs to.
static inline void metric_add(metric_value *values, size_t row, uint64_t n)
{
    atomic_fetch_add_explicit(&values[row], n, memory_order_relaxed);
}

static inline void metric_set(metric_value *values, size_t row, uint64_t n)
{
    atomic_store_explicit(&values[row], n, memory_order_relaxed);
}

static inline uint64_t metric_get(const metric_value *values, size_t row)
{
    return atomic_load_explicit(&values[row], memory_order_relaxed);
}

// Appends the text form of count rows. totals[i] is the value of rows[i].
// # HELP and # TYPE are printed once per family.
void metrics_render(struct buf *out, const struct metric *rows, const uint64_t *totals,
                    size_t count);
