// SPDX-License-Identifier: Apache-2.0
// What the ops child says, made from the shared mapping.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "services/shm.h"

// Appends the JSON of /readyz. True: at least one worker is ready and the
// service is not draining.
bool ops_report_ready(struct buf *out, struct shm *m, uint64_t now_ms);
// Appends the text of /metrics.
void ops_report_metrics(struct buf *out, struct shm *m, uint64_t now_ms);
