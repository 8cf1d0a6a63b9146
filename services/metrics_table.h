// SPDX-License-Identifier: Apache-2.0
// The rows of /metrics that workers keep: an index for each, and the table that
// names them. Counters are summed over all workers that ever lived; gauges are
// shown for each live worker with a slot label.
#pragma once

#include <stddef.h>

#include "common/base/metrics.h"

enum metric_route {
    METRIC_ROUTE_LIST,
    METRIC_ROUTE_MODEL,
    METRIC_ROUTE_PREFLIGHT,
    METRIC_ROUTE_OTHER,
    METRIC_ROUTES
};
// By the first digit of the status; ABORTED: the client left before its answer.
enum metric_class {
    METRIC_CLASS_2XX,
    METRIC_CLASS_3XX,
    METRIC_CLASS_4XX,
    METRIC_CLASS_5XX,
    METRIC_CLASS_ABORTED,
    METRIC_CLASSES
};

enum metric_row {
    METRIC_REQUESTS, // METRIC_ROUTES * METRIC_CLASSES rows; see metrics_request_row
    METRIC_REQUESTS_END = METRIC_REQUESTS + METRIC_ROUTES * METRIC_CLASSES - 1,

    METRIC_FAILURES, // answers of 500, by enum key_doubt; the first are bugs
    METRIC_FAILURES_END = METRIC_FAILURES + 5,

    METRIC_CONNECTIONS_ACCEPTED,
    METRIC_CONNECTIONS_REJECTED,
    METRIC_CONNECTIONS_REAPED,
    METRIC_CONNECTIONS_GUARDED,
    METRIC_CONNECTIONS_OPEN,   // gauge
    METRIC_REQUESTS_IN_FLIGHT, // gauge

    METRIC_TLS_STARTED,
    METRIC_TLS_FULL,
    METRIC_TLS_RESUMED,
    METRIC_TLS_EXPIRY, // gauge: unix seconds; 0 = no TLS, then it is not shown

    METRIC_KEY_HITS,
    METRIC_KEY_MISSES,
    METRIC_KEY_NEGATIVE_HITS,
    METRIC_KEY_EVICTIONS,
    METRIC_KEY_BYTES,   // gauge
    METRIC_KEY_ENTRIES, // gauge: positive entries
    METRIC_KEY_DENIALS, // gauge: remembered refusals

    METRIC_FILLS_FOUND,
    METRIC_FILLS_ABSENT,
    METRIC_FILLS_FAILED,
    METRIC_FILL_RETRIES,    // the guard marked a fill and it read again
    METRIC_FILLS_IN_FLIGHT, // gauge

    // Gauges that the ops child computes from the block at scrape time; workers
    // leave these rows alone. Five states, in enum feed_state's order; seven reasons, in
    // enum feed_reason's, from the one after NONE on.
    METRIC_FEED_STATE,
    METRIC_FEED_STATE_END = METRIC_FEED_STATE + 4,
    METRIC_FEED_REASON,
    METRIC_FEED_REASON_END = METRIC_FEED_REASON + 6,
    METRIC_FEED_REVISION,
    METRIC_FEED_CONFIRMED_AGE, // milliseconds

    METRIC_FEED_RELOADS,
    METRIC_FEED_RELOAD_ABORTS,
    METRIC_FEED_GAPS,
    METRIC_FEED_DIGEST_MISMATCHES,
    METRIC_FEED_FALLS,
    METRIC_FEED_SUSPECTS,
    METRIC_FEED_BELLS,

    METRIC_REDIS_UP, // gauge
    METRIC_REDIS_RECONNECTS,
    METRIC_CATALOG_MODELS,   // gauge
    METRIC_CATALOG_INVALID,  // gauge: see replica.h
    METRIC_CATALOG_POISONED, // gauge
    METRIC_FROM_DISK,        // gauge, from the block
    METRIC_STATE_AGE,        // gauge, from the block: milliseconds
    METRIC_STATE_SAVES,
    METRIC_STATE_ERRORS,
    METRIC_LOG_DROPPED,

    METRIC_TURNS, // by their length: five rows, see turns.c
    METRIC_TURNS_END = METRIC_TURNS + 4,
    METRIC_TURN_LONGEST, // gauge: microseconds

    METRIC_CPU_MS,         // see process_stats.h
    METRIC_RESIDENT_BYTES, // gauge

    METRIC_ROWS
};

extern const struct metric metrics_table[METRIC_ROWS];

// The row that counts a request of that route answered with that status (0: the
// client left before).
size_t metrics_request_row(enum metric_route route, int status);
