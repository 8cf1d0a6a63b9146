// SPDX-License-Identifier: Apache-2.0
// What is kept of each request that has ended: a count, and perhaps a log line.
#pragma once

#include "common/base/metrics.h"
#include "common/http/server.h"
#include "services/settings.h"

struct access {
    metric_value *values; // METRIC_ROWS of them
    enum access_log mode;
};

// For server_options.on_access; a's note is an enum key_doubt; ctx is a struct access.
void access_note(void *ctx, const struct server_access *a);
